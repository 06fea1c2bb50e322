"""Copies all data of a file with schema 10 into a new file, where callbacks have narrow rows.

Each part of the copy is one commit, which also notes how far the copy has come. So a copy that was
interrupted goes on where it was. The rows are those of schema 11, whatever later schemas change.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from ringback.core.callbacks.callback_serialization import read_url
from ringback.core.events.event_kinds import TEST_EVENT, event_and_sim
from ringback.core.http.http_exchange import HeadPlace, HeadTemplate
from ringback.runtime.system_clock import steady_milliseconds
from ringback.runtime.undo import on_failure
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sqlite.schema_upgrade import LAYOUT, bring_up_to_date

REBUILT: Final = 11
"""The schema version whose tables are filled from a file with the version before."""
CHUNK: Final = 5_000
"""The number of callbacks that one commit copies."""
TOLD: Final = 100_000
"""A message says how far the copy has come after this number of callbacks."""
_QUEUED: Final = 256
_DAY: Final = ids_in(hours=24)
_MILLISECOND: Final = _DAY // 86_400_000
_MOST_KNOWN: Final = 1024
"""The maximum number of rows of a table to remember, to use them again."""

_SHARED: Final = ("callback_targets", "request_heads", "attempt_results")
_BEGUN: Final = 2**63 - 1
_ENDED: Final = {"delivered": 1, "failed": 2, "discarded": 3}
# CROSS JOIN makes SQLite read the callbacks in order.
_OLD: Final = """
    SELECT accounts.id, lanes.id, open.started_us, one.*, ended.*
    FROM old.callbacks AS one
    CROSS JOIN accounts ON accounts.sid = one.account_sid
    CROSS JOIN lanes
        ON lanes.account_sid = one.account_sid AND lanes.destination = one.destination
    LEFT JOIN old.open_attempts AS open ON open.callback_sid = one.sid
    LEFT JOIN old.attempts AS ended ON ended.callback_sid = one.sid
    WHERE one.seq > ? AND one.seq <= ? ORDER BY one.seq
"""
_OF_CALLBACK: Final = 29
"""The number of columns before those of an attempt."""
_PLACES: Final = {
    "Content-Length": HeadPlace.LENGTH,
    "X-Twilio-Signature": HeadPlace.SIGNATURE,
    "Kore-Signature": HeadPlace.SIGNATURE,
    "Date": HeadPlace.DATE,
}
_HEADER: Final = re.compile(f"^((?:{'|'.join(_PLACES)}): )([^\r\n]*)", re.MULTILINE)


def begin(new: sqlite3.Connection, source: str) -> None:
    """Make the tables in a new file; `source` says which state of the old file it is filled from.

    Indexes and triggers are made when all rows are there, which is faster.
    """
    for pragma in LAYOUT:
        new.execute(pragma)
    bring_up_to_date(new, until=REBUILT)
    with one_commit(new):
        put_off_indexes(new)
        # The ids made here have the number 0, so a server has to take another one.
        new.execute("INSERT INTO id_leases VALUES (0)")
        new.execute("CREATE TABLE progress AS SELECT ? AS source, 0 AS tables, 0 AS seq", [source])


def source_of(new: sqlite3.Connection) -> str | None:
    """Return the `source` that `begin` stored; None if this file can't be continued."""
    made = "SELECT 1 FROM sqlite_master WHERE name = 'progress'"
    if new.execute(made).fetchone() is None:
        return None
    (source,) = new.execute("SELECT source FROM progress").fetchone()
    return source


def fill(new: sqlite3.Connection, tell: Callable[[str], None]) -> None:
    """Copy what is missing from the attached database `old`, and call `tell` now and then."""
    done, after = new.execute("SELECT tables, seq FROM progress").fetchone()
    for number, (name, columns) in enumerate(_same_tables(new)[done:], done + 1):
        with one_commit(new):
            new.execute(
                f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM old.{name} NOT INDEXED"
            )
            new.execute("UPDATE progress SET tables = ?", [number])
    (count,) = new.execute("SELECT count(*) FROM old.callbacks").fetchone()
    (copied,) = new.execute("SELECT count(*) FROM callbacks").fetchone()
    seqs = "SELECT seq FROM old.callbacks WHERE seq > ? ORDER BY seq LIMIT ?"
    chunk, copy = f"SELECT max(seq), count(*) FROM ({seqs})", _CallbackCopy(new)
    while (last := new.execute(chunk, (after, CHUNK)).fetchone())[1]:
        with one_commit(new):
            copy.copy(after, last[0])
            new.execute("UPDATE progress SET seq = ?", last[:1])
        after, copied = last[0], copied + last[1]
        if copied % TOLD < last[1]:
            tell(f"copied {copied:,} of {count:,} callbacks to the new data file")


