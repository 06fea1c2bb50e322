"""Takes new callbacks in: a transaction keeps them, and claims those for which there is a slot.

The row of such a callback's first attempt is opened by the very transaction that keeps it, so that
writing ahead costs no commit of its own. All others wait in the store until they are claimed.
What is called within a transaction runs in the thread of the store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, begin
from ringback.core.errors import StoreUnavailable
from ringback.delivery.backlog import Backlog
from ringback.delivery.batch_ingestion import Add
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.ports import Clock, DeliveryClaim, LoopWaker, Store, Transaction, lane_of


@dataclass(eq=False, kw_only=True)
class CallbackEnqueuer:
    """Answers `ports.NewCallbackQueue`; `claimed` gets each callback that may be sent at once."""

    scheduler: FairScheduler
    backlog: Backlog
    claimed: Callable[[DeliveryClaim], None]
    wakeup: LoopWaker
    clock: Clock
    is_closed: bool = False
    """Whether nothing is claimed any more: what comes is kept, and waits for the next start."""
    is_paused: bool = False
    """Whether nothing is taken in, since the database is away."""

    def make_room(self, account_sid: str, count: int) -> None:
        """Check that this many new callbacks may wait; see `ports.NewCallbackQueue`."""
        self.backlog.check(account_sid, count)

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        """Keep a new callback, and claim it at once where it may go.

        Raises StoreUnavailable while paused.
        """
        if self.is_paused:
            raise StoreUnavailable(
                "the database can't be used just now: what was left open at the last stop is not"
                " settled yet"
            )
        account = tx.accounts.get(callback.account_sid)
        now = self.clock.now()
        if account is not None and self._may_go(callback):
            limit = callback.url.connection.total_timeout
            claim = DeliveryClaim(
                callback, begin(callback.progress, now, total_timeout=limit), account
            )
            # First, so that the slot comes back where the callback can't be kept.
            tx.on_commit(lambda: self._taken(claim), undone=lambda: self._free(callback))
            tx.callbacks.add(callback.having(claim.progress))
        else:
            tx.callbacks.add(callback)
            tx.on_commit(lambda: self._kept(callback))

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Keep the new progress of a callback that has no attempt under way."""
        tx.callbacks.change(callback.having(progress))
        tx.on_commit(lambda: self._changed(callback, progress))

    def _may_go(self, callback: CallbackRecord) -> bool:
        due, now = callback.progress.due, self.clock.now()
        is_due = due is not None and due <= now
        return is_due and not self.is_closed and self.scheduler.try_take(lane_of(callback), now)

    def _taken(self, claim: DeliveryClaim) -> None:
        self.backlog.accepted(claim.callback)
        self.claimed(claim)

    def _free(self, callback: CallbackRecord) -> None:
        self.scheduler.give_back(lane_of(callback))
        self.wakeup.wake()

    def _kept(self, callback: CallbackRecord) -> None:
        self.backlog.accepted(callback)
        self._expect(callback, callback.progress)

    def _changed(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        if progress.is_ended and not callback.progress.is_ended:
            self.backlog.ended(callback, progress)
        elif callback.progress.is_ended and not progress.is_ended:
            self.backlog.change(callback.account_sid, 1)
        self._expect(callback, progress)

    def _expect(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        if progress.due is not None:
            self.scheduler.expect(lane_of(callback), progress.due)
            self.wakeup.wake()


class StoreOnlyQueue:
    """Answers both ports for new callbacks where no workers run: they are stored, and wait.

    How many may wait is not bounded here, since only workers know when one ends.
    """

    def __init__(self, store: Store, counters: DeliveryCounters, *, add: Add) -> None:
        self._store = store
        self._counters = counters
        self._add = add

    def make_room(self, account_sid: str, count: int) -> None:
        """Let any number wait; see `ports.NewCallbackQueue`."""

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        """Keep a new callback, for workers to find."""
        tx.callbacks.add(callback)
        tx.on_commit(lambda: self._counters.accepted(callback.source))

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Keep the new progress of a callback that has no attempt under way."""
        tx.callbacks.change(callback.having(progress))

    async def keep(
        self,
        account_sid: str,  # noqa: ARG002 (the port's signature)
        callbacks: Sequence[CallbackRecord],
        texts: Sequence[str],  # noqa: ARG002
    ) -> list[CallbackRecord]:
        """Keep a batch in one transaction; see `ports.BulkCallbackQueue`."""
        return await self._store.transact(lambda tx: self._add(tx, callbacks, self))
