"""Saves new callbacks and, in the same transaction, claims those that can be sent at once.

A callback can be sent at once if it is due, if no other one of its order key has to end before,
and if a slot is free for it; the number of slots, and so of callbacks under way, is limited (see
`fair_scheduler`). All other callbacks wait in the store.

Claiming a callback also starts its first attempt, which then needs no commit of its own. Methods
with a transaction run where the store runs its work: in the event loop or in the store's thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.callback_counts import CountSpan
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, begin
from ringback.core.callbacks.shards import shard_of
from ringback.core.errors import RecoveryPending
from ringback.delivery.backlog import Backlog
from ringback.delivery.batch_ingestion import Add
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.ports import (
    Clock,
    Cluster,
    DeliveryClaim,
    Lane,
    LaneDue,
    LoopWaker,
    NewCallbackQueue,
    News,
    Store,
    Transaction,
    lane_of,
)
from ringback.runtime.sending_gate import SendingGate


@dataclass(eq=False, kw_only=True)
class CallbackEnqueuer:
    """Implements `ports.NewCallbackQueue`; calls `claimed` for each callback to send at once."""

    scheduler: FairScheduler
    backlog: Backlog
    claimed: Callable[[DeliveryClaim], None]
    wakeup: LoopWaker
    clock: Clock
    cluster: Cluster
    destinations: DestinationControl
    gate: SendingGate = field(default_factory=SendingGate)
    tell_of_events: Callable[[Collection[str], str | None], None] = field(
        default=lambda _sids, _sim_sid: None
    )
    """Is called with the subscriptions for which this process has to make batches.

    And with the SIM of their events, if all are of one.
    """
    freed: Callable[[CallbackRecord], None] = field(default=lambda _: None)
    """Is called with each callback that ends without another attempt."""
    is_closed: bool = False
    """True if new callbacks are only saved, and are not sent before the next start."""
    is_paused: bool = False
    """True if new callbacks are refused because the database is unavailable."""
    _unclear_minute: datetime | None = None
    """The last minute that is noted as one of which rows don't show all; see `ports.Counters`."""

    def make_room(self, account_sid: str, count: int) -> None:
        """Raise BacklogFull if `count` more callbacks are too many: see `NewCallbackQueue`."""
        self.backlog.check(account_sid, count)

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        """Save a new callback, and claim it at once if it is due and a slot is free.

        Raises RecoveryPending while paused.
        """
        if self.is_paused:
            raise RecoveryPending(
                "the server takes no new callbacks until the database can be written to and the"
                " attempts that the last stop interrupted are settled; try again later"
            )
        account = tx.accounts.get(callback.account_sid)
        now = self.clock.now()
        callback = self.destinations.book.place(callback)
        lane = lane_of(callback)
        lease = self.cluster.lease_on(lane.destination)
        if lease is not None and not self.destinations.knows(lane.destination):
            lease = None
        is_first = callback.order_key is None or tx.callbacks.take_place(callback)
        if (
            is_first
            and account is not None
            and lease is not None
            and self._may_go(callback, lane, now)
        ):
            limit = callback.url.connection.total_timeout
            progress = begin(callback.progress, now, total_timeout=limit)
            callback, row_id = callback.having(progress), 0
            # Registered first, so that the slot is returned even if saving fails.
            tx.on_commit(
                lambda: self._taken(
                    DeliveryClaim(
                        callback, account, lane, row_id=row_id, is_new=True, run=row_id, lease=lease
                    )
                ),
                undone=lambda: self._free(lane),
            )
            row_id = tx.callbacks.add(callback)
        else:
            tx.callbacks.add(callback)
            tx.on_commit(lambda: self._kept(callback, is_first=is_first))

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Save the new progress of a callback that has no attempt under way."""
        turn = tx.callbacks.change(callback.having(progress))
        if callback.progress.is_ended:
            self._note_unclear(tx, progress.date_updated)
        tx.on_commit(lambda: self._changed(callback, progress, turn))

    def _note_unclear(self, tx: Transaction, instant: datetime) -> None:
        """Note once a minute that an end has gone from the rows, which might be counted again."""
        minute = CountSpan.MINUTE.begin_of(instant)
        if self._unclear_minute == minute or self.cluster.is_shared:
            return
        tx.counters.note_unclear(minute)

        def noted() -> None:
            self._unclear_minute = minute

        tx.on_commit(noted)

    def expect_events(
        self, tx: Transaction, subscriptions: Mapping[str, str], sim_sid: str | None = None
    ) -> None:
        """Have batches made, here or by the processes that own the sinks' shards."""
        if subscriptions:
            tx.on_commit(lambda: self._expect_events(subscriptions, sim_sid))

    def _expect_events(self, subscriptions: Mapping[str, str], sim_sid: str | None) -> None:
        leases = {sid: self.cluster.lease_on(to) for sid, to in subscriptions.items()}
        self.tell_of_events([sid for sid, lease in leases.items() if lease is not None], sim_sid)
        others = [subscriptions[sid] for sid, lease in leases.items() if lease is None]
        if others:
            self.cluster.announce(News(frozenset(map(shard_of, others))))

    def _may_go(self, callback: CallbackRecord, lane: Lane, now: datetime) -> bool:
        due = callback.progress.due
        is_due = due is not None and due <= now
        may_send = self.gate.is_open and not self.is_closed
        return is_due and may_send and self.scheduler.try_take(lane, now)

    def _taken(self, claim: DeliveryClaim) -> None:
        self.backlog.accepted(claim.callback)
        self.claimed(claim)

    def _free(self, lane: Lane) -> None:
        self.scheduler.give_back(lane)
        self.wakeup.wake()

    def _kept(self, callback: CallbackRecord, *, is_first: bool) -> None:
        self.backlog.accepted(callback)
        due = callback.progress.due
        if is_first and due is not None:
            self._expect(lane_of(callback), due)

    def _changed(
        self, callback: CallbackRecord, progress: DeliveryProgress, turn: LaneDue | None
    ) -> None:
        if progress.is_ended and not callback.progress.is_ended:
            self.backlog.discarded(callback, progress)
            self.freed(callback)
        elif callback.progress.is_ended and not progress.is_ended:
            self.backlog.replayed(callback, progress)
        if progress.due is not None:
            self._expect(lane_of(callback), progress.due)
        if turn is not None:
            self._expect(*turn)

    def _expect(self, lane: Lane, due: datetime) -> None:
        if self.cluster.lease_on(lane.destination) is None:
            self.cluster.announce(News(frozenset({shard_of(lane.destination)})))
        else:
            self.scheduler.expect(lane, due)
            self.wakeup.wake()


@dataclass(eq=False, kw_only=True)
class DirectBatchQueue:
    """Implements `ports.BulkCallbackQueue`: one transaction adds all callbacks of a batch.

    It is for stores in which a long transaction does not delay others.
    """

    store: Store
    queue: NewCallbackQueue
    add: Add

    async def keep(
        self,
        account_sid: str,
        callbacks: Sequence[CallbackRecord],
        texts: Sequence[str],  # noqa: ARG002 (the port's signature)
    ) -> list[CallbackRecord]:
        """Save a batch of callbacks, and return their records; see `ports.BulkCallbackQueue`."""
        self.queue.make_room(account_sid, len(callbacks))
        return await self.store.transact(lambda tx: self.add(tx, callbacks, self.queue))
