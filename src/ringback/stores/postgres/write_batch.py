"""The batch of rows that a commit writes to PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

from ringback.stores.postgres.connections import Bigints, Connection, execute, in_postgres
from ringback.stores.sql.write_batch import BulkStatement, Row, SqlResult, WriteBatch, WriteRefusal

_INTEGERS: Final = ("bigint", "smallint", "integer")
ColumnTypes = Mapping[tuple[str, str], str]
"""The type of each column, by the names of table and column."""


def types_of_columns(connection: Connection) -> ColumnTypes:
    """Return the types of all columns of Ringback's tables."""
    rows = execute(
        connection,
        "SELECT relname, attname, format_type(atttypid, NULL)"
        " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = current_schema()::regnamespace AND NOT relispartition"
        " AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped",
    )
    return {(table, column): type_ for table, column, type_ in rows}


class PostgresWriteBatch(WriteBatch):
    """Implements `WriteBatch` on a connection to PostgreSQL.

    Savepoints are sent together with the next statement, so they cost no round trip.
    """

    def __init__(
        self, tables: Sequence[BulkStatement], types: ColumnTypes, new_seq: Callable[[], int]
    ) -> None:
        """Create a batch, which needs `use` and `begin` before it can be used."""
        super().__init__(tables)
        self._statements = {table: statement_of(table, types) for table in tables}
        self._types = {table: [types[name] for name in _names_in(table)] for table in tables}
        self._new_seq = new_seq
        self._connection: Connection | None = None
        self._delayed = list[str]()
        """Statements to send together with the next one."""
        self._is_alone = False

    def use(self, connection: Connection) -> None:
        """Use this connection from now on."""
        self._connection = connection

    def begin(self, *, is_alone: bool) -> None:
        """Begin a commit; if it has one job only, nothing but the whole commit has to be undone."""
        self._is_alone = is_alone

    @property
    def connection(self) -> Connection:
        """The connection in use."""
        if self._connection is None:
            raise RuntimeError("the batch has no connection yet")
        return self._connection

    def read(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        if not self._delayed:
            return execute(self.connection, statement, values)
        with self.connection.pipeline():
            self._send_delayed()
            return execute(self.connection, statement, values)

    def new_seq(self) -> int:
        return self._new_seq()

    def write_queued(self, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        self._save()
        self.flush()
        return self.read(statement, values)

    def send_with_next(self, statement: str) -> None:
        """Send a statement without values together with the next one, in one round trip."""
        self._delayed.append(statement)

    def flush(self) -> None:
        """Write all queued rows, in one round trip."""
        if any(self._rows.values()):
            with self.connection.pipeline():
                self._send_delayed()
                super().flush()

    def flush_and(self, last: str) -> None:
        """Write all queued rows and run a last statement, without a pooler in one round trip."""
        # A pipeline ends with a Flush, to which the server answers nothing. After the end of a
        # transaction, PgBouncer would give it a session, and nobody else that session until the
        # next transaction of this connection has ended.
        has_pooler = self.connection.prepare_threshold is None
        with self.connection.pipeline():
            self._send_delayed()
            super().flush()
            if not has_pooler:
                self.connection.execute(last.encode())
        if has_pooler:
            self.connection.execute(last.encode())

    def forget(self) -> None:
        self._delayed.clear()
        super().forget()

    def _send_delayed(self) -> None:
        for statement in self._delayed:
            self.connection.execute(statement.encode())
        self._delayed.clear()

    def _execute(self, statement: str) -> None:
        if not self._is_alone:
            self._delayed.append(statement)

    def _write(self, table: BulkStatement, rows: Sequence[Row]) -> None:
        self.connection.execute(self._statements[table], columns_of(rows, self._types[table]))

    def _roll_back(self) -> None:
        # Not by a statement: with this, psycopg also forgets what it has prepared. What it sent
        # after a statement that failed was skipped by the server, and so was not prepared there.
        self.connection.rollback()


class PostgresReadOnlyBatch(WriteRefusal, PostgresWriteBatch):
    """A batch that refuses to write."""


def columns_of(rows: Sequence[Row], types: Sequence[str]) -> list[Sequence[Any]]:
    """Return the values of rows column by column, ready to be sent as arrays of these types."""
    columns = zip(*rows, strict=True) if rows else repeat((), len(types))
    return [
        Bigints(column) if type_ in _INTEGERS else list(column)
        for column, type_ in zip(columns, types, strict=True)
    ]


def _names_in(table: BulkStatement) -> list[tuple[str, str]]:
    """Return the names of the columns of a statement, each with that of its table."""
    parts = (name.rpartition(".") for name in table.columns.split(", "))
    return [(of or table.table, name) for of, _, name in parts]


def statement_of(table: BulkStatement, types: ColumnTypes) -> bytes:
    """Return the statement that writes rows, whose parameters are an array for each column.

    A column of another table has the name of this table before its own.
    """
    names = _names_in(table)
    if table.is_deletion and len(names) == 1:
        # Unlike a join, this can only look the rows up.
        condition = f"{names[0][1]} = ANY ($1::{types[names[0]]}[])"
        return f"DELETE FROM {table.table} WHERE {condition}".encode()
    arrays = ", ".join(f"${place}::{types[name]}[]" for place, name in enumerate(names, 1))
    return in_postgres(f"{table.before} SELECT * FROM unnest({arrays}) {table.after}")
