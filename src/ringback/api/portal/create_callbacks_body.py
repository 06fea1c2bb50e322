"""Parses and validates the JSON body of a request to create callbacks.

All functions here raise InvalidParameter if a value is invalid. The values of parameters may be
confidential, so messages show only their type.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple, cast

from ringback.api.strict_json import Json
from ringback.api.timestamps import read_instant
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import SUPER_SIM, InvalidParameter
from ringback.core.form_encoding import encode

MOST_AT_ONCE: Final = 1000
MAX_ENCODED: Final = 64 * 1024
"""Maximum bytes of a callback's parameters after encoding."""
MAX_PARAMETERS: Final = 200
MAX_KEY: Final = 255
FURTHEST: Final = timedelta(days=366)

_FIELDS: Final = frozenset(
    {"url", "method", "parameters", "idempotency_key", "ordering_key", "deliver_at"}
)
_METHODS: Final = {method.value: method for method in HttpMethod}
_LARGEST: Final = 2**53
_SHOWN: Final = 80


class NewCallbackRequest(NamedTuple):
    """The values that a request gives for a new callback."""

    url: CallbackUrl
    method: HttpMethod
    parameters: list[tuple[str, str]]
    body: str
    """The encoded parameters."""
    idempotency_key: str | None
    due: datetime | None
    """When to send the callback; None to send it at once."""
    order_key: str | None
    """Callbacks to one destination with the same key are sent in order; None for any order."""


def read_one(
    item: Json, at: str = "", *, read_url: Callable[[str], CallbackUrl], now: datetime
) -> NewCallbackRequest:
    """Parse one callback; `at` is its position for messages, such as `callbacks[0].`."""
    if not isinstance(item, dict):
        where = at.rstrip(".") or "the body"
        batch = "" if at else ", or with callbacks, a list of such objects"
        raise _wrong(
            f"{where} is {_kind(item)}; it must be an object with url and parameters{batch}"
        )
    if not item.keys() <= _FIELDS:
        raise _unknown_field(item, at)
    url = _read_url(item.get("url"), at, read_url)
    parameters = _read_parameters(item.get("parameters"), at)
    return NewCallbackRequest(
        url,
        _read_method(item, at),
        parameters,
        _encode(parameters, at),
        _read_key(item.get("idempotency_key"), f"{at}idempotency_key"),
        _read_due(item.get("deliver_at"), at, now),
        _read_key(item.get("ordering_key"), f"{at}ordering_key"),
    )


def items_of(document: dict[str, Json]) -> list[Json]:
    """Return the items in the list `callbacks` of a batch, not yet parsed."""
    items = document["callbacks"]
    if len(document) > 1:
        other = next(name for name in document if name != "callbacks")[:_SHOWN]
        raise _wrong(
            f"{other!a} is not allowed beside `callbacks`; put it into each item of `callbacks`"
        )
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_AT_ONCE:
        given = f"{len(items)} callbacks" if isinstance(items, list) else _kind(items)
        raise _wrong(f"callbacks: {given}; it must be a list of 1 to {MOST_AT_ONCE} callbacks")
    return items


def _read_url(value: Json, at: str, read_url: Callable[[str], CallbackUrl]) -> CallbackUrl:
    if not isinstance(value, str):
        raise _not_text(f"{at}url", value, "text like https://host/path")
    try:
        return read_url(value)
    except InvalidParameter as refusal:
        raise InvalidParameter(f"{at}url: {refusal.message}", code=refusal.code) from None


def _read_method(item: dict[str, Json], at: str) -> HttpMethod:
    value = item.get("method", "POST")
    if isinstance(value, str) and value in _METHODS:
        return _METHODS[value]
    raise _wrong(f"{at}method: {_given(value)}; it must be POST or GET")


