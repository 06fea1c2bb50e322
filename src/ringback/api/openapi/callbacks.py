"""The callbacks in our document: what receivers are sent, which no document of the vendors says.

Names, order and values come from the one table of `core/events/payload` and the events behind it.
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
    """A callback as the document describes it."""

    name: str
    event: type[Event]
    sids: Mapping[str, SidKind]
    """The kinds of those parameters that are SIDs."""
    meaning: str
    can_say: Mapping[str, Sequence[StrEnum]]
    """The values of those parameters that have fewer here than their type."""
    url_parameter: str = "CallbackUrl"
    """The parameter of the operation that says where it goes."""
    meanings: Mapping[str, str] = _NO_MEANINGS
    """Descriptions of parameters that mean something else here than in other callbacks."""


Callbacks = Mapping[str, Sequence[CallbackDescription]]
"""By what an operation's `calls_back` says."""


class ProductApiDescription(NamedTuple):
    """A SIM product: it has an API and a document of its own."""

    name: str
    prefix: str
    """The prefix of its paths in our routes."""
    callbacks: Callbacks

    @property
    def described(self) -> list[CallbackDescription]:
        """All callbacks that it sends."""
        return [described for group in self.callbacks.values() for described in group]


_MAY_BE_EMPTY: Final = ("payload", "command")

# What a parameter holds that its name doesn't say.
_MEANINGS: Final = {
    "Command": "The same as `Payload`, under an older name.",
    "CommandMode": "What `Command` is.",
    "ErrorCode": "Why it failed, as a code; left out where it didn't.",
    "ErrorMessage": "Why it failed, in words; left out where it didn't.",
    "Payload": "As `PayloadType` says: text, or Base64. Left out where it is empty.",
    "SimUniqueName": "Left out where the SIM has none.",
    "ActivationCode": "What a QR code for it holds; with `GenerateMatchingId` alone.",
    "MatchingId": "With `GenerateMatchingId` alone.",
}

_BY_TWILIO: Final = "Sent by Twilio's source."
_BY_KORE: Final = "Sent by KORE's source."
_HEADERS: Final[Mapping[str, tuple[str, Schema]]] = {
    "User-Agent": (
        "Which source it comes from.",
        {"type": "string", "enum": ["TwilioProxy/1.1", "KoreProxy/1.1"]},
    ),
    "X-Twilio-Signature": (
        f"{_BY_TWILIO} Base64 of an HMAC-SHA1 with the Auth Token, over the URL and what the form"
        " has, sorted by name.",
        TEXT,
    ),
    "I-Twilio-Idempotency-Token": (
        f"{_BY_TWILIO} The same for each attempt of one callback.",
        {"type": "string", "format": "uuid"},
    ),
    "X-Home-Region": (_BY_TWILIO, {"type": "string", "enum": ["us1"]}),
    "X-Use-Static-Proxy": (
        f"{_BY_TWILIO} Only where the account has a static proxy.",
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
    "Date": (f"{_BY_KORE} When this attempt left, in ISO 8601.", INSTANT),
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
        # What is empty is left out, and a text may be.
        if NoneType not in get_args(hint) and attribute not in _MAY_BE_EMPTY:
            needed.append(name)
    return {"type": "object", "properties": properties, "required": needed}


def callback_of(described: CallbackDescription) -> dict[str, Any]:
    """Return a callback: a POST with a form, or a GET with the same in its query."""
    expression = f"{{$request.body#/{described.url_parameter}}}"
    return {expression: {"post": _post(described), "get": _get(described)}}


def header_parameters() -> dict[str, Any]:
    """Return the headers of both sources, as parameters of callbacks."""
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
            "2XX": {"description": "Delivered. Nothing of the body is used."},
            "default": {
                "description": "Not delivered; whether and when it is tried again, the source, the"
                " fragment of the URL and the schedule say. 410 ends it."
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