def finish(new: sqlite3.Connection) -> None:
    """Check that all is there, and make the indexes and triggers; the file is then complete.

    Raises sqlite3.IntegrityError if anything is missing.
    """
    pairs = {f"main.{name}": f"old.{name}" for name, _ in _same_tables(new)} | {
        "callbacks": "old.callbacks",
        "(SELECT id FROM waiting UNION ALL SELECT id FROM outcomes"
        " UNION ALL SELECT callback_id FROM attempts WHERE delivered_us NOT NULL)": "old.callbacks",
        "attempts": "old.callbacks JOIN old.attempts ON callback_sid = sid",
    }
    for after, before in pairs.items():
        found, wanted = new.execute(
            f"SELECT (SELECT count(*) FROM {after}), (SELECT count(*) FROM {before})"
        ).fetchone()
        if found != wanted:
            raise sqlite3.IntegrityError(f"the copy has {found} of {wanted} rows of {before}")
    with one_commit(new):
        new.execute("DELETE FROM sqlite_sequence")
        new.execute(
            "INSERT INTO sqlite_sequence"
            " SELECT * FROM old.sqlite_sequence WHERE name <> 'callbacks'"
        )
        make_indexes(new)
        new.execute("DROP TABLE progress")
        (number,) = new.execute("PRAGMA old.application_id").fetchone()
        new.execute(f"PRAGMA main.application_id = {max(1, number)}")


