"""Sends the events of Kinesis sinks: the requests to one stream that come together go in one call.

Each request is a record with its own outcome. This module guarantees:

- A call of `send` writes at most one record.
- A record is rendered again right before the call that writes it, which checks that it may leave.
- A call has at most 500 records and 4 MiB, less than AWS allows (docs.aws.amazon.com, PutRecords).
- A stream that does not answer takes two threads at most, and an account half of those that are
  free, so that the streams of others are not delayed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Final, NamedTuple, Protocol, TypeVar

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest, RequestTimings
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, Outcome
from ringback.core.streams.kinesis_stream import arn_of, partition_key_of, region_of
from ringback.core.streams.sink import StreamSink
from ringback.kinesis_client.record_writer import SinkAccess, StreamRecord, WrittenRecord
from ringback.ports import Store, Transaction
from ringback.runtime.account_fair_semaphore import FairSemaphore

T = TypeVar("T")

MOST_RECORDS: Final = 500
MOST_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of a call: data and partition keys. AWS's pages say 5 MiB, the newest 10 MiB."""
_TOGETHER: Final = 0.02
"""Seconds in which requests come together for one call."""
_CALLS_OF_A_STREAM: Final = 2
_THREADS: Final = 32
"""The most calls under way at a time; each blocks a thread."""
_REMEMBER: Final = 10.0
"""Seconds for which a sink's role is remembered."""
_MOST_SINKS: Final = 10_000


class RecordWriter(Protocol):
    """What writes records; see `record_writer`."""

    def put(self, to: SinkAccess, records: Sequence[StreamRecord]) -> Sequence[WrittenRecord]:
        """Write records, and return the outcome of each, in their order; may block."""
        ...


class _NoThread(Exception):
    """The machine has no thread left for a call."""


class _Role(NamedTuple):
    role_arn: str | None
    external_id: str | None


@dataclass(eq=False, slots=True)
class _Pending:
    """A request that waits for a call, or for its answer."""

    request: OutgoingRequest
    anew: Callable[[], OutgoingRequest] | None
    leaving: Callable[[], None] | None
    left: asyncio.Future[float]
    """When the call with this record began, by the stopwatch; or why it must not be sent."""
    written: asyncio.Future[WrittenRecord]

    @property
    def size(self) -> int:
        return len(self.request.body) + len(partition_key_of(self.request.url))

    def leave(self, now: float) -> StreamRecord | None:
        """Return the record to write now; None if it must not or need not be sent any more."""
        if self.left.done():
            return None
        try:
            if self.anew is not None:
                self.request = self.anew()
            if self.leaving is not None:
                self.leaving()
        except Exception as refusal:  # noqa: BLE001 (`send` raises it)
            self.left.set_exception(refusal)
            return None
        self.left.set_result(now)
        return StreamRecord(self.request.body, partition_key_of(self.request.url))


@dataclass(eq=False, slots=True)
class _Stream:
    """The requests to a stream that wait, and its calls that are under way."""

    waiting: deque[_Pending] = field(default_factory=deque[_Pending])
    size: int = 0
    calls: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= MOST_RECORDS or self.size >= MOST_BYTES

    def take(self) -> list[_Pending]:
        """Take out those who wait, in their order, as many as fit into one call."""
        taken, size = list[_Pending](), 0
        while self.waiting and len(taken) < MOST_RECORDS:
            own = self.waiting[0].size
            if taken and size + own > MOST_BYTES:
                break
            size += own
            taken.append(self.waiting.popleft())
        self.size -= size
        return taken


