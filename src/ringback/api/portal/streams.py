"""The portal's operations that show event streams of both sources, and their events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.callback_json import show_callback
from ringback.api.portal.callbacks import OF_SOURCE, read_stream_sid
from ringback.api.portal.stream_rules import (
    EVENT_TYPES,
    STREAMS,
    show_types,
    url_shown,
    warnings_of,
)
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SOURCE,
    STREAM_SID,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    refer,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid
from ringback.core.streams.event_types import LATEST_VERSION, StreamEventType
from ringback.core.streams.sink import SinkStatus, SinkType, StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent, write_event
from ringback.operations.context import OperationContext
from ringback.operations.streams.batches import batches_with, fetch_event, last_batch
from ringback.operations.streams.publish import silent_from, why_silent
from ringback.operations.streams.sinks import list_users, with_present_status
from ringback.ports import PageWindow, RecordPage, StreamEventFilter, Transaction

R = TypeVar("R")
_Listing = Callable[[Transaction, str, PageWindow], RecordPage[R]]
_EVENTS: Final = f"{STREAMS}/events"
_MOST_COUNTED: Final = 10_000
"""How many waiting events are counted for each subscription."""


@dataclass(frozen=True, slots=True)
class StreamOverview:
    """A sink, and how it and its subscriptions are."""

    sink: StreamSink
    last_test: CallbackRecord | None
    subscriptions: tuple["SubscriptionOverview", ...]

    @property
    def sid(self) -> str:
        """The sink's SID, by which lists are paged."""
        return self.sink.sid


@dataclass(frozen=True, slots=True)
class SubscriptionOverview:
    """A subscription, and how it is."""

    subscription: StreamSubscription
    waiting: int
    """How many events wait to be put into a batch; it is counted up to a limit."""
    silent_because: str | None
    """Why it gets no events at present; None if it gets them."""
    silent_from: datetime | None
    """The date in the policy from which it will get none; None if there is none, or if silent."""
    last_batch: CallbackRecord | None


_LAST: Final = or_null(
    object_of(sid=sid_of(SidKind.CALLBACK), status=one_of(CallbackStatus), date_created=INSTANT)
)
_SUBSCRIPTION: Final = object_of(
    sid=sid_of(SidKind.STREAM_SUBSCRIPTION),
    name=TEXT,
    is_enabled=FLAG,
    event_types=EVENT_TYPES,
    waiting={**number(0), "description": "How many events wait to be put into a batch."},
    waiting_has_more={**FLAG, "description": f"True if more than {_MOST_COUNTED:,} wait."},
    silent_because={
        **or_null(TEXT),
        "description": "Why it gets no events at present; null if it gets them.",
    },
    silent_from={
        **or_null(INSTANT),
        "description": "The date in the policy from which it will get no events; null if there is"
        " none, or if it gets none at present.",
    },
    last_batch={
        **_LAST,
        "description": "The newest batch; null if none of the account's last callbacks is one.",
    },
    notes=list_of(TEXT),
    date_created=INSTANT,
    date_updated=INSTANT,
)


def _show_last(callback: CallbackRecord | None) -> dict[str, object] | None:
    return callback and {
        "sid": callback.sid,
        "status": callback.status,
        "date_created": callback.date_created,
    }


def _show_subscription(one: SubscriptionOverview) -> dict[str, object]:
    own = one.subscription
    return {
        "sid": own.sid,
        "name": own.description,
        "is_enabled": own.is_enabled,
        "event_types": show_types(own),
        "waiting": min(one.waiting, _MOST_COUNTED),
        "waiting_has_more": one.waiting > _MOST_COUNTED,
        "silent_because": one.silent_because,
        "silent_from": one.silent_from,
        "last_batch": _show_last(one.last_batch),
        "notes": own.notes,
        "date_created": own.date_created,
        "date_updated": own.date_updated,
    }


def _show_stream(one: StreamOverview) -> dict[str, object]:
    sink = one.sink
    return {
        "sid": sink.sid,
        "account_sid": sink.account_sid,
        "source": sink.source,
        "name": sink.description,
        "type": sink.sink_type,
        "to": url_shown(sink),
        "status": sink.status,
        "warnings": warnings_of(sink),
        "last_test": _show_last(one.last_test),
        "subscriptions": [_show_subscription(each) for each in one.subscriptions],
        "date_created": sink.date_created,
        "date_updated": sink.date_updated,
    }


STREAM: Final = CustomJsonSerializer(
    "stream",
    object_of(
        sid=sid_of(SidKind.STREAM_SINK),
        account_sid=sid_of(SidKind.ACCOUNT),
        source=SOURCE,
        name=TEXT,
        type=one_of(SinkType),
        to={**TEXT, "description": "A URL without credentials, or the ARN of a Kinesis stream."},
        status=one_of(SinkStatus),
        warnings=list_of(TEXT),
        last_test=_LAST,
        subscriptions=list_of(_SUBSCRIPTION),
        date_created=INSTANT,
        date_updated=INSTANT,
    ),
    plural="streams",
    show=_show_stream,
)
EVENT_BATCHES: Final = CustomJsonSerializer(
    "stream_event_batches",
    object_of(
        batches=list_of(refer("callback")),
        has_more={
            **FLAG,
            "description": "True if there may be more, since not all batches were looked through.",
        },
    ),
)
_STREAM: Final = OperationParameter(
    "Stream",
    STREAM_SID,
    "Only the stream with this SID, of a sink or of one of its subscriptions; none if it is gone.",
)
_SIM: Final = OperationParameter(
    "SimSid", sid_of(SidKind.SIM), "Only events about the SIM with this SID."
)
_TYPE: Final = OperationParameter("Type", one_of(StreamEventType), "Only events of this type.")
_FILTERS: Final = (
    *(_SIM, _TYPE),
    OperationParameter("Since", INSTANT, "Only events that happened at or after this instant."),
    OperationParameter("Until", INSTANT, "Only events that happened before this instant."),
)


