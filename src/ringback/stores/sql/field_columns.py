"""Maps the fields of records to table columns. A field's type decides its columns."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback_serialization import read_url, write_warnings
from ringback.stores.sql.write_batch import SqlRow, SqlValue

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return a time as whole microseconds since 1970 (UTC)."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(count: int) -> datetime:
    """Return the time that is this number of microseconds after the beginning of 1970 (UTC)."""
    return _EPOCH + timedelta(0, 0, count)


def maybe_to_us(instant: datetime | None) -> int | None:
    """Do the same as `to_us`, but return None for None."""
    return None if instant is None else to_us(instant)


def maybe_from_us(count: int | None) -> datetime | None:
    """Do the same as `from_us`, but return None for None."""
    return None if count is None else from_us(count)


@dataclass(frozen=True, slots=True)
class FieldColumns:
    """A field of a record, its columns, and the functions that write and read them."""

    name: str
    columns: tuple[str, ...]
    write: Callable[[Any], tuple[SqlValue, ...]]
    read: Callable[[SqlRow], Any]


def fields_of(kind: Callable[..., Any]) -> tuple[FieldColumns, ...]:
    """Return the columns of each field of a dataclass or a named tuple, in the fields' order."""
    return tuple(_field(name, hint) for name, hint in get_type_hints(kind).items())


def _field(name: str, hint: Any) -> FieldColumns:
    # Only unions with None are supported: two types would need a column for which type a row has.
    (given,) = [each for each in _alternatives(hint) if each is not NoneType]
    kind = get_origin(given) or given
    if kind is CallbackUrl:
        return _url(name)
    if kind is CallbackTarget:
        return _target(name)
    if kind is datetime:
        return _instant(name)
    if kind is timedelta:
        return _seconds(name)
    if kind is frozenset:
        return _words(name, *get_args(given))
    if kind in (tuple, Mapping):
        return _json(name, tuple if kind is tuple else dict)
    # A database may have no booleans or enumerations: it returns numbers and text.
    made = kind if issubclass(kind, (bool, StrEnum)) else _as_it_is
    return FieldColumns(name, (name,), lambda value: (value,), lambda row: _maybe(made, row[name]))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def _as_it_is(value: Any) -> Any:
    return value


def _maybe(made: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else made(value)


def _instant(name: str) -> FieldColumns:
    column = f"{name.removeprefix('date_').removesuffix('_time')}_us"
    return FieldColumns(
        name, (column,), lambda value: (maybe_to_us(value),), lambda row: maybe_from_us(row[column])
    )


def _seconds(name: str) -> FieldColumns:
    column, second = f"{name}_s", timedelta(seconds=1)
    return FieldColumns(
        name, (column,), lambda value: (value // second,), lambda row: row[column] * second
    )


def _words(name: str, made: Callable[[str], Any]) -> FieldColumns:
    return FieldColumns(
        name,
        (name,),
        lambda value: (" ".join(sorted(value)),),
        lambda row: frozenset(map(made, row[name].split())),
    )


def _json(name: str, made: Callable[[Any], Any]) -> FieldColumns:
    def write(value: Any) -> tuple[SqlValue, ...]:
        return (None if value is None else json.dumps(value),)

    return FieldColumns(
        name, (name,), write, lambda row: _maybe(lambda text: made(json.loads(text)), row[name])
    )


def _url(name: str) -> FieldColumns:
    stem = name.removesuffix("_url")
    columns = (name, f"{stem}_credentials", f"{stem}_warnings")
    return FieldColumns(
        name,
        columns,
        lambda value: (value and value.shown, value and value.credentials, write_warnings(value)),
        lambda row: row[name] and read_url(*(row[column] for column in columns)),
    )


def _target(name: str) -> FieldColumns:
    url, method = _url(f"{name}_url"), f"{name}_method"
    return FieldColumns(
        name,
        (*url.columns, method),
        lambda value: (*url.write(value.url), value.method),
        lambda row: CallbackTarget(url.read(row), HttpMethod(row[method])),
    )
