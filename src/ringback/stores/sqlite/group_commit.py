"""Runs the jobs of several callers in one commit, so that they share its cost.

A job is a function that runs in a transaction. The module `store` decides which jobs share a
commit.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import StoreUnavailable
from ringback.ports import CommitHooks, SuperSimTables, Transaction, WirelessTables, nothing
from ringback.stores.encryption import SecretCipher
from ringback.stores.sqlite.accounts import SqliteAccounts, SqliteApiClients
from ringback.stores.sqlite.batches import TABLES as BATCH_TABLES
from ringback.stores.sqlite.batches import SqliteIncomingBatches
from ringback.stores.sqlite.callbacks import TABLES as CALLBACK_TABLES
from ringback.stores.sqlite.callbacks import SqliteCallbacks
from ringback.stores.sqlite.disk_space import DiskSpace, is_want_of_room
from ringback.stores.sqlite.durability_mark import CommitNumbering
from ringback.stores.sqlite.policy_versions import SqlitePolicyVersions
from ringback.stores.sqlite.response_overflow import TABLES as RESPONSE_TABLES
from ringback.stores.sqlite.response_overflow import SqliteResponseOverflows
from ringback.stores.sqlite.shadows import TABLES as SHADOW_TABLES
from ringback.stores.sqlite.shadows import SqliteShadowCallbacks
from ringback.stores.sqlite.tasks_and_scenarios import SqliteScenarioChoices, SqliteTasks
from ringback.stores.sqlite.write_batch import WriteBatch

_OF_A_ROW: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""The errors caused by a row's values; other SQLite errors come from the file or machine."""
_BUDGET: Final = ResponseStorageBudget()
_BUSY_TIMEOUT: Final = 5000
"""How long to wait for another process's lock, in milliseconds: the default of Python's sqlite3."""
TABLES: Final = (*CALLBACK_TABLES, *SHADOW_TABLES, *RESPONSE_TABLES, *BATCH_TABLES)
"""The SQL statements that write queued rows, in the order that foreign keys require."""


class CommitJob:
    """A caller's function to run in a transaction, and its result or failure."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.failure: Exception | None = None
        self.endings: list[CommitHooks] = []
        self._undone: list[CommitHooks] = []

    def begin(self) -> list[CommitHooks]:
        """Begin the job, or begin it again after its commit was rolled back.

        Returns a new list, to which `on_commit` adds the functions to call after the commit.
        """
        self._undone += self.endings
        self.failure = None
        self.endings = []
        return self.endings

    def end(self) -> None:
        """After the commit, call the `on_commit` functions for its success or its failure."""
        for ending in self._undone:
            ending.undone()
        for ending in self.endings:
            (ending.durable if self.failure is None else ending.undone)()


class SqliteTransaction(Transaction):
    """Implements `ports.Transaction` in SQLite."""

    def __init__(
        self, session: WriteBatch, cipher: SecretCipher, budget: ResponseStorageBudget = _BUDGET
    ) -> None:
        self.accounts = self._accounts = SqliteAccounts(session, cipher)
        self.api_clients = SqliteApiClients(session, cipher)
        self.scenarios = SqliteScenarioChoices(session)
        self.policies = SqlitePolicyVersions(session)
        self.tasks = SqliteTasks(session)
        self.kept_responses = responses = SqliteResponseOverflows(session, budget)
        self.callbacks = self._callbacks = SqliteCallbacks(session, self._accounts, responses)
        self.shadows = SqliteShadowCallbacks(session, responses)
        self.batches = SqliteIncomingBatches(session)
        self.endings: list[CommitHooks] = []
        self.room = DiskSpace.beside(session)
        """Checks that the disk has space for the database to grow."""
        self._session = session

    # Imported late: a server that sends callbacks only does not need the tables of the products.
    # The type checker does not know that a cached property can take the place of a variable.
    @cached_property
    def supersim(self) -> SuperSimTables:  # pyright: ignore[reportIncompatibleVariableOverride]
        from ringback.stores.sqlite.supersim import supersim_tables  # noqa: PLC0415 (see above)

        return supersim_tables(self._session)

    @cached_property
    def wireless(self) -> WirelessTables:  # pyright: ignore[reportIncompatibleVariableOverride]
        from ringback.stores.sqlite.wireless import wireless_tables  # noqa: PLC0415 (see above)

        return wireless_tables(self._session)

    def begin_commit(self) -> None:
        """At the beginning of a commit, clear what was cached for the previous commit only."""
        self._accounts.begin_commit()
        self._callbacks.begin_commit()

    def forget(self) -> None:
        """Clear all caches, because a job was undone that may have changed cached rows."""
        self._accounts.forget()
        self._callbacks.forget()

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

    def on_commit(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        self.endings.append(CommitHooks(durable, undone))


class GroupCommitter:
    """Runs jobs on one connection; all jobs of a `commit` call share one commit."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        cipher: SecretCipher,
        watermark: CommitNumbering | None = None,
        *,
        budget: ResponseStorageBudget = _BUDGET,
    ) -> None:
        self._connection = connection
        self._watermark = watermark
        self._wait_ms = _BUSY_TIMEOUT
        self._session = WriteBatch(connection, TABLES)
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
        self._transaction.begin_commit()
        for job in jobs:
            self._attempt(job)
        self._session.flush()

    def _commit(self) -> None:
        if self._watermark is None:
            self._connection.execute("COMMIT")
        else:
            self._watermark.before_commit()
            self._connection.execute("COMMIT")
            self._watermark.after_commit()

    def _attempt(self, job: CommitJob) -> None:
        self._transaction.endings = job.begin()
        self._session.begin_job()
        try:
            job.result = job.work(self._transaction)
        except sqlite3.Error:
            raise
        except Exception as failure:  # noqa: BLE001 (stored in the job, and raised to its caller)
            job.failure = failure
            self._session.undo_job()
            self._transaction.forget()
        else:
            self._session.end_job()

    def _roll_back(self) -> None:
        if self._watermark is not None:
            self._watermark.undone()
        # The transaction may have ended already; otherwise the next BEGIN reports what is wrong.
        with suppress(sqlite3.Error):
            self._session.forget()
        self._transaction.forget()
