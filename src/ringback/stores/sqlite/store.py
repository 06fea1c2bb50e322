"""The store in one SQLite file: one thread owns the connection and commits in groups.

Whatever queued up while the last commit ran is done in the next one, each piece of work under a
savepoint of its own. So the cost of a commit is shared by all who wait for it, and no lock is
ever fought over.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Self, TypeVar

from ringback.core.errors import StoreUnavailable, Unusable
from ringback.ports import Transaction
from ringback.stores.migrate import pending
from ringback.stores.sqlite.accounts import SqliteAccounts
from ringback.stores.sqlite.callbacks import SqliteCallbacks
from ringback.stores.sqlite.lock import FileLock
from ringback.stores.sqlite.sims import SqliteFleets, SqliteSims

T = TypeVar("T")

_MOST_AT_ONCE: Final = 500
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # A commit is on disk when it returns: that is what an acknowledgement means.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class SqliteTransaction:
    """Answers `ports.Transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.accounts = SqliteAccounts(connection)
        self.fleets = SqliteFleets(connection)
        self.sims = SqliteSims(connection)
        self.callbacks = SqliteCallbacks(connection)


class _Job:
    """A piece of work and where its result goes."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.done = Future[Any]()


class SqliteStore:
    """Answers `ports.Store`; see `open`."""

    def __init__(self, connection: sqlite3.Connection, lock: FileLock) -> None:
        self._connection = connection
        self._lock = lock
        self._transaction = SqliteTransaction(connection)
        self._jobs = SimpleQueue[_Job | None]()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="ringback-sqlite", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, make it where there is none, and bring its schema up to date.

        Raises Unusable where it can't be used, or another process uses it.
        """
        lock = FileLock.take(path.with_suffix(".lock"))
        try:
            return cls(_connect(path), lock)
        except sqlite3.Error as failure:
            lock.release()
            raise Unusable(f"{path} can't be used as Ringback's data file: {failure}") from failure
        except BaseException:
            lock.release()
            raise

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        job = _Job(work)
        self._jobs.put(job)
        return await asyncio.wrap_future(job.done)

    async def close(self) -> None:
        """Finish what is queued, and let go of the file."""
        self._is_closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._lock.release()

    def _run(self) -> None:
        open_ended = True
        while open_ended:
            jobs, open_ended = self._take()
            if jobs:
                self._commit(jobs)
        self._connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for work; return all that queued up, and whether there can be more."""
        jobs = list[_Job]()
        entry = self._jobs.get()
        while entry is not None:
            # A caller that has given up before its turn wants nothing done.
            if entry.done.set_running_or_notify_cancel():
                jobs.append(entry)
            if len(jobs) == _MOST_AT_ONCE:
                return jobs, True
            try:
                entry = self._jobs.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            settled = [self._attempt(job) for job in jobs]
            self._connection.execute("COMMIT")
        except sqlite3.Error as failure:
            self._undo()
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure}")
            settled = [_raiser(job, unavailable) for job in jobs]
        for settle in settled:
            settle()

    def _attempt(self, job: _Job) -> Callable[[], None]:
        """Run one job; return what tells its caller, to be called after the commit."""
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.work(self._transaction)
        except sqlite3.OperationalError:
            raise
        except Exception as failure:  # noqa: BLE001 (it is the caller's, and raised there)
            self._connection.execute("ROLLBACK TO job")
            return _raiser(job, failure)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE job")
        return lambda: job.done.set_result(result)

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _raiser(job: _Job, failure: Exception) -> Callable[[], None]:
    return lambda: job.done.set_exception(failure)


def _connect(path: Path) -> sqlite3.Connection:
    # Made before SQLite opens it, since SQLite gives the files beside it the same mode.
    path.touch(mode=0o600)
    path.chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in pending(files("ringback.stores.sqlite") / "migrations", version=version):
        connection.executescript(
            f"BEGIN; {step.sql}; PRAGMA user_version = {step.version}; COMMIT;"
        )