def _same_tables(new: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the tables whose rows stay as they are, and their columns in the old file."""
    return new.execute(
        "SELECT name, (SELECT group_concat(name, ', ') FROM pragma_table_info(one.name, 'old'))"
        " FROM old.sqlite_master AS one JOIN main.sqlite_master AS other USING (type, name)"
        " WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        " AND name NOT IN ('callbacks', 'attempts') ORDER BY name"
    ).fetchall()


def put_off_indexes(new: sqlite3.Connection) -> None:
    """Drop all indexes and triggers; the file notes what to make later."""
    those = "FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    names = new.execute(f"SELECT type, name {those}").fetchall()
    new.execute(f"CREATE TABLE later AS SELECT sql {those} ORDER BY rowid")
    for kind, name in names:
        new.execute(f"DROP {kind} {name}")


def make_indexes(new: sqlite3.Connection) -> None:
    """Make the indexes and triggers that `put_off_indexes` has dropped."""
    for (sql,) in new.execute("SELECT sql FROM later ORDER BY rowid").fetchall():
        new.execute(sql)
    new.execute("DROP TABLE later")


@contextmanager
def one_commit(connection: sqlite3.Connection) -> Generator[None]:
    """Run the block in a transaction."""
    connection.execute("BEGIN")
    with on_failure(connection.rollback):
        yield
        connection.execute("COMMIT")


class _CallbackCopy:
    """Copies callbacks with their attempts, in the order in which they were added."""

    def __init__(self, new: sqlite3.Connection) -> None:
        self._new = new
        self._rows = defaultdict[str, list[tuple[Any, ...]]](list)
        """The rows to write, by their table."""
        self._known = {table: dict[Any, int]() for table in _SHARED}
        self._now = steady_milliseconds()
        last = (f"coalesce((SELECT max(id) FROM {table}), 0)" for table in ("callbacks", *_SHARED))
        (self._last_id,) = new.execute(f"SELECT max({', '.join(last)})").fetchone()

    def copy(self, after: int, last: int) -> None:
        """Copy the callbacks whose `seq` is greater than `after`, up to `last`."""
        self._new.execute(
            "INSERT OR IGNORE INTO lanes (account_sid, destination)"
            " SELECT DISTINCT account_sid, destination FROM old.callbacks"
            " WHERE seq > ? AND seq <= ?",
            (after, last),
        )
        callbacks = groupby(self._new.execute(_OLD, (after, last)), itemgetter(slice(_OF_CALLBACK)))
        for number, (callback, rows) in enumerate(callbacks, 1):
            self._copy(callback, [row[_OF_CALLBACK + 1 :] for row in rows])
            if not number % _QUEUED:
                self._write()
        self._write()

    def _copy(self, columns: Sequence[Any], attempts: Sequence[Sequence[Any]]) -> None:
        account_id, lane_id, started, _, sid, account_sid, url, credentials, warnings, *rest = (
            columns
        )
        method, body, source, asked, reason, token, status, why, count, due, tries, *rest = rest
        began, created, updated, _, rounds, key, replay_of, is_test, secret_id = rest
        event, sim_sid = (TEST_EVENT, None) if is_test else event_and_sim(body)
        where, how = (url, credentials, warnings), (method, source, asked, reason, event)
        row_id = self._new_id(created // 1000)
        target = *where, *how, is_test, secret_id
        target_id = self._id_of("callback_targets", account_sid, *target)
        fixed = created, token, key, sim_sid, replay_of, None, None, body
        self._rows["callbacks"].append((row_id, sid, account_id, lane_id, target_id, *fixed))
        is_first = (count, rounds, attempts[0][0]) == (1, 0, 1)
        is_delivered_at_once = is_first and status == "delivered"
        if status == "scheduled":
            due_us = due
            if due is None:
                due_us, started = _BEGUN, updated
            is_appointed = due is not None and due > created == updated and not count
            progress = started, is_appointed, count, tries, rounds, began, updated
            self._rows["waiting"].append((lane_id, due_us, row_id, account_id, *progress))
        elif not is_delivered_at_once:
            outcome = _ENDED[status], why, count, rounds, updated
            self._rows["outcomes"].append((row_id, account_id, *outcome))
        if attempts[0][0] is None:
            return
        called = read_url(url, credentials, warnings)
        if method == "GET" and not is_test:
            called = called.with_parameters(body)
        length = len(body.encode()) if method == "POST" else 0
        for attempt in attempts:
            number, began, *result = attempt[:7]
            local_address, proxy, head, answer_head, answer, is_cut = attempt[12:]
            result += local_address, proxy, answer_head, is_cut
            result_id = self._id_of("attempt_results", account_sid, *result, body=answer)
            head_id = signature = sent = None
            if head is not None:
                text, signature, sent = template_of(head, called.target, length, token)
                head_id = self._id_of("request_heads", account_sid, text)
            sent_as = head_id, signature, sent, updated if is_delivered_at_once else None
            self._rows["attempts"].append(
                (row_id, number, began, result_id, *sent_as, *attempt[7:12])
            )

    def _id_of(self, table: str, account_sid: str, *row: Any, body: bytes | None = None) -> int:
        """Return the id of a shared row with these values, used for a day at most."""
        known, key = self._known[table], (account_sid, row, body)
        row_id = known.get(key)
        if row_id is None or row_id + _DAY < self._last_id:
            if len(known) == _MOST_KNOWN:
                known.clear()
            row_id = known[key] = self._new_id()
            self._rows[table].append((row_id, account_sid, *row))
            if body:
                self._rows["answer_bodies"].append((row_id, body))
        return row_id

    def _new_id(self, milliseconds: int = 0) -> int:
        """Return an id of this time, but not of the future, and higher than all others."""
        wanted = min(milliseconds, self._now) * _MILLISECOND
        self._last_id = max(self._last_id + 1, wanted)
        return self._last_id

    def _write(self) -> None:
        for table, rows in self._rows.items():
            marks = ", ".join("?" * len(rows[0]))
            self._new.executemany(f"INSERT INTO main.{table} VALUES ({marks})", rows)
        self._rows.clear()


def template_of(head: str, target: str, length: int, token: str) -> tuple[str, str, int | None]:
    """Return the template that a request's head was made from, its signature and its time.

    `head` is the request line and the headers. A long one was stored without its target.
    """
    method, signature, sent, whole = head.partition(" ")[0], "", None, head
    if head.startswith(f"{method}  HTTP/1.1"):
        whole = head.replace(" ", f" {target}", 1)
    text = whole.replace(f"{method} {target} ", f"{method} {HeadPlace.TARGET} ", 1)
    parts = _HEADER.split(text.replace(token, HeadPlace.TOKEN) if token else text)
    for at in range(1, len(parts), 3):
        value, parts[at + 1] = parts[at + 1], (place := _PLACES[parts[at][:-2]])
        if place is HeadPlace.SIGNATURE:
            signature = value
        elif place is HeadPlace.DATE:
            with suppress(ValueError, TypeError):
                sent = to_us(datetime.fromisoformat(value))
    text = "".join(parts)
    if _template(text).fill(target, length, token, signature, from_us(sent or 0)) == whole:
        return text, signature, sent
    # What was sent is shown as it was: such a head has only one place, which has all of its text.
    return HeadPlace.SIGNATURE, whole, None


_template: Final = lru_cache(1024)(HeadTemplate)
