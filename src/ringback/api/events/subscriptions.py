"""The operations of Twilio's Events API at `/v1/Subscriptions`, and on the types of each."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, Change, EventStreamsEndpointGroup, Listing
from ringback.api.events.sink_configuration import LONGEST_DESCRIPTION, read_description
from ringback.api.events.sinks import DESCRIPTION
from ringback.api.operation_definition import ApiOperation, OperationParameter, filtered, required
from ringback.api.paging import cut
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import TEXT, list_of, number, sid_of, text
from ringback.api.serializers import ACCOUNT_SID, DATES, Serializer, field, json_answer, link, links
from ringback.api.strict_json import parse_json, parse_json_object
from ringback.core.errors import EVENT_STREAMS, InvalidParameter, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from ringback.core.streams.sink import StreamSubscription
from ringback.operations.context import OperationContext
from ringback.operations.streams import subscriptions
from ringback.ports import Transaction

_PATH: Final = "/events/v1/Subscriptions"
_TYPES: Final = f"{_PATH}/{{sid}}/SubscribedEvents"
_ONE_TYPE: Final = f"{_TYPES}/{{type}}"
_HIGHEST: Final = 2**31 - 1


class SubscribedType(NamedTuple):
    """A type of events to which a subscription is subscribed, as a record to serialize."""

    subscription: StreamSubscription
    sid: str
    """The type, which serves as the SID in page tokens."""

    @property
    def version(self) -> int:
        """The version of its schema in which events are sent."""
        return self.subscription.types[self.sid]


SUBSCRIPTION: Final = Serializer[StreamSubscription](
    "subscription",
    "subscriptions",
    ACCOUNT_SID,
    field("sid", sid_of(SidKind.STREAM_SUBSCRIPTION)),
    *DATES,
    field("description"),
    field("sink_sid", sid_of(SidKind.STREAM_SINK)),
    link("url", lambda one: f"{_PATH}/{one.sid}"),
    links(subscribed_events=lambda one: f"{_PATH}/{one.sid}/SubscribedEvents"),
)

SUBSCRIBED_EVENT: Final = Serializer[SubscribedType](
    "subscribed_event",
    "types",
    field("account_sid", sid_of(SidKind.ACCOUNT), "subscription.account_sid"),
    field("type", TEXT, "sid"),
    field("schema_version", number(1), "version"),
    field("subscription_sid", sid_of(SidKind.STREAM_SUBSCRIPTION), "subscription.sid"),
    link("url", lambda one: f"{_PATH}/{one.subscription.sid}/SubscribedEvents/{one.sid}"),
)

_SINK: Final = "The SID of the sink that gets the events; it must be active."
_NO_EFFECT: Final = (
    OperationParameter(
        "ReceiveEventsFromSubaccounts", TEXT, "Older clients send it; it has no effect."
    ),
    OperationParameter("Filter", TEXT, "Twilio's examples have it; it has no effect."),
)
_CREATE: Final = (
    DESCRIPTION,
    required("SinkSid", sid_of(SidKind.STREAM_SINK), _SINK),
    required(
        "Types",
        list_of(TEXT),
        "One parameter for each type of events: a JSON object with its `type` and, unless it is the"
        " latest, the `schema_version` in which events are sent.",
    ),
    *_NO_EFFECT,
)
_UPDATE: Final = (
    DESCRIPTION._replace(is_required=False),
    OperationParameter(
        "SinkSid", sid_of(SidKind.STREAM_SINK), f"{_SINK} Only older clients send it."
    ),
    *_NO_EFFECT,
)
_OF_SINK: Final = filtered("SinkSid", "Only subscriptions of the sink with this SID.")
_VERSION: Final = OperationParameter(
    "SchemaVersion",
    number(1, _HIGHEST),
    "The version of the schema in which events are sent (default: the latest).",
)


class SubscriptionEndpoints(EventStreamsEndpointGroup):
    """The operations on subscriptions."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on subscriptions."""
        record = self.on(_PATH, "Subscription", SUBSCRIPTION)
        return [
            record.creates("Subscribe a sink to types of events.", self._create, takes=_CREATE),
            record.lists_for("List subscriptions, newest first.", _listing, takes=(_OF_SINK,)),
            record.fetches("Fetch a subscription.", _fetch),
            record.updates("Update a subscription.", self._update, takes=_UPDATE),
            record.deletes("Delete a subscription; its sink stays.", _delete),
        ]

    def _create(self, call: ApiRequest) -> Change[StreamSubscription]:
        given = call.given
        if given.text("Description") == "":
            raise given.wrong("Description is empty; describe the subscription", code=91101)
        description, sink_sid = read_description(given), given.required("SinkSid")
        types = _read_types(given.all("Types"))
        return lambda tx, context: subscriptions.create_subscription(
            *(tx, call.account_sid, Source.TWILIO, context),
            description=description,
            sink_sid=sink_sid,
            types=types,
            notes=_notes(given),
        )

    def _update(self, call: ApiRequest) -> Change[StreamSubscription]:
        given = call.given
        changes: dict[str, Any] = {
            "description": given.label("Description", longest=LONGEST_DESCRIPTION) or None,
            "sink_sid": given.text("SinkSid") or None,
            "notes": _notes(given) or None,
        }
        changed = {name: value for name, value in changes.items() if value is not None}
        return lambda tx, context: subscriptions.update_subscription(
            *(tx, call.account_sid, call.sid, Source.TWILIO, context), **changed
        )


