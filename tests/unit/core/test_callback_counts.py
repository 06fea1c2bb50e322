"""What is counted of callbacks and attempts, and the spans of time for which it is counted."""

from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callback_counts import (
    ATTEMPT_SECONDS,
    DELAY_SECONDS,
    MOST_GAPS,
    CallbackCounts,
    CountGap,
    CountSpan,
    gaps_of,
    noted_between,
    quantile,
)
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from tests.fakes import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AT = datetime(2026, 11, 24, 10, 17, 45, 999999, UTC)


def ended_after(ms: float | None, outcome: Outcome) -> AttemptResult:
    return AttemptResult(outcome, None if ms is None else RequestTimings(ms))


@pytest.mark.parametrize(
    ("span", "began"),
    [
        (CountSpan.MINUTE, datetime(2026, 11, 24, 10, 17, tzinfo=UTC)),
        (CountSpan.HOUR, datetime(2026, 11, 24, 10, tzinfo=UTC)),
        (CountSpan.DAY, datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_a_span_begins_with_its_first_instant(span: CountSpan, began: datetime) -> None:
    assert span.begin_of(AT) == span.begin_of(began) == began
    assert span.begin_of(began - timedelta(microseconds=1)) == began - span.length


def test_a_span_before_1970_begins_before_its_instants() -> None:
    assert CountSpan.DAY.begin_of(datetime(1969, 12, 31, 7, tzinfo=UTC)).hour == 0
    assert CountSpan.HOUR.begin_of(datetime(1, 1, 1, tzinfo=UTC)).year == 1


def test_each_span_is_made_of_finer_ones_which_are_kept_for_a_shorter_time() -> None:
    assert [span.finer for span in CountSpan] == [None, CountSpan.MINUTE, CountSpan.HOUR]
    lives = [span.kept_for for span in CountSpan]
    assert lives == sorted(lives)
    assert lives[0] >= 8 * DAY


@pytest.mark.parametrize(
    ("ago", "length", "span"),
    [
        (3 * HOUR + MINUTE, 3 * HOUR + MINUTE, CountSpan.MINUTE),
        (3 * HOUR + 2 * MINUTE, 3 * HOUR + 2 * MINUTE, CountSpan.HOUR),
        (8 * DAY, HOUR, CountSpan.MINUTE),
        (8 * DAY + MINUTE, HOUR, CountSpan.HOUR),
        (7 * DAY + HOUR, 7 * DAY + HOUR, CountSpan.HOUR),
        (8 * DAY, 7 * DAY + 2 * HOUR, CountSpan.DAY),
        (401 * DAY, HOUR, CountSpan.DAY),
    ],
)
def test_a_total_is_read_by_spans_that_are_stored_and_few(
    ago: timedelta, length: timedelta, span: CountSpan
) -> None:
    assert CountSpan.for_total(NOW - ago, NOW - ago + length, NOW) is span


def test_attempts_are_counted_by_why_they_did_not_deliver() -> None:
    counts = CallbackCounts()
    outcomes = (
        *(DeliveredOutcome(200), RefusedOutcome(503), UnknownOutcome(), RefusedOutcome(404)),
        NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "slow"),
    )
    for number, outcome in enumerate(outcomes, 1):
        counts.attempt_ended(number, ended_after(None, outcome))
    assert (counts.attempts, counts.retried) == (5, 4)
    assert counts.failures == {"refused": 2, "unknown": 1, "read_timeout": 1}


def test_the_duration_of_an_attempt_is_counted_up_to_a_bound_if_it_is_known() -> None:
    counts = CallbackCounts()
    for ms in (5.0, 5.1, 15_000.0, 15_001.0, None):
        counts.attempt_ended(1, ended_after(ms, DeliveredOutcome(200)))
    assert counts.attempt_seconds == [1, 1, *[0] * 9, 1, 1]
    assert len(counts.attempt_seconds) == len(ATTEMPT_SECONDS) + 1


def test_callbacks_are_counted_by_how_they_end_and_deliveries_by_how_long_they_took() -> None:
    counts = CallbackCounts()
    for status, seconds in (("delivered", 0.2), ("delivered", 90_000), ("failed", 9)):
        counts.ended(CallbackStatus(status), seconds)
    counts.ended(CallbackStatus.DISCARDED, 1)
    counts.ended(CallbackStatus.SCHEDULED, 1)
    assert (counts.delivered, counts.failed, counts.discarded) == (2, 1, 1)
    assert counts.delivery_seconds == [0, 0, 0, 0, 1, *[0] * 7, 1]
    assert len(counts.delivery_seconds) == len(DELAY_SECONDS) + 1


def test_the_sum_of_counts_has_all_of_them() -> None:
    first = CallbackCounts(1, 2, 3, 4, 5, 6, 7, {"tls": 1, "name": 2}, [1] * 13, [2] * 13)
    first.add(CallbackCounts(10, 20, 30, 40, 50, 60, 70, {"tls": 1}, [10] * 13, [20] * 13))
    assert first == CallbackCounts(
        *(11, 22, 33, 44, 55, 66, 77), {"tls": 2, "name": 2}, [11] * 13, [22] * 13
    )


@pytest.mark.parametrize(
    ("counts", "part", "bound"),
    [
        ([0, 0, 0], 0.5, None),
        ([1, 0, 0], 0.5, 0.1),
        ([1, 1, 0], 0.5, 0.1),
        ([1, 2, 0], 0.5, 0.5),
        ([19, 1, 0], 0.95, 0.1),
        ([18, 2, 0], 0.95, 0.5),
        ([1, 1, 8], 0.5, None),
    ],
)
def test_a_quantile_is_the_bound_up_to_which_a_part_of_the_values_lies(
    counts: list[int], part: float, bound: float | None
) -> None:
    assert quantile(counts, (0.1, 0.5), part) == bound


def test_what_counts_lack_of_others_is_the_positive_difference() -> None:
    more = CallbackCounts(3, 1, 0, 0, 0, 0, 0, {"tls": 2, "name": 1}, [2] * 13, [0] * 13)
    less = CallbackCounts(1, 2, 0, 0, 0, 0, 0, {"tls": 1, "name": 1}, [1] * 13, [1] * 13)
    assert more.beyond(less) == CallbackCounts(
        *(2, 0, 0, 0, 0, 0, 0), {"tls": 1}, [1] * 13, [0] * 13
    )


@pytest.mark.parametrize(
    ("since", "until", "is_in"), [(0, 5, False), (0, 6, True), (9, 20, True), (10, 20, False)]
)
def test_a_gap_touches_only_what_has_a_part_of_it(since: int, until: int, *, is_in: bool) -> None:
    gap = CountGap(AT + 5 * MINUTE, AT + 10 * MINUTE)
    assert gap.overlaps(AT + since * MINUTE, AT + until * MINUTE) is is_in


def test_late_notes_show_gaps_within_the_time_that_is_asked_for() -> None:
    note, since, until = AT.replace(second=0, microsecond=0), AT - HOUR, AT + HOUR
    gap = CountGap(note - MINUTE, note + 2 * MINUTE)
    assert gaps_of([note], since, until) == [gap]
    assert gaps_of([note, note + 30 * MINUTE], since, until) == [
        gap,
        CountGap(gap.began + 30 * MINUTE, gap.ended + 30 * MINUTE),
    ]
    assert gaps_of([since - HOUR], since, until) == []
    # There may be more notes than are read.
    assert gaps_of([note] * (MOST_GAPS + 1), since, until) == [CountGap(gap.began, until)]
    assert noted_between(since, until, until) == (
        since - 2 * MINUTE,
        until - 2 * MINUTE - timedelta(seconds=10),
    )
