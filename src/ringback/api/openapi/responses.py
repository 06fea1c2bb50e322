"""The answers in our document: records, pages, and every error that can come."""

from collections.abc import Mapping
from typing import Any, Final

from ringback.api.cors import CROSS_ORIGIN, OPEN
from ringback.api.operation_definition import ApiOperation, Body
from ringback.api.schema_pieces import TEXT, URL, Schema, number, object_of, refer
from ringback.api.strict_json import JSON_TYPE

_HEADERS: Final = "#/components/headers"

ERROR: Final[Schema] = object_of(
    code={**number(), "description": "What exactly is wrong."},
    message={**TEXT, "description": "What was given, what is wrong and what would be right."},
    more_info=URL,
    status={**number(400, 599), "description": "That of the answer."},
)
"""The form of every error."""

_WARNING: Final = {
    "description": "Names parameters that the operation doesn't know; they had no effect.",
    "schema": TEXT,
}
_RETRY_AFTER: Final = {"description": "When to ask again, in seconds.", "schema": number(0)}
_CHALLENGE: Final = {"description": "How to sign in.", "schema": TEXT}

ERRORS: Final[Mapping[int, str]] = {
    400: "Something in the request can't be used: `code` and `message` say what, and nothing was"
    " changed. Also what can't be read as HTTP.",
    401: "The credentials are missing or wrong (20003).",
    403: "The credentials are right, but not good for this (20006), or their account is suspended"
    " (20005).",
    404: "There is no such resource, or it is another account's (20404).",
    409: "Another change to the same resource is still being carried out.",
    429: "So many callbacks wait that no more are taken on, or so many wrong credentials came that"
    " none are looked at for a while, or the account asks for more than its rate allows (20429).",
    503: "The database can't be used just now; nothing was changed (20503).",
}
"""The descriptions of all errors, by status."""

_HEADERS_OF_ERRORS: Final = {401: "WWW-Authenticate", 429: "Retry-After"}


def headers() -> dict[str, Any]:
    """Return the headers of answers."""
    allowed = {
        name: {"description": "Lets pages of any origin read it.", "schema": _exactly(value)}
        for name, value in CROSS_ORIGIN.items()
    }
    ours = {
        "Ringback-Warning": _WARNING,
        "Retry-After": _RETRY_AFTER,
        "WWW-Authenticate": _CHALLENGE,
    }
    return {**ours, **allowed}


def error_answers() -> dict[str, Any]:
    """Return all errors, by the names under which operations refer to them."""
    return {str(status): _error_answer(status, *CROSS_ORIGIN) for status in ERRORS}


def _error_answer(status: int, *beside: str) -> dict[str, Any]:
    """Return an error as it is answered, with these headers beside its own."""
    own = [_HEADERS_OF_ERRORS[status]] if status in _HEADERS_OF_ERRORS else []
    described = {"description": ERRORS[status], **content_of("error")}
    return described | {"headers": _refer(*own, *beside)}


def content_of(name: str) -> dict[str, Any]:
    """Return a body that is JSON of this schema."""
    return {"content": {JSON_TYPE: {"schema": refer(name)}}}


def answers_of(operation: ApiOperation) -> dict[str, Any]:
    """Return all answers of an operation, by status."""
    is_open = operation.path.startswith(OPEN)
    headers = _refer("Ringback-Warning", *(CROSS_ORIGIN if is_open else ()))
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
    """Return the named schemas that an operation takes and answers with."""
    schemas = dict[str, Schema]()
    for body in filter(None, (operation.takes_json, *operation.answers.values())):
        schemas |= body.schemas
    return schemas


def _errors_of(operation: ApiOperation) -> list[int]:
    statuses = [400, 401, 403]
    if "{" in operation.path:
        statuses.append(404)
    if operation.conflicts:
        statuses.append(409)
    return [*statuses, 429, 503]


def _body(body: Body) -> dict[str, Any]:
    """Return what an answer holds; where that is nothing, its description."""
    return {"description": "Done; there is no body."} if body is None else content_of(body.name)


def _refer(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"{_HEADERS}/{name}"} for name in names}


def _exactly(value: str) -> Schema:
    return {"type": "string", "enum": [value]}
