"""A small file beside the data file that says up to which commit it is known to be on disk.

A data file that is older than that has lost something: its WAL was deleted, or an old copy was put
in its place. SQLite can't tell. So the data file has a number that grows (its `application_id`,
which SQLite leaves to applications), at most once a second and within a commit that writes anyway;
the small file gets the number once that commit is durable. Whatever dies when, it is never ahead,
and it costs no `fsync`.

The file also names the boot of the machine in which a server last had the data: what processes left
in shared memory is valid only until the machine restarts. While a new data file is being created,
the number is 0: there is nothing yet that could be lost.
"""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

EVERY: Final = 1.0
"""Seconds between two numbers."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_TEXT: Final = re.compile(r"(\d{10}) ([0-9a-f-]*)\n")


class DurableCommitMark(NamedTuple):
    """What the file says."""

    number: int
    boot: str = ""
    """Empty if no server had the data yet, or the system gives boots no id."""

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the machine has not been restarted since."""
        return self.boot != "" and self.boot == this_boot()


def mark_path(database: Path) -> Path:
    """Return the path of the watermark file."""
    return database.with_suffix(".watermark")


def read_mark(database: Path) -> DurableCommitMark | None:
    """Return what the file says, or None if it is missing or damaged."""
    try:
        text = mark_path(database).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    # A power cut may have come before its first bytes were on disk.
    found = _TEXT.fullmatch(text) if text else _TEXT.fullmatch(_line(DurableCommitMark(0)))
    return found and DurableCommitMark(int(found[1]), found[2])


def write_mark(database: Path, mark: DurableCommitMark) -> None:
    """Write the file, to disk if that is possible."""
    with suppress(OSError):
        descriptor = os.open(mark_path(database), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, mark)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def number_in(connection: sqlite3.Connection) -> int:
    """Return the number of the data file; 0 if it never got one."""
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    return number


def this_boot() -> str:
    """Return the id of the machine's present boot; empty if the system gives none."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class CommitNumbering:
    """Numbers the commits of a connection; only the owner of the data file does that."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        database: Path,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin with the data file's number."""
        self._connection = connection
        self._clock = clock
        if not number_in(connection):
            # On a full disk it gets its first number later.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA application_id = 1")
        self._number = number_in(connection)
        self._boot = this_boot()
        self._next = clock()
        self._changes = connection.total_changes
        self._is_new = False
        self._file = mark_path(database)
        if self._number:
            write_mark(database, DurableCommitMark(self._number, self._boot))

    def before_commit(self) -> None:
        """Give the commit a new number if it writes and the last number is a second old."""
        changes = self._connection.total_changes
        if changes == self._changes:
            return
        self._changes = changes
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY
            self._is_new = True
            self._connection.execute(f"PRAGMA application_id = {self._number + 1}")

    def after_commit(self) -> None:
        """Write the commit's number to the small file, now that the commit is durable."""
        if self._is_new:
            self._is_new = False
            self._number += 1
            with suppress(OSError), self._file.open("r+b", buffering=0) as file:
                _write(file.fileno(), DurableCommitMark(self._number, self._boot))

    def undone(self) -> None:
        """Take back the number of a commit that was undone."""
        if self._is_new:
            self._is_new = False
            self._next = self._clock()


def _line(mark: DurableCommitMark) -> str:
    return f"{mark.number:010} {mark.boot}\n"


def _write(descriptor: int, mark: DurableCommitMark) -> None:
    """Overwrite the line within one sector, so that nobody ever reads half of it."""
    line = _line(mark).encode()
    os.pwrite(descriptor, line, 0)
    os.ftruncate(descriptor, len(line))
