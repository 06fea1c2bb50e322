"""Counts the results of a destination's requests, and decides when its breaker opens.

Requests are counted in a sliding window: a ring of slices, each of which has a tenth of its length.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

from ringback.core.http.outcome import (
    SHORTAGES,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)

SLICES: Final = 10
"""How many slices the window of a breaker has."""
FIRST_PROBE: Final = timedelta(seconds=30)
"""How long after its opening a breaker lets the first probe pass."""
LONGEST_WAIT: Final = timedelta(minutes=10)
"""The longest wait between two probes."""
_JITTER: Final = 0.2
# What this machine or its operator causes says nothing about the receiver.
_NOT_THEIRS: Final = SHORTAGES | {
    AttemptFailure.GUARD,
    AttemptFailure.EGRESS,
    AttemptFailure.PROXY,
    AttemptFailure.SECRET,
    AttemptFailure.SOURCE,
    AttemptFailure.NO_TIME,
    AttemptFailure.STALE,
    AttemptFailure.HELD,
    AttemptFailure.INTERNAL,
    AttemptFailure.KINESIS_CLIENT,
}


class BreakerRules(NamedTuple):
    """When a breaker opens."""

    share: float = 0.7
    """The share of requests in the window that must have failed."""
    window: timedelta = timedelta(minutes=5)
    least: int = 10
    """The least number of requests in the window; with fewer, it never opens."""
    counts_4xx: bool = False
    """True if answers with a status from 400 to 499 count as failures."""


def has_failed(outcome: Outcome, rules: BreakerRules) -> bool | None:
    """Return True if an attempt counts as failed, False if it is well; None if it doesn't count.

    Answers with a status from 500 to 599 count as failed, and so does it if no answer came, unless
    that is this machine's fault.
    """
    match outcome:
        case DeliveredOutcome():
            return False
        case RefusedOutcome(status):
            return status >= 500 or (rules.counts_4xx and status >= 400)
        case NoAnswerOutcome(failure):
            return None if failure in _NOT_THEIRS else True
        case UnknownOutcome():
            return None
        case _:
            assert_never(outcome)


class CircuitBreaker:
    """The window of a breaker that is closed; times are in seconds, and may go back."""

    __slots__ = ("_failed", "_in_all", "_slice_ends", "_slice_s", "_slot", "rules")

    def __init__(self, rules: BreakerRules, now: float) -> None:
        """Begin with an empty window."""
        self.rules = rules
        self._slice_s = rules.window.total_seconds() / SLICES
        self._in_all = [0] * SLICES
        self._failed = [0] * SLICES
        self._slot = 0
        self._slice_ends = now + self._slice_s

    def well(self, now: float) -> None:
        """Count a request that did not fail."""
        if now >= self._slice_ends:
            self._turn(now)
        self._in_all[self._slot] += 1

    def failed(self, now: float) -> None:
        """Count a request that failed."""
        self.well(now)
        self._failed[self._slot] += 1

    def is_tripped(self, now: float) -> bool:
        """Return True if enough requests in the window have failed for the breaker to open."""
        return self._exceeds(now, self.rules.least)

    def is_failing(self, now: float) -> bool:
        """Return True if as many fail, even if only half as many requests were made."""
        return self._exceeds(now, max(1, self.rules.least // 2))

    def _exceeds(self, now: float, least: int) -> bool:
        if now >= self._slice_ends:
            self._turn(now)
        in_all = sum(self._in_all)
        return in_all >= least and sum(self._failed) >= self.rules.share * in_all

    def _turn(self, now: float) -> None:
        """Empty the slices whose time begins."""
        passed = min(SLICES, 1 + int((now - self._slice_ends) / self._slice_s))
        for _ in range(passed):
            self._slot = (self._slot + 1) % SLICES
            self._in_all[self._slot] = self._failed[self._slot] = 0
        self._slice_ends += passed * self._slice_s
        if now >= self._slice_ends:
            self._slice_ends = now + self._slice_s


def next_probe(now: datetime, failed_probes: int, *, jitter: float) -> datetime:
    """Return when an open breaker lets the next probe pass.

    `failed_probes` is the number of probes that have failed since it opened; each doubles the wait.
    `jitter`, a random number from 0 to 1, varies it by 20 % in both directions.

    >>> next_probe(datetime(2026, 1, 1), 1, jitter=0.5).isoformat()
    '2026-01-01T00:01:00'
    """
    wait = min(FIRST_PROBE * 2 ** min(failed_probes, 10), LONGEST_WAIT)
    return now + wait * (1 + _JITTER * (2 * jitter - 1))
