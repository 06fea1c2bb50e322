"""A store of received callbacks in a PostgreSQL table; works with any DB-API driver."""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, TypeVar

from ringback.receiver.dedupe import claims
from ringback.receiver.dedupe.claims import ClaimTableDedupe, Work, comparable
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


class PostgresDedupe(ClaimTableDedupe):
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
            raise TypeError(
                f"PostgresDedupe got a {type(connect).__name__}; it needs a function that connects,"
                " such as `lambda: psycopg.connect(dsn)` after: pip install 'psycopg[binary]'"
            )
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

    def create_table(self) -> None:
        """Create the table and its indexes if they don't exist; the first use does this by itself.

        If the table exists, the database user doesn't need the right to create it.
        """
        self._commit(self._create)

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; see `DedupeStore.claim`."""
        content = comparable(visit)
        names = [f"token {visit.source} {visit.token}"]
        names += [] if content is None else [f"content {content}"]
        return self._at_once(lambda table, now: claims.claim(table, visit, now), names)

    def _at_once(self, work: Work[T], names: Sequence[str] = ()) -> T:
        """Run `work` in a transaction; transactions that share a name run one after the other.

        Each name is that of a row which may not exist yet, such as the row of a token, and is
        locked by an advisory lock. Existing rows are locked when they are found. All transactions
        take locks in the same order, so they can't deadlock.
        """

        def run(cursor: DbCursor) -> T:
            for lock in sorted(map(self._lock, names)):
                cursor.execute(_LOCK, (lock,))
            return work(SqlDedupeClaimTable(cursor, self._statements), _now(cursor))

        if not self._is_made:
            self.create_table()
        return self._commit(run)

    def _create(self, cursor: DbCursor) -> None:
        # Without the lock, two processes may both create the table, and one fails.
        cursor.execute(_LOCK, (self._lock("table"),))
        cursor.execute("SELECT to_regclass(%s)", (self._name,))
        if cursor.fetchone()[0] is None:
            names = {"table": self._name, "name": self._name.rpartition(".")[2]}
            for statement in SCHEMA:
                cursor.execute(statement.format(**names), ())

    def _commit(self, work: Callable[[DbCursor], T]) -> T:
        try:
            with self._connect() as connection:
                result = _in_transaction(connection, work)
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


def _in_transaction(connection: Any, work: Callable[[DbCursor], T]) -> T:
    cursor = connection.cursor()
    # In autocommit mode, the driver begins and commits no transaction, so it is done here.
    commits_itself = getattr(connection, "autocommit", False)
    if commits_itself:
        cursor.execute("BEGIN")
    cursor.execute(_BEGIN)
    cursor.execute(_BE_PATIENT)
    result = work(cursor)
    if commits_itself:
        cursor.execute("COMMIT")
    else:
        connection.commit()
    return result


def _now(cursor: DbCursor) -> datetime:
    cursor.execute(_NOW, ())
    return instant(cursor.fetchone()[0])


def _is_of_driver(failure: Exception) -> bool:
    """Return True for an OSError, and for the errors of database drivers (PEP 249)."""
    return isinstance(failure, OSError) or any(
        kind.__name__ == "Error" for kind in type(failure).__mro__
    )
