"""Takes over the work of processes that have died, at the start and while other processes run.

If other processes share the store, this also keeps the leases on this process's shards.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import Outcome, UnknownOutcome
from ringback.delivery.backlog import Backlog
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.delivery.minute_counters import MinuteCounters
from ringback.ports import ALL_SHARDS, Cluster, DeliveryClaim, Settlement, Store, Transaction

_RENEW_EVERY: Final = 3.0
"""Seconds between two renewals of the leases, which end 15 seconds after the last one."""
_RENEW_SOON: Final = 1.0
"""Seconds until the next renewal if the last one failed, or if shards should move."""
_LOOK_EVERY: Final = 0.5
"""Seconds between two looks whether another process has died, if others share the store."""
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
    counters: MinuteCounters
    destinations: DestinationControl
    freed: Callable[[CallbackRecord], None]
    """Is called with each callback whose attempt was settled as unknown."""
    recover_copies: Callable[[], Awaitable[object]] | None = None
    """Settles the shadow copies that dead processes left open."""

    def __post_init__(self) -> None:
        """Allow the first count at once."""
        self._next_count = 0.0
        self._has_to_sweep = False
        """True if callbacks may wait of which the scheduler does not know."""
        self._is_unbalanced = False
        """True if shards should move to or from this process."""
        self._taking_over: asyncio.Task[bool] | None = None

    async def start(self) -> int:
        """Take over all work that this process has to do, and return how much was left open.

        Attempts that a dead process left open get the result `unknown`; their callbacks are tried
        again as the retry rules say. Then the scheduler is informed of all lanes in which callbacks
        wait.
        """
        self.destinations.forget(ALL_SHARDS)
        await self.cluster.end_dead()
        change = await self.cluster.renew()
        self.workers.leave_room(change.still_open)
        self._is_unbalanced = change.is_unbalanced
        await self.destinations.load(self.store)
        await self._recover_copies()
        count = await self.store.transact(self._settle_left_open)
        await self.store.transact(self._count_unfinished)
        await self.due_callbacks.sweep()
        return count

    async def run(self) -> None:
        """Keep the leases, and take over the work of new shards, for ever."""
        is_renewed = is_free = True
        try:
            while True:
                is_settled = is_renewed and is_free and not self._is_unbalanced
                await self._pause(_RENEW_EVERY if is_settled else _RENEW_SOON)
                is_renewed = await self._attempt(self._renew, "the leases can't be renewed")
                # In a task of its own, so that a slow database delays no renewal.
                is_free = self._taking_over is None or self._taking_over.done()
                if is_renewed and is_free:
                    what = "the work of other processes can't be taken over"
                    self._taking_over = asyncio.create_task(self._attempt(self._take_over, what))
        finally:
            if self._taking_over is not None:
                self._taking_over.cancel()

    async def _pause(self, seconds: float) -> None:
        """Wait, but only until another process is known to be dead."""
        loop = asyncio.get_running_loop()
        until, has_found = loop.time() + seconds, False

        async def look() -> None:
            nonlocal has_found
            has_found = await self.cluster.end_dead()

        look_every = _LOOK_EVERY if self.cluster.is_shared else seconds
        while (left := until - loop.time()) > 0 and not has_found:
            await asyncio.sleep(min(look_every, left))
            await self._attempt(look, "it can't be found out which processes are dead")

    async def _attempt(self, work: Callable[[], Awaitable[None]], failed: str) -> bool:
        """Return False if the work fails; it is done again soon."""
        try:
            await work()
        except StoreUnavailable as failure:
            _log.debug("%s: %s", failed, failure)
            return False
        except Exception:  # noqa: BLE001 (without leases, nothing could be sent any more)
            _log.exception(failed)
            return False
        return True

    async def _renew(self) -> None:
        gained, lost, still_open, self._is_unbalanced = await self.cluster.renew()
        # In the same step of the event loop, so that nothing is sent to them before.
        self.workers.leave_room(still_open)
        self.destinations.forget(gained | lost)
        self._has_to_sweep = self._has_to_sweep or bool(gained)
        if lost:
            _log.warning("lost the leases on %d shards of destinations", len(lost))

    async def _take_over(self) -> None:
        # What a search found before, nobody has claimed.
        self._has_to_sweep = await self.destinations.load(self.store) or self._has_to_sweep
        if count := await self.store.transact(self._settle_left_open):
            _log.warning("settled %d attempts of other processes as unknown", count)
            self._has_to_sweep = True
        if self._has_to_sweep:
            # First, since shards that are gained meanwhile need another search.
            self._has_to_sweep = False
            try:
                await self._recover_copies()
                await self.due_callbacks.sweep()
            except BaseException:
                self._has_to_sweep = True
                raise
            self.due_callbacks.wakeup.wake()
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_count:
            began = loop.time()
            await self.store.transact(self._count_unfinished)
            pause = (loop.time() - began) / _COUNT_AT_MOST
            self._next_count = loop.time() + min(pause, _COUNT_AT_LEAST)

    async def _recover_copies(self) -> None:
        if self.recover_copies is not None:
            await self.recover_copies()

    def _count_unfinished(self, tx: Transaction) -> None:
        unfinished = tx.callbacks.unfinished()
        # On commit, so that later replays and discards are counted after it.
        tx.on_commit(lambda: self.backlog.start_with(unfinished))

    def _settle_left_open(self, tx: Transaction) -> int:
        left_open = tx.callbacks.left_open()
        settlements = [self._unknown(claim) for claim in left_open]
        # A search for callbacks that wait follows, which also finds those whose turn it is now.
        outdated, _ = tx.callbacks.settle(settlements)
        settled = [one for one in settlements if one not in outdated]
        tx.on_commit(lambda: self._count(settled))
        ended = Counter(claim.callback.url.destination for claim in left_open)
        # Else they would be found to be gone only by the next renewal.
        tx.on_commit(lambda: self.workers.use_room(ended))
        return len(left_open)

    def _count(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            self.counters.settled(settlement)
            self.freed(settlement.claim.callback)

    def _unknown(self, claim: DeliveryClaim) -> Settlement:
        """Return a settlement with the result `unknown` for an attempt that a crash interrupted."""
        unknown, started = UnknownOutcome(), claim.progress.date_updated
        after = self.decide(claim, claim.progress, unknown, started)
        return Settlement(claim, after, AttemptResult(unknown), started)
