"""The keeper: it ends what a destination's state ends, and stores what no attempt stores."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, StreamBatch, discard
from ringback.core.destinations.destination_events import DestinationEvent
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery import destination_keeper
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.destination_keeper import DestinationKeeper
from ringback.ports import ALL_SHARDS, Cluster, Lane, SoleProcess, StateChange, Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.destinations import ACCOUNT, a_rule
from tests.fakes import NOW, FakeClock, SeededRandomness, a_callback
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import (
    HOST,
    LANE,
    OTHER_HOST,
    FailingStore,
    PausedStore,
    a_store,
    all_has_run,
    callback_in,
    callbacks_to,
    running,
    sid,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SCHEDULE = RetrySchedule.parse("1m,10m")
DISABLED = DestinationState(disabled=NOW, disabled_why="it is gone", seen=NOW)
NOTIFIED = a_rule(owner=ACCOUNT, notify="https://n.example/")
OPEN = DestinationState(opened=NOW, probe_at=NOW + SECOND, seen=NOW)


class Unowned(SoleProcess):
    """A cluster in which another process owns all shards."""

    def lease_on(self, destination: str) -> int | None:
        return None


class Bench:
    """A keeper, with a lane that has a state."""

    def __init__(
        self,
        store: Store,
        state: DestinationState = DISABLED,
        *rules: DestinationRule,
        cluster: Cluster | None = None,
    ) -> None:
        self.store = store
        self.clock = FakeClock()
        self.queue = RecordingQueue()
        self.told = list[DestinationEvent]()
        self.control = DestinationControl(
            DestinationBook(rules, SCHEDULE, 11 * MINUTE),
            clock=self.clock,
            random_source=SeededRandomness(),
            tell=lambda _tx, event, _to: self.told.append(event),
        )
        self.valve = self.control.valve(LANE)
        self.valve.knows(state)
        self.keeper = DestinationKeeper(
            control=self.control,
            store=store,
            cluster=cluster or SoleProcess(),
            queue=self.queue,
            clock=self.clock,
        )

    async def work(self) -> None:
        """Let the keeper end what has to end in the lane."""
        self.control.to_end[LANE] = None
        self.control.wakeup.wake()
        async with running(self.keeper.run):
            await all_has_run()

    @property
    def ended(self) -> list[str]:
        return sorted(self.queue.changed)


def sids(*numbers: int) -> list[str]:
    return [sid(number) for number in numbers]


def waiting(
    number: int, *, due: datetime = NOW, since: datetime = NOW, rounds: int = 0, url: str = HOST
) -> CallbackRecord:
    """Return a callback that waits for a round."""
    return a_callback(
        sid=sid(number), url=url, due=due, now=since, updated=since, round_number=rounds
    )


# ---- a disabled destination ----------------------------------------------------------------------


async def test_one_line_says_how_many_have_ended(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(await a_store(*callbacks_to(HOST, range(600))))
    await bench.work()
    lines = [one.getMessage() for one in caplog.records if "failed" in one.getMessage()]
    of_them = f"600 callbacks to {LANE.destination} of account {LANE.account_sid} failed"
    assert lines == [f"{of_them}: the destination is disabled: it is gone"]


async def test_all_due_callbacks_to_a_disabled_destination_fail() -> None:
    later = waiting(3, due=NOW + SECOND)
    store = await a_store(*callbacks_to(HOST, [1, 2]), later, waiting(4, url=OTHER_HOST))
    bench = Bench(store)
    await bench.work()
    assert bench.ended == sids(1, 2)
    ended = (await callback_in(store, sid(1))).progress
    assert (ended.status, ended.due) == (CallbackStatus.FAILED, None)
    assert ended.status_reason == "the destination is disabled: it is gone"


async def test_a_test_event_fails_too() -> None:
    bench = Bench(await a_store(waiting(1)._replace(is_test=True)))
    await bench.work()
    assert bench.ended == sids(1)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
async def test_many_callbacks_are_read_and_ended_in_parts(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(destination_keeper, "_READ_AT_ONCE", 3)
    monkeypatch.setattr(destination_keeper, "_ENDED_AT_ONCE", 2)
    store = FailingStore(await a_store(*callbacks_to(HOST, range(number))))
    bench = Bench(store)
    await bench.work()
    assert bench.ended == sids(*range(number))
    reads, rest = number // 3 + 1, number % 3
    assert store.transactions == reads + 2 * (number // 3) + -(-rest // 2)


async def test_callbacks_that_waited_for_each_other_all_end() -> None:
    ordered = [waiting(number)._replace(order_key="meter 7") for number in range(4)]
    bench = Bench(await a_store(*ordered))
    await bench.work()
    assert bench.ended == sids(0, 1, 2, 3)


@pytest.mark.parametrize("numbers", [[1], [1, 2]])
async def test_what_a_person_has_discarded_meanwhile_stays_discarded(numbers: list[int]) -> None:
    store = await a_store(*callbacks_to(HOST, numbers))
    paused = PausedStore(store)
    paused.may_tell.clear()
    bench = Bench(paused, DISABLED, NOTIFIED)
    bench.control.to_end[LANE] = None
    async with running(bench.keeper.run):
        await all_has_run()
        one = await callback_in(store, sid(1))
        discarded = one.having(discard(one.progress, "not needed", NOW))
        await store.transact(lambda tx: tx.callbacks.change(discarded))
        paused.may_tell.set()
        await all_has_run()
    assert bench.ended == sids(*numbers[1:])
    assert [event.callback_sid for event in bench.told] == bench.ended
    assert (await callback_in(store, sid(1))).status is CallbackStatus.DISCARDED


async def test_what_was_resumed_meanwhile_ends_nothing() -> None:
    bench = Bench(await a_store(waiting(1, rounds=2)))
    bench.valve.reset(NOW)
    await bench.work()
    assert bench.ended == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_only_the_owner_of_a_lane_ends_its_callbacks(*, is_known: bool) -> None:
    cluster = Unowned() if is_known else SoleProcess()
    bench = Bench(await a_store(waiting(1)), cluster=cluster)
    if not is_known:
        bench.control.forget(ALL_SHARDS)
    await bench.work()
    assert bench.ended == []


# ---- an open breaker -----------------------------------------------------------------------------


async def waits_behind(
    state: DestinationState, *callbacks: CallbackRecord, at: timedelta
) -> Sequence[str]:
    """Return which callbacks end if a probe has failed so long after NOW."""
    bench = Bench(await a_store(*callbacks), state)
    bench.clock.advance(at)
    await bench.work()
    return bench.ended


@pytest.mark.parametrize("rounds", [0, 1, 2])
async def test_a_callback_ends_after_the_time_that_is_set_whatever_its_schedule_has(
    rounds: int,
) -> None:
    one = waiting(1, rounds=rounds)
    assert await waits_behind(OPEN, one, at=11 * MINUTE - SECOND) == []
    assert await waits_behind(OPEN, one, at=11 * MINUTE) == sids(1)


async def test_a_test_event_and_a_batch_of_a_stream_wait_as_long() -> None:
    event = waiting(1)._replace(is_test=True)
    batch = waiting(2)._replace(source=Source.KORE, stream=StreamBatch("DF1", "[2:1"))
    assert await waits_behind(OPEN, event, batch, at=11 * MINUTE - SECOND) == []
    assert await waits_behind(OPEN, event, batch, at=11 * MINUTE) == sids(1, 2)


async def test_a_callback_that_came_later_ends_later() -> None:
    early, late = waiting(1), waiting(2, due=NOW + MINUTE, since=NOW + MINUTE)
    assert await waits_behind(OPEN, early, late, at=11 * MINUTE) == sids(1)
    assert await waits_behind(OPEN, early, late, at=12 * MINUTE) == sids(1, 2)


async def test_time_that_does_not_count_comes_on_top() -> None:
    state = OPEN.with_gap(NOW + MINUTE, NOW + 4 * MINUTE)
    assert await waits_behind(state, waiting(1), at=14 * MINUTE - SECOND) == []
    assert await waits_behind(state, waiting(1), at=14 * MINUTE) == sids(1)


async def test_the_reason_says_since_when_the_breaker_was_open() -> None:
    store = await a_store(waiting(1))
    bench = Bench(store, OPEN)
    bench.clock.advance(11 * MINUTE)
    await bench.work()
    assert (await callback_in(store, sid(1))).progress.status_reason == (
        "it has waited for 11m while its destination's breaker was open, since 2024-07-03T14:40:58Z"
    )


async def test_behind_a_hold_a_callback_ends_as_late_and_the_reason_says_so() -> None:
    held = WELL._replace(held_until=NOW + 20 * MINUTE, held_since=NOW - MINUTE, seen=NOW)
    assert await waits_behind(held, waiting(1), at=11 * MINUTE - SECOND) == []
    store = await a_store(waiting(1))
    bench = Bench(store, held)
    bench.clock.advance(11 * MINUTE)
    await bench.work()
    assert (await callback_in(store, sid(1))).progress.status_reason == (
        "it has waited for 11m while its receiver asked to wait (Retry-After), since"
        " 2024-07-03T14:39:58Z"
    )


async def test_one_that_was_tried_ends_before_its_next_round_if_it_has_waited_too_long() -> None:
    state = OPEN._replace(waited_before={sid(1): 11 * 60.0, sid(2): 11 * 60 - 1.0})
    later = [waiting(number, due=NOW + MINUTE) for number in (1, 2)]
    assert await waits_behind(state, *later, at=SECOND) == sids(1)


# ---- events and states ---------------------------------------------------------------------------


async def test_those_who_are_told_get_one_event_for_all_that_ended() -> None:
    store = await a_store(*callbacks_to(HOST, range(1, 4)))
    bench = Bench(store, DISABLED, NOTIFIED)
    await bench.work()
    [event] = bench.told
    assert (event.kind, event.reason) == (
        "callback.exhausted",
        "the destination is disabled: it is gone",
    )
    assert event.callback_sid in bench.ended
    state = await store.read(lambda tx: tx.destinations.state_of(LANE))
    assert state is not None
    assert state.told == {"callback.exhausted": NOW}


async def test_without_anybody_to_tell_no_state_is_stored_for_that() -> None:
    store = await a_store(waiting(1))
    bench = Bench(store)
    await bench.work()
    assert bench.told == []
    assert await store.read(lambda tx: tx.destinations.state_of(LANE)) is None


async def stored_states(store: MemoryStore) -> list[tuple[Lane, DestinationState]]:
    return await store.read(lambda tx: tx.destinations.states())


async def test_changes_that_belong_to_no_attempt_are_stored() -> None:
    store = await a_store(waiting(1))
    await store.transact(lambda tx: tx.destinations.save_state(LANE, DISABLED))
    bench = Bench(store, WELL)
    async with running(bench.keeper.run):
        await all_has_run()
        assert await stored_states(store) == [(LANE, DISABLED)]
        bench.control.to_save.append(StateChange(LANE, WELL))
        bench.control.wakeup.wake()
        await all_has_run()
        assert await stored_states(store) == []
        assert bench.control.to_save == []


async def test_a_store_that_is_unavailable_is_tried_again() -> None:
    store = FailingStore(await a_store(waiting(1)))
    bench = Bench(store)
    bench.control.to_save.append(StateChange(LANE, DISABLED))
    bench.control.to_end[LANE] = None
    store.failures_to_come = 3
    async with running(bench.keeper.run):
        for _ in range(3):
            await all_has_run()
            assert bench.ended == []
            bench.clock.advance(SECOND)
        await all_has_run()
    assert bench.ended == sids(1)
    assert await store.read(lambda tx: tx.destinations.state_of(LANE)) == DISABLED


async def test_without_work_it_asks_the_store_for_nothing() -> None:
    store = FailingStore(await a_store(waiting(1)))
    bench = Bench(store)
    async with running(bench.keeper.run):
        await all_has_run()
        bench.clock.advance(MINUTE)
        await all_has_run()
    assert store.transactions == 0


async def test_work_that_is_noted_while_it_works_is_done_too() -> None:
    store = await a_store(waiting(1), waiting(2, url=OTHER_HOST))
    bench = Bench(store)
    other = Lane(LANE.account_sid, "http://b.example:80")
    bench.control.valve(other).knows(DISABLED)

    def note(tx: Transaction) -> None:
        bench.control.to_end[other] = None

    paused = PausedStore(store)
    bench.keeper.store = paused
    paused.may_tell.clear()
    bench.control.to_end[LANE] = None
    async with running(bench.keeper.run):
        await all_has_run()
        await store.transact(note)
        paused.may_tell.set()
        await all_has_run()
    assert bench.ended == sids(1, 2)


async def test_it_is_still_when_nothing_is_left_to_do() -> None:
    store = await a_store(waiting(1))
    paused = PausedStore(store)
    bench = Bench(paused)
    assert bench.keeper.is_still
    bench.control.to_end[LANE] = None
    assert not bench.keeper.is_still
    paused.may_begin.clear()
    async with running(bench.keeper.run):
        await all_has_run()
        assert (bench.control.to_end, bench.keeper.is_still) == ({}, False)
        paused.may_begin.set()
        await all_has_run()
        assert bench.keeper.is_still
    assert bench.ended == sids(1)


async def test_a_failure_in_one_lane_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(await a_store(waiting(1), waiting(2, url=OTHER_HOST)))
    other = Lane(LANE.account_sid, "http://b.example:80")
    bench.control.valve(other).knows(DISABLED)
    lease_on = bench.keeper.cluster.lease_on

    def fail_for_one(destination: str) -> int | None:
        if destination == other.destination:
            raise ValueError("odd")
        return lease_on(destination)

    monkeypatch.setattr(bench.keeper.cluster, "lease_on", fail_for_one)
    bench.control.to_end[LANE] = bench.control.to_end[other] = None
    async with running(bench.keeper.run):
        await all_has_run()
    assert bench.ended == sids(1)
    assert "a change of a destination could not be carried out" in caplog.messages
