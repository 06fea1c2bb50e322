"""Reading one page of a list: by the place of a record, so that new records shift nothing.

An index leads to the rows that fulfil some of the conditions, in the order of the list. Where the
other conditions have to be looked at row by row, no more rows are than the window allows, and the
page says where it stopped.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ringback.core.accounts.account import EVERY
from ringback.core.errors import PageNotFound
from ringback.ports import PageRequest
from ringback.stores.sqlite.write_batch import SqlValue

Condition = tuple[str, SqlValue]
"""What rows have to fulfil, and its value; one without a value is left out."""
Read = Callable[[str, Sequence[Any]], sqlite3.Cursor]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which rows of a table make up a list."""

    table: str
    found: Sequence[Condition] = ()
    """What an index has the rows by, in the order of `seq`."""
    looked_at: Sequence[Condition] = ()
    """What is looked at in each of these rows."""
    columns: str = "*"
    index: str = ""
    """Which index that is, where SQLite may not choose by itself: `INDEXED BY …`."""
    joined: str = ""
    """What is read beside each row."""


@dataclass(frozen=True, slots=True)
class PageRange:
    """A part of a list: so many rows from one place on, towards newer ones or older ones."""

    limit: int
    examining: int | None = None
    place: int | None = None
    """The `seq` that it begins behind."""
    is_ascending: bool = False


def read_page(
    read: Read, listing: ListQuery, *, account_sid: str, window: PageRequest
) -> tuple[Sequence[sqlite3.Row], str | None]:
    """Return the rows of one page, newest first, and where it stopped (see `RecordPage`).

    Raises PageNotFound where the account has, and had, no such record as the page begins at.
    """
    backwards = window.before is not None
    place = _place(read, listing.table, account_sid, window)
    stretch = PageRange(window.size, window.examining, place, is_ascending=backwards)
    rows, stopped_at = read_stretch(read, listing, stretch)
    return rows[::-1] if backwards else rows, stopped_at


def read_stretch(
    read: Read, listing: ListQuery, stretch: PageRange
) -> tuple[Sequence[sqlite3.Row], str | None]:
    """Return the rows of a part of a list in its order, and where it stopped."""
    beyond, order = (">", "ASC") if stretch.is_ascending else ("<", "DESC")
    found = _given([*listing.found, (f"seq {beyond} ?", stretch.place)])
    looked_at = _given(listing.looked_at)
    last = None
    if stretch.examining is not None and looked_at:
        last = read(
            f"SELECT seq, sid FROM {listing.table} {listing.index} WHERE {_all_of(found)}"
            f" ORDER BY seq {order} LIMIT 1 OFFSET ?",
            [*_values_of(found), stretch.examining - 1],
        ).fetchone()
    until = [] if last is None else [(f"? {beyond}= seq", last["seq"])]
    conditions = [*found, *until, *looked_at]
    rows = read(
        f"SELECT {listing.columns} FROM {listing.table} {listing.index} {listing.joined}"
        f" WHERE {_all_of(conditions)} ORDER BY seq {order} LIMIT ?",
        [*_values_of(conditions), stretch.limit],
    ).fetchall()
    return rows, None if last is None or len(rows) == stretch.limit else last["sid"]


def _given(conditions: Iterable[Condition]) -> list[Condition]:
    return [pair for pair in conditions if pair[1] is not None]


def _all_of(conditions: Iterable[Condition]) -> str:
    return " AND ".join(text for text, _ in conditions) or "true"


def _values_of(conditions: Iterable[Condition]) -> list[SqlValue]:
    return [value for _, value in conditions]


def _place(read: Read, table: str, account_sid: str, window: PageRequest) -> int | None:
    sid = window.after if window.before is None else window.before
    if sid is None:
        return None
    row = read(
        f"SELECT account_sid, seq FROM {table} WHERE sid = ? UNION ALL"
        " SELECT account_sid, seq FROM removed WHERE table_name = ? AND sid = ?",
        (sid, table, sid),
    ).fetchone()
    if row is None or account_sid not in (EVERY, row["account_sid"]):
        raise PageNotFound(sid)
    return row["seq"]


def whose(account_sid: str) -> Condition:
    """Return the condition that rows are this account's."""
    return "account_sid = ?", None if account_sid == EVERY else account_sid
