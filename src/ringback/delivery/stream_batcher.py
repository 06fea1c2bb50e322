"""Puts the events that wait for a subscriber into batches, which are delivered as callbacks.

One transaction adds a batch and notes that its events no longer wait. So each event is in exactly
one batch of each subscriber, whenever the process dies. The process that owns the shard of a sink
does this for its subscription.

First attempts keep the order of a SIM's events: as long as the first attempt of a batch has not
ended, the SIMs of its events are *busy*. Which SIMs are busy is only in memory; a process that
begins with a subscription reads it from the batches that no attempt was made for.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord, StreamBatch
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose_stream
from ringback.core.policy.source_policy import Source
from ringback.core.streams.batch_plan import BatchRules, PendingEvent, WaitingTimes, plan_batches
from ringback.core.streams.event_references import (
    EventReference,
    body_of_references,
    write_references,
)
from ringback.core.streams.event_types import LATEST_VERSION
from ringback.core.streams.sink import SinkType, StreamSettings, StreamSink, StreamSubscription
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.delivery.destination_book import DestinationBook
from ringback.ports import Clock, Cluster, NewCallbackQueue, RandomSource, Store, Transaction
from ringback.runtime.database_outage import outlast
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.wakeup import Wakeup

_READ_AT_ONCE: Final = 1000
"""How many waiting events one transaction looks at."""
_LOOK: Final = timedelta(seconds=5)
"""How often to look for events of other processes, in case an announcement got lost."""
_FEW: Final = 8
"""At most this many subscriptions of an account have their turn together, and need no pauses."""
_REST: Final = 7
"""How many times as long as a look the pause after it is, while callbacks are sent."""
_LONGEST_REST: Final = 10.0
"""The most seconds of a pause, multiplied by the number of subscriptions still to be looked at."""


@dataclass(eq=False)
class _Stream:
    """What is known of a subscription whose sink's shard this process owns."""

    account_sid: str
    lease: int
    """The number of the lease on the shard: with another one, others may have sent meanwhile."""
    busy: dict[str, Collection[str]]
    """The SIMs of each batch whose first attempt has not ended, by the batch's SID."""
    times: WaitingTimes = WaitingTimes()
    """Since when events wait for a batch to become full."""
    has_waiting: bool = False
    """True if the last look left events waiting."""

    def can_send(self, sim_sid: str) -> bool:
        """Return False if a look at a new event of this SIM would change nothing."""
        return not self.has_waiting or all(sim_sid not in sims for sims in self.busy.values())


