"""The dispatcher: every request is an attempt row, written before it leaves and settled after."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.callback import CallbackStatus, Exchange, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Limits
from ringback.core.outcome import Delivered, Failure, Outcome, Refused, Unreachable
from ringback.core.rendering import OutgoingRequest
from ringback.core.source import NOTICE, Source, Transition
from ringback.engine.dispatcher import Dispatcher
from ringback.ports import Store, Transaction, Transport
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import (
    ACCOUNT_SID,
    CALLBACK_SID,
    NOW,
    TOKENS,
    FakeClock,
    RecordingTransport,
    SeededChance,
    a_callback,
    an_account,
    an_event,
)
from tests.unit.engine.parts import (
    FailingStore,
    FunctionTransport,
    Steps,
    a_store,
    add,
    all_has_run,
    attempts_in,
    callback_in,
    running,
)

SECOND = timedelta(seconds=1)
REFUSED = Exchange(Refused(503))
NOT_CONNECTED = Exchange(Unreachable(Failure.CONNECT, "nobody listens there"))


@dataclass
class Bench:
    """A dispatcher and what it works with."""

    store: Store
    transport: Transport
    at_once: int = 64
    clock: FakeClock = field(default_factory=FakeClock)
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            at_once=self.at_once,
            checkpoint=self.steps,
        )

    async def settle(self, count: int = 1) -> None:
        """Run until this many attempts are settled, and until nothing more is due."""
        async with running(self.dispatcher.run):
            await self.steps.reach("settled", count)
            await all_has_run()


def sid(number: int) -> str:
    return f"CB{number:032}"


def header(request: OutgoingRequest, name: str) -> str:
    return dict(request.headers)[name]


# ---- one attempt ---------------------------------------------------------------------------------


async def test_a_due_callback_is_sent_and_delivered() -> None:
    store, transport = await a_store(a_callback()), RecordingTransport()
    await Bench(store, transport).settle()
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert len(transport.requests) == 1
    assert (callback.status, callback.attempt_count, callback.due) == ("delivered", 1, None)
    assert (attempt.number, attempt.result, attempt.status_code) == (1, "delivered", 200)


async def test_the_attempt_is_in_the_file_before_the_request_leaves(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    store = SqliteStore.open(path)
    rows = list[tuple[str, int, str]]()

    async def look_into_the_file(request: OutgoingRequest) -> Exchange:
        with closing(sqlite3.connect(path)) as other:
            rows.extend(other.execute("SELECT callback_sid, number, result FROM attempts"))
        return Exchange(Delivered(200))

    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await add(store, a_callback())
    await Bench(store, FunctionTransport(look_into_the_file)).settle()
    await store.close()
    assert rows == [(CALLBACK_SID, 1, "open")]


async def test_the_steps_are_claim_send_settle_in_this_order() -> None:
    store, steps = await a_store(a_callback()), Steps()

    async def note(request: OutgoingRequest) -> Exchange:
        steps(f"sending, {(await attempts_in(store))[0].result} in the store")
        return Exchange(Delivered(200))

    await Bench(store, FunctionTransport(note), steps=steps).settle()
    assert steps.passed == ["claimed", "sending, open in the store", "sent", "settled"]


async def test_the_row_keeps_what_was_sent_and_answered() -> None:
    store = await a_store(a_callback())
    await Bench(store, RecordingTransport([Exchange(Refused(410), 12.5)])).settle()
    (attempt,) = await attempts_in(store)
    assert (attempt.result, attempt.status_code, attempt.duration_ms) == ("refused", 410, 12.5)
    assert attempt.request is not None
    assert attempt.request.body == a_callback().body


async def test_the_limits_of_the_url_reach_the_transport() -> None:
    store = await a_store(a_callback(url="http://a.example#ct=1000&rt=2000&tt=3000"))
    transport = RecordingTransport()
    await Bench(store, transport).settle()
    assert transport.limits == [Limits(connect=1.0, read=2.0, total=3.0)]


async def test_a_callback_that_is_not_due_waits_for_its_instant() -> None:
    store, transport = await a_store(a_callback(due=NOW + SECOND)), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.dispatcher.run):
        await all_has_run()
        assert transport.requests == []
        bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_a_new_callback_is_sent_when_the_loop_is_woken() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.dispatcher.run):
        await all_has_run()
        await add(store, a_callback())
        bench.dispatcher.wake()
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_an_idle_dispatcher_leaves_the_store_alone() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport())
    async with running(bench.dispatcher.run):
        await all_has_run()
        bench.clock.advance(timedelta(days=1))
        await all_has_run()
    assert store.transactions == 1


# ---- more than one -------------------------------------------------------------------------------

LATE = Exchange(Unreachable(Failure.READ_TIMEOUT, "no answer came"))


@pytest.mark.parametrize(
    ("fragment", "source", "endings", "status", "why"),
    [
        pytest.param("", Source.KORE, [REFUSED, Exchange(Delivered(200))], "delivered", None),
        pytest.param("", Source.KORE, [REFUSED, REFUSED], "failed", "not tried again, since rc=1"),
        pytest.param("", Source.TWILIO, [REFUSED], "failed", "since the retry policy is rp=ct"),
        pytest.param(
            "", Source.TWILIO, [NOT_CONNECTED, Exchange(Delivered(204))], "delivered", None
        ),
        pytest.param("#rc=0", Source.KORE, [REFUSED], "failed", "not tried again, since rc=0"),
        pytest.param("#rc=5", Source.KORE, [REFUSED] * 6, "failed", "since rc=5"),
        pytest.param("#rc=3&rp=rt", Source.TWILIO, [LATE] * 4, "failed", "since rc=3"),
        pytest.param("#rc=3&rp=ct", Source.KORE, [REFUSED], "failed", "rp=ct"),
        pytest.param(
            "#rc=5&rp=all", Source.KORE, [Exchange(Refused(410))], "failed", "wants no more"
        ),
        pytest.param(
            "#rc=5&rp=all",
            Source.TWILIO,
            [Exchange(Unreachable(Failure.GUARD, "10.0.0.1 is not a public address"))],
            "failed",
            "10.0.0.1 is not a public address",
        ),
    ],
    ids=[
        "5xx then 200",
        "5xx twice",
        "twilio does not repeat 5xx",
        "twilio repeats a failed connection",
        "no retries",
        "five retries",
        "three for late answers",
        "kore told not to repeat 5xx",
        "410 ends it",
        "the guard ends it",
    ],
)
async def test_a_round_goes_on_as_its_policy_says(
    fragment: str, source: Source, endings: list[Exchange], status: str, why: str | None
) -> None:
    store = await a_store(a_callback(url=f"http://a.example/{fragment}", source=source))
    transport = RecordingTransport(endings)
    await Bench(store, transport).settle(len(endings))
    callback = await callback_in(store)
    assert len(transport.requests) == len(endings)
    assert callback.status == status
    assert (why or "") in (callback.status_reason or "")


async def test_every_request_has_a_row() -> None:
    store = await a_store(a_callback(url="http://a.example#rc=5", source=Source.KORE))
    transport = RecordingTransport([REFUSED, NOT_CONNECTED, REFUSED])
    await Bench(store, transport).settle(4)
    attempts = await attempts_in(store)
    assert [(attempt.number, attempt.result) for attempt in attempts] == [
        (1, "refused"),
        (2, "unreachable"),
        (3, "refused"),
        (4, "delivered"),
    ]
    assert len(transport.requests) == 4


@pytest.mark.parametrize("source", Source)
async def test_a_retry_has_the_same_source_token_and_payload(source: Source) -> None:
    store = await a_store(a_callback(url="http://a.example", source=source))
    transport = RecordingTransport([NOT_CONNECTED])
    await Bench(store, transport).settle(2)
    first, second = transport.requests
    assert TOKENS[source] in dict(first.headers).values()
    assert second == first


async def test_a_retry_has_the_date_of_its_own_attempt() -> None:
    clock, dates = FakeClock(), list[str]()

    async def send(request: OutgoingRequest) -> Exchange:
        dates.append(header(request, "Date"))
        clock.advance(2 * SECOND)
        return REFUSED

    store = await a_store(a_callback(source=Source.KORE))
    await Bench(store, FunctionTransport(send), clock=clock).settle(2)
    assert dates == ["2024-07-03T14:40:58Z", "2024-07-03T14:41:00Z"]


async def test_a_round_ends_when_its_time_is_used_up() -> None:
    clock = FakeClock()
    sent = list[OutgoingRequest]()

    async def take_long(request: OutgoingRequest) -> Exchange:
        sent.append(request)
        clock.advance(3 * SECOND)
        return REFUSED

    store = await a_store(a_callback(url="http://a.example#tt=5000&rc=5", source=Source.KORE))
    await Bench(store, FunctionTransport(take_long), clock=clock).settle(2)
    assert len(sent) == 2
    assert (await callback_in(store)).status_reason == (
        "the receiver answered 503 Service Unavailable; no time left, since tt=5000 ms"
    )


async def test_a_retry_has_only_the_time_that_its_round_has_left() -> None:
    clock = FakeClock()

    class SlowTransport(RecordingTransport):
        async def send(self, request: OutgoingRequest, *, limits: Limits) -> Exchange:
            exchange = await super().send(request, limits=limits)
            clock.advance(4 * SECOND)
            return exchange

    transport = SlowTransport([REFUSED])
    store = await a_store(a_callback(source=Source.KORE))
    await Bench(store, transport, clock=clock).settle(2)
    assert [limits.total for limits in transport.limits] == [15.0, 11.0]


async def test_a_cut_over_between_two_attempts_keeps_source_and_token() -> None:
    clock = FakeClock(datetime(2024, 10, 15, 23, 59, 59, tzinfo=UTC))
    callback = announce(
        an_event(),
        to=CallbackUrl.parse("http://a.example"),
        method=Method.POST,
        transition=Transition(NOTICE),
        chance=SeededChance().bytes(ANNOUNCEMENT_BYTES),
        now=clock.now(),
    )
    sent = list[OutgoingRequest]()

    async def cut_over(request: OutgoingRequest) -> Exchange:
        sent.append(request)
        clock.advance(2 * SECOND)
        return NOT_CONNECTED

    await Bench(await a_store(callback), FunctionTransport(cut_over), clock=clock).settle(2)
    assert [header(request, "User-Agent") for request in sent] == ["TwilioProxy/1.1"] * 2
    assert sent[0] == sent[1]


# ---- many at once --------------------------------------------------------------------------------


async def test_at_most_so_many_attempts_are_under_way_at_once() -> None:
    under_way, most, gate = 0, 0, asyncio.Event()

    async def send(request: OutgoingRequest) -> Exchange:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return Exchange(Delivered(200))

    store = await a_store(*(a_callback(sid=sid(number)) for number in range(10)))
    bench = Bench(store, FunctionTransport(send), at_once=3)
    async with running(bench.dispatcher.run):
        await bench.steps.reach("claimed", 3)
        bench.dispatcher.wake()
        await all_has_run()
        assert len(await store.transact(lambda tx: tx.callbacks.left_open())) == 3
        gate.set()
        await bench.steps.reach("settled", 10)
    assert most == 3


async def test_a_slow_receiver_holds_nobody_else_up() -> None:
    gate = asyncio.Event()

    async def send(request: OutgoingRequest) -> Exchange:
        if request.url.host == "slow.example":
            await gate.wait()
        return Exchange(Delivered(200))

    store = await a_store(
        a_callback(sid=sid(1), url="http://slow.example"),
        *(a_callback(sid=sid(number)) for number in range(2, 6)),
    )
    bench = Bench(store, FunctionTransport(send), at_once=2)
    async with running(bench.dispatcher.run):
        await bench.steps.reach("settled", 4)
        assert (await attempts_in(store, sid(1)))[0].result == "open"
        gate.set()
        await bench.steps.reach("settled", 5)


# ---- what goes wrong -----------------------------------------------------------------------------


async def test_what_a_dead_worker_left_open_is_unknown_and_due_again() -> None:
    store = await a_store(a_callback())
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    clock = FakeClock(NOW + 60 * SECOND)
    assert await Bench(store, RecordingTransport(), clock=clock).dispatcher.recover() == 1
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert (attempt.result, attempt.error_code) == ("unknown", 11200)
    assert (callback.status, callback.due) == ("scheduled", NOW + 60 * SECOND)


@pytest.mark.parametrize("source", Source)
async def test_what_a_dead_worker_left_open_is_sent_again_with_the_same_token(
    source: Source,
) -> None:
    store = await a_store(a_callback(source=source))
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    transport = RecordingTransport()
    bench = Bench(store, transport)
    await bench.dispatcher.recover()
    await bench.settle()
    (request,) = transport.requests
    assert TOKENS[source] in dict(request.headers).values()
    assert [attempt.result for attempt in await attempts_in(store)] == ["unknown", "delivered"]


async def test_after_a_crash_the_round_begins_anew() -> None:
    store = await a_store(a_callback(source=Source.KORE))
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    transport = RecordingTransport([REFUSED, REFUSED])
    bench = Bench(store, transport, clock=FakeClock(NOW + 3600 * SECOND))
    await bench.dispatcher.recover()
    await bench.settle(2)
    assert [limits.total for limits in transport.limits] == [15.0, 15.0]
    assert (await callback_in(store)).attempt_count == 3


async def test_nothing_left_open_is_nothing_to_recover() -> None:
    store = await a_store(a_callback())
    assert await Bench(store, RecordingTransport()).dispatcher.recover() == 0
    assert await callback_in(store) == a_callback()


async def test_a_transport_that_raises_ends_the_callback_as_our_own_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def break_down(request: OutgoingRequest) -> Exchange:
        raise RuntimeError("a message with a secret in it")

    store = await a_store(a_callback(url="http://a.example#rc=5&rp=all"))
    await Bench(store, FunctionTransport(break_down)).settle()
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert (attempt.result, attempt.failure) == ("unreachable", "internal")
    assert attempt.reason == "Ringback itself failed: RuntimeError"
    assert (callback.status, callback.status_reason) == ("failed", attempt.reason)
    assert "RuntimeError: a message" in caplog.text


async def test_a_callback_that_cant_be_rendered_ends_as_our_own_failure() -> None:
    store, transport = await a_store(a_callback(body="\ud800")), RecordingTransport()
    await Bench(store, transport).settle()
    (attempt,) = await attempts_in(store)
    assert (attempt.result, attempt.failure) == ("unreachable", "internal")
    assert transport.requests == []


async def test_one_attempt_that_breaks_leaves_the_others() -> None:
    store = await a_store(a_callback(sid=sid(1), body="\ud800"), a_callback(sid=sid(2)))
    await Bench(store, RecordingTransport()).settle(2)
    assert (await callback_in(store, sid(1))).status == "failed"
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_a_store_that_is_away_while_claiming_is_asked_again_every_second() -> None:
    store, transport = FailingStore(await a_store(a_callback())), RecordingTransport()
    store.failures_to_come = 3
    bench = Bench(store, transport)
    async with running(bench.dispatcher.run):
        for failure in (1, 2, 3):
            await store.steps.reach("failed", failure)
            await all_has_run()
            assert store.transactions == failure
            bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_a_store_that_is_away_while_settling_costs_no_second_request() -> None:
    store, transport = FailingStore(await a_store(a_callback())), RecordingTransport()
    bench = Bench(store, transport)

    def go_away(name: str) -> None:
        if name == "sent":
            store.failures_to_come = 3
        bench.steps(name)

    dispatcher = Dispatcher(store=store, transport=transport, clock=bench.clock, checkpoint=go_away)
    async with running(dispatcher.run):
        for failure in (1, 2, 3):
            await store.steps.reach("failed", failure)
            await all_has_run()
            bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1
    assert [attempt.result for attempt in await attempts_in(store)] == ["delivered"]


# ---- the end -------------------------------------------------------------------------------------


async def test_draining_waits_for_the_attempts_under_way() -> None:
    gate = asyncio.Event()
    store = await a_store(a_callback())
    bench = Bench(store, RecordingTransport(gate=gate))
    async with running(bench.dispatcher.run):
        await bench.steps.reach("claimed")
    draining = asyncio.create_task(bench.dispatcher.drain(within=10 * SECOND))
    await all_has_run()
    assert not draining.done()
    gate.set()
    await draining
    assert (await callback_in(store)).status == "delivered"


async def test_what_does_not_end_in_time_is_left_open_for_the_next_start() -> None:
    store = await a_store(a_callback())
    bench = Bench(store, RecordingTransport(gate=asyncio.Event()))
    async with running(bench.dispatcher.run):
        await bench.steps.reach("claimed")
        await all_has_run()
    await bench.dispatcher.drain(within=timedelta(0))
    assert [attempt.result for attempt in await attempts_in(store)] == ["open"]
    assert (await callback_in(store)).status is CallbackStatus.SCHEDULED
    assert await bench.dispatcher.recover() == 1


async def test_draining_with_nothing_under_way_returns_at_once() -> None:
    bench = Bench(await a_store(), RecordingTransport())
    async with asyncio.timeout(1):
        await bench.dispatcher.drain(within=timedelta(days=1))


async def test_a_callback_that_failed_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone: Outcome = Refused(410)
    await Bench(await a_store(a_callback()), RecordingTransport([Exchange(gone)])).settle()
    assert caplog.messages == [
        f"callback {CALLBACK_SID} failed:"
        " the receiver answered 410 Gone: the receiver wants no more"
    ]


async def test_the_log_does_not_name_credentials(caplog: pytest.LogCaptureFixture) -> None:
    async def break_down(request: OutgoingRequest) -> Exchange:
        raise RuntimeError

    store = await a_store(a_callback(url="http://user:made-up-password@a.example"))
    await Bench(store, FunctionTransport(break_down)).settle()
    assert "made-up-password" not in caplog.text
    (attempt,) = await attempts_in(store)
    assert "made-up-password" not in repr(attempt)
    assert ACCOUNT_SID not in caplog.text


T = TypeVar("T")


class SlowToTell:
    """A store whose transactions are durable some time before their callers hear of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.done = asyncio.Event()
        self.may_tell = asyncio.Event()

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        result = await self._store.transact(work)
        self.done.set()
        await self.may_tell.wait()
        return result


