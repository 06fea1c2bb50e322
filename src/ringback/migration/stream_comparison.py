"""Compares what a receiver of both event streams, Twilio's and KORE's, got from each of them.

Each event of a SIM goes into both streams while both are set up, with the same `data.event_sid`.
So events without a counterpart show what is lost if one of the streams ends. No signature is
checked, and nothing is read from outside: the caller passes the requests in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.receiver.events import (
    CloudEvent,
    CloudEvents,
    TestEvent,
    event_sid_of,
    read_event,
    typed_event,
)
from ringback.receiver.verification import ReceivedRequest
from ringback.receiver.verification.schemes import FAMILIES

# The envelopes' `source`; a connection event of Twilio's has the path of a resource.
_SOURCE_OF_KORE: Final = "kore-events"
_SOURCES_OF_TWILIO: Final = ("/", "Sink")


@dataclass(frozen=True, slots=True)
class ComparedEvent:
    """An event that came at least once."""

    key: str
    """Its `event_sid`; of an event of another product, its id."""
    type: str
    time: datetime | None
    """When it happened, by its envelope; None if that has no time."""


@dataclass(frozen=True, slots=True)
class EventsOfType:
    """Events of one type that came by one source only."""

    type: str
    events: tuple[ComparedEvent, ...]
    """The events, in the order of their times; those without a time are last."""

    @property
    def first(self) -> datetime | None:
        """The time of the first event; None if none has a time."""
        return next((event.time for event in self.events if event.time is not None), None)

    @property
    def last(self) -> datetime | None:
        """The time of the last event; None if none has a time."""
        times = [event.time for event in self.events if event.time is not None]
        return times[-1] if times else None


@dataclass(slots=True)
class ReceivedStream:
    """What came by one source."""

    requests: int = 0
    events: dict[str, ComparedEvent] = field(default_factory=dict[str, ComparedEvent])
    """The events with an `event_sid`, by it; each of them once."""
    others: dict[str, ComparedEvent] = field(default_factory=dict[str, ComparedEvent])
    """The events without one, by their ids: other products' events, which have no counterpart."""
    repeats: int = 0
    """How many deliveries were of an event that had come by this source before."""
    tests: list[TestEvent] = field(default_factory=list[TestEvent])

    def add(self, event: CloudEvent | TestEvent) -> None:
        """Add an event that came."""
        test = event if isinstance(event, TestEvent) else typed_event(event)
        if isinstance(test, TestEvent):
            self.tests.append(test)
        elif isinstance(event, CloudEvent):
            sid = event_sid_of(event)
            among = self.others if sid is None else self.events
            key = sid or event.id
            self.repeats += key in among
            among.setdefault(key, ComparedEvent(key, event.type, event.time))


@dataclass(frozen=True, slots=True)
class StreamComparison:
    """What came by each source, and what came by one of them only."""

    streams: Mapping[Source, ReceivedStream]
    of_no_stream: int
    """The number of requests that are not of a stream: callbacks, or what can't be read."""

    @property
    def pairs(self) -> int:
        """The number of events that came by both sources."""
        return len(self._sids(Source.TWILIO) & self._sids(Source.KORE))

    @property
    def is_complete(self) -> bool:
        """True if each event came by both sources."""
        return self._sids(Source.TWILIO) == self._sids(Source.KORE)

    def only(self, source: Source) -> list[EventsOfType]:
        """Return the events that came by this source only, by their types in alphabetical order."""
        (other,) = {*Source} - {source}
        missing = self._sids(source) - self._sids(other)
        return _by_type(self.streams[source].events[sid] for sid in missing)

    def _sids(self, source: Source) -> set[str]:
        return {*self.streams[source].events}


def compare_streams(requests: Iterable[ReceivedRequest]) -> StreamComparison:
    """Compare what came by each source; requests of no stream are only counted."""
    streams = {source: ReceivedStream() for source in Source}
    of_no_stream = 0
    for request in requests:
        events = _events_of(request)
        source = _source_of(request, events) if events else None
        if events is None or (events and source is None):
            of_no_stream += 1
        elif source is not None:
            streams[source].requests += 1
            for event in events:
                streams[source].add(event)
    return StreamComparison(streams, of_no_stream)


def _events_of(request: ReceivedRequest) -> tuple[CloudEvent | TestEvent, ...] | None:
    match read_event(request):
        case TestEvent() as test:
            return (test,)
        case CloudEvents(events):
            return events
        case _:
            return None


def _source_of(
    request: ReceivedRequest, events: tuple[CloudEvent | TestEvent, ...]
) -> Source | None:
    """Return the source whose signature header the request has, or else that of its envelope.

    Some captures lack the headers.
    """
    signed = [
        source for source, family in FAMILIES.items() if request.values(family.signature_header)
    ]
    if len(signed) == 1:
        return signed[0]
    named = {_source_in(event.source) for event in events if isinstance(event, CloudEvent)}
    return named.pop() if len(named) == 1 else None


def _source_in(envelope: str) -> Source | None:
    if envelope == _SOURCE_OF_KORE:
        return Source.KORE
    return Source.TWILIO if envelope.startswith(_SOURCES_OF_TWILIO) else None


def _by_type(events: Iterable[ComparedEvent]) -> list[EventsOfType]:
    found = dict[str, list[ComparedEvent]]()
    for event in events:
        found.setdefault(event.type, []).append(event)
    return [EventsOfType(kind, tuple(sorted(found[kind], key=_order))) for kind in sorted(found)]


def _order(event: ComparedEvent) -> tuple[bool, float, str]:
    if event.time is None:
        return True, 0.0, event.key
    try:
        return False, event.time.timestamp(), event.key
    except (OverflowError, ValueError):  # the first day of the calendar, with an offset
        return False, 0.0, event.key