@dataclass(eq=False, kw_only=True)
class StreamBatcher:
    """Makes the batches of all subscriptions whose sinks belong to this process."""

    store: Store
    queue: NewCallbackQueue
    clock: Clock
    random_source: RandomSource
    cluster: Cluster
    book: DestinationBook
    gate: SendingGate
    settings: StreamSettings = StreamSettings()
    is_sending: Callable[[], bool] = lambda: False
    """Returns True while callbacks are sent, which should wait little for many subscriptions."""

    def __post_init__(self) -> None:
        """Begin without knowing of any events."""
        self._wakeup = Wakeup(self.clock)
        self._streams = dict[str, _Stream]()
        self._told = dict[str, None]()
        """The subscriptions for which there may be something to do, longest known first."""
        self._next_look: datetime | None = None
        """When to look through all subscriptions; None if there is no need."""
        self.gate.listen(self._wakeup.wake)

    @property
    def is_still(self) -> bool:
        """True while nothing has to be done before the next event, or before `next_due`."""
        return self._wakeup.is_quiet and not self._told

    def next_due(self) -> datetime | None:
        """Return when the next batch is sent although it is not full; None if none waits."""
        first = min(filter(None, (one.times.first for one in self._streams.values())), default=None)
        return first and first + self.settings.kore_wait

    def tell(self, subscription_sids: Iterable[str], sim_sid: str | None = None) -> None:
        """Note that events wait for these subscriptions, all of one SIM if it is given.

        Nothing is noted if the SIM is busy and other events wait already: `freed` will note it.
        This saves a transaction for each event and subscription while many sinks hang.
        """
        for sid in subscription_sids:
            stream = None if sim_sid is None else self._streams.get(sid)
            if stream is None or sim_sid is None or stream.can_send(sim_sid):
                self._told[sid] = None
        if self._told:
            self._wakeup.wake()

    def look(self) -> None:
        """Look through all subscriptions soon, since other processes may have added events."""
        self._next_look = self.clock.now()
        self._wakeup.wake()

    def freed(self, callback: CallbackRecord) -> None:
        """Note that the first attempt of a callback has ended, or that it will never be made."""
        if callback.stream is None:
            return
        sid = callback.stream.stream_sid
        stream = self._streams.get(sid)
        if stream is not None and stream.busy.pop(callback.sid, None) is not None:
            self.tell([sid])

    async def start(self) -> None:
        """Find the subscriptions that events wait for, whoever has added them."""
        self._told.update(dict.fromkeys(await self._waited_for()))
        # A process that has the store to itself knows of all later events.
        self._next_look = self.clock.now() + _LOOK if self.cluster.is_shared else None

    async def run(self) -> None:
        """Make batches until cancelled."""
        while True:
            if not self.gate.is_open:
                await self._wakeup.wait(None)
                continue
            now = self.clock.now()
            # A clock that was set back must not delay the look.
            if self._next_look is not None and not timedelta(0) < self._next_look - now <= _LOOK:
                await outlast(self.start, clock=self.clock)
            for sid in self._next_in_turn():
                await self._look_at(sid)
            due = self.next_due()
            if not self._told:
                times = filter(None, (due, self._next_look))
                await self._wakeup.wait(min(times, default=None))
            if due is not None and due <= self.clock.now():
                late = (sid for sid, one in self._streams.items() if one.times.first)
                self._told.update(dict.fromkeys(late))

    def _next_in_turn(self) -> Sequence[str]:
        """Return a few subscriptions of each account, in turns: none waits for another's many.

        One whose account is not known yet counts for itself.
        """
        of_accounts = dict[str, list[str]]()
        for sid in self._told:
            stream = self._streams.get(sid)
            few = of_accounts.setdefault(sid if stream is None else stream.account_sid, [])
            if len(few) < _FEW:
                few.append(sid)
        turns = zip_longest(*of_accounts.values())
        return [sid for turn in turns for sid in turn if sid is not None]

    async def _look_at(self, sid: str) -> None:
        """Make the batches of a subscription; while there are many, pause for other work."""
        count, time = len(self._told), asyncio.get_running_loop().time
        began = time()
        self._told.pop(sid, None)
        await outlast(partial(self._make_batches, sid), clock=self.clock)
        if count > _FEW and self.is_sending():
            await asyncio.sleep(min(_REST * (time() - began), _LONGEST_REST / count))

    async def _waited_for(self) -> Collection[str]:
        return await self.store.read(lambda tx: tx.streams.events.waited_for())

    async def _make_batches(self, sid: str) -> None:
        """Make the batches of a subscription that can be sent now."""
        has_more = True
        while has_more:
            if not self.gate.is_open:
                self._told[sid] = None
                return
            has_more = await self.store.transact(partial(self._make_some, sid))
            # Others get their turn, above all the attempts that this has begun.
            await asyncio.sleep(0)

    def _make_some(self, sid: str, tx: Transaction) -> bool:
        """Make some batches of a subscription; return True if there may be more to do at once."""
        subscription = tx.streams.subscriptions.get(sid)
        sink = None if subscription is None else tx.streams.sinks.get(subscription.sink_sid)
        if subscription is None or sink is None:
            self._streams.pop(sid, None)
            return tx.streams.events.drop_pending(sid, limit=_READ_AT_ONCE) == _READ_AT_ONCE
        lease = self.cluster.lease_on(sink.url.destination)
        if lease is None:
            self._streams.pop(sid, None)
            return False
        stream = self._streams.get(sid)
        if stream is None or stream.lease != lease:
            lane = self.book.lane_of(sink.account_sid, sink.url)
            stream = _Stream(
                sink.account_sid, lease, dict(tx.streams.events.unattempted(lane, sid))
            )
        now, rules = self.clock.now(), BatchRules.of(sink, self.settings.kore_wait)
        pending = tx.streams.events.pending(sid, limit=_READ_AT_ONCE)
        times = WaitingTimes()
        if rules.wait and pending:
            times = stream.times.at(now, pending[-1].number, rules.wait)
        batches = plan_batches(
            pending,
            rules,
            busy={sim for sims in stream.busy.values() for sim in sims},
            most=max(rules.in_flight - len(stream.busy), 0),
            overdue=times.overdue,
        )
        made = [self._batch(tx, subscription, sink, events, now) for events in batches]
        for events in batches:
            tx.streams.events.take(sid, [event.number for event in events])
        has_waiting = sum(map(len, batches)) < len(pending)
        if not has_waiting:
            times = times._replace(seen=())
        # Registered first, so that no attempt ends before its SIMs are busy.
        sims = {
            batch.sid: {event.sim_sid for event in events}
            for batch, events in zip(made, batches, strict=True)
        }
        tx.on_commit(partial(self._made, sid, stream, sims, times, has_waiting=has_waiting))
        for batch in made:
            self.queue.take(tx, batch)
        return bool(batches) and len(pending) == _READ_AT_ONCE

    def _made(
        self,
        sid: str,
        stream: _Stream,
        sims: Mapping[str, Collection[str]],
        times: WaitingTimes,
        *,
        has_waiting: bool,
    ) -> None:
        stream.busy.update(sims)
        stream.times, stream.has_waiting = times, has_waiting
        self._streams[sid] = stream

    def _batch(
        self,
        tx: Transaction,
        subscription: StreamSubscription,
        sink: StreamSink,
        events: Sequence[PendingEvent],
        now: datetime,
    ) -> CallbackRecord:
        """Return a new batch with these events."""
        source, sims = sink.source, {event.sim_sid for event in events}
        has_prefix = self.settings.has_kore_prefix and source is Source.KORE
        references = write_references(
            [
                # The subscription may no longer have the type of an event that waits.
                EventReference(
                    one.number, subscription.types.get(one.type, LATEST_VERSION), has_prefix
                )
                for one in events
            ],
            is_array=sink.sink_type is not SinkType.KINESIS,
        )
        return compose_stream(
            body_of_references(references, source, tx.streams.events.numbered),
            StreamBatch(subscription.sid, references),
            account_sid=sink.account_sid,
            to=sink.url.of_stream(STREAM_RETRIES[source].connection),
            method=sink.method,
            source=source,
            source_reason=f"the stream {subscription.sid} sends from {source}",
            random_bytes=self.random_source.bytes(CALLBACK_BYTES),
            now=now,
            sim_sid=sims.pop() if len(sims) == 1 else None,
        )
