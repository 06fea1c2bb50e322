"""What was seen, in a table of PostgreSQL; by whatever DB-API driver the caller has."""

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
# Each statement sees what was committed before it, so also what a lock was waited for.
_BEGIN: Final = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
_BE_PATIENT: Final = "SET LOCAL lock_timeout = '10s'"
_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class PostgresDedupe(ClaimTableDedupe):
    """Answers `DedupeStore` for all who use the same table; its time is the database's.

    `connect` gives one connection each time, as a context manager: `pool.connection` of a
    `psycopg_pool.ConnectionPool`, or `lambda: psycopg.connect(dsn)`, which pays for a new
    connection at each call. The driver is to mark values with `%s`, and the end of the context is
    to roll back what was not committed. Each call is one short transaction.

    Raises:
        TypeError: `connect` can't be called: a DSN, for instance.
        ValueError: The table's name is not one in lower case that needs no quotes.
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
                f"table {table!r}: a name is lower-case letters, digits and underscores,"
                " perhaps with that of a schema and a dot before it"
            )
        self._connect = connect
        self._name = table
        self._statements = DedupeClaimStatements.of(
            table, mark="%s", locked="FOR UPDATE", unless_locked="FOR UPDATE SKIP LOCKED"
        )
        self._is_made = False

    def create_table(self) -> None:
        """Make the table and its indexes, unless it is there; the first use does so by itself.

        Where it is there, nobody needs the right to make it.
        """
        self._commit(self._create)

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Answer `DedupeStore.claim`."""
        content = comparable(visit)
        names = [f"token {visit.source} {visit.token}"]
        names += [] if content is None else [f"content {content}"]
        return self._at_once(lambda table, now: claims.claim(table, visit, now), names)

    def _at_once(self, work: Work[T], names: Sequence[str] = ()) -> T:
        """Do work while nobody else can insert a row for these names.

        Rows that are there are locked when they are found; an advisory lock stands for one that is
        not. All that lock several names do so in one order, and what is found is locked after
        them, so no two can wait for each other.
        """

        def run(cursor: DbCursor) -> T:
            for lock in sorted(map(self._lock, names)):
                cursor.execute(_LOCK, (lock,))
            return work(SqlDedupeClaimTable(cursor, self._statements), _now(cursor))

        if not self._is_made:
            self.create_table()
        return self._commit(run)

    def _create(self, cursor: DbCursor) -> None:
        # Two that create a table at once may both find that there is none, and one then fails.
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
            # Drivers' errors have no base that has a name here.
            if not _is_of_driver(failure):
                raise
            # The text may quote a connection's URL, password and all; it is in the cause.
            raise DedupeUnavailable(
                f"table {self._name} of PostgreSQL can't be asked: {type(failure).__name__}"
            ) from failure
        self._is_made = True
        return result

    def _lock(self, name: str) -> int:
        text = f"ringback {self._name} {name}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)


def _in_transaction(connection: Any, work: Callable[[DbCursor], T]) -> T:
    cursor = connection.cursor()
    # A connection that commits each statement by itself leaves it to us to begin and to end.
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
    """Whether it is what PEP 249 names `Error`, in whatever module, or one of the network's."""
    return isinstance(failure, OSError) or any(
        kind.__name__ == "Error" for kind in type(failure).__mro__
    )
