"""Reading JSON bodies, strictly: what a parser would silently drop is refused.

Everything here raises InvalidParameter.
"""

import json
from typing import Final, TypeAlias, cast

import orjson
from starlette.requests import Request

from ringback.api.bounded_body import media_type_of, read_body
from ringback.core.errors import SUPER_SIM, InvalidParameter

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

JSON_TYPE: Final = "application/json"
"""The media type of JSON bodies."""


async def read_json(
    request: Request, *, most: int, code: int = SUPER_SIM.invalid
) -> tuple[bytes, Json]:
    """Return a request's JSON body of at most this many bytes, as it came and as it reads.

    `check_names` has yet to see both.
    """
    given = media_type_of(request)
    body = await read_body(request, most=most, code=code)
    if given != JSON_TYPE:
        raise InvalidParameter(
            f"the body's Content-Type is {given or 'not given'}; send {JSON_TYPE}", code=code
        )
    try:
        return body, cast("Json", orjson.loads(body))
    except orjson.JSONDecodeError as problem:
        raise InvalidParameter(f"the body can't be read as JSON: {problem}", code=code) from None


def check_names(body: bytes, document: Json, *, code: int = SUPER_SIM.invalid) -> None:
    """Refuse a document in which an object has a name twice: the parser kept only the last.

    The document has to be shallow. Each string has two quotes around it. Where the body has more
    quotes than that, a string was dropped or contains quotes, and a slower parser looks again.
    """
    if may_repeat_names(body, document):
        refuse_repeats(body, code=code)


def may_repeat_names(body: bytes, document: Json) -> bool:
    """Whether an object in this document may have a name twice; the first half of `check_names`."""
    return body.count(b'"') != 2 * _texts_in(document)


def refuse_repeats(body: bytes, *, code: int = SUPER_SIM.invalid) -> None:
    """Refuse an object with a repeated name, by a parser that takes milliseconds for a batch."""
    try:
        json.loads(body, object_pairs_hook=lambda pairs: _without_repeats(pairs, code))
    except RecursionError:
        # The document is shallow, so what is nested was dropped for its name.
        raise InvalidParameter("a name is given twice in one object", code=code) from None


def _texts_in(value: Json) -> int:
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        return len(value) + sum(map(_texts_in, value.values()))
    return sum(map(_texts_in, value)) if isinstance(value, list) else 0


def _without_repeats(pairs: list[tuple[str, Json]], code: int) -> None:
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            raise InvalidParameter(
                f"the name {name[:80]!r} is given twice in one object; give it once,"
                " a parameter that repeats as a list",
                code=code,
            )
        names.add(name)
