"""A lane's valve: what attempts make of it, and whether its callbacks may be sent now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from ringback.core.calendar import DAY, HOUR
from ringback.core.destinations.destination_events import QUIET, DestinationEventKind
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.lane_valve import FOREVER, MANY, LaneValve
from ringback.ports import DestinationPause, StateChange
from tests.destinations import ACCOUNT, OPERATOR, a_rule, set_at_run_time
from tests.fakes import NOW
from tests.unit.delivery.parts import LANE, sid

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WELL_DONE, BROKEN, GONE = DeliveredOutcome(200), RefusedOutcome(500), RefusedOutcome(410)
NOT_SENT = NoAnswerOutcome(AttemptFailure.HELD, "it was paused")
QUICK = a_rule(breaker_least="2", breaker_share="50")
OPEN = DestinationState(opened=NOW, probe_at=NOW + 30 * SECOND, seen=NOW)


class Valve:
    """A valve, with a clock, and what becomes of it."""

    def __init__(
        self,
        *rules: DestinationRule,
        schedule: RetrySchedule = PERSISTENT,
        state: DestinationState = WELL,
    ) -> None:
        self.now = NOW
        self.schedule = schedule
        self.book = DestinationBook(rules, schedule)
        self.valve = LaneValve(LANE, self.book, state, NOW)

    def pass_(self, time: timedelta) -> None:
        self.now += time

    def end(
        self, outcome: Outcome, number: int = 1, *, schedule: RetrySchedule | None = None
    ) -> StateChange | None:
        """End an attempt of a callback."""
        schedule = schedule or self.schedule
        return self.valve.ended(sid(number), outcome, self.now, schedule, jitter=0.5)

    def fail(self, times: int = 1) -> list[DestinationEventKind]:
        """End some attempts that fail; return the events about that."""
        changes = [self.end(BROKEN) for _ in range(times)]
        return [event.kind for change in changes if change for event in change.events]

    def probe(self, outcome: Outcome, number: int = 7) -> StateChange | None:
        """Send a probe, and end it."""
        assert self.valve.may_begin(sid(number), self.now)
        return self.end(outcome, number)

    @property
    def blocked_until(self) -> datetime | None:
        return self.valve.blocked_until(self.now)

    def room(self, taken: int = 0) -> int:
        return self.valve.room(self.now, taken)

    def pause(self, pause: DestinationPause | None, *, revision: int = 1) -> None:
        """Let the account pause the destination, or resume it."""
        self.book.learn([set_at_run_time(pause=pause, revision=revision)])
        self.valve.set_up(self.now)


def kinds(change: StateChange | None) -> Sequence[str]:
    return [event.kind for event in change.events] if change else []


# ---- nothing is set, and nothing has happened ----------------------------------------------------


def test_a_valve_without_settings_is_wide_open() -> None:
    a = Valve()
    assert a.valve.is_wide
    assert (a.blocked_until, a.room(999), a.valve.why(NOW)) == (None, MANY, None)
    assert a.valve.may_begin(sid(1), NOW)
    assert a.valve.may_leave(sid(1), NOW)
    assert a.valve.goes_on


def test_what_succeeds_leaves_nothing_to_store() -> None:
    a = Valve()
    assert a.end(WELL_DONE) is None
    assert a.valve.state is WELL


@pytest.mark.parametrize("outcome", [BROKEN, GONE, NOT_SENT, UnknownOutcome()], ids=str)
def test_a_single_failure_leaves_nothing_to_store_either(outcome: Outcome) -> None:
    a = Valve()
    assert a.end(outcome) is None
    assert a.valve.is_wide


def test_a_lane_whose_state_is_not_known_yet_sends_nothing() -> None:
    a = Valve()
    a.valve.is_known = a.valve.is_wide = False
    assert (a.blocked_until, a.room()) == (FOREVER, 0)
    assert not a.valve.may_begin(sid(1), NOW)
    a.valve.knows(WELL)
    assert (a.valve.is_wide, a.room()) == (True, MANY)


def test_a_known_state_counts_at_once() -> None:
    a = Valve()
    a.valve.knows(OPEN)
    assert (a.valve.is_wide, a.blocked_until) == (False, OPEN.probe_at)


# ---- the breaker ---------------------------------------------------------------------------------


def test_a_breaker_opens_once_enough_requests_have_failed() -> None:
    a = Valve()
    assert a.fail(4) == []
    assert a.fail(5) == [DestinationEventKind.FAILING]
    assert a.valve.is_wide
    change = a.end(BROKEN)
    assert change is not None
    assert change.lane == LANE
    assert change.state == a.valve.state == DestinationState(NOW, NOW + 30 * SECOND, seen=NOW)
    [event] = change.events
    assert (event.kind, event.account_sid, event.destination) == ("destination.opened", *LANE)
    assert event.reason == (
        "at least 70% of the requests of the last 5m failed; of the last one: the receiver"
        " answered 500 Internal Server Error"
    )


def test_successes_keep_the_breaker_closed() -> None:
    a = Valve()
    for _ in range(4):
        a.end(WELL_DONE)
        assert a.fail(2) == []
    assert a.valve.state.opened is None


def test_failures_that_are_too_old_do_not_count() -> None:
    a = Valve()
    a.fail(9)
    a.pass_(6 * MINUTE)
    assert a.fail(4) == []
    assert a.valve.state.opened is None


def test_failures_of_this_machine_do_not_open_the_breaker() -> None:
    a = Valve(QUICK)
    assert [a.end(NOT_SENT) for _ in range(5)] == [None] * 5


def test_an_open_breaker_sends_nothing_until_the_time_of_its_probe() -> None:
    a = Valve(state=OPEN)
    a.pass_(29 * SECOND)
    assert (a.blocked_until, a.room()) == (NOW + 30 * SECOND, 0)
    assert not a.valve.may_begin(sid(1), a.now)
    assert not a.valve.may_leave(sid(1), a.now)
    a.pass_(SECOND)
    assert (a.blocked_until, a.room()) == (None, 1)
    assert a.valve.why(a.now) == "the breaker of the destination is open"
    assert not a.valve.goes_on


def test_there_is_one_probe_at_a_time() -> None:
    a = Valve(state=OPEN)
    a.pass_(30 * SECOND)
    assert (a.room(taken=0), a.room(taken=1)) == (1, 0)
    assert a.valve.may_begin(sid(1), a.now)
    # It was not sent, because this machine lacked something; so another one is the probe.
    assert a.valve.may_begin(sid(2), a.now)
    assert a.valve.may_leave(sid(2), a.now)
    assert a.valve.probe == sid(2)


def test_each_failed_probe_doubles_the_wait() -> None:
    a, waits = Valve(state=OPEN), list[float]()
    for number in range(7):
        a.now = a.valve.state.probe_at or a.now
        change = a.probe(BROKEN)
        assert change is not None
        assert (kinds(change), change.state.failed_probes) == ([], number + 1)
        waits.append(((change.state.probe_at or a.now) - a.now).total_seconds())
    assert waits == [60, 120, 240, 480, 600, 600, 600]
    assert a.valve.state.opened == NOW


def test_a_probe_that_succeeds_closes_the_breaker() -> None:
    a = Valve(state=OPEN)
    a.pass_(95 * SECOND)
    change = a.probe(WELL_DONE)
    assert change is not None
    assert change.state == WELL._replace(seen=a.now)
    [event] = change.events
    assert event.kind is DestinationEventKind.RECOVERED
    assert event.reason == ("the receiver answered 200 OK, after its breaker was open for 95s")
    assert (a.valve.is_wide, a.valve.begins_slowly) == (True, True)


def test_after_a_recovery_old_failures_do_not_count() -> None:
    a = Valve()
    a.fail(10)
    a.pass_(30 * SECOND)
    a.probe(WELL_DONE)
    assert a.fail(4) == []


def test_an_attempt_that_was_under_way_when_the_breaker_opened_is_no_probe() -> None:
    a = Valve(state=OPEN)
    a.pass_(30 * SECOND)
    assert a.valve.may_begin(sid(7), a.now)
    assert a.end(WELL_DONE, number=3) is None
    assert a.end(BROKEN, number=4) is None
    assert a.valve.state == OPEN
    assert a.valve.probe == sid(7)


@pytest.mark.parametrize("outcome", [NOT_SENT, UnknownOutcome()], ids=str)
def test_a_probe_that_tells_nothing_about_the_receiver_is_followed_by_another(
    outcome: Outcome,
) -> None:
    a = Valve(state=OPEN)
    a.pass_(30 * SECOND)
    assert a.probe(outcome) is None
    assert a.valve.state == OPEN
    assert a.valve.may_begin(sid(8), a.now)


def test_without_a_breaker_failures_are_only_told() -> None:
    a = Valve(schedule=FAITHFUL)
    assert a.fail(20) == [DestinationEventKind.FAILING]
    assert a.valve.state.opened is None
    assert a.valve.is_wide


def test_few_failures_after_many_begin_nothing_anew() -> None:
    a = Valve(schedule=FAITHFUL)
    assert a.fail(5) == [DestinationEventKind.FAILING]
    for _ in range(3):
        a.pass_(DAY)
        assert a.fail() == []
        assert a.fail(5) == []
    assert a.valve.state.failing_since == NOW


def test_since_when_a_destination_fails_is_stored_until_it_is_well() -> None:
    a = Valve(QUICK, schedule=FAITHFUL)
    a.fail()
    a.pass_(SECOND)
    assert a.end(BROKEN) is None
    assert a.valve.state == WELL._replace(failing_since=NOW, seen=NOW)
    changes = [change for _ in range(4) if (change := a.end(WELL_DONE)) is not None]
    assert [(change.events, change.state) for change in changes] == [
        ((), WELL._replace(seen=a.now))
    ]


def test_a_destination_that_fails_again_is_told_again() -> None:
    a = Valve(QUICK, schedule=FAITHFUL)
    assert a.fail() == [DestinationEventKind.FAILING]
    for _ in range(4):
        a.end(WELL_DONE)
    assert a.fail(9) == [DestinationEventKind.FAILING]


def test_answers_4xx_count_if_that_is_set() -> None:
    refused = RefusedOutcome(404)
    lenient, strict = Valve(QUICK), Valve(QUICK, a_rule(breaker_4xx="yes"))
    for _ in range(2):
        lenient.end(refused)
        strict.end(refused)
    assert (lenient.valve.state.opened, strict.valve.state.opened) == (None, NOW)


# ---- events --------------------------------------------------------------------------------------


def test_somebody_who_is_told_of_events_gets_each_kind_once_in_ten_minutes() -> None:
    mine = a_rule(owner=ACCOUNT, notify="https://n.example/")
    a, seen = Valve(QUICK, mine, schedule=FAITHFUL), list[timedelta]()
    for _ in range(5):
        if a.fail():
            seen.append(a.now - NOW)
        for _ in range(9):
            a.end(WELL_DONE)
        a.pass_(6 * MINUTE)
    assert seen == [timedelta(0), 12 * MINUTE, 24 * MINUTE]


def test_if_nobody_is_told_each_event_counts() -> None:
    a, seen = Valve(QUICK, schedule=FAITHFUL), 0
    for _ in range(5):
        seen += len(a.fail(2))
        for _ in range(9):
            a.end(WELL_DONE)
        a.pass_(6 * MINUTE)
    assert seen == 5
    assert a.valve.state.told == {}


def test_what_was_told_long_ago_is_forgotten() -> None:
    a = Valve(a_rule(owner=ACCOUNT, notify="https://n.example/"))
    change = a.valve.changed([a.valve.event(DestinationEventKind.PAUSED, "why", NOW)], NOW)
    assert change.state.told == {"destination.paused": NOW}
    change = a.valve.changed([], NOW + QUIET)
    assert (change.state.told, change.state.is_plain) == ({}, True)


# ---- holds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("20", 20), ("60", 60), ("61", 60), ("36000", 60), ("Wed, 03 Jul 2024 14:41:08 GMT", 10)],
)
def test_retry_after_holds_the_lane_for_a_minute_at_most(
    status: int, retry_after: str, seconds: int
) -> None:
    a = Valve()
    change = a.end(RefusedOutcome(status, retry_after=retry_after))
    assert change is not None
    until = NOW + seconds * SECOND
    assert change.state.held_until == a.blocked_until == until
    assert (a.room(), a.valve.goes_on) == (0, False)
    assert a.valve.why(NOW) == "the receiver has asked to wait (Retry-After)"
    assert (a.valve.why(until), a.valve.blocked_until(until)) == (None, None)


@pytest.mark.parametrize("retry_after", ["0", "soon", "Wed, 03 Jul 2024 14:00:00 GMT"])
def test_what_asks_for_no_wait_holds_nothing(retry_after: str) -> None:
    a = Valve()
    assert a.end(RefusedOutcome(503, retry_after=retry_after)) is None
    assert a.blocked_until is None


def test_a_later_answer_can_prolong_a_hold_and_not_shorten_it() -> None:
    a = Valve()
    for asked, held in (("20", 20), ("5", 20), ("30", 30)):
        a.end(RefusedOutcome(429, retry_after=asked))
        assert a.blocked_until == NOW + held * SECOND


def test_how_long_a_hold_may_be_can_be_set() -> None:
    a = Valve(a_rule(hold="2h"))
    a.end(RefusedOutcome(429, retry_after="7000"))
    assert a.blocked_until == NOW + 7000 * SECOND


@pytest.mark.parametrize("hold", ["none", None])
def test_nothing_is_held_under_the_faithful_schedule_or_if_that_is_set(hold: str | None) -> None:
    a = Valve(a_rule(hold=hold)) if hold else Valve(schedule=FAITHFUL)
    assert a.end(RefusedOutcome(429, retry_after="20")) is None
    assert a.valve.is_wide


def test_after_a_hold_the_next_answer_makes_the_valve_wide_again() -> None:
    a = Valve()
    a.end(RefusedOutcome(429, retry_after="20"))
    a.pass_(20 * SECOND)
    assert (a.valve.is_wide, a.room()) == (False, MANY)
    change = a.end(WELL_DONE)
    assert change is not None
    assert change.state.is_plain
    assert a.valve.is_wide


def test_a_held_lane_with_an_open_breaker_waits_for_the_later_of_both() -> None:
    a = Valve(state=OPEN._replace(held_until=NOW + 50 * SECOND))
    assert a.blocked_until == NOW + 50 * SECOND
    a.pass_(50 * SECOND)
    assert a.room() == 1


@pytest.mark.parametrize(
    ("state", "stopped", "while_paused"),
    [
        (WELL, None, "paused"),
        (WELL._replace(held_until=NOW), None, "paused"),
        (WELL._replace(held_until=NOW + HOUR), "held", "paused"),
        (OPEN._replace(held_until=NOW + HOUR), "open", "paused"),
        (OPEN._replace(disabled=NOW), "disabled", "disabled"),
    ],
)
def test_what_stops_a_lane_has_a_name(
    state: DestinationState, stopped: str | None, while_paused: str
) -> None:
    a = Valve(state=state)
    assert a.valve.stopped_as(NOW) == stopped
    a.pause(DestinationPause(NOW, NOW + SECOND))
    assert a.valve.stopped_as(NOW) == while_paused
    assert a.valve.stopped_as(NOW + SECOND) == stopped


# ---- disabling -----------------------------------------------------------------------------------


def test_gone_disables_a_destination_if_that_is_set() -> None:
    a = Valve(a_rule(disable_on_gone="yes"))
    change = a.end(GONE)
    assert change is not None
    why = "the receiver answered 410 Gone"
    assert kinds(change) == ["destination.disabled"]
    assert (change.state.disabled, change.state.disabled_why) == (NOW, why)
    assert (a.blocked_until, a.room()) == (FOREVER, 0)
    assert a.valve.why(NOW) == f"the destination is disabled: {why}"
    assert not a.valve.goes_on
    assert a.end(GONE) is None


def test_another_refusal_does_not_disable_it() -> None:
    a = Valve(a_rule(disable_on_gone="yes"))
    assert a.end(RefusedOutcome(404)) is None


def test_a_destination_is_disabled_if_nothing_has_succeeded_for_long() -> None:
    a = Valve(a_rule(disable_after="5d"), schedule=FAITHFUL)
    change = a.end(BROKEN)
    assert change is not None
    assert change.state.no_success_since == NOW
    a.pass_(5 * DAY - SECOND)
    assert a.end(BROKEN) is None
    a.pass_(SECOND)
    change = a.end(BROKEN)
    assert change is not None
    assert (change.state.disabled, kinds(change)) == (a.now, ["destination.disabled"])
    assert change.state.disabled_why == (
        "no request has succeeded for 5d; of the last one: the receiver answered 500 Internal"
        " Server Error"
    )


def test_one_success_is_enough_to_begin_anew() -> None:
    a = Valve(a_rule(disable_after="5d"), schedule=FAITHFUL)
    a.end(BROKEN)
    a.pass_(4 * DAY)
    change = a.end(WELL_DONE)
    assert change is not None
    assert change.state.is_plain
    a.end(BROKEN)
    a.pass_(4 * DAY)
    a.end(BROKEN)
    assert a.valve.state.disabled is None


def test_failures_of_this_machine_do_not_begin_the_time() -> None:
    a = Valve(a_rule(disable_after="5d"))
    assert a.end(NOT_SENT) is None


def test_probes_that_fail_lead_to_disabling_too() -> None:
    a = Valve(QUICK, a_rule(disable_after="1h"))
    a.fail(2)
    a.pass_(HOUR)
    assert kinds(a.probe(BROKEN)) == ["destination.disabled"]


def test_a_reset_begins_anew() -> None:
    state = OPEN._replace(disabled=NOW, told={"destination.opened": NOW}, failing_since=NOW)
    a = Valve(QUICK, state=state)
    a.valve.probe = sid(1)
    a.valve.reset(NOW)
    assert a.valve.state == WELL._replace(told=state.told)
    assert (a.valve.probe, a.valve.begins_slowly) == (None, True)
    assert a.valve.is_wide
    assert a.fail() == [DestinationEventKind.FAILING]


# ---- pauses --------------------------------------------------------------------------------------


def test_a_paused_lane_sends_nothing() -> None:
    a = Valve()
    a.pause(DestinationPause(NOW, reason="a deployment"))
    assert (a.blocked_until, a.room(), a.valve.is_wide) == (FOREVER, 0, False)
    assert a.valve.why(NOW) == "the destination is paused by the account: a deployment"
    assert not a.valve.goes_on
    assert not a.valve.may_begin(sid(1), NOW)


def test_a_resumed_lane_begins_slowly() -> None:
    a = Valve()
    a.pause(DestinationPause(NOW))
    assert not a.valve.begins_slowly
    a.pause(None, revision=2)
    assert (a.valve.is_wide, a.valve.begins_slowly) == (True, True)


def test_a_pause_can_end_by_itself() -> None:
    a = Valve()
    a.pause(DestinationPause(NOW, NOW + HOUR))
    assert a.blocked_until == NOW + HOUR
    a.pass_(HOUR - SECOND)
    a.valve.look_at_pause(a.now)
    assert not a.valve.is_wide
    a.pass_(SECOND)
    assert (a.blocked_until, a.room()) == (None, MANY)
    a.valve.look_at_pause(a.now)
    assert (a.valve.is_wide, a.valve.begins_slowly) == (True, True)


def test_the_pause_of_the_operator_comes_first() -> None:
    a = Valve()
    until = NOW + HOUR
    a.book.learn(
        [
            set_at_run_time(pause=DestinationPause(NOW), revision=1),
            set_at_run_time(owner=OPERATOR, pause=DestinationPause(NOW, until), revision=2),
        ]
    )
    a.valve.set_up(NOW)
    assert a.valve.why(NOW) == "the destination is paused by the operator"
    a.now = until
    a.valve.look_at_pause(until)
    assert a.valve.why(until) == "the destination is paused by the account"
    assert (a.blocked_until, a.valve.begins_slowly) == (FOREVER, False)


def test_the_time_of_a_pause_does_not_count_behind_an_open_breaker() -> None:
    a = Valve(state=OPEN)
    a.pass_(MINUTE)
    a.pause(DestinationPause(a.now))
    a.pass_(HOUR)
    a.pause(None, revision=2)
    assert a.valve.state.gaps == ((NOW + MINUTE, a.now),)


def test_a_pause_from_before_the_breaker_opened_counts_only_from_then_on() -> None:
    a = Valve()
    a.pause(DestinationPause(NOW - HOUR))
    a.valve.knows(OPEN)
    a.pass_(MINUTE)
    a.pause(None, revision=2)
    assert a.valve.state.gaps == ((NOW, a.now),)


def test_two_pauses_one_after_the_other_are_one() -> None:
    a = Valve(state=OPEN)
    a.pass_(MINUTE)
    a.pause(DestinationPause(a.now, NOW + HOUR))
    a.pass_(HOUR / 2)
    a.pause(DestinationPause(a.now, NOW + 2 * HOUR), revision=2)
    a.now = NOW + 2 * HOUR
    a.valve.look_at_pause(a.now)
    assert a.valve.state.gaps == ((NOW + MINUTE, NOW + 2 * HOUR),)


def test_the_time_of_a_pause_does_not_count_for_disabling() -> None:
    a = Valve(a_rule(disable_after="1h"), schedule=FAITHFUL)
    a.end(BROKEN)
    a.pass_(HOUR / 2)
    a.pause(DestinationPause(a.now))
    a.pass_(DAY)
    a.pause(None, revision=2)
    assert a.valve.state.no_success_since == NOW + DAY
    a.pass_(HOUR / 2 - SECOND)
    assert a.end(BROKEN) is None
    a.pass_(SECOND)
    assert kinds(a.end(BROKEN)) == ["destination.disabled"]


def test_of_a_pause_only_the_time_after_the_first_failure_is_left_out() -> None:
    a = Valve(a_rule(disable_after="1h"), schedule=FAITHFUL)
    a.pause(DestinationPause(NOW))
    a.pass_(MINUTE)
    a.end(BROKEN)
    a.pass_(HOUR)
    a.pause(None, revision=2)
    assert a.valve.state.no_success_since == a.now


# ---- what is set ---------------------------------------------------------------------------------


def test_a_limited_lane_is_not_wide_and_has_room_for_one_at_first() -> None:
    a = Valve(a_rule(rate="5"))
    assert (a.valve.is_wide, a.blocked_until, a.room(), a.room(3)) == (False, None, 1, 1)
    assert a.valve.may_begin(sid(1), NOW)
    assert not a.valve.may_leave(sid(1), NOW), "nothing has given it a token"
    assert not a.valve.goes_on
    a.valve.left(sid(1))


def test_the_schedule_of_the_account_decides_whether_there_is_a_breaker() -> None:
    a = Valve(QUICK)
    for _ in range(3):
        a.end(BROKEN, schedule=FAITHFUL)
    assert (a.valve.state.opened, a.valve.settings.breaker) == (None, None)
    a.end(BROKEN, schedule=PERSISTENT)
    assert a.valve.state.opened == NOW


def test_a_breaker_with_other_rules_begins_with_an_empty_window() -> None:
    a = Valve()
    a.fail(9)
    a.valve.set_up(NOW)
    assert a.fail() == [DestinationEventKind.OPENED], "nothing has changed"
    b = Valve()
    b.fail(9)
    b.book.learn([set_at_run_time(breaker_least="9")])
    b.valve.set_up(NOW)
    assert DestinationEventKind.OPENED not in b.fail(8)
    assert b.fail() == [DestinationEventKind.OPENED]
