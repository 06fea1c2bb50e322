"""The scheduler: which lane is next, and how many slots each account and lane may take."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from threading import Barrier, Thread

import pytest

from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.core.retry_schedule import PERSISTENT
from ringback.delivery import fair_scheduler as scheduler_module
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.lane_valve import LaneValve
from ringback.ports import DestinationPause, Lane, LaneQuota, lane_of
from tests.destinations import OPERATOR, a_rule, set_at_run_time
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, SeededRandomness, a_callback

SECOND = timedelta(seconds=1)
A1, A2, A3 = (Lane("account A", f"destination {number}") for number in (1, 2, 3))
B1, B2 = (Lane("account B", f"destination {number}") for number in (1, 2))
C1 = Lane("account C", "destination 1")
SHORTAGE = NoAnswerOutcome(AttemptFailure.SHORTAGE, "too many open files")
NO_PORT = NoAnswerOutcome(AttemptFailure.NO_LOCAL_PORT, "all ports are taken")


def many(*, at_once: int = 1000, per_destination: int = 64) -> FairScheduler:
    """Return a scheduler; limits that a test does not set are large."""
    return FairScheduler(at_once=at_once, per_destination=per_destination)


def take_all(scheduler: FairScheduler, lane: Lane) -> int:
    """Take slots one by one until none is free; return their number."""
    return next(taken for taken in count() if not scheduler.try_take(lane, NOW))


def widen(scheduler: FairScheduler, lane: Lane, by: int) -> None:
    for _ in range(by):
        scheduler.answered(lane, slots=0)


def claim_all(
    scheduler: FairScheduler, *, limit: int = 1000, now: datetime = NOW
) -> dict[Lane, int]:
    """Claim as the delivery does, from lanes with endless callbacks, until no slot is free.

    Return the number of slots of each lane.
    """
    taken = dict[Lane, int]()
    while quotas := scheduler.due(now, limit=limit):
        for quota in quotas:
            taken[quota.lane] = taken.get(quota.lane, 0) + quota.limit
            scheduler.claimed(quota, quota.limit, next_due=now)
    return taken


def test_a_lane_is_of_one_account_and_one_destination() -> None:
    callback = a_callback(url="https://A.example/path?foo=bar#rc=2")
    assert lane_of(callback) == Lane(ACCOUNT_SID, "https://a.example:443")


# ---- windows -------------------------------------------------------------------------------------


def test_a_new_lane_may_have_16_in_flight() -> None:
    scheduler = many()
    assert take_all(scheduler, A1) == 16
    assert scheduler.under_way == 16


def test_each_answer_widens_the_window_by_one() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + SECOND)
    widen(scheduler, A1, 5)
    assert take_all(scheduler, A1) == 21


def test_the_window_is_at_most_four_times_the_limit_of_a_destination() -> None:
    scheduler = many(per_destination=5)
    scheduler.expect(A1, NOW + SECOND)
    widen(scheduler, A1, 100)
    assert take_all(scheduler, A1) == 20


@pytest.mark.parametrize(("failures", "window"), [(1, 8), (2, 4), (3, 2), (10, 2)], ids=str)
def test_each_failure_halves_the_window_down_to_two(failures: int, window: int) -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + SECOND)
    for _ in range(failures):
        scheduler.failed(A1, slots=0)
    assert take_all(scheduler, A1) == window


def test_an_answer_returns_its_slot_and_one_more() -> None:
    scheduler = many()
    take_all(scheduler, A1)
    scheduler.answered(A1, slots=1)
    assert take_all(scheduler, A1) == 2
    assert scheduler.under_way == 17


def test_a_failure_returns_its_slot_but_the_lane_gets_none_until_its_window_allows() -> None:
    scheduler = many()
    take_all(scheduler, A1)
    scheduler.failed(A1, slots=1)
    assert (scheduler.under_way, take_all(scheduler, A1)) == (15, 0)
    for _ in range(8):
        scheduler.give_back(A1)
    assert (scheduler.under_way, take_all(scheduler, A1)) == (7, 1)


def test_the_window_of_one_lane_does_not_affect_another() -> None:
    scheduler = many()
    for lane in (A1, A2, B1):
        scheduler.expect(lane, NOW + SECOND)
    scheduler.failed(A1, slots=0)
    assert [take_all(scheduler, lane) for lane in (A1, A2, B1)] == [8, 16, 16]


# ---- new callbacks -------------------------------------------------------------------------------


def test_a_new_callback_does_not_overtake_due_ones_in_its_lane() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    assert not scheduler.try_take(A1, NOW)
    assert scheduler.under_way == 0


def test_a_new_callback_comes_before_later_ones() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + SECOND)
    assert scheduler.try_take(A1, NOW)


def test_while_a_lane_is_being_claimed_it_counts_as_empty() -> None:
    # Otherwise one claim would send all new callbacks of that time through the store.
    scheduler = many()
    scheduler.expect(A1, NOW)
    (quota,) = scheduler.due(NOW, limit=1)
    assert scheduler.try_take(A1, NOW)
    scheduler.claimed(quota, 1, next_due=NOW)
    assert not scheduler.try_take(A1, NOW)


def test_due_callbacks_in_one_lane_delay_no_other() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    assert scheduler.try_take(A2, NOW)
    assert scheduler.try_take(B1, NOW)


# ---- fair shares ---------------------------------------------------------------------------------


def test_a_lane_takes_no_more_than_it_leaves_to_its_account() -> None:
    # Of 90 slots, 30 go to the lane, 30 to others of its account, and 30 to other accounts.
    scheduler = many(at_once=90)
    scheduler.expect(A1, NOW + SECOND)
    widen(scheduler, A1, 100)
    assert take_all(scheduler, A1) == 30


def test_an_account_takes_no_more_than_it_leaves_free() -> None:
    scheduler = many(at_once=40)
    for number in range(100):
        take_all(scheduler, Lane("account A", f"destination {number}"))
    assert scheduler.under_way == 20


def test_the_next_account_takes_a_third_and_the_one_after_it_a_quarter() -> None:
    scheduler, taken = many(at_once=120), list[int]()
    for account in ("A", "B", "C", "D"):
        before = scheduler.under_way
        for number in range(100):
            take_all(scheduler, Lane(f"account {account}", f"destination {number}"))
        taken.append(scheduler.under_way - before)
    # Each account leaves as many free as it takes: 60 of 120, 30 of 60, and so on.
    assert taken == [60, 30, 15, 8]


@pytest.mark.parametrize(("hogs", "share"), [(1, 60), (2, 40), (3, 30), (5, 20)])
def test_accounts_that_flood_together_get_equal_shares_and_leave_another_one(
    hogs: int, share: int
) -> None:
    scheduler, taken = many(at_once=120), dict.fromkeys(range(hogs), 0)
    for number in range(100):
        for hog in range(hogs):
            taken[hog] += scheduler.try_take(Lane(f"hog {hog}", f"destination {number}"), NOW)
    assert taken == dict.fromkeys(range(hogs), share)
    assert 120 - scheduler.under_way == share


def test_a_claim_takes_no_more_than_single_slots_would() -> None:
    one_by_one, at_once = many(at_once=90), many(at_once=90)
    for scheduler in (one_by_one, at_once):
        scheduler.expect(A1, NOW + SECOND)
        widen(scheduler, A1, 100)
    at_once.expect(A1, NOW)
    assert (
        sum(quota.limit for quota in at_once.due(NOW, limit=1000)) == take_all(one_by_one, A1) == 30
    )


def test_a_waiting_flood_leaves_half_of_the_slots_to_others() -> None:
    scheduler = many(at_once=60)
    for number in range(100):
        scheduler.expect(Lane("hog", f"destination {number}"), NOW)
    claim_all(scheduler)
    assert scheduler.under_way == 30
    assert take_all(scheduler, C1) > 0


# ---- due callbacks -------------------------------------------------------------------------------


def test_without_expected_callbacks_nothing_is_due() -> None:
    scheduler = many()
    assert scheduler.due(NOW, limit=10) == []
    assert scheduler.next_due() is None


def test_a_lane_is_due_at_its_instant_and_not_before() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + SECOND)
    assert scheduler.due(NOW + SECOND - timedelta(microseconds=1), limit=10) == []
    assert scheduler.due(NOW + SECOND, limit=10) == [LaneQuota(A1, 10, NOW + SECOND)]


def test_requested_callbacks_take_slots() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    assert scheduler.due(NOW, limit=10) == [LaneQuota(A1, 10, NOW)]
    assert scheduler.under_way == 10


def test_a_lane_requests_no_more_than_its_window() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    assert scheduler.due(NOW, limit=1000) == [LaneQuota(A1, 16, NOW)]


def test_unused_slots_of_a_request_are_freed() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    (quota,) = scheduler.due(NOW, limit=10)
    scheduler.claimed(quota, 3, next_due=None)
    assert scheduler.under_way == 3
    assert scheduler.due(NOW + timedelta(days=365), limit=10) == []


def test_a_lane_with_more_callbacks_is_due_again_at_their_time() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    (quota,) = scheduler.due(NOW, limit=10)
    scheduler.claimed(quota, 3, next_due=NOW + SECOND)
    assert scheduler.next_due() == NOW + SECOND
    assert scheduler.due(NOW, limit=10) == []
    assert scheduler.due(NOW + SECOND, limit=10) == [LaneQuota(A1, 10, NOW + SECOND)]


def test_accounts_take_turns_however_many_lanes_they_have() -> None:
    scheduler = many()
    for lane in (A1, A2, A3, B1):
        scheduler.expect(lane, NOW)
    quotas = scheduler.due(NOW, limit=4)
    assert quotas == [
        LaneQuota(A1, 1, NOW),
        LaneQuota(B1, 1, NOW),
        LaneQuota(A2, 1, NOW),
        LaneQuota(A3, 1, NOW),
    ]


def test_the_lanes_of_an_account_take_turns() -> None:
    scheduler = many()
    for lane in (A1, A2):
        scheduler.expect(lane, NOW)
    order = list[Lane]()
    for _ in range(4):
        (quota,) = scheduler.due(NOW, limit=1)
        order.append(quota.lane)
        scheduler.claimed(quota, 1, next_due=NOW)
    assert order == [A1, A2, A1, A2]


def test_a_lane_that_got_no_turn_is_the_first_next_time() -> None:
    scheduler = many()
    for lane in (A1, B1, C1):
        scheduler.expect(lane, NOW)
    asked = list[Lane]()
    for _ in range(3):
        (quota,) = scheduler.due(NOW, limit=1)
        asked.append(quota.lane)
        scheduler.claimed(quota, 1, next_due=NOW)
    assert asked == [A1, B1, C1]


@pytest.mark.parametrize(("limit", "asked"), [(1, 1), (4, 4), (6, 6), (13, 12), (1000, 96)])
def test_requests_never_exceed_the_limit(limit: int, asked: int) -> None:
    scheduler = many()
    for lane in (A1, A2, A3, B1, B2, C1):
        scheduler.expect(lane, NOW)
    assert sum(quota.limit for quota in scheduler.due(NOW, limit=limit)) == asked


def test_the_limit_is_shared_by_the_due_lanes() -> None:
    scheduler = many()
    for lane in (A1, B1, C1):
        scheduler.expect(lane, NOW)
    assert scheduler.due(NOW, limit=30) == [
        LaneQuota(A1, 10, NOW),
        LaneQuota(B1, 10, NOW),
        LaneQuota(C1, 10, NOW),
    ]


def test_a_thousand_lanes_of_one_account_delay_no_other_account() -> None:
    scheduler = many()
    for number in range(1000):
        scheduler.expect(Lane("account A", f"destination {number}"), NOW)
    scheduler.expect(B1, NOW)
    assert B1 in [quota.lane for quota in scheduler.due(NOW, limit=2)]


def test_an_account_without_room_is_skipped_and_keeps_its_place() -> None:
    scheduler = many(at_once=6)
    for lane in (A1, A2, A3):
        scheduler.expect(lane, NOW)
    assert scheduler.due(NOW, limit=100) == [LaneQuota(A1, 2, NOW), LaneQuota(A2, 1, NOW)]
    scheduler.expect(B1, NOW)
    scheduler.expect(C1, NOW)
    assert scheduler.due(NOW, limit=1) == [LaneQuota(B1, 1, NOW)]
    for _ in range(2):
        scheduler.give_back(A1)
    # Two slots are free now; the account that was skipped is in front.
    assert scheduler.due(NOW, limit=1) == [LaneQuota(A3, 1, NOW)]


# ---- lanes without room --------------------------------------------------------------------------


def a_full_lane() -> FairScheduler:
    """Return a scheduler with a lane whose window is full, and more callbacks due in it."""
    scheduler = many()
    scheduler.expect(A1, NOW)
    assert claim_all(scheduler) == {A1: 16}
    return scheduler


def test_a_lane_with_a_full_window_requests_nothing() -> None:
    scheduler = a_full_lane()
    assert scheduler.due(NOW + SECOND, limit=10) == []
    assert scheduler.next_due() is None


def test_a_lane_with_a_full_window_returns_when_a_slot_is_freed() -> None:
    scheduler = a_full_lane()
    scheduler.give_back(A1)
    assert scheduler.due(NOW, limit=10) == [LaneQuota(A1, 1, NOW)]


def test_a_lane_with_a_full_window_returns_with_an_answer() -> None:
    scheduler = a_full_lane()
    scheduler.answered(A1, slots=1)
    assert scheduler.due(NOW, limit=10) == [LaneQuota(A1, 2, NOW)]


def test_a_lane_with_a_halved_window_returns_once_it_has_room() -> None:
    scheduler = a_full_lane()
    scheduler.failed(A1, slots=1)
    for _ in range(7):
        assert scheduler.due(NOW, limit=10) == []
        scheduler.give_back(A1)
    assert scheduler.due(NOW, limit=10) == []
    scheduler.give_back(A1)
    assert scheduler.due(NOW, limit=10) == [LaneQuota(A1, 1, NOW)]


def test_a_retry_that_keeps_its_slot_returns_no_lane() -> None:
    scheduler = a_full_lane()
    scheduler.failed(A1, slots=0)
    assert scheduler.due(NOW, limit=10) == []
    assert scheduler.under_way == 16


# ---- the next instant ----------------------------------------------------------------------------


def test_the_next_instant_is_that_of_the_first_lane() -> None:
    scheduler = many()
    for lane, seconds in ((A1, 3), (B1, 1), (C1, 2)):
        scheduler.expect(lane, NOW + seconds * SECOND)
    assert scheduler.next_due() == NOW + SECOND


def test_an_earlier_due_time_moves_its_lane_forward() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + 3 * SECOND)
    scheduler.expect(A1, NOW + SECOND)
    assert scheduler.next_due() == NOW + SECOND
    assert scheduler.due(NOW + SECOND, limit=5) == [LaneQuota(A1, 5, NOW + SECOND)]


def test_a_claimed_lane_is_not_due_at_a_former_instant() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + 3 * SECOND)
    scheduler.expect(A1, NOW + SECOND)
    (quota,) = scheduler.due(NOW + SECOND, limit=5)
    scheduler.claimed(quota, 2, next_due=None)
    assert scheduler.next_due() is None


def test_a_later_due_time_does_not_postpone_its_lane() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + SECOND)
    scheduler.expect(A1, NOW + 3 * SECOND)
    assert scheduler.next_due() == NOW + SECOND


def test_an_already_due_lane_waits_for_slots_and_is_not_next() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    scheduler.expect(B1, NOW + SECOND)
    scheduler.due(NOW, limit=1)
    assert scheduler.next_due() == NOW + SECOND


def test_a_callback_that_arrives_during_a_claim_is_not_forgotten() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW)
    (quota,) = scheduler.due(NOW, limit=16)
    # The claim saw one due callback and a later one; then a new due callback arrived.
    scheduler.expect(A1, NOW)
    scheduler.claimed(quota, 1, next_due=NOW + 3600 * SECOND)
    assert scheduler.due(NOW, limit=16) == [LaneQuota(A1, 15, NOW)]


def test_later_due_times_do_not_pile_up_with_each_answer() -> None:
    scheduler = many()
    scheduler.expect(A1, NOW + 3600 * SECOND)
    for _ in range(1000):
        assert scheduler.try_take(A1, NOW)
        scheduler.answered(A1, slots=1)
    assert len(scheduler._future) < 100
    assert scheduler.next_due() == NOW + 3600 * SECOND


def test_later_due_times_do_not_pile_up_with_each_claim() -> None:
    scheduler = many()
    scheduler.expect(B1, NOW + 7200 * SECOND)
    for _ in range(1000):
        scheduler.expect(A1, NOW)
        (quota,) = scheduler.due(NOW, limit=1)
        scheduler.claimed(quota, 0, next_due=NOW + 3600 * SECOND)
    assert len(scheduler._future) < 100
    assert [quota.lane for quota in scheduler.due(NOW + 7200 * SECOND, limit=10)] == [A1, B1]


# ---- idle lanes ----------------------------------------------------------------------------------


def test_idle_lanes_and_accounts_are_forgotten_beyond_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler_module, "_MOST_IDLE", 10)
    scheduler = many()
    for number in range(1000):
        lane = Lane(f"account {number}", "destination")
        assert scheduler.try_take(lane, NOW)
        scheduler.give_back(lane)
    assert len(scheduler._lanes) <= 12
    assert len(scheduler._accounts) <= 12


def test_lanes_in_use_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "_MOST_IDLE", 10)
    scheduler = many()
    assert scheduler.try_take(A1, NOW)
    scheduler.expect(B1, NOW + SECOND)
    scheduler.expect(C1, NOW)
    (asked,) = scheduler.due(NOW, limit=16)
    for number in range(100):
        lane = Lane("account D", f"destination {number}")
        assert scheduler.try_take(lane, NOW)
        scheduler.give_back(lane)
    scheduler.give_back(A1)
    scheduler.claimed(asked, 1, next_due=None)
    scheduler.answered(C1, slots=1)
    assert scheduler.under_way == 0
    assert scheduler.next_due() == NOW + SECOND
    (later,) = scheduler.due(NOW + SECOND, limit=1)
    scheduler.claimed(later, 1, next_due=None)
    scheduler.answered(B1, slots=1)
    assert (later, scheduler.under_way) == (LaneQuota(B1, 1, NOW + SECOND), 0)


# ---- two threads ---------------------------------------------------------------------------------


def take_and_give_back(scheduler: FairScheduler, seed: int, highest: list[int]) -> None:
    """Take slots and free them in some order, until none is taken."""
    random, held = Random(seed), list[Lane]()
    for _ in range(3000):
        lane = random.choice((A1, A2, B1, B2, C1))
        if scheduler.try_take(lane, NOW):
            held.append(lane)
            highest.append(scheduler.under_way)
        if len(held) > random.randrange(6):
            end(scheduler, held.pop(random.randrange(len(held))), random)
    for lane in held:
        scheduler.give_back(lane)


def claim_and_answer(scheduler: FairScheduler, seed: int, highest: list[int]) -> None:
    """Claim due callbacks, of which only some exist, and answer all of them."""
    random = Random(seed)
    for number in range(3000):
        scheduler.expect(random.choice((A1, A2, B1, B2, C1)), NOW + timedelta(microseconds=number))
        for quota in scheduler.due(NOW + timedelta(microseconds=number), limit=8):
            yielded = random.randint(0, quota.limit)
            scheduler.claimed(quota, yielded, next_due=None)
            highest.append(scheduler.under_way)
            for _ in range(yielded):
                end(scheduler, quota.lane, random)


def end(scheduler: FairScheduler, lane: Lane, random: Random) -> None:
    match random.randrange(3):
        case 0:
            scheduler.give_back(lane)
        case 1:
            scheduler.answered(lane, slots=1)
        case _:
            scheduler.failed(lane, slots=1)


def run_at_once(*jobs: Callable[[], None]) -> None:
    """Run each job in its own thread; the threads switch as often as possible."""
    all_are_there = Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        all_are_there.wait()
        job()

    threads = [Thread(target=run, args=(job,)) for job in jobs]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)


def test_threads_that_take_and_free_slots_at_once_end_with_none_taken() -> None:
    scheduler, highest = many(at_once=40), list[int]()
    takers = [partial(take_and_give_back, scheduler, seed, highest) for seed in range(4)]
    run_at_once(*takers, partial(claim_and_answer, scheduler, 4, highest))
    assert scheduler.under_way == 0
    assert 1 < max(highest) <= 40
    # No account has a slot left, either.
    assert take_all(scheduler, Lane("account A", "new")) == take_all(many(at_once=40), A1)


def test_threads_never_take_the_same_slot() -> None:
    scheduler, under_way = many(at_once=1), list[int]()

    def take_the_one_slot() -> None:
        for _ in range(10_000):
            if scheduler.try_take(A1, NOW):
                under_way.append(scheduler.under_way)
                scheduler.give_back(A1)

    run_at_once(*[take_the_one_slot] * 4)
    assert set(under_way) == {1}


# ---- pauses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shortage", [NO_PORT, SHORTAGE])
def test_a_pause_frees_the_slots_and_keeps_the_window(shortage: NoAnswerOutcome) -> None:
    scheduler = many()
    assert take_all(scheduler, A1) == 16
    until = {scheduler.rest(A1, NOW, shortage) for _ in range(16)}
    assert until == {NOW + SECOND / 4}, "all that fail at once wait together"
    assert scheduler.under_way == 0
    scheduler.expect(A1, NOW)
    assert claim_all(scheduler) == {}
    assert not scheduler.try_take(A1, NOW)
    assert scheduler.next_due() == NOW + SECOND / 4
    assert claim_all(scheduler, now=NOW + SECOND / 4) == {A1: 16}


def test_a_paused_lane_delays_no_other() -> None:
    scheduler = many()
    assert scheduler.try_take(A1, NOW)
    scheduler.rest(A1, NOW, NO_PORT)
    assert not scheduler.try_take(A1, NOW)
    assert scheduler.try_take(A2, NOW)
    assert scheduler.try_take(B1, NOW)


def test_a_pause_does_not_hide_callbacks_that_are_due_before_its_end() -> None:
    scheduler = many()
    assert scheduler.try_take(A1, NOW)
    until = scheduler.rest(A1, NOW, NO_PORT)
    scheduler.expect(A1, NOW)
    scheduler.expect(A1, NOW - SECOND)
    scheduler.expect(A1, NOW + SECOND)
    [quota] = scheduler.due(until)
    assert quota.since == NOW - SECOND


def rests(scheduler: FairScheduler, count: int) -> list[float]:
    """Return the seconds of this many pauses, one right after the other."""
    now, lengths = NOW, list[float]()
    for _ in range(count):
        assert scheduler.try_take(A1, now)
        until = scheduler.rest(A1, now, SHORTAGE)
        lengths.append((until - now).total_seconds())
        now = until
    return lengths


def test_pauses_grow_up_to_eight_seconds() -> None:
    assert rests(many(), 8) == [0.25, 0.5, 1, 2, 4, 8, 8, 8]


def test_after_a_request_got_through_a_pause_is_short_again() -> None:
    scheduler = many()
    rests(scheduler, 5)
    later = NOW + 60 * SECOND
    assert scheduler.try_take(A1, later)
    scheduler.answered(A1, slots=1)
    assert scheduler.try_take(A1, later)
    assert scheduler.rest(A1, later, SHORTAGE) == later + SECOND / 4


def test_a_clock_set_back_does_not_prolong_a_pause() -> None:
    scheduler = many()
    assert scheduler.try_take(A1, NOW)
    scheduler.rest(A1, NOW, SHORTAGE)
    assert scheduler.try_take(A1, NOW - 3600 * SECOND)


# ---- several accounts ----------------------------------------------------------------------------


def test_lanes_are_shared_for_a_second_after_another_account_got_a_slot() -> None:
    scheduler = many()
    for lane in (A1, A2, B1):
        assert not scheduler.are_shared(NOW)
        assert scheduler.try_take(lane, NOW)
    assert scheduler.are_shared(NOW + 0.9 * SECOND)
    assert not scheduler.are_shared(NOW + SECOND)


def test_slots_are_used_for_a_second_after_one_was_taken() -> None:
    scheduler = many()
    assert not scheduler.is_used(NOW)
    scheduler.try_take(A1, NOW)
    assert scheduler.is_used(NOW + 0.9 * SECOND)
    assert not scheduler.is_used(NOW + SECOND)
    assert not scheduler.is_used(NOW - 3600 * SECOND)


def test_a_waiting_account_shares_nothing_until_its_turn_comes() -> None:
    scheduler = many()
    scheduler.try_take(A1, NOW)
    scheduler.expect(B1, NOW)
    assert not scheduler.are_shared(NOW)
    assert claim_all(scheduler)[B1] == 16
    assert scheduler.are_shared(NOW)


def test_a_single_account_shares_with_nobody_however_many_lanes_it_has() -> None:
    scheduler = many()
    for lane in (A1, A2, A3, A1):
        scheduler.try_take(lane, NOW)
        scheduler.expect(lane, NOW)
    claim_all(scheduler)
    assert not scheduler.are_shared(NOW)


def test_a_clock_set_back_does_not_make_accounts_share_forever() -> None:
    scheduler = many()
    scheduler.try_take(A1, NOW)
    scheduler.try_take(B1, NOW)
    assert not scheduler.are_shared(NOW - 3600 * SECOND)


# ---- valves --------------------------------------------------------------------------------------


OPEN = DestinationState(opened=NOW, probe_at=NOW + SECOND, seen=NOW)
DISABLED = DestinationState(disabled=NOW, seen=NOW)


class Valves:
    """A scheduler whose lanes have valves."""

    def __init__(self, *rules: DestinationRule) -> None:
        self.book = DestinationBook(rules, PERSISTENT)
        self.control = DestinationControl(
            self.book, clock=FakeClock(), random_source=SeededRandomness()
        )
        self.scheduler = FairScheduler(at_once=1000, per_destination=64, destinations=self.control)

    def valve(self, lane: Lane = A1) -> LaneValve:
        return self.control.valve(lane)

    def pause(self, until: datetime | None = None) -> None:
        """Pause all destinations."""
        self._set(DestinationPause(NOW, until), 1)

    def resume(self) -> None:
        self._set(None, 2)

    def _set(self, pause: DestinationPause | None, revision: int) -> None:
        self.book.learn([set_at_run_time(owner=OPERATOR, pause=pause, revision=revision)])


async def test_a_wide_valve_changes_nothing() -> None:
    scheduler = Valves().scheduler
    assert take_all(scheduler, A1) == 16
    scheduler.expect(B1, NOW)
    assert claim_all(scheduler) == {B1: 16}


async def test_a_stopped_lane_gets_no_slot_and_its_callbacks_wait() -> None:
    of = Valves()
    of.pause()
    assert not of.scheduler.try_take(A1, NOW)
    of.scheduler.expect(A1, NOW)
    assert claim_all(of.scheduler) == {}
    assert (of.scheduler.next_due(), of.scheduler.under_way) == (None, 0)


async def test_a_stopped_lane_delays_no_other_lane_of_its_account() -> None:
    of = Valves()
    of.valve().knows(OPEN)
    for lane in (A1, A2):
        of.scheduler.expect(lane, NOW)
    assert claim_all(of.scheduler) == {A2: 16}


async def test_a_lane_that_may_send_again_gets_its_turn_for_what_was_due_before() -> None:
    of = Valves()
    of.pause()
    of.scheduler.expect(A1, NOW - SECOND)
    assert claim_all(of.scheduler) == {}
    of.resume()
    assert of.scheduler.due(NOW, limit=10) == [LaneQuota(A1, 1, NOW - SECOND)]


async def test_what_comes_into_a_stopped_lane_waits_for_the_same_turn() -> None:
    of = Valves()
    of.pause()
    for due in (NOW - SECOND, NOW - 2 * SECOND):
        of.scheduler.expect(A1, due)
        assert claim_all(of.scheduler) == {}
    of.resume()
    [quota] = of.scheduler.due(NOW, limit=10)
    assert quota.since == NOW - 2 * SECOND


async def test_an_idle_lane_gets_no_turn_when_it_is_opened() -> None:
    of = Valves()
    assert of.scheduler.try_take(A1, NOW)
    of.scheduler.give_back(A1)
    of.pause()
    of.resume()
    assert (of.scheduler.due(NOW), of.scheduler.next_due()) == ([], None)


async def test_a_lane_is_asked_again_at_the_end_of_a_block_that_has_one() -> None:
    of = Valves()
    of.pause(NOW + 5 * SECOND)
    of.scheduler.expect(A1, NOW)
    assert claim_all(of.scheduler) == {}
    assert of.scheduler.next_due() == NOW + 5 * SECOND
    assert claim_all(of.scheduler, now=NOW + 5 * SECOND) == {A1: 1}


async def test_an_open_breaker_gets_one_slot_at_the_time_of_its_probe() -> None:
    of = Valves()
    of.valve().knows(OPEN)
    of.scheduler.expect(A1, NOW)
    assert claim_all(of.scheduler) == {}
    assert claim_all(of.scheduler, now=NOW + SECOND) == {A1: 1}
    assert not of.scheduler.try_take(A1, NOW + SECOND)


async def test_after_a_probe_the_lane_is_asked_again() -> None:
    of = Valves()
    of.valve().knows(OPEN)
    of.scheduler.expect(A1, NOW)
    claim_all(of.scheduler, now=NOW + SECOND)
    of.valve().state = OPEN._replace(probe_at=NOW + 9 * SECOND)
    of.scheduler.failed(A1, slots=1)
    assert claim_all(of.scheduler, now=NOW + 8 * SECOND) == {}
    assert claim_all(of.scheduler, now=NOW + 9 * SECOND) == {A1: 1}


async def test_callbacks_that_are_due_in_a_disabled_lane_have_to_end() -> None:
    of = Valves()
    of.valve().knows(DISABLED)
    of.scheduler.expect(A1, NOW)
    assert claim_all(of.scheduler) == {}
    assert [*of.control.to_end] == [A1]


async def test_a_lane_that_begins_slowly_has_a_window_of_one_that_grows() -> None:
    of = Valves()
    of.valve().begins_slowly = True
    taken = list[int]()
    for _ in range(4):
        taken.append(take_all(of.scheduler, A1))
        for _ in range(taken[-1]):
            of.scheduler.answered(A1, slots=1)
    assert taken == [1, 2, 4, 8]
    assert not of.valve().begins_slowly


def claim_once(scheduler: FairScheduler) -> int:
    """Claim once, as from a lane with many callbacks; return the number of slots."""
    scheduler.expect(A1, NOW)
    return sum(quota.limit for quota in scheduler.due(NOW))


async def test_a_limited_lane_takes_no_more_than_its_rate_allows() -> None:
    of = Valves(a_rule(rate="5"))
    assert claim_once(of.scheduler) == 1
    pacer = of.control.pacer(A1)
    assert pacer is not None
    of.scheduler.give_back(A1)
    assert claim_once(of.scheduler) == pacer.room


async def test_a_request_that_was_held_frees_its_slot_and_its_callback_is_due_at_once() -> None:
    of = Valves()
    assert of.scheduler.try_take(A1, NOW)
    held = NoAnswerOutcome(AttemptFailure.HELD, "it was paused")
    assert of.scheduler.unsent(A1, lambda: NOW, held) == NOW
    assert of.scheduler.under_way == 0
    assert of.scheduler.try_take(A1, NOW), "the lane does not rest"


async def test_only_what_was_not_sent_is_due_again() -> None:
    of = Valves()
    for _ in range(2):
        assert of.scheduler.try_take(A1, NOW)
    timeout = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "no answer came")
    assert of.scheduler.unsent(A1, lambda: NOW, timeout) is None
    assert of.scheduler.under_way == 2
    assert of.scheduler.unsent(A1, lambda: NOW, NO_PORT) == NOW + SECOND / 4


async def test_lanes_whose_valves_have_something_to_remember_are_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler_module, "_MOST_IDLE", 10)
    of = Valves()
    of.valve().knows(DISABLED)
    of.scheduler.expect(A1, NOW)
    assert claim_all(of.scheduler) == {}
    valve = of.valve()
    for number in range(100):
        lane = Lane("account D", f"destination {number}")
        assert of.scheduler.try_take(lane, NOW)
        of.scheduler.give_back(lane)
    assert len(of.scheduler._lanes) <= 12
    assert of.valve() is valve
    valve.reset(NOW)
    of.scheduler.look_again(A1)
    assert [quota.lane for quota in of.scheduler.due(NOW)] == [A1]
