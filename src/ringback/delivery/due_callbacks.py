"""Claims due callbacks in the store, and searches for those that nobody has reported.

The search is once a minute. If other processes share the store, it is also once a second for
callbacks that came due lately, and at once in the shards that another process announces.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ringback.core.callbacks.callback import plan_anew
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.ports import (
    Clock,
    Cluster,
    DeliveryClaim,
    Lane,
    LaneDue,
    LaneQuota,
    Store,
    Transaction,
)
from ringback.runtime.database_outage import outlast
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.wakeup import Wakeup

_SWEEP: Final = timedelta(minutes=1)
"""How often the store is searched for callbacks that the scheduler does not know of."""
_SWEPT_AT_ONCE: Final = 250
"""How many lanes one transaction reads, so that it delays others only briefly."""
_PLANNED_ANEW_AT_ONCE: Final = 256
_ORDERS_AT_ONCE: Final = 1000
"""How many order keys a search looks at; the next search goes on with others."""
_LOOK: Final = timedelta(seconds=1)
"""How often the store is searched for callbacks of other processes."""
_LATE: Final = timedelta(minutes=1)
"""How much later than it is due such a callback may be stored, and how much clocks may differ."""
_JUST_NOW: Final = timedelta(seconds=2)
"""How long before an announcement the announced callback usually came due, at most.

The announcements are frequent, and each search may have to skip all callbacks that were due since.
"""

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class DueCallbacks:
    """Claims due callbacks in the store for sending, lane by lane, as far as slots are free."""

    store: Store
    scheduler: FairScheduler
    wakeup: Wakeup
    clock: Clock
    cluster: Cluster
    gate: SendingGate
    destinations: DestinationControl

    def __post_init__(self) -> None:
        """Schedule the first search of the store for now."""
        self._next_sweep = self._next_look = self._looked = self.clock.now()
        self._announced = set[int]()
        """The shards in which another process has added callbacks."""
        self.gate.listen(self.wakeup.wake)
        self.destinations.wake = self.wakeup.wake

    def expect(self, lane: Lane, due: datetime) -> None:
        """Note that a callback waits in a lane: for a retry, or since its turn has come."""
        self.scheduler.expect(lane, due)
        self.wakeup.wake()

    def look_in(self, shards: Collection[int]) -> None:
        """Search these shards soon, since another process has added callbacks."""
        if shards:
            self._announced.update(shards)
            self.wakeup.wake()

    async def claim(self) -> list[DeliveryClaim]:
        """Claim the due callbacks in one commit, and return the claims.

        If none is due, waits until a callback may have come due, or until `wakeup` wakes it,
        and returns an empty list. While the server is paused, none is claimed.
        """
        if not self.gate.is_open:
            await self.wakeup.wait(None)
            return []
        # A clock that was set back must not delay the search.
        if not timedelta(0) < self._next_sweep - self.clock.now() <= _SWEEP:
            await outlast(self.sweep, clock=self.clock)
        if self.cluster.is_shared:
            await outlast(self._look, clock=self.clock)
        now = self.clock.now()
        leased = self._quotas(now)
        quotas = [quota for quota, _ in leased]
        if not quotas:
            search = self._next_look if self.cluster.is_shared else self._next_sweep
            await self.wakeup.wait(min(self.scheduler.next_due() or search, search))
            return []
        claimed = await outlast(
            lambda: self.store.transact(lambda tx: tx.callbacks.claim(quotas, now), is_quick=True),
            clock=self.clock,
        )
        for quota, (claims, next_due) in zip(quotas, claimed, strict=True):
            self.scheduler.claimed(quota, len(claims), next_due=next_due)
        if not self.cluster.is_shared:
            return [claim for claims, _ in claimed for claim in claims]
        pairs = zip(leased, claimed, strict=True)
        return [
            claim._replace(lease=lease) for (_, lease), (claims, _) in pairs for claim in claims
        ]

    def _quotas(self, now: datetime) -> list[tuple[LaneQuota, int]]:
        """Take slots for due callbacks in lanes from which this process may claim.

        Also returns the numbers of the leases under which they are claimed.
        """
        leased = list[tuple[LaneQuota, int]]()
        for quota in self.scheduler.due(now):
            lease = self.cluster.lease_on(quota.lane.destination)
            if lease is None or not self.destinations.knows(quota.lane.destination):
                self.scheduler.claimed(quota, 0, next_due=None)
            else:
                leased.append((quota, lease))
        return leased

    async def _look(self) -> None:
        """Search for callbacks that other processes have added, if it is time or was announced."""
        now = self.clock.now()
        shards, self._announced = self._announced, set[int]()
        if timedelta(0) < self._next_look - now <= _LOOK:
            if not shards:
                return
            where, since = shards, now - _JUST_NOW
        else:
            # The database may have held up the last search, or what came after it.
            where, since, self._next_look = None, min(now, self._looked) - _LATE, now + _LOOK
        last, is_over = None, False
        while not is_over:
            some = await self.store.transact(
                partial(_waiting_since, since, where, last), is_quick=True
            )
            for lane, due in some:
                self.scheduler.expect(lane, due)
            last, is_over = some[-1].lane if some else None, len(some) < _SWEPT_AT_ONCE
        if where is None:
            self._looked = now

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
        if last is None:
            tx.callbacks.restore_order(limit=_ORDERS_AT_ONCE)
        tolerance = _LATE if self.cluster.is_shared else timedelta(0)
        ahead = 0 if last else _plan_anew(tx, self.clock.now(), tolerance)
        return ahead, tx.callbacks.waiting(after=last, limit=_SWEPT_AT_ONCE)


def _waiting_since(
    since: datetime, shards: Collection[int] | None, last: Lane | None, tx: Transaction
) -> list[LaneDue]:
    return tx.callbacks.waiting(after=last, limit=_SWEPT_AT_ONCE, shards=shards, since=since)


def _plan_anew(tx: Transaction, now: datetime, tolerance: timedelta) -> int:
    ahead = tx.callbacks.changed_after(now + tolerance, limit=_PLANNED_ANEW_AT_ONCE)
    for callback in ahead:
        tx.callbacks.change(callback.having(plan_anew(callback.progress, now)))
    return len(ahead)
