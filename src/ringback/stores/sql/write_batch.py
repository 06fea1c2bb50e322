"""Queues the rows that one commit writes, and writes many rows with one SQL statement.

Each statement has a cost: the thread releases the interpreter lock, and waits to get it back. So
rows of callbacks and attempts are queued until a query needs them or the commit begins.

A commit runs the jobs of several callers. If a job fails, only its own rows are dropped.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol, Self
from uuid import UUID

SqlValue = str | int | float | bytes | UUID | None
Row = tuple[SqlValue, ...]


class SqlRow(Protocol):
    """A row that a query returns: its values by the names and by the places of its columns."""

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class SqlResult(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """The number of rows that the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, an `SqlRow`; None after the last one."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all remaining rows."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class BulkStatement:
    """An SQL statement that writes many rows of a table at once.

    It consists of the SQL before and after the rows. `columns` are the columns of each row,
    separated by commas.
    """

    def __init__(
        self, table: str, before: str, columns: str, after: str = "", *, is_deletion: bool = False
    ) -> None:
        self.table = table
        self.is_deletion = is_deletion
        """True if all it does is to delete the rows that have these values in these columns."""
        self.before = before
        self.columns = columns
        self.after = after

    @classmethod
    def insert(cls, table: str, columns: str) -> Self:
        """Return a statement that inserts rows with these columns."""
        return cls(table, f"INSERT INTO {table} ({columns})", columns)

    @classmethod
    def update(cls, table: str, columns: str) -> Self:
        """Return a statement that updates these columns; each row of values begins with the SID."""
        changed = ", ".join(f"{column} = new.{column}" for column in columns.split(", "))
        return cls(
            table,
            f"WITH new (sid, {columns}) AS (",
            f"sid, {columns}",
            f") UPDATE {table} SET {changed} FROM new WHERE {table}.sid = new.sid",
        )

    @classmethod
    def delete(cls, table: str, column: str) -> Self:
        """Return a statement that deletes the rows that have the given values in this column."""
        before = f"DELETE FROM {table} WHERE ({column}) IN ("
        return cls(table, before, column, ")", is_deletion=True)


class WriteBatch(ABC):
    """Queues the rows that the jobs of a commit write, and runs all SQL of the commit.

    Most jobs only queue rows, so undoing a job just drops its queued rows. A job gets a savepoint
    when it first writes to the database. Statements have a `?` for each value.
    """

    def __init__(self, tables: Sequence[BulkStatement]) -> None:
        """Create a batch; queued rows are written in the order of `tables`."""
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
            self._execute("RELEASE SAVEPOINT job")

    def undo_job(self) -> None:
        """Undo the changes of the current job."""
        self._take_own()
        if self._is_saved:
            self._execute("ROLLBACK TO SAVEPOINT job")
            self._execute("RELEASE SAVEPOINT job")

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

    @abstractmethod
    def read(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        """Run a query without writing queued rows first; for tables whose rows are never queued."""

    def read_secrets(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query like `read`, whose encrypted secrets may be damaged."""
        return self.read(statement, values).fetchall()

    def read_queued(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        """Write all queued rows, then run a query, which sees these rows."""
        if any(self._rows.values()):
            self._save()
            self.flush()
        return self.read(statement, values)

    def read_at_once(self, columns: str, origin: str, values: Sequence[Any]) -> list[Any]:
        """Return these columns of all rows from an origin (`FROM …`): texts, whole numbers, NULL.

        While the event loop is busy, the thread that reads waits for its turn once, and not at each
        row as SQLite would let it.
        """
        return list(self.read_queued(f"SELECT {columns} {origin}", values).fetchall())

    def write(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        """Run a writing statement at once instead of queueing it."""
        self._save()
        return self.read(statement, values)

    def write_queued(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        """Write all queued rows, then run a writing statement at once, which sees these rows."""
        self._save()
        self.flush()
        return self.read(statement, values)

    @abstractmethod
    def new_seq(self) -> int | None:
        """Return the `seq` of a new row, which says how old it is; None if the database makes it.

        It is also used for tables that are sorted by `rowid`.
        """

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
        self._roll_back()

    def _save(self) -> None:
        """Write the rows of earlier jobs, then set a savepoint for undoing the current job."""
        if self._is_saved:
            return
        own = self._take_own()
        self.flush()
        self._execute("SAVEPOINT job")
        self._is_saved = True
        for table, row in reversed(own):
            self.queue(table, row)

    def _take_own(self) -> list[tuple[BulkStatement, Row]]:
        """Remove the rows that the current job has queued; return them, the last one first."""
        own = [(table, self._rows[table].pop()) for table in reversed(self._of_job)]
        self._of_job.clear()
        return own

    @abstractmethod
    def _execute(self, statement: str) -> None:
        """Run a statement without values."""

    @abstractmethod
    def _write(self, table: BulkStatement, rows: Sequence[Row]) -> None:
        """Write rows of a table, all with one kind of statement."""

    @abstractmethod
    def _roll_back(self) -> None:
        """Roll the transaction back, if one is open."""


def writes() -> RuntimeError:
    """Return the error of work that writes although it must only read."""
    return RuntimeError("this work must only read, but it writes; use Store.transact for that")


class WriteRefusal:
    """Makes a WriteBatch refuse to write; it comes before the batch in the list of bases."""

    def queue(self, *_: Any, **__: Any) -> NoReturn:
        """Raise RuntimeError: a read must not queue rows."""
        raise writes()

    def write(self, *_: Any, **__: Any) -> NoReturn:
        """Raise RuntimeError: a read must not write."""
        raise writes()
