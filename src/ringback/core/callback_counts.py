"""What is counted of callbacks, and the spans of time for which it is counted.

The counts of a minute are those of the events in it: callbacks created, attempts started, and
callbacks ended. All of them can also be counted from the stored callbacks and attempts.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import DeliveredOutcome, failure_of
from ringback.core.policy.source_policy import SourceName

ATTEMPT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Histogram bounds for the duration of an attempt, which ends after at most 15 seconds."""

DELAY_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0),
    *(300.0, 3600.0, 21600.0, 86400.0),
)
"""Histogram bounds for waits that a retry schedule can cause: from milliseconds to days."""

MOST_SPANS: Final = 1500
"""The most minutes, hours or days that may be read at once."""

_DELIVERED: Final = CallbackStatus.DELIVERED
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CountSpan(StrEnum):
    """A span of time for which counts are stored."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """How long the span is."""
        return _SPANS[self].length

    @property
    def kept_for(self) -> timedelta:
        """How long counts by this span are stored."""
        return _SPANS[self].kept_for

    @property
    def finer(self) -> "CountSpan | None":
        """The span whose counts are summed up to those of this one; None for the minute."""
        return _SPANS[self].finer

    def begin_of(self, instant: datetime) -> datetime:
        """Return the beginning of the span that contains an instant, in UTC.

        >>> CountSpan.HOUR.begin_of(datetime(2026, 11, 24, 10, 17, tzinfo=UTC)).isoformat()
        '2026-11-24T10:00:00+00:00'
        """
        return instant - (instant - _EPOCH) % self.length

    @classmethod
    def for_total(cls, since: datetime, until: datetime, now: datetime) -> "CountSpan":
        """Return the span by which the total of a period is best read: the shorter, the finer."""
        for span, longest in ((cls.MINUTE, timedelta(hours=3)), (cls.HOUR, timedelta(days=7))):
            # "The last 3 hours" are a little more, if `since` was computed before `until`.
            if until - since <= longest + span.length and now - since <= span.kept_for:
                return span
        return cls.DAY


class _Span(NamedTuple):
    length: timedelta
    kept_for: timedelta
    finer: CountSpan | None


_SPANS: Final = {
    CountSpan.MINUTE: _Span(timedelta(minutes=1), timedelta(days=8), None),
    CountSpan.HOUR: _Span(timedelta(hours=1), timedelta(days=400), CountSpan.MINUTE),
    CountSpan.DAY: _Span(timedelta(days=1), timedelta(days=3653), CountSpan.HOUR),
}


def _empty(bounds: Sequence[float]) -> list[int]:
    return [0] * (len(bounds) + 1)


@dataclass(slots=True)
class CallbackCounts:
    """The numbers of callbacks and attempts in a span of time."""

    accepted: int = 0
    """Callbacks created."""
    attempts: int = 0
    """Attempts started that have ended."""
    retried: int = 0
    """Those of them that were not the first attempt of their callback."""
    delivered: int = 0
    """Callbacks delivered."""
    failed: int = 0
    """Callbacks that failed: no attempt follows any more."""
    discarded: int = 0
    """Callbacks discarded that had not ended before."""
    replayed: int = 0
    """Callbacks that had ended, and are sent again from the same source."""
    failures: dict[str, int] = field(default_factory=dict[str, int])
    """Attempts that did not deliver, by reason: the kind of failure, `refused` or `unknown`."""
    attempt_seconds: list[int] = field(default_factory=lambda: _empty(ATTEMPT_SECONDS))
    """Attempts by duration: up to each of `ATTEMPT_SECONDS`, and the longer ones."""
    delivery_seconds: list[int] = field(default_factory=lambda: _empty(DELAY_SECONDS))
    """Deliveries by the time since the creation of the callback: up to each of `DELAY_SECONDS`."""

    def attempt_ended(self, number: int, result: AttemptResult) -> None:
        """Count an attempt, and its duration if that is known; `number` is its number from 1."""
        outcome, timings, why = result.outcome, result.timings, None
        if outcome.__class__ is not DeliveredOutcome:
            why = failure_of(outcome) or outcome.label
        self.count_attempt(number, why, None if timings is None else timings.total)

    def count_attempt(self, number: int, why: str | None, milliseconds: float | None) -> None:
        """Count an attempt, as `attempt_ended` does; `why` it did not deliver is None if it did."""
        self.attempts += 1
        if number > 1:
            self.retried += 1
        if why is not None:
            self.failures[why] = self.failures.get(why, 0) + 1
        if milliseconds is not None:
            self.attempt_seconds[bisect_left(ATTEMPT_SECONDS, milliseconds / 1000)] += 1

    def ended(self, status: CallbackStatus, seconds: float) -> None:
        """Count a callback that has ended with this status, `seconds` after its creation."""
        if status is _DELIVERED:
            self.delivered += 1
            self.delivery_seconds[bisect_left(DELAY_SECONDS, seconds)] += 1
        elif status is CallbackStatus.FAILED:
            self.failed += 1
        elif status is CallbackStatus.DISCARDED:
            self.discarded += 1

    def add(self, other: "CallbackCounts") -> None:
        """Add the counts of another time or place to these."""
        for name in PLAIN_COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.failures.items():
            self.failures[reason] = self.failures.get(reason, 0) + count
        self.attempt_seconds = _sums(self.attempt_seconds, other.attempt_seconds)
        self.delivery_seconds = _sums(self.delivery_seconds, other.delivery_seconds)

    def beyond(self, other: "CallbackCounts") -> "CallbackCounts":
        """Return by how much each of these counts is greater than the other's.

        >>> more = CallbackCounts(accepted=3, failed=1).beyond(CallbackCounts(accepted=2, failed=2))
        >>> more.accepted, more.failed
        (1, 0)
        """
        plain = (max(getattr(self, name) - getattr(other, name), 0) for name in PLAIN_COUNTS)
        failures = {
            why: count - other.failures.get(why, 0)
            for why, count in self.failures.items()
            if count > other.failures.get(why, 0)
        }
        return CallbackCounts(
            *plain,
            failures=failures,
            attempt_seconds=_beyond(self.attempt_seconds, other.attempt_seconds),
            delivery_seconds=_beyond(self.delivery_seconds, other.delivery_seconds),
        )


PLAIN_COUNTS: Final = (
    *("accepted", "attempts", "retried", "delivered", "failed", "discarded", "replayed"),
)
"""The names of the counts that are single numbers."""


def _sums(some: list[int], others: list[int]) -> list[int]:
    return list(map(int.__add__, some, others))


def _beyond(some: list[int], others: list[int]) -> list[int]:
    return [max(one - other, 0) for one, other in zip(some, others, strict=True)]


class CountedMinute(NamedTuple):
    """The counts of a minute for one account, destination (scheme, host and port) and source."""

    began: datetime
    account_sid: str
    destination: str
    source: SourceName
    counts: CallbackCounts


class CountSum(NamedTuple):
    """The sum of all counts that were asked for together; what they may differ in is None."""

    began: datetime | None
    account_sid: str | None
    destination: str | None
    source: SourceName | None
    counts: CallbackCounts


MOST_GAPS: Final = 1000
"""The most notes of unwritten counts that are read at once."""
_BEFORE_NOTE: Final = timedelta(minutes=1)
"""Attempts that began this long before the minute of a note may have ended after it."""
_AFTER_NOTE: Final = timedelta(minutes=2)
"""Within this time from the minute of a note, the process writes its counts."""
_LATE_AFTER: Final = timedelta(minutes=2, seconds=10)


class CountGap(NamedTuple):
    """A time of which counts are missing, since a process could not write them."""

    began: datetime
    ended: datetime

    def overlaps(self, since: datetime, until: datetime) -> bool:
        """Return True if a part of this time lies in the gap."""
        return self.began < until and since < self.ended


def noted_between(since: datetime, until: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return between which minutes the notes lie that show gaps in this time."""
    return since - _AFTER_NOTE, min(until + _BEFORE_NOTE, now - _LATE_AFTER)


