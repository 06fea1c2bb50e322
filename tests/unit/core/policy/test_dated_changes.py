from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.dated_changes import (
    POLICY_CHANGE_KINDS,
    DefaultSourceChange,
    PhaseHoldsEndedChange,
    PolicyChange,
    SourceAddedChange,
    SourceRetiredChange,
    UpcomingPolicyChange,
    as_if_by_date,
    ends_of_sources,
    in_words,
    is_settled,
    next_reminder,
    policy_changes,
    reminders,
    sources_that_end,
)
from ringback.core.policy.source_policy import BOTH, NOTICE, Phase, PhaseHold, Policy, Source

TWILIO, KORE = Source.TWILIO, Source.KORE
BETWEEN = datetime(2024, 10, 16, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
BEFORE = (30 * DAY, 7 * DAY, DAY)

MOVES = PolicyChange(BETWEEN, DefaultSourceChange(TWILIO, KORE))
ENDS = PolicyChange(AFTER, SourceRetiredChange(TWILIO))


def with_holds(*holds: PhaseHold) -> Policy:
    return Policy(NOTICE.phases, holds)


# ---- future changes


@pytest.mark.parametrize(
    ("after", "ahead"),
    [
        (LONG_AGO, [MOVES, ENDS]),
        (BETWEEN - MICROSECOND, [MOVES, ENDS]),
        (BETWEEN, [ENDS]),
        (AFTER, []),
    ],
)
def test_the_notice_has_two_changes(after: datetime, ahead: list[PolicyChange]) -> None:
    assert policy_changes(NOTICE, after=after) == ahead


def test_a_change_of_several_things_lists_each() -> None:
    policy = Policy(
        (
            Phase("old", None, TWILIO, frozenset({TWILIO})),
            Phase("new", BETWEEN, KORE, frozenset({KORE})),
        )
    )
    changes = [str(change) for _, change in policy_changes(policy, after=LONG_AGO)]
    assert changes == ["the default moves from twilio to kore", "twilio ends", "kore begins"]


def test_a_phase_without_a_change_is_not_listed() -> None:
    policy = Policy((*NOTICE.phases, Phase("later", AFTER + DAY, KORE, frozenset({KORE}))))
    assert policy_changes(policy, after=AFTER) == []


def test_the_end_of_a_hold_is_a_change() -> None:
    hold = PhaseHold("before", "AC1", until=AFTER + DAY)
    policy = with_holds(PhaseHold("after", "AC2"), hold)
    assert policy_changes(policy, after=AFTER) == [
        PolicyChange(AFTER + DAY, PhaseHoldsEndedChange((hold,)))
    ]
    assert str(PhaseHoldsEndedChange((hold,))) == "the hold of AC1 in phase 'before' ends"
    assert policy_changes(policy, after=AFTER + DAY) == []


def test_holds_that_end_at_the_same_time_are_one_change() -> None:
    one, two, later = (
        PhaseHold("before", name, until=AFTER + days * DAY)
        for name, days in (("AC1", 1), ("AC2", 1), ("AC3", 2))
    )
    policy = with_holds(later, one, two)
    assert policy_changes(policy, after=AFTER) == [
        PolicyChange(AFTER + DAY, PhaseHoldsEndedChange((one, two))),
        PolicyChange(AFTER + 2 * DAY, PhaseHoldsEndedChange((later,))),
    ]
    assert str(PhaseHoldsEndedChange((one, two))) == "2 holds end"


def test_if_everything_is_held_the_dates_change_nothing() -> None:
    policy = with_holds(PhaseHold("before"), PhaseHold("after", "AC1", until=AFTER))
    assert policy_changes(policy, after=LONG_AGO) == []


def test_a_hold_before_the_one_of_everything_still_ends() -> None:
    hold = PhaseHold("after", "AC1", until=AFTER)
    assert policy_changes(with_holds(hold, PhaseHold("before")), after=LONG_AGO) == [
        PolicyChange(AFTER, PhaseHoldsEndedChange((hold,)))
    ]


def test_a_hold_that_ends_with_a_hold_of_everything_before_it_never_decided() -> None:
    end = AFTER + DAY
    policy = with_holds(PhaseHold("before", until=end), PhaseHold("before", "AC1", until=end))
    changes = {type(change.kind) for change in policy_changes(policy, after=LONG_AGO)}
    assert changes == {DefaultSourceChange, SourceRetiredChange}


def test_the_end_of_a_hold_of_everything_ends_its_phase() -> None:
    policy = with_holds(PhaseHold("before", until=AFTER + DAY))
    assert policy_changes(policy, after=LONG_AGO) == [
        PolicyChange(AFTER + DAY, DefaultSourceChange(TWILIO, KORE)),
        PolicyChange(AFTER + DAY, SourceRetiredChange(TWILIO)),
    ]


def test_each_change_has_a_label_of_its_own() -> None:
    labels = {change.label for change in POLICY_CHANGE_KINDS}
    assert labels == {"default_moves", "source_ends", "source_begins", "holds_end"}
    assert SourceAddedChange(KORE).label == "source_begins"


# ---- policies without future changes


@pytest.mark.parametrize(
    ("holds", "at", "settled"),
    [
        ((), AFTER - MICROSECOND, False),
        ((), AFTER, True),
        ((PhaseHold("before", "AC1"),), AFTER + DAY, False),
        ((PhaseHold("before", "AC1", until=AFTER + DAY),), AFTER + DAY - MICROSECOND, False),
        ((PhaseHold("before", "AC1", until=AFTER + DAY),), AFTER + DAY, True),
        ((PhaseHold("after", "AC1", until=AFTER), PhaseHold("before")), AFTER, False),
    ],
)
def test_a_policy_is_settled_without_future_dates_and_holds(
    holds: tuple[PhaseHold, ...], at: datetime, settled: object
) -> None:
    assert is_settled(with_holds(*holds), at=at) is settled


# ---- ending sources


@pytest.mark.parametrize("at", [LONG_AGO, BETWEEN, AFTER, AFTER + DAY])
def test_in_the_notice_twilio_ends(at: datetime) -> None:
    assert sources_that_end(NOTICE, at=at) == [TWILIO]


def test_a_source_that_returns_has_not_ended() -> None:
    policy = Policy((*NOTICE.phases, Phase("back", AFTER + DAY, TWILIO, BOTH)))
    assert sources_that_end(policy, at=AFTER) == [TWILIO]
    assert sources_that_end(policy, at=AFTER + DAY) == []


def test_if_everything_is_held_no_source_ends() -> None:
    assert sources_that_end(with_holds(PhaseHold("before")), at=AFTER) == []


@pytest.mark.parametrize("at", [BETWEEN, AFTER, AFTER + 400 * DAY])
def test_the_end_of_a_source_has_its_date_before_and_after_it(at: datetime) -> None:
    assert ends_of_sources(NOTICE, at=at) == {TWILIO: AFTER}


def test_of_several_ends_of_a_source_the_next_one_counts_or_else_the_last() -> None:
    ends = AFTER + 2 * DAY
    back = Phase("back", AFTER + DAY, TWILIO, BOTH)
    policy = Policy((*NOTICE.phases, back, replace(NOTICE.phases[2], name="end", since=ends)))
    found = [ends_of_sources(policy, at=at) for at in (AFTER - DAY, AFTER + DAY, ends)]
    assert found == [{TWILIO: AFTER}, {TWILIO: ends}, {TWILIO: ends}]
    assert ends_of_sources(Policy((*NOTICE.phases, back)), at=AFTER + DAY) == {}


def test_a_source_that_a_hold_for_all_kept_out_from_the_beginning_has_no_date() -> None:
    held = with_holds(PhaseHold("after"))
    assert ends_of_sources(held, at=BETWEEN) == {TWILIO: None}


# ---- reminders


@pytest.mark.parametrize(
    ("left", "within"),
    [
        (30 * DAY, 30 * DAY),
        (30 * DAY - MICROSECOND, 30 * DAY),
        (7 * DAY, 7 * DAY),
        (DAY + MICROSECOND, 7 * DAY),
        (DAY, DAY),
        (MICROSECOND, DAY),
    ],
)
def test_a_reminder_names_the_time_until_the_change(left: timedelta, within: timedelta) -> None:
    policy, at = Policy(NOTICE.phases[:2]), BETWEEN - left
    assert reminders(policy, since=at, at=at, before=BEFORE) == [
        UpcomingPolicyChange(MOVES, within)
    ]


def test_a_distant_change_has_no_reminder() -> None:
    at = BETWEEN - 30 * DAY - MICROSECOND
    assert reminders(NOTICE, since=at, at=at, before=BEFORE) == []


def test_a_change_reached_since_has_one_more_reminder() -> None:
    reached = reminders(NOTICE, since=AFTER - DAY, at=AFTER + DAY, before=BEFORE)
    assert reached == [UpcomingPolicyChange(ENDS, timedelta(0))]
    assert reminders(NOTICE, since=AFTER, at=AFTER, before=BEFORE) == []


def test_reminders_come_due_one_after_the_other() -> None:
    due, at = list[datetime](), LONG_AGO
    while (following := next_reminder(NOTICE, after=at, before=BEFORE)) is not None:
        due.append(at := following)
    of_both = {change - time for change in (BETWEEN, AFTER) for time in (*BEFORE, 0 * DAY)}
    assert due == sorted(of_both)


def test_without_advance_times_a_change_has_its_reminder_when_it_takes_effect() -> None:
    assert next_reminder(NOTICE, after=LONG_AGO, before=()) == BETWEEN


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (30 * DAY, "at 2024-10-16T00:00:00Z, in 30 days"),
        (2 * DAY - MICROSECOND, "at 2024-10-16T00:00:00Z, in 1 day"),
        (DAY - MICROSECOND, "at 2024-10-16T00:00:00Z, in 23 hours"),
        (timedelta(hours=1), "at 2024-10-16T00:00:00Z, in 1 hour"),
        (MICROSECOND, "at 2024-10-16T00:00:00Z, within the hour"),
        (0 * DAY, "now, at 2024-10-16T00:00:00Z"),
    ],
)
def test_the_time_of_a_change_is_put_into_words(left: timedelta, said: str) -> None:
    expected = f"the default moves from twilio to kore {said}"
    assert in_words(MOVES, BETWEEN - left) == expected


# ---- a server that stays in a phase


@pytest.mark.parametrize(
    ("phase", "date", "expected"),
    [
        ("before", LONG_AGO, LONG_AGO),
        ("before", AFTER, BETWEEN - timedelta(seconds=1)),
        ("between", LONG_AGO, BETWEEN),
        ("between", BETWEEN + DAY, BETWEEN + DAY),
        ("after", LONG_AGO, AFTER),
    ],
)
def test_a_server_that_stays_in_a_phase_has_a_date_in_it(
    phase: str, date: datetime, expected: datetime
) -> None:
    assert as_if_by_date(NOTICE, phase, date) == (NOTICE, expected)


def test_holds_that_have_ended_do_not_come_back_with_the_earlier_date() -> None:
    lasting, ended = PhaseHold("before", "AC1"), PhaseHold("before", "AC2", until=AFTER)
    policy, _ = as_if_by_date(with_holds(ended, lasting), "between", AFTER + DAY)
    assert policy.holds == (lasting,)
