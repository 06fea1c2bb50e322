"""The SQL statements that the stores in SQLite and PostgreSQL share.

Times are stored as whole microseconds since 1970, in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, Self

from ringback.core.policy.source_policy import SourceName, source_named
from ringback.receiver.dedupe.claims import DedupeClaimRow, given_by, other

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL: Final = "source, token, other_token, content, owner, lease_ends, first_claimed, forget_at"

# Each index begins with a column in which few rows share a value. If an index began with the
# source, PostgreSQL could choose it for a source without rows at its last ANALYZE, although the
# source may have many rows by now.
SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS {table} (
    source TEXT NOT NULL,
    token TEXT NOT NULL,
    other_token TEXT,
    content TEXT,
    owner TEXT NOT NULL,
    lease_ends BIGINT,
    first_claimed BIGINT NOT NULL,
    forget_at BIGINT NOT NULL,
    PRIMARY KEY (token, source),
    UNIQUE (other_token, source)
)
""",
    "CREATE INDEX IF NOT EXISTS {name}_forget_at ON {table} (forget_at)",
    """
    CREATE INDEX IF NOT EXISTS {name}_unpaired ON {table} (content, source, first_claimed)
    WHERE content IS NOT NULL AND other_token IS NULL
    """,
)


@dataclass(frozen=True, slots=True)
class DedupeClaimStatements:
    """The SQL statements on the table of received callbacks, in the dialect of one database."""

    find: str
    find_unpaired: str
    put: str
    drop: str
    find_forgotten: str

    @classmethod
    def of(cls, table: str, *, mark: str, locked: str = "", unless_locked: str = "") -> Self:
        """Return the statements for a table; `mark` is the driver's placeholder, such as `?`.

        `locked` is the SQL clause that locks the rows found, and waits if others have locked them.
        `unless_locked` is the clause that skips such rows instead.
        """
        values = ", ".join([mark] * 8)
        return cls(
            find=f"""
                SELECT {_ALL} FROM {table}
                WHERE (source = {mark} AND token = {mark})
                    OR (source = {mark} AND other_token = {mark}) {locked}
            """,
            find_unpaired=f"""
                SELECT {_ALL} FROM {table}
                WHERE source = {mark} AND content = {mark} AND other_token IS NULL
                    AND first_claimed >= {mark} AND forget_at > {mark}
                ORDER BY first_claimed, token LIMIT 1 {locked}
            """,
            put=f"""
                INSERT INTO {table} ({_ALL}) VALUES ({values})
                ON CONFLICT (source, token) DO UPDATE SET
                    other_token = excluded.other_token, owner = excluded.owner,
                    lease_ends = excluded.lease_ends, forget_at = excluded.forget_at
            """,
            drop=f"DELETE FROM {table} WHERE source = {mark} AND token = {mark}",
            find_forgotten=f"""
                SELECT {_ALL} FROM {table} WHERE forget_at <= {mark}
                ORDER BY forget_at LIMIT {mark} {unless_locked}
            """,
        )


class DbCursor(Protocol):
    """The methods of a DB-API cursor that `SqlDedupeClaimTable` calls.

    The results of an asynchronous driver's cursor are awaitable.
    """

    def execute(self, operation: str, parameters: Sequence[Any], /) -> object:
        """Run one SQL statement with these parameters."""
        ...

    def fetchone(self) -> Any:
        """Return the next row of the result, or None if there are no more."""
        ...

    def fetchall(self) -> Any:
        """Return all remaining rows of the result."""
        ...


class SqlDedupeClaimTable:
    """A `DedupeClaimTable` in an SQL database, within the transaction of the given cursor."""

    def __init__(self, cursor: DbCursor, statements: DedupeClaimStatements) -> None:
        self._cursor = cursor
        self._statements = statements

    async def find(self, source: SourceName, token: str) -> DedupeClaimRow | None:
        """Return the row with this token, received first or second; see `DedupeClaimTable.find`."""
        return await self._one(
            self._statements.find, (str(source), token, str(other(source)), token)
        )

    async def find_unpaired(
        self, source: SourceName, content: str, *, since: datetime, now: datetime
    ) -> DedupeClaimRow | None:
        """Return the oldest row with only one token; see `DedupeClaimTable.find_unpaired`."""
        given = (str(source), content, _number(since), _number(now))
        return await self._one(self._statements.find_unpaired, given)

    async def put(self, row: DedupeClaimRow) -> None:
        """Insert or update a row; see `DedupeClaimTable.put`."""
        await self._execute(self._statements.put, _values(row))

    async def drop(self, row: DedupeClaimRow) -> None:
        """Delete a row; see `DedupeClaimTable.drop`."""
        await self._execute(self._statements.drop, (str(row.source), row.token))

    async def drop_forgotten(self, now: datetime, *, limit: int) -> None:
        """Delete expired rows; see `DedupeClaimTable.drop_forgotten`."""
        await self._execute(self._statements.find_forgotten, (_number(now), limit))
        for found in await given_by(self._cursor.fetchall()):
            await self.drop(_row(found))

    async def _one(self, statement: str, given: tuple[str | int, ...]) -> DedupeClaimRow | None:
        await self._execute(statement, given)
        found = await given_by(self._cursor.fetchone())
        return None if found is None else _row(found)

    async def _execute(self, statement: str, given: tuple[str | int | None, ...]) -> None:
        await given_by(self._cursor.execute(statement, given))


def instant(number: int) -> datetime:
    """Return the time that is this number of microseconds after 1970 began, in UTC.

    >>> instant(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=number)


def _number(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _values(row: DedupeClaimRow) -> tuple[str | int | None, ...]:
    return (
        str(row.source),
        row.token,
        row.other_token,
        row.content,
        row.owner,
        None if row.lease_ends is None else _number(row.lease_ends),
        _number(row.first_claimed),
        _number(row.forget_at),
    )


def _row(found: Sequence[Any]) -> DedupeClaimRow:
    source, token, other_token, content, owner, lease_ends, first_claimed, forget_at = found
    return DedupeClaimRow(
        source=source_named(source),
        token=token,
        other_token=other_token,
        content=content,
        owner=owner,
        lease_ends=None if lease_ends is None else instant(lease_ends),
        first_claimed=instant(first_claimed),
        forget_at=instant(forget_at),
    )