def _read_parameters(value: Json, at: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise _not_text(f"{at}parameters", value, "an object of names and values")
    # Most callbacks have only texts, and listing them at once takes a fifth of the time.
    if [*map(type, value.values())].count(str) == len(value):
        pairs = cast("list[tuple[str, str]]", list(value.items()))
    else:
        pairs = _pairs_of(value, at)
    if len(pairs) > MAX_PARAMETERS:
        raise _wrong(f"{at}parameters: {len(pairs)} values; at most {MAX_PARAMETERS} are sent")
    return pairs


def _pairs_of(parameters: dict[str, Json], at: str) -> list[tuple[str, str]]:
    pairs = list[tuple[str, str]]()
    for name, given in parameters.items():
        if isinstance(given, list):
            place = f"{at}parameters.{name[:_SHOWN]}"
            if not given:
                raise _wrong(f"{place}: the list is empty; leave the parameter out")
            pairs += [(name, _text_of(each, place)) for each in given]
        else:
            pairs.append((name, _text_of(given, f"{at}parameters.{name[:_SHOWN]}")))
    return pairs


def _text_of(value: Json, place: str) -> str:
    """Return a parameter's value as the text to send: numbers and booleans as in JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # The parser has rounded numbers with more digits than a float can hold.
        if abs(value) >= _LARGEST:
            raise _wrong(
                f"{place}: {value!r} may have been rounded; write the number as text in quotes"
            )
        return repr(value)
    hint = "; leave the parameter out" if value is None else ""
    raise _wrong(f"{place}: {_kind(value)}; it must be text, a number, true or false{hint}")


def _encode(pairs: list[tuple[str, str]], at: str) -> str:
    body = encode(pairs)
    if len(body) > MAX_ENCODED:
        raise _wrong(
            f"{at}parameters: {len(body)} bytes after encoding; at most {MAX_ENCODED} are allowed"
        )
    # `%00` is always a NUL: the % of a text that contains %00 is escaped itself.
    if "%00" in body:
        name = next(name for name, given in pairs if "\0" in name or "\0" in given)
        raise _wrong(
            f"{at}parameters.{name[:_SHOWN]!a}: a NUL character, which a form can't contain;"
            " remove it"
        )
    if body.startswith("=") or "&=" in body:
        raise _wrong(f"{at}parameters: a parameter has an empty name; give it a name")
    return body


def _read_key(value: Json, place: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and 1 <= len(value) <= MAX_KEY and value.isprintable():
        return value
    raise _wrong(f"{place}: {_given(value)}; it must be 1 to {MAX_KEY} printable characters")


def _read_due(value: Json, at: str, now: datetime) -> datetime | None:
    """Return the earliest time to send a callback; None if it is not given or has passed."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _not_text(f"{at}deliver_at", value, "an instant like 2026-11-24T10:00:00Z")
    try:
        instant = read_instant(value)
    except ValueError as problem:
        raise _wrong(f"{at}deliver_at: {_given(value)}: {problem}") from None
    if instant - now > FURTHEST:
        raise _wrong(
            f"{at}deliver_at: {_given(value)} is too far ahead; at most {FURTHEST.days}"
            " days from now are allowed"
        )
    return instant if instant > now else None


def _unknown_field(item: dict[str, Json], at: str) -> InvalidParameter:
    name = next(name for name in item if name not in _FIELDS)
    known = ", ".join(sorted(_FIELDS))
    return _wrong(f"{at}{name[:_SHOWN]!a} is not a field of a callback; the fields are {known}")


def _not_text(place: str, value: Json, right: str) -> InvalidParameter:
    if value is None:
        return InvalidParameter(
            f"{place} is required and was not given; it must be {right}", code=SUPER_SIM.missing
        )
    return _wrong(f"{place}: {_kind(value)}; it must be {right}")


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(message, code=SUPER_SIM.invalid)


def _given(value: Json) -> str:
    """Return a value as error messages quote it; only for values that are not confidential."""
    return ascii(value[:_SHOWN]) if isinstance(value, str) else _kind(value)


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
