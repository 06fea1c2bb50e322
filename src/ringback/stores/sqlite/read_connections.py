"""Runs reads in parallel with commits, on read-only connections in a few threads.

A read sees everything that was committed before it began. Reads and commits don't wait for each
other. At most one read of an account runs at a time, so that an account with many reads doesn't
delay others. More threads would be slower, because they compete for the interpreter lock.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple, NoReturn

from ringback.core.errors import QueryTimeout, StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.encryption import SecretCipher
from ringback.stores.sqlite.group_commit import TABLES, SqliteTransaction
from ringback.stores.sqlite.write_batch import WriteBatch

MOST_THREADS: Final = 4
LONGEST: Final = 5.0
"""The maximum seconds for a read: while it runs, the write-ahead log can't be truncated."""
_STEPS: Final = 20_000
"""The number of SQLite steps between two checks of the time limit: about a millisecond."""
_PRAGMAS: Final = ("PRAGMA query_only = ON", "PRAGMA cache_size = -1024")  # KiB


class ReadOnlyBatch(WriteBatch):
    """A WriteBatch that refuses to write."""

    def queue(self, *_: Any, **__: Any) -> NoReturn:
        """Raise RuntimeError: a read must not queue rows."""
        raise _writes()

    def write(self, *_: Any, **__: Any) -> NoReturn:
        """Raise RuntimeError: a read must not write."""
        raise _writes()


class ReadConnection:
    """A read-only connection to the data file, which runs one read at a time."""

    def __init__(self, path: Path, cipher: SecretCipher, *, longest: float = LONGEST) -> None:
        """Open the file for reading; raises sqlite3.Error if it can't be opened."""
        self._longest = longest
        self._until = 0.0
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            self._connection.execute(pragma)
        self._connection.set_progress_handler(self._is_overdue, _STEPS)
        self._transaction = SqliteTransaction(ReadOnlyBatch(self._connection, TABLES), cipher)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        """Run the work in a read transaction, and return its result.

        Raises QueryTimeout if the work takes too long, RuntimeError if it writes, sqlite3.Error if
        the database fails, and any error that the work raises.
        """
        self._until = perf_counter() + self._longest
        self._connection.execute("BEGIN")
        try:
            self._transaction.begin_commit()
            result = work(self._transaction)
            if self._transaction.endings:
                raise _writes()
            return result
        except sqlite3.OperationalError:
            if not self._is_overdue():
                raise
            raise QueryTimeout(
                f"reading the requested data took longer than {self._longest:g} s,"
                " and was stopped; request less at once, with a filter or a shorter"
                " period"
            ) from None
        finally:
            self._transaction.endings.clear()
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _is_overdue(self) -> bool:
        return perf_counter() > self._until


class _Read(NamedTuple):
    """A waiting or running read: its work, the account that asked for it, and its future."""

    work: Callable[[Transaction], Any]
    asked_by: str
    ended: asyncio.Future[Any]


class ReadConnectionPool:
    """Runs reads in a few threads, which are started as needed."""

    def __init__(self, path: Path, cipher: SecretCipher, *, longest: float = LONGEST) -> None:
        self._path = path
        self._cipher = cipher
        self._longest = longest
        self._changed = threading.Condition()
        # Accounts in the order in which they will be served: the one served last is at the end.
        self._waiting = dict[str, deque[_Read]]()
        self._running = set[str]()
        self._threads = list[threading.Thread]()
        self._is_held = False
        self._is_closed = False

    async def read(self, work: Callable[[Transaction], Any], asked_by: str) -> Any:
        """Run the work in a thread when it is the account's turn; see `ports.Store.read`."""
        read = _Read(work, asked_by, asyncio.get_running_loop().create_future())
        with self._changed:
            self._waiting.setdefault(asked_by, deque()).append(read)
            if len(self._threads) < min(MOST_THREADS, self._asked_for()):
                self._start()
            self._changed.notify()
        return await read.ended

    def hold(self) -> bool:
        """Start no new reads until `release`; return True if no read is running now."""
        with self._changed:
            self._is_held = True
            return not self._running

    def release(self) -> None:
        """Start reads again after `hold`."""
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def close(self) -> None:
        """Finish the waiting reads, then end the threads and close their connections."""
        with self._changed:
            self._is_closed, self._is_held = True, False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _asked_for(self) -> int:
        """Return how many threads are useful: one per account with waiting or running reads."""
        return len(self._running | self._waiting.keys())

    def _start(self) -> None:
        name = f"ringback-reader-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as trouble:
            # If other threads exist, they run the reads.
            if not self._threads:
                self._waiting.clear()
                raise StoreUnavailable(f"the database can't be read just now: {trouble}") from None
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        reader: ReadConnection | None = None
        while (read := self._take()) is not None:
            result: Any = None
            failure: Exception | None = None
            try:
                reader = reader or ReadConnection(self._path, self._cipher, longest=self._longest)
                result = reader.run(read.work)
            except sqlite3.Error as trouble:
                reader = _closed(reader)
                failure = StoreUnavailable(f"the database can't be read just now: {trouble}")
            except Exception as own:  # noqa: BLE001 (passed on to the caller of `read`)
                failure = own
            self._end(read)
            _report(read.ended, result, failure)
        _closed(reader)

    def _take(self) -> _Read | None:
        """Wait for the next read and return it; None if the pool is closed and no read is left."""
        with self._changed:
            while (read := self._next()) is None:
                if self._is_closed and not self._waiting:
                    return None
                self._changed.wait()
            self._running.add(read.asked_by)
            return read

    def _next(self) -> _Read | None:
        """Return the next read, or None. Accounts take turns, and have at most one running read."""
        asked_by = next((one for one in self._waiting if one not in self._running), None)
        if asked_by is None or self._is_held:
            return None
        waiting = self._waiting.pop(asked_by)
        read = waiting.popleft()
        if waiting:
            self._waiting[asked_by] = waiting
        return read

    def _end(self, read: _Read) -> None:
        with self._changed:
            self._running.remove(read.asked_by)
            self._changed.notify_all()


def _report(ended: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    def end() -> None:
        if ended.done():
            return
        if failure is None:
            ended.set_result(result)
        else:
            ended.set_exception(failure)

    try:
        ended.get_loop().call_soon_threadsafe(end)
    except RuntimeError:
        # The event loop is closed, so nobody waits for the result any more.
        return


def _closed(reader: ReadConnection | None) -> None:
    if reader is not None:
        reader.close()


def _writes() -> RuntimeError:
    return RuntimeError("this work must only read, but it writes; use Store.transact for that")
