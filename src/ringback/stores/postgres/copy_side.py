"""A PostgreSQL database as one of the two places of a copy (`ringback db copy`).

A copy holds the database by a lock, in a transaction that lasts as long as the copy, and by
triggers that refuse all changes by others; see the migration `0002_data_copies.sql`.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, Self

from psycopg.rows import tuple_row

from ringback.core.errors import ConfigurationError
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Connection, Dsn, execute
from ringback.stores.postgres.partitions import PARTITIONED, make_partitions, make_partitions_of
from ringback.stores.postgres.write_batch import types_of_columns
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

_OWN: Final = ("worker",)
"""Columns that say which process works on a row; they are not copied."""
# A run that is the id of its callback says that the attempt began together with the callback.
_OPEN_ATTEMPTS: Final = f"""
    (SELECT id, CASE WHEN run = id AND due_us = {BEGUN} AND attempt_count = 1
        AND round_attempts = 1 AND round_number = 0 AND updated_us = started_us
        AND round_began_us = started_us THEN id ELSE 0 END AS run, shard, lane_id,
        0::bigint AS epoch, due_us, account_id, started_us, attempt_count, round_attempts,
        round_number, round_began_us, updated_us FROM open_attempts) AS open_attempts
"""
# A key whose callback has gone goes a little later.
_KEYS: Final = """
    (SELECT * FROM idempotency AS one WHERE EXISTS (
        SELECT FROM callbacks WHERE callbacks.id = one.callback_id
    )) AS idempotency
