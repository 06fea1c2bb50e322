"""A lock that lets only one process own a data file; it is released when the process ends."""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from time import sleep
from typing import Final, Self

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing

if sys.platform != "win32":
    import fcntl

_TRIES: Final = 3
_PAUSE: Final = 0.05
"""Seconds between tries to take the lock, which `holder` in another process holds briefly."""


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock on a data file, taken by this process; the lock file contains the process's id."""

    file: TextIOWrapper

    @classmethod
    def take(cls, database: Path) -> Self:
        """Take the lock of a data file.

        Raises ConfigurationError if another process holds the lock (the message has its id), or if
        the lock file can't be created.
        """
        path = _lock_path(database)
        with refusing(
            f"the folder {path.parent} can't be written to", "choose another folder with --data"
        ):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        file = os.fdopen(descriptor, "r+", encoding="ascii")
        if not _lock(file):
            holder = _named_in(file)
            file.close()
            raise ConfigurationError(
                f"the data in {path.parent} is in use by process {holder};"
                " stop it, or choose another folder with --data"
            )
        # On a full disk the process id can't be written, but the lock works all the same.
        with suppress(OSError):
            name = f"{os.getpid()}\n".encode()
            os.pwrite(descriptor, name, 0)
            os.ftruncate(descriptor, len(name))
        return cls(file)

    @staticmethod
    def holder(database: Path) -> str | None:
        """Return the id of the process that holds the lock; None if no process does."""
        try:
            with _lock_path(database).open(encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _named_in(file)
                return None
        except OSError:
            return None

    def release(self) -> None:
        """Release the lock, so that another process can own the data file."""
        self.file.close()


def _lock_path(database: Path) -> Path:
    return database.with_suffix(".lock")


def _lock(file: TextIOWrapper) -> bool:
    for turn in range(_TRIES):
        sleep(_PAUSE if turn else 0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        return True
    return False


def _named_in(file: TextIOWrapper) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
