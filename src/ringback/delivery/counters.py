"""Counters of callbacks, attempts and commits, as plain numbers, which `/metrics` reads.

Counting has to be fast, because every callback is counted; so nothing is locked. Each number has
only one writer, and a reader may miss its last change.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import accumulate, product
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.callback_counts import ATTEMPT_SECONDS, DELAY_SECONDS
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import failure_of
from ringback.core.policy.source_policy import Source, SourceName
from ringback.delivery.minute_counters import MinuteCounters

COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

_ENDINGS: Final = tuple(s for s in CallbackStatus if s is not CallbackStatus.SCHEDULED)


class Histogram:
    """A histogram: the number of values up to each bound, and the sum of all values."""

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
        """Return pairs of a bound and the number of values up to it; the last bound is infinity.

        >>> histogram = Histogram((1.0, 2.0))
        >>> for value in (0.5, 1.0, 1.5, 9.0):
        ...     histogram.add(value)
        >>> histogram.up_to()
        [(1.0, 2), (2.0, 3), (inf, 4)]
        """
        return list(zip((*self.bounds, float("inf")), accumulate(self.counts), strict=True))


def _of_each_source(bounds: tuple[float, ...]) -> defaultdict[SourceName, Histogram]:
    """Return a histogram for each source; a new source gets its histogram with its first value."""
    return defaultdict(lambda: Histogram(bounds), {s: Histogram(bounds) for s in Source})


class DeliveryCounters:
    """The counters of one process since its start."""

    def __init__(self) -> None:
        self.acceptances = defaultdict[str, int](int, dict.fromkeys(Source, 0))
        """Callbacks that Ringback accepted for delivery, by source."""
        self.attempts = defaultdict[tuple[str, str, str], int](int)
        """Ended attempts, by source, result and kind of failure (empty if there was no failure)."""
        self.endings = defaultdict[tuple[str, str], int](
            int, dict.fromkeys(product(Source, _ENDINGS), 0)
        )
        """Ended callbacks, by source and status."""
        self.attempt_seconds = _of_each_source(ATTEMPT_SECONDS)
        self.first_attempt_seconds = Histogram(DELAY_SECONDS)
        """The seconds from the creation of a callback to its first attempt."""
        self.delivery_seconds = _of_each_source(DELAY_SECONDS)
        """The seconds from the creation of a callback to its delivery, by source."""
        self.shadows = defaultdict[tuple[str, str], int](int)
        """Ended shadow copies of callbacks, by the source and result of the copy."""
        self.shadows_skipped = defaultdict[tuple[str, str], int](int)
        """Shadow copies that were not made, by account and reason."""
        self.outdated_results = 0
        """Results that were not saved, since another process had taken their callbacks over."""
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        """The seconds that commits of the store took; only the store's thread writes them."""
        self.repeated_transactions = Counter[str]()
        """Transactions that were run again, since others disturbed them, by the reason."""
        self.by_minute = MinuteCounters()
        """What is counted for each minute, account, destination and source, to be stored."""

    def repeated(self, reason: str) -> None:
        """Count a transaction of the store that is run again."""
        self.repeated_transactions[reason] += 1

    def accepted(self, source: SourceName) -> None:
        """Count a callback that Ringback has accepted for delivery."""
        self.acceptances[source] += 1

    def attempt_ended(
        self, callback: CallbackRecord, result: AttemptResult, *, waited: timedelta | None
    ) -> None:
        """Count an ended attempt of a callback, and its duration if that is known.

        `waited` is how long the callback waited for its first attempt; None for later attempts.
        """
        outcome, source = result.outcome, callback.source
        self.attempts[source, outcome.label, failure_of(outcome) or ""] += 1
        if result.timings is not None:
            self.attempt_seconds[source].add(result.timings.total / 1000)
        if waited is not None:
            self.first_attempt_seconds.add(waited.total_seconds())

    def ended(
        self, status: CallbackStatus, source: SourceName, seconds_since_created: float
    ) -> None:
        """Count an ended callback; if it was delivered, also record how long that took."""
        self.endings[source, status] += 1
        if status is CallbackStatus.DELIVERED:
            self.delivery_seconds[source].add(seconds_since_created)

    def skipped_copies(self, account_sid: str) -> dict[str, int]:
        """Return the number of an account's shadow copies that were not made, by reason."""
        skipped = dict[str, int]()
        for (owner, why), count in self.shadows_skipped.items():
            if account_sid in (EVERY, owner):
                skipped[why] = skipped.get(why, 0) + count
        return skipped
