"""Describes callbacks in the OpenAPI documents; the vendors' own documents leave them out.

The descriptions are made from the event classes and the table of parameters in
`core/events/payload`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Final, NamedTuple, get_args, get_origin, get_type_hints

from ringback.api.request_parameters import FORM_TYPE
from ringback.api.schema_pieces import INSTANT, TEXT, Schema, number, one_of, sid_of, text
from ringback.core.events.payload import PARAMETERS, Event
from ringback.core.sids import SidKind

_NO_MEANINGS: Final[Mapping[str, str]] = {}


class CallbackDescription(NamedTuple):
    """The description of one kind of callback in the OpenAPI document."""

    name: str
    event: type[Event]
    sids: Mapping[str, SidKind]
    """The names of the parameters that contain a SID, each with the kind of SID."""
    meaning: str
    can_say: Mapping[str, Sequence[StrEnum]]
    """The values that a parameter can have in this callback, if not all values of its enum."""
    url_parameter: str = "CallbackUrl"
    """The request parameter that sets the URL of this callback."""
    meanings: Mapping[str, str] = _NO_MEANINGS
    """The descriptions of parameters that mean something else in this kind of callback."""


Callbacks = Mapping[str, Sequence[CallbackDescription]]
"""Maps an operation's `calls_back` to the callbacks that the operation can cause."""


_ABOUT_CALLBACKS: Final = """\
* **Callbacks** come from one of two sources, `twilio` and `kore`. The phase of the transition or
  the fragment of their URL (`#cbs=kore`) determines the source. Both sources send the same
  parameters, but different headers."""


class ProductApiDescription(NamedTuple):
    """One of the two SIM products, or Event Streams, with its API and its callbacks."""

    name: str
    prefix: str
    """The prefix that Ringback puts before the paths of the product's API."""
    callbacks: Callbacks
    about_requests: str = _ABOUT_CALLBACKS
    """What the document's introduction says about the requests that Ringback sends."""

    @property
    def described(self) -> list[CallbackDescription]:
        """All kinds of callbacks that the product sends."""
        return [described for group in self.callbacks.values() for described in group]


_MAY_BE_EMPTY: Final = ("payload", "command")

# Descriptions of parameters whose names don't explain them fully.
_MEANINGS: Final = {
    "Command": "The same as `Payload`, under an older name.",
    "CommandMode": "The form of `Command`: text or binary (Base64).",
    "ErrorCode": "The code of the error; left out if there was none.",
    "ErrorMessage": "A description of the error; left out if there was none.",
    "Payload": "The message: text or Base64, depending on `PayloadType`. Left out if it is empty.",
    "SimUniqueName": "The unique name of the SIM; left out if it has none.",
    "ActivationCode": "The content of the QR code for the profile; only with `GenerateMatchingId`.",
    "MatchingId": "The id that identifies the profile; only with `GenerateMatchingId`.",
}

_BY_TWILIO: Final = "Sent by Twilio's source."
_BY_KORE: Final = "Sent by KORE's source."
_HEADERS: Final[Mapping[str, tuple[str, Schema]]] = {
    "User-Agent": (
        "The source that sends the callback, Twilio's or KORE's.",
        {"type": "string", "enum": ["TwilioProxy/1.1", "KoreProxy/1.1"]},
    ),
    "X-Twilio-Signature": (
        f"{_BY_TWILIO} Base64 of an HMAC-SHA1 with the Auth Token, over the URL and the names and"
        " values of the form's parameters, sorted by name.",
        TEXT,
    ),
    "I-Twilio-Idempotency-Token": (
        f"{_BY_TWILIO} The same for each attempt of one callback.",
        {"type": "string", "format": "uuid"},
    ),
    "X-Home-Region": (_BY_TWILIO, {"type": "string", "enum": ["us1"]}),
    "X-Use-Static-Proxy": (
        f"{_BY_TWILIO} Only if the account has a static proxy.",
        {"type": "string", "enum": ["true"]},
    ),
    "Kore-Signature": (
        f"{_BY_KORE} Hexadecimal SHA-256 of the account's webhook secret, the method, the URL"
        " without query and fragment, and the body, one after the other. Empty without a secret.",
        text(pattern="^([0-9a-f]{64})?$"),
    ),
    "Kore-Idempotency-Token": (
        f"{_BY_KORE} The same for each attempt of one callback.",
        text(pattern="^RQ[A-Za-z0-9_-]{32,41}$"),
    ),
    "Date": (f"{_BY_KORE} The time of this attempt, in ISO 8601.", INSTANT),
}


def payload_of(described: CallbackDescription) -> Schema:
    """Return the schema of a callback's parameters, in the order in which they are sent."""
    hints = _hints_of(described.event)
    properties, needed = dict[str, Schema](), list[str]()
    for name, attribute in PARAMETERS[described.event]:
        hint = hints[attribute]
        schema = _schema_of(described, name, attribute, hint)
        meaning = described.meanings.get(name, _MEANINGS.get(name))
        properties[name] = schema if meaning is None else {**schema, "description": meaning}
        # Empty parameters are left out, so a parameter that can be empty is not required.
        if NoneType not in get_args(hint) and attribute not in _MAY_BE_EMPTY:
            needed.append(name)
    return {"type": "object", "properties": properties, "required": needed}


def callback_of(described: CallbackDescription) -> dict[str, Any]:
    """Return the description of a callback, which is a POST with a form or a GET with a query."""
    expression = f"{{$request.body#/{described.url_parameter}}}"
    return {expression: {"post": _post(described), "get": _get(described)}}


def header_parameters() -> dict[str, Any]:
    """Return the descriptions of the headers of callbacks from both sources, by name."""
    return {
        name: {"name": name, "in": "header", "description": meaning, "schema": schema}
        for name, (meaning, schema) in _HEADERS.items()
    }


def _post(described: CallbackDescription) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{described.name}"}
    body = {"required": True, "content": {FORM_TYPE: {"schema": schema}}}
    return {**_what_both_have(described), "parameters": _headers(), "requestBody": body}


def _get(described: CallbackDescription) -> dict[str, Any]:
    payload = payload_of(described)
    query = [
        {
            "name": name,
            "in": "query",
            "required": name in payload["required"],
            "schema": {"$ref": f"#/components/schemas/{described.name}/properties/{name}"},
        }
        for name in payload["properties"]
    ]
    return {**_what_both_have(described), "parameters": [*query, *_headers()]}


def _what_both_have(described: CallbackDescription) -> dict[str, Any]:
    return {
        "summary": described.meaning,
        "security": [],
        "responses": {
            "2XX": {"description": "Delivered. The body of the response is ignored."},
            "default": {
                "description": "Not delivered. The source, the fragment of the URL and the retry"
                " schedule determine if and when the callback is sent again. After 410 it is not"
                " sent again."
            },
        },
    }


def _headers() -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS]


@cache
def _hints_of(event: type[Event]) -> Mapping[str, Any]:
    return get_type_hints(event)


def _schema_of(described: CallbackDescription, name: str, attribute: str, hint: Any) -> Schema:
    if name in described.can_say:
        return one_of(described.can_say[name])
    if get_origin(hint) is ClassVar or hint is ClassVar:
        return {"type": "string", "enum": [str(getattr(described.event, attribute))]}
    if name in described.sids:
        return sid_of(described.sids[name])
    (plain,) = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    if issubclass(plain, StrEnum):
        return one_of(plain)
    return number() if plain is int else TEXT
