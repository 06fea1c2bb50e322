"""Reads and validates the parameters in form bodies and query strings, up to a size limit.

All functions here raise InvalidParameter if a value is invalid; the message names the parameter.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from ringback.api.bounded_body import media_type_of, read_body
from ringback.api.timestamps import read_instant, read_instant_or_utc
from ringback.core.errors import SUPER_SIM, ErrorCodes, InvalidParameter

MAX_BODY: Final = 64 * 1024
"""Maximum size of a form body, in bytes."""

LONGEST_NAME: Final = 64
"""Maximum length of a record's name, in characters."""

FORM_TYPE: Final = "application/x-www-form-urlencoded"
"""The media type of form bodies."""

_MAX_FIELDS: Final = 200
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
D = TypeVar("D", int, None)

_YES_OR_NO: Final = {"yes": True, "no": False}
_TRUE_OR_FALSE: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class RequestParameters:
    """The parameters of one request; their names are case-sensitive."""

    values: dict[str, str]
    unknown: tuple[str, ...]
    """The names of parameters that the operation doesn't have; they have no effect."""
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The values of each parameter that may be given more than once, by the parameter's name."""
    codes: ErrorCodes = SUPER_SIM
    """The error codes of the API that the request is for."""

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that may be given more than once."""
        return self.lists.get(name, ())

    def text(self, name: str) -> str | None:
        """Return a parameter's value, or None if it was not given."""
        return self.values.get(name)

    def required(self, name: str, *, code: int | None = None) -> str:
        """Return a required parameter's value, which must not be empty."""
        value = self.values.get(name)
        if not value:
            raise self.missing(name, code=code)
        return value

    def given(self, name: str) -> str:
        """Return a required parameter's value, which may be empty."""
        value = self.values.get(name)
        if value is None:
            raise self.missing(name)
        return value

    def missing(self, name: str, *, code: int | None = None) -> InvalidParameter:
        """Return the error for a required parameter that is missing."""
        return InvalidParameter(
            f"{name} is required and was not given", code=code or self.codes.missing
        )

    def wrong(self, message: str, *, code: int | None = None) -> InvalidParameter:
        """Return the error for a parameter with an invalid value, with this message."""
        return InvalidParameter(message, code=code or self.codes.invalid)

    def label(self, name: str, *, longest: int = LONGEST_NAME) -> str | None:
        """Return a name of at most `longest` printable characters, or None if it was not given.

        An empty name is allowed.
        """
        value = self.values.get(name)
        if value and (len(value) > longest or not value.isprintable()):
            raise self.wrong(f"{name} must be at most {longest} printable characters")
        return value

    def choice(self, name: str, options: Collection[E]) -> E | None:
        """Return the option that a parameter names, or None if it was not given."""
        return self.meaning(name, {option.value: option for option in options})

    def meaning(self, name: str, meanings: Mapping[str, T]) -> T | None:
        """Look up a parameter's value in `meanings`; return None if it was not given."""
        value = self.values.get(name)
        if value is None:
            return None
        if value in meanings:
            return meanings[value]
        known = ", ".join(meanings)
        raise self.wrong(f"{name}={value!r}: {name} must be one of {known}")

    def is_yes(self, name: str) -> bool:
        """Return True if a parameter is `yes`, False if it is `no` or was not given."""
        return self.meaning(name, _YES_OR_NO) or False

    def flag(self, name: str) -> bool | None:
        """Return True if a parameter is `true`, False if `false`, None if it was not given."""
        return self.meaning(name, _TRUE_OR_FALSE)

    def instant(self, name: str) -> datetime | None:
        """Return the date and time in a parameter, or None if it was not given."""
        return self._read(name, read_instant)

    def instant_or_utc(self, name: str) -> datetime | None:
        """Return the date and time in a parameter, in UTC if it has no zone; None if not given."""
        return self._read(name, read_instant_or_utc)

    def number(
        self, name: str, low: int, high: int, *, default: D, code: int | None = None
    ) -> int | D:
        """Return the whole number in a parameter, from `low` to `high`; `default` if not given."""
        value = self.values.get(name)
        if value is None:
            return default
        # Ten digits are enough for every limit, and `int` is slow on thousands of digits.
        if value.isascii() and value.isdigit() and len(value) <= 10 and low <= int(value) <= high:
            return int(value)
        raise self.wrong(
            f"{name}={value!r}: {name} must be a whole number from {low} to {high}", code=code
        )

    def _read(self, name: str, read: Callable[[str], datetime]) -> datetime | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as problem:
            raise self.wrong(f"{name}={value!r}: {problem}") from None


def read_query(
    request: Request,
    known: Collection[str],
    *,
    lists: Collection[str] = (),
    codes: ErrorCodes = SUPER_SIM,
) -> RequestParameters:
    """Return the parameters in a request's query string; `known` are the valid names.

    Parameters in `lists` may be given more than once.
    """
    query = request.scope["query_string"]
    return _parse(query, known, where="the query string", lists=lists, codes=codes)


async def read_form(
    request: Request,
    known: Collection[str],
    *,
    lists: Collection[str] = (),
    codes: ErrorCodes = SUPER_SIM,
) -> RequestParameters:
    """Return the parameters in a request's form body; `known` are the valid names.

    Parameters in `lists` may be given more than once.
    """
    body = await read_body(request, most=MAX_BODY, code=codes.invalid)
    given = media_type_of(request)
    if body and given not in (None, FORM_TYPE):
        raise InvalidParameter(
            f"the body's Content-Type is {given}; send {FORM_TYPE}", code=codes.invalid
        )
    return _parse(body, known, where="the body", lists=lists, codes=codes)


def _parse(
    encoded: bytes,
    known: Collection[str],
    *,
    where: str,
    codes: ErrorCodes,
    lists: Collection[str] = (),
) -> RequestParameters:
    try:
        pairs = parse_qsl(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidParameter(f"{where} is not valid UTF-8", code=codes.invalid) from None
    except ValueError:
        raise InvalidParameter(
            f"{where} has more than {_MAX_FIELDS} parameters", code=codes.invalid
        ) from None
    values, many = dict[str, str](), dict[str, tuple[str, ...]]()
    for name, value in pairs:
        # Either of the two values could be the one that the client did not mean.
        if name in known and name in values and name not in lists:
            raise InvalidParameter(f"{name} is given twice; give it once", code=codes.invalid)
        if "\0" in value:
            raise InvalidParameter(
                f"{name} contains a NUL character; remove it", code=codes.invalid
            )
        values[name] = value
        if name in lists:
            many[name] = (*many.get(name, ()), value)
    unknown = tuple(name for name in values if name not in known)
    return RequestParameters(values, unknown, many, codes)
