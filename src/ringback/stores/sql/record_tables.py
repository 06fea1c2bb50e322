"""Tables of records: each row is a record, with one or more columns for each field."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from ringback.ports import FieldFilter, N, PageWindow, R, RecordPage
from ringback.stores.sql.field_columns import FieldColumns, fields_of
from ringback.stores.sql.pagination import Condition, SqlListQuery, read_page, whose
from ringback.stores.sql.write_batch import SqlRow, SqlValue, WriteBatch

T = TypeVar("T")

_PLACES_KEPT: Final = 100_000


class RowMapping(Generic[T]):
    """Converts records of one kind to rows of their table and back; builds the SQL statements."""

    def __init__(
        self,
        table: str,
        make: Callable[..., T],
        *indexes: str,
        key: str = "sid",
        order: str = "seq",
    ) -> None:
        """Map the fields of the record class `make` to columns of `table`.

        Each of `indexes` lists the columns of one index, separated by spaces, without `seq` at its
        end. The index that finds the fewest rows comes first. `key` is the column that identifies a
        row. `order` is the column by which rows are sorted, oldest first; if it is none of the
        record's, each new row gets a number in it.
        """
        self.table, self.key, self.order = table, key, order
        self._indexes = tuple(index.split() for index in (*indexes, "account_sid"))
        self._make = make
        self._fields = fields = fields_of(make)
        self._by_name = {field.name: field for field in fields}
        columns = [column for field in fields for column in field.columns]
        self.is_numbered = order not in columns
        added = [order, *columns] if self.is_numbered else columns
        places = ", ".join("?" * len(added))
        self.insert = f"INSERT INTO {table} ({', '.join(added)}) VALUES ({places})"
        # A SID never changes; to set it makes a database look for rows that refer to it.
        changing = ", ".join(f"{column} = ?" for column in columns if column != "sid")
        self.update = f"UPDATE {table} SET {changing} WHERE sid = ?"

    def read(self, row: SqlRow) -> T:
        """Return the record in a row."""
        return self._make(**{field.name: field.read(row) for field in self._fields})

    def values(self, record: T, seq: int | None) -> list[SqlValue]:
        """Return the values for `insert`; `seq` says how old the row is."""
        values = self._values(record, self._fields)
        return [seq, *values] if self.is_numbered else values

    def changed_values(self, record: T, sid: str) -> list[SqlValue]:
        """Return the values for `update`: all columns except the SID, then the SID."""
        return [*self._values(record, [one for one in self._fields if one.name != "sid"]), sid]

    def _values(self, record: T, fields: Iterable[FieldColumns]) -> list[SqlValue]:
        written = (field.write(getattr(record, field.name)) for field in fields)
        return [value for values in written for value in values]

    def conditions(self, which: FieldFilter) -> list[Condition]:
        """Return the SQL conditions for these field values; None matches any value."""
        return [self._condition(name, value) for name, value in which.items()]

    def listing(
        self, account_sid: str, which: FieldFilter, further: Sequence[Condition] = ()
    ) -> SqlListQuery:
        """Return the query for an account's records that match the filter and conditions."""
        given = [whose(account_sid), *self.conditions(which)]
        left = {text.split()[0]: (text, value) for text, value in given if value is not None}
        best = next((columns for columns in self._indexes if left.keys() >= set(columns)), ())
        found = [left.pop(column) for column in best]
        return SqlListQuery(self.table, found, [*left.values(), *further])

    def _condition(self, name: str, value: object) -> Condition:
        field = self._by_name[name]
        return f"{field.columns[0]} = ?", None if value is None else field.write(value)[0]


class SqlTable(Generic[T]):
    """Implements `ports.RecordTable`, the methods of every table of records."""

    def __init__(self, session: WriteBatch, mapping: RowMapping[T]) -> None:
        self._session = session
        self._mapping = mapping

    def add(self, record: T) -> None:
        values = self._mapping.values(record, self._session.new_seq())
        self._session.write(self._mapping.insert, values)

    def get(self, sid: str) -> T | None:
        return self.first({self._mapping.key: sid})

    def remove(self, sid: str) -> None:
        self._session.write(
            f"DELETE FROM {self._mapping.table} WHERE {self._mapping.key} = ?", [sid]
        )

    def first(self, which: FieldFilter) -> T | None:
        mapping = self._mapping
        given = [pair for pair in mapping.conditions(which) if pair[1] is not None]
        clauses = " AND ".join(text for text, _ in given) or "true"
        row = self._session.read(
            f"SELECT * FROM {mapping.table} WHERE {clauses} ORDER BY {mapping.order} LIMIT 1",
            [value for _, value in given],
        ).fetchone()
        return row and mapping.read(row)

    def _listed(
        self,
        account_sid: str,
        which: FieldFilter,
        window: PageWindow,
        further: Sequence[Condition] = (),
    ) -> RecordPage[T]:
        listing = self._mapping.listing(account_sid, which, further)
        rows, stopped_at = read_page(
            self._session.read, listing, account_sid=account_sid, window=window
        )
        return RecordPage(map(self._mapping.read, rows), stopped_at)


class SqlRecords(SqlTable[R]):
    """Implements `ports.Records`."""

    def save(self, record: R) -> None:
        self._session.write(self._mapping.update, self._mapping.changed_values(record, record.sid))

    def remove(self, sid: str) -> None:
        # The record's place is kept for pages that begin at it, until 100,000 others are removed.
        self._session.write(
            "INSERT INTO removed (table_name, sid, account_sid, seq)"
            f" SELECT ?, sid, account_sid, seq FROM {self._mapping.table} WHERE sid = ?"
            # A job of the operator belongs to no account.
            " AND account_sid IN (SELECT sid FROM accounts)"
            " ON CONFLICT (table_name, sid) DO UPDATE SET seq = excluded.seq",
            (self._mapping.table, sid),
        )
        self._session.write(
            "DELETE FROM removed WHERE number <= (SELECT max(number) FROM removed) - ?",
            [_PLACES_KEPT],
        )
        super().remove(sid)

    def page(self, account_sid: str, which: FieldFilter, window: PageWindow) -> RecordPage[R]:
        return self._listed(account_sid, which, window)


class SqlNamedRecords(SqlRecords[N]):
    """Implements `ports.NamedRecords`."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        # A SID takes precedence over a unique name that happens to look like a SID.
        by_sid = {"account_sid": account_sid, "sid": sid_or_name}
        by_name = {"account_sid": account_sid, "unique_name": sid_or_name}
        return self.first(by_sid) or self.first(by_name)
