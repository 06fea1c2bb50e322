"""Read-only connections to PostgreSQL."""

from collections.abc import Callable
from typing import Any, Final

from psycopg import errors

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.ports import Transaction
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres.connections import Dsn, execute_message, set_locally
from ringback.stores.postgres.group_commit import TABLES, PostgresTransaction
from ringback.stores.postgres.leases import WorkerIdentity
from ringback.stores.postgres.write_batch import ColumnTypes, PostgresReadOnlyBatch
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.read_pool import LONGEST, too_slow
from ringback.stores.sql.write_batch import writes

_BEGIN: Final = """
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT accounts, {settings} FROM changes
"""


class PostgresReader:
    """A read-only connection to the database, which runs one read at a time."""

    def __init__(
        self,
        dsn: Dsn,
        cipher: SecretCipher,
        own: WorkerIdentity,
        types: ColumnTypes,
        *,
        longest: float = LONGEST,
    ) -> None:
        """Connect to the database; raises psycopg.Error if that fails."""
        self._dsn = dsn
        self._longest = longest
        settings = set_locally(statement_timeout=f"{longest * 1000:.0f}")
        self._begin = _BEGIN.format(settings=settings).encode()
        self._session = session = PostgresReadOnlyBatch(TABLES, types, _no_seq)
        self._connect()
        ids = RowIds(0, milliseconds=_no_seq)
        self._transaction = PostgresTransaction(session, cipher, ResponseStorageBudget(), own, ids)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        """Run the work in a read transaction, and return its result; see `Reader.run`."""
        try:
            return self._run(work)
        except errors.FeatureNotSupported:
            # An upgrade has changed a table since its statements were prepared.
            self._connection.close()
            self._connect()
            return self._run(work)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self) -> None:
        self._connection = self._dsn.connect()
        self._session.use(self._connection)

    def _run(self, work: Callable[[Transaction], Any]) -> Any:
        try:
            accounts, *_ = execute_message(self._connection, self._begin)
            self._transaction.begin_commit(int(accounts))
            result = work(self._transaction)
            if self._transaction.endings:
                raise writes()
            return result
        except errors.QueryCanceled:
            raise too_slow(self._longest) from None
        finally:
            self._transaction.endings.clear()
            if not self._connection.closed:
                self._connection.execute(b"ROLLBACK")


def _no_seq() -> int:
    raise writes()
