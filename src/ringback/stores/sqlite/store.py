"""The store in one SQLite file: one thread owns the connection that writes, and commits in groups.

Whatever queued up while the last commit ran is done in the next one. So the cost of a commit is
shared by all who wait for it, no lock is ever fought over, and the event loop is woken once for
all that a commit ended.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from typing import Final, NamedTuple, Self, TypeVar

from ringback.core.errors import StoreUnavailable, Unusable
from ringback.ports import Transaction
from ringback.stores.migrate import pending
from ringback.stores.sqlite.commit_log import SMALL, CommitLog
from ringback.stores.sqlite.committer import Committer, Job
from ringback.stores.sqlite.lock import FileLock
from ringback.stores.sqlite.readers import Readers
from ringback.stores.sqlite.sealing import seal_all
from ringback.stores.sqlite.upgrading import FUNCTIONS, DeviceAddresses
from ringback.stores.vault import Vault

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 500
# Seconds. Where several share the commits anyhow, a little patience lets many more: each commit
# costs more than what is in it.
_GATHERING: Final = 0.001
_PRAGMAS: Final = (
    "PRAGMA page_size = 8192",  # of a new file; a row with its request is up to 1 KiB
    "PRAGMA journal_mode = WAL",
    # A commit is on disk when it returns: that is what an acknowledgement means.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",  # KiB
    "PRAGMA wal_autocheckpoint = 2000",  # pages
    # What the log grew to beyond that while somebody read goes back with the next commit after it.
    f"PRAGMA journal_size_limit = {SMALL}",
)
_PREPARED: Final = 256


class _Entry(NamedTuple):
    """A job, and who waits for it."""

    job: Job
    ended: asyncio.Future[None]


def _not_told(_: float) -> None:
    """Tell nobody how long a commit took."""


class SqliteStore:
    """Answers `ports.Store`; see `open`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        vault: Vault,
        lock: FileLock | None,
        committed: Callable[[float], None],
    ) -> None:
        self._committer = Committer(connection, vault)
        path = _path_of(connection)
        self._readers = Readers(path, vault)
        self._log = CommitLog(connection, path, self._readers)
        self._lock = lock
        self._committed = committed
        self._entries = SimpleQueue[_Entry | None]()
        self._is_closed = False
        self._is_busy = False
        self._thread = threading.Thread(target=self._run, name="ringback-sqlite", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, path: Path, vault: Vault, *, committed: Callable[[float], None] = _not_told
    ) -> Self:
        """Open the file, make it where there is none, and bring its schema up to date.

        `committed` is told how many seconds each commit took, in the store's own thread.
        Raises Unusable where it can't be used, or another process uses it.
        """
        lock = FileLock.take(path.with_suffix(".lock"))
        try:
            return cls(_open(path, vault), vault, lock, committed)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def beside(cls, path: Path, vault: Vault) -> Self:
        """Open the file beside a process that may be using it; for short work, and no claims.

        Raises Unusable where it can't be used.
        """
        return cls(_open(path, vault), vault, None, _not_told)

    @staticmethod
    def is_sealed(path: Path) -> bool:
        """Whether there is such a file, with secrets that were sealed; changes nothing.

        Raises Unusable where it can't be read.
        """
        try:
            return path.exists() and _is_sealed(path)
        except (sqlite3.Error, OSError) as failure:
            raise _unusable(path, failure) from failure

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        entry = _Entry(Job(work), asyncio.get_running_loop().create_future())
        self._entries.put(entry)
        await entry.ended
        if entry.job.failure is not None:
            raise entry.job.failure
        return entry.job.result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run the work beside the commits; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        return await self._readers.read(work, asked_by)

    async def close(self) -> None:
        """Finish what is queued, and let go of the file."""
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
                self._committed(perf_counter() - began)
                _report(entries)
            self._log.look(perf_counter(), is_idle=not entries)
        self._committer.close()

    def _commit(self, jobs: list[Job]) -> None:
        try:
            self._committer.commit(jobs)
        except Exception as failure:  # noqa: BLE001 (without its thread, there is no store)
            _log.exception("a commit failed for no reason that the database gives")
            unavailable = StoreUnavailable(f"the database can't be used just now: {failure!r}")
            for job in jobs:
                job.failure = unavailable

    def _take(self) -> tuple[list[_Entry], bool]:
        """Wait for work; return all that queued up, and whether there can be more.

        While the log is to be looked at again, it is not waited for longer than that.
        """
        entries = list[_Entry]()
        try:
            entry = self._entries.get(timeout=self._log.patience)
        except Empty:
            return entries, True
        if self._is_busy:
            sleep(_GATHERING)
        while entry is not None:
            # A caller that has given up before its turn wants nothing done.
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


def _report(entries: list[_Entry]) -> None:
    """Wake the loop once for all whose work has ended."""
    loop = entries[0].ended.get_loop()
    try:
        loop.call_soon_threadsafe(_end, entries)
    except RuntimeError:
        # The loop is gone, and with it whoever waited.
        return


def _end(entries: list[_Entry]) -> None:
    for job, ended in entries:
        try:
            job.end()
        except Exception:  # noqa: BLE001 (all others in the commit have to hear of theirs)
            _log.exception("what follows a transaction failed")
        if not ended.done():
            ended.set_result(None)


def _path_of(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()["file"])


def _open(path: Path, vault: Vault) -> sqlite3.Connection:
    try:
        return connect(path, vault)
    except (sqlite3.Error, OSError) as failure:
        raise _unusable(path, failure) from failure


def _unusable(path: Path, failure: Exception) -> Unusable:
    return Unusable(f"{path} can't be used as Ringback's data file: {failure}")


def _is_sealed(path: Path) -> bool:
    # Reading what is in WAL mode can take writing; but never is a file made.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        (knows,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'sealed_with'"
        ).fetchone()
        return (
            bool(knows) and connection.execute("SELECT 1 FROM sealed_with").fetchone() is not None
        )


def connect(path: Path | str, vault: Vault) -> sqlite3.Connection:
    """Return a connection to a file whose schema is up to date, and whose secrets are sealed."""
    if isinstance(path, Path):
        # Made before SQLite opens it, since SQLite gives the files beside it the same mode.
        path.touch(mode=0o600)
        path.chmod(0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_PREPARED
    )
    try:
        connection.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _bring_up_to_date(connection)
        seal_all(connection, vault)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    for function in FUNCTIONS:
        count = function.__code__.co_argcount
        connection.create_function(function.__name__, count, function, deterministic=True)
    connection.create_function("device_ip_of", 1, DeviceAddresses().device_ip_of)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in pending(files("ringback.stores.sqlite") / "migrations", version=version):
        connection.executescript(
            f"BEGIN; {step.sql}; PRAGMA user_version = {step.version}; COMMIT;"
        )
    # It would keep the addresses that it has given.
    connection.create_function("device_ip_of", 1, None)
