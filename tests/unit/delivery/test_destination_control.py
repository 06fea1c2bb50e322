"""The control of destinations: valves, stored states, events, and what follows from changes."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackStatus, ended
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_events import DestinationEvent, DestinationEventKind
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.lane_valve import FOREVER
from ringback.ports import (
    ALL_SHARDS,
    DeliveryClaim,
    DestinationPause,
    Lane,
    StateChange,
    Transaction,
)
from tests.destinations import ACCOUNT, a_rule, set_at_run_time
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, an_account
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import (
    HOST,
    LANE,
    OTHER_ACCOUNT_SID,
    PausedStore,
    SteadyRandomness,
    all_has_run,
    sid,
)
from tests.unit.delivery.test_delivery_workers import claim_of
from tests.unit.delivery.test_request_pacer import run

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WELL_DONE, BROKEN = DeliveredOutcome(200), RefusedOutcome(500)
OPEN = DestinationState(opened=NOW, probe_at=NOW + 30 * SECOND, seen=NOW)
DISABLED = DestinationState(disabled=NOW, disabled_why="it is gone", seen=NOW)
QUICK = a_rule(breaker_least="2", breaker_share="50")
NOTIFIED = a_rule(owner=ACCOUNT, notify="https://n.example/")
SHARD = shard_of(LANE.destination)
OTHER_LANE = Lane(ACCOUNT_SID, "http://b.example:80")


class Bench:
    """A control, and all that it asks others for."""

    def __init__(self, *rules: DestinationRule, schedule: RetrySchedule = PERSISTENT) -> None:
        self.clock = FakeClock()
        self.book = DestinationBook(rules, schedule)
        self.told = list[DestinationEvent]()
        self.control = DestinationControl(
            self.book, clock=self.clock, random_source=SteadyRandomness(0x80), tell=self._tell
        )
        self.looked, self.held_back = list[Lane](), list[Lane]()
        self.released = list[str]()
        self.woken = 0
        self.control.look_again = self.looked.append
        self.control.hold_back = self.held_back.append
        self.control.release = lambda claim: self.released.append(claim.callback.sid)
        self.control.wake = self._wake

    def _wake(self) -> None:
        self.woken += 1

    def _tell(self, tx: Transaction, event: DestinationEvent, notified: object) -> None:
        self.told.append(event)

    def fail(self, times: int = 1) -> StateChange | None:
        changes = [self.control.ended(a_claim(), BROKEN) for _ in range(times)]
        return changes[-1]

    def begin_with(self, state: DestinationState, lane: Lane = LANE) -> None:
        """Let a lane have this state."""
        self.control.valve(lane).knows(state)


def a_claim(number: int = 1, lane: Lane = LANE) -> DeliveryClaim:
    account = an_account(sid=lane.account_sid)
    claim = claim_of(a_callback(sid=sid(number), url=HOST, account_sid=lane.account_sid))
    return claim._replace(lane=lane, account=account)


async def a_store_with(*states: tuple[Lane, DestinationState]) -> MemoryStore:
    store = MemoryStore()

    def work(tx: Transaction) -> None:
        for lane, state in states:
            tx.destinations.save_state(lane, state)

    await store.transact(work)
    return store


async def is_woken(control: DestinationControl) -> bool:
    """Return True if the keeper would go on now."""
    waiting = asyncio.create_task(control.wakeup.wait(None))
    await all_has_run()
    waiting.cancel()
    return waiting.done()


# ---- valves --------------------------------------------------------------------------------------


async def test_each_lane_has_one_valve() -> None:
    control = Bench().control
    assert control.valve(LANE) is control.valve(LANE)
    assert control.valve(LANE) is not control.valve(OTHER_LANE)


async def test_only_valves_with_nothing_to_remember_are_dropped() -> None:
    bench = Bench()
    for lane, is_dropped in ((LANE, True), (OTHER_LANE, False)):
        valve = bench.control.valve(lane)
        if lane is OTHER_LANE:
            valve.state = WELL._replace(told={"destination.failing": NOW})
        assert bench.control.drop(lane) is is_dropped
        assert (bench.control.valve(lane) is valve) is not is_dropped
    assert bench.control.drop(Lane(ACCOUNT_SID, "http://never.example:80"))


async def test_a_valve_that_was_dropped_does_not_get_the_state_back_that_was_read() -> None:
    bench = Bench()
    bench.control.forget(ALL_SHARDS)
    await bench.control.load(await a_store_with((LANE, OPEN)))
    bench.control.valve(LANE).reset(NOW)
    assert bench.control.drop(LANE)
    assert bench.control.valve(LANE).state == WELL


async def test_only_so_many_destinations_of_an_account_have_a_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringback.delivery.destination_control.MOST_STATES", 2)
    bench = Bench(a_rule(disable_on_gone="yes"))
    lanes = [Lane(ACCOUNT_SID, f"http://h{number}.example:80") for number in range(3)]
    theirs = Lane(OTHER_ACCOUNT_SID, lanes[2].destination)

    def disabled() -> list[bool]:
        for lane in (*lanes, theirs):
            bench.control.ended(a_claim(lane=lane), RefusedOutcome(410))
        return [bench.control.valve(lane).state.disabled is not None for lane in (*lanes, theirs)]

    assert disabled() == [True, True, False, True]
    bench.book.learn([set_at_run_time(lanes[0].destination, resumed=NOW + SECOND)])
    bench.control.ended(a_claim(lane=lanes[2]), RefusedOutcome(410))
    assert disabled() == [False, True, True, True]


async def test_an_attempt_that_succeeds_changes_nothing() -> None:
    bench = Bench()
    assert bench.control.ended(a_claim(), WELL_DONE) is None
    assert (bench.held_back, bench.control.to_end) == ([], {})


async def test_attempts_that_succeed_keep_the_breaker_closed() -> None:
    bench = Bench()
    for _ in range(9):
        bench.control.ended(a_claim(), WELL_DONE)
    bench.fail(10)
    assert bench.control.valve(LANE).state.opened is None


async def test_a_success_ends_that_a_destination_is_failing() -> None:
    bench = Bench()
    bench.begin_with(WELL._replace(failing_since=NOW))
    change = bench.control.ended(a_claim(), WELL_DONE)
    assert change is not None
    assert change.state.failing_since is None


async def test_what_opens_a_breaker_holds_back_what_was_claimed() -> None:
    bench = Bench(QUICK)
    change = bench.fail(2)
    assert change is not None
    assert change.state.opened == NOW
    assert change.state.probe_at == pytest.approx(NOW + 30 * SECOND, abs=SECOND)
    assert bench.held_back == [LANE]
    assert bench.control.to_end == {}, "what waits is given up only after a probe"


@pytest.mark.parametrize("outcome", [BROKEN, WELL_DONE], ids=str)
async def test_after_a_failed_probe_callbacks_may_have_to_be_given_up(outcome: Any) -> None:
    bench = Bench()
    bench.begin_with(OPEN)
    bench.clock.advance(bench.control.book.stopped_at_most)
    valve = bench.control.valve(LANE)
    assert valve.may_begin(sid(1), bench.clock.now())
    bench.control.ended(a_claim(1), outcome)
    has_failed = outcome is BROKEN
    assert [*bench.control.to_end] == [LANE] * has_failed
    assert bench.held_back == [LANE] * has_failed
    assert await is_woken(bench.control) is has_failed


async def test_nobody_looks_for_what_has_waited_too_long_before_that_can_be() -> None:
    bench = Bench()
    bench.begin_with(OPEN)
    bench.clock.advance(bench.control.book.stopped_at_most - SECOND)
    assert bench.control.valve(LANE).may_begin(sid(1), bench.clock.now())
    bench.control.ended(a_claim(1), BROKEN)
    assert bench.control.to_end == {}


async def test_answers_that_ask_to_wait_let_callbacks_be_given_up_once_a_minute() -> None:
    bench = Bench()
    ended = list[bool]()
    for wait in (timedelta(0), bench.control.book.stopped_at_most, SECOND, MINUTE):
        bench.clock.advance(wait)
        bench.control.ended(a_claim(1), RefusedOutcome(429, retry_after="1"))
        ended.append(LANE in bench.control.to_end)
        bench.control.to_end.clear()
    assert ended == [False, True, False, True]
    bench.clock.advance(MINUTE)
    bench.control.ended(a_claim(1), WELL_DONE)
    assert bench.control.valve(LANE).state.is_plain


async def test_what_waits_for_a_disabled_destination_ends() -> None:
    bench = Bench(a_rule(disable_on_gone="yes"))
    bench.control.ended(a_claim(), RefusedOutcome(410))
    assert [*bench.control.to_end] == [LANE]
    assert bench.held_back == [LANE]


async def test_a_due_callback_ends_if_its_destination_is_disabled_and_waits_otherwise() -> None:
    bench = Bench()
    bench.begin_with(DISABLED)
    bench.begin_with(OPEN, OTHER_LANE)
    for lane in (LANE, OTHER_LANE):
        bench.control.blocked(lane)
    assert [*bench.control.to_end] == [LANE]


async def test_the_schedule_of_the_account_counts() -> None:
    bench = Bench(QUICK)
    faithful = a_claim()._replace(account=an_account(schedule=FAITHFUL))
    for _ in range(3):
        bench.control.ended(faithful, BROKEN)
    assert bench.control.valve(LANE).state.opened is None


# ---- events --------------------------------------------------------------------------------------


async def saved(bench: Bench, change: StateChange | None) -> MemoryStore:
    store = MemoryStore()
    assert change is not None
    await store.transact(lambda tx: bench.control.save(tx, change))
    return store


async def test_a_change_is_stored_and_its_events_are_told_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(QUICK)
    bench.fail()
    change = bench.fail()
    with caplog.at_level(logging.WARNING):
        store = await saved(bench, change)
    assert (
        await store.read(lambda tx: tx.destinations.state_of(LANE))
        == bench.control.valve(LANE).state
    )
    assert [event.kind for event in bench.told] == ["destination.opened"]
    assert bench.control.events == {DestinationEventKind.OPENED: 1}
    [message] = caplog.messages
    assert message.startswith(
        f"destination.opened: http://a.example:80 of account {ACCOUNT_SID}: at least 50% of"
    )


async def test_events_of_a_transaction_that_is_rolled_back_do_not_count() -> None:
    bench, store = Bench(QUICK), MemoryStore()
    change = bench.fail(2)
    assert change is not None

    def work(tx: Transaction) -> None:
        bench.control.save(tx, change)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.transact(work)
    assert bench.control.events == {}
    assert await store.read(lambda tx: tx.destinations.states()) == []


@pytest.mark.parametrize("rules", [(NOTIFIED,), ()])
async def test_that_a_callback_has_failed_is_an_event_if_somebody_is_told(
    rules: Sequence[DestinationRule],
) -> None:
    bench, claim = Bench(*rules), a_claim(4)
    failed = ended(claim.progress, CallbackStatus.FAILED, "all rounds failed", NOW)
    change = bench.control.exhausted(claim, failed, None)
    if not rules:
        assert change is None
        return
    assert change is not None
    [event] = change.events
    assert (event.kind, event.reason, event.callback_sid) == (
        "callback.exhausted",
        "all rounds failed",
        sid(4),
    )
    assert bench.control.exhausted(claim, failed, None) == StateChange(LANE, change.state)


async def test_other_ends_are_no_event() -> None:
    bench, claim = Bench(NOTIFIED), a_claim()
    over = ended(claim.progress, CallbackStatus.DELIVERED, None, NOW)
    for progress in (over, claim.progress):
        assert bench.control.exhausted(claim, progress, None) is None


async def test_the_events_of_an_attempt_that_failed_for_good_are_stored_together() -> None:
    bench, claim = Bench(NOTIFIED, a_rule(disable_on_gone="yes")), a_claim()
    first = bench.control.ended(claim, RefusedOutcome(410))
    failed = ended(claim.progress, CallbackStatus.FAILED, "gone", NOW)
    change = bench.control.exhausted(claim, failed, first)
    assert change is not None
    assert [event.kind for event in change.events] == ["destination.disabled", "callback.exhausted"]
    assert change.state.disabled == NOW
    assert set(change.state.told) == {"destination.disabled", "callback.exhausted"}


# ---- states in the store -------------------------------------------------------------------------


async def test_nothing_is_sent_before_the_stored_states_are_known() -> None:
    bench, store = Bench(), await a_store_with((LANE, OPEN))
    bench.control.forget(ALL_SHARDS)
    assert not bench.control.knows(LANE.destination)
    assert bench.control.valve(LANE).blocked_until(NOW) == FOREVER
    assert not bench.control.valve(LANE).may_begin(sid(1), NOW)
    await bench.control.load(store)
    assert bench.control.knows(LANE.destination)
    assert bench.control.valve(LANE).blocked_until(NOW) == OPEN.probe_at
    assert bench.control.valve(OTHER_LANE).is_wide
    assert bench.looked == [LANE]
    assert bench.woken == 1


async def test_a_lane_that_was_in_use_has_the_state_that_another_process_stored() -> None:
    bench, store = Bench(), await a_store_with((LANE, OPEN))
    valve, other = bench.control.valve(LANE), bench.control.valve(OTHER_LANE)
    other.state = DISABLED
    bench.control.forget({SHARD, shard_of(OTHER_LANE.destination)})
    assert (valve.is_known, other.is_known, valve.is_wide) == (False, False, False)
    valve.probe = sid(1)
    await bench.control.load(store)
    assert (valve.state.opened, valve.probe) == (NOW, None)
    assert (other.state, other.is_wide) == (WELL, True)


async def test_only_forgotten_shards_are_unknown() -> None:
    bench = Bench()
    valve, other = bench.control.valve(LANE), bench.control.valve(OTHER_LANE)
    bench.control.forget({SHARD})
    assert bench.control.knows(OTHER_LANE.destination)
    assert (valve.is_known, other.is_known) == (False, True)
    bench.control.forget(())
    await bench.control.load(await a_store_with())
    assert valve.is_known


async def test_shards_that_are_forgotten_while_they_are_read_are_read_again() -> None:
    bench, store = Bench(), await a_store_with((LANE, OPEN))
    paused = PausedStore(store)
    bench.control.forget({SHARD})
    paused.may_tell.clear()
    loading = asyncio.create_task(bench.control.load(paused))
    await all_has_run()
    bench.control.forget({SHARD})
    await store.transact(lambda tx: tx.destinations.save_state(LANE, DISABLED))
    paused.may_tell.set()
    await loading
    assert paused.transactions == 2
    assert bench.control.valve(LANE).state == DISABLED


async def test_the_time_in_which_nobody_sent_probes_does_not_count() -> None:
    late = OPEN._replace(seen=NOW + MINUTE)
    bench, store = Bench(), await a_store_with((LANE, late), (OTHER_LANE, DISABLED))
    bench.clock.advance(5 * MINUTE)
    bench.control.forget(ALL_SHARDS)
    await bench.control.load(store)
    assert bench.control.valve(LANE).state.gaps == ((NOW + MINUTE, NOW + 5 * MINUTE),)
    assert bench.control.valve(OTHER_LANE).state == DISABLED


async def test_what_was_set_meanwhile_is_learnt_with_the_states() -> None:
    bench, store = Bench(), await a_store_with()
    await store.transact(lambda tx: tx.destinations.save(set_at_run_time(rate="5")))
    bench.control.forget({SHARD})
    await bench.control.load(store)
    assert bench.control.valve(LANE).settings.rate == 5


# ---- what people set -----------------------------------------------------------------------------


async def test_a_pause_holds_back_what_was_claimed_and_its_end_gives_a_turn() -> None:
    bench = Bench()
    valve = bench.control.valve(LANE)
    bench.control.valve(OTHER_LANE)
    bench.book.learn([set_at_run_time("http://a.example", pause=DestinationPause(NOW))])
    assert valve.blocked_until(NOW) == FOREVER
    assert bench.held_back == bench.looked == [LANE]
    bench.book.learn([set_at_run_time("http://a.example", revision=2, resumed=NOW)])
    assert valve.is_wide
    assert (bench.held_back, bench.looked, bench.woken) == ([LANE], [LANE, LANE], 2)


@pytest.mark.parametrize("state", [OPEN, DISABLED], ids=["open", "disabled"])
@pytest.mark.parametrize("after", [-1, 0, 1])
async def test_who_resumes_a_destination_lets_it_begin_anew(
    state: DestinationState, after: int
) -> None:
    bench = Bench()
    bench.begin_with(state)
    resumed = NOW + after * SECOND
    bench.book.learn([set_at_run_time(resumed=resumed)])
    valve, is_anew = bench.control.valve(LANE), after >= 0
    assert valve.is_wide is is_anew
    assert valve.begins_slowly is is_anew
    assert await is_woken(bench.control) is is_anew
    assert [change.state.is_plain for change in bench.control.to_save] == [True] * is_anew


async def test_a_destination_that_was_resumed_while_nobody_knew_its_state_begins_anew_too() -> None:
    bench, store = Bench(), await a_store_with((LANE, DISABLED))
    await store.transact(lambda tx: tx.destinations.save(set_at_run_time(resumed=NOW + SECOND)))
    bench.control.forget(ALL_SHARDS)
    await bench.control.load(store)
    assert bench.control.valve(LANE).is_wide
    assert [change.state.is_plain for change in bench.control.to_save] == [True]


# ---- rates ---------------------------------------------------------------------------------------


def test_only_a_lane_with_a_rate_has_a_pacer() -> None:
    async def story() -> None:
        bench = Bench(a_rule("http://a.example", rate="5"))
        bench.begin_with(OPEN, OTHER_LANE)
        assert bench.control.pacer(OTHER_LANE) is None
        assert bench.control.pacer(Lane(ACCOUNT_SID, "http://c.example:80")) is None
        pacer = bench.control.pacer(LANE)
        assert pacer is not None
        assert bench.control.pacer(LANE) is pacer
        assert pacer.own is not None
        assert (pacer.own.rate, pacer.own.burst, pacer.shared) == (5, 2, None)

    run(story)


def test_another_rate_is_used_from_the_next_request_on() -> None:
    async def story() -> None:
        bench = Bench(a_rule(rate="5", burst="3"))
        pacer = bench.control.pacer(LANE)
        assert pacer is not None
        bench.book.learn([set_at_run_time(rate="2")])
        assert bench.control.pacer(LANE) is pacer
        assert pacer.own is not None
        assert (pacer.own.rate, pacer.own.burst) == (2, 3)

    run(story)


def test_without_a_rate_what_waited_is_sent_at_once() -> None:
    async def story() -> None:
        bench = Bench()
        bench.book.learn([set_at_run_time(rate="0.1")])
        pacer = bench.control.pacer(LANE)
        assert pacer is not None
        for number in range(3):
            pacer.add(a_claim(number))
        assert bench.released == []
        bench.book.learn([set_at_run_time(revision=2)])
        assert bench.released == [sid(0), sid(1), sid(2)]
        assert (bench.control.pacer(LANE), bench.control.valve(LANE).is_wide) == (None, True)

    run(story)


def test_a_token_makes_room_in_the_lane() -> None:
    async def story() -> None:
        bench = Bench(a_rule(rate="0.1"))
        bench.control.pacer(LANE)
        before = len(bench.looked)
        await asyncio.sleep(9.9)
        pacer = bench.control.pacer(LANE)
        assert pacer is not None
        pacer.pump()
        assert len(bench.looked) > before
        assert bench.woken == len(bench.looked)

    run(story)


def test_a_limited_valve_is_dropped_once_no_claim_waits_for_its_rate() -> None:
    async def story() -> None:
        bench = Bench(a_rule(rate="5"))
        valve, pacer = bench.control.valve(LANE), bench.control.pacer(LANE)
        assert pacer is not None
        pacer.add(a_claim())
        assert not bench.control.drop(LANE), "a claim waits"
        await asyncio.sleep(0.21)
        assert bench.released == [sid(1)]
        assert not bench.control.drop(LANE), "a request is about to leave"
        pacer.left(sid(1))
        assert bench.control.drop(LANE)
        assert bench.control.valve(LANE) is not valve

    run(story)


def test_accounts_share_the_total_rate_of_an_origin() -> None:
    async def story() -> None:
        bench = Bench(a_rule(total_rate="2", total_burst="3"), a_rule(rate="1"))
        lanes = [
            LANE,
            LANE._replace(account_sid=OTHER_ACCOUNT_SID),
            LANE._replace(destination=f"{LANE.destination}/app/*"),
            OTHER_LANE,
        ]
        pacers = [bench.control.pacer(lane) for lane in lanes]
        first, second, part, other = [pacer and pacer.shared for pacer in pacers]
        assert first is not None
        assert (first is second, first is part, first is other) == (True, True, False)
        assert (first.bucket.rate, first.bucket.burst) == (2, 3)

    run(story)


def test_claims_that_wait_for_their_rate_can_be_taken() -> None:
    async def story() -> None:
        bench = Bench(a_rule(rate="0.1"))
        for number, lane in enumerate((LANE, OTHER_LANE)):
            pacer = bench.control.pacer(lane)
            assert pacer is not None
            pacer.add(a_claim(number, lane))
        taken = bench.control.take_unsent()
        assert [claim.callback.sid for claim in taken] == [sid(0), sid(1)]
        assert bench.control.take_unsent() == []

    run(story)


@pytest.mark.parametrize("given", [{"rate": "1"}, {"total_rate": "1"}], ids=str)
def test_a_lane_that_comes_back_to_this_process_has_all_its_tokens(given: dict[str, str]) -> None:
    async def story() -> None:
        rate, total_rate = given.get("rate", "none"), given.get("total_rate", "none")
        bench, store = Bench(a_rule(rate=rate, total_rate=total_rate)), await a_store_with()
        pacer = bench.control.pacer(LANE)
        assert pacer is not None
        for number in range(3):
            pacer.add(a_claim(number))
        await asyncio.sleep(1.01)
        assert bench.released == [sid(0)]
        bench.control.forget({SHARD})
        await bench.control.load(store)
        assert bench.released == [sid(0), sid(1), sid(2)], "their lease is over: they go back"
        again = bench.control.pacer(LANE)
        assert again is not None
        assert again is not pacer
        again.add(a_claim(4))
        await asyncio.sleep(1.01)
        assert bench.released[3:] == [sid(4)]

    run(story)


# ---- for metrics and people ----------------------------------------------------------------------


async def test_stopped_lanes_are_counted_by_what_stops_them() -> None:
    bench = Bench()
    states = [OPEN, OPEN, DISABLED, WELL._replace(held_until=NOW + SECOND), WELL]
    for number, state in enumerate(states):
        bench.begin_with(state, Lane(ACCOUNT_SID, f"http://h{number}.example:80"))
    bench.control.valve(LANE)
    bench.book.learn([set_at_run_time(HOST, pause=DestinationPause(NOW))])
    counts = {"disabled": 1, "damaged": 0, "paused": 1, "open": 2, "held": 1}
    assert bench.control.count_stopped() == counts
    bench.clock.advance(SECOND)
    assert bench.control.count_stopped()["held"] == 0


async def test_an_event_without_a_change_is_told_and_counted_too() -> None:
    bench, store = Bench(), MemoryStore()
    event = bench.control.valve(LANE).event(DestinationEventKind.PAUSED, "a deployment", NOW)
    await store.transact(lambda tx: bench.control.tell(tx, [event], ()))
    assert bench.told == [event]
    assert bench.control.events == {DestinationEventKind.PAUSED: 1}