"""
_FORMS: Final = {"open_attempts": _OPEN_ATTEMPTS, "idempotency": _KEYS}
"""The tables that are copied in another form than that of their rows."""
_NUMBERED: Final = {"accounts": "id", "lanes": "id", "removed": "number"}
"""The tables whose numbers PostgreSQL makes."""
_ALL_TABLES: Final = ", ".join(table.name for table in TABLES)
_STRAY: Final = (
    "SELECT count(*) FROM {} AS one JOIN lanes ON lanes.id = lane_id WHERE one.shard <> lanes.shard"
)


class PostgresCopySide:
    """What both ends of a copy do with a database, which has to have the newest schema."""

    def __init__(self, dsn: Dsn, connection: Connection, cipher: SecretCipher) -> None:
        self.where = schema.place_of(dsn)
        self.cipher = cipher
        self._dsn = dsn
        self._connection = connection
        self._execute = partial(execute, connection)
        self._types = types_of_columns(connection)

    @classmethod
    @contextmanager
    def open(cls, dsn: Dsn, cipher: SecretCipher) -> Generator[Self]:
        """Hold a database for a copy; its errors become a ConfigurationError.

        Raises ConfigurationError if it can't be used, if its schema is not the newest, if a server
        is using it, or if another copy is under way.
        """
        with schema.alone_in_session(dsn, "`ringback db copy`") as (connection, holder):
            schema.refuse_other_versions(dsn, connection)
            schema.hold_for_copy(dsn, holder)
            schema.refuse_while_used(dsn, connection)
            yield cls(dsn, connection, cipher)

    def columns(self, table: CopiedTable) -> Sequence[str]:
        """Return the names of the columns to copy."""
        return [column for of, column in self._types if of == table.name and column not in _OWN]

    def rows(
        self, table: CopiedTable, columns: Sequence[str], after: Sequence[Any] = ()
    ) -> Iterator[list[Row]]:
        """Yield the rows; see `CopySide.rows`."""
        # SQLite compares texts byte by byte.
        key = ", ".join(
            f'{name} COLLATE "C"' if self._types[table.name, name] == "text" else name
            for name in table.key
        )
        source = _FORMS.get(table.name, table.name)
        above = f" WHERE ({key}) > ({', '.join('?' * len(after))})" if after else ""
        query = f"SELECT {', '.join(columns)} FROM {source}{above} ORDER BY {key}"
        with self._connection.transaction():
            self._execute(f"DECLARE copied NO SCROLL CURSOR FOR {query}", [*after])
            while True:
                cursor = self._connection.cursor(row_factory=tuple_row)
                part = cursor.execute(f"FETCH {CHUNK} FROM copied".encode(), binary=True).fetchall()
                if not part:
                    return
                yield part

    def count(self, table: CopiedTable) -> int:
        """Return the number of rows."""
        (count,) = self._execute(f"SELECT count(*) FROM {table.name}").fetchone()
        return count

    def noted(self, role: CopyRole) -> CopyNote | None:
        """Return the note of a copy."""
        return noted(self._execute, role)

    def _begin(self, role: CopyRole, copy: CopyNote) -> None:
        """In a transaction, note that a copy has begun, and refuse all changes by others."""
        self._execute("LOCK TABLE workers IN SHARE ROW EXCLUSIVE MODE")
        schema.refuse_while_used(self._dsn, self._connection)
        self._execute("SELECT fence_data()")
        note(self._execute, role, copy)


class PostgresCopySource(PostgresCopySide):
    """Implements `CopySource` for a database."""

    def sealed_with(self) -> str | None:
        """Return the id of the key; see `CopySource.sealed_with`."""
        open_all(self._execute, self.cipher)
        return sealed_with(self._execute, self.cipher)

    def begin(self, copy: CopyNote) -> None:
        """Note that a copy has begun."""
        with self._connection.transaction():
            self._begin(CopyRole.SOURCE, copy)

    def forget(self) -> None:
        """Delete that note, and allow changes again."""
        with self._connection.transaction():
            forget(self._execute, CopyRole.SOURCE)
            self._execute("SELECT unfence_data()")

    def end(self, now: datetime) -> None:
        """Mark the data as copied."""
        note_end(self._execute, CopyRole.SOURCE, now)


class PostgresCopyTarget(PostgresCopySide):
    """Implements `CopyTarget` for a database."""

    def has_data(self) -> bool:
        """Return True if there is data other than an unfinished copy."""
        made = self.noted(CopyRole.TARGET)
        if made is not None and made.ended is None:
            return False
        return self._has_rows()

    def begin(self, copy: CopyNote) -> None:
        """Remove all data, and note that a copy to here has begun."""
        with self._connection.transaction():
            self._begin(CopyRole.TARGET, copy)
            forget(self._execute, CopyRole.SOURCE)
            # To truncate a partitioned table takes long, even if it is empty.
            if self._has_rows():
                self._execute(f"TRUNCATE {_ALL_TABLES}")
            for name in IN_NEW_DATA:
                self._execute(f"DELETE FROM {name}")
            # The sums of bytes are copied, too.
            self._execute("ALTER TABLE kept_responses DISABLE TRIGGER kept_responses_changed")
            self._execute("DELETE FROM sealed_with")
            self._execute("INSERT INTO sealed_with VALUES (?, true)", [self.cipher.key_ids[0]])

    def _has_rows(self) -> bool:
        counted = (table.name for table in TABLES if table.name not in IN_NEW_DATA)
        exists = (f"EXISTS (SELECT FROM {name})" for name in counted)
        (has_some,) = self._execute(f"SELECT {' OR '.join(exists)}").fetchone()
        return has_some

    def progress(self) -> CopyProgress:
        """Return how far the copy has come."""
        return noted_progress(self._execute)

    def write(
        self,
        table: CopiedTable,
        columns: Sequence[str],
        rows: Sequence[Row],
        progress: CopyProgress,
    ) -> None:
        """Add rows and note the progress, in one commit."""
        with self._connection.transaction():
            if rows:
                if table.name in PARTITIONED:
                    place = columns.index(table.key[0])
                    ids = (row[place] for row in rows)
                    make_partitions_of(self._connection, table.name, ids)
                statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
                with self._connection.cursor().copy(statement.encode()) as copy:
                    copy.set_types([self._types[table.name, name] for name in columns])
                    for row in rows:
                        copy.write_row(row)
            note_progress(self._execute, progress)

    def end(self, now: datetime) -> None:
        """Allow others to use the data."""
        with self._connection.transaction():
            for table in ("waiting", "open_attempts"):
                (stray,) = self._execute(_STRAY.format(table)).fetchone()
                if stray:
                    raise ConfigurationError(f"{stray} rows of {table} are in another shard")
            for table, column in _NUMBERED.items():
                self._execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                    f" coalesce(max({column}), 1), max({column}) IS NOT NULL) FROM {table}"
                )
            self._execute("ALTER TABLE kept_responses ENABLE TRIGGER kept_responses_changed")
            make_partitions(self._connection)
            # The copy was wanted, so servers need not be paused as they are in a found database.
            self._execute("UPDATE installation SET written_in = NULL")
            schema.note_place(self._connection)
            note_end(self._execute, CopyRole.TARGET, now)
            self._execute("SELECT unfence_data()")
        self._execute(f"ANALYZE {_ALL_TABLES}")