class SubscribedEventEndpoints(EventStreamsEndpointGroup):
    """The operations on the types of events to which a subscription is subscribed."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on a subscription's types."""
        record = self.on(_TYPES, "SubscribedEvent", SUBSCRIBED_EVENT)
        kind = required("Type", text(shortest=1), "The type of events.")
        return [
            self.answers(
                *(_TYPES, "CreateSubscribedEvent"),
                "Subscribe to another type of events (201), or change one's version (200).",
                *(SUBSCRIBED_EVENT, self._create),
                verb="POST",
                statuses=(201, 200),
                takes=(kind, _VERSION),
            ),
            record.lists_for("List the types of events of a subscription.", _types_listing),
            self.answers(
                *(_ONE_TYPE, "FetchSubscribedEvent", "Fetch one type of a subscription."),
                *(SUBSCRIBED_EVENT, self._fetch),
            ),
            self.answers(
                *(_ONE_TYPE, "UpdateSubscribedEvent", "Change the version of one type."),
                *(SUBSCRIBED_EVENT, self._update),
                verb="POST",
                takes=(_VERSION,),
            ),
            self.answers(
                *(_ONE_TYPE, "DeleteSubscribedEvent", "Unsubscribe from one type of events."),
                *(None, self._delete),
                verb="DELETE",
                statuses=(204,),
            ),
        ]

    async def _create(self, call: ApiRequest) -> Response:
        name, version = call.given.required("Type"), _version(call.given)

        def add(tx: Transaction, context: OperationContext) -> tuple[StreamSubscription, bool]:
            before = _fetch(tx, call.account_sid, call.sid)
            after = subscriptions.with_type(
                tx, before, name, version, context, action="CreateSubscribedEvent"
            )
            return after, name in before.types

        subscription, was_there = await self.change(call.request, add)
        shown = SUBSCRIBED_EVENT.at(call.request)(SubscribedType(subscription, name))
        return json_answer(shown, 200 if was_there else 201)

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        found = await self.read(
            call.account_sid,
            lambda tx: _subscribed(_fetch(tx, call.account_sid, call.sid), _type_of(call)),
        )
        return SUBSCRIBED_EVENT.at(call.request)(found)

    async def _update(self, call: ApiRequest) -> dict[str, Any]:
        name, version = _type_of(call), _version(call.given)

        def update(tx: Transaction, context: OperationContext) -> StreamSubscription:
            before = _fetch(tx, call.account_sid, call.sid)
            _subscribed(before, name)
            return subscriptions.with_type(
                tx, before, name, version, context, action="UpdateSubscribedEvent"
            )

        after = await self.change(call.request, update)
        return SUBSCRIBED_EVENT.at(call.request)(SubscribedType(after, name))

    async def _delete(self, call: ApiRequest) -> Response:
        name = _type_of(call)
        await self.change(
            call.request,
            lambda tx, context: subscriptions.without_type(
                *(tx, _fetch(tx, call.account_sid, call.sid), name, context),
                action="DeleteSubscribedEvent",
            ),
        )
        return Response(status_code=204)


