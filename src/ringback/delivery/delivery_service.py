"""Assembles the parts that deliver callbacks, recovers their work at startup, and stops them.

`delivery_loop` has the steps of a delivery.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import StoreUnavailable
from ringback.core.retry_schedule import FAITHFUL, RetrySchedule
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.core.streams.sink import StreamSettings
from ringback.delivery.backlog import Backlog, BacklogLimits
from ringback.delivery.callback_sender import CallbackSender
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.delivery_loop import DeliveryLoop
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.destination_keeper import DestinationKeeper
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.delivery.enqueue import CallbackEnqueuer
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.stream_batcher import StreamBatcher
from ringback.delivery.work_takeover import WorkTakeover
from ringback.ports import (
    Clock,
    Cluster,
    Lane,
    News,
    RandomSource,
    Settlement,
    SoleProcess,
    Store,
    Transport,
    no_checkpoint,
)
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.wakeup import Wakeup

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The most callbacks that may be under way at the same time, and the most that may wait."""

    at_once: int = 800
    """The most callbacks under way: claimed for sending, and not answered yet."""
    per_destination: int = 64
    """The most requests under way to one destination."""
    backlog: BacklogLimits = BacklogLimits()


_LIMITS: Final = DeliveryLimits()
_ALONE: Final = SoleProcess()


