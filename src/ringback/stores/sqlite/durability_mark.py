"""The watermark file, which contains the number of the last numbered commit known to be on disk.

A data file that is older than its watermark has lost data: its WAL was deleted, or an old copy
replaced the file. SQLite doesn't notice that.

At most one commit a second gets a number, which is stored in the data file. The watermark file
gets the number only when the commit is durable, so it is never ahead of the data.

The watermark file also contains the id of the machine's boot in which a server last used the data.
If the machine has restarted since, SQLite's index of the WAL, which is in shared memory, is not
trusted: a restart can leave an old index behind.
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
"""The shortest time in seconds between two commits that get a number."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_TEXT: Final = re.compile(r"(\d{10}) ([0-9a-f-]*)\n")


class DurableCommitMark(NamedTuple):
    """The content of the watermark file: a commit number and the id of a boot."""

    number: int
    """The last numbered commit known to be on disk; 0 while the data file is being created."""
    boot: str = ""
    """Id of the boot in which a server last used the data; empty if unknown or never used."""

    @property
    def is_of_this_boot(self) -> bool:
        """True if the machine has not restarted since a server last used the data."""
        return self.boot != "" and self.boot == this_boot()


def mark_path(database: Path) -> Path:
    """Return the path of the data file's watermark file."""
    return database.with_suffix(".watermark")


def read_mark(database: Path) -> DurableCommitMark | None:
    """Return the content of the watermark file, or None if it is missing or damaged."""
    try:
        text = mark_path(database).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    # An empty file counts as number 0: there was a power cut before its first bytes were on disk.
    found = _TEXT.fullmatch(text) if text else _TEXT.fullmatch(_line(DurableCommitMark(0)))
    return found and DurableCommitMark(int(found[1]), found[2])


def write_mark(database: Path, mark: DurableCommitMark) -> None:
    """Write the watermark file and sync it to disk; errors are ignored."""
    with suppress(OSError):
        descriptor = os.open(mark_path(database), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, mark)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def number_in(connection: sqlite3.Connection) -> int:
    """Return the commit number in the data file; 0 if it has none yet."""
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    return number


def this_boot() -> str:
    """Return the id of the machine's current boot; empty if the system has no boot id."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class CommitNumbering:
    """Numbers the owner's commits to a data file, and updates the watermark file."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        database: Path,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Continue from the commit number in the data file; `clock` counts seconds."""
        self._connection = connection
        self._clock = clock
        if not number_in(connection):
            # On a full disk this fails, and the file gets its first number later.
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
        """Number the coming commit if it changes rows and the last number is a second old."""
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
        """Write the number of the commit to the watermark file, now that the commit is durable."""
        if self._is_new:
            self._is_new = False
            self._number += 1
            with suppress(OSError), self._file.open("r+b", buffering=0) as file:
                _write(file.fileno(), DurableCommitMark(self._number, self._boot))

    def undone(self) -> None:
        """Note that the commit was rolled back, so that its number is given to a later commit."""
        if self._is_new:
            self._is_new = False
            self._next = self._clock()


def _line(mark: DurableCommitMark) -> str:
    return f"{mark.number:010} {mark.boot}\n"


def _write(descriptor: int, mark: DurableCommitMark) -> None:
    """Overwrite the line in the file; it fits in one disk sector, so it is never half written."""
    line = _line(mark).encode()
    os.pwrite(descriptor, line, 0)
    os.ftruncate(descriptor, len(line))
