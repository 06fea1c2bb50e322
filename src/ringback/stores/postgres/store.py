"""Stores all data in a PostgreSQL database, which other processes can use at the same time.

Two threads make all changes, each on a connection of its own: one does quick work, such as claims
and results of attempts, and the other one all else. So a long change delays no callbacks. Jobs that
arrive during a commit wait, and share the next commit of their thread.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Final, NamedTuple, Self, TypeVar

import psycopg

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.shards import Role
from ringback.core.errors import StoreUnavailable, is_outage
from ringback.core.retention import RetentionPolicy
from ringback.ports import Transaction
from ringback.runtime.system_clock import steady_milliseconds
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres import schema
from ringback.stores.postgres.cluster import PostgresCluster
from ringback.stores.postgres.connections import AnswerWatch, Dsn, execute
from ringback.stores.postgres.failures import unavailable, unusable
from ringback.stores.postgres.group_commit import (
    TABLES,
    Isolation,
    PostgresCommitter,
    PostgresTransaction,
)
from ringback.stores.postgres.leases import WorkerIdentity, leave
from ringback.stores.postgres.life_lock import LifeLock
from ringback.stores.postgres.partitions import LAST_ID
from ringback.stores.postgres.readers import PostgresReader
from ringback.stores.postgres.retired_weeks import retire_weeks
from ringback.stores.postgres.write_batch import PostgresWriteBatch, types_of_columns
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.read_pool import ReadConnectionPool
from ringback.stores.sql.transaction import CommitJob

T = TypeVar("T")
_log = logging.getLogger(__name__)

_HAS_POOLER: Final = (
    "a pooler such as PgBouncer is in front of the PostgreSQL database %s, so that nothing is heard"
    " from other processes: a callback that another one stores can wait a second. If that is right,"
    " set database_notifications to no; else give the address of the database itself"
)
_LONG: Final = 1.0
"""Seconds after which the work on old weeks rests, so that others hardly notice it."""
_MOST_AT_ONCE: Final = 500
# Seconds. If the last commit had several jobs, the next one waits this long for further jobs, since
# a commit costs more than the work in it.
_GATHERING: Final = 0.001
# Seconds. While jobs arrive more often than this, a job that may wait is delayed as long.
_PATIENCE: Final = 0.01


def _not_told(_: object) -> None:
    """Do nothing; the default for `committed` and `unavailable` in PostgresOptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """Options of a store: who uses it, and functions that it calls."""

    name: str = "ringback"
    """The name of this process for people."""
    role: Role = Role.ALL
    """The role of this process; one with the role `api` owns no shards."""
    committed: Callable[[float], None] = _not_told
    """Called after each commit with its duration in seconds, in one of the store's threads."""
    repeated: Callable[[str], None] = _not_told
    """Called with the reason, in one of the store's threads, when a transaction is run again."""
    unavailable: Callable[[StoreUnavailable], None] = _not_told
    """Called in the event loop when a commit fails because of the database."""
    budget: ResponseStorageBudget = ResponseStorageBudget()
    """The maximum number of bytes of long answers to store."""
    lease: timedelta = timedelta(seconds=15)
    open_for: timedelta = timedelta(seconds=16)
    """How long after the end of a lease the requests of its owner may still go on."""
    has_notifications: bool = True
    """False if the server is behind a pooler of transactions, such as PgBouncer can be."""
    serve_copied: bool = False
    """True if data that was copied to another place may be used again."""


_OPTIONS: Final = PostgresOptions()


class _Entry(NamedTuple):
    """A queued job, and the future of its result, which is done once its commit has ended."""

    job: CommitJob
    ended: asyncio.Future[Any]


