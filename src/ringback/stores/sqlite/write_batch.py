"""Queues the rows that one commit writes, and writes many rows with one SQL statement.

Each statement has a cost: the thread releases the interpreter lock, and waits to get it back. So
rows of callbacks and attempts are queued until a query needs them or the commit begins.

A commit runs the jobs of several callers. If a job fails, only its own rows are dropped.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Self

SqlValue = str | int | float | bytes | None
Row = tuple[SqlValue, ...]

# Only a few sizes, so that their statements stay prepared.
_CHUNKS: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)


class BulkStatement:
    """An SQL statement that writes many rows of a table at once.

    `columns` are the columns of each row, separated by commas.
    """

    def __init__(self, before: str, columns: str, after: str = "") -> None:
        """Build the statement from the SQL before and after its `VALUES (?, …), (?, …)`."""
        row = f"({', '.join('?' for _ in columns.split(', '))})"
        self.statements = {
            size: f"{before} VALUES {', '.join([row] * size)} {after}" for size in _CHUNKS
        }

    @classmethod
    def insert(cls, table: str, columns: str) -> Self:
        """Return a statement that inserts rows with these columns."""
        return cls(f"INSERT INTO {table} ({columns})", columns)

    @classmethod
    def update(cls, table: str, columns: str) -> Self:
        """Return a statement that updates these columns; each row of values begins with the SID."""
        changed = ", ".join(f"{column} = new.{column}" for column in columns.split(", "))
        return cls(
            f"WITH new (sid, {columns}) AS (",
            f"sid, {columns}",
            f") UPDATE {table} SET {changed} FROM new WHERE {table}.sid = new.sid",
        )

    @classmethod
    def delete(cls, table: str, column: str) -> Self:
        """Return a statement that deletes the rows that have the given values in this column."""
        return cls(f"DELETE FROM {table} WHERE ({column}) IN (", column, ")")


class WriteBatch:
    """Queues the rows that the jobs of a commit write, and runs all SQL of the commit.

    Most jobs only queue rows, so undoing a job just drops its queued rows. A job gets a savepoint
    when it first writes to the database.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Sequence[BulkStatement]) -> None:
        """Create a batch on this connection; queued rows are written in the order of `tables`."""
        self._connection = connection
        self._rows: dict[BulkStatement, list[Row]] = {table: [] for table in tables}
        self._of_job = list[BulkStatement]()
        """The statements of the rows that the current job has queued, in order."""
        self._touched = set[str]()
        self._is_saved = False

    def begin_job(self) -> None:
        """Begin a job, which can be undone without undoing other jobs of the commit."""
        self._of_job.clear()
        self._is_saved = False

    def end_job(self) -> None:
        """End the job and keep its changes for the coming commit."""
        if self._is_saved:
            self._connection.execute("RELEASE job")

    def undo_job(self) -> None:
        """Undo the changes of the current job."""
        self._take_own()
        if self._is_saved:
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")

    def touch(self, key: str) -> None:
        """Write the queued change of a record, if there is one; call before queueing another.

        `key` identifies the record. Rows are written table by table, not in the order in which they
        were queued. So the queue must not contain two changes of one record.
        """
        if key in self._touched:
            self._save()
            self.flush()
        self._touched.add(key)

    def queue(self, table: BulkStatement, row: Row) -> None:
        """Queue a row, to be written later with other rows of its table."""
        self._rows[table].append(row)
        self._of_job.append(table)

    def read(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a query without writing queued rows first; for tables whose rows are never queued."""
        return self._connection.execute(statement, values)

    def read_queued(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Write all queued rows, then run a query, which sees these rows."""
        if any(self._rows.values()):
            self._save()
            self.flush()
        return self._connection.execute(statement, values)

    def write(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a writing statement at once instead of queueing it."""
        self._save()
        return self._connection.execute(statement, values)

    def flush(self) -> None:
        """Write all queued rows to the database."""
        for table, rows in self._rows.items():
            if rows:
                self._write(table, rows)
                rows.clear()
        self._of_job.clear()
        self._touched.clear()

    def forget(self) -> None:
        """Drop all queued rows, and roll back the transaction."""
        for rows in self._rows.values():
            rows.clear()
        self._of_job.clear()
        self._touched.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _save(self) -> None:
        """Write the rows of earlier jobs, then set a savepoint for undoing the current job."""
        if self._is_saved:
            return
        own = self._take_own()
        self.flush()
        self._connection.execute("SAVEPOINT job")
        self._is_saved = True
        for table, row in reversed(own):
            self.queue(table, row)

    def _take_own(self) -> list[tuple[BulkStatement, Row]]:
        """Remove the rows that the current job has queued; return them, the last one first."""
        own = [(table, self._rows[table].pop()) for table in reversed(self._of_job)]
        self._of_job.clear()
        return own

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
            # The row is at fault, not the job that happens to write it: so raise a database error.
            raise sqlite3.DataError(f"a value can't be stored: {failure}") from failure
