"""Keeps SQLite's write-ahead log (the file that ends in `-wal`) short.

SQLite can start the log over only when nobody reads from it, so constant reads would make it grow
forever. When the log is large, new reads wait until the running reads have ended; then the log is
truncated. It is also truncated when the store is idle.

Another process can also read, for minutes if it makes a backup. Then waiting is in vain, so it is
tried less and less often, and the log grows until that process is done.
"""

import sqlite3
from pathlib import Path
from typing import Final

from ringback.stores.sql.read_pool import ReadConnectionPool
from ringback.stores.sqlite.wal_integrity import wal_path

SMALL: Final = 20 * 1024 * 1024
"""Size in bytes up to which the log is not truncated.

It is a little more than the 4000 pages after which SQLite itself tries to start the log over.
"""
_LARGE: Final = 4 * SMALL
_LOOK_EVERY: Final = 1.0
_HELD: Final = 0.02
"""Seconds between two checks while new reads have to wait."""
_LONGEST_PAUSE: Final = 64.0
"""The most seconds for which reads need not wait after they have waited in vain."""


class WalCheckpointer:
    """Truncates the write-ahead log of one database, in the thread that commits."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, readers: ReadConnectionPool
    ) -> None:
        self._connection = connection
        self._path = wal_path(path)
        self._readers = readers
        self._look_at = 0.0
        self._is_held = False
        self._pause = 0.0
        """For how many seconds reads need not wait, after they have waited in vain."""
        self._hold_again = 0.0
        self._is_in_question = True

    @property
    def patience(self) -> float | None:
        """The maximum seconds to wait for a commit before calling `look`; None for no maximum."""
        if self._is_held:
            return _HELD
        return _LOOK_EVERY if self._is_in_question else None

    def look(self, now: float, *, is_idle: bool) -> None:
        """Truncate the log if necessary and possible; call after commits and when idle.

        `now` is the time in seconds by `perf_counter`.
        """
        if not is_idle:
            self._is_in_question = True
        if not is_idle and now < self._look_at:
            return
        self._look_at = now + (_HELD if self._is_held else _LOOK_EVERY)
        size = self._size()
        if self._is_held or (size > _LARGE and now >= self._hold_again):
            self._hold(now)
        elif is_idle:
            # Look again later if another process has prevented the truncation.
            self._is_in_question = size > SMALL and not self._cut()

    def _hold(self, now: float) -> None:
        """Let new reads wait; if none is running, truncate the log and let reads start again."""
        self._is_held = True
        if self._readers.hold():
            is_cut = self._cut()
            self._pause = 0.0 if is_cut else min(max(2 * self._pause, _LOOK_EVERY), _LONGEST_PAUSE)
            self._hold_again = now + self._pause
            self._is_held = False
            self._readers.release()

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _cut(self) -> bool:
        """Copy the log into the database and truncate it; return False if another process reads."""
        (wait_ms,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        try:
            self._connection.execute("PRAGMA busy_timeout = 0")
            is_busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy
        except sqlite3.Error:
            # The next commit meets the same problem, and reports it.
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
