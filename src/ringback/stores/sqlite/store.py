"""Stores all data in one SQLite file; one connection makes all changes.

Jobs that arrive during a commit wait, and share the next commit. So they share its cost, never wait
for a lock, and wake the event loop only once.

A thread commits, since that waits for the disk. It also runs the work of the jobs, unless all of
it is quick: then the event loop runs it. Otherwise the two would fight for the interpreter at every
SQL statement, which can take as long as the work.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Final, NamedTuple, Self, TypeVar

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import StoreUnavailable, is_outage
from ringback.ports import Transaction
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.copy_records import take_into_use
from ringback.stores.sql.read_pool import ReadConnectionPool
from ringback.stores.sql.sealed_columns import warn_of_damaged
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.data_file_opener import (
    OpenDataFile,
    connect,
    open_as_owner,
    open_beside,
)
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.read_connections import SqliteReader
from ringback.stores.sqlite.wal_checkpointer import WalCheckpointer
from ringback.stores.sqlite.write_batch import any_bytes

__all__ = ["SqliteStore", "StoreOptions", "connect"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 500
_MOST_HERE: Final = 100
"""The most jobs whose work the event loop does at once: a few milliseconds."""
_TRY_AGAIN: Final = 1.0
"""Seconds between tries to let other processes use the file again after a full disk."""
# Seconds. If the last commit had several jobs, the next one waits this long for further jobs, since
# a commit costs more than the work in it.
_GATHERING: Final = 0.001
# Seconds. While jobs arrive more often than this, a job that may wait is delayed as long.
_PATIENCE: Final = 0.01
_LONGEST_HERE: Final = 0.05
"""If quick work took longer than this many seconds, since the disk was slow, the thread does it."""
_DONE_ELSEWHERE: Final = 10.0
"""For how many seconds the thread then does it."""


def _not_told(_: object) -> None:
    """Do nothing; the default for `committed` and `unavailable` in StoreOptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Options of a store: its budget for long answers, and functions that it calls."""

    committed: Callable[[float], None] = _not_told
    """Called after each commit with its duration in seconds, in the store's own thread."""
    unavailable: Callable[[StoreUnavailable], None] = _not_told
    """Called in the event loop when a commit fails, with the reason."""
    budget: ResponseStorageBudget = ResponseStorageBudget()
    """The maximum number of bytes of long answers to store."""


_OPTIONS: Final = StoreOptions()


class _Entry(NamedTuple):
    """A queued job, and the future of its result, which is done once its commit has ended."""

    job: CommitJob
    ended: asyncio.Future[Any]
    is_quick: bool


class _Turn(NamedTuple):
    """The jobs that the thread has to commit; if `is_prepared`, their work is done already."""

    entries: list[_Entry]
    is_prepared: bool