@dataclass(frozen=True, slots=True)
class _WrittenEvent:
    event: StreamEvent
    has_kore_prefix: bool

    @property
    def sid(self) -> str:
        return self.event.sid


def _show_event(one: _WrittenEvent) -> dict[str, object]:
    event = one.event
    return {
        "sid": event.sid,
        "account_sid": event.account_sid,
        "sim_sid": event.sim_sid,
        "type": event.type,
        "date_created": event.date_created,
        "written": {
            source.value: write_event(
                source, event, LATEST_VERSION, has_kore_prefix=one.has_kore_prefix
            )
            for source in Source
        },
    }


STREAM_EVENT: Final = CustomJsonSerializer(
    "stream_event",
    object_of(
        sid=sid_of(SidKind.STREAM_EVENT),
        account_sid=sid_of(SidKind.ACCOUNT),
        sim_sid=sid_of(SidKind.SIM),
        type=one_of(StreamEventType),
        date_created=INSTANT,
        written={
            **object_of(**{source.value: TEXT for source in Source}),
            "description": "The event as each source writes it, byte for byte: a JSON text, in the"
            " latest version of the schema.",
        },
    ),
    plural="events",
    show=_show_event,
)


class StreamEndpoints(EndpointGroup):
    """The operations that show event streams and their events."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that show event streams and their events."""
        streams = self.on(STREAMS, "Stream", STREAM)
        events = self.on(_EVENTS, "StreamEvent", STREAM_EVENT)
        return [
            streams.lists_for(
                "List the event streams of both sources, newest first: each sink (at KORE, a"
                " destination) with its subscriptions (streaming rules), and how they are.",
                self._list,
                takes=(
                    OF_SOURCE._replace(schema=one_of(Source), meaning="Only its streams."),
                    _STREAM,
                ),
            ),
            events.lists_for(
                "List the events of event streams, newest first. An event is kept as long as a"
                " batch has it.",
                self._list_events,
                takes=_FILTERS,
            ),
            events.fetches("Fetch an event of event streams.", self._fetch_event),
            self.answers(
                *(f"{_EVENTS}/{{sid}}/batches", "ListBatchesOfEvent"),
                "List the batches that have an event, newest first, with replays.",
                *(EVENT_BATCHES, self._batches),
            ),
        ]

    def _list(self, call: ApiRequest) -> _Listing[StreamOverview]:
        source, context = call.given.choice("Source", Source), self._dependencies.context()
        stream_sid = read_stream_sid(call.given)

        def page(
            tx: Transaction, account_sid: str, window: PageWindow
        ) -> RecordPage[StreamOverview]:
            which: dict[str, str | None] = {"source": source}
            if stream_sid is not None:
                which["sid"] = _sink_sid(tx, stream_sid)
            found = tx.streams.sinks.page(account_sid, which, window)
            overviews = [_overview(tx, sink, context) for sink in found]
            return RecordPage(overviews, found.stopped_at)

        return page

    def _list_events(self, call: ApiRequest) -> _Listing[_WrittenEvent]:
        given, has_prefix = call.given, self._has_kore_prefix
        sim_sid = given.text("SimSid")
        if sim_sid is not None and not is_sid(sim_sid, SidKind.SIM):
            raise given.wrong(
                f"SimSid={sim_sid!r}: SimSid must be the SID of a Super SIM: HS and 32 hexadecimal"
                " digits"
            )
        which = StreamEventFilter(
            sim_sid,
            given.choice("Type", StreamEventType),
            given.instant("Since"),
            given.instant("Until"),
        )

        def page(
            tx: Transaction, account_sid: str, window: PageWindow
        ) -> RecordPage[_WrittenEvent]:
            found = tx.streams.events.page(account_sid, which, window)
            return RecordPage([_WrittenEvent(one, has_prefix) for one in found], found.stopped_at)

        return page

    def _fetch_event(self, tx: Transaction, account_sid: str, sid: str) -> _WrittenEvent:
        return _WrittenEvent(fetch_event(tx, account_sid, sid), self._has_kore_prefix)

    @property
    def _has_kore_prefix(self) -> bool:
        return self._dependencies.context().streams.has_kore_prefix

    async def _batches(self, call: ApiRequest) -> Mapping[str, Any]:
        found = await self.read(
            call.account_sid, lambda tx: batches_with(tx, call.account_sid, call.sid)
        )
        return {
            "batches": [show_callback(one) for one in found.batches],
            "has_more": found.has_more,
        }


def _sink_sid(tx: Transaction, stream_sid: str) -> str:
    """Return the SID of the sink of a stream, whoever it belongs to."""
    subscription = tx.streams.subscriptions.get(stream_sid)
    return stream_sid if subscription is None else subscription.sink_sid


def _overview(tx: Transaction, sink: StreamSink, context: OperationContext) -> StreamOverview:
    account_sid = sink.account_sid
    return StreamOverview(
        with_present_status(tx, sink),
        None if sink.test_sid is None else tx.callbacks.get(account_sid, sink.test_sid),
        tuple(
            SubscriptionOverview(
                one,
                tx.streams.events.count_pending(one.sid, limit=_MOST_COUNTED + 1),
                why_silent(one, context.policy, context.now),
                silent_from(one, context.policy, context.now),
                last_batch(tx, account_sid, one.sid),
            )
            for one in list_users(tx, sink)
        ),
    )
