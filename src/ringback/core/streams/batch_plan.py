"""Decides which waiting events go into one request.

Twilio sends one event in a request, or up to 64 kB (an older page of its documentation). KORE sends
at most 50 events of one type, and waits briefly for more (docs.korewireless.com). A record of a
Kinesis stream is one event. First attempts keep the order of a SIM's events: while a batch with one
of them is being sent for the first time, no later event of that SIM is in another batch.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import SinkType, StreamSink
from ringback.core.streams.stream_event import StreamEvent

_MOST_OF_KORE: Final = 50
_LARGEST_OF_TWILIO: Final = 64_000
"""The most characters of a batch from twilio; what surrounds the data is counted, too."""
_AROUND_DATA: Final = 420
"""At least as long as what Twilio's envelope adds to an event's data."""
_MOST_RECORDS: Final = 500
"""The most records of a call of PutRecords: that many single events fill one."""
_UNLIMITED: Final = 2**63


class PendingEvent(NamedTuple):
    """An event that waits to be sent to a subscriber."""

    number: int
    """The event's number; an event of the same SIM that was made later has a higher one."""
    sim_sid: str
    type: StreamEventType
    size: int
    """The length of its data, in bytes."""

    @classmethod
    def of(cls, number: int, event: StreamEvent) -> Self:
        """Return the stored event with this number as one that waits."""
        return cls(number, event.sim_sid, event.type, len(event.data.encode()))


@dataclass(frozen=True, slots=True)
class BatchRules:
    """What a batch to a sink may have."""

    most_events: int = 1
    largest: int = _UNLIMITED
    """The most bytes."""
    has_one_type: bool = False
    wait: timedelta = timedelta(0)
    """How long a batch that is not full waits for more events."""
    in_flight: int = 64
    """The most batches of which the first attempts have not ended."""

    @classmethod
    def of(cls, sink: StreamSink, kore_wait: timedelta) -> Self:
        """Return the rules for a sink; `kore_wait` is how long a batch from kore may wait."""
        if sink.sink_type is SinkType.KINESIS:
            return cls(in_flight=_MOST_RECORDS)
        if sink.source is Source.KORE:
            return cls(_MOST_OF_KORE, has_one_type=True, wait=kore_wait)
        return cls(_UNLIMITED, _LARGEST_OF_TWILIO) if sink.has_batches else cls()


class WaitingTimes(NamedTuple):
    """Since when the events of a subscription wait, by their numbers, which are ascending."""

    overdue: int = 0
    """The events with at most this number have waited for long enough."""
    seen: tuple[tuple[datetime, int], ...] = ()
    """When later events were first seen, and the highest number then."""

    def at(self, now: datetime, last: int, wait: timedelta) -> Self:
        """Return the times at an instant at which the event with the highest number is `last`."""
        seen, overdue = [*self.seen], self.overdue
        if last > (seen[-1][1] if seen else overdue):
            seen.append((now, last))
        while seen and seen[0][0] + wait <= now:
            overdue = seen.pop(0)[1]
        return type(self)(overdue, tuple(seen))

    @property
    def first(self) -> datetime | None:
        """Since when the first of those waits that have not waited for long enough, or None."""
        return self.seen[0][0] if self.seen else None


class _OpenBatch:
    def __init__(self) -> None:
        self.events = list[PendingEvent]()
        self.size = 0

    def has_room(self, event: PendingEvent, rules: BatchRules) -> bool:
        is_empty = not self.events
        size = self.size + event.size + _AROUND_DATA
        return is_empty or (len(self.events) < rules.most_events and size <= rules.largest)

    def is_ready(self, rules: BatchRules, overdue: int) -> bool:
        is_full = len(self.events) >= rules.most_events
        return is_full or not rules.wait or self.events[0].number <= overdue

    def add(self, event: PendingEvent) -> None:
        self.events.append(event)
        self.size += event.size + _AROUND_DATA


def plan_batches(
    pending: Iterable[PendingEvent],
    rules: BatchRules,
    *,
    busy: Collection[str],
    most: int,
    overdue: int = _UNLIMITED,
) -> Sequence[Sequence[PendingEvent]]:
    """Return the batches that can be sent now, at most `most`, from events in their order.

    `busy` are the SIMs of which nothing may be sent now. If batches wait for more events, only full
    ones are returned, and those with an event that has waited for long enough: its number is at
    most `overdue`.
    """
    closed, open_ = list[_OpenBatch](), dict[StreamEventType | None, _OpenBatch]()
    taken = dict[str, _OpenBatch]()
    """The batch that has events of a SIM, by its SID."""
    held = {*busy}
    """The SIMs of which no later event may be sent now."""
    for event in pending:
        if len(closed) >= most:
            break
        if event.sim_sid in held:
            continue
        key = event.type if rules.has_one_type else None
        batch = open_.setdefault(key, _OpenBatch())
        if not batch.has_room(event, rules):
            closed.append(batch)
            open_[key] = batch = _OpenBatch()
        if taken.setdefault(event.sim_sid, batch) is batch:
            batch.add(event)
        else:
            held.add(event.sim_sid)
    rest = [batch for batch in open_.values() if batch.events]
    ready = [*closed, *(batch for batch in rest if batch.is_ready(rules, overdue))]
    return [batch.events for batch in ready[:most]]