def gaps_of(notes: Sequence[datetime], since: datetime, until: datetime) -> list[CountGap]:
    """Return the gaps that late notes of unwritten counts show in a time; they are in order.

    >>> at = datetime(2026, 11, 24, 10, 17, tzinfo=UTC)
    >>> hour = timedelta(hours=1)
    >>> [gap] = gaps_of([at, at + timedelta(minutes=2)], at - hour, at + hour)
    >>> f"{gap.began:%H:%M} {gap.ended:%H:%M}"
    '10:16 10:21'
    """
    gaps = list[CountGap]()
    for place, note in enumerate(notes):
        ended = until if place >= MOST_GAPS else note + _AFTER_NOTE
        gap = CountGap(max(note - _BEFORE_NOTE, since), min(ended, until))
        if not gap.overlaps(since, until):
            continue
        if gaps and gap.began <= gaps[-1].ended:
            gap = CountGap(gaps.pop().began, gap.ended)
        gaps.append(gap)
    return gaps


def quantile(counts: Sequence[int], bounds: Sequence[float], part: float) -> float | None:
    """Return the lowest bound up to which at least this part of the values lies.

    Returns None if there are no values, or if that is beyond the last bound.

    >>> quantile([8, 1, 1], (0.1, 0.5), 0.5), quantile([8, 1, 1], (0.1, 0.5), 0.9)
    (0.1, 0.5)
    """
    wanted, found = part * sum(counts), 0
    if not wanted:
        return None
    for count, bound in zip(counts, bounds, strict=False):
        found += count
        if found >= wanted:
            return bound
    return None
