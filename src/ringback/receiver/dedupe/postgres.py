"""Stores of received callbacks in a PostgreSQL table, for blocking and asynchronous drivers.

`PostgresDedupe` works with any DB-API driver. Both classes have the same code, `_PostgresRows`,
which awaits what the driver returns if it is awaitable.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

from ringback.receiver.dedupe import claims
from ringback.receiver.dedupe.claims import FinishedAtOnceDedupe, Work, comparable, finish, given_by
from ringback.receiver.dedupe.dedupe_store import Claimed, DedupeClaimRequest, DedupeUnavailable
from ringback.receiver.dedupe.sql_claims import (
    SCHEMA,
    DbCursor,
    DedupeClaimStatements,
    SqlDedupeClaimTable,
    instant,
)

T = TypeVar("T")

_NAME: Final = re.compile(r"([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*")
# READ COMMITTED: each statement also sees the changes that were committed while it awaited a lock.
_BEGIN: Final = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
_BE_PATIENT: Final = "SET LOCAL lock_timeout = '10s'"
_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class _PostgresRows:
    """The table, as an `AsyncDedupeStore` whose coroutines wait only if the driver is asynchronous.

    `connect` is a function that returns the connection as an asynchronous context manager.
    """

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[Any]], table: str) -> None:
        if not _NAME.fullmatch(table):
            raise ValueError(
                f"table {table!r}: the name must consist of lower-case letters, digits and"
                " underscores; a schema's name and a dot may come before it"
            )
        self._connect = connect
        self._name = table
        self._statements = DedupeClaimStatements.of(
            table, mark="%s", locked="FOR UPDATE", unless_locked="FOR UPDATE SKIP LOCKED"
        )
        self._is_made = False

    async def create_table(self) -> None:
        """Create the table and its indexes if they don't exist; the first use does this by itself.

        If the table exists, the database user doesn't need the right to create it.
        """
        await self._commit(self._create)

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; see `DedupeStore.claim`."""
        content = comparable(visit)
        names = [f"token {visit.source} {visit.token}"]
        names += [] if content is None else [f"content {content}"]
        return await self._at_once(lambda table, now: claims.claim(table, visit, now), names)

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew; see `DedupeStore.renew`."""
        return await self._at_once(lambda table, now: claims.renew(table, visit, now))

    async def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that the work is done; see `DedupeStore.done`."""
        return await self._at_once(lambda table, now: claims.done(table, visit, now))

    async def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
        await self._at_once(lambda table, now: claims.release(table, visit, now))

    async def _at_once(self, work: Work[T], names: Sequence[str] = ()) -> T:
        """Run `work` in a transaction; transactions that share a name run one after the other.

        Each name is that of a row which may not exist yet, such as the row of a token, and is
        locked by an advisory lock. Existing rows are locked when they are found. All transactions
        take locks in the same order, so they can't deadlock.
        """

        async def run(cursor: DbCursor) -> T:
            for lock in sorted(map(self._lock, names)):
                await given_by(cursor.execute(_LOCK, (lock,)))
            return await work(SqlDedupeClaimTable(cursor, self._statements), await _now(cursor))

        if not self._is_made:
            await self.create_table()
        return await self._commit(run)

    async def _create(self, cursor: DbCursor) -> None:
        # Without the lock, two processes may both create the table, and one fails.
        await given_by(cursor.execute(_LOCK, (self._lock("table"),)))
        await given_by(cursor.execute("SELECT to_regclass(%s)", (self._name,)))
        if (await given_by(cursor.fetchone()))[0] is None:
            names = {"table": self._name, "name": self._name.rpartition(".")[2]}
            for statement in SCHEMA:
                await given_by(cursor.execute(statement.format(**names), ()))

    async def _commit(self, work: Callable[[DbCursor], Coroutine[Any, Any, T]]) -> T:
        try:
            async with self._connect() as connection:
                result = await _in_transaction(connection, work)
        except Exception as failure:
            # Drivers' errors share no base class that can be named here.
            if not _is_of_driver(failure):
                raise
            # The text may quote the connection's URL with its password, so it is only in the cause.
            raise DedupeUnavailable(
                f"table {self._name} of PostgreSQL can't be used: {type(failure).__name__}; the"
                " exception's __cause__ has the driver's message"
            ) from failure
        self._is_made = True
        return result

    def _lock(self, name: str) -> int:
        text = f"ringback {self._name} {name}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)


