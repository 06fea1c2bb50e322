"""Runs reads in parallel with commits, on read-only connections in a few threads.

A read sees everything that was committed before it began. Reads and commits don't wait for each
other. At most one read of an account runs at a time, so that an account with many reads doesn't
delay others. More threads would be slower, because they compete for the interpreter lock.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from ringback.core.errors import QueryTimeout, StoreUnavailable, reason_of
from ringback.ports import Transaction

MOST_THREADS: Final = 4
LONGEST: Final = 5.0
"""The maximum seconds for a read."""


def too_slow(longest: float) -> QueryTimeout:
    """Return the error of a read that took longer than this many seconds."""
    return QueryTimeout(
        f"reading the requested data took longer than {longest:g} s, and was stopped; request less"
        " at once, with a filter or a shorter period"
    )


def _unreadable(trouble: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the database can't be read just now: {reason_of(trouble)}")


class Reader(Protocol):
    """A read-only connection, which runs one read at a time."""

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        """Run the work in a transaction that only reads, and return its result.

        Raises QueryTimeout if the work takes too long, RuntimeError if it writes, and any error of
        the work or of the database.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class _Read(NamedTuple):
    """A waiting or running read: its work, the account that asked for it, and its future."""

    work: Callable[[Transaction], Any]
    asked_by: str
    ended: asyncio.Future[Any]


class ReadConnectionPool:
    """Runs reads in a few threads, which are started as needed."""

    def __init__(
        self,
        connect: Callable[[], Reader],
        errors: type[Exception],
        unavailable: Callable[[Exception], StoreUnavailable] = _unreadable,
    ) -> None:
        """Connect with `connect`, as often as needed, and anew after one of these `errors`.

        `unavailable` makes the error that callers of `read` get instead.
        """
        self._connect = connect
        self._errors = errors
        self._unavailable = unavailable
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
        reader: Reader | None = None
        while (read := self._take()) is not None:
            result: Any = None
            failure: Exception | None = None
            try:
                reader = reader or self._connect()
                result = reader.run(read.work)
            except self._errors as trouble:
                reader = _closed(reader)
                failure = self._unavailable(trouble)
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


def _closed(reader: Reader | None) -> None:
    if reader is not None:
        reader.close()
