"""The portal's operations on KORE's event streams: destinations of events, and streaming rules.

KORE has no API for them, only its portal, so these are ours. A destination here is one of events; a
destination of callbacks is in `destinations`.
"""

from collections.abc import Sequence
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.callback_json import CALLBACK
from ringback.api.request_parameters import LONGEST_NAME, RequestParameters
from ringback.api.schema_pieces import (
    FLAG,
    TEXT,
    URL,
    YES_OR_NO,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.serializers import ACCOUNT_SID, DATES, Serializer, field, maybe, worked_out
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import InvalidCallbackUrl, InvalidParameter, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid
from ringback.core.streams.event_types import PRODUCT_GROUP, SCHEMA_VERSIONS, StreamEventType
from ringback.core.streams.kinesis_stream import (
    arn_of,
    check_external_id,
    check_role,
    url_of_stream,
)
from ringback.core.streams.sink import SinkType, StreamSink, StreamSubscription
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.operations.context import OperationContext
from ringback.operations.streams.sinks import (
    SinkParameters,
    create_sink,
    delete_sink,
    fetch_sink,
    list_sinks,
    send_test,
    update_sink,
)
from ringback.operations.streams.subscriptions import (
    check_types,
    create_subscription,
    delete_subscription,
    fetch_subscription,
    list_subscriptions,
    update_subscription,
)
from ringback.ports import PageWindow, RecordPage, Transaction

STREAMS: Final = "/portal/v1/streams"
_DESTINATIONS: Final = f"{STREAMS}/destinations"
_RULES: Final = f"{STREAMS}/rules"
_KORE: Final = Source.KORE
_YES_OR_NO: Final = {"yes": True, "no": False}
_OF_KINESIS: Final = ("Arn", "RoleArn", "ExternalId")
_TYPES: Final[dict[str, StreamEventType]] = {
    name: each
    for each in StreamEventType
    for name in (each.value, each.short, each.with_kore_prefix)
}
"""The names by which a type of events can be given."""

EVENT_TYPES: Final = list_of(
    object_of(type=one_of(StreamEventType), schema_version=number(1, max(SCHEMA_VERSIONS)))
)


def warnings_of(sink: StreamSink) -> Sequence[str]:
    """Return the warnings about a sink's URL, as batches have it."""
    return sink.url.of_stream(STREAM_RETRIES[sink.source].connection).warnings


def url_shown(sink: StreamSink) -> str:
    """Return where a sink sends events: a URL without credentials, or the ARN of a stream."""
    return arn_of(sink.url) if sink.sink_type is SinkType.KINESIS else sink.url.shown


def show_types(subscription: StreamSubscription) -> list[dict[str, Any]]:
    """Return the types of a subscription as JSON objects."""
    return [{"type": name, "schema_version": of} for name, of in subscription.types.items()]


def _kinesis(name: str) -> Any:
    return worked_out(name, or_null(TEXT), lambda sink: sink.configuration.get(name))


DESTINATION: Final = Serializer[StreamSink](
    "stream_destination",
    "destinations",
    field("sid", sid_of(SidKind.STREAM_SINK)),
    ACCOUNT_SID,
    field("name", attribute="description"),
    field("type", one_of(SinkType), "sink_type"),
    worked_out(
        "url",
        or_null(TEXT),
        lambda sink: url_shown(sink) if sink.sink_type is SinkType.WEBHOOK else None,
    ),
    *map(_kinesis, ("arn", "role_arn", "external_id")),
    worked_out("warnings", list_of(TEXT), warnings_of),
    maybe("created_by"),
    *DATES,
)
RULE: Final = Serializer[StreamSubscription](
    "streaming_rule",
    "rules",
    field("sid", sid_of(SidKind.STREAM_SUBSCRIPTION)),
    ACCOUNT_SID,
    field("name", attribute="description"),
    field("is_enabled", FLAG),
    maybe("product_group"),
    field("destination_sid", sid_of(SidKind.STREAM_SINK), "sink_sid"),
    worked_out("event_types", EVENT_TYPES, show_types),
    maybe("created_by"),
    *DATES,
)

_NAME: Final = text(shortest=1, longest=LONGEST_NAME)
_WHERE: Final = (
    OperationParameter("Url", URL, "The URL of a webhook. Its fragment has no effect."),
    OperationParameter("Arn", TEXT, "The ARN of a Kinesis stream."),
    OperationParameter("RoleArn", TEXT, "The ARN of the IAM role that may write to the stream."),
    OperationParameter(
        "ExternalId",
        TEXT,
        "The external id that the role's trust policy asks for, 2 to 1,224 characters; empty for"
        " none.",
    ),
)
_TYPE: Final = required(
    "Type", one_of(SinkType), "`webhook` (a Kore Webhook), or `kinesis` (AWS Kinesis)."
)
_EVENT_TYPE: Final = OperationParameter(
    "EventType",
    list_of(TEXT),
    "A type of events, such as `com.twilio.iot.supersim.connection.data-session.ended`, or only its"
    " end, `data-session.ended`; can be repeated. A colon and a number after it choose the version"
    " of its schema.",
)
_VERSION: Final = OperationParameter(
    "SchemaVersion",
    number(1, max(SCHEMA_VERSIONS)),
    "The version of the schema of all types without one of their own (default: the latest).",
)
_ENABLED: Final = OperationParameter(
    "Enabled", YES_OR_NO, "`no` for a rule that gets no new events (default yes)."
)
_GROUP: Final = OperationParameter(
    "ProductGroup",
    {"type": "string", "enum": [PRODUCT_GROUP]},
    f"KORE's product group of the types; all are of {PRODUCT_GROUP}.",
)


class StreamRuleEndpoints(EndpointGroup):
    """The operations on KORE's destinations of events and streaming rules."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on destinations of events and on streaming rules."""
        return [*self._of_destinations(), *self._of_rules()]

    def _of_destinations(self) -> list[ApiOperation]:
        destinations = self.on(_DESTINATIONS, "StreamDestination", DESTINATION)
        return [
            destinations.lists_for(
                "List KORE's destinations of events, newest first.", lambda _: _list_destinations
            ),
            destinations.creates(
                "Create a destination of KORE's events: a webhook or a Kinesis stream.",
                self._new_destination,
                takes=(required("Name", _NAME, "Its name."), _TYPE, *_WHERE),
                conflicts=True,
            ),
            destinations.fetches(
                "Fetch a destination of events.",
                lambda tx, account_sid, sid: fetch_sink(tx, account_sid, sid, _KORE),
            ),
            destinations.updates(
                "Rename a destination of events, or give it another URL or Kinesis stream. Batches"
                " that were made before still go to the old one.",
                self._changed_destination,
                takes=(OperationParameter("Name", _NAME, "Its new name."), *_WHERE),
            ),
            destinations.deletes(
                "Delete a destination of events; no rule may use it any more.",
                lambda tx, account_sid, sid, context: delete_sink(
                    tx, account_sid, sid, _KORE, context
                ),
            ),
            self.changes(
                *(f"{_DESTINATIONS}/{{sid}}/test", "TestStreamDestination"),
                "Send a test event to a destination of events, and return its callback.",
                *(CALLBACK, _test),
                statuses=(201,),
            ),
        ]

    def _of_rules(self) -> list[ApiOperation]:
        rules = self.on(_RULES, "StreamingRule", RULE)
        of = OperationParameter(
            "Destination", sid_of(SidKind.STREAM_SINK), "Only rules with this destination."
        )
        goes_to = "The SID of the destination that gets the events."
        return [
            rules.lists_for("List KORE's streaming rules, newest first.", _list_rules, takes=(of,)),
            rules.creates(
                "Create a streaming rule: from now on, events of these types are sent to a"
                " destination, which can have several rules.",
                _new_rule,
                takes=(
                    required("Name", _NAME, "Its name."),
                    required("Destination", sid_of(SidKind.STREAM_SINK), goes_to),
                    _EVENT_TYPE._replace(is_required=True),
                    *(_VERSION, _ENABLED, _GROUP),
                ),
                conflicts=True,
            ),
            rules.fetches(
                "Fetch a streaming rule.",
                lambda tx, account_sid, sid: fetch_subscription(tx, account_sid, sid, _KORE),
            ),
            rules.updates(
                "Change a streaming rule, or enable or disable it. Events that were waiting for it"
                " are still sent. New types take the place of all it had; SchemaVersion alone"
                " changes the version of all.",
                _changed_rule,
                takes=(
                    OperationParameter("Name", _NAME, "Its new name."),
                    OperationParameter("Destination", sid_of(SidKind.STREAM_SINK), goes_to),
                    *(_EVENT_TYPE, _VERSION, _ENABLED),
                ),
            ),
            rules.deletes(
                "Delete a streaming rule, and the events that wait for it.",
                lambda tx, account_sid, sid, context: delete_subscription(
                    tx, account_sid, sid, _KORE, context
                ),
            ),
        ]

    # ---- destinations ----

    def _new_destination(self, call: ApiRequest) -> Change[StreamSink]:
        given = call.given
        name, type_ = _name_in(given), given.choice("Type", SinkType)
        if type_ is None:
            raise given.missing("Type")
        _refuse_other_kind(given, type_)
        if type_ is SinkType.WEBHOOK:
            to = SinkParameters(name, type_, self._url(given.required("Url")))
        else:
            stream = url_of_stream(given.required("Arn"))
            given.required("RoleArn")
            configuration = {"arn": arn_of(stream), **_role_in(given)}
            to = SinkParameters(name, type_, stream, configuration=configuration)
        return lambda tx, context: create_sink(tx, call.account_sid, _KORE, to, context)

    def _changed_destination(self, call: ApiRequest) -> Change[StreamSink]:
        given = call.given
        _need_one_of(given, ("Name", *(each.name for each in _WHERE)))
        name = None if given.text("Name") is None else _name_in(given)
        url = None if given.text("Url") is None else self._url(given.required("Url"))
        stream = None if given.text("Arn") is None else url_of_stream(given.required("Arn"))
        role = _role_in(given)

        def change(tx: Transaction, context: OperationContext) -> StreamSink:
            sink = fetch_sink(tx, call.account_sid, call.sid, _KORE)
            _refuse_other_kind(given, sink.sink_type)
            changes = dict[str, Any]()
            if name is not None:
                changes["description"] = name
            if url is not None:
                changes["url"] = url
            if stream is not None:
                changes["url"] = stream
                role["arn"] = arn_of(stream)
            if role:
                changes["configuration"] = {**sink.configuration, **role}
            return update_sink(tx, call.account_sid, call.sid, _KORE, context, **changes)

        return change

    def _url(self, asked: str) -> CallbackUrl:
        try:
            return self._dependencies.read_url(asked)
        except InvalidCallbackUrl as refusal:
            raise InvalidParameter(f"Url: {refusal.message}", code=91000) from None


def _list_destinations(
    tx: Transaction, account_sid: str, window: PageWindow
) -> RecordPage[StreamSink]:
    return list_sinks(tx, account_sid, _KORE, window)


def _test(call: ApiRequest) -> Change[CallbackRecord]:
    return lambda tx, context: send_test(tx, call.account_sid, call.sid, _KORE, context)


def _refuse_other_kind(given: RequestParameters, type_: SinkType) -> None:
    """Raise InvalidParameter for a parameter that only the other kind of destination has."""
    wrong = _OF_KINESIS if type_ is SinkType.WEBHOOK else ("Url",)
    found = next((name for name in wrong if given.text(name) is not None), None)
    if found is not None:
        right = "Url" if type_ is SinkType.WEBHOOK else "Arn, RoleArn and ExternalId"
        raise given.wrong(
            f"{found} is not for a destination of the type {type_}: it takes {right}", code=91000
        )


def _role_in(given: RequestParameters) -> dict[str, Any]:
    found = dict[str, Any]()
    if given.text("RoleArn") is not None:
        found["role_arn"] = check_role(given.required("RoleArn"))
    external_id = given.text("ExternalId")
    if external_id is not None:
        found["external_id"] = check_external_id(external_id) if external_id else None
    return found


# ---- rules ---------------------------------------------------------------------------------------


def _list_rules(call: ApiRequest) -> Any:
    sink_sid = call.given.text("Destination")
    if sink_sid is not None and not is_sid(sink_sid, SidKind.STREAM_SINK):
        raise call.given.wrong(
            f"Destination={sink_sid!r}: Destination must be the SID of a destination: DG and 32"
            " hexadecimal digits"
        )

    def page(
        tx: Transaction, account_sid: str, window: PageWindow
    ) -> RecordPage[StreamSubscription]:
        return list_subscriptions(tx, account_sid, _KORE, window, sink_sid=sink_sid)

    return page


def _new_rule(call: ApiRequest) -> Change[StreamSubscription]:
    given = call.given
    name, sink_sid = _name_in(given), given.required("Destination")
    version, types = _version_in(given), _types_in(given)
    given.meaning("ProductGroup", {PRODUCT_GROUP: PRODUCT_GROUP})
    is_enabled = given.meaning("Enabled", _YES_OR_NO)

    def create(tx: Transaction, context: OperationContext) -> StreamSubscription:
        _check_destination(tx, call, sink_sid)
        return create_subscription(
            tx,
            call.account_sid,
            _KORE,
            context,
            description=name,
            sink_sid=sink_sid,
            types=[(each, own or version) for each, own in types],
            is_enabled=is_enabled is not False,
            product_group=PRODUCT_GROUP,
        )

    return create


def _changed_rule(call: ApiRequest) -> Change[StreamSubscription]:
    given = call.given
    _need_one_of(given, ("Name", "Destination", "EventType", "SchemaVersion", "Enabled"))
    version, types = _version_in(given), _types_in(given)
    changes = dict[str, Any]()
    if given.text("Name") is not None:
        changes["description"] = _name_in(given)
    if given.text("Destination") is not None:
        changes["sink_sid"] = given.required("Destination")
    is_enabled = given.meaning("Enabled", _YES_OR_NO)
    if is_enabled is not None:
        changes["is_enabled"] = is_enabled

    def change(tx: Transaction, context: OperationContext) -> StreamSubscription:
        rule = fetch_subscription(tx, call.account_sid, call.sid, _KORE)
        wanted = [(each, own or version) for each, own in types]
        if not types and version is not None:
            wanted = [(each, version) for each in rule.types]
        if "sink_sid" in changes:
            _check_destination(tx, call, changes["sink_sid"])
        if wanted:
            changes["types"] = check_types(wanted, _KORE, context, account_sid=call.account_sid)
        return update_subscription(tx, call.account_sid, call.sid, _KORE, context, **changes)

    return change


def _check_destination(tx: Transaction, call: ApiRequest, sid: str) -> None:
    """Raise InvalidParameter if the parameter Destination names none of the account's."""
    try:
        fetch_sink(tx, call.account_sid, sid, _KORE)
    except NotFound as unknown:
        raise call.given.wrong(f"Destination: {unknown.message}", code=91001) from None


def _types_in(given: RequestParameters) -> list[tuple[str, int | None]]:
    """Return the types of events in EventType, each with the version of its schema if given."""
    found = list[tuple[str, int | None]]()
    for asked in given.all("EventType"):
        name, colon, version = asked.partition(":")
        if colon and version not in map(str, SCHEMA_VERSIONS):
            raise given.wrong(
                f"EventType={asked!r}: after the colon stands the version of the schema, which is"
                f" one of {', '.join(map(str, SCHEMA_VERSIONS))}",
                code=91104,
            )
        found.append((_TYPES.get(name, name), int(version) if colon else None))
    return found


def _version_in(given: RequestParameters) -> int | None:
    return given.number("SchemaVersion", min(SCHEMA_VERSIONS), max(SCHEMA_VERSIONS), default=None)


def _name_in(given: RequestParameters) -> str:
    given.required("Name")
    return given.label("Name") or ""


def _need_one_of(given: RequestParameters, names: Sequence[str]) -> None:
    if all(given.text(name) is None for name in names):
        raise given.wrong(f"nothing to change was given; give at least one of {', '.join(names)}")
