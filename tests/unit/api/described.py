"""Calls an API, and checks that the responses are what its OpenAPI document describes."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import jsonschema_rs

from ringback.api.all_routes import (
    event_stream_operations,
    supersim_operations,
    wireless_operations,
)
from ringback.api.dependencies import ApiDependencies
from ringback.api.openapi import event_streams, supersim_callbacks, wireless_callbacks
from ringback.api.openapi.callbacks import ProductApiDescription
from ringback.api.operation_definition import ApiOperation
from ringback.core.streams.event_types import SCHEMA_ID
from tests.streams import ENDED
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.plenty import NETWORK_SID

Document = dict[str, Any]


class Api(NamedTuple):
    """The API of a product, with its OpenAPI document."""

    product: ProductApiDescription
    document: str
    """The URL of the document."""
    operations: Callable[[ApiDependencies], list[ApiOperation]]
    list_path: str = "/v1/Sims"
    """The path of a list in the document."""

    @property
    def prefix(self) -> str:
        """The prefix of the API's paths that the paths in its document don't have."""
        return self.product.prefix


SUPER_SIM: Final = Api(supersim_callbacks.PRODUCT, "/openapi.json", supersim_operations)
WIRELESS: Final = Api(wireless_callbacks.PRODUCT, "/wireless/openapi.json", wireless_operations)
EVENT_STREAMS: Final = Api(
    event_streams.PRODUCT, "/events/openapi.json", event_stream_operations, "/v1/Sinks"
)
APIS: Final = (SUPER_SIM, WIRELESS, EVENT_STREAMS)


class Call(NamedTuple):
    """A call, and its path in the document."""

    verb: str
    path: str
    status: int
    given: Mapping[str, str] = {}
    sid: str = ""
    """The SID, also of the SIM if a path calls that `sim`."""
    network_sid: str = NETWORK_SID
    json: object = None
    """The JSON body that is sent instead of a form."""
    type: str = ENDED
    schema_id: str = SCHEMA_ID
    schema_version: str = "2"

    @property
    def target(self) -> str:
        return self.path.format(**self._asdict() | {"sim": self.sid, "plan_id": self.sid})


async def make(caller: Caller, call: Call, *, prefix: str = "") -> Answer:
    target = prefix + call.target
    if call.json is not None:
        headers = {"content-type": "application/json"}
        body = json.dumps(call.json).encode()
        return await caller.call(call.verb, target, body, headers=headers)
    if call.verb == "POST":
        return await caller.post(target, call.given)
    query = "&".join("=".join(pair) for pair in call.given.items())
    return await caller.call(call.verb, f"{target}?{query}" if query else target)


def operations_in(document: Document, prefix: str) -> set[tuple[str, str]]:
    """Return the verbs and paths that a document has below a prefix."""
    return {
        (verb.upper(), path)
        for path, item in document["paths"].items()
        for verb in item
        if path.startswith(prefix) and verb not in ("parameters", "servers")
    }


def check(document: Document, call: Call, answer: Answer) -> None:
    """Check that the document describes exactly this response of this operation."""
    said = resolved(document, document["paths"][call.path][call.verb.lower()]["responses"])
    described = resolved(document, said[str(answer.status)])
    known = {name.lower(): header for name, header in described["headers"].items()}
    ours = {name for name in answer.headers if name not in ("content-length", "content-type")}
    assert ours <= set(known)
    for name in ours:
        schema = resolved(document, known[name])["schema"]
        value = answer.headers[name]
        validate(document, int(value) if schema["type"] == "integer" else value, schema)
    if "content" not in described:
        assert answer.body == b""
        return
    content = described["content"][answer.headers["content-type"]]
    validate(document, answer.json, content["schema"])


def resolved(document: Document, node: Document) -> Document:
    """Return the node that a reference points to, or the node itself."""
    place = document
    for name in node.get("$ref", "").removeprefix("#").split("/")[1:]:
        place = place[name]
    return place if "$ref" in node else node


def validate(document: Document, value: object, schema: Document) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)
