"""Runs the jobs of several callers in one commit to PostgreSQL, and finds out how it ended.

A commit is run again, without its callers noticing, if only the work of others was in its way, or
if the connection broke before it could be committed. If the connection breaks during the COMMIT,
the next connection looks for the mark that each commit leaves. The id of the transaction would not
show it: after a crash or a failover, a server gives ids that it has forgotten, or never known, to
others.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from time import monotonic, sleep
from typing import Final

import psycopg
from psycopg import errors

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.runtime.system_clock import SystemRandomSource
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres.callbacks import TABLES as CALLBACK_TABLES
from ringback.stores.postgres.callbacks import PostgresCallbacks
from ringback.stores.postgres.connections import (
    Connection,
    Dsn,
    execute,
    execute_message,
    is_lost,
    is_of_a_row,
    is_of_timing,
    set_locally,
    transaction,
)
from ringback.stores.postgres.failures import detail, unavailable
from ringback.stores.postgres.leases import WorkerIdentity
from ringback.stores.postgres.schema import make_missing_partitions
from ringback.stores.postgres.shared_work import TABLES as SHADOW_TABLES
from ringback.stores.postgres.shared_work import (
    PostgresJobs,
    PostgresRetention,
    PostgresShadowCallbacks,
    PostgresTasks,
)
from ringback.stores.postgres.write_batch import PostgresWriteBatch
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.transaction import TABLES as FURTHER_TABLES
from ringback.stores.sql.transaction import CommitJob, SqlTransaction
from ringback.stores.sql.write_batch import BulkStatement

_COMMIT_MARKS: Final = BulkStatement.insert("commit_marks", "committer, number")
TABLES: Final = (*CALLBACK_TABLES, *SHADOW_TABLES, *FURTHER_TABLES, _COMMIT_MARKS)
"""The SQL statements that write queued rows, in the order that foreign keys require."""
_MOST_TRIES: Final = 20
"""How often a commit is run if the work of others is in its way."""
_TRIES_BESIDE_OTHERS: Final = 3
_SHORTEST_PAUSE: Final = 0.00025
"""Seconds; what a commit waits before it is run again is up to 16 times as long at first."""
_MOST_DOUBLINGS: Final = 5
_PAUSE: Final = 0.05
"""Seconds between questions about a commit while the database does not answer."""
_LONGEST_PAUSE: Final = 1.0
_MOST_MARKS: Final = 256
"""How many commits leave their marks before those of commits whose end is known are deleted."""
_PATIENCE_AT_THE_END: Final = 10.0
"""Seconds for which a store that is being closed still asks how its last commit ended."""
_log = logging.getLogger(__name__)


class Isolation(Enum):
    """How much a commit sees of what others commit at the same time."""

    READ_COMMITTED = "quick"
    """For work that only adds rows, or changes rows that belong to this process."""
    SERIALIZABLE = "other"
    """For all other work: it ends as if others had worked before or after it."""


# The planner has no statistics of these tables that are worth anything, because their rows come and
# go: after a while, it would read them as a whole.
_QUICK: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
# A process that is frozen or cut off during its work has lost its locks before its lease ends.
_LOSES_LOCKS: Final = {"idle_in_transaction_session_timeout": "5s"}
_SETTINGS: Final = {
    Isolation.READ_COMMITTED: set_locally(**_LOSES_LOCKS, **_QUICK),
    # A scan of a table conflicts with each change of it; one of an index, only with some.
    Isolation.SERIALIZABLE: set_locally(**_LOSES_LOCKS, enable_seqscan="off"),
}
# The last statement of each message returns what the commit has to know.
_STATE: Final = "SELECT pg_current_xact_id()::text, (SELECT accounts FROM changes)"
_SERIALIZABLE: Final = f"{_STATE}, {_SETTINGS[Isolation.SERIALIZABLE]}"
# The lock comes before the snapshot. It lets all of these run beside each other, except for one
# that has failed several times because of others: that one then runs alone, and so does not fail.
BEGIN: Final = {
    Isolation.READ_COMMITTED: (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; {_STATE}, {_SETTINGS[Isolation.READ_COMMITTED]}"
    ).encode(),
    Isolation.SERIALIZABLE: (
        f"BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE changes IN ROW SHARE MODE; {_SERIALIZABLE}"
    ).encode(),
}
"""The message that begins a transaction for each kind of work, with all that it needs."""
_BEGIN_UNDISTURBED: Final = (
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL lock_timeout = '1s';"
    " LOCK TABLE changes IN EXCLUSIVE MODE; SET LOCAL lock_timeout TO DEFAULT;"
    f" {_SERIALIZABLE}"
).encode()
# It waits for a transaction that has set the mark and has not ended. Without a mark, it sets one
# that keeps the lost transaction from being committed later. It always changes a row, so that a
# standby for which commits wait has the commit, too, before it is reported.
_SETTLE: Final = """
    INSERT INTO commit_marks (committer, number, is_lost) VALUES (?, ?, true)
    ON CONFLICT (committer, number) DO UPDATE SET made = clock_timestamp() RETURNING is_lost
