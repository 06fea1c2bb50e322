"""The statements of one commit: rows that can wait are written together, many per statement.

One statement per row costs more than its work: at each, the thread releases the interpreter lock
and waits to get it back from a busy event loop. So rows of callbacks and attempts are collected,
and written when a query has to see them or before the commit. A job that fails takes back its own
rows and no others.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Self

SqlValue = str | int | float | bytes | None
Row = tuple[SqlValue, ...]

# Only a few sizes, so that their statements stay prepared.
_CHUNKS: Final = (256, 64, 16, 8, 4, 2, 1)


class BulkStatement:
    """A statement that writes many rows of a table at once; `columns` are those of each row."""

    def __init__(self, before: str, columns: str, after: str = "") -> None:
        """Put it together around its `VALUES (?, …), (?, …)`."""
        row = f"({', '.join('?' for _ in columns.split(', '))})"
        self.statements = {
            size: f"{before} VALUES {', '.join([row] * size)} {after}" for size in _CHUNKS
        }

    @classmethod
    def insert(cls, table: str, columns: str) -> Self:
        """Return the one that adds rows."""
        return cls(f"INSERT INTO {table} ({columns})", columns)

    @classmethod
    def update(cls, table: str, columns: str) -> Self:
        """Return the one that changes these columns of the rows whose SIDs come before them."""
        changed = ", ".join(f"{column} = new.{column}" for column in columns.split(", "))
        return cls(
            f"WITH new (sid, {columns}) AS (",
            f"sid, {columns}",
            f") UPDATE {table} SET {changed} FROM new WHERE {table}.sid = new.sid",
        )

    @classmethod
    def delete(cls, table: str, column: str) -> Self:
        """Return the one that deletes the rows with a value in this column."""
        return cls(f"DELETE FROM {table} WHERE ({column}) IN (", column, ")")


class WriteBatch:
    """A connection during one commit, and the rows that wait to be written.

    A job gets a savepoint only when it first writes or flushes: most jobs just queue rows, which
    are undone by dropping them from the queue.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Sequence[BulkStatement]) -> None:
        """Write with this connection; rows are written table by table, in this order."""
        self._connection = connection
        self._rows: dict[BulkStatement, list[Row]] = {table: [] for table in tables}
        self._mark = [0] * len(tables)
        self._touched = set[str]()
        self._is_saved = False

    def begin_job(self) -> None:
        """Begin a job, which can be undone by itself."""
        self._mark = [len(rows) for rows in self._rows.values()]
        self._is_saved = False

    def end_job(self) -> None:
        """Keep what the job did, for the coming commit."""
        if self._is_saved:
            self._connection.execute("RELEASE job")

    def undo_job(self) -> None:
        """Undo what the job did."""
        for rows, mark in zip(self._rows.values(), self._mark, strict=True):
            del rows[mark:]
        if self._is_saved:
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")

    def touch(self, key: str) -> None:
        """Prepare for rows that change the record with this key: earlier rows of it are written.

        Rows are written table by table, not in the order in which they were queued, so two changes
        of one record must not wait together.
        """
        if key in self._touched:
            self._save()
            self.flush()
        self._touched.add(key)

    def queue(self, table: BulkStatement, row: Row) -> None:
        """Let a row be written with the others of its table, before anybody reads them."""
        self._rows[table].append(row)

    def read(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a query on tables whose rows are not queued."""
        return self._connection.execute(statement, values)

    def read_queued(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a query that sees the rows queued so far."""
        if any(self._rows.values()):
            self._save()
            self.flush()
        return self._connection.execute(statement, values)

    def write(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement at once."""
        self._save()
        return self._connection.execute(statement, values)

    def flush(self) -> None:
        """Write all rows that are queued."""
        for table, rows in self._rows.items():
            if rows:
                self._write(table, rows)
                rows.clear()
        self._mark = [0] * len(self._rows)
        self._touched.clear()

    def forget(self) -> None:
        """Drop all queued rows, and undo what the commit has done so far."""
        for rows in self._rows.values():
            rows.clear()
        self._touched.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _save(self) -> None:
        """Set a savepoint, so that what follows can be undone, after the rows of earlier jobs."""
        if self._is_saved:
            return
        own = [rows[mark:] for rows, mark in zip(self._rows.values(), self._mark, strict=True)]
        for rows, mark in zip(self._rows.values(), self._mark, strict=True):
            del rows[mark:]
        self.flush()
        self._connection.execute("SAVEPOINT job")
        self._is_saved = True
        for rows, later in zip(self._rows.values(), own, strict=True):
            rows.extend(later)

    def _write(self, table: BulkStatement, rows: list[Row]) -> None:
        start = 0
        for size in _CHUNKS:
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in row]
                self._execute(table.statements[size], values)
                start += size

    def _execute(self, statement: str, values: Sequence[SqlValue]) -> None:
        try:
            self._connection.execute(statement, values)
        except (UnicodeError, OverflowError) as failure:
            # The row is at fault; it must not look like a failure of the job that writes it.
            raise sqlite3.DataError(f"a value can't be kept: {failure}") from failure
