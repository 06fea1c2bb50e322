"""The delivery: each request has an attempt row, written before it leaves, settled after."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from unittest import mock

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, discard
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.events.payload import parameters_of
from ringback.core.form_encoding import encode
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest, RequestTimings
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, RefusedOutcome
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery.counters import Histogram
from ringback.delivery.delivery_service import DeliveryLimits
from ringback.ports import LaneClaims, LaneQuota, SoleProcess, Store, Transaction
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import (
    ACCOUNT_SID,
    CALLBACK_SID,
    NOW,
    TOKENS,
    VAULT,
    FakeClock,
    RecordingTransport,
    SeededRandomness,
    a_callback,
    an_account,
    an_event,
)
from tests.unit.delivery.parts import (
    DELIVERED,
    HOST,
    NOT_CONNECTED,
    OTHER_ACCOUNT_SID,
    OTHER_HOST,
    REFUSED,
    Bench,
    FailingStore,
    FunctionTransport,
    GatedTransport,
    PausedStore,
    SteadyRandomness,
    Steps,
    a_store,
    add,
    all_has_run,
    attempts_in,
    callback_in,
    callbacks_to,
    claim_of,
    results_in,
    running,
    sid,
)

T = TypeVar("T")
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
A, B = "a.example", "b.example"

REFUSED_BY_GUARD = AttemptResult(
    NoAnswerOutcome(AttemptFailure.GUARD, "10.0.0.1 is not a public address")
)
LATE = AttemptResult(NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "no answer came"))
GONE = AttemptResult(RefusedOutcome(410))
STALE = AttemptResult(NoAnswerOutcome(AttemptFailure.STALE, "it was closed"))
SHORT = AttemptResult(NoAnswerOutcome(AttemptFailure.SHORTAGE, "Too many open files"))
NO_PORT = AttemptResult(
    NoAnswerOutcome(AttemptFailure.NO_LOCAL_PORT, "Cannot assign requested address")
)


def header(request: OutgoingRequest, name: str) -> str:
    return dict(request.headers)[name]


class SlowTransport(RecordingTransport):
    """Answers as a script says, and takes a given time for each attempt."""

    def __init__(self, clock: FakeClock, takes: timedelta, script: list[AttemptResult]) -> None:
        super().__init__(script)
        self._clock = clock
        self._takes = takes

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        exchange = await super().send(request, limits=limits, turn=turn, anew=anew, leaving=leaving)
        self._clock.advance(self._takes)
        return exchange


# ---- one attempt ---------------------------------------------------------------------------------


async def test_a_due_callback_is_sent_and_delivered() -> None:
    store, transport = await a_store(a_callback()), RecordingTransport()
    await Bench(store, transport).settle()
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert len(transport.requests) == 1
    assert (callback.status, callback.progress.attempt_count) == ("delivered", 1)
    assert callback.progress.due is None
    assert (attempt.number, attempt.result, attempt.status_code) == (1, "delivered", 200)


@pytest.mark.parametrize("is_new", [True, False], ids=["taken in", "claimed"])
async def test_the_attempt_is_in_the_file_before_the_request_leaves(
    tmp_path: Path, is_new: bool
) -> None:
    path = tmp_path / "ringback.db"
    store = SqliteStore.open(path, VAULT)
    rows = list[tuple[str, int]]()

    async def look_into_the_file(request: OutgoingRequest) -> AttemptResult:
        with closing(sqlite3.connect(path)) as other:
            rows.extend(
                other.execute(
                    "SELECT sid, attempt_count + 1 FROM waiting JOIN callbacks USING (id)"
                    " WHERE started_us IS NOT NULL UNION ALL"
                    " SELECT sid, 1 FROM sent_at_once JOIN callbacks USING (id)"
                )
            )
        return DELIVERED

    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    bench = Bench(store, FunctionTransport(look_into_the_file))
    await (bench.take(a_callback()) if is_new else add(store, a_callback()))
    await bench.settle()
    results = await results_in(store)
    await store.close()
    assert rows == [(CALLBACK_SID, 1)]
    assert results == ["delivered"]


async def test_the_steps_are_claim_send_settle_in_this_order() -> None:
    store, steps = await a_store(a_callback()), Steps()

    async def note(request: OutgoingRequest) -> AttemptResult:
        steps(f"sending, {(await results_in(store))[0]} in the store")
        return DELIVERED

    await Bench(store, FunctionTransport(note), steps=steps).settle()
    assert steps.passed == ["claimed", "sending, open in the store", "sent", "settled"]


async def test_the_row_stores_the_request_and_the_answer() -> None:
    store = await a_store(a_callback())
    timings = RequestTimings(total=12.5)
    answer = AttemptResult(
        RefusedOutcome(410), timings, local_address="192.0.2.1", proxy="http://proxy:3128"
    )
    await Bench(store, RecordingTransport([answer])).settle()
    (attempt,) = await attempts_in(store)
    assert (attempt.result, attempt.status_code, attempt.timings) == ("refused", 410, timings)
    assert (attempt.local_address, attempt.proxy) == ("192.0.2.1", "http://proxy:3128")
    assert attempt.request is not None
    assert attempt.request.body == a_callback().body


async def test_the_limits_in_the_url_reach_the_transport() -> None:
    store = await a_store(a_callback(url="http://a.example#ct=1000&rt=2000&tt=3000"))
    transport = RecordingTransport()
    await Bench(store, transport).settle()
    assert transport.limits == [Timeouts(connect=1.0, read=2.0, total=3.0)]


async def test_an_attempt_starts_when_its_request_leaves_and_not_when_it_was_claimed() -> None:
    clock = FakeClock()
    transport = SlowTransport(clock, 5 * SECOND, [])
    store = await a_store(*callbacks_to(HOST, [1, 2]))
    await Bench(store, transport, clock=clock, limits=DeliveryLimits(per_destination=1)).settle(2)
    started = [(await attempts_in(store, sid(number)))[0].date_started for number in (1, 2)]
    assert started == [NOW, NOW + 5 * SECOND]


# ---- due times -----------------------------------------------------------------------------------


async def test_a_callback_that_is_not_due_waits_for_its_instant() -> None:
    store, transport = await a_store(a_callback(due=NOW + SECOND)), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        bench.clock.advance(SECOND - MICROSECOND)
        await all_has_run()
        assert transport.requests == []
        bench.clock.advance(MICROSECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_a_later_callback_in_a_lane_is_sent_at_its_instant_too() -> None:
    store = await a_store(
        a_callback(sid=sid(1), url=HOST), a_callback(sid=sid(2), url=HOST, due=NOW + 30 * SECOND)
    )
    bench = Bench(store, RecordingTransport())
    async with running(bench.delivery.run):
        await bench.steps.reach("settled")
        await all_has_run()
        bench.clock.advance(30 * SECOND)
        await bench.steps.reach("settled", 2)
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_the_longest_due_callback_is_sent_first() -> None:
    store = await a_store(
        *(a_callback(sid=sid(n), url=f"{HOST}/{n}", due=NOW - n * SECOND) for n in (1, 3, 2))
    )
    transport = RecordingTransport()
    await Bench(store, transport, limits=DeliveryLimits(per_destination=1)).settle(3)
    assert [request.url.path for request in transport.requests] == ["/3", "/2", "/1"]


async def test_an_idle_loop_queries_the_store_once_a_minute() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport())
    seen = list[int]()
    async with running(bench.delivery.run):
        for seconds in (0, 59, 1, 59, 1):
            bench.clock.advance(seconds * SECOND)
            await all_has_run()
            seen.append(store.transactions)
    assert seen == [1, 1, 2, 2, 3]


async def test_a_callback_without_a_wake_up_is_found_within_a_minute() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        await add(store, a_callback())
        bench.clock.advance(60 * SECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_a_callback_that_arrives_during_a_claim_does_not_wait_for_the_sweep() -> None:
    later = a_callback(sid=sid(1), url=HOST, due=NOW + 3600 * SECOND)
    store = PausedStore(await a_store(a_callback(sid=sid(2), url=HOST, due=NOW + SECOND), later))
    bench = Bench(store, RecordingTransport())
    async with running(bench.delivery.run):
        await all_has_run()
        store.may_tell.clear()
        bench.clock.advance(SECOND)
        await all_has_run()
        # Now the claim is durable, but its result has not been returned yet.
        taking = asyncio.create_task(bench.take(*callbacks_to(HOST, [3])))
        await all_has_run()
        store.may_tell.set()
        await taking
        await bench.steps.reach("settled", 2)
    assert (await callback_in(store, sid(3))).status == "delivered"


# ---- a round -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fragment", "source", "endings", "status", "why"),
    [
        pytest.param("", Source.KORE, [REFUSED, DELIVERED], "delivered", None, id="5xx then 200"),
        pytest.param(
            "", Source.KORE, [REFUSED] * 2, "failed", "not tried again, since rc=1", id="5xx twice"
        ),
        pytest.param(
            "", Source.TWILIO, [REFUSED], "failed", "rp=ct", id="twilio does not repeat 5xx"
        ),
        pytest.param(
            "",
            Source.TWILIO,
            [NOT_CONNECTED, DELIVERED],
            "delivered",
            None,
            id="twilio repeats a failed connection",
        ),
        pytest.param("#rc=0", Source.KORE, [REFUSED], "failed", "since rc=0", id="no retries"),
        pytest.param("#rc=5", Source.KORE, [REFUSED] * 6, "failed", "since rc=5", id="five"),
        pytest.param(
            "#rc=3&rp=rt", Source.TWILIO, [LATE] * 4, "failed", "since rc=3", id="late answers"
        ),
        pytest.param(
            "#rc=3&rp=ct", Source.KORE, [REFUSED], "failed", "rp=ct", id="not with ct for kore"
        ),
        pytest.param(
            "#rc=5&rp=all", Source.KORE, [GONE], "failed", "wants no more", id="410 ends it"
        ),
        pytest.param(
            "#rc=5&rp=all",
            Source.TWILIO,
            [REFUSED_BY_GUARD],
            "failed",
            "10.0.0.1 is not a public address",
            id="the guard ends it",
        ),
    ],
)
async def test_a_round_continues_according_to_its_policy(
    fragment: str, source: Source, endings: list[AttemptResult], status: str, why: str | None
) -> None:
    store = await a_store(a_callback(url=f"http://a.example/{fragment}", source=source))
    transport = RecordingTransport(endings)
    await Bench(store, transport).settle(len(endings))
    callback = await callback_in(store)
    assert len(transport.requests) == len(endings)
    assert callback.status == status
    assert (why or "") in (callback.progress.status_reason or "")


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
    clock = FakeClock()
    transport = SlowTransport(clock, 2 * SECOND, [REFUSED])
    store = await a_store(a_callback(source=Source.KORE))
    await Bench(store, transport, clock=clock).settle(2)
    dates = [header(request, "Date") for request in transport.requests]
    assert dates == ["2024-07-03T14:40:58Z", "2024-07-03T14:41:00Z"]


async def test_a_retry_is_sent_with_the_current_secrets() -> None:
    store = await a_store(a_callback(source=Source.TWILIO))
    sent = list[OutgoingRequest]()

    async def rotate(request: OutgoingRequest) -> AttemptResult:
        sent.append(request)
        rotated = replace(an_account(auth_token="another token"), revision=1)
        await store.transact(lambda tx: tx.accounts.save(rotated))
        return NOT_CONNECTED

    await Bench(store, FunctionTransport(rotate)).settle(2)
    first, second = (header(request, "X-Twilio-Signature") for request in sent)
    assert first != second


async def test_the_attempts_of_a_round_have_different_turns() -> None:
    store = await a_store(a_callback(url="http://a.example#rc=5&e=one,two", source=Source.KORE))
    transport = RecordingTransport([REFUSED, REFUSED])
    await Bench(store, transport).settle(3)
    assert transport.turns == [0, 1, 2]


async def test_only_the_attempt_after_a_stale_connection_uses_a_fresh_one() -> None:
    store = await a_store(a_callback(url="http://a.example#rc=1", source=Source.KORE))
    transport = RecordingTransport([REFUSED, STALE])
    await Bench(store, transport).settle(3)
    assert transport.fresh == [False, False, True]
    assert await results_in(store) == ["refused", "unreachable", "delivered"]


async def test_a_round_ends_when_its_time_is_used_up() -> None:
    clock = FakeClock()
    transport = SlowTransport(clock, 3 * SECOND, [REFUSED] * 9)
    store = await a_store(a_callback(url="http://a.example#tt=5000&rc=5", source=Source.KORE))
    await Bench(store, transport, clock=clock).settle(2)
    assert len(transport.requests) == 2
    assert (await callback_in(store)).progress.status_reason == (
        "the receiver answered 503 Service Unavailable; no time left, since tt=5000 ms"
    )


async def test_a_retry_has_only_the_remaining_time_of_its_round() -> None:
    clock = FakeClock()
    transport = SlowTransport(clock, 4 * SECOND, [REFUSED])
    store = await a_store(a_callback(source=Source.KORE))
    await Bench(store, transport, clock=clock).settle(2)
    assert [limits.total for limits in transport.limits] == [15.0, 11.0]


async def test_a_round_begins_when_its_first_request_leaves_and_not_when_it_was_claimed() -> None:
    clock = FakeClock()
    first, second = callbacks_to(HOST, [1, 2])
    # The first callback takes ten seconds; then both attempts of the second take four each.
    transport = SlowTransport(clock, 10 * SECOND, [DELIVERED, REFUSED])
    store = await a_store(first, second)
    await Bench(store, transport, clock=clock, limits=DeliveryLimits(per_destination=1)).settle(3)
    assert [limits.total for limits in transport.limits] == [15.0, 15.0, 5.0]
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_waiting_for_a_turn_does_not_count_as_the_rounds_time() -> None:
    waited, took = 20 * SECOND, 4 * SECOND
    clock = FakeClock()
    late = AttemptResult(RefusedOutcome(503), waited=waited.total_seconds())
    transport = SlowTransport(clock, waited + took, [late, late])
    url = "http://a.example#rc=2&tt=10000"
    bench = Bench(await a_store(a_callback(url=url, source=Source.KORE)), transport, clock=clock)
    await bench.settle(3)
    assert [limits.total for limits in transport.limits] == [10, 6, 2]
    first, second, _ = await attempts_in(bench.store)
    assert first.date_started == NOW + waited, "when its own lookup began"
    assert second.date_started == NOW + waited + took + waited


async def test_a_retry_keeps_its_slot_and_is_stored_with_the_settlement() -> None:
    store, gate = FailingStore(await a_store()), asyncio.Event()
    endings, sent = iter([REFUSED, DELIVERED]), list[OutgoingRequest]()

    async def send(request: OutgoingRequest) -> AttemptResult:
        sent.append(request)
        if len(sent) == 2:
            await gate.wait()
        return next(endings)

    bench = Bench(store, FunctionTransport(send))
    await bench.take(a_callback(source=Source.KORE))
    await all_has_run()
    # One commit saves the callback, and one settles its attempt and opens the next.
    assert store.transactions == 2
    assert await results_in(store) == ["refused", "open"]
    assert bench.delivery.under_way == 1
    gate.set()
    await bench.steps.reach("settled", 2)
    assert await results_in(store) == ["refused", "delivered"]
    assert bench.delivery.under_way == 0


async def test_a_retry_comes_before_waiting_callbacks_for_its_destination() -> None:
    paths = list[str]()

    async def send(request: OutgoingRequest) -> AttemptResult:
        paths.append(request.url.path)
        await all_has_run()
        return REFUSED if paths == ["/1"] else DELIVERED

    store = await a_store(*(a_callback(sid=sid(n), url=f"{HOST}/{n}") for n in range(1, 5)))
    await Bench(store, FunctionTransport(send), limits=DeliveryLimits(per_destination=1)).settle(5)
    # The second attempt had left when the result of the first became durable.
    assert paths == ["/1", "/2", "/1", "/3", "/4"]


async def test_a_cut_over_between_two_attempts_keeps_source_and_token() -> None:
    clock = FakeClock(datetime(2024, 10, 15, 23, 59, 59, tzinfo=UTC))
    callback = compose(
        encode(parameters_of(an_event())),
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("http://a.example"),
        method=HttpMethod.POST,
        policy=NOTICE,
        random_bytes=SeededRandomness().bytes(CALLBACK_BYTES),
        now=clock.now(),
    )
    transport = SlowTransport(clock, 2 * SECOND, [NOT_CONNECTED])
    await Bench(await a_store(callback), transport, clock=clock).settle(2)
    first, second = transport.requests
    assert header(first, "User-Agent") == "TwilioProxy/1.1"
    assert first == second


# ---- a schedule ----------------------------------------------------------------------------------


async def rounds(bench: Bench, *, most: int) -> list[float]:
    """Run all rounds of a callback; return the seconds of waiting before each but the first."""
    waits = list[float]()
    async with running(bench.delivery.run):
        for number in range(1, most + 1):
            await bench.steps.reach("settled", number)
            due = (await callback_in(bench.store)).progress.due
            if due is None:
                break
            waits.append((due - bench.clock.now()).total_seconds())
            bench.clock.set(due)
    return waits


def one_attempt_a_round() -> CallbackRecord:
    return a_callback(url=f"{HOST}#rc=0", source=Source.KORE)


PERSISTENT_WAITS = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600]


@pytest.mark.parametrize(("byte", "factor"), [(0x00, 0.8), (0xFF, 1.2)], ids=["least", "most"])
async def test_persistent_makes_all_its_rounds_and_then_fails_with_the_reason(
    byte: int, factor: float
) -> None:
    store = await a_store(one_attempt_a_round())
    transport = RecordingTransport([REFUSED] * 99)
    bench = Bench(store, transport, schedule=PERSISTENT, random_source=SteadyRandomness(byte))
    assert await rounds(bench, most=99) == [factor * wait for wait in PERSISTENT_WAITS]
    callback = await callback_in(store)
    assert (callback.status, callback.progress.status_reason) == (
        "failed",
        (
            "the receiver answered 503 Service Unavailable; not tried again, since that"
            " was the last of 8 rounds of attempts"
        ),
    )
    assert await results_in(store) == ["refused"] * 8
    assert len(transport.requests) == 8


async def test_between_two_rounds_nothing_is_sent_and_no_slot_is_taken() -> None:
    store = await a_store(one_attempt_a_round())
    transport = RecordingTransport([REFUSED])
    bench = Bench(store, transport, schedule=PERSISTENT)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled")
        bench.clock.advance(4 * SECOND - MICROSECOND)
        await all_has_run()
        assert (len(transport.requests), bench.delivery.under_way) == (1, 0)
        bench.clock.advance(MICROSECOND)
        await bench.steps.reach("settled", 2)
    assert (await callback_in(store)).status == "delivered"


async def test_the_next_round_is_known_as_soon_as_it_is_durable() -> None:
    store = PausedStore(await a_store(one_attempt_a_round()))

    async def refuse_and_hold_the_store(request: OutgoingRequest) -> AttemptResult:
        store.may_begin.clear()
        return REFUSED

    bench = Bench(store, FunctionTransport(refuse_and_hold_the_store), schedule=PERSISTENT)
    async with running(bench.delivery.run):
        await bench.steps.reach("sent")
        await all_has_run()
        store.may_begin.set()
        await bench.steps.reach("settled")
        await all_has_run()
        bench.clock.advance(4 * SECOND)
        await bench.steps.reach("sent", 2)


@pytest.mark.parametrize("source", Source)
async def test_all_rounds_have_the_same_source_token_and_payload(source: Source) -> None:
    store = await a_store(a_callback(url=f"{HOST}#rc=0", source=source))
    transport = RecordingTransport([REFUSED] * 99)
    await rounds(Bench(store, transport, schedule=PERSISTENT), most=99)
    assert {request.body for request in transport.requests} == {a_callback().body.encode()}
    assert all(TOKENS[source] in dict(one.headers).values() for one in transport.requests)


async def test_each_round_has_all_its_retries_and_all_its_time() -> None:
    clock = FakeClock()
    transport = SlowTransport(clock, 4 * SECOND, [REFUSED] * 4)
    store = await a_store(a_callback(url=f"{HOST}#rc=1", source=Source.KORE))
    bench = Bench(store, transport, schedule=RetrySchedule.parse("5s"), clock=clock)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled", 2)
        clock.advance(4 * SECOND)
        await bench.steps.reach("settled", 4)
    assert [limits.total for limits in transport.limits] == [15.0, 11.0, 15.0, 11.0]
    assert transport.turns == [0, 1, 0, 1]
    assert (await callback_in(store)).status == "failed"


@pytest.mark.parametrize("servers", [FAITHFUL, PERSISTENT], ids=["faithful", "persistent"])
async def test_the_accounts_own_schedule_overrides_the_servers(servers: RetrySchedule) -> None:
    account = an_account(schedule=RetrySchedule.parse("100s,200s"))
    store = await a_store(one_attempt_a_round(), account=account)
    bench = Bench(store, RecordingTransport([REFUSED] * 99), schedule=servers)
    assert await rounds(bench, most=99) == [80.0, 160.0]


async def test_an_account_may_be_faithful_at_a_persistent_server() -> None:
    store = await a_store(one_attempt_a_round(), account=an_account(schedule=FAITHFUL))
    bench = Bench(store, RecordingTransport([REFUSED] * 99), schedule=PERSISTENT)
    assert await rounds(bench, most=99) == []
    assert (await callback_in(store)).progress.status_reason == (
        "the receiver answered 503 Service Unavailable; not tried again, since rc=0"
    )


@pytest.mark.parametrize(
    ("status", "asked", "wait"),
    [
        pytest.param(503, "120", 120.0, id="longer than the schedule"),
        pytest.param(429, "120", 120.0, id="429 as well"),
        pytest.param(503, "2", 4.0, id="shorter"),
        pytest.param(503, "864000", 36000.0, id="longer than ten hours"),
        pytest.param(503, "Wed, 03 Jul 2024 14:50:58 GMT", 600.0, id="a date"),
        pytest.param(503, "soon", 4.0, id="nonsense"),
    ],
)
async def test_the_next_round_waits_as_long_as_the_receiver_asks(
    status: int, asked: str, wait: float
) -> None:
    store = await a_store(one_attempt_a_round())
    transport = RecordingTransport([AttemptResult(RefusedOutcome(status, retry_after=asked))])
    assert await rounds(Bench(store, transport, schedule=PERSISTENT), most=2) == [wait]


async def test_a_test_event_has_no_further_rounds() -> None:
    account = an_account(schedule=PERSISTENT)
    store = await a_store(one_attempt_a_round()._replace(is_test=True), account=account)
    bench = Bench(store, RecordingTransport([REFUSED] * 99), schedule=PERSISTENT)
    assert await rounds(bench, most=9) == []
    assert (await callback_in(store)).status == "failed"


@pytest.mark.parametrize("ending", [GONE, REFUSED_BY_GUARD], ids=["410", "the guard"])
async def test_a_final_result_ends_the_schedule(ending: AttemptResult) -> None:
    store, transport = await a_store(one_attempt_a_round()), RecordingTransport([ending])
    assert await rounds(Bench(store, transport, schedule=PERSISTENT), most=9) == []
    assert (await callback_in(store)).status == "failed"


async def test_a_restart_continues_the_schedule() -> None:
    store = await a_store(one_attempt_a_round())
    transport = RecordingTransport([REFUSED] * 99)
    first = Bench(store, transport, schedule=PERSISTENT)
    assert await rounds(first, most=3) == [4.0, 240.0, 1440.0]
    second = Bench(store, transport, schedule=PERSISTENT, clock=first.clock)
    await second.delivery.recover()
    assert await rounds(second, most=1) == [5760.0]


# ---- many at once --------------------------------------------------------------------------------


async def test_the_number_of_requests_to_one_destination_is_limited() -> None:
    transport = GatedTransport()
    store = await a_store(*callbacks_to(HOST, range(10)))
    bench = Bench(store, transport, limits=DeliveryLimits(per_destination=3))
    async with running(bench.delivery.run):
        await all_has_run()
        assert transport.under_way == {A: 3}
        transport.open(A)
        await bench.steps.reach("settled", 10)
    assert transport.most == {A: 3}


async def test_no_more_requests_are_in_flight_than_there_are_slots() -> None:
    transport = GatedTransport()
    hosts = [f"http://host-{number}.example" for number in range(20)]
    store = await a_store(*(a_callback(sid=sid(n), url=host) for n, host in enumerate(hosts)))
    bench = Bench(store, transport, limits=DeliveryLimits(at_once=10))
    async with running(bench.delivery.run):
        await all_has_run()
        # One account takes at most half of the slots, however many callbacks wait.
        assert bench.delivery.under_way == 5
        assert len(await store.transact(lambda tx: tx.callbacks.left_open())) == 5
        for number in range(20):
            transport.open(f"host-{number}.example")
        await bench.steps.reach("settled", 20)
    assert bench.delivery.under_way == 0


NOT_FOUND = AttemptResult(RefusedOutcome(404))


@pytest.mark.parametrize(
    ("ending", "room"),
    [
        pytest.param(DELIVERED, 17, id="200"),
        pytest.param(NOT_FOUND, 17, id="404"),
        pytest.param(AttemptResult(RefusedOutcome(500)), 17, id="500"),
        pytest.param(AttemptResult(RefusedOutcome(429)), 8, id="429"),
        pytest.param(AttemptResult(RefusedOutcome(503)), 8, id="503"),
        pytest.param(NOT_CONNECTED, 8, id="no connection"),
        pytest.param(LATE, 8, id="no answer"),
    ],
)
async def test_a_destination_gets_more_slots_with_each_answer_and_half_after_a_failure(
    ending: AttemptResult, room: int
) -> None:
    endings = [ending]

    async def end_once_and_then_hang(request: OutgoingRequest) -> AttemptResult:
        if not endings:
            await asyncio.Event().wait()
        return endings.pop()

    bench = Bench(await a_store(), FunctionTransport(end_once_and_then_hang))
    await bench.take(a_callback(url=f"{HOST}#rc=0"))
    await bench.steps.reach("settled")
    await bench.take(*callbacks_to(HOST, range(100)))
    assert bench.delivery.under_way == room


async def test_a_slow_receiver_delays_no_other() -> None:
    transport = GatedTransport()
    transport.open(B)
    store = await a_store(
        *callbacks_to(HOST, range(100)), *callbacks_to(OTHER_HOST, range(100, 120))
    )
    bench = Bench(store, transport, limits=DeliveryLimits(at_once=64, per_destination=2))
    async with running(bench.delivery.run):
        await bench.steps.reach("settled", 20)
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {ACCOUNT_SID: 100}
    assert transport.under_way[A] == 2


async def test_an_account_whose_receivers_all_hang_delays_no_other_account() -> None:
    transport = GatedTransport()
    hosts = [f"http://hanging-{number}.example" for number in range(30)]
    store = await a_store(*(a_callback(sid=sid(n), url=host) for n, host in enumerate(hosts)))
    await store.transact(lambda tx: tx.accounts.add(an_account(sid=OTHER_ACCOUNT_SID), []))
    bench = Bench(store, transport, limits=DeliveryLimits(at_once=12))
    async with running(bench.delivery.run):
        await all_has_run()
        assert bench.delivery.under_way == 6
        transport.open(B)
        theirs = [
            a_callback(sid=sid(number), url=OTHER_HOST, account_sid=OTHER_ACCOUNT_SID)
            for number in range(100, 120)
        ]
        await bench.take(*theirs)
        await bench.steps.reach("settled", 20)
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {ACCOUNT_SID: 30}


# ---- attempts left open by a dead process --------------------------------------------------------


async def test_an_attempt_left_open_by_a_dead_process_is_unknown_and_due_again() -> None:
    store = await a_store(a_callback())
    await claim_of(store, a_callback())
    clock = FakeClock(NOW + 60 * SECOND)
    assert await Bench(store, RecordingTransport(), clock=clock).delivery.recover() == 1
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert (attempt.result, attempt.error_code) == ("unknown", 11200)
    assert (callback.status, callback.progress.due) == ("scheduled", NOW + 60 * SECOND)


@pytest.mark.parametrize("source", Source)
async def test_an_attempt_left_open_by_a_dead_process_is_sent_again_with_the_same_token(
    source: Source,
) -> None:
    callback = a_callback(source=source)
    store, transport = await a_store(callback), RecordingTransport()
    await claim_of(store, callback)
    bench = Bench(store, transport)
    await bench.delivery.recover()
    await bench.settle()
    (request,) = transport.requests
    assert TOKENS[source] in dict(request.headers).values()
    assert await results_in(store) == ["unknown", "delivered"]


async def test_after_a_crash_the_round_begins_anew() -> None:
    store = await a_store(a_callback(source=Source.KORE))
    await claim_of(store, a_callback())
    transport = RecordingTransport([REFUSED, REFUSED])
    bench = Bench(store, transport, clock=FakeClock(NOW + 3600 * SECOND))
    await bench.delivery.recover()
    await bench.settle(2)
    assert [limits.total for limits in transport.limits] == [15.0, 15.0]
    assert (await callback_in(store)).progress.attempt_count == 3


async def test_a_crash_in_the_middle_of_a_round_costs_no_round_of_the_schedule() -> None:
    store = await a_store(one_attempt_a_round())
    await claim_of(store, a_callback(url=HOST))
    bench = Bench(store, RecordingTransport([REFUSED] * 99), schedule=PERSISTENT)
    await bench.delivery.recover()
    assert await rounds(bench, most=99) == [0.8 * wait for wait in PERSISTENT_WAITS]


class ClaimCounts:
    """A store that notes the number of callbacks in each claim."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.claims = list[int]()

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        def counted(tx: Transaction) -> T:
            claim, counts = tx.callbacks.claim, list[int]()

            def counting(quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
                claimed = claim(quotas, now)
                counts.append(sum(len(claims) for claims, _ in claimed))
                return claimed

            with mock.patch.object(tx.callbacks, "claim", counting):
                result = work(tx)
            self.claims += [sum(counts)] if counts else []
            return result

        return await self._store.transact(counted)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self._store.read(work, asked_by=asked_by)


@pytest.mark.parametrize(
    ("accounts", "claims"),
    [
        pytest.param([ACCOUNT_SID, ACCOUNT_SID], [96], id="alone"),
        pytest.param([ACCOUNT_SID, OTHER_ACCOUNT_SID], [32, 32, 32], id="beside another"),
    ],
)
async def test_claims_are_smaller_while_another_account_may_wait(
    accounts: list[str], claims: list[int]
) -> None:
    waiting = [
        a_callback(sid=sid(number), url=f"https://{number % 8}.example/") for number in range(96)
    ]
    store = await a_store(*waiting)
    await store.transact(lambda tx: tx.accounts.add(an_account(sid=OTHER_ACCOUNT_SID), []))
    counts = ClaimCounts(store)
    bench = Bench(counts, GatedTransport())
    for number, account in enumerate(accounts, start=100):
        await bench.take(a_callback(sid=sid(number), url=OTHER_HOST, account_sid=account))
    async with running(bench.delivery.run):
        await all_has_run()
    assert [count for count in counts.claims if count] == claims


async def test_many_lanes_are_loaded_in_parts_so_that_others_have_their_turn(
    tmp_path: Path,
) -> None:
    sqlite = SqliteStore.open(tmp_path / "ringback.db", VAULT)
    await sqlite.transact(lambda tx: tx.accounts.add(an_account(), []))
    waiting = [
        a_callback(sid=f"CB{number:032x}", url=f"https://h{number}.example/")
        for number in range(600)
    ]
    await sqlite.transact(lambda tx: [tx.callbacks.add(one) for one in waiting])
    store, transport = FailingStore(sqlite), RecordingTransport()
    bench = Bench(store, transport)
    await bench.delivery.recover()
    # One transaction each for destinations, open attempts and the count, and three for the lanes.
    assert store.transactions == 7
    await bench.settle(600)
    assert len(transport.requests) == 600
    await sqlite.close()


async def test_without_open_attempts_there_is_nothing_to_recover() -> None:
    store = await a_store(a_callback())
    bench = Bench(store, RecordingTransport())
    assert await bench.delivery.recover() == 0
    assert await callback_in(store) == a_callback()
    assert bench.delivery.unfinished == 1


async def test_a_callback_discarded_during_recovery_counts_as_ended() -> None:
    inner = await a_store(a_callback())
    store = PausedStore(inner)
    bench = Bench(store, RecordingTransport())
    store.may_tell.clear()
    recovering = asyncio.create_task(bench.delivery.recover())
    await all_has_run()
    store.may_begin.clear()
    store.may_tell.set()
    await all_has_run()
    store.may_tell.clear()
    store.may_begin.set()
    await all_has_run()
    # Open attempts are settled and callbacks counted, but the count is not returned yet.
    assert store.transactions == 2
    discarded = discard(a_callback().progress, "no use", NOW)
    await inner.transact(lambda tx: bench.delivery.queue.change(tx, a_callback(), discarded))
    store.may_tell.set()
    await recovering
    assert bench.delivery.unfinished == 0


# ---- errors --------------------------------------------------------------------------------------


async def test_an_error_raised_by_the_transport_ends_the_attempt_as_our_own_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def break_down(request: OutgoingRequest) -> AttemptResult:
        raise RuntimeError("a message with a secret in it")

    store = await a_store(a_callback(url="http://a.example#rc=5&rp=all"))
    await Bench(store, FunctionTransport(break_down)).settle()
    callback, (attempt,) = await callback_in(store), await attempts_in(store)
    assert (attempt.result, attempt.failure) == ("unreachable", "internal")
    assert attempt.reason == "Ringback failed with an internal error: RuntimeError"
    assert (callback.status, callback.progress.status_reason) == (
        "failed",
        (
            "Ringback failed with an internal error: RuntimeError; not tried"
            " again at once, since the receiver did not cause the failure"
        ),
    )
    assert "RuntimeError: a message" in caplog.text


async def test_our_own_failure_is_retried_according_to_the_schedule() -> None:
    store = await a_store(a_callback(body="\ud800", url=f"{HOST}#rc=5&rp=all"))
    bench = Bench(store, RecordingTransport(), schedule=PERSISTENT)
    assert await rounds(bench, most=1) == [4.0]


async def test_a_callback_that_cannot_be_rendered_ends_as_our_own_failure() -> None:
    store, transport = await a_store(a_callback(body="\ud800")), RecordingTransport()
    await Bench(store, transport).settle()
    (attempt,) = await attempts_in(store)
    assert (attempt.result, attempt.failure) == ("unreachable", "internal")
    assert attempt.request is None
    assert transport.requests == []


async def test_a_failing_attempt_does_not_affect_the_others() -> None:
    store = await a_store(a_callback(sid=sid(1), body="\ud800"), a_callback(sid=sid(2)))
    await Bench(store, RecordingTransport()).settle(2)
    assert (await callback_in(store, sid(1))).status == "failed"
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_a_store_that_is_unavailable_for_a_claim_is_tried_again_every_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport = FailingStore(await a_store(a_callback())), RecordingTransport()
    bench = Bench(store, transport)
    await bench.delivery.recover()
    before = store.transactions
    store.failures_to_come = 3
    async with running(bench.delivery.run):
        for failure in (1, 2, 3):
            await store.steps.reach("failed", failure)
            await all_has_run()
            assert store.transactions == before + failure
            bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1
    # Only the outage monitor logs that the database is unavailable, and only once.
    assert caplog.messages == []


async def test_a_store_that_is_unavailable_for_settling_causes_no_second_request() -> None:
    store = FailingStore(await a_store(a_callback()))
    sent = list[OutgoingRequest]()

    async def send_and_lose_the_store(request: OutgoingRequest) -> AttemptResult:
        sent.append(request)
        store.failures_to_come = 3
        return DELIVERED

    bench = Bench(store, FunctionTransport(send_and_lose_the_store))
    async with running(bench.delivery.run):
        for failure in (1, 2, 3):
            await store.steps.reach("failed", failure)
            await all_has_run()
            bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert len(sent) == 1
    assert await results_in(store) == ["delivered"]


async def test_a_store_that_is_unavailable_for_the_sweep_is_tried_again() -> None:
    store = FailingStore(await a_store(a_callback()))
    store.failures_to_come = 1
    bench = Bench(store, RecordingTransport())
    async with running(bench.delivery.run):
        await all_has_run()
        bench.clock.advance(SECOND)
        await bench.steps.reach("settled")
    assert (await callback_in(store)).status == "delivered"


class SettlesNothing:
    """A faulty store: from some moment on it refuses everything, without an outage."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_broken = False

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        if self.is_broken:
            raise RuntimeError("no such column")
        return await self._store.transact(work)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


async def test_an_attempt_that_cannot_be_settled_is_logged_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SettlesNothing(await a_store(a_callback()))

    async def send(request: OutgoingRequest) -> AttemptResult:
        store.is_broken = True
        return DELIVERED

    bench = Bench(store, FunctionTransport(send))
    async with running(bench.delivery.run):
        await all_has_run()
    assert "the next start of the server settles the attempt" in caplog.text
    assert "no such column" in caplog.text


async def test_an_error_in_the_store_ends_the_loop_visibly() -> None:
    store = SettlesNothing(await a_store())
    store.is_broken = True
    bench = Bench(store, RecordingTransport())
    with pytest.raises(RuntimeError, match="no such column"):
        await bench.delivery.run()


# ---- logs and counters ---------------------------------------------------------------------------


async def test_a_failed_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await Bench(await a_store(a_callback()), RecordingTransport([GONE])).settle()
    assert caplog.messages == [
        (
            f"callback {CALLBACK_SID} failed: the receiver answered 410 Gone: the receiver"
            " wants no more requests"
        )
    ]


async def test_the_log_does_not_show_credentials(caplog: pytest.LogCaptureFixture) -> None:
    async def break_down(request: OutgoingRequest) -> AttemptResult:
        raise RuntimeError

    store = await a_store(a_callback(url="http://user:made-up-password@a.example"))
    await Bench(store, FunctionTransport(break_down)).settle()
    assert "made-up-password" not in caplog.text
    (attempt,) = await attempts_in(store)
    assert "made-up-password" not in repr(attempt)
    assert ACCOUNT_SID not in caplog.text


async def test_attempts_and_endings_are_counted() -> None:
    store = await a_store(
        *(a_callback(sid=sid(number), url=f"{HOST}#rc=1", source=Source.KORE) for number in (1, 2))
    )
    timed = AttemptResult(RefusedOutcome(503), RequestTimings(total=20.0))
    transport = RecordingTransport([timed, timed, NOT_CONNECTED, DELIVERED])
    bench = Bench(store, transport, limits=DeliveryLimits(per_destination=1))
    await bench.settle(4)
    assert dict(bench.counters.attempts) == {
        ("kore", "refused", ""): 2,
        ("kore", "unreachable", "connect"): 1,
        ("kore", "delivered", ""): 1,
    }
    endings = {key: count for key, count in bench.counters.endings.items() if count}
    assert endings == {("kore", "failed"): 1, ("kore", "delivered"): 1}
    assert bench.counters.attempt_seconds[Source.KORE].total == pytest.approx(0.04)


async def test_the_first_attempt_and_the_delivery_are_timed_from_the_acceptance() -> None:
    clock = FakeClock(NOW + 3 * SECOND)
    transport = SlowTransport(clock, 2 * SECOND, [REFUSED])
    bench = Bench(await a_store(a_callback(source=Source.KORE)), transport, clock=clock)
    await bench.settle(2)

    def sum_and_count(histogram: Histogram) -> tuple[float, int]:
        return histogram.total, sum(histogram.counts)

    assert sum_and_count(bench.counters.first_attempt_seconds) == (3.0, 1)
    assert sum_and_count(bench.counters.delivery_seconds[Source.KORE]) == (7.0, 1)


# ---- shortages of this machine ------------------------------------------------------------------


@pytest.mark.parametrize("short", [SHORT, NO_PORT], ids=["anything", "ports"])
async def test_a_callback_that_could_not_leave_is_requeued_without_an_attempt(
    short: AttemptResult, caplog: pytest.LogCaptureFixture
) -> None:
    store = await a_store(a_callback(url="http://a.example#rc=0"))
    bench = Bench(store, RecordingTransport([short, short]))
    async with running(bench.delivery.run):
        await all_has_run()
        first = (await callback_in(store)).progress
        assert first == DeliveryProgress(NOW, due=NOW + timedelta(seconds=0.25))
        assert await results_in(store) == []
        bench.clock.advance(timedelta(seconds=0.25))
        await all_has_run()
        second = (await callback_in(store)).progress
        assert second.due == NOW + timedelta(seconds=0.75), "each wait is twice as long as the last"
        bench.clock.advance(timedelta(seconds=0.5))
        await bench.steps.reach("settled")
        await all_has_run()
    assert await results_in(store) == ["delivered"]
    assert bench.delivery.under_way == 0
    assert len(caplog.messages) == 1, "one line for each outage"
    assert dict(bench.counters.attempts) == {("kore", "delivered", ""): 1}


async def test_a_retry_that_could_not_leave_keeps_its_place_in_its_round() -> None:
    store = await a_store(a_callback(url="http://a.example#rc=1", source=Source.KORE))
    bench = Bench(store, RecordingTransport([REFUSED, SHORT, REFUSED]))
    async with running(bench.delivery.run):
        await all_has_run()
        progress = (await callback_in(store)).progress
        assert (progress.attempt_count, progress.round_attempts) == (1, 1)
        bench.clock.advance(SECOND)
        await bench.steps.reach("settled", 2)
        await all_has_run()
    assert await results_in(store) == ["refused", "refused"]
    assert (await callback_in(store)).status == "failed"


async def test_during_a_shortage_of_ports_for_one_destination_others_continue() -> None:
    store, sent = await a_store(), list[str]()

    async def send(request: OutgoingRequest) -> AttemptResult:
        sent.append(request.url.host)
        return NO_PORT if request.url.host == A else DELIVERED

    bench = Bench(store, FunctionTransport(send))
    async with running(bench.delivery.run):
        await bench.take(*callbacks_to(HOST, [1]))
        await all_has_run()
        await bench.take(*callbacks_to(HOST, [2]), *callbacks_to(OTHER_HOST, [3]))
        await all_has_run()
    assert sent == [A, B]
    assert (await callback_in(store, sid(2))).progress == DeliveryProgress(NOW, due=NOW)


async def test_during_a_shortage_of_descriptors_nothing_is_claimed_until_the_pause_ends() -> None:
    store, sent = await a_store(), list[str]()

    async def send(request: OutgoingRequest) -> AttemptResult:
        sent.append(request.url.host)
        return SHORT if len(sent) == 1 else DELIVERED

    bench = Bench(store, FunctionTransport(send))
    async with running(bench.delivery.run):
        await bench.take(*callbacks_to(HOST, [1]))
        await all_has_run()
        await bench.take(*callbacks_to(OTHER_HOST, range(2, 50)))
        await all_has_run()
        assert sent == [A]
        bench.clock.advance(timedelta(seconds=0.25))
        await bench.steps.reach("settled", 49)
    assert len(sent) == 50


class UncertainProcess(SoleProcess):
    """A process that may begin requests only while it knows that its session lasts."""

    is_certain = False

    def may_send(self, destination: str, lease: int) -> bool:
        return self.is_certain


async def test_while_a_process_may_not_send_it_claims_seldom_and_no_attempt_is_lost() -> None:
    store, process = await a_store(*callbacks_to(HOST, range(20))), UncertainProcess()
    bench = Bench(store, transport := RecordingTransport(), cluster=process)
    async with running(bench.delivery.run):
        for _ in range(60):
            await all_has_run()
            bench.clock.advance(timedelta(seconds=0.1))
        await all_has_run()
        claimed = bench.steps.passed.count("claimed")
        assert (transport.requests, await results_in(store, sid(1))) == ([], [])
        process.is_certain = True
        bench.clock.advance(2 * SECOND)
        await bench.steps.reach("claimed", claimed + 20)
        await all_has_run()
    # After 0, 0.25, 0.75, 1.75 and 3.75 s: a pause of the destination is twice as long as the last.
    assert claimed == 5 * 20
    assert len(transport.requests) == 20
    assert await results_in(store, sid(1)) == ["delivered"]


async def test_a_crash_after_a_shortage_finds_no_open_attempt() -> None:
    store = await a_store(a_callback())
    bench = Bench(store, RecordingTransport([SHORT]))
    async with running(bench.delivery.run):
        await all_has_run()
    second = Bench(store, RecordingTransport())
    assert await second.delivery.recover() == 0


# ---- stopping ------------------------------------------------------------------------------------


async def test_a_stop_waits_for_attempts_in_progress() -> None:
    transport, store = GatedTransport(), await a_store(*callbacks_to(HOST, [1]))
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await bench.steps.reach("claimed")
        stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
        await all_has_run()
        assert not stopping.done()
        transport.open(A)
        await stopping
    assert (await callback_in(store, sid(1))).status == "delivered"


async def test_a_stop_ends_the_loop_without_an_error() -> None:
    bench = Bench(await a_store(), RecordingTransport())
    loop = asyncio.create_task(bench.delivery.run())
    await all_has_run()
    await bench.delivery.stop(within=10 * SECOND)
    assert loop.done()
    await loop


async def test_a_stop_without_attempts_in_progress_returns_at_once() -> None:
    bench = Bench(await a_store(), RecordingTransport())
    stopping = asyncio.create_task(bench.delivery.stop(within=timedelta(days=1)))
    await all_has_run()
    assert stopping.done()


async def test_after_a_stop_nothing_more_is_claimed() -> None:
    store, transport = await a_store(a_callback(due=NOW + SECOND)), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        await bench.delivery.stop(within=SECOND)
        bench.clock.advance(3600 * SECOND)
        await all_has_run()
    assert transport.requests == []
    assert await callback_in(store) == a_callback(due=NOW + SECOND)


async def test_unsent_callbacks_are_requeued_at_a_stop_as_if_never_claimed() -> None:
    transport, store = GatedTransport(), await a_store()
    bench = Bench(store, transport, limits=DeliveryLimits(per_destination=1))
    await bench.take(*callbacks_to(HOST, [1, 2, 3]))
    await bench.steps.reach("claimed")
    bench.clock.advance(SECOND)
    stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
    await all_has_run()
    transport.open(A)
    await stopping
    assert (await callback_in(store, sid(1))).status == "delivered"
    for number in (2, 3):
        progress = (await callback_in(store, sid(number))).progress
        assert (progress.status, progress.due) == ("scheduled", NOW + SECOND)
        assert (progress.attempt_count, progress.round_attempts) == (0, 0)
        assert progress.round_began is None
        assert await results_in(store, sid(number)) == []
    assert len(transport.requests) == 1


async def test_requeued_callbacks_are_sent_by_the_next_start() -> None:
    transport, store = GatedTransport(), await a_store()
    first = Bench(store, transport, limits=DeliveryLimits(per_destination=1))
    await first.take(*callbacks_to(HOST, [1, 2]))
    await first.steps.reach("claimed")
    transport.open(A)
    await first.delivery.stop(within=10 * SECOND)
    second = Bench(store, transport)
    assert await second.delivery.recover() == 0
    await second.settle()
    assert [await results_in(store, sid(number)) for number in (1, 2)] == [["delivered"]] * 2
    assert len(transport.requests) == 2


async def test_a_round_interrupted_by_a_stop_continues_at_the_next_start() -> None:
    gate, store = asyncio.Event(), await a_store(a_callback(source=Source.KORE))
    transport = RecordingTransport([REFUSED], gate=gate)
    first = Bench(store, transport)
    async with running(first.delivery.run):
        await first.steps.reach("claimed")
        stopping = asyncio.create_task(first.delivery.stop(within=10 * SECOND))
        await all_has_run()
        gate.set()
        await stopping
    progress = (await callback_in(store)).progress
    assert (progress.due, progress.attempt_count, progress.round_attempts) == (NOW, 1, 1)
    second = Bench(store, transport)
    assert await second.delivery.recover() == 0
    await second.settle()
    assert await results_in(store) == ["refused", "delivered"]
    assert transport.turns == [0, 1]


async def test_an_unsent_retry_is_requeued_at_a_stop() -> None:
    store = PausedStore(await a_store(a_callback(source=Source.KORE)))

    async def refuse(request: OutgoingRequest) -> AttemptResult:
        store.may_tell.clear()
        return REFUSED

    bench = Bench(store, FunctionTransport(refuse))
    async with running(bench.delivery.run):
        await bench.steps.reach("sent")
        await all_has_run()
        # The first attempt's result and the second attempt's row are durable by now.
        stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
        await all_has_run()
        store.may_tell.set()
        await stopping
    progress = (await callback_in(store)).progress
    assert (progress.due, progress.attempt_count, progress.round_attempts) == (NOW, 1, 1)
    assert progress.round_began == NOW
    assert await results_in(store) == ["refused"]


async def test_a_round_interrupted_by_a_stop_opens_no_attempt_that_could_stay_open() -> None:
    memory, gate = await a_store(a_callback(source=Source.KORE)), asyncio.Event()
    store = FailingStore(memory)

    class ThenGoAway(Steps):
        def __call__(self, name: str) -> None:
            super().__call__(name)
            if name == "settled":
                store.go_away()

    transport = RecordingTransport([REFUSED], gate=gate)
    bench = Bench(store, transport, steps=ThenGoAway())
    async with running(bench.delivery.run):
        await bench.steps.reach("claimed")
        stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
        await all_has_run()
        gate.set()
        await stopping
    assert await results_in(memory) == ["refused"]


async def test_a_stop_waits_until_received_answers_are_durable() -> None:
    store = FailingStore(await a_store())
    transport = GatedTransport()
    bench = Bench(store, transport)
    await bench.take(*callbacks_to(HOST, [1]))
    await bench.steps.reach("claimed")
    stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
    store.failures_to_come = 1
    transport.open(A)
    await store.steps.reach("failed")
    await all_has_run()
    assert not stopping.done()
    bench.clock.advance(SECOND)
    await stopping
    assert await results_in(store, sid(1)) == ["delivered"]


async def test_attempts_answered_in_time_are_settled_and_others_stay_open() -> None:
    transport, store = GatedTransport(), await a_store()
    bench = Bench(store, transport)
    await bench.take(*callbacks_to(HOST, [1]), *callbacks_to(OTHER_HOST, [2]))
    await bench.steps.reach("claimed", 2)
    transport.open(B)
    await bench.steps.reach("settled")
    await bench.delivery.stop(within=timedelta(0))
    assert await results_in(store, sid(1)) == ["open"]
    assert await results_in(store, sid(2)) == ["delivered"]


async def test_an_attempt_left_open_at_a_stop_is_unknown_to_the_next_start() -> None:
    transport, store = GatedTransport(), await a_store()
    first = Bench(store, transport)
    await first.take(*callbacks_to(HOST, [1]))
    await first.steps.reach("claimed")
    await all_has_run()
    await first.delivery.stop(within=timedelta(0))
    transport.open(A)
    second = Bench(store, transport)
    assert await second.delivery.recover() == 1
    await second.settle()
    assert await results_in(store, sid(1)) == ["unknown", "delivered"]
    assert len(transport.requests) == 2


@pytest.mark.parametrize("within", [10 * SECOND, timedelta(0)], ids=["in time", "too late"])
async def test_a_stop_in_the_middle_of_a_claim_requeues_the_claimed_callbacks(
    within: timedelta,
) -> None:
    store = PausedStore(await a_store(a_callback(due=NOW + SECOND)))
    transport = RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        store.may_tell.clear()
        bench.clock.advance(SECOND)
        await all_has_run()
        stopping = asyncio.create_task(bench.delivery.stop(within=within))
        await all_has_run()
        assert not stopping.done()
        store.may_tell.set()
        await stopping
    progress = (await callback_in(store)).progress
    assert (progress.due, progress.attempt_count) == (NOW + SECOND, 0)
    assert await results_in(store) == []
    assert transport.requests == []


async def test_callbacks_accepted_at_the_moment_of_a_stop_are_requeued(tmp_path: Path) -> None:
    store, transport = SqliteStore.open(tmp_path / "ringback.db", VAULT), RecordingTransport()
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    bench = Bench(store, transport)
    is_stopping = threading.Event()

    def take_it_and_wait_for_the_stop(tx: Transaction) -> None:
        bench.delivery.queue.take(tx, a_callback())
        loop.call_soon_threadsafe(bench.steps, "taken")
        assert is_stopping.wait(10)

    loop = asyncio.get_running_loop()
    taking = asyncio.ensure_future(store.transact(take_it_and_wait_for_the_stop))
    await bench.steps.reach("taken")
    stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
    await all_has_run()
    is_stopping.set()
    await asyncio.gather(taking, stopping)
    progress, results = (await callback_in(store)).progress, await results_in(store)
    await store.close()
    assert (progress.due, progress.attempt_count) == (NOW, 0)
    assert (transport.requests, results) == ([], [])


async def test_a_store_unavailable_at_the_stop_is_reported_and_everything_left_to_the_next_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = await a_store()
    store, transport = FailingStore(memory), GatedTransport()
    bench = Bench(store, transport, limits=DeliveryLimits(per_destination=1))
    await bench.take(*callbacks_to(HOST, [1, 2]))
    await bench.steps.reach("claimed")
    store.go_away()
    await bench.delivery.stop(within=timedelta(0))
    assert caplog.messages == [
        "the database can't be used just now: disk I/O error;"
        " the next start of the server settles the open attempts"
    ]
    second = Bench(memory, RecordingTransport())
    assert await second.delivery.recover() == 2
    await second.settle(2)
    assert [await results_in(memory, sid(number)) for number in (1, 2)] == [
        ["unknown", "delivered"],
        ["unknown", "delivered"],
    ]


async def test_a_loop_that_waits_for_a_store_does_not_delay_a_stop_beyond_its_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore(await a_store(a_callback()))
    store.go_away()
    bench = Bench(store, RecordingTransport())
    async with running(bench.delivery.run):
        await store.steps.reach("failed")
        await bench.delivery.stop(within=timedelta(0))
    assert "the next start of the server settles the open attempts" in caplog.text


async def test_a_settlement_that_waits_for_a_store_does_not_delay_a_stop_beyond_its_time() -> None:
    store = FailingStore(await a_store())

    async def send(request: OutgoingRequest) -> AttemptResult:
        store.go_away()
        return DELIVERED

    bench = Bench(store, FunctionTransport(send))
    await bench.take(a_callback())
    await store.steps.reach("failed")
    await bench.delivery.stop(within=timedelta(0))
    store.failures_to_come = 0
    assert await results_in(store) == ["open"]
