"""Which requests go into one call, when it begins, and what each of them hears of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import LeaseLost
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.core.streams.kinesis_stream import url_of_stream, with_partition_key
from ringback.kinesis_client import kinesis_transport
from ringback.kinesis_client.kinesis_transport import MOST_BYTES, KinesisTransport
from ringback.kinesis_client.record_writer import SinkAccess, StreamRecord, WrittenRecord
from ringback.ports import Transaction
from ringback.runtime.system_clock import stopwatch
from tests.fake_kinesis import ROLE
from tests.fakes import ACCOUNT_SID
from tests.memory_store import MemoryStore
from tests.sending import failure_of, why_of
from tests.streams import ARN, a_sink, a_subscription, add_stream
from tests.unit.delivery.parts import FailingStore, PausedStore, all_has_run

LIMITS = Timeouts(connect=5, read=5, total=5)
WRITTEN = WrittenRecord(DeliveredOutcome(200))
OTHER_ACCOUNT_SID = "AC" + "e" * 32


class Writer:
    """Writes nothing, and remembers what it was given; may block until told."""

    def __init__(self) -> None:
        self.calls = list[tuple[SinkAccess, list[bytes]]]()
        self.keys = list[str]()
        self.threads = list[str]()
        self.hanging = dict[str, threading.Event]()
        """The streams that do not answer until the event is set."""
        self.error: Exception | None = None

    def put(self, to: SinkAccess, records: Sequence[StreamRecord]) -> Sequence[WrittenRecord]:
        self.calls.append((to, [one.data for one in records]))
        self.keys += [one.partition_key for one in records]
        self.threads.append(threading.current_thread().name)
        if to.stream_arn in self.hanging:
            self.hanging[to.stream_arn].wait(20)
        if self.error is not None:
            raise self.error
        return [
            WrittenRecord(NoAnswerOutcome(AttemptFailure.KINESIS_WRITE, "refused"))
            if b"refuse" in one.data
            else WRITTEN
            for one in records
        ]

    @property
    def sizes(self) -> list[int]:
        return [len(data) for _, data in self.calls]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()

    def work(tx: Transaction) -> None:
        sink = replace(a_sink(arn=ARN), configuration={"role_arn": ROLE, "external_id": "only+us"})
        add_stream(tx, sink, a_subscription())
        add_stream(tx, a_sink(2, arn=ARN), a_subscription(2))
        other = replace(a_sink(3, arn=ARN + "-2"), account_sid=OTHER_ACCOUNT_SID)
        add_stream(tx, other, replace(a_subscription(3), account_sid=OTHER_ACCOUNT_SID))

    await store.transact(work)
    return store


@pytest.fixture
async def transport(writer: Writer, store: MemoryStore) -> AsyncIterator[KinesisTransport]:
    transport = KinesisTransport(writer, store, stopwatch=stopwatch)
    yield transport
    await transport.close()


def a_record(
    body: bytes = b"{}", *, to: int = 1, arn: str = ARN, account_sid: str = ACCOUNT_SID
) -> OutgoingRequest:
    url = with_partition_key(url_of_stream(arn), "HS1")
    request = OutgoingRequest("POST", url, "PutRecords", body, account_sid=account_sid)
    return replace(request, stream_sid=a_subscription(to).sid)


def other_record(body: bytes = b"{}") -> OutgoingRequest:
    return a_record(body, to=3, arn=ARN + "-2", account_sid=OTHER_ACCOUNT_SID)


def send(
    transport: KinesisTransport, request: OutgoingRequest, **how: Any
) -> "asyncio.Task[AttemptResult]":
    return asyncio.create_task(transport.send(request, **{"limits": LIMITS, **how}))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 (threads make it so)
            await asyncio.sleep(0.001)


async def test_requests_that_come_together_go_in_one_call(
    transport: KinesisTransport, writer: Writer
) -> None:
    first = send(transport, a_record(b"1"))
    await asyncio.sleep(0.005)
    rest = [send(transport, a_record(body)) for body in (b"refuse", b"3")]
    results = await asyncio.gather(first, *rest)
    ((to, data),) = writer.calls
    assert to == SinkAccess(ACCOUNT_SID, ARN, "us-east-1", ROLE, "only+us")
    assert data == [b"1", b"refuse", b"3"]
    assert writer.keys == ["HS1"] * 3
    assert [failure_of(one) for one in results] == [None, AttemptFailure.KINESIS_WRITE, None]
    assert writer.threads == ["kinesis"]


async def test_the_wait_for_others_is_not_time_of_the_attempt(transport: KinesisTransport) -> None:
    result = await transport.send(a_record(), limits=LIMITS)
    assert 0.02 <= result.waited < 1
    assert result.timings is not None
    assert result.timings.total < 1000


async def test_a_call_has_at_most_500_records(transport: KinesisTransport, writer: Writer) -> None:
    await asyncio.gather(*(send(transport, a_record(b"%d" % n)) for n in range(1201)))
    assert max(writer.sizes) == 500
    assert sum(writer.sizes) == 1201
    calls = sorted([int(each) for each in data] for _, data in writer.calls)
    assert [each for call in calls for each in call] == [*range(1201)]  # in their order


async def test_a_call_has_at_most_4_mib(transport: KinesisTransport, writer: Writer) -> None:
    body = b"x" * (1024 * 1024 - 3)  # exactly four fit, with their partition keys
    await asyncio.gather(*(send(transport, a_record(body)) for _ in range(9)))
    assert sorted(writer.sizes) == [1, 4, 4]
    writer.calls.clear()
    await asyncio.gather(*(send(transport, a_record(body + b"x")) for _ in range(4)))
    assert sorted(writer.sizes) == [1, 3]


async def test_a_record_that_is_larger_than_a_call_may_be_goes_alone(
    transport: KinesisTransport, writer: Writer
) -> None:
    await asyncio.gather(*(send(transport, a_record(b"x" * (MOST_BYTES + 1))) for _ in range(2)))
    assert writer.sizes == [1, 1]


async def test_what_does_not_fit_into_a_call_does_not_wait_for_its_end(
    transport: KinesisTransport, writer: Writer
) -> None:
    writer.hanging[ARN] = threading.Event()
    tasks = [send(transport, a_record(b"x" * (MOST_BYTES // 3 - 3))) for _ in range(4)]
    await until(lambda: len(writer.calls) == 2)
    assert sorted(writer.sizes) == [1, 3]
    writer.hanging[ARN].set()
    await asyncio.gather(*tasks)


async def test_after_a_full_call_requests_come_together_again(
    transport: KinesisTransport, writer: Writer
) -> None:
    writer.hanging[ARN] = threading.Event()
    tasks = [send(transport, a_record(b"x" * MOST_BYTES))]
    await until(lambda: len(writer.calls) == 1)
    for body in (b"1", b"2"):
        tasks.append(send(transport, a_record(body)))
        await asyncio.sleep(0.003)
    await until(lambda: len(writer.calls) == 2)
    assert writer.calls[1][1] == [b"1", b"2"]
    writer.hanging[ARN].set()
    await asyncio.gather(*tasks)


async def test_a_full_call_does_not_wait(
    transport: KinesisTransport, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis_transport, "_TOGETHER", 1000)
    async with asyncio.timeout(10):
        await asyncio.gather(*(send(transport, a_record()) for _ in range(500)))
    assert writer.sizes == [500]


async def test_sinks_with_other_roles_have_calls_of_their_own(
    transport: KinesisTransport, writer: Writer
) -> None:
    await asyncio.gather(*(send(transport, a_record(to=to)) for to in (1, 2)))
    assert sorted((to.role_arn or "", to.external_id or "") for to, _ in writer.calls) == [
        ("", ""),
        (ROLE, "only+us"),
    ]


async def test_a_test_event_is_for_a_sink_itself(
    transport: KinesisTransport, writer: Writer
) -> None:
    await transport.send(replace(a_record(), stream_sid=a_sink().sid), limits=LIMITS)
    assert [to.role_arn for to, _ in writer.calls] == [ROLE]


async def test_a_record_is_rendered_again_right_before_it_leaves(
    transport: KinesisTransport, writer: Writer
) -> None:
    steps = list[str]()

    def anew() -> OutgoingRequest:
        assert writer.calls == []
        steps.append("anew")
        return a_record(b"new")

    await transport.send(
        a_record(b"old"), limits=LIMITS, anew=anew, leaving=lambda: steps.append("leaving")
    )
    assert steps == ["anew", "leaving"]
    assert [data for _, data in writer.calls] == [[b"new"]]


@pytest.mark.parametrize("where", ["anew", "leaving"])
async def test_a_record_that_may_not_leave_stays_alone(
    transport: KinesisTransport, writer: Writer, where: str
) -> None:
    def refuse() -> Any:
        raise LeaseLost("the lease has ended")

    kept = send(transport, a_record(b"kept"), **{where: refuse})
    others = [send(transport, a_record(body)) for body in (b"1", b"2")]
    with pytest.raises(LeaseLost):
        await kept
    await asyncio.gather(*others)
    assert [data for _, data in writer.calls] == [[b"1", b"2"]]


async def test_a_request_that_is_cancelled_while_it_waits_is_not_written(
    transport: KinesisTransport, writer: Writer
) -> None:
    cancelled, other = send(transport, a_record(b"1")), send(transport, a_record(b"2"))
    await all_has_run()
    cancelled.cancel()
    await other
    assert [data for _, data in writer.calls] == [[b"2"]]


async def test_nothing_is_written_if_all_have_been_cancelled(
    transport: KinesisTransport, writer: Writer
) -> None:
    cancelled = send(transport, a_record())
    await all_has_run()
    cancelled.cancel()
    await asyncio.sleep(0.03)
    assert writer.calls == []
    await transport.send(a_record(), limits=LIMITS)
    assert writer.sizes == [1]


async def test_an_attempt_ends_with_its_time_limit(
    transport: KinesisTransport, writer: Writer
) -> None:
    writer.hanging[ARN] = threading.Event()
    short = send(transport, a_record(), limits=LIMITS._replace(total=0.05))
    long = send(transport, a_record())
    result = await short
    assert failure_of(result) is AttemptFailure.KINESIS_WRITE
    assert why_of(result) == "AWS did not answer for 0.05 s; the record may have been written"
    writer.hanging[ARN].set()
    assert failure_of(await long) is None


async def test_without_time_nothing_is_sent(transport: KinesisTransport, writer: Writer) -> None:
    result = await transport.send(a_record(), limits=LIMITS._replace(total=0))
    assert failure_of(result) is AttemptFailure.NO_TIME
    assert writer.calls == []


async def test_a_stream_that_hangs_takes_two_threads_and_delays_no_other(
    transport: KinesisTransport, writer: Writer
) -> None:
    writer.hanging[ARN] = threading.Event()
    waiting = list[asyncio.Task[AttemptResult]]()
    for number in range(4):
        waiting.append(send(transport, a_record(b"%d" % number)))
        await asyncio.sleep(0.03)
    assert writer.sizes == [1, 1]
    await transport.send(other_record(), limits=LIMITS)
    writer.hanging[ARN].set()
    await asyncio.gather(*waiting)
    # The two others went together, once a call had ended.
    assert [data for to, data in writer.calls if to.stream_arn == ARN][2:] == [[b"2", b"3"]]


async def test_an_account_whose_streams_hang_leaves_threads_to_others(
    transport: KinesisTransport, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    arns = [f"{ARN}-{number}" for number in range(10, 40)]
    writer.hanging = dict.fromkeys(arns, hangs)
    tasks = [send(transport, a_record(arn=arn)) for arn in arns]
    await until(lambda: len(writer.calls) >= 16)
    await transport.send(other_record(), limits=LIMITS)
    assert len(writer.calls) == 17
    hangs.set()
    await asyncio.gather(*tasks)
    assert len(writer.calls) == 31


async def test_an_error_of_our_own_is_raised_for_each(
    transport: KinesisTransport, writer: Writer
) -> None:
    writer.error = ZeroDivisionError("oh")
    tasks = [send(transport, a_record()) for _ in range(2)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [ZeroDivisionError] * 2
    writer.error = None
    assert failure_of(await transport.send(a_record(), limits=LIMITS)) is None


async def test_without_a_thread_the_error_is_raised(
    transport: KinesisTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        result = await transport.send(a_record(), limits=LIMITS)
    assert failure_of(result) is AttemptFailure.SHORTAGE


async def test_a_sink_that_was_deleted_is_told(
    transport: KinesisTransport, store: MemoryStore, writer: Writer
) -> None:
    await store.transact(lambda tx: tx.streams.sinks.remove(a_sink().sid))
    result = await transport.send(a_record(), limits=LIMITS)
    assert failure_of(result) is AttemptFailure.KINESIS_CLIENT
    assert why_of(result) == "the sink, whose role would have to be assumed, was deleted"
    assert writer.calls == []


async def test_roles_are_remembered_for_a_while(writer: Writer, store: MemoryStore) -> None:
    now, looked = 0.0, FailingStore(store)
    transport = KinesisTransport(writer, looked, stopwatch=lambda: now)
    await asyncio.gather(*(send(transport, a_record()) for _ in range(3)))
    assert looked.transactions == 1
    sink = replace(a_sink(arn=ARN), configuration={"role_arn": ROLE + "-2"})
    await store.transact(lambda tx: tx.streams.sinks.save(sink))
    now = 9.9
    await transport.send(a_record(), limits=LIMITS)
    now = 10.1
    await transport.send(a_record(), limits=LIMITS)
    assert looked.transactions == 2
    assert [to.role_arn for to, _ in writer.calls] == [ROLE, ROLE, ROLE + "-2"]
    await transport.close()


async def test_an_outage_of_the_database_is_a_failure_that_passes(
    writer: Writer, store: MemoryStore
) -> None:
    failing = FailingStore(store)
    failing.failures_to_come = 1
    transport = KinesisTransport(writer, failing, stopwatch=stopwatch)
    result = await transport.send(a_record(), limits=LIMITS)
    assert failure_of(result) is AttemptFailure.KINESIS_CLIENT
    assert why_of(result).startswith("the sink's role could not be looked up: ")
    assert failure_of(await transport.send(a_record(), limits=LIMITS)) is None
    await transport.close()


async def test_a_request_that_is_cancelled_leaves_the_look_up_to_others(
    writer: Writer, store: MemoryStore
) -> None:
    paused = PausedStore(store)
    paused.may_begin.clear()
    transport = KinesisTransport(writer, paused, stopwatch=stopwatch)
    cancelled, other = send(transport, a_record(b"1")), send(transport, a_record(b"2"))
    await all_has_run()
    cancelled.cancel()
    await all_has_run()
    paused.may_begin.set()
    assert failure_of(await other) is None
    assert paused.transactions == 1
    assert [data for _, data in writer.calls] == [[b"2"]]
    await transport.close()


async def test_only_so_many_roles_are_remembered(
    transport: KinesisTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis_transport, "_MOST_SINKS", 1)
    for to in (1, 2, 1):
        assert failure_of(await transport.send(a_record(to=to), limits=LIMITS)) is None
    assert list(transport._roles) == [a_subscription(1).sid]


async def test_closing_does_not_wait_for_calls(transport: KinesisTransport, writer: Writer) -> None:
    writer.hanging[ARN] = threading.Event()
    task = send(transport, a_record())
    await until(lambda: bool(writer.calls))
    task.cancel()
    async with asyncio.timeout(1):
        await transport.close()
    writer.hanging[ARN].set()


async def test_nothing_is_ever_sent_without_a_wait(transport: KinesisTransport) -> None:
    assert not transport.try_send(a_record(), limits=LIMITS, ended=lambda _: None)
    transport.break_off()
    assert timedelta(seconds=kinesis_transport._TOGETHER) == timedelta(milliseconds=20)
