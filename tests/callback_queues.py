"""Callback queues that send nothing: they keep the callbacks, and record the calls."""

from collections.abc import Mapping, Sequence

from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.callbacks.callback_serialization import read_new
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.errors import BacklogFull
from ringback.core.retry_schedule import FAITHFUL
from ringback.delivery.backlog import Backlog, BacklogLimits
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.enqueue import CallbackEnqueuer
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.operations.create_callbacks import send_callbacks
from ringback.ports import Clock, Cluster, DeliveryClaim, NewCallbackQueue, Store, Transaction
from ringback.runtime.system_clock import SystemRandomSource
from ringback.runtime.wakeup import Wakeup


class RecordingQueue:
    """Implements `ports.NewCallbackQueue`; `room` is how many more callbacks it accepts."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.asked = list[tuple[str, int]]()
        self.taken = list[str]()
        """The SIDs of the accepted callbacks, once they were durable."""
        self.changed = list[str]()
        self.told = list[str]()
        """The subscriptions that events were added for."""

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        tx.callbacks.add(callback)
        tx.on_commit(lambda: self.taken.append(callback.sid))

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        tx.callbacks.change(callback.having(progress))
        tx.on_commit(lambda: self.changed.append(callback.sid))

    def expect_events(
        self, tx: Transaction, subscriptions: Mapping[str, str], sim_sid: str | None = None
    ) -> None:
        tx.on_commit(lambda: self.told.extend(subscriptions))

    def make_room(self, account_sid: str, count: int) -> None:
        self.asked.append((account_sid, count))
        if count > self.room:
            raise BacklogFull("too many wait; ask again in 5 s", retry_after=5)


class BatchesAtOnce:
    """Implements `ports.BulkCallbackQueue`, and keeps each batch as a whole."""

    def __init__(self, store: Store, queue: NewCallbackQueue) -> None:
        self._store = store
        self._queue = queue

    async def keep(
        self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
    ) -> list[CallbackRecord]:
        assert list(map(read_new, texts)) == callbacks
        self._queue.make_room(account_sid, len(callbacks))
        return await self._store.transact(lambda tx: send_callbacks(tx, callbacks, self._queue))


def accepting_queue(
    cluster: Cluster,
    clock: Clock,
    counters: DeliveryCounters,
    rules: Sequence[DestinationRule] = (),
) -> CallbackEnqueuer:
    """Return the queue of a process that accepts callbacks, and owns no shard to send them."""
    control = DestinationControl(
        DestinationBook(rules, FAITHFUL), clock=clock, random_source=SystemRandomSource()
    )
    return CallbackEnqueuer(
        destinations=control,
        scheduler=FairScheduler(at_once=1, per_destination=1),
        backlog=Backlog(BacklogLimits(), counters),
        claimed=_send_nothing,
        wakeup=Wakeup(clock),
        clock=clock,
        cluster=cluster,
    )


def _send_nothing(claim: DeliveryClaim) -> None:
    raise AssertionError(f"{claim.callback.sid} was claimed by a process that owns no shard")