def _read_types(given: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the types in a request, each with the version of its schema, or None for the latest.

    Raises InvalidParameter for anything but a JSON object in each parameter.
    """
    texts = [text for text in given if text.strip()]
    return [_read_type(at, text) for at, text in enumerate(texts)]


def _read_type(at: int, text: str) -> tuple[str, int | None]:
    what = f"Types[{at}]"
    document = parse_json(text.encode(), code=EVENT_STREAMS.invalid, what=what)
    if isinstance(document, list):
        # Twilio's own message; public guides show this form all the same.
        raise InvalidParameter(
            f"Missing required input parameter event_types[{at}].type; {what} is a JSON array: give"
            ' one parameter Types for each type, such as Types={"type": "…"}&Types={"type": "…"}',
            code=EVENT_STREAMS.missing,
        )
    found = parse_json_object(text, code=EVENT_STREAMS.invalid, what=what)
    name, version = found.get("type"), found.get("schema_version")
    if not isinstance(name, str) or not name:
        raise InvalidParameter(
            f"Missing required input parameter event_types[{at}].type; {what} must be like"
            ' {"type": "…", "schema_version": 2}',
            code=EVENT_STREAMS.missing,
        )
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise InvalidParameter(
            f"{what}: schema_version is {version!r}; it must be a whole number",
            code=EVENT_STREAMS.invalid,
        )
    return name, version


def _notes(given: RequestParameters) -> tuple[str, ...]:
    """Return notes about the parameters in a request that have no effect."""
    return tuple(
        f"the parameter {each.name} has no effect"
        for each in _NO_EFFECT
        if given.text(each.name) is not None
    )


def _version(given: RequestParameters) -> int | None:
    return given.number("SchemaVersion", 1, _HIGHEST, default=None)


def _type_of(call: ApiRequest) -> str:
    return call.request.path_params["type"]


def _subscribed(subscription: StreamSubscription, name: str) -> SubscribedType:
    if name not in subscription.types:
        raise NotFound(f"the subscription {subscription.sid} has no type {name[:200]!r}")
    return SubscribedType(subscription, name)


def _listing(call: ApiRequest) -> Listing[StreamSubscription]:
    sink_sid = call.given.text("SinkSid")
    return lambda tx, account_sid, window: subscriptions.list_subscriptions(
        tx, account_sid, Source.TWILIO, window, sink_sid=sink_sid
    )


def _types_listing(call: ApiRequest) -> Listing[SubscribedType]:
    def types(subscription: StreamSubscription) -> list[SubscribedType]:
        return [SubscribedType(subscription, name) for name in subscription.types]

    return lambda tx, account_sid, window: cut(types(_fetch(tx, account_sid, call.sid)), window)


def _fetch(tx: Transaction, account_sid: str, sid: str) -> StreamSubscription:
    return subscriptions.fetch_subscription(tx, account_sid, sid, Source.TWILIO)


def _delete(tx: Transaction, account_sid: str, sid: str, context: OperationContext) -> None:
    subscriptions.delete_subscription(tx, account_sid, sid, Source.TWILIO, context)
