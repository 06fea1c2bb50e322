"""Stores all data in one SQLite file; one thread makes all changes.

Jobs that arrive during a commit wait, and share the next commit. So they share its cost, never wait
for a lock, and wake the event loop only once.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from typing import Final, NamedTuple, Self, TypeVar

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.sqlite.data_file_opener import (
    OpenDataFile,
    connect,
    open_as_owner,
    open_beside,
)
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.group_commit import CommitJob, GroupCommitter
from ringback.stores.sqlite.read_connections import ReadConnectionPool
from ringback.stores.sqlite.wal_checkpointer import WalCheckpointer

__all__ = ["SqliteStore", "StoreOptions", "connect"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 500
_TRY_AGAIN: Final = 1.0
"""Seconds between tries to let other processes use the file again after a full disk."""
# Seconds. If the last commit had several jobs, the next one waits this long for further jobs, since
# a commit costs more than the work in it.
_GATHERING: Final = 0.001


def _not_told(_: object) -> None:
    """Do nothing; the default for `committed` and `unavailable` in StoreOptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Options of a store: its budget for long answers, and functions that it calls."""

    committed: Callable[[float], None] = _not_told
    """Called after each commit with its duration in seconds, in the store's own thread."""
    unavailable: Callable[[str], None] = _not_told
    """Called in the event loop when a commit fails, with the reason."""
    budget: ResponseStorageBudget = ResponseStorageBudget()
    """The maximum number of bytes of long answers to store."""


_OPTIONS: Final = StoreOptions()


# Seconds. While work arrives more often than this, work that may wait is delayed as long.
_PATIENCE: Final = 0.01


class _Entry(NamedTuple):
    """A queued job, and the future that is done once the job's commit has ended."""

    job: CommitJob
    ended: asyncio.Future[None]


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
        self._path = path
        self._options = options
        self._readers = ReadConnectionPool(path, cipher)
        self._use(opened)
        self._lock = lock
        self._next_try = 0.0
        self._entries = SimpleQueue[_Entry | None]()
        self._patient = list[_Entry]()
        """The work that may wait, until other work arrives or `_PATIENCE` is over."""
        self._arrived = 0.0
        """When work that may not wait arrived last, by the event loop's clock."""
        self._usual_gap = 1.0
        """The average time between two such arrivals lately, in seconds."""
        self._is_closed = False
        self._is_busy = False
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
    ) -> Self:
        """Open the data file or create it, and upgrade its schema.

        `lock` is the file's lock if the caller has already taken it; it is released if the file
        can't be used. Raises ConfigurationError if the file can't be used, has lost data, or is in
        use by another process.
        """
        lock = lock or FileLock.take(path)
        with on_failure(lock.release):
            opened = open_as_owner(path, cipher, accept_data_loss=accept_data_loss)
        return cls(opened, cipher, path, lock=lock, options=options)

    @classmethod
    def beside(cls, path: Path, cipher: SecretCipher) -> Self:
        """Open the data file while a server may be using it; for short work, not for deliveries.

        Raises ConfigurationError if the file can't be used, has lost data, or has an older schema.
        """
        return cls(OpenDataFile(open_beside(path, cipher)), cipher, path)

    async def transact(self, work: Callable[[Transaction], T], *, may_wait: bool = False) -> T:
        """Run the work in the next commit and return its result; see `ports.Store.transact`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        loop = asyncio.get_running_loop()
        entry = _Entry(CommitJob(work), loop.create_future())
        self._patient.append(entry)
        if not may_wait:
            now = loop.time()
            self._usual_gap += (min(now - self._arrived, 1.0) - self._usual_gap) / 8
            self._arrived = now
            self._hand_over()
        elif self._usual_gap > _PATIENCE:
            self._hand_over()
        elif len(self._patient) == 1:
            loop.call_later(_PATIENCE, self._hand_over)
        await entry.ended
        if entry.job.failure is not None:
            raise entry.job.failure
        return entry.job.result

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
        self._hand_over()
        await asyncio.to_thread(self._readers.close)
        self._entries.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._lock is not None:
            self._lock.release()

    def _hand_over(self) -> None:
        """Give all work to the store's thread, in the order in which it arrived."""
        for entry in self._patient:
            self._entries.put(entry)
        self._patient.clear()

    def _run(self) -> None:
        open_ended = True
        while open_ended:
            entries, open_ended = self._take()
            if entries:
                began = perf_counter()
                self._commit([entry.job for entry in entries])
                self._options.committed(perf_counter() - began)
                self._report(entries)
            self._log.look(perf_counter(), is_idle=not entries)
        self._committer.close()

    def _commit(self, jobs: list[CommitJob]) -> None:
        try:
            if self._reopen is not None:
                self._try_to_share(self._reopen)
            self._committer.commit(jobs)
        except Exception as failure:  # noqa: BLE001 (the store must not lose its thread)
            _log.exception("a commit failed with an unexpected error")
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure!r}")
            for job in jobs:
                job.failure = unavailable

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
        refusal = next((each for each in failures if isinstance(each, StoreUnavailable)), None)
        try:
            if refusal is not None:
                loop.call_soon_threadsafe(self._options.unavailable, str(refusal))
            loop.call_soon_threadsafe(_end, entries)
        except RuntimeError:
            # The event loop is closed, so nobody waits for the results any more.
            return

    def _take(self) -> tuple[list[_Entry], bool]:
        """Wait for queued work, and return it; the second result is False once the store is closed.

        Returns an empty list when it is time to check the write-ahead log again.
        """
        entries = list[_Entry]()
        try:
            entry = self._entries.get(timeout=self._log.patience)
        except Empty:
            return entries, True
        if self._is_busy:
            sleep(_GATHERING)
        while entry is not None:
            # If the caller was cancelled before its turn, skip its work.
            if not entry.ended.cancelled():
                entries.append(entry)
            if len(entries) == _MOST_AT_ONCE:
                return entries, True
            try:
                entry = self._entries.get_nowait()
            except Empty:
                break
        self._is_busy = len(entries) > 1
        return entries, entry is not None


def _end(entries: list[_Entry]) -> None:
    for job, ended in entries:
        try:
            job.end()
        except Exception:  # noqa: BLE001 (the other callers must get their results too)
            _log.exception("a function to call after a commit failed")
        if not ended.done():
            ended.set_result(None)
