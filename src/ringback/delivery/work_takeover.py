"""Takes over the work of processes that have died, at the start and while other processes run.

If other processes share the store, this also keeps the leases on this process's shards.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.callbacks.callback import DeliveryProgress
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import Outcome, UnknownOutcome
from ringback.delivery.backlog import Backlog
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.ports import Cluster, DeliveryClaim, Settlement, Store, Transaction

_RENEW_EVERY: Final = 3.0
"""Seconds between two renewals of the leases, which end 15 seconds after the last one."""
_TRY_AGAIN: Final = 1.0
_COUNT_AT_MOST: Final = 0.01
"""The part of the time that may be spent on counting unfinished callbacks."""
_COUNT_AT_LEAST: Final = 60.0
"""The most seconds between two counts: a count that waited for the database took no work."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class WorkTakeover:
    """Settles the attempts that dead processes left open, and finds the callbacks that wait."""

    store: Store
    cluster: Cluster
    due_callbacks: DueCallbacks
    backlog: Backlog
    workers: DeliveryWorkers
    decide: Callable[[DeliveryClaim, DeliveryProgress, Outcome, datetime], DeliveryProgress]
    """Returns a callback's next state after an outcome of an attempt that began at an instant."""

    def __post_init__(self) -> None:
        """Allow the first count at once."""
        self._next_count = 0.0
        self._has_to_sweep = False
        """True if callbacks may wait of which the scheduler does not know."""

    async def start(self) -> int:
        """Take over all work that this process has to do, and return how much was left open.

        Attempts that a dead process left open get the result `unknown`; their callbacks are tried
        again as the retry rules say. Then the scheduler is informed of all lanes in which callbacks
        wait.
        """
        change = await self.cluster.renew()
        self.workers.leave_room(change.still_open)
        count = await self.store.transact(self._settle_left_open)
        await self.store.transact(self._count_unfinished)
        await self.due_callbacks.sweep()
        return count

    async def run(self) -> None:
        """Keep the leases, and take over the work of new shards, for ever."""
        pause = _RENEW_EVERY
        while True:
            await asyncio.sleep(pause)
            try:
                await self._renew()
                pause = _RENEW_EVERY
            except StoreUnavailable as failure:
                _log.debug("the leases can't be renewed: %s", failure)
                pause = _TRY_AGAIN
            except Exception:  # noqa: BLE001 (without leases, nothing could be sent any more)
                _log.exception("the leases can't be renewed")
                pause = _TRY_AGAIN

    async def _renew(self) -> None:
        gained, lost, still_open = await self.cluster.renew()
        # In the same step of the event loop, so that nothing is sent to them before.
        self.workers.leave_room(still_open)
        self._has_to_sweep = self._has_to_sweep or bool(gained)
        if lost:
            _log.warning("lost the leases on %d shards of destinations", len(lost))
        if count := await self.store.transact(self._settle_left_open):
            _log.warning("settled %d attempts of other processes as unknown", count)
        if self._has_to_sweep or count:
            self._has_to_sweep = True
            await self.due_callbacks.sweep()
            self._has_to_sweep = False
            self.due_callbacks.wakeup.wake()
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_count:
            began = loop.time()
            await self.store.transact(self._count_unfinished)
            pause = (loop.time() - began) / _COUNT_AT_MOST
            self._next_count = loop.time() + min(pause, _COUNT_AT_LEAST)

    def _count_unfinished(self, tx: Transaction) -> None:
        unfinished = tx.callbacks.unfinished()
        # On commit, so that later replays and discards are counted after it.
        tx.on_commit(lambda: self.backlog.start_with(unfinished))

    def _settle_left_open(self, tx: Transaction) -> int:
        left_open = tx.callbacks.left_open()
        tx.callbacks.settle([self._unknown(claim) for claim in left_open])
        return len(left_open)

    def _unknown(self, claim: DeliveryClaim) -> Settlement:
        """Return a settlement with the result `unknown` for an attempt that a crash interrupted."""
        unknown, started = UnknownOutcome(), claim.progress.date_updated
        after = self.decide(claim, claim.progress, unknown, started)
        return Settlement(claim, after, AttemptResult(unknown), started)