class SqliteStore:
    """Implements `ports.Store` on one data file; create it with `open` or `beside`."""

    def __init__(
        self,
        opened: OpenDataFile,
        cipher: SecretCipher,
        path: Path,
        *,
        lock: FileLock | None = None,
        options: StoreOptions = _OPTIONS,
    ) -> None:
        """Create a store on an open data file; usually called through `open` or `beside`."""
        self._cipher = cipher
        self.damaged_secrets: Mapping[str, Sequence[str]] = cipher.damaged
        """The names of the secrets that can't be decrypted, by the record that has them."""
        self._path = path
        self._options = options
        self._readers = ReadConnectionPool(lambda: SqliteReader(path, cipher), sqlite3.Error)
        self._use(opened)
        self._lock = lock
        self._next_try = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = list[_Entry]()
        """The jobs for the next commits."""
        self._is_committing = False
        self._begins: asyncio.TimerHandle | None = None
        """Begins the next commit; None if no job waits for it."""
        self._is_gathering = False
        self._arrived = 0.0
        """When the last job arrived, by the event loop's clock."""
        self._usual_gap = 1.0
        """The average time between the arrivals of two jobs lately, in seconds."""
        self._elsewhere_until = 0.0
        """Until when the thread does all work, by `perf_counter`."""
        self._turns = SimpleQueue[_Turn | None]()
        self._in_use = threading.Lock()
        """Held by whoever uses the connection."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="ringback-sqlite", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: Path,
        cipher: SecretCipher,
        *,
        lock: FileLock | None = None,
        options: StoreOptions = _OPTIONS,
        accept_data_loss: bool = False,
        serve_copied: bool = False,
    ) -> Self:
        """Open the data file or create it, and upgrade its schema.

        `lock` is the file's lock if the caller has already taken it; it is released if the file
        can't be used. With `serve_copied`, data that was copied to another place can be used again.
        Raises ConfigurationError if the file can't be used, has lost data, is in use by another
        process, or was copied to another place.
        """
        lock = lock or FileLock.take(path)
        with on_failure(lock.release):
            opened = open_as_owner(path, cipher, accept_data_loss=accept_data_loss)
            with on_failure(opened.connection.close):
                take_into_use(
                    opened.connection.execute, str(path.parent), serve_copied=serve_copied
                )
                with any_bytes(opened.connection):
                    warn_of_damaged(opened.connection.execute, cipher)
        return cls(opened, cipher, path, lock=lock, options=options)

    @classmethod
    def beside(cls, path: Path, cipher: SecretCipher) -> Self:
        """Open the data file while a server may be using it; for short work, not for deliveries.

        Raises ConfigurationError if the file can't be used, has lost data, has an older schema, or
        was copied to another place.
        """
        connection = open_beside(path, cipher)
        with on_failure(connection.close):
            take_into_use(connection.execute, str(path.parent))
        return cls(OpenDataFile(connection), cipher, path)

    def transact(
        self, work: Callable[[Transaction], T], *, is_quick: bool = False, may_wait: bool = False
    ) -> asyncio.Future[T]:
        """Run the work in the next commit and return its result; see `ports.Store.transact`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        loop = self._use_running_loop()
        entry = _Entry(CommitJob(work), loop.create_future(), is_quick)
        self._waiting.append(entry)
        self._plan(loop, may_wait=may_wait)
        return entry.ended

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads, in parallel with commits; see `ports.Store.read`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        if self._reopen is not None:
            # A full disk has no room for shared memory, so the file allows only this connection.
            return await self.transact(work)
        return await self._readers.read(work, asked_by)

    async def close(self) -> None:
        """Finish all queued work, close the file, and release its lock."""
        self._is_closed = True
        self._use_running_loop()
        await asyncio.to_thread(self._readers.close)
        while self._waiting or self._is_committing:
            self._begin()
            await asyncio.sleep(_GATHERING)
        self._turns.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._lock is not None:
            self._lock.release()

    # ---- in the event loop -------------------------------------------------------------------

    def _use_running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop; if it is a new one, forget what the last one planned."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._begins = loop, None
            self._is_committing = self._is_gathering = False
        return loop

    def _plan(self, loop: asyncio.AbstractEventLoop, *, may_wait: bool) -> None:
        """Plan when the next commit begins, now that a job has arrived."""
        now = loop.time()
        self._usual_gap += (min(now - self._arrived, 1.0) - self._usual_gap) / 8
        self._arrived = now
        if self._is_committing or self._is_gathering:
            return
        if not may_wait or self._usual_gap > _PATIENCE:
            if self._begins is not None:
                self._begins.cancel()
            # A moment later: more jobs may arrive in this step of the event loop.
            self._is_gathering = True
            loop.call_soon(self._begin)
        elif self._begins is None:
            self._begins = loop.call_later(_PATIENCE, self._begin)

    def _begin(self) -> None:
        """Begin a commit of the waiting jobs, unless there is one already."""
        if self._begins is not None:
            self._begins.cancel()
            self._begins = None
        self._is_gathering = False
        if self._is_committing:
            return
        most = _MOST_HERE if self._waiting and self._waiting[0].is_quick else _MOST_AT_ONCE
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        # If the caller was cancelled before its turn, skip its work.
        entries = [entry for entry in taken if not entry.ended.cancelled()]
        if entries:
            self._is_committing = True
            is_quick = all(entry.is_quick for entry in entries)
            is_prepared = is_quick and self._prepare([entry.job for entry in entries])
            self._turns.put(_Turn(entries, is_prepared))

    def _prepare(self, jobs: list[CommitJob]) -> bool:
        """Do the work of the jobs up to their commit here, if that needs no waiting.

        Returns False if nothing was done.
        """
        began = perf_counter()
        is_allowed = self._reopen is None and began >= self._elsewhere_until
        if not is_allowed or not self._in_use.acquire(blocking=False):
            return False
        is_prepared = self._committer.try_to_prepare(jobs)
        if not is_prepared:
            self._in_use.release()
        if perf_counter() - began > _LONGEST_HERE:
            self._elsewhere_until = began + _DONE_ELSEWHERE
        return is_prepared

    def _end(self, entries: list[_Entry]) -> None:
        """After a commit, report the results of its jobs, and plan the next commit."""
        self._is_committing = False
        for job, ended, _ in entries:
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
        if self._loop is not None and len(entries) > 1:
            self._is_gathering = True
            self._begins = self._loop.call_later(_GATHERING, self._begin)
        elif self._waiting:
            self._begin()

    # ---- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            try:
                turn = self._turns.get(timeout=self._log.patience)
            except Empty:
                # If the event loop uses the connection just now, a commit follows.
                if self._in_use.acquire(blocking=False):
                    self._log.look(perf_counter(), is_idle=True)
                    self._in_use.release()
                continue
            if turn is not None:
                began = perf_counter()
                self._commit(turn)
                self._options.committed(perf_counter() - began)
                self._report(turn.entries)
            is_open = turn is not None
        self._committer.close()

    def _commit(self, turn: _Turn) -> None:
        jobs = [entry.job for entry in turn.entries]
        if not turn.is_prepared:
            self._in_use.acquire()
        try:
            if self._reopen is not None:
                self._try_to_share(self._reopen)
            self._committer.commit(jobs, is_prepared=turn.is_prepared)
        except Exception as failure:  # noqa: BLE001 (the store must not lose its thread)
            _log.exception("a commit failed with an unexpected error")
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure!r}")
            for job in jobs:
                job.failure = unavailable
        finally:
            self._log.look(perf_counter(), is_idle=False)
            self._in_use.release()

    def _try_to_share(self, reopen: Callable[[], OpenDataFile]) -> None:
        """If the disk has room again, open the file again so that other connections can read it."""
        if perf_counter() < self._next_try:
            return
        if not self._committer.has_room():
            self._next_try = perf_counter() + _TRY_AGAIN
            return
        self._committer.close()
        self._use(reopen())

    def _use(self, opened: OpenDataFile) -> None:
        self._committer = GroupCommitter(
            opened.connection, self._cipher, opened.watermark, budget=self._options.budget
        )
        self._log = WalCheckpointer(opened.connection, self._path, self._readers)
        self._reopen = opened.reopen

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
            self._is_committing = False
