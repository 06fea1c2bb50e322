"""The delivery to destinations that fail, ask to wait, are paused, disabled or limited."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringback.core.callbacks.callback import (
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    replay,
)
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import RefusedOutcome
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery.delivery_service import DeliveryLimits
from ringback.delivery.request_pacer import loop_seconds
from ringback.ports import DestinationPause, Store
from ringback.stores.sqlite.store import SqliteStore
from tests.destinations import ACCOUNT, a_rule, set_at_run_time
from tests.fakes import (
    NOW,
    VAULT,
    RecordingTransport,
    WithoutIdleConnections,
    a_callback,
    an_account,
)
from tests.unit.delivery.parts import (
    DELIVERED,
    HOST,
    LANE,
    OTHER_HOST,
    REFUSED,
    Bench,
    FailingStore,
    GatedTransport,
    a_store,
    add,
    all_has_run,
    attempts_in,
    callback_in,
    callbacks_to,
    results_in,
    running,
    sid,
)
from tests.unit.delivery.test_request_pacer import run

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
A, B = "a.example", "b.example"
FIRST_PROBE = 24 * SECOND
"""When the first probe leaves with the least jitter, which these tests have."""
BUSY = AttemptResult(RefusedOutcome(429, retry_after="20"))
GONE = AttemptResult(RefusedOutcome(410))
QUICK = a_rule(breaker_least="2", breaker_share="50")
ONE_AT_A_TIME = DeliveryLimits(per_destination=1)


class Receiver(WithoutIdleConnections):
    """A receiver that a test can break, and that answers as many requests as it allows."""

    def __init__(self) -> None:
        self.answer = REFUSED
        self.requests = list[OutgoingRequest]()
        self.under_way = 0
        self.may_answer = asyncio.Semaphore(1_000_000)

    async def send(
        self, request: OutgoingRequest, *, leaving: Any = None, **how: Any
    ) -> AttemptResult:
        if leaving is not None:
            leaving()
        self.requests.append(request)
        self.under_way += 1
        await self.may_answer.acquire()
        self.under_way -= 1
        return self.answer


def once(number: int, url: str = HOST) -> CallbackRecord:
    """Return a callback with one attempt in each round."""
    return a_callback(sid=sid(number), url=f"{url}#rc=0")


async def states_in(store: Store) -> list[DestinationState]:
    return [state for _, state in await store.read(lambda tx: tx.destinations.states())]


async def progress_in(store: Store, numbers: Sequence[int]) -> list[DeliveryProgress]:
    return [(await callback_in(store, sid(number))).progress for number in numbers]


def set_(bench: Bench, revision: int = 1, **how: Any) -> None:
    """Set something for the destination at run time."""
    bench.destinations.book.learn([set_at_run_time(HOST, revision=revision, **how)])


# ---- breakers ------------------------------------------------------------------------------------


async def test_behind_an_open_breaker_nothing_is_sent_and_no_attempt_is_spent() -> None:
    store, receiver = await a_store(*map(once, range(40))), Receiver()
    bench = Bench(store, receiver, schedule=PERSISTENT)
    async with running(bench.delivery.run):
        await all_has_run()
        assert len(receiver.requests) == 10
        counts = [one.attempt_count for one in await progress_in(store, range(40))]
        assert sorted(counts) == [0] * 30 + [1] * 10
        assert bench.delivery.under_way == 0
        assert [event.kind for event in bench.events] == [
            "destination.failing",
            "destination.opened",
        ]
        assert [state.opened for state in await states_in(store)] == [NOW]
        bench.clock.advance(FIRST_PROBE - SECOND)
        await all_has_run()
        assert len(receiver.requests) == 10


async def test_probes_go_out_until_one_succeeds_then_all_is_delivered() -> None:
    store, receiver = await a_store(*map(once, range(40))), Receiver()
    bench = Bench(store, receiver, schedule=PERSISTENT)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await all_has_run()
        for number, wait in enumerate((FIRST_PROBE, 2 * FIRST_PROBE), 11):
            bench.clock.advance(wait - SECOND)
            await all_has_run()
            assert len(receiver.requests) == number - 1
            bench.clock.advance(SECOND)
            await all_has_run()
            assert len(receiver.requests) == number
        receiver.answer = DELIVERED
        bench.clock.advance(4 * FIRST_PROBE)
        await all_has_run()
        assert bench.events[-1].kind == "destination.recovered"
        assert await states_in(store) == []
        bench.clock.advance(5 * MINUTE)
        await bench.steps.reach("settled", 40)
        await all_has_run()
    statuses = {one.status for one in await progress_in(store, range(40))}
    assert statuses == {CallbackStatus.DELIVERED}
    assert bench.delivery.unfinished == 0


async def test_after_a_recovery_the_number_of_requests_grows_from_one() -> None:
    store, receiver = await a_store(*map(once, range(60))), Receiver()
    bench, under_way = Bench(store, receiver, schedule=PERSISTENT), list[int]()
    async with running(bench.delivery.run):
        await all_has_run()
        receiver.answer = DELIVERED
        receiver.may_answer = asyncio.Semaphore(1)
        bench.clock.advance(FIRST_PROBE)
        for _ in range(5):
            await all_has_run()
            under_way.append(receiver.under_way)
            for _ in range(receiver.under_way):
                receiver.may_answer.release()
    assert under_way == [1, 2, 4, 8, 16]


async def test_a_breaker_of_one_destination_stops_no_other() -> None:
    store = await a_store(*map(once, range(20)), *(once(n, OTHER_HOST) for n in range(20, 40)))

    class Half(Receiver):
        async def send(self, request: OutgoingRequest, **how: Any) -> AttemptResult:
            self.answer = DELIVERED if request.url.host == B else REFUSED
            return await super().send(request, **how)

    bench = Bench(store, Half(), schedule=PERSISTENT)
    async with running(bench.delivery.run):
        await all_has_run()
    ended = [one.is_ended for one in await progress_in(store, range(40))]
    assert ended == [False] * 20 + [True] * 20


async def test_under_the_faithful_schedule_there_is_no_breaker() -> None:
    store, receiver = await a_store(*map(once, range(40))), Receiver()
    bench = Bench(store, receiver, schedule=FAITHFUL)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled", 40)
    assert len(receiver.requests) == 40


async def test_a_round_does_not_go_on_behind_an_open_breaker() -> None:
    store, receiver = await a_store(a_callback(url=f"{HOST}#rc=5&rp=all")), Receiver()
    bench = Bench(store, receiver, schedule=PERSISTENT, rules=[QUICK])
    async with running(bench.delivery.run):
        await all_has_run()
        assert len(receiver.requests) == 2
        assert bench.steps.passed.count("claimed") == 2
        progress = (await callback_in(store)).progress
        assert (progress.attempt_count, progress.due is None) == (2, False)
        receiver.answer = DELIVERED
        bench.clock.advance(FIRST_PROBE)
        await all_has_run()
    assert (await callback_in(store)).status is CallbackStatus.DELIVERED
    assert len(receiver.requests) == 3


async def test_what_has_waited_for_too_long_ends_after_a_failed_probe() -> None:
    store, receiver = await a_store(*map(once, range(6))), Receiver()
    notify = a_rule(owner=ACCOUNT, notify="https://n.example/")
    bench = Bench(store, receiver, schedule=RetrySchedule.parse("5s,10s"), rules=[QUICK, notify])
    async with running(bench.delivery.run):
        await all_has_run()
        bench.clock.advance(FIRST_PROBE)
        await all_has_run()
        assert len(receiver.requests) == 3
        progress = await progress_in(store, range(6))
        assert [one.is_ended for one in progress] == [False] * 6, "its schedule is not used"
        bench.clock.advance(timedelta(days=3))
        await all_has_run()
    failed = [one for one in await progress_in(store, range(6)) if one.is_ended]
    assert [one.attempt_count for one in failed].count(0) >= 2
    assert {one.status_reason for one in failed} == {
        "it has waited for 3d while its destination's breaker was open, since 2024-07-03T14:40:58Z"
    }
    assert [event.kind for event in bench.events] == [
        "destination.failing",
        "destination.opened",
        "callback.exhausted",
    ]


async def test_the_failure_of_a_callback_is_an_event_if_somebody_is_told() -> None:
    store, notify = await a_store(once(1)), a_rule(owner=ACCOUNT, notify="https://n.example/")
    bench = Bench(store, Receiver(), rules=[notify])
    await bench.settle()
    [event] = bench.events
    assert (event.kind, event.callback_sid) == ("callback.exhausted", sid(1))
    assert [[*state.told] for state in await states_in(store)] == [["callback.exhausted"]]


# ---- holds ---------------------------------------------------------------------------------------


async def test_retry_after_holds_all_callbacks_to_the_destination_and_no_others() -> None:
    store = await a_store(*map(once, range(5)), once(9, OTHER_HOST))
    transport = RecordingTransport([BUSY])
    bench = Bench(store, transport, schedule=PERSISTENT, limits=ONE_AT_A_TIME)
    async with running(bench.delivery.run):
        await all_has_run()
        hosts = [request.url.host for request in transport.requests]
        assert sorted(hosts) == [A, B]
        bench.clock.advance(20 * SECOND - SECOND)
        await all_has_run()
        assert len(transport.requests) == 2
        bench.clock.advance(SECOND)
        await bench.steps.reach("settled", 11)
    assert len(transport.requests) == 7
    counts = [one.attempt_count for one in await progress_in(store, range(5))]
    assert sorted(counts) == [1, 1, 1, 1, 2]


async def test_under_the_faithful_schedule_retry_after_holds_nothing() -> None:
    store, transport = await a_store(*map(once, range(5))), RecordingTransport([BUSY])
    bench = Bench(store, transport, schedule=FAITHFUL, limits=ONE_AT_A_TIME)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled", 5)
    assert len(transport.requests) == 5


# ---- pauses --------------------------------------------------------------------------------------


async def test_a_pause_puts_back_what_has_not_left_and_resuming_sends_it() -> None:
    store, transport = await a_store(*callbacks_to(HOST, range(5))), GatedTransport()
    bench = Bench(store, transport, limits=ONE_AT_A_TIME)
    async with running(bench.delivery.run):
        await all_has_run()
        set_(bench, pause=DestinationPause(NOW))
        await all_has_run()
        assert bench.delivery.under_way == 1
        progress = await progress_in(store, range(5))
        assert [one.attempt_count for one in progress] == [1, 0, 0, 0, 0]
        assert [one.due for one in progress[1:]] == [NOW] * 4
        transport.open(A)
        await all_has_run()
        bench.clock.advance(timedelta(hours=1))
        await all_has_run()
        assert len(transport.requests) == 1, "what had left was let finish"
        set_(bench, 2, resumed=bench.clock.now())
        await all_has_run()
    assert len(transport.requests) == 5
    assert [await results_in(store, sid(n)) for n in range(5)] == [["delivered"]] * 5


async def test_a_request_that_connects_when_the_pause_begins_does_not_leave() -> None:
    store, connecting = await a_store(a_callback(url=HOST)), asyncio.Event()
    transport = RecordingTransport(connecting=connecting)
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        assert bench.delivery.under_way == 1
        set_(bench, pause=DestinationPause(NOW))
        connecting.set()
        await all_has_run()
        assert (transport.requests, bench.delivery.under_way) == ([], 0)
        assert await attempts_in(store) == []
        assert (await callback_in(store)).progress.due == NOW
        set_(bench, 2)
        await all_has_run()
    assert await results_in(store) == ["delivered"]


async def test_a_pause_that_ends_by_itself_needs_nobody() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    set_(bench, pause=DestinationPause(NOW, NOW + MINUTE))
    async with running(bench.delivery.run):
        await bench.take(a_callback(url=HOST))
        bench.clock.advance(MINUTE - SECOND)
        await all_has_run()
        assert transport.requests == []
        bench.clock.advance(SECOND)
        await all_has_run()
    assert await results_in(store) == ["delivered"]


# ---- disabling -----------------------------------------------------------------------------------


async def test_a_disabled_destination_gets_nothing_and_a_replay_after_resuming_does() -> None:
    store, transport = await a_store(*map(once, range(3))), RecordingTransport([GONE])
    rules = [a_rule(disable_on_gone="yes")]
    bench = Bench(store, transport, limits=ONE_AT_A_TIME, rules=rules)
    await bench.delivery.recover()
    why = "the destination is disabled: the receiver answered 410 Gone"
    async with running(bench.delivery.run):
        await all_has_run()
        await bench.take(once(3))
        await all_has_run()
        assert len(transport.requests) == 1
        ends = await progress_in(store, range(4))
        assert [one.status for one in ends] == [CallbackStatus.FAILED] * 4
        assert [one.status_reason for one in ends[1:]] == [why] * 3
        assert [one.attempt_count for one in ends] == [1, 0, 0, 0]
        assert (bench.delivery.unfinished, bench.delivery.under_way) == (0, 0)
        assert [state.disabled for state in await states_in(store)] == [NOW]
        set_(bench, resumed=NOW)
        await all_has_run()
        assert await states_in(store) == []
        one = await callback_in(store, sid(2))
        await store.transact(
            lambda tx: bench.delivery.queue.change(tx, one, replay(one.progress, NOW))
        )
        await all_has_run()
    assert await results_in(store, sid(2)) == ["delivered"]


async def test_without_that_setting_gone_ends_only_its_own_callback() -> None:
    store, transport = await a_store(*map(once, range(3))), RecordingTransport([GONE])
    bench = Bench(store, transport, limits=ONE_AT_A_TIME)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled", 3)
    assert len(transport.requests) == 3


# ---- rates, in made-up time ----------------------------------------------------------------------


@pytest.mark.parametrize("is_new", [True, False], ids=["taken in", "claimed"])
def test_a_limited_destination_gets_requests_at_its_rate(*, is_new: bool) -> None:
    async def story() -> None:
        left = list[float]()

        class Timed(RecordingTransport):
            async def send(self, request: OutgoingRequest, **how: Any) -> AttemptResult:
                left.append(loop_seconds())
                return await super().send(request, **how)

        callbacks = callbacks_to(HOST, range(6))
        store = await a_store(*([] if is_new else callbacks))
        bench = Bench(store, Timed(), rules=[a_rule(HOST, rate="2")])
        await bench.delivery.recover()
        async with running(bench.delivery.run):
            if is_new:
                await bench.take(*callbacks)
            await asyncio.sleep(10)
        assert [round(one, 2) for one in left] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
        assert bench.delivery.unfinished == 0
        assert bench.delivery.under_way == 0

    run(story)


def test_another_rate_is_used_at_once() -> None:
    async def story() -> None:
        store, transport = await a_store(*callbacks_to(HOST, range(20))), RecordingTransport()
        bench = Bench(store, transport, rules=[a_rule(HOST, rate="0.5")])
        async with running(bench.delivery.run):
            await asyncio.sleep(4.1)
            assert len(transport.requests) == 2
            set_(bench, rate="0.1")
            await asyncio.sleep(9)
            assert len(transport.requests) == 2
            set_(bench, 2)
            await asyncio.sleep(4)
            assert len(transport.requests) == 4

    run(story)


def test_a_stop_puts_back_what_waits_for_its_rate() -> None:
    async def story() -> None:
        store = await a_store(*callbacks_to(HOST, range(3)))
        bench = Bench(store, RecordingTransport(), rules=[a_rule(HOST, rate="8")])
        async with running(bench.delivery.run):
            await asyncio.sleep(0.01)
            assert bench.delivery.under_way == 2
            await bench.delivery.stop(within=SECOND)
        progress = await progress_in(store, range(3))
        assert [(one.attempt_count, one.due) for one in progress] == [(0, NOW)] * 3

    run(story)


# ---- a restart -----------------------------------------------------------------------------------


async def test_a_restart_finds_settings_and_states_in_the_file(tmp_path: Path) -> None:
    path, receiver = tmp_path / "ringback.db", Receiver()
    store = SqliteStore.open(path, VAULT)
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await store.transact(
        lambda tx: tx.destinations.save(
            set_at_run_time(HOST, breaker_least="2", notify="https://n.example/secret")
        )
    )
    await add(store, *map(once, range(3)))
    first = Bench(store, receiver, schedule=PERSISTENT)
    await first.delivery.recover()
    async with running(first.delivery.run):
        await all_has_run()
        await first.steps.reach("settled", 2)
        await first.delivery.stop(within=SECOND)
    await store.close()
    assert len(receiver.requests) == 2

    store = SqliteStore.open(path, VAULT)
    receiver.answer = DELIVERED
    second = Bench(store, receiver, schedule=PERSISTENT, clock=first.clock)
    second.clock.advance(FIRST_PROBE - SECOND)
    await second.delivery.recover()
    valve = second.destinations.valve(LANE)
    assert valve.settings.watch.least == 2
    assert [url.configured for _, url in valve.settings.notify] == ["https://n.example/secret"]
    assert valve.state.opened == NOW
    assert valve.state.gaps == ((NOW, NOW + FIRST_PROBE - SECOND),)
    async with running(second.delivery.run):
        await all_has_run()
        assert len(receiver.requests) == 2
        second.clock.advance(SECOND)
        await second.steps.reach("settled", 1)
        await second.delivery.stop(within=SECOND)
    assert second.events[0].kind == "destination.recovered"
    assert [state.opened for state in await states_in(store)] == [None]
    await store.close()


async def test_nothing_is_claimed_in_shards_whose_states_are_not_known() -> None:
    store, transport = await a_store(*callbacks_to(HOST, range(3))), RecordingTransport()
    bench = Bench(store, transport)
    bench.destinations.forget({shard_of(LANE.destination)})
    async with running(bench.delivery.run):
        await all_has_run()
        assert [one.attempt_count for one in await progress_in(store, range(3))] == [0, 0, 0]
        await bench.destinations.load(store)
        bench.clock.advance(MINUTE)
        await all_has_run()
    assert len(transport.requests) == 3


async def test_without_anything_set_a_delivery_stores_no_more_than_before() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport(), schedule=PERSISTENT)
    await bench.take(a_callback())
    await bench.steps.reach("settled")
    assert store.transactions == 2
    assert bench.events == []