class PostgresDedupe(FinishedAtOnceDedupe):
    """A `DedupeStore` in PostgreSQL, shared by all receivers that use the same table.

    `connect` is a function that returns a connection as a context manager: `pool.connection` of a
    `psycopg_pool.ConnectionPool`, or `lambda: psycopg.connect(dsn)`, which opens a new connection
    for each call. The driver must use `%s` as placeholder, and leaving the context must roll back
    uncommitted changes. Times come from the database's clock.

    Raises:
        TypeError: `connect` can't be called, for instance because it is a DSN.
        ValueError: The table's name is not in lower case, or would need quotes.
    """

    def __init__(
        self, connect: Callable[[], AbstractContextManager[Any]], *, table: str = "ringback_seen"
    ) -> None:
        if not callable(connect):
            raise TypeError(_no_function(self, connect, "psycopg.connect(dsn)"))
        self._rows = _PostgresRows(lambda: _entered_at_once(connect()), table)
        super().__init__(self._rows)

    def create_table(self) -> None:
        """Create the table and its indexes if they don't exist; the first use does this by itself.

        If the table exists, the database user doesn't need the right to create it.
        """
        finish(self._rows.create_table())


class AsyncPostgresDedupe(_PostgresRows):
    """An `AsyncDedupeStore` in PostgreSQL; it can share the table with a `PostgresDedupe`.

    `connect` is a function that returns a connection as an asynchronous context manager, or returns
    an awaitable that gives one: `pool.connection` of a `psycopg_pool.AsyncConnectionPool`, or
    `lambda: psycopg.AsyncConnection.connect(dsn)`, which opens a new connection for each call.

    Raises:
        TypeError: `connect` can't be called, for instance because it is a DSN.
        ValueError: The table's name is not in lower case, or would need quotes.
    """

    def __init__(
        self,
        connect: Callable[
            [], AbstractAsyncContextManager[Any] | Awaitable[AbstractAsyncContextManager[Any]]
        ],
        *,
        table: str = "ringback_seen",
    ) -> None:
        if not callable(connect):
            raise TypeError(_no_function(self, connect, "psycopg.AsyncConnection.connect(dsn)"))
        super().__init__(lambda: _entered(connect), table)


@asynccontextmanager
async def _entered_at_once(connecting: AbstractContextManager[Any]) -> AsyncGenerator[Any]:
    if not hasattr(connecting, "__enter__"):
        if isinstance(connecting, Coroutine):
            connecting.close()
        raise TypeError(
            "PostgresDedupe got an asynchronous connection; use AsyncPostgresDedupe for it"
        )
    with connecting as connection:
        yield connection


@asynccontextmanager
async def _entered(connect: Callable[[], Any]) -> AsyncGenerator[Any]:
    connecting = await given_by(connect())
    if not hasattr(connecting, "__aenter__"):
        raise TypeError(
            f"AsyncPostgresDedupe got a {type(connecting).__name__}, which would block the event"
            " loop; it needs an asynchronous connection, or use PostgresDedupe"
        )
    async with connecting as connection:
        yield connection


async def _in_transaction(connection: Any, work: Callable[[DbCursor], Coroutine[Any, Any, T]]) -> T:
    cursor = connection.cursor()
    # In autocommit mode, the driver begins and commits no transaction, so it is done here.
    commits_itself = getattr(connection, "autocommit", False)
    if commits_itself:
        await given_by(cursor.execute("BEGIN"))
    await given_by(cursor.execute(_BEGIN))
    await given_by(cursor.execute(_BE_PATIENT))
    result = await work(cursor)
    if commits_itself:
        await given_by(cursor.execute("COMMIT"))
    else:
        await given_by(connection.commit())
    return result


async def _now(cursor: DbCursor) -> datetime:
    await given_by(cursor.execute(_NOW, ()))
    return instant((await given_by(cursor.fetchone()))[0])


def _no_function(store: object, given: object, example: str) -> str:
    return (
        f"{type(store).__name__} got a {type(given).__name__}; it needs a function that connects,"
        f" such as `lambda: {example}` after: pip install 'psycopg[binary]'"
    )


def _is_of_driver(failure: Exception) -> bool:
    """Return True for an OSError, and for the errors of database drivers (PEP 249)."""
    return isinstance(failure, OSError) or any(
        kind.__name__ == "Error" for kind in type(failure).__mro__
    )
