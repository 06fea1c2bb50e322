"""Event streams in plain dictionaries."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.streams.batch_plan import PendingEvent
from ringback.core.streams.event_references import read_references
from ringback.core.streams.sink import StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.ports import Lane, PageWindow, RecordPage, StreamEventFilter, StreamTables, lane_of
from tests.memory_store.callbacks import MemoryCallbacks
from tests.memory_store.records import MemoryRecords, of_account, page_of


@dataclass
class MemoryStreamSinks(MemoryRecords[StreamSink]):
    """Implements `ports.StreamSinks`."""

    def destinations(self, account_sid: str) -> Mapping[str, str]:
        sinks = of_account(account_sid, self.records.values())
        return {one.sid: one.url.destination for one in sinks}


@dataclass
class MemoryStreamSubscriptions(MemoryRecords[StreamSubscription]):
    """Implements `ports.StreamSubscriptions`."""

    def of_account(self, account_sid: str) -> Sequence[StreamSubscription]:
        return list(of_account(account_sid, self.records.values()))


@dataclass
class MemoryStreamEvents:
    """Implements `ports.StreamEvents`."""

    callbacks: MemoryCallbacks
    events: dict[int, StreamEvent] = field(default_factory=dict[int, StreamEvent])
    waiting: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    def add(self, event: StreamEvent, subscription_sids: Collection[str]) -> None:
        number = next(self.callbacks.numbers)
        self.events[number] = event
        self.waiting |= {(sid, number) for sid in subscription_sids}

    def get(self, sid: str) -> StreamEvent | None:
        return next((event for event in self.events.values() if event.sid == sid), None)

    def numbered(self, numbers: Sequence[int]) -> Sequence[StreamEvent]:
        gone = sorted({*numbers} - self.events.keys())
        if gone:
            raise LookupError(f"a batch has events that do not exist: {gone}")
        return [self.events[number] for number in numbers]

    def unaware_servers(self) -> Sequence[str]:
        return ()

    def batches_with(self, event_sid: str, *, examining: int) -> tuple[Sequence[str], bool]:
        numbers = {number for number, event in self.events.items() if event.sid == event_sid}
        batches = {
            sid: [each.number for each in read_references(one.stream.references)]
            for sid, one in self.callbacks.callbacks.items()
            if one.stream is not None and one.stream.references
        }
        nearest = sorted(
            (sid for sid, those in batches.items() if numbers and min(those) <= min(numbers)),
            key=lambda sid: (min(batches[sid]), sid),
            reverse=True,
        )[:examining]
        found = [sid for sid in nearest if numbers & {*batches[sid]}]
        return found, len(nearest) == examining

    def page(
        self, account_sid: str, which: StreamEventFilter, window: PageWindow
    ) -> RecordPage[StreamEvent]:
        def is_wanted(event: StreamEvent) -> bool:
            return (
                which.sim_sid in (None, event.sim_sid)
                and which.type in (None, event.type)
                and (which.since is None or event.date_created >= which.since)
                and (which.until is None or event.date_created < which.until)
            )

        return page_of(of_account(account_sid, self.events.values()), is_wanted, window)

    def pending(self, subscription_sid: str, *, limit: int) -> Sequence[PendingEvent]:
        numbers = sorted(number for sid, number in self.waiting if sid == subscription_sid)
        return [PendingEvent.of(number, self.events[number]) for number in numbers[:limit]]

    def count_pending(self, subscription_sid: str, *, limit: int) -> int:
        return min(limit, sum(sid == subscription_sid for sid, _ in self.waiting))

    def waited_for(self) -> Collection[str]:
        return {sid for sid, _ in self.waiting}

    def unattempted(self, lane: Lane, subscription_sid: str) -> Mapping[str, Collection[str]]:
        found = dict[str, Collection[str]]()
        for one in self.callbacks.callbacks.values():
            ended = one.progress.attempt_count - one.progress.is_under_way
            is_first = not one.progress.is_ended and not ended
            if one.stream is None or not is_first or lane_of(one) != lane:
                continue
            if one.stream.stream_sid == subscription_sid and one.stream.references:
                numbers = [each.number for each in read_references(one.stream.references)]
                found[one.sid] = {event.sim_sid for event in self.numbered(numbers)}
        return found

    def take(self, subscription_sid: str, numbers: Sequence[int]) -> None:
        self.waiting -= {(subscription_sid, number) for number in numbers}

    def drop_pending(self, subscription_sid: str, *, limit: int) -> int:
        dropped = [one.number for one in self.pending(subscription_sid, limit=limit)]
        self.take(subscription_sid, dropped)
        return len(dropped)

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        first = self._first_needed()
        waiting = {number for _, number in self.waiting}
        old = [
            number
            for number, event in self.events.items()
            if event.date_created < instant
            and number not in waiting
            and (first is None or number < first)
        ]
        for number in old[:limit]:
            del self.events[number]
        return len(old[:limit])

    def _first_needed(self) -> int | None:
        batches = [
            one.stream for one in self.callbacks.callbacks.values() if one.stream is not None
        ]
        firsts = [read_references(one.references)[0].number for one in batches if one.references]
        return min(firsts, default=None)


class MemoryStreams(StreamTables):
    """Implements `ports.StreamTables`."""

    sinks: MemoryStreamSinks
    subscriptions: MemoryStreamSubscriptions
    events: MemoryStreamEvents

    def __init__(self, callbacks: MemoryCallbacks) -> None:
        super().__init__(
            MemoryStreamSinks(), MemoryStreamSubscriptions(), MemoryStreamEvents(callbacks)
        )
