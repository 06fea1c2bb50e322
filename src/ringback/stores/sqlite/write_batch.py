"""The batch of rows that a commit writes to an SQLite file."""

import json
import re
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ringback.stores.sql.sealed_columns import ALL_SEALED
from ringback.stores.sql.write_batch import BulkStatement, Row, SqlValue, WriteBatch

# Only a few sizes, so that their statements stay prepared.
_CHUNKS: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)


# Python's words; other columns than those with secrets have to be texts.
_UNDECODABLE: Final = re.compile(
    rf"Could not decode to UTF-8 column '(?:{'|'.join({one.column for one in ALL_SEALED})})'"
)


@contextmanager
def any_bytes(connection: sqlite3.Connection) -> Generator[None]:
    """Read texts that are no UTF-8, as damage leaves them, with a mark for what can't be read."""
    connection.text_factory = _with_marks
    try:
        yield
    finally:
        connection.text_factory = str


def _with_marks(value: bytes) -> str:
    return value.decode("utf-8", "replace")


class SqliteWriteBatch(WriteBatch):
    """Implements `WriteBatch` on a connection to an SQLite file."""

    def __init__(self, connection: sqlite3.Connection, tables: Sequence[BulkStatement]) -> None:
        super().__init__(tables)
        self._connection = connection
        self._statements = {table: _by_size(table) for table in tables}

    # The methods below go to the connection directly: they run for each callback.

    def read(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def read_secrets(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self.read(statement, values).fetchall()
        except sqlite3.OperationalError as failure:
            if _UNDECODABLE.match(str(failure)) is None:
                raise
        with any_bytes(self._connection):
            return self.read(statement, values).fetchall()

    def read_queued(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if any(self._rows.values()):
            self._save()
            self.flush()
        return self._connection.execute(statement, values)

    def read_at_once(self, columns: str, origin: str, values: Sequence[Any]) -> list[Any]:
        query = f"SELECT json_group_array(json_array({columns})) {origin}"
        return json.loads(self.read_queued(query, values).fetchone()[0])

    def write(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self._save()
        return self._connection.execute(statement, values)

    def new_seq(self) -> None:
        """Return None: SQLite gives a new row the next number."""

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _write(self, table: BulkStatement, rows: Sequence[Row]) -> None:
        start, statements = 0, self._statements[table]
        for size in _CHUNKS:
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in row]
                self._write_chunk(statements[size], values)
                start += size

    def _write_chunk(self, statement: str, values: Sequence[SqlValue]) -> None:
        try:
            self._connection.execute(statement, values)
        except (UnicodeError, OverflowError) as failure:
            # The row is at fault, not the job that happens to write it: so raise a database error.
            raise sqlite3.DataError(f"a value can't be stored: {failure}") from failure


def _by_size(table: BulkStatement) -> dict[int, str]:
    """Return the statements that write each number of rows of a table."""
    columns = table.columns.split(", ")
    if table.is_deletion and len(columns) > 1:
        # Not `(…, …) IN (VALUES …)`, for which SQLite before 3.41 reads the whole table.
        row = f"({' AND '.join(f'{column} = ?' for column in columns)})"
        before, between, after = f"DELETE FROM {table.table} WHERE", " OR ", ""
    else:
        row = f"({', '.join('?' for _ in columns)})"
        before, between, after = f"{table.before} VALUES", ", ", table.after
    return {size: f"{before} {between.join([row] * size)} {after}" for size in _CHUNKS}
