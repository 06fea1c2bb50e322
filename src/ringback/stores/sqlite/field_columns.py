"""The fields of records, and the columns that each stands in."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ringback.core.callbacks.callback_codec import read_url, write_warnings
from ringback.stores.sqlite.write_batch import SqlValue

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return an instant as whole microseconds since 1970 (UTC)."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(count: int) -> datetime:
    """Return the instant that this count of microseconds stands for."""
    return _EPOCH + timedelta(0, 0, count)


def maybe_to_us(instant: datetime | None) -> int | None:
    """Return an instant in microseconds, and None as it is."""
    return None if instant is None else to_us(instant)


def maybe_from_us(count: int | None) -> datetime | None:
    """Return the instant of a count of microseconds, and None as it is."""
    return None if count is None else from_us(count)


@dataclass(frozen=True, slots=True)
class FieldColumns:
    """A field of a record, and the columns that it stands in."""

    name: str
    columns: tuple[str, ...]
    write: Callable[[Any], tuple[SqlValue, ...]]
    read: Callable[[sqlite3.Row], Any]


def plain(name: str) -> FieldColumns:
    """Return a field that stands in the column of its name as it is: text, a number, None."""
    return FieldColumns(name, (name,), lambda value: (value,), lambda row: row[name])


def flag(name: str) -> FieldColumns:
    """Return a field that is true or false."""
    return FieldColumns(name, (name,), lambda value: (int(value),), lambda row: bool(row[name]))


def one_of(name: str, kind: type[StrEnum]) -> FieldColumns:
    """Return a field whose values are those of an enumeration."""
    return FieldColumns(name, (name,), lambda value: (value,), lambda row: kind(row[name]))


def instant(name: str, column: str) -> FieldColumns:
    """Return a field that is an instant."""
    return FieldColumns(
        name, (column,), lambda value: (to_us(value),), lambda row: from_us(row[column])
    )


def maybe_instant(name: str, column: str) -> FieldColumns:
    """Return a field that is an instant or None."""
    return FieldColumns(
        name, (column,), lambda value: (maybe_to_us(value),), lambda row: maybe_from_us(row[column])
    )


def pairs(name: str) -> FieldColumns:
    """Return a field that maps texts to texts."""
    return FieldColumns(
        name, (name,), lambda value: (json.dumps(value),), lambda row: json.loads(row[name])
    )


def texts(name: str) -> FieldColumns:
    """Return a field that is a tuple of texts."""
    return FieldColumns(
        name, (name,), lambda value: (json.dumps(value),), lambda row: tuple(json.loads(row[name]))
    )


def url(name: str) -> FieldColumns:
    """Return a field that is a callback URL or None, in three columns."""
    stem = name.removesuffix("_url")
    columns = (name, f"{stem}_credentials", f"{stem}_warnings")
    return FieldColumns(
        name,
        columns,
        lambda value: (value and value.shown, value and value.credentials, write_warnings(value)),
        lambda row: row[name] and read_url(*(row[column] for column in columns)),
    )


OWNED = (plain("sid"), plain("account_sid"))
DATED = (instant("date_created", "created_us"), instant("date_updated", "updated_us"))
