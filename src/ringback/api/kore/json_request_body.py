"""Reading the JSON documents that KORE's APIs take. Everything here raises InvalidParameter."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from ringback.api.request_parameters import MAX_BODY
from ringback.api.strict_json import Json, check_names, read_json
from ringback.core.errors import PLATFORM, InvalidParameter

# Checks recurse, and Python's stack is short.
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class JsonRequestBody:
    """One JSON object; its names are case-sensitive."""

    values: dict[str, Json]
    unknown: tuple[str, ...]
    """Names that the operation doesn't know."""

    def text(self, name: str) -> str | None:
        """Return a text, or None where it wasn't given."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong(f"{name} must be text")

    def required(self, name: str) -> str:
        """Return a text that has to be given."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value


async def read_document(request: Request, known: Collection[str]) -> JsonRequestBody:
    """Return the JSON object in a request's body."""
    body, value = await read_json(request, most=MAX_BODY, code=PLATFORM.invalid)
    if not isinstance(value, dict):
        raise wrong("the body must be a JSON object")
    if _is_deeper(value, _DEEPEST):
        raise wrong(f"the body is nested deeper than {_DEEPEST} levels")
    check_names(body, value, code=PLATFORM.invalid)
    return JsonRequestBody(value, tuple(name for name in value if name not in known))


def missing(name: str) -> InvalidParameter:
    """Return the refusal of a request without this property."""
    return InvalidParameter(f"{name} is required and was not given", code=PLATFORM.missing)


def wrong(message: str) -> InvalidParameter:
    """Return the refusal of a property that can't be used."""
    return InvalidParameter(message, code=PLATFORM.invalid)


def _is_deeper(value: Json, most: int) -> bool:
    """Whether a value has more than this many levels; looks no deeper than that."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most == 0 or any(_is_deeper(one, most - 1) for one in inner)
