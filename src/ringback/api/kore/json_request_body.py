"""Parses the JSON bodies of requests to KORE's APIs.

All functions here raise InvalidParameter if a body or a property is invalid.
"""

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request

from ringback.api.request_parameters import MAX_BODY
from ringback.api.strict_json import Json, check_names, parse_json, read_json_body, refuse_deep
from ringback.core.errors import PLATFORM, InvalidParameter


@dataclass(frozen=True, slots=True)
class JsonRequestBody:
    """The JSON object in a request's body; its names are case-sensitive."""

    values: dict[str, Json]
    unknown: tuple[str, ...]
    """The names of properties that the operation doesn't have."""

    def text(self, name: str) -> str | None:
        """Return a string property, or None if it is null or was not given."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong(f"{name} must be text")

    def required(self, name: str) -> str:
        """Return a required string property."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value


async def read_document(request: Request, known: Collection[str]) -> JsonRequestBody:
    """Return the JSON object in a request's body; `known` are the valid names."""
    body = await read_json_body(request, most=MAX_BODY, code=PLATFORM.invalid)
    value = parse_json(body, code=PLATFORM.invalid)
    if not isinstance(value, dict):
        raise wrong("the body must be a JSON object")
    refuse_deep(value, code=PLATFORM.invalid)
    check_names(body, value, code=PLATFORM.invalid)
    return JsonRequestBody(value, tuple(name for name in value if name not in known))


def missing(name: str) -> InvalidParameter:
    """Return the error for a required property that is missing."""
    return InvalidParameter(f"{name} is required and was not given", code=PLATFORM.missing)


def wrong(message: str) -> InvalidParameter:
    """Return the error for an invalid property, with this message."""
    return InvalidParameter(message, code=PLATFORM.invalid)
