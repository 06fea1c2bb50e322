"""Claims due callbacks in the store, and searches for missed ones once a minute."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ringback.core.callbacks.callback import plan_anew
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.ports import Clock, DeliveryClaim, Lane, LaneDue, Store, Transaction
from ringback.runtime.database_outage import outlast
from ringback.runtime.wakeup import Wakeup

_SWEEP: Final = timedelta(minutes=1)
"""How often the store is searched for callbacks that the scheduler does not know of."""
_SWEPT_AT_ONCE: Final = 250
"""How many lanes one transaction reads, so that it delays others only briefly."""
_PLANNED_ANEW_AT_ONCE: Final = 256

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class DueCallbacks:
    """Claims due callbacks in the store for sending, lane by lane, as far as slots are free."""

    store: Store
    scheduler: FairScheduler
    wakeup: Wakeup
    clock: Clock

    def __post_init__(self) -> None:
        """Schedule the first search of the store for now."""
        self._next_sweep = self.clock.now()

    async def claim(self) -> list[DeliveryClaim]:
        """Claim the due callbacks in one commit, and return the claims.

        If none is due, waits until a callback may have come due, or until `wakeup` wakes it,
        and returns an empty list.
        """
        # A clock that was set back must not delay the search.
        if not timedelta(0) < self._next_sweep - self.clock.now() <= _SWEEP:
            await outlast(self.sweep, clock=self.clock)
        now = self.clock.now()
        quotas = self.scheduler.due(now)
        if not quotas:
            due = self.scheduler.next_due()
            await self.wakeup.wait(min(due or self._next_sweep, self._next_sweep))
            return []
        claimed = await outlast(
            lambda: self.store.transact(lambda tx: tx.callbacks.claim(quotas, now), is_quick=True),
            clock=self.clock,
        )
        for quota, (claims, next_due) in zip(quotas, claimed, strict=True):
            self.scheduler.claimed(quota, len(claims), next_due=next_due)
        return [claim for claims, _ in claimed for claim in claims]

    async def sweep(self) -> None:
        """Search the store for lanes with waiting callbacks, and report them to the scheduler."""
        last, is_over = None, False
        while not is_over:
            ahead, some = await self.store.transact(partial(self._look_through, last))
            if ahead:
                _log.warning(
                    "the clock was set back: %d callbacks now start their wait for the"
                    " next attempt again",
                    ahead,
                )
            for lane, due in some:
                self.scheduler.expect(lane, due)
            if ahead < _PLANNED_ANEW_AT_ONCE:
                last, is_over = some[-1].lane if some else None, len(some) < _SWEPT_AT_ONCE
        self._next_sweep = self.clock.now() + _SWEEP

    def _look_through(self, last: Lane | None, tx: Transaction) -> tuple[int, list[LaneDue]]:
        """Read the next lanes after `last` in which callbacks wait, and correct wrong due times.

        A due time is wrong if the clock was ahead when the callback was postponed. Returns the
        number of corrected callbacks, and the lanes.
        """
        ahead = 0 if last else _plan_anew(tx, self.clock.now())
        return ahead, tx.callbacks.waiting(after=last, limit=_SWEPT_AT_ONCE)


def _plan_anew(tx: Transaction, now: datetime) -> int:
    ahead = tx.callbacks.changed_after(now, limit=_PLANNED_ANEW_AT_ONCE)
    for callback in ahead:
        tx.callbacks.change(callback.having(plan_anew(callback.progress, now)))
    return len(ahead)
