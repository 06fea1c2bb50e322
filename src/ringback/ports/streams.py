"""The tables of event streams: sinks, subscriptions, and events with those who wait for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ringback.core.streams.batch_plan import PendingEvent
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.ports.callbacks import Lane
from ringback.ports.record_tables import PageWindow, RecordPage, Records


class StreamEventFilter(NamedTuple):
    """A filter of events; None matches any value."""

    sim_sid: str | None = None
    type: StreamEventType | None = None
    since: datetime | None = None
    until: datetime | None = None


class StreamEvents(Protocol):
    """The table of events, and of the subscribers that wait for each.

    An event is stored once, whoever subscribes to it. It stays until no batch has it any more.
    """

    def add(self, event: StreamEvent, subscription_sids: Collection[str]) -> None:
        """Save a new event, which has to be sent to each of these subscriptions."""
        ...

    def get(self, sid: str) -> StreamEvent | None:
        """Return the event with this SID, or None if there is none any more."""
        ...

    def numbered(self, numbers: Sequence[int]) -> Sequence[StreamEvent]:
        """Return the events with these numbers, in this order.

        Raises LookupError if one of them does not exist.
        """
        ...

    def unaware_servers(self) -> Sequence[str]:
        """Return the names of the processes that use the store but know no event streams.

        They are of an earlier version, and would send the stored names of events in their place.
        """
        ...

    def batches_with(self, event_sid: str, *, examining: int) -> tuple[Sequence[str], bool]:
        """Return the SIDs of the batches that have an event, and True if there may be more.

        At most `examining` batches are looked through: those whose first event is nearest to it.
        """
        ...

    def page(
        self, account_sid: str, which: StreamEventFilter, window: PageWindow
    ) -> RecordPage[StreamEvent]:
        """Return one page of an account's events, or of all for EVERY, newest first."""
        ...

    def pending(self, subscription_sid: str, *, limit: int) -> Sequence[PendingEvent]:
        """Return the oldest events that wait for a subscription, at most `limit`."""
        ...

    def count_pending(self, subscription_sid: str, *, limit: int) -> int:
        """Return how many events wait for a subscription; it counts up to `limit`."""
        ...

    def waited_for(self) -> Collection[str]:
        """Return the SIDs of all subscriptions that events wait for."""
        ...

    def unattempted(self, lane: Lane, subscription_sid: str) -> Mapping[str, Collection[str]]:
        """Return the batches of a subscription in a lane whose first attempts have not ended.

        For each batch's SID, these are the SIDs of the SIMs that its events are about.
        """
        ...

    def take(self, subscription_sid: str, numbers: Sequence[int]) -> None:
        """Note that these events no longer wait for a subscription, since a batch has them."""
        ...

    def drop_pending(self, subscription_sid: str, *, limit: int) -> int:
        """Delete at most `limit` waiting events of a subscription; return how many."""
        ...

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        """Delete at most `limit` events that happened before an instant and that no batch has.

        Returns how many were deleted.
        """
        ...


class StreamSinks(Records[StreamSink], Protocol):
    """The table of sinks."""

    def destinations(self, account_sid: str) -> Mapping[str, str]:
        """Return the destinations of all sinks of an account, by the sinks' SIDs."""
        ...


class StreamSubscriptions(Records[StreamSubscription], Protocol):
    """The table of subscriptions."""

    def of_account(self, account_sid: str) -> Sequence[StreamSubscription]:
        """Return all subscriptions of an account, or of all for EVERY, oldest first."""
        ...


@dataclass
class StreamTables:
    """The tables of all accounts' event streams."""

    sinks: StreamSinks
    subscriptions: StreamSubscriptions
    events: StreamEvents
