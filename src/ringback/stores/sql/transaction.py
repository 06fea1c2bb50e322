"""A job, and the transaction that it gets: the tables of a database."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.ports import (
    CommitHooks,
    StreamTables,
    SuperSimTables,
    Transaction,
    WirelessTables,
    nothing,
)
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.accounts import SqlAccounts, SqlApiClients
from ringback.stores.sql.audit import SqlAuditLog
from ringback.stores.sql.batches import TABLES as BATCH_TABLES
from ringback.stores.sql.batches import SqlIncomingBatches
from ringback.stores.sql.callbacks import SqlCallbacks
from ringback.stores.sql.console_access import SqlConsoleSessions, SqlSharedLinks
from ringback.stores.sql.counters import TABLES as COUNTER_TABLES
from ringback.stores.sql.counters import SqlCounters
from ringback.stores.sql.destinations import SqlDestinations
from ringback.stores.sql.policy_versions import SqlPolicyVersions
from ringback.stores.sql.receiver_checks import SqlReceiverChecks
from ringback.stores.sql.response_overflow import TABLES as RESPONSE_TABLES
from ringback.stores.sql.response_overflow import SqlResponseOverflows
from ringback.stores.sql.retention import TABLES as RETENTION_TABLES
from ringback.stores.sql.retention import SqlRetention
from ringback.stores.sql.sending_pause import SqlStoredPause
from ringback.stores.sql.shadows import TABLES as SHADOW_TABLES
from ringback.stores.sql.shadows import SqlShadowCallbacks
from ringback.stores.sql.streams import TABLES as STREAM_TABLES
from ringback.stores.sql.streams import SqlStreamSinks, SqlStreamSubscriptions
from ringback.stores.sql.tasks_and_scenarios import (
    SqlJobs,
    SqlPlanLines,
    SqlScenarioChoices,
    SqlTasks,
)
from ringback.stores.sql.write_batch import WriteBatch

TABLES: Final = (
    *(*SHADOW_TABLES, *RESPONSE_TABLES, *BATCH_TABLES, *COUNTER_TABLES),
    *(*RETENTION_TABLES, *STREAM_TABLES),
)
"""The SQL statements that write queued rows, except those of callbacks, which come first."""
BUDGET: Final = ResponseStorageBudget()


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


S = TypeVar("S", bound=WriteBatch)


class SqlTransaction(Transaction, Generic[S]):
    """Implements `ports.Transaction`, except `write_nothing`, in any SQL database."""

    def __init__(
        self,
        session: S,
        cipher: SecretCipher,
        budget: ResponseStorageBudget,
        callbacks: Callable[[S, SqlAccounts, SqlResponseOverflows], SqlCallbacks],
    ) -> None:
        self.accounts = self._accounts = SqlAccounts(session, cipher)
        self.api_clients = SqlApiClients(session, cipher)
        self.console_sessions = SqlConsoleSessions(session)
        self.shared_links = SqlSharedLinks(session)
        self.scenarios = SqlScenarioChoices(session)
        self.policies = SqlPolicyVersions(session)
        self.pause = SqlStoredPause(session)
        self.audit = SqlAuditLog(session)
        self.tasks = SqlTasks(session)
        self.jobs = SqlJobs(session)
        self.plans = SqlPlanLines(session)
        self.receiver_checks = SqlReceiverChecks(session)
        self.kept_responses = self._responses = responses = SqlResponseOverflows(session, budget)
        self.callbacks = self._callbacks = callbacks(session, self._accounts, responses)
        self._sinks, self._subscriptions = SqlStreamSinks(session), SqlStreamSubscriptions(session)
        self.streams = StreamTables(self._sinks, self._subscriptions, self._callbacks.stream_events)
        self.shadows = SqlShadowCallbacks(session, responses)
        self.batches = SqlIncomingBatches(session)
        self.counters = SqlCounters(session, self._callbacks.lane_id)
        self.destinations = SqlDestinations(session, cipher, self._callbacks)
        unended = self._callbacks.unended
        self.retention = SqlRetention(session, self._accounts, unended)
        self.endings: list[CommitHooks] = []
        self._session = session

    # Imported late: a server that sends callbacks only does not need the tables of the products.
    # The type checker does not know that a cached property can take the place of a variable.
    @cached_property
    def supersim(self) -> SuperSimTables:  # pyright: ignore[reportIncompatibleVariableOverride] (see above)
        from ringback.stores.sql.supersim import supersim_tables  # noqa: PLC0415 (see above)

        return supersim_tables(self._session)

    @cached_property
    def wireless(self) -> WirelessTables:  # pyright: ignore[reportIncompatibleVariableOverride] (see above)
        from ringback.stores.sql.wireless import wireless_tables  # noqa: PLC0415 (see above)

        return wireless_tables(self._session)

    def fingerprint(self) -> str:
        (found,) = self._session.read(
            "SELECT fingerprint FROM installation WHERE number = 1"
        ).fetchone()
        return found

    def run(self, job: CommitJob, of_database: type[Exception]) -> None:
        """Run a job, and store in it the result or failure; errors of the database are raised.

        If the job fails, its changes are undone, without those of other jobs.
        """
        self.endings = job.begin()
        self._session.begin_job()
        try:
            job.result = job.work(self)
        except of_database:
            raise
        except Exception as failure:  # noqa: BLE001 (stored in the job, and raised to its caller)
            job.failure = failure
            self._session.undo_job()
            self.forget()
        else:
            self._session.end_job()

    def begin_commit(self, version: int, *, is_of_all: bool = False) -> None:
        """At the beginning of a commit, clear what was cached for the previous commit only.

        Another `version` than before says that other connections may have changed accounts; or
        anything, if the version `is_of_all` tables.
        """
        is_as_before = self._accounts.begin_commit(version)
        self._callbacks.begin_commit()
        if not (is_of_all and is_as_before):
            self._forget_streams()

    def forget(self) -> None:
        """Clear all caches, because a job was undone that may have changed cached rows."""
        self._accounts.forget()
        self._callbacks.forget()
        self._forget_streams()

    def _forget_streams(self) -> None:
        self._sinks.forget()
        self._subscriptions.forget()

    def on_commit(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        self.endings.append(CommitHooks(durable, undone))