async def test_a_stop_in_the_middle_of_a_claim_still_sends_what_was_claimed() -> None:
    store = await a_store(a_callback())
    slow = SlowToTell(store)
    transport = RecordingTransport()
    dispatcher = Dispatcher(store=slow, transport=transport, clock=FakeClock())
    running = asyncio.create_task(dispatcher.run())
    await slow.done.wait()
    running.cancel()
    slow.may_tell.set()
    await asyncio.gather(running, return_exceptions=True)
    await dispatcher.drain(within=SECOND)
    assert len(transport.requests) == 1
    assert [attempt.result for attempt in await attempts_in(store)] == ["delivered"]


class SettlesNothing:
    """A store with a fault: what is not a claim is refused for good."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_broken = False

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        if self.is_broken:
            raise RuntimeError("no such column")
        return await self._store.transact(work)


async def test_an_attempt_that_cant_be_settled_is_told_in_the_log_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SettlesNothing(await a_store(a_callback()))

    async def send(request: OutgoingRequest) -> Exchange:
        store.is_broken = True
        return Exchange(Delivered(200))

    dispatcher = Dispatcher(store=store, transport=FunctionTransport(send), clock=FakeClock())
    async with running(dispatcher.run):
        await all_has_run()
    assert "an attempt stays open until the next start settles it" in caplog.text
    assert "no such column" in caplog.text
