"""Reading one page of a list: by the place of a record, so that new records shift nothing."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ringback.core.account import EVERY
from ringback.core.errors import NoSuchPage
from ringback.ports import Window
from ringback.stores.sqlite.session import SqlValue

Condition = tuple[str, SqlValue]
Read = Callable[[str, Sequence[Any]], sqlite3.Cursor]


def read_page(
    read: Read,
    table: str,
    *,
    columns: str = "*",
    account_sid: str,
    conditions: Iterable[Condition],
    window: Window,
) -> Sequence[sqlite3.Row]:
    """Return the account's rows of one page, newest first; conditions without a value are left out.

    Raises NoSuchPage where the account has, and had, no such record as the page begins at.
    """
    backwards = window.before is not None
    own = ("account_sid = ?", None if account_sid == EVERY else account_sid)
    beyond = ("seq > ?" if backwards else "seq < ?", _place(read, table, account_sid, window))
    given = [pair for pair in (own, *conditions, beyond) if pair[1] is not None]
    clauses = " AND ".join(text for text, _ in given) or "true"
    order = "ASC" if backwards else "DESC"
    rows = read(
        f"SELECT {columns} FROM {table} WHERE {clauses} ORDER BY seq {order} LIMIT ?",
        [*(value for _, value in given), window.size],
    ).fetchall()
    return rows[::-1] if backwards else rows


def _place(read: Read, table: str, account_sid: str, window: Window) -> int | None:
    sid = window.after if window.before is None else window.before
    if sid is None:
        return None
    row = read(
        f"SELECT account_sid, seq FROM {table} WHERE sid = ? UNION ALL"
        " SELECT account_sid, seq FROM removed WHERE table_name = ? AND sid = ?",
        (sid, table, sid),
    ).fetchone()
    if row is None or account_sid not in (EVERY, row["account_sid"]):
        raise NoSuchPage(sid)
    return row["seq"]
