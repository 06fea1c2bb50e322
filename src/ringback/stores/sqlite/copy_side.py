"""A data file as one of the two places of a copy (`ringback db copy`).

A copy to a folder is made in a file of its own, whose name ends in `.copy`, and takes the place of
the data file only when it is complete. A data file that it replaces stays, as `<name>.before-copy`.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from ringback.core.callbacks.shards import shard_of
from ringback.runtime.disk_sync import sync
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.callback_rows import BEGUN
from ringback.stores.sql.copy_records import (
    CopyNote,
    CopyProgress,
    CopyRole,
    forget,
    note,
    note_end,
    note_progress,
    noted,
    noted_progress,
)
from ringback.stores.sql.data_copy import CHUNK, IN_NEW_DATA, TABLES, CopiedTable, Row
from ringback.stores.sql.sealed_columns import open_all, sealed_with
from ringback.stores.sqlite.data_file_opener import connect_alone
from ringback.stores.sqlite.data_file_upgrade import create, keep, remove
from ringback.stores.sqlite.data_loss import is_missing
from ringback.stores.sqlite.durability_mark import (
    DurableCommitMark,
    number_in,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.schema_upgrade import LAYOUT, bring_up_to_date, newest, version_of
from ringback.stores.sqlite.table_rebuild import make_indexes, one_commit, put_off_indexes

_PROGRESS: Final = "attempt_count, round_attempts, round_number, round_began_us, updated_us"
_IN_ORDER: Final = "waiting.order_key, order_place, own_due_us"
_OPEN: Final = "id, run, shard, lane_id, epoch, due_us, account_id, started_us"
# The rows of tables that have another form in PostgreSQL. A run that is the id of its callback says
# that the attempt began together with the callback.
_QUERIES: Final = {
    "lanes": "SELECT id, account_sid, destination, shard_of(destination) AS shard FROM lanes",
    "idempotency": (
        "SELECT account_id, idempotency_key AS key, id AS callback_id FROM callbacks"
        " WHERE idempotency_key IS NOT NULL"
    ),
    "waiting": (
        f"SELECT waiting.id, shard_of(destination) AS shard, lane_id, due_us, account_id,"
        f" is_appointed, {_PROGRESS}, {_IN_ORDER} FROM waiting JOIN lanes ON lanes.id = lane_id"
        " WHERE started_us IS NULL"
    ),
    "open_attempts": (
        f"SELECT waiting.id, 0 AS run, shard_of(destination) AS shard, lane_id, 0 AS epoch, due_us,"
        f" account_id, started_us, {_PROGRESS} FROM waiting JOIN lanes ON lanes.id = lane_id"
        " WHERE started_us IS NOT NULL UNION ALL"
        f" SELECT open.id, open.id, shard_of(destination), lane_id, 0, {BEGUN}, open.account_id,"
        " started_us, 1, 1, 0, started_us, started_us"
        " FROM sent_at_once AS open JOIN callbacks USING (id) JOIN lanes ON lanes.id = lane_id"
    ),
}
_COLUMNS: Final = {
    "lanes": "id, account_sid, destination, shard",
    "idempotency": "account_id, key, callback_id",
    "waiting": f"id, shard, lane_id, due_us, account_id, is_appointed, {_PROGRESS},"
    " order_key, order_place, own_due_us",
    "open_attempts": f"{_OPEN}, {_PROGRESS}",
}
# Each statement gets all values of such a row, in the order of these columns.
_INSERTS: Final = {
    "lanes": ("INSERT INTO lanes SELECT ?1, ?2, ?3 WHERE ?4 NOTNULL",),
    "idempotency": (),
    "waiting": (
        "INSERT INTO waiting"
        " SELECT ?3, ?4, ?1, ?5, NULL, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 WHERE ?2 NOTNULL",
    ),
    "open_attempts": (
        "INSERT INTO sent_at_once SELECT ?1, ?7, ?8 WHERE ?1 = ?2 AND ?13 NOTNULL",
        "INSERT INTO waiting SELECT ?4, ?6, ?1, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13,"
        " NULL, NULL, NULL WHERE ?1 <> ?2",
    ),
}


class SqliteCopySide:
    """What both ends of a copy do with an open file."""

    def __init__(self, connection: sqlite3.Connection, where: str, cipher: SecretCipher) -> None:
        self.connection = connection
        self.where = where
        self.cipher = cipher
        connection.create_function("shard_of", 1, shard_of, deterministic=True)

    def columns(self, table: CopiedTable) -> Sequence[str]:
        """Return the names of the columns to copy."""
        if table.name in _COLUMNS:
            return _COLUMNS[table.name].split(", ")
        names = self.connection.execute("SELECT name FROM pragma_table_info(?)", [table.name])
        own = [name for (name,) in names]
        return [*table.key, *own] if table.key == ("rowid",) else own

    def rows(
        self, table: CopiedTable, columns: Sequence[str], after: Sequence[Any] = ()
    ) -> Iterator[list[Row]]:
        """Yield the rows; see `CopySide.rows`."""
        query, key = _QUERIES.get(table.name, table.name), ", ".join(table.key)
        source = f"({query})" if table.name in _QUERIES else query
        above = f" WHERE ({key}) > ({', '.join('?' * len(after))})" if after else ""
        found = self.connection.cursor()
        found.row_factory = None  # plain tuples are compared faster
        found.execute(f"SELECT {', '.join(columns)} FROM {source}{above} ORDER BY {key}", [*after])
        while part := found.fetchmany(CHUNK):
            yield part

    def count(self, table: CopiedTable) -> int:
        """Return the number of rows."""
        source = f"({_QUERIES[table.name]})" if table.name in _QUERIES else table.name
        (count,) = self.connection.execute(f"SELECT count(*) FROM {source}").fetchone()
        return count


class SqliteCopySource(SqliteCopySide):
    """Implements `CopySource` for a data file that nothing else can use meanwhile."""

    @classmethod
    @contextmanager
    def open(cls, path: Path, cipher: SecretCipher) -> Generator["SqliteCopySource"]:
        """Open a data file; the caller holds its lock, and has looked for missing data.

        Raises ConfigurationError if the file is damaged, has an older schema, or is open elsewhere.
        """
        with closing(connect_alone(path)) as connection:
            yield cls(connection, _where(path), cipher)

    def noted(self, role: CopyRole) -> CopyNote | None:
        """Return the note of a copy."""
        return noted(self.connection.execute, role)

    def sealed_with(self) -> str | None:
        """Return the id of the key; see `CopySource.sealed_with`."""
        open_all(self.connection.execute, self.cipher)
        return sealed_with(self.connection.execute, self.cipher)

    def begin(self, copy: CopyNote) -> None:
        """Note that a copy has begun."""
        note(self.connection.execute, CopyRole.SOURCE, copy)

    def forget(self) -> None:
        """Delete that note."""
        forget(self.connection.execute, CopyRole.SOURCE)

    def end(self, now: datetime) -> None:
        """Mark the data as copied."""
        note_end(self.connection.execute, CopyRole.SOURCE, now)


class SqliteCopyTarget(SqliteCopySide):
    """Implements `CopyTarget` for a folder, in which nothing else can use a data file meanwhile."""

    def __init__(
        self,
        draft: sqlite3.Connection,
        path: Path,
        cipher: SecretCipher,
        old: sqlite3.Connection | None,
    ) -> None:
        """Make the file at `path` in a draft, in place of the data file that is open as `old`."""
        super().__init__(draft, _where(path), cipher)
        self._path = path
        self._old = old

    @classmethod
    @contextmanager
    def open(cls, path: Path, cipher: SecretCipher) -> Generator["SqliteCopyTarget"]:
        """Open the draft of a data file, and also the data file if there is one.

        The caller holds its lock, and has looked for missing data. Raises ConfigurationError if it
        is damaged, has an older schema, or is open elsewhere.
        """
        with ExitStack() as opened:
            old = None if is_missing(path) else opened.enter_context(closing(connect_alone(path)))
            target = cls(_open_draft(path), path, cipher, old)
            opened.callback(target.close)
            yield target

    def has_data(self) -> bool:
        """Return True if the data file has any rows."""
        if self._old is None:
            return False
        others = "idempotency", "open_attempts", *IN_NEW_DATA
        names = [table.name for table in TABLES if table.name not in others]
        exists = (f"EXISTS (SELECT 1 FROM {name})" for name in (*names, "sent_at_once"))
        (has_some,) = self._old.execute(f"SELECT {' OR '.join(exists)}").fetchone()
        return bool(has_some)

    def noted(self, role: CopyRole) -> CopyNote | None:
        """Return the note of the copy in the draft, or else that of the data file."""
        if role is CopyRole.TARGET and self._has_begun():
            found = noted(self.connection.execute, role)
            # Whatever it says, the draft is not complete before it is in its place.
            return found and found._replace(ended=None)
        return None if self._old is None else noted(self._old.execute, role)

    def begin(self, copy: CopyNote) -> None:
        """Begin with empty tables, without indexes: to make them at the end is faster."""
        self.connection.close()
        create(draft_of_copy(self._path))
        self.connection = _open_draft(self._path)
        self.connection.create_function("shard_of", 1, shard_of, deterministic=True)
        for pragma in LAYOUT:
            self.connection.execute(pragma)
        bring_up_to_date(self.connection)
        self.connection.execute("PRAGMA journal_mode = WAL")
        with one_commit(self.connection):
            put_off_indexes(self.connection)
            for name in IN_NEW_DATA:
                self.connection.execute(f"DELETE FROM {name}")
            self.connection.execute(
                "INSERT INTO sealed_with VALUES (?, true)", [self.cipher.key_ids[0]]
            )
            note(self.connection.execute, CopyRole.TARGET, copy)

    def progress(self) -> CopyProgress:
        """Return how far the copy has come."""
        return noted_progress(self.connection.execute)

    def write(
        self,
        table: CopiedTable,
        columns: Sequence[str],
        rows: Sequence[Row],
        progress: CopyProgress,
    ) -> None:
        """Add rows and note the progress, in one commit."""
        if table.name in _INSERTS:
            order = [columns.index(name) for name in self.columns(table)]
            rows, statements = [*map(itemgetter(*order), rows)], _INSERTS[table.name]
        else:
            marks = ", ".join("?" * len(columns))
            statements = (f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",)
        with one_commit(self.connection):
            for statement in statements:
                self.connection.executemany(statement, rows)
            note_progress(self.connection.execute, progress)

    def end(self, now: datetime) -> None:
        """Complete the draft, and put it in the place of the data file."""
        draft, path = self.connection, self._path
        mark = read_mark(path)
        number = 0 if mark is None else mark.number
        if self._old is not None:
            number = max(number, number_in(self._old))
        lost = draft.execute("PRAGMA foreign_key_check").fetchone()
        if lost is not None:
            raise sqlite3.IntegrityError(f"row {lost[1]} of {lost[0]} refers to no row")
        with one_commit(draft):
            if draft.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchone():
                make_indexes(draft)
            # No row may get the number of one that was removed, whose place is still known.
            draft.execute(
                "INSERT INTO sqlite_sequence SELECT table_name, 0 FROM removed"
                " WHERE table_name NOT IN (SELECT name FROM sqlite_sequence) GROUP BY table_name"
            )
            draft.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, coalesce("
                "(SELECT max(seq) FROM removed WHERE table_name = sqlite_sequence.name), 0))"
            )
            draft.execute("UPDATE installation SET written_in = NULL")
            note_end(draft.execute, CopyRole.TARGET, now)
            draft.execute(f"PRAGMA application_id = {number + 1}")
        draft.execute("PRAGMA journal_mode = DELETE")
        draft.close()
        if self._old is not None:
            keep(path, "before-copy", path.with_name(f"{path.name}.copy-step"))
        sync(draft_of_copy(path))
        sync(path.parent)
        draft_of_copy(path).replace(path)
        sync(path.parent)
        write_mark(path, DurableCommitMark(number + 1))

    def _has_begun(self) -> bool:
        return version_of(self.connection) == newest() and (
            noted(self.connection.execute, CopyRole.TARGET) is not None
        )

    def close(self) -> None:
        """Close the draft; delete it if there is nothing in it."""
        try:
            has_begun = self._has_begun()
        except sqlite3.ProgrammingError:
            return  # it is closed, and has become the data file
        self.connection.close()
        if not has_begun:
            remove(draft_of_copy(self._path))


def draft_of_copy(path: Path) -> Path:
    """Return the path of the file in which a copy is made that will become the data file."""
    return path.with_name(f"{path.name}.copy")


def _open_draft(path: Path) -> sqlite3.Connection:
    draft = draft_of_copy(path)
    if not draft.exists():
        create(draft)
    connection = sqlite3.connect(draft, isolation_level=None)
    connection.row_factory = sqlite3.Row
    # A power cut may undo the last commits, but never a part of one.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -65536")  # KiB
    return connection


def _where(path: Path) -> str:
    return str(path.parent.resolve())
