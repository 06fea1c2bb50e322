"""Describes responses in the OpenAPI document: records, pages, and all possible errors."""

from collections.abc import Mapping
from typing import Any, Final

from ringback.api.cors import CROSS_ORIGIN, OPEN
from ringback.api.operation_definition import ApiOperation, Body
from ringback.api.schema_pieces import TEXT, URL, Schema, number, object_of, refer
from ringback.api.serializers import Serializer
from ringback.api.strict_json import JSON_TYPE

_HEADERS: Final = "#/components/headers"

ERROR: Final[Schema] = object_of(
    code={**number(), "description": "The code of the error, which identifies its kind."},
    message={**TEXT, "description": "The given value, the problem, and what would be right."},
    more_info=URL,
    status={**number(400, 599), "description": "The HTTP status of the response."},
)
"""The schema of every error."""

_WARNING: Final = {
    "description": "Names parameters that the operation doesn't have; they had no effect.",
    "schema": TEXT,
}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait before the request is repeated.",
    "schema": number(0),
}
_NOT_STORED: Final = {
    "description": "Keeps caches from storing a response with a secret.",
    "schema": TEXT,
}
_OF_SECRETS: Final = ("Cache-Control", "Pragma")
_SECRETS: Final = frozenset({"secret", "token", "secondary_auth_token"})
"""The names of the fields that are shown only once."""
_CHALLENGE: Final = {"description": "The authentication scheme to use: HTTP Basic.", "schema": TEXT}

ERRORS: Final[Mapping[int, str]] = {
    400: "The request is invalid, for example a parameter or the HTTP syntax: `code` and `message`"
    " describe the problem. Nothing was changed.",
    401: "The credentials are missing or wrong (20003).",
    403: "The credentials are right, but do not permit this, such as an API key that can only read"
    " (20006), or their account is suspended (20005).",
    404: "There is no such resource, or it belongs to another account (20404).",
    409: "Another change to the same resource is still in progress, or was made in the meantime.",
    429: "The limit of waiting callbacks, of wrong credentials within a minute, or of requests per"
    " second of the account was reached (20429).",
    503: "The database is unavailable at the moment; nothing was changed (20503).",
}
"""The descriptions of all error responses, by HTTP status."""

_HEADERS_OF_ERRORS: Final = {401: "WWW-Authenticate", 429: "Retry-After"}


def headers() -> dict[str, Any]:
    """Return the descriptions of the headers of responses, by name."""
    allowed = {
        name: {"description": "CORS: for web pages of any origin.", "schema": _exactly(value)}
        for name, value in CROSS_ORIGIN.items()
    }
    ours = {
        "Ringback-Warning": _WARNING,
        "Retry-After": _RETRY_AFTER,
        "WWW-Authenticate": _CHALLENGE,
        **dict.fromkeys(_OF_SECRETS, _NOT_STORED),
    }
    return {**ours, **allowed}


def error_answers() -> dict[str, Any]:
    """Return the descriptions of all error responses, by the names that operations refer to."""
    return {str(status): _error_answer(status, *CROSS_ORIGIN) for status in ERRORS}


def _error_answer(status: int, *beside: str) -> dict[str, Any]:
    """Return the description of an error response that also has these headers."""
    own = [_HEADERS_OF_ERRORS[status]] if status in _HEADERS_OF_ERRORS else []
    described = {"description": ERRORS[status], **content_of("error")}
    return described | {"headers": _refer(*own, *beside)}


def content_of(name: str) -> dict[str, Any]:
    """Return the description of a JSON body that has the schema with this name."""
    return {"content": {JSON_TYPE: {"schema": refer(name)}}}


def answers_of(operation: ApiOperation) -> dict[str, Any]:
    """Return the descriptions of all responses of an operation, by status."""
    is_open = operation.path.startswith(OPEN)
    beside = (*(CROSS_ORIGIN if is_open else ()), *(_OF_SECRETS if _has_secret(operation) else ()))
    headers = _refer("Ringback-Warning", *beside)
    good = {
        str(status): {"description": operation.meaning, "headers": headers, **_body(body)}
        for status, body in operation.answers.items()
    }
    bad = {
        str(status): {"$ref": f"#/components/responses/{status}"}
        if is_open
        else _error_answer(status)
        for status in _errors_of(operation)
    }
    return good | bad


def schemas_of(operation: ApiOperation) -> dict[str, Schema]:
    """Return the named schemas in an operation's request and responses."""
    schemas = dict[str, Schema]()
    for body in filter(None, (operation.takes_json, *operation.answers.values())):
        schemas |= body.schemas
    return schemas


def _has_secret(operation: ApiOperation) -> bool:
    """Return True if an operation's response has a secret, which is shown only this once."""
    bodies = (body for body in operation.answers.values() if isinstance(body, Serializer))
    return any(_SECRETS.intersection(body.schema.get("properties", ())) for body in bodies)


def _errors_of(operation: ApiOperation) -> list[int]:
    statuses = [400, 401, 403]
    if "{" in operation.path:
        statuses.append(404)
    if operation.conflicts:
        statuses.append(409)
    return [*statuses, 429, 503]


def _body(body: Body) -> dict[str, Any]:
    """Return the description of a response's body, or of a response that has no body."""
    if body is None:
        return {"description": "The operation succeeded; the response has no body."}
    return content_of(body.name)


def _refer(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"{_HEADERS}/{name}"} for name in names}


def _exactly(value: str) -> Schema:
    return {"type": "string", "enum": [value]}
