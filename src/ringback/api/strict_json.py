"""Parses JSON bodies strictly: repeated names in an object are refused, not silently dropped.

All functions here raise InvalidParameter if a body is invalid.
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
# The checks are recursive, and Python limits the depth of recursion.
_DEEPEST: Final = 8


async def read_json_body(request: Request, *, most: int, code: int = SUPER_SIM.invalid) -> bytes:
    """Return a request's body of at most `most` bytes, which is declared as JSON."""
    given = media_type_of(request)
    body = await read_body(request, most=most, code=code)
    if given != JSON_TYPE:
        raise InvalidParameter(
            f"the body's Content-Type is {given or 'not given'}; send {JSON_TYPE}", code=code
        )
    return body


def parse_json(body: bytes, *, code: int = SUPER_SIM.invalid, what: str = "the body") -> Json:
    """Parse a JSON body, or what else `what` says.

    Does not look for repeated names; pass the body and the result to `check_names` for that.
    """
    try:
        return cast("Json", orjson.loads(body))
    except orjson.JSONDecodeError as problem:
        raise InvalidParameter(f"{what} can't be read as JSON: {problem}", code=code) from None


def parse_json_object(text: str, *, code: int, what: str) -> dict[str, Json]:
    """Parse a JSON object in a parameter, which `what` names; no name may be in it twice."""
    body = text.encode()
    document = parse_json(body, code=code, what=what)
    if not isinstance(document, dict):
        raise InvalidParameter(f"{what} is not a JSON object; it must be like {{…}}", code=code)
    refuse_deep(document, code=code, what=what)
    check_names(body, document, code=code)
    return document


def refuse_deep(document: Json, *, code: int = SUPER_SIM.invalid, what: str = "the body") -> None:
    """Raise InvalidParameter if a parsed body is nested deeply; `check_names` is recursive."""
    if _is_deeper(document, _DEEPEST):
        raise InvalidParameter(f"{what} is nested deeper than {_DEEPEST} levels", code=code)


def check_names(body: bytes, document: Json, *, code: int = SUPER_SIM.invalid) -> None:
    """Raise InvalidParameter if an object in a JSON body has the same name twice.

    `document` is the parsed body, in which repeated names are lost. The caller must have refused
    deeply nested documents, with `refuse_deep` or otherwise, since this function is recursive.
    """
    if may_repeat_names(body, document):
        refuse_repeats(body, code=code)


def may_repeat_names(body: bytes, document: Json) -> bool:
    """Return False if no object in a JSON body has the same name twice.

    This check is fast but not exact: if it returns True, call `refuse_repeats` to be sure.
    """
    return body.count(b'"') != 2 * _texts_in(document)


def refuse_repeats(body: bytes, *, code: int = SUPER_SIM.invalid) -> None:
    """Raise InvalidParameter if an object has a name twice; takes milliseconds for a big batch."""
    try:
        json.loads(body, object_pairs_hook=lambda pairs: _without_repeats(pairs, code))
    except RecursionError:
        # The parsed document is shallow: the deep part was dropped because its name repeats.
        raise InvalidParameter(
            "a name is given twice in one JSON object, once with a deeply nested value; give"
            " each name once",
            code=code,
        ) from None


def _is_deeper(value: Json, most: int) -> bool:
    """Return True if a JSON value has more than `most` nested levels; looks no deeper than that."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most == 0 or any(_is_deeper(one, most - 1) for one in inner)


def _texts_in(value: Json) -> int:
    """Return the number of texts in a JSON value, including the names in its objects."""
    if isinstance(value, dict):
        count, parts = len(value), value.values()
    elif isinstance(value, list):
        count, parts = 0, value
    else:
        return 1 if isinstance(value, str) else 0
    for part in parts:
        # Without a call for each text, which would take twice as long.
        if isinstance(part, str):
            count += 1
        elif isinstance(part, (dict, list)):
            count += _texts_in(part)
    return count


def _without_repeats(pairs: list[tuple[str, Json]], code: int) -> None:
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            raise InvalidParameter(
                f"the name {name[:80]!r} is given twice in one JSON object; give it once; write"
                " several values of a parameter as a list",
                code=code,
            )
        names.add(name)