class CommitThread:
    """Runs jobs in a thread of its own; jobs that arrive during a commit share the next one."""

    def __init__(self, name: str, committer: PostgresCommitter, options: PostgresOptions) -> None:
        """Start the thread."""
        self._committer = committer
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = list[_Entry]()
        """The jobs for the next commits."""
        self._is_busy = False
        """True while the thread commits, or is about to."""
        self._begins: asyncio.TimerHandle | None = None
        """Begins the next commit; None if no job waits for it."""
        self._begins_at = 0.0
        self._arrived = 0.0
        """When the last job arrived, by the event loop's clock."""
        self._usual_gap = 1.0
        """The average time between the arrivals of two jobs lately, in seconds."""
        self._turns = SimpleQueue[list[_Entry]]()
        self._thread = threading.Thread(
            target=self._run, name=f"ringback-postgres-{name}", daemon=True
        )
        self._thread.start()

    def submit(self, job: CommitJob, *, may_wait: bool) -> asyncio.Future[Any]:
        """Run a job in the next commit; return the future of its result."""
        loop = self._use_running_loop()
        entry = _Entry(job, loop.create_future())
        self._waiting.append(entry)
        now = loop.time()
        self._usual_gap += (min(now - self._arrived, 1.0) - self._usual_gap) / 8
        self._arrived = now
        if not self._is_busy:
            self._plan(loop, _PATIENCE if may_wait and self._usual_gap <= _PATIENCE else 0.0)
        return entry.ended

    async def close(self) -> None:
        """Finish all queued jobs, then end the thread and close its connection."""
        self._use_running_loop()
        while self._waiting or self._is_busy:
            self._begin()
            await asyncio.sleep(_GATHERING)
        self._turns.put([])
        await asyncio.to_thread(self._thread.join)

    def _use_running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop; if it is a new one, forget what the last one planned."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._begins, self._is_busy = loop, None, False
        return loop

    def _plan(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        """Begin a commit after this delay, or earlier if that was planned before."""
        at = loop.time() + delay
        if self._begins is not None:
            if self._begins_at <= at:
                return
            self._begins.cancel()
        self._begins, self._begins_at = loop.call_at(at, self._begin), at

    def _begin(self) -> None:
        """Begin a commit of the waiting jobs, unless there is one already."""
        if self._begins is not None:
            self._begins.cancel()
            self._begins = None
        if self._is_busy:
            return
        taken, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        # If the caller was cancelled before its turn, skip its work.
        entries = [entry for entry in taken if not entry.ended.cancelled()]
        if entries:
            self._is_busy = True
            self._turns.put(entries)

    def _end(self, entries: list[_Entry]) -> None:
        """After a commit, report the results of its jobs, and plan the next commit."""
        self._is_busy = False
        for job, ended in entries:
            try:
                job.end()
            except Exception:  # noqa: BLE001 (the other callers must get their results too)
                _log.exception("a function to call after a commit failed")
            if ended.done():
                continue
            if job.failure is None:
                ended.set_result(job.result)
            else:
                ended.set_exception(job.failure)
        if self._loop is not None and self._waiting:
            self._plan(self._loop, _GATHERING if len(entries) > 1 else 0.0)

    # ---- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while entries := self._turns.get():
            began = perf_counter()
            self._commit([entry.job for entry in entries])
            self._options.committed(perf_counter() - began)
            self._report(entries)
        self._committer.close()

    def _commit(self, jobs: list[CommitJob]) -> None:
        try:
            self._committer.commit(jobs)
        except Exception as failure:  # noqa: BLE001 (the store must not lose its thread)
            _log.exception("a commit failed with an unexpected error")
            outage = unavailable(failure)
            for job in jobs:
                job.failure = outage

    def _report(self, entries: list[_Entry]) -> None:
        """Report the results of all jobs to the event loop in a single call."""
        loop, failures = entries[0].ended.get_loop(), [entry.job.failure for entry in entries]
        outage = next(filter(is_outage, failures), None)
        try:
            if outage is not None:
                loop.call_soon_threadsafe(self._options.unavailable, outage)
            loop.call_soon_threadsafe(self._end, entries)
        except RuntimeError:
            # The event loop is closed, so nobody waits for the results any more.
            self._is_busy = False


@dataclass(eq=False)
class PostgresStore:
    """Implements `ports.Store` in a PostgreSQL database; create it with `open`."""

    cluster: PostgresCluster
    """The processes that use the same database."""
    silent_for: Callable[[], float]
    """Returns for how many seconds the server has answered nothing; 0.0 if it was asked nothing."""
    _dsn: Dsn
    _quick: CommitThread
    _other: CommitThread
    _readers: ReadConnectionPool
    damaged_secrets: Mapping[str, Sequence[str]]
    """The names of the secrets that can't be decrypted, by the record that has them."""
    _is_closed: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, dsn: Dsn, cipher: SecretCipher, options: PostgresOptions = _OPTIONS) -> Self:
        """Connect to a database, and register this process there.

        Raises ConfigurationError if the database can't be used, or its schema is not the newest.
        """
        if options.has_notifications and schema.has_pooler(dsn):
            _log.warning(_HAS_POOLER, dsn.shown)
            dsn = dsn.without_prepared_statements()
            options = replace(options, has_notifications=False)
        watch = AnswerWatch()
        dsn = replace(dsn, watch=watch)
        schema.check(dsn, cipher, serve_copied=options.serve_copied)
        details = schema.worker_details()
        own = WorkerIdentity(options.name, options.role, options.lease, options.open_for, details)
        try:
            with dsn.connect() as connection:
                own.life = LifeLock.take()
                with on_failure(own.release_life):
                    own.register(connection)
                with on_failure(partial(leave, connection, own)):
                    # If an upgrade began after the check, the line above has waited for its end.
                    schema.refuse_unfit(dsn, connection)
                types = types_of_columns(connection)
                (last,) = execute(connection, LAST_ID).fetchone()
        except psycopg.Error as failure:
            raise unusable(failure, dsn.given) from None
        is_closed = threading.Event()
        # Each thread makes ids of its own.
        ids = [RowIds(0, milliseconds=steady_milliseconds, after=last) for _ in range(2)]

        def number(number: int) -> None:
            for place, one in enumerate(ids):
                one.lease = 2 * number + place

        number(own.number)
        threads = list[CommitThread]()
        for isolation, one in zip(Isolation, ids, strict=True):
            session = PostgresWriteBatch(TABLES, types, one.make)
            transaction = PostgresTransaction(session, cipher, options.budget, own, one)
            committer = PostgresCommitter(
                dsn,
                isolation,
                transaction,
                session,
                is_closing=is_closed.is_set,
                repeated=options.repeated,
            )
            threads.append(CommitThread(isolation.value, committer, options))
        readers = ReadConnectionPool(
            lambda: PostgresReader(dsn, cipher, own, types),
            psycopg.Error,
            partial(unavailable, to_do="read"),
        )
        cluster = PostgresCluster(
            dsn, own, renumbered=number, has_notifications=options.has_notifications
        )
        quick, other = threads
        return cls(cluster, watch.silent_for, dsn, quick, other, readers, cipher.damaged, is_closed)

    def transact(
        self, work: Callable[[Transaction], T], *, is_quick: bool = False, may_wait: bool = False
    ) -> asyncio.Future[T]:
        """Run the work in the next commit and return its result; see `ports.Store.transact`."""
        if self._is_closed.is_set():
            raise StoreUnavailable("the database is closed")
        thread = self._quick if is_quick else self._other
        return thread.submit(CommitJob(work), may_wait=may_wait)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads, in parallel with commits; see `ports.Store.read`."""
        if self._is_closed.is_set():
            raise StoreUnavailable("the database is closed")
        return await self._readers.read(work, asked_by)

    async def retire_weeks(self, policy: RetentionPolicy, now: datetime) -> bool:
        """Remove what has expired from whole weeks of callbacks; see `retired_weeks`.

        Returns True if it was left after some work, because that took long, so that there may be
        more to do. Raises StoreUnavailable if the database can't be used at the moment.
        """
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def end(result: object) -> None:
            if not ended.done():
                if isinstance(result, Exception):
                    ended.set_exception(result)
                else:
                    ended.set_result(result)

        def retire() -> None:
            result: object = False
            began = perf_counter()
            try:
                for weeks in retire_weeks(self._dsn.connect, policy, now, pause=self._rest):
                    for week in weeks:
                        _log.info("retention: %s", week)
                    if result := perf_counter() - began > _LONG:
                        break
            except Exception as raised:  # noqa: BLE001 (the caller gets it)
                result = raised
            with suppress(RuntimeError):  # the event loop may be closed
                loop.call_soon_threadsafe(end, result)

        # It can be killed at any point, so a stop need not wait for its end.
        threading.Thread(target=retire, name="ringback-weeks", daemon=True).start()
        return await ended

    def _rest(self, seconds: float) -> None:
        """Wait, and raise StoreUnavailable if the store is closed."""
        if self._is_closed.wait(seconds):
            raise StoreUnavailable("the database is closed")

    async def close(self) -> None:
        """Finish all queued work, give the shards back, and close all connections."""
        self._is_closed.set()
        await asyncio.to_thread(self._readers.close)
        await self._quick.close()
        await self._other.close()
        await self.cluster.close()