"""
# One that waits for a standby would be committed, so that others see what the standby may lack.
_TERMINATE: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_xid = (?::xid8)::xid AND pid <> pg_backend_pid()
        AND datname = current_database() AND usename = current_user
        AND wait_event IS DISTINCT FROM 'SyncRep'
"""


class PostgresTransaction(SqlTransaction[PostgresWriteBatch]):
    """Implements `ports.Transaction` in PostgreSQL."""

    def __init__(
        self,
        session: PostgresWriteBatch,
        cipher: SecretCipher,
        budget: ResponseStorageBudget,
        own: WorkerIdentity,
        ids: RowIds,
    ) -> None:
        super().__init__(session, cipher, budget, partial(PostgresCallbacks, own=own, ids=ids))
        self.retention = PostgresRetention(session, self._accounts, self._callbacks.unended)
        self.tasks = PostgresTasks(session, own)
        self.jobs = PostgresJobs(session, own)
        self.shadows = PostgresShadowCallbacks(session, self._responses, own)

    def write_nothing(self) -> None:
        self._session.write("UPDATE write_checks SET checked = clock_timestamp()")


class PostgresCommitter:
    """Runs jobs on one connection; all jobs of a `commit` call share one commit."""

    def __init__(
        self,
        dsn: Dsn,
        isolation: Isolation,
        transaction: PostgresTransaction,
        session: PostgresWriteBatch,
        *,
        is_closing: Callable[[], bool],
        repeated: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Run jobs until `is_closing`; call `repeated` with why a transaction is run again."""
        self._repeated = repeated
        self._dsn = dsn
        self._isolation = isolation
        self._transaction = transaction
        self._session = session
        self._is_closing = is_closing
        self._connection: Connection | None = None
        self._transaction_id: str | None = None
        """The id of the transaction whose COMMIT was sent, and whose end is not known yet."""
        self._latest = 0
        """The id of the latest transaction."""
        self._committer = int.from_bytes(SystemRandomSource().bytes(8), signed=True)
        self._number = self._known = 0
        """The number of the latest commit, and up to which number the marks were deleted."""
        self._next_try = 0.0
        self._last_trouble: psycopg.Error | None = None

    def commit(self, jobs: list[CommitJob]) -> None:
        """Run the jobs in one commit, and store in each job its result or failure.

        Afterwards, the changes of all jobs that succeeded are durable.
        """
        for tries in range(1, _MOST_TRIES + 1):
            try:
                self._run(jobs, is_undisturbed=tries > _TRIES_BESIDE_OTHERS)
            except Exception as failure:
                self._roll_back()
                transaction_id, self._transaction_id = self._transaction_id, None
                if not isinstance(failure, psycopg.Error) and not is_of_a_row(failure):
                    raise
                if transaction_id is not None and self._connection is None:
                    is_committed = self._end_of(transaction_id)
                    if is_committed:
                        return
                    is_again = is_committed is False
                else:
                    is_again = self._is_to_be_run_again(failure, tries)
                if not is_again:
                    self._fail(jobs, failure)
                    return
            else:
                return

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _run(self, jobs: list[CommitJob], *, is_undisturbed: bool) -> None:
        connection, is_alone = self._connected(), len(jobs) == 1
        self._delete_marks(connection)
        begin = BEGIN[self._isolation]
        if is_undisturbed and self._isolation is Isolation.SERIALIZABLE:
            begin = _BEGIN_UNDISTURBED
        transaction_id, accounts, *_ = execute_message(connection, begin)
        self._latest = int(transaction_id)
        self._session.begin(is_alone=is_alone)
        self._transaction.begin_commit(int(accounts))
        for job in jobs:
            self._transaction.run(job, psycopg.Error)
        if is_alone and jobs[0].failure is not None:
            self._session.forget()
            return
        self._number += 1
        self._session.queue(_COMMIT_MARKS, (self._committer, self._number))
        self._transaction_id = transaction_id
        self._session.flush_and("COMMIT")
        self._transaction_id = None

    def _is_to_be_run_again(self, failure: Exception, tries: int) -> bool:
        """Decide what to do after a failure, when nothing of the commit is left."""
        if isinstance(failure, errors.CheckViolation) and "no partition" in str(failure):
            with suppress(psycopg.Error):
                make_missing_partitions(self._dsn)
            return tries == 1
        if isinstance(failure, errors.FeatureNotSupported):
            # An upgrade has changed a table since its statements were prepared.
            self._drop_connection()
            return tries < _MOST_TRIES
        if is_of_timing(failure):
            self._repeated(_reason_of_repeat(failure))
            sleep(_pause_after(tries, self._latest))
            return tries < _MOST_TRIES
        # Another process may have added the same row just before: then the job finds it now.
        return tries == 1 and (
            self._connection is None or isinstance(failure, errors.UniqueViolation)
        )

    def _fail(self, jobs: list[CommitJob], failure: Exception) -> None:
        if is_of_a_row(failure):
            if len(jobs) > 1:
                # Rows of all jobs are written together, so it is unknown which job's row failed.
                for job in jobs:
                    self.commit([job])
            else:
                jobs[0].failure = failure
            return
        outage = unavailable(failure)
        for job in jobs:
            job.failure = outage

    def _roll_back(self) -> None:
        """Undo everything; drop the connection if it is broken."""
        try:
            self._session.forget()
        except (psycopg.Error, RuntimeError):
            self._drop_connection()
        else:
            if self._connection is not None and is_lost(self._connection):
                self._drop_connection()
        self._transaction.forget()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        """Return the connection; open it if there is none, but not too often in vain."""
        if self._connection is None:
            if self._last_trouble is not None and monotonic() < self._next_try:
                raise self._last_trouble
            try:
                self._connection = self._dsn.connect()
            except psycopg.Error as trouble:
                self._drop_connection()
                self._last_trouble, self._next_try = trouble, monotonic() + _PAUSE
                raise
            self._session.use(self._connection)
        return self._connection

    def _delete_marks(self, connection: Connection) -> None:
        """Delete the marks of earlier commits, whose end is known, if there are many."""
        if self._number - self._known < _MOST_MARKS:
            return
        known = self._number
        with transaction(connection, enable_seqscan="off", synchronous_commit="off"):
            execute(
                connection,
                "DELETE FROM commit_marks WHERE committer = ? AND number <= ?",
                [self._committer, known],
            )
        self._known = known

    def _end_of(self, transaction_id: str) -> bool | None:
        """Return whether the latest transaction was committed; asks until that is known.

        Meanwhile its callers wait, since nothing may be reported as failed that was done. Returns
        None if the store is closed during an outage.
        """
        pause, last_try = _PAUSE, math.inf
        while monotonic() < last_try:
            if last_try == math.inf and self._is_closing():
                last_try = monotonic() + _PATIENCE_AT_THE_END
            try:
                return self._settled(transaction_id)
            except psycopg.Error as trouble:
                _log.debug("the end of a commit is not known yet: %s", detail(trouble))
                self._drop_connection()
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        _log.error("it is not known whether the last commit was made: no answer from the database")
        return None

    def _settled(self, transaction_id: str) -> bool:
        """Return whether the latest transaction was committed; if not, it can't be any more.

        Raises psycopg.Error if that is not known yet. A transaction in progress is ended then: its
        server does not know yet that nobody listens any more.
        """
        connection = self._connected()
        try:
            with transaction(connection, lock_timeout="300ms", enable_seqscan="off"):
                settled = execute(connection, _SETTLE, [self._committer, self._number])
                (is_lost,) = settled.fetchone()
        except errors.LockNotAvailable:
            execute(connection, _TERMINATE, [transaction_id])
            raise
        return not is_lost


def _pause_after(tries: int, transaction_id: int) -> float:
    """Return how many seconds to wait before a commit is run again because of others.

    Without a wait, processes would get in each other's way again and again. So the wait depends on
    the transaction's id, which differs between them, and it gets longer.
    """
    return _SHORTEST_PAUSE * (1 + transaction_id % 16) * 2 ** min(tries - 1, _MOST_DOUBLINGS)


def _reason_of_repeat(failure: Exception) -> str:
    """Return why the work of others makes a transaction be run again, as metrics name it."""
    match failure:
        case errors.SerializationFailure():
            return "serialization_failure"
        case errors.DeadlockDetected():
            return "deadlock"
        case _:
            return "lock_timeout"
