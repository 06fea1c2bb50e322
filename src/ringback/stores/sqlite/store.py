"""The store in one SQLite file: one thread owns the writing connection, and commits in groups.

All jobs that queued up during the last commit share the next one. So everyone who waits shares its
cost, nobody contends for a lock, and the event loop is woken once for all jobs of a commit.
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
"""Seconds between attempts to share a file again that a full disk has made exclusive."""
# Seconds. When several jobs share commits already, waiting this long lets many more share one: a
# commit costs more than the work in it.
_GATHERING: Final = 0.001


def _not_told(_: object) -> None:
    """Ignore how long a commit took, or that it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How much a store keeps, and whom it tells how its commits ended."""

    committed: Callable[[float], None] = _not_told
    """Called with the seconds that each commit took, in the store's own thread."""
    unavailable: Callable[[str], None] = _not_told
    """Called in the event loop with the reason why a commit failed."""
    budget: ResponseStorageBudget = ResponseStorageBudget()
    """How much of long answers is kept."""


_OPTIONS: Final = StoreOptions()


class _Entry(NamedTuple):
    """A job, and the future that its caller waits for."""

    job: CommitJob
    ended: asyncio.Future[None]


class SqliteStore:
    """Answers `ports.Store`; see `open`."""

    def __init__(
        self,
        opened: OpenDataFile,
        cipher: SecretCipher,
        path: Path,
        *,
        lock: FileLock | None = None,
        options: StoreOptions = _OPTIONS,
    ) -> None:
        """Use this open file; see `open`."""
        self._cipher = cipher
        self._path = path
        self._options = options
        self._readers = ReadConnectionPool(path, cipher)
        self._use(opened)
        self._lock = lock
        self._next_try = 0.0
        self._entries = SimpleQueue[_Entry | None]()
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
        """Open the file, make it where there is none, and bring its schema up to date.

        `lock` is the file's, where the caller has taken it already; it is released where the file
        can't be used. Raises ConfigurationError where the file can't be used, has lost data, or is
        in use by another process.
        """
        lock = lock or FileLock.take(path)
        with on_failure(lock.release):
            opened = open_as_owner(path, cipher, accept_data_loss=accept_data_loss)
        return cls(opened, cipher, path, lock=lock, options=options)

    @classmethod
    def beside(cls, path: Path, cipher: SecretCipher) -> Self:
        """Open the file beside a process that may be using it; for short work without claims.

        Raises ConfigurationError if it can't be used, has lost data, or has an older schema.
        """
        return cls(OpenDataFile(open_beside(path, cipher)), cipher, path)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        entry = _Entry(CommitJob(work), asyncio.get_running_loop().create_future())
        self._entries.put(entry)
        await entry.ended
        if entry.job.failure is not None:
            raise entry.job.failure
        return entry.job.result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run the work beside the commits; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        if self._reopen is not None:
            # A full disk has no room for shared memory, so there is only this one connection.
            return await self.transact(work)
        return await self._readers.read(work, asked_by)

    async def close(self) -> None:
        """Finish what is queued, and close the file."""
        self._is_closed = True
        await asyncio.to_thread(self._readers.close)
        self._entries.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._lock is not None:
            self._lock.release()

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
        except Exception as failure:  # noqa: BLE001 (without its thread, there is no store)
            _log.exception("a commit failed for no reason that the database gives")
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure!r}")
            for job in jobs:
                job.failure = unavailable

    def _try_to_share(self, reopen: Callable[[], OpenDataFile]) -> None:
        """Open the file again, shared with others, once there is room for that."""
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
        """Wake the event loop once for all jobs that have ended."""
        loop, failures = entries[0].ended.get_loop(), [entry.job.failure for entry in entries]
        refusal = next((each for each in failures if isinstance(each, StoreUnavailable)), None)
        try:
            if refusal is not None:
                loop.call_soon_threadsafe(self._options.unavailable, str(refusal))
            loop.call_soon_threadsafe(_end, entries)
        except RuntimeError:
            # The event loop is gone, and with it whoever waited.
            return

    def _take(self) -> tuple[list[_Entry], bool]:
        """Wait for work; return all that is queued, and whether there can be more.

        The wait is no longer than until the log has to be looked at again.
        """
        entries = list[_Entry]()
        try:
            entry = self._entries.get(timeout=self._log.patience)
        except Empty:
            return entries, True
        if self._is_busy:
            sleep(_GATHERING)
        while entry is not None:
            # A caller that was cancelled before its turn wants nothing done.
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
        except Exception:  # noqa: BLE001 (all others in the commit have to hear of theirs)
            _log.exception("what follows a transaction failed")
        if not ended.done():
            ended.set_result(None)
