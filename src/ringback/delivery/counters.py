"""Counters that are updated while things happen, as plain numbers; `/metrics` reads them.

Counting is on the way of every callback, so a call here costs about as much as a few lines of
arithmetic. Nothing is locked: each number has one writer, and a reader may miss the last one.
"""

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate, product
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.policy.source_policy import Source, SourceName

ATTEMPT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Bounds for an attempt, whose round ends after 15 seconds at the most."""

DELAY_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0),
    *(300.0, 3600.0, 21600.0, 86400.0),
)
"""Bounds for what a schedule can put off: from milliseconds to days."""

COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

_ENDINGS: Final = tuple(s for s in CallbackStatus if s is not CallbackStatus.SCHEDULED)


class Histogram:
    """How often a value was up to each of some bounds, and all values together."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def up_to(self) -> list[tuple[float, int]]:
        """Return for each bound, and for infinity, how many values were no greater.

        >>> histogram = Histogram((1.0, 2.0))
        >>> for value in (0.5, 1.0, 1.5, 9.0):
        ...     histogram.add(value)
        >>> histogram.up_to()
        [(1.0, 2), (2.0, 3), (inf, 4)]
        """
        return list(zip((*self.bounds, float("inf")), accumulate(self.counts), strict=True))


def _of_each_source(bounds: tuple[float, ...]) -> defaultdict[SourceName, Histogram]:
    """Return a histogram for each source; one that the settings add has its own from its first."""
    return defaultdict(lambda: Histogram(bounds), {s: Histogram(bounds) for s in Source})


class DeliveryCounters:
    """The counts of one process, from its start on."""

    def __init__(self) -> None:
        self.acceptances = defaultdict[str, int](int, dict.fromkeys(Source, 0))
        """Callbacks taken in, by source."""
        self.attempts = defaultdict[tuple[str, str, str], int](int)
        """Attempts that ended, by source, result and failure (empty where none is named)."""
        self.endings = defaultdict[tuple[str, str], int](
            int, dict.fromkeys(product(Source, _ENDINGS), 0)
        )
        """Callbacks that ended, by source and status."""
        self.attempt_seconds = _of_each_source(ATTEMPT_SECONDS)
        self.first_attempt_seconds = Histogram(DELAY_SECONDS)
        """From acceptance to first attempt."""
        self.delivery_seconds = _of_each_source(DELAY_SECONDS)
        """From acceptance to delivery."""
        self.shadows = defaultdict[tuple[str, str], int](int)
        """Copies of callbacks that ended, by their source and result."""
        self.shadows_skipped = defaultdict[tuple[str, str], int](int)
        """Those that were not made, by account and reason."""
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        """How long commits of the store took; written by its own thread."""

    def accepted(self, source: SourceName) -> None:
        """Count a callback that was taken in."""
        self.acceptances[source] += 1

    def attempt_ended(self, callback: CallbackRecord, attempt: Attempt) -> None:
        """Count an attempt of a callback by its settled row, and how long it took if that is known.

        With a first attempt, how long the callback waited for it is counted, too.
        """
        self.attempts[callback.source, attempt.result, attempt.failure or ""] += 1
        if attempt.timings is not None:
            self.attempt_seconds[callback.source].add(attempt.timings.total / 1000)
        if attempt.number == 1:
            waited = attempt.date_started - callback.date_created
            self.first_attempt_seconds.add(waited.total_seconds())

    def ended(
        self, status: CallbackStatus, source: SourceName, seconds_since_created: float
    ) -> None:
        """Count a callback that nothing more will be done about."""
        self.endings[source, status] += 1
        if status is CallbackStatus.DELIVERED:
            self.delivery_seconds[source].add(seconds_since_created)

    def skipped_copies(self, account_sid: str) -> dict[str, int]:
        """Return how many copies of an account's callbacks were not made, by reason."""
        skipped = dict[str, int]()
        for (owner, why), count in self.shadows_skipped.items():
            if account_sid in (EVERY, owner):
                skipped[why] = skipped.get(why, 0) + count
        return skipped
