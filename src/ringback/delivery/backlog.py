"""Counts the unfinished callbacks, and limits their number."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.errors import BacklogFull
from ringback.delivery.counters import DeliveryCounters

_ASK_AGAIN: Final = 5
"""The `Retry-After` of a refusal, in seconds; by then, any backlog has become shorter."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """The most callbacks that may be unfinished, in all and for each account."""

    in_all: int = 1_000_000
    per_account: int = 1_000_000


class Backlog:
    """Counts the unfinished callbacks of each account: not yet delivered, failed or discarded.

    It also counts each new and each ended callback for `/metrics` and the stored counters.
    """

    def __init__(self, bounds: BacklogLimits, counters: DeliveryCounters) -> None:
        self._bounds = bounds
        self._counters = counters
        self._unfinished = Counter[str]()
        self.in_all = 0
        """The number of unfinished callbacks of all accounts."""

    def start_with(self, unfinished: Mapping[str, int]) -> None:
        """Start with the number of unfinished callbacks in the store, by account."""
        self._unfinished = Counter(unfinished)
        self.in_all = sum(unfinished.values())

    def accepted(self, callback: CallbackRecord) -> None:
        """Count a new callback, which Ringback has accepted for delivery, as unfinished."""
        self._counters.accepted(callback.source)
        self._counters.by_minute.accepted(callback)
        self.change(callback.account_sid, 1)

    def ended(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Count a callback as ended; log a warning if it failed."""
        self._count_end(callback, progress)
        if progress.status is CallbackStatus.FAILED:
            _log.warning("callback %s failed: %s", callback.sid, progress.status_reason)

    def discarded(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Count a callback as ended that ended without an attempt; who ends many logs them."""
        self._count_end(callback, progress)
        self._counters.by_minute.discarded(callback, progress)

    def _count_end(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        self.change(callback.account_sid, -1)
        took = (progress.date_updated - callback.date_created).total_seconds()
        self._counters.ended(progress.status, callback.source, took)

    def replayed(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Count a callback that had ended as unfinished again."""
        self.change(callback.account_sid, 1)
        self._counters.by_minute.replayed(callback, progress)

    def change(self, account_sid: str, by: int) -> None:
        """Add `by`, which may be negative, to the number of an account's unfinished callbacks."""
        self._unfinished[account_sid] += by
        self.in_all += by

    def of(self, account_sid: str) -> int:
        """Return the number of an account's unfinished callbacks."""
        return self._unfinished.get(account_sid, 0)

    def check(self, account_sid: str, count: int) -> None:
        """Raise BacklogFull if `count` more callbacks of an account would exceed the limits."""
        own, bounds = self._unfinished[account_sid], self._bounds
        if own + count > bounds.per_account:
            raise _overloaded(f"{own} callbacks of this account are waiting", bounds.per_account)
        if self.in_all + count > bounds.in_all:
            raise _overloaded(f"{self.in_all} callbacks are waiting", bounds.in_all)


def _overloaded(what: str, bound: int) -> BacklogFull:
    return BacklogFull(
        f"{what}; the limit is {bound}. Nothing was accepted; try again in {_ASK_AGAIN} s",
        retry_after=_ASK_AGAIN,
    )
