"""Reads one page of a list from the database.

A page begins after a given record, not at an offset, so that new records don't shift the pages.

Conditions that no index serves are checked row by row, up to a maximum number of rows. A page that
reaches this maximum ends early, and reports where.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ringback.core.accounts.account import EVERY, one_account
from ringback.core.errors import PageNotFound
from ringback.ports import PageWindow
from ringback.stores.sql.write_batch import SqlResult, SqlRow, SqlValue

Condition = tuple[str, SqlValue | tuple[SqlValue, ...]]
"""An SQL condition and the value of its `?`; a tuple has the values of several.

If the value is None, the condition is ignored.
"""
Read = Callable[[str, Sequence[Any]], SqlResult]


@dataclass(frozen=True, slots=True)
class SqlListQuery:
    """Describes a list for `read_page`: its table, conditions and columns."""

    table: str
    """The table's name, with an `INDEXED BY …` clause for SQLite unless it may choose the index."""
    found: Sequence[Condition] = ()
    """The conditions for which an index finds the rows, in the order of `seq`."""
    looked_at: Sequence[Condition] = ()
    """The conditions that are checked in each row that the index finds."""
    columns: str = "*"
    joined: str = ""
    """A `JOIN` clause for further columns to read with each row."""
    key: str = "seq"
    """The column by which the list is sorted."""
    sid: str = "sid"
    """The SQL expression for a record's SID in a query of `table` alone."""
    place: str = ""
    """A query that finds a record's account and key by its SID; empty if `table` has them."""
    beside: str = ""
    """Another table with a few rows of the list; the first column is then the key."""


@dataclass(frozen=True, slots=True)
class PageRange:
    """A part of a list: up to `limit` rows that are newer, or older, than a given row."""

    limit: int
    examining: int | None = None
    """The maximum number of rows to check one by one; None for no maximum."""
    place: int | None = None
    """The `seq` of the given row; None to begin at the start of the list."""
    is_ascending: bool = False


def read_page(
    read: Read, listing: SqlListQuery, *, account_sid: str, window: PageWindow
) -> tuple[Sequence[SqlRow], str | None]:
    """Return the rows of a page, newest first, and the SID at which reading stopped early, or None.

    Raises PageNotFound if the account never had the record that the page begins at.
    """
    backwards = window.before is not None
    place = _place(read, listing, account_sid, window)
    part = PageRange(window.size, window.examining, place, is_ascending=backwards)
    rows, stopped_at = read_part(read, listing, part)
    return rows[::-1] if backwards else rows, stopped_at


def read_part(
    read: Read, listing: SqlListQuery, part: PageRange
) -> tuple[Sequence[SqlRow], str | None]:
    """Return the rows of a part of a list, and the SID at which reading stopped early, or None."""
    beyond, order = (">", "ASC") if part.is_ascending else ("<", "DESC")
    key, table = listing.key, listing.table
    found = _given([*listing.found, (f"{key} {beyond} ?", part.place)])
    looked_at = _given(listing.looked_at)
    last = None
    if part.examining is not None and looked_at:
        last = read(
            f"SELECT {key}, {listing.sid} FROM {table} WHERE {_all_of(found)}"
            f" ORDER BY {key} {order} LIMIT 1 OFFSET ?",
            [*_values_of(found), part.examining - 1],
        ).fetchone()
    until = [] if last is None else [(f"? {beyond}= {key}", last[0])]
    conditions = [*found, *until, *looked_at]
    rows = [
        row
        for of_list in filter(None, (table, listing.beside))
        for row in read(
            f"SELECT {listing.columns} FROM {of_list} {listing.joined}"
            f" WHERE {_all_of(conditions)} ORDER BY {key} {order} LIMIT ?",
            [*_values_of(conditions), part.limit],
        )
    ]
    if listing.beside:
        rows = sorted(rows, key=itemgetter(0), reverse=not part.is_ascending)[: part.limit]
    return rows, None if last is None or len(rows) == part.limit else last[1]


def _given(conditions: Iterable[Condition]) -> list[Condition]:
    return [pair for pair in conditions if pair[1] is not None]


def _all_of(conditions: Iterable[Condition]) -> str:
    return " AND ".join(text for text, _ in conditions) or "true"


def _values_of(conditions: Iterable[Condition]) -> list[SqlValue]:
    values = list[SqlValue]()
    for _, value in conditions:
        values += value if isinstance(value, tuple) else (value,)
    return values


def _place(read: Read, listing: SqlListQuery, account_sid: str, window: PageWindow) -> int | None:
    sid, table = window.after if window.before is None else window.before, listing.table
    if sid is None:
        return None
    place = listing.place or f"SELECT account_sid, seq FROM {table} WHERE sid = ?"
    row = read(
        f"{place} UNION ALL SELECT account_sid, seq FROM removed WHERE table_name = ? AND sid = ?",
        (sid, table, sid),
    ).fetchone()
    if row is None or account_sid not in (EVERY, row["account_sid"]):
        raise PageNotFound(sid)
    return row["seq"]


def whose(account_sid: str) -> Condition:
    """Return the condition that a row belongs to this account, or to any account for `EVERY`."""
    return "account_sid = ?", one_account(account_sid)