class DeliveryService:
    """Delivers callbacks, from the recovery at the start until the stop.

    `first_settled` is called with each callback when the result of its first attempt is saved, and
    `recover_copies` when other processes may have left shadow copies open.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        clock: Clock,
        random_source: RandomSource,
        schedule: RetrySchedule = FAITHFUL,
        limits: DeliveryLimits = _LIMITS,
        counters: DeliveryCounters | None = None,
        sources: Sources = BUILT_IN,
        signing_keys: CurrentSigningKeys | None = None,
        cluster: Cluster = _ALONE,
        gate: SendingGate | None = None,
        destinations: DestinationControl | None = None,
        streams: StreamSettings | None = None,
        first_settled: Callable[[CallbackRecord], None] = lambda _: None,
        recover_copies: Callable[[], Awaitable[object]] | None = None,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._counters = counters = counters or DeliveryCounters()
        self._told_of_first = first_settled
        self.signing_keys = signing_keys or CurrentSigningKeys()
        self._store = store
        self._clock = clock
        self._cluster = cluster
        self._gate = gate = gate or SendingGate()
        self._wakeup = Wakeup(clock)
        self.destinations = destinations = destinations or DestinationControl(
            DestinationBook((), schedule), clock=clock, random_source=random_source
        )
        self._scheduler = FairScheduler(
            at_once=limits.at_once,
            per_destination=limits.per_destination,
            destinations=destinations,
        )
        self._backlog = Backlog(limits.backlog, counters)
        due_callbacks = DueCallbacks(
            store=store,
            scheduler=self._scheduler,
            wakeup=self._wakeup,
            clock=clock,
            cluster=cluster,
            gate=gate,
            destinations=destinations,
        )
        self._loop = DeliveryLoop(
            due_callbacks=due_callbacks,
            scheduler=self._scheduler,
            sender=CallbackSender(
                transport,
                signing_keys=self.signing_keys,
                clock=clock,
                sources=sources,
                cluster=cluster,
                gate=gate,
            ),
            clock=clock,
            random_source=random_source,
            backlog=self._backlog,
            counters=counters,
            per_destination=limits.per_destination,
            first_settled=self._first_settled,
            outdated=self._outdated,
            destinations=destinations,
            checkpoint=checkpoint,
        )
        destinations.release = self._loop.workers.add_released
        destinations.hold_back = self._hold_back
        self.signing_keys.changed = destinations.sign_again
        self._takeover = WorkTakeover(
            store=store,
            cluster=cluster,
            due_callbacks=due_callbacks,
            backlog=self._backlog,
            workers=self._loop.workers,
            decide=self._loop.decide,
            counters=counters.by_minute,
            destinations=destinations,
            freed=self._freed,
            recover_copies=recover_copies,
        )
        self._keeping: asyncio.Task[None] | None = None
        """Keeps the leases while the delivery runs; None if the store is not shared."""
        self.queue = CallbackEnqueuer(
            scheduler=self._scheduler,
            backlog=self._backlog,
            claimed=self._loop.workers.add,
            wakeup=self._wakeup,
            clock=clock,
            cluster=cluster,
            destinations=destinations,
            gate=gate,
        )
        self._batcher = StreamBatcher(
            store=store,
            queue=self.queue,
            clock=clock,
            random_source=random_source,
            cluster=cluster,
            book=destinations.book,
            gate=gate,
            settings=streams or StreamSettings(),
            is_sending=lambda: self.is_used,
        )
        self.queue.tell_of_events, self.queue.freed = self._batcher.tell, self._batcher.freed
        self._due_callbacks = due_callbacks
        cluster.listen(self._hear)
        self._keeper = DestinationKeeper(
            control=destinations, store=store, cluster=cluster, queue=self.queue, clock=clock
        )
        self._loop_ended = asyncio.Event()
        self._loop_ended.set()

    @property
    def under_way(self) -> int:
        """The number of callbacks that are claimed for sending, and not answered yet."""
        return self._scheduler.under_way

    @property
    def unfinished(self) -> int:
        """The number of callbacks that are not yet delivered, failed or discarded."""
        return self._backlog.in_all

    def unfinished_of(self, account_sid: str) -> int:
        """Return the number of such callbacks of one account."""
        return self._backlog.of(account_sid)

    @property
    def waiting(self) -> int:
        """The number of callbacks that wait for their turn, or for a later time."""
        return max(self.unfinished - self.under_way, 0)

    @property
    def is_shared(self) -> bool:
        """True if callbacks of several accounts have been sent within the last second."""
        return self._scheduler.are_shared(self._clock.now())

    @property
    def is_used(self) -> bool:
        """True if a callback has been sent within the last second."""
        return self._scheduler.is_used(self._clock.now())

    def window_of(self, lane: Lane) -> int | None:
        """Return how many callbacks of a lane may be under way at most.

        It is None if nothing was sent in the lane lately, or another process sends in it.
        """
        is_ours = self._cluster.lease_on(lane.destination) is not None
        return self._scheduler.window_of(lane) if is_ours else None

    @property
    def is_still(self) -> bool:
        """True if delivery is idle until a waiting callback comes due or a new one arrives."""
        is_quiet = self._wakeup.is_quiet and self.under_way == self.destinations.paced
        is_idle = self._loop.settlements.is_idle and self._batcher.is_still
        return is_quiet and is_idle and self._keeper.is_still

    async def next_due(self) -> datetime | None:
        """Return when the next callback or batch is due, or a rate lets one leave.

        It is None if none waits, or while paused.
        """
        if not self._gate.is_open:
            return None
        dues = (
            self._scheduler.next_due(),
            self._batcher.next_due(),
            self.destinations.next_paced(),
        )
        return min(filter(None, dues), default=None)

    async def recover(self) -> int:
        """Give the result `unknown` to attempts that a dead process left open; return their number.

        Then the scheduler is informed of all lanes in which callbacks wait.
        """
        count = await self._takeover.start()
        await self._batcher.start()
        return count

    async def run(self) -> None:
        """Deliver callbacks as they come due, until `stop` is called."""
        self._loop_ended = asyncio.Event()
        if self._cluster.is_shared:
            self._keeping = asyncio.create_task(self._takeover.run())
        beside = [asyncio.create_task(one.run()) for one in (self._keeper, self._batcher)]
        try:
            await self._loop.run()
        finally:
            for task in beside:
                task.cancel()
            self._loop_ended.set()

    async def stop(self, *, within: timedelta) -> None:
        """Begin no new attempts, and let those under way end within this time.

        Claimed callbacks that have not been sent go back to the store. Attempts that are not
        answered by then get the result `unknown` at the next start.
        """
        # The flags come first: a claim or decision after them begins no new attempt.
        self._loop.is_stopping = True
        self.queue.is_closed = True
        self._loop.workers.close()
        self._wakeup.wake()
        # Other processes begin with what waits while attempts under way end here.
        leaving = asyncio.create_task(self._leave()) if self._cluster.is_shared else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await self._loop_ended.wait()
                await self._loop.workers.finish()
                await self._loop.settlements.finish()
        await self._loop.workers.cancel()
        await self._put_back_unsent()
        if leaving is not None:
            await leaving

    async def _leave(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        with contextlib.suppress(StoreUnavailable):
            await self._cluster.leave()

    async def _put_back_unsent(self) -> None:
        try:
            # When this ends, the workers have all that was claimed before the queue was closed:
            # claims are quick work, too.
            await self._store.transact(lambda _: None, is_quick=True)
            unsent = [*self._loop.workers.take_unsent(), *self.destinations.take_unsent()]
            now = self._clock.now()
            await self._store.transact(lambda tx: tx.callbacks.put_back(unsent, now), is_quick=True)
        except StoreUnavailable as failure:
            _log.warning("%s; the next start of the server settles the open attempts", failure)

    def _hold_back(self, lane: Lane) -> None:
        """Put the claims of a lane back that have not been sent, since it is closed now."""
        for claim in self._loop.workers.take_back(lane):
            self._scheduler.give_back(lane)
            self._loop.settlements.put_back(claim, claim.due or self._clock.now())

    def _freed(self, callback: CallbackRecord) -> None:
        self._batcher.freed(callback)

    def _first_settled(self, callback: CallbackRecord) -> None:
        self._freed(callback)
        self._told_of_first(callback)

    def _hear(self, news: News) -> None:
        """Look for what another process has announced."""
        self._due_callbacks.look_in(news.shards)
        if news.shards:
            self._batcher.look()

    def _outdated(self, settlement: Settlement) -> None:
        """Count a result that was not saved, since another process has taken its callback over."""
        self._counters.outdated_results += 1
        if settlement.progress.is_under_way:
            self._scheduler.give_back(settlement.claim.lane)
