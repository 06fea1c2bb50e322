"""Counts the callbacks that wait, and limits how many more may come."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.errors import BacklogFull
from ringback.delivery.counters import DeliveryCounters

_ASK_AGAIN: Final = 5
"""Seconds; a backlog of any size has moved on by then."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """How many callbacks may be unfinished before no more are taken on."""

    in_all: int = 1_000_000
    per_account: int = 1_000_000


class Backlog:
    """The callbacks that have been accepted and have not ended, by account.

    It also counts each that is accepted, and each that ends.
    """

    def __init__(self, bounds: BacklogLimits, counters: DeliveryCounters) -> None:
        self._bounds = bounds
        self._counters = counters
        self._unfinished = Counter[str]()
        self.in_all = 0
        """How many callbacks of all accounts have not ended."""

    def start_with(self, unfinished: Mapping[str, int]) -> None:
        """Start with the counts of the store."""
        self._unfinished = Counter(unfinished)
        self.in_all = sum(unfinished.values())

    def accepted(self, callback: CallbackRecord) -> None:
        """Note that a new callback is unfinished."""
        self._counters.accepted(callback.source)
        self.change(callback.account_sid, 1)

    def ended(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Note that a callback has come to this ending."""
        self.change(callback.account_sid, -1)
        took = (progress.date_updated - callback.date_created).total_seconds()
        self._counters.ended(progress.status, callback.source, took)
        if progress.status is CallbackStatus.FAILED:
            _log.warning("callback %s failed: %s", callback.sid, progress.status_reason)

    def change(self, account_sid: str, by: int) -> None:
        """Add to the number of unfinished callbacks, or take from it."""
        self._unfinished[account_sid] += by
        self.in_all += by

    def check(self, account_sid: str, count: int) -> None:
        """Check that there is room for this many more.

        Raises BacklogFull where there is not.
        """
        own, bounds = self._unfinished[account_sid], self._bounds
        if own + count > bounds.per_account:
            raise _overloaded(f"{own} callbacks of this account wait", bounds.per_account)
        if self.in_all + count > bounds.in_all:
            raise _overloaded(f"{self.in_all} callbacks wait", bounds.in_all)


def _overloaded(what: str, bound: int) -> BacklogFull:
    return BacklogFull(
        f"{what}, and {bound} may; nothing was taken on, ask again in {_ASK_AGAIN} s",
        retry_after=_ASK_AGAIN,
    )
