"""Runs the jobs of several callers in one commit, so that they share its cost.

A job is a function that runs in a transaction. The module `store` decides which jobs share a
commit.
"""

import sqlite3
from contextlib import suppress
from typing import Final

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import StoreUnavailable
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.transaction import BUDGET, CommitJob, SqlTransaction
from ringback.stores.sql.transaction import TABLES as FURTHER_TABLES
from ringback.stores.sqlite.callbacks import TABLES as CALLBACK_TABLES
from ringback.stores.sqlite.callbacks import SqliteCallbacks
from ringback.stores.sqlite.disk_space import DiskSpace, is_want_of_room
from ringback.stores.sqlite.durability_mark import CommitNumbering
from ringback.stores.sqlite.retention import SqliteRetention
from ringback.stores.sqlite.write_batch import SqliteWriteBatch

_OF_A_ROW: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""The errors caused by a row's values; other SQLite errors come from the file or machine."""
_BUSY_TIMEOUT: Final = 5000
"""How long to wait for another process's lock, in milliseconds: the default of Python's sqlite3."""
TABLES: Final = (*CALLBACK_TABLES, *FURTHER_TABLES)
"""The SQL statements that write queued rows, in the order that foreign keys require."""


class SqliteTransaction(SqlTransaction[SqliteWriteBatch]):
    """Implements `ports.Transaction` in SQLite."""

    def __init__(
        self,
        session: SqliteWriteBatch,
        cipher: SecretCipher,
        budget: ResponseStorageBudget = BUDGET,
    ) -> None:
        super().__init__(session, cipher, budget, SqliteCallbacks)
        self.retention = SqliteRetention(session, self._accounts, self._callbacks.unended)
        self.room = DiskSpace.beside(session)
        """Checks that the disk has space for the database to grow."""

    def begin(self) -> None:
        """At the beginning of a commit or a read, clear what the caches had for the last one."""
        (version,) = self._session.read("PRAGMA data_version").fetchone()
        self.begin_commit(version, is_of_all=True)

    def write_nothing(self) -> None:
        # Rewriting one page proves little on a full disk: the space already allocated for the log
        # may have room for many single pages, but not for a callback.
        if not self.room.is_there():
            raise StoreUnavailable(
                "the database can't be used just now: database or disk is full, there is no room"
                f" for {self.room.wanted}"
            )
        (version,) = self._session.read("PRAGMA user_version").fetchone()
        self._session.write(f"PRAGMA user_version = {version}")


class GroupCommitter:
    """Runs jobs on one connection; all jobs of a `commit` call share one commit."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        cipher: SecretCipher,
        watermark: CommitNumbering | None = None,
        *,
        budget: ResponseStorageBudget = BUDGET,
    ) -> None:
        self._connection = connection
        self._watermark = watermark
        self._wait_ms = _BUSY_TIMEOUT
        self._session = SqliteWriteBatch(connection, TABLES)
        self._transaction = SqliteTransaction(self._session, cipher, budget)

    def try_to_prepare(self, jobs: list[CommitJob]) -> bool:
        """Run the jobs and write their rows, but do not commit them yet; call `commit` next.

        Returns False, after undoing everything, if that fails, or if the database is locked.
        """
        try:
            self._prepare(jobs, wait_ms=0)
        except Exception:  # noqa: BLE001 (`commit` meets the error again, and reports it)
            self._roll_back()
            return False
        return True

    def commit(self, jobs: list[CommitJob], *, is_prepared: bool = False) -> None:
        """Run the jobs in one commit, and store in each job its result or failure.

        Afterwards, the changes of all jobs that succeeded are durable. With `is_prepared`,
        `try_to_prepare` has run the jobs.
        """
        try:
            if not is_prepared:
                self._prepare(jobs, wait_ms=_BUSY_TIMEOUT)
            self._commit()
        except Exception as failure:
            self._roll_back()
            if not isinstance(failure, sqlite3.Error):
                raise
            is_of_a_row = isinstance(failure, _OF_A_ROW)
            if len(jobs) > 1 and (is_of_a_row or is_want_of_room(failure)):
                # Rows of all jobs are written together, so it is unknown which job's row failed.
                # And on a full disk, jobs that only read must not fail because of jobs that write.
                # Retrying each job alone is cheap, since a full disk refuses at once.
                for job in jobs:
                    self.commit([job])
                return
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure}")
            for job in jobs:
                job.failure = failure if is_of_a_row else unavailable

    def has_room(self) -> bool:
        """Return True if the disk has room for the data of another request."""
        return self._transaction.room.is_there()

    def close(self) -> None:
        """Close the connection to the data file."""
        self._connection.close()

    def _prepare(self, jobs: list[CommitJob], *, wait_ms: int) -> None:
        """Run the jobs and write their rows; wait for the lock of another process if it has one."""
        if wait_ms != self._wait_ms:
            self._wait_ms = wait_ms
            self._connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
        self._connection.execute("BEGIN IMMEDIATE")
        self._transaction.begin()
        for job in jobs:
            self._transaction.run(job, sqlite3.Error)
        self._session.flush()

    def _commit(self) -> None:
        if self._watermark is None:
            self._connection.execute("COMMIT")
        else:
            self._watermark.before_commit()
            self._connection.execute("COMMIT")
            self._watermark.after_commit()

    def _roll_back(self) -> None:
        if self._watermark is not None:
            self._watermark.undone()
        # The transaction may have ended already; otherwise the next BEGIN reports what is wrong.
        with suppress(sqlite3.Error):
            self._session.forget()
        self._transaction.forget()
