"""The operations of Twilio's Events API at `/v1/Sinks`."""

from typing import Any, Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, Change, EventStreamsEndpointGroup, Listing
from ringback.api.events.sink_configuration import (
    LONGEST_DESCRIPTION,
    configuration_of,
    read_description,
    read_sink,
)
from ringback.api.operation_definition import ApiOperation, OperationParameter, filtered, required
from ringback.api.schema_pieces import FLAG, Schema, object_of, one_of, sid_of, text
from ringback.api.serializers import (
    DATES,
    CustomJsonSerializer,
    Serializer,
    field,
    json_answer,
    link,
    links,
    with_warnings,
    worked_out,
)
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from ringback.core.streams.sink import SinkStatus, SinkType, StreamSink
from ringback.operations.context import OperationContext
from ringback.operations.streams import sinks
from ringback.ports import Transaction

_PATH: Final = "/events/v1/Sinks"
_ONE: Final = f"{_PATH}/{{sid}}"

SINK: Final = Serializer[StreamSink](
    "sink",
    "sinks",
    *DATES,
    field("description"),
    field("sid", sid_of(SidKind.STREAM_SINK)),
    worked_out("sink_configuration", {"type": "object"}, configuration_of),
    field("sink_type", one_of(SinkType)),
    field("status", one_of(SinkStatus)),
    link("url", lambda sink: f"{_PATH}/{sink.sid}"),
    links(
        sink_test=lambda sink: f"{_PATH}/{sink.sid}/Test",
        sink_validate=lambda sink: f"{_PATH}/{sink.sid}/Validate",
    ),
)


def _result(name: str, value: str) -> CustomJsonSerializer:
    schema: Schema = {"type": "string", "enum": [value]}
    return CustomJsonSerializer(name, object_of(result=schema))


SINK_TEST: Final = _result("sink_test", "submitted")
SINK_VALIDATION: Final = _result("sink_validate", "valid")

DESCRIPTION: Final = required(
    "Description",
    text(shortest=1, longest=LONGEST_DESCRIPTION),
    "A text for people that describes it.",
)
_CREATE: Final = (
    DESCRIPTION,
    required(
        "SinkConfiguration",
        text(shortest=2),
        "JSON text. For a webhook: `destination`, the URL that events are sent to; `method`, POST"
        " (the default) or GET; and `batch_events`, true if a request may have several events"
        " (default false). For a Kinesis stream: its `arn`, and the `role_arn` and the"
        " `external_id` with which to write to it.",
    ),
    required("SinkType", one_of(SinkType), "Where the events go."),
)
_TEST_ID: Final = required(
    "TestId", text(shortest=1), "The `test_id` in the `data` of the sink's newest test event."
)
_FILTERS: Final = (
    OperationParameter(
        "InUse", FLAG, "Only sinks that a subscription uses, or only those that none uses."
    ),
    filtered("Status", "Only sinks with this status.", SinkStatus),
)


class SinkEndpoints(EventStreamsEndpointGroup):
    """The operations on sinks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on sinks."""
        record = self.on(_PATH, "Sink", SINK)
        return [
            self.answers(
                *(_PATH, "CreateSink", "Create a sink.", SINK, self._create),
                verb="POST",
                statuses=(201,),
                takes=_CREATE,
            ),
            record.lists_for("List sinks, newest first.", _listing, takes=_FILTERS),
            record.fetches("Fetch a sink.", _fetch),
            record.updates("Change a sink's description.", self._update, takes=(DESCRIPTION,)),
            record.deletes("Delete a sink that no subscription uses.", _delete),
            self.answers(
                *(f"{_ONE}/Test", "CreateSinkTest", "Send a test event to a sink."),
                *(SINK_TEST, self._test),
                verb="POST",
                statuses=(201,),
            ),
            self.answers(
                *(f"{_ONE}/Validate", "CreateSinkValidate"),
                "Confirm that a test event has arrived at a sink, by its id.",
                *(SINK_VALIDATION, self._validate),
                verb="POST",
                statuses=(201,),
                takes=(_TEST_ID,),
            ),
        ]

    async def _create(self, call: ApiRequest) -> Response:
        new = read_sink(call.given, self._dependencies.read_url)
        sink = await self.change(
            call.request,
            lambda tx, context: sinks.create_sink(
                tx, call.account_sid, Source.TWILIO, new, context
            ),
        )
        answer = json_answer(SINK.at(call.request)(sink), 201)
        return with_warnings(answer, *sink.url.warnings)

    def _update(self, call: ApiRequest) -> Change[StreamSink]:
        description = read_description(call.given)
        return lambda tx, context: sinks.update_sink(
            tx, call.account_sid, call.sid, Source.TWILIO, context, description=description
        )

    async def _test(self, call: ApiRequest) -> dict[str, Any]:
        await self.change(
            call.request,
            lambda tx, context: sinks.send_test(
                *(tx, call.account_sid, call.sid, Source.TWILIO, context), action="CreateSinkTest"
            ),
        )
        return {"result": "submitted"}

    async def _validate(self, call: ApiRequest) -> dict[str, Any]:
        test_id = call.given.required("TestId")
        await self.change(
            call.request,
            lambda tx, context: sinks.validate_sink(
                *(tx, call.account_sid, call.sid, Source.TWILIO, context),
                test_id=test_id,
                action="CreateSinkValidate",
            ),
        )
        return {"result": "valid"}


def _listing(call: ApiRequest) -> Listing[StreamSink]:
    status, in_use = call.given.choice("Status", SinkStatus), call.given.flag("InUse")
    return lambda tx, account_sid, window: sinks.list_sinks(
        tx, account_sid, Source.TWILIO, window, status=status, in_use=in_use
    )


def _fetch(tx: Transaction, account_sid: str, sid: str) -> StreamSink:
    return sinks.fetch_sink(tx, account_sid, sid, Source.TWILIO)


def _delete(tx: Transaction, account_sid: str, sid: str, context: OperationContext) -> None:
    sinks.delete_sink(tx, account_sid, sid, Source.TWILIO, context)