class KinesisTransport:
    """Implements `ports.Transport` for requests whose URLs are those of Kinesis streams.

    `stopwatch` returns seconds. The role of each request's sink is looked up in `store`.
    """

    def __init__(
        self, writer: RecordWriter, store: Store, *, stopwatch: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._store = store
        self._stopwatch = stopwatch
        self._threads = FairSemaphore(_THREADS)
        self._streams = dict[SinkAccess, _Stream]()
        self._calls = set[asyncio.Task[None]]()
        self._roles = dict[str, tuple[float, asyncio.Task[_Role | None]]]()
        """When the role of a subscription or sink was looked up, and the look-up."""

    def try_send(
        self,
        request: OutgoingRequest,  # noqa: ARG002 (of the protocol)
        *,
        limits: Timeouts,  # noqa: ARG002 (the same)
        turn: int = 0,  # noqa: ARG002 (the same)
        ended: Callable[[AttemptResult], None],  # noqa: ARG002 (the same)
    ) -> bool:
        """Return False: each request waits for others."""
        return False

    def break_off(self) -> None:
        """Do nothing, since `try_send` begins nothing."""

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,  # noqa: ARG002 (there is one way to AWS)
        fresh: bool = False,  # noqa: ARG002 (botocore keeps its own connections)
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        """Write the request's body as a record, together with others; return its own result."""
        began = self._stopwatch()
        if limits.total <= 0:
            why = "no time was left for this attempt"
            return self._result(NoAnswerOutcome(AttemptFailure.NO_TIME, why), began, began)
        try:
            role = await self._role_of(request.stream_sid)
        except StoreUnavailable as failure:
            why = f"the sink's role could not be looked up: {failure}"
            return self._result(NoAnswerOutcome(AttemptFailure.KINESIS_CLIENT, why), began, began)
        if role is None:
            why = "the sink, whose role would have to be assumed, was deleted"
            return self._result(NoAnswerOutcome(AttemptFailure.KINESIS_CLIENT, why), began, began)
        loop = asyncio.get_running_loop()
        pending = _Pending(request, anew, leaving, loop.create_future(), loop.create_future())
        url = request.url
        self._add(SinkAccess(request.account_sid, arn_of(url), region_of(url), *role), pending)
        left = await pending.left
        try:
            written = await asyncio.wait_for(pending.written, limits.total)
        except TimeoutError:
            why = f"AWS did not answer for {limits.total:g} s; the record may have been written"
            written = WrittenRecord(NoAnswerOutcome(AttemptFailure.KINESIS_WRITE, why))
        except _NoThread as shortage:
            why = f"no thread was left: {shortage}"
            written = WrittenRecord(NoAnswerOutcome(AttemptFailure.SHORTAGE, why))
        return self._result(written.outcome, began, left)._replace(response=written.response)

    async def close(self) -> None:
        """Stop to wait for calls under way; their threads end by themselves."""
        tasks = [*self._calls, *(look_up for _, look_up in self._roles.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _result(self, outcome: Outcome, began: float, left: float) -> AttemptResult:
        timings = RequestTimings((self._stopwatch() - left) * 1000)
        return AttemptResult(outcome, timings, waited=left - began)

    async def _role_of(self, stream_sid: str) -> _Role | None:
        """Return the role of a subscription's sink, or a sink's; None if it does not exist."""
        now = self._stopwatch()
        asked, look_up = self._roles.get(stream_sid, (now, None))
        if look_up is None or asked + _REMEMBER <= now or _has_failed(look_up):
            look_up = asyncio.create_task(self._store.read(lambda tx: _role_in(tx, stream_sid)))
            if len(self._roles) >= _MOST_SINKS:
                del self._roles[next(iter(self._roles))]
            self._roles[stream_sid] = now, look_up
        # A caller that is cancelled must not cancel the look-up of the others.
        return await asyncio.shield(look_up)

    def _add(self, to: SinkAccess, pending: _Pending) -> None:
        stream = self._streams.setdefault(to, _Stream())
        stream.waiting.append(pending)
        stream.size += pending.size
        if stream.is_full:
            self._go_on(to, stream)
        elif stream.timer is None:
            loop = asyncio.get_running_loop()
            stream.timer = loop.call_later(_TOGETHER, self._go_on, to, stream)

    def _go_on(self, to: SinkAccess, stream: _Stream) -> None:
        """Begin a call with those who wait, if the stream may have one more."""
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        if stream.waiting and stream.calls < _CALLS_OF_A_STREAM:
            stream.calls += 1
            call = asyncio.create_task(self._call(to, stream))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, to: SinkAccess, stream: _Stream) -> None:
        """Wait for a thread, and write the records of those who wait then."""
        await self._threads.take(to.account_sid)
        try:
            now = self._stopwatch()
            leaving = [(one, one.leave(now)) for one in stream.take()]
            sent = [(one, record) for one, record in leaving if record is not None]
            if stream.waiting:
                self._go_on(to, stream)
            if sent:
                await self._write(to, sent)
        finally:
            self._threads.give_back(to.account_sid)
            stream.calls -= 1
            if stream.waiting:
                self._go_on(to, stream)
            elif not stream.calls:
                self._streams.pop(to, None)

    async def _write(self, to: SinkAccess, sent: Sequence[tuple[_Pending, StreamRecord]]) -> None:
        """Write records in a thread, and give each request the outcome of its record."""
        result = _in_thread(lambda: self._writer.put(to, [record for _, record in sent]))
        try:
            written = await asyncio.wrap_future(result)
        except Exception as failure:  # noqa: BLE001 (each `send` raises it)
            for one, _ in sent:
                if not one.written.done():
                    one.written.set_exception(failure)
            return
        for (one, _), what in zip(sent, written, strict=True):
            if not one.written.done():
                one.written.set_result(what)


def _has_failed(task: asyncio.Task[T]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _role_in(tx: Transaction, stream_sid: str) -> _Role | None:
    subscription = tx.streams.subscriptions.get(stream_sid)
    sink = tx.streams.sinks.get(stream_sid if subscription is None else subscription.sink_sid)
    return None if sink is None else _role_of(sink)


def _role_of(sink: StreamSink) -> _Role:
    role_arn, external_id = map(sink.configuration.get, ("role_arn", "external_id"))
    return _Role(role_arn or None, external_id or None)


def _in_thread(work: Callable[[], T]) -> Future[T]:
    """Begin to do the work in a new thread, which does not keep the process from stopping."""
    result = Future[T]()
    result.set_running_or_notify_cancel()  # a caller that is cancelled can't cancel the thread

    def run() -> None:
        try:
            result.set_result(work())
        except Exception as failure:  # noqa: BLE001 (the caller raises it)
            result.set_exception(failure)

    try:
        # Not a thread of the event loop's own: the loop waits for those when it ends.
        Thread(target=run, name="kinesis", daemon=True).start()
    except RuntimeError as failure:
        result.set_exception(_NoThread(str(failure)))
    return result
