"""The operations of Twilio's Events API at `/v1/Types` and `/v1/Schemas`, and the schemas.

The schemas themselves need no sign-in: validators fetch them by the URL in an event.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.endpoint_group import ApiRequest, EventStreamsEndpointGroup, Listing
from ringback.api.host_routing import EVENT_SCHEMAS
from ringback.api.operation_definition import ApiOperation, filtered, resource
from ringback.api.paging import cut
from ringback.api.schema_pieces import INSTANT, TEXT, URL, number, one_of, or_null
from ringback.api.serializers import Serializer, field, json_answer, link, links, worked_out
from ringback.core.errors import NotFound
from ringback.core.streams.event_schema import schema_of
from ringback.core.streams.event_types import (
    DESCRIPTIONS,
    LATEST_VERSION,
    SCHEMA_ID,
    SCHEMA_VERSIONS,
    EventTypeStatus,
    StreamEventType,
    status_at_twilio,
)
from ringback.operations.context import OperationContext
from ringback.operations.streams.publish import phase_of_account

_TYPES: Final = "/events/v1/Types"
_SCHEMAS: Final = "/events/v1/Schemas"
_VERSIONS: Final = f"{_SCHEMAS}/{{schema_id}}/Versions"


class PublishedType(NamedTuple):
    """A type of events, as a record to serialize."""

    type: StreamEventType
    status: EventTypeStatus
    date_updated: datetime

    @property
    def sid(self) -> str:
        """The type, which serves as the SID in page tokens."""
        return self.type


class SchemaVersion(NamedTuple):
    """A version of the schema, as a record to serialize."""

    number: int
    date_created: datetime

    @property
    def sid(self) -> str:
        """The number, which serves as the SID in page tokens."""
        return str(self.number)


EVENT_TYPE: Final = Serializer[PublishedType](
    "event_type",
    "types",
    field("type"),
    worked_out("schema_id", TEXT, lambda _: SCHEMA_ID),
    worked_out("date_created", INSTANT, lambda _: min(SCHEMA_VERSIONS.values())),
    field("date_updated", INSTANT),
    worked_out("description", TEXT, lambda one: DESCRIPTIONS[one.type]),
    field("status", one_of(EventTypeStatus)),
    worked_out("documentation_url", or_null(URL), lambda _: None),
    link("url", lambda one: f"{_TYPES}/{one.type}"),
    links(schema=lambda _: f"{_SCHEMAS}/{SCHEMA_ID}/Versions"),
)

SCHEMA: Final = Serializer[SchemaVersion](
    "schema",
    "schemas",
    worked_out("id", TEXT, lambda _: SCHEMA_ID),
    link("url", lambda _: f"{_SCHEMAS}/{SCHEMA_ID}"),
    links(versions=lambda _: f"{_SCHEMAS}/{SCHEMA_ID}/Versions"),
    field("latest_version_date_created", INSTANT, "date_created"),
    field("latest_version", number(1), "number"),
)

SCHEMA_VERSION: Final = Serializer[SchemaVersion](
    "schema_version",
    "schema_versions",
    worked_out("id", TEXT, lambda _: SCHEMA_ID),
    field("schema_version", number(1), "number"),
    field("date_created", INSTANT),
    link("url", lambda one: f"{_SCHEMAS}/{SCHEMA_ID}/Versions/{one.number}"),
    link("raw", lambda one: f"{EVENT_SCHEMAS}/{SCHEMA_ID}/{one.number}"),
)

_OF_SCHEMA: Final = filtered("SchemaId", "Only types whose events have this schema.")
_BY_NUMBER: Final[Mapping[str, SchemaVersion]] = {
    str(number): SchemaVersion(number, since) for number, since in SCHEMA_VERSIONS.items()
}


class EventTypeEndpoints(EventStreamsEndpointGroup):
    """The operations on types of events and their schemas, which nobody can change."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on types and schemas."""
        types = self.on(_TYPES, "EventType", EVENT_TYPE)
        versions = self.on(_VERSIONS, "SchemaVersion", SCHEMA_VERSION)
        return [
            types.lists_for("List the types of events.", self._types, takes=(_OF_SCHEMA,)),
            self.answers(
                *(f"{_TYPES}/{{type}}", "FetchEventType", "Fetch a type of events."),
                *(EVENT_TYPE, self._type),
            ),
            self.answers(
                *(f"{_SCHEMAS}/{{schema_id}}", "FetchSchema", "Fetch a schema of events."),
                *(SCHEMA, self._schema),
            ),
            versions.lists_for("List the versions of a schema, oldest first.", _versions),
            self.answers(
                *(f"{_VERSIONS}/{{schema_version}}", "FetchSchemaVersion"),
                *("Fetch a version of a schema.", SCHEMA_VERSION, self._version),
            ),
        ]

    def _types(self, call: ApiRequest) -> Listing[PublishedType]:
        published = _published(call.account_sid, self._dependencies.context())
        asked = call.given.text("SchemaId")
        shown = published if asked in (None, "", SCHEMA_ID) else []
        return lambda tx, account_sid, window: cut(shown, window)  # noqa: ARG005 (all have these)

    async def _type(self, call: ApiRequest) -> dict[str, Any]:
        published = _published(call.account_sid, self._dependencies.context())
        found = [one for one in published if one.type == call.sid]
        if not found:
            raise NotFound(f"there is no type of events {call.sid[:200]!r}")
        return EVENT_TYPE.at(call.request)(found[0])

    async def _schema(self, call: ApiRequest) -> dict[str, Any]:
        _check_id(call.sid)
        return SCHEMA.at(call.request)(_BY_NUMBER[str(LATEST_VERSION)])

    async def _version(self, call: ApiRequest) -> dict[str, Any]:
        found = _version_of(call.sid, call.request.path_params["schema_version"])
        return SCHEMA_VERSION.at(call.request)(found)


def schema_routes() -> list[BaseRoute]:
    """Return the route of the JSON Schemas, as at the vendors' hosts for them."""
    return [resource(f"{EVENT_SCHEMAS}/{{schema_id}}/{{schema_version}}", get=_show_schema)]


async def _show_schema(request: Request) -> Response:
    found = _version_of(request.path_params["schema_id"], request.path_params["schema_version"])
    return json_answer(schema_of(found.number))


def _versions(call: ApiRequest) -> Listing[SchemaVersion]:
    _check_id(call.sid)
    return lambda tx, account_sid, window: cut([*_BY_NUMBER.values()], window)  # noqa: ARG005 (same)


def _version_of(schema_id: str, version: str) -> SchemaVersion:
    _check_id(schema_id)
    if version not in _BY_NUMBER:
        raise NotFound(f"the schema {schema_id} has no version {version[:200]!r}")
    return _BY_NUMBER[version]


def _check_id(schema_id: str) -> None:
    if schema_id != SCHEMA_ID:
        raise NotFound(f"there is no schema {schema_id[:200]!r}; there is {SCHEMA_ID}")


def _published(account_sid: str, context: OperationContext) -> list[PublishedType]:
    """Return all types, with the status that they have for an account, and since when."""
    phase = phase_of_account(context.policy, account_sid, context.now)
    updated = max(SCHEMA_VERSIONS.values())
    if phase.since is not None and phase.since <= context.policy.date_at(context.now):
        updated = max(updated, phase.since)
    status = status_at_twilio(phase)
    return [PublishedType(one, status, updated) for one in StreamEventType]
