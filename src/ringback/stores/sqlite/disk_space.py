"""Whether the disk has room for what a request writes."""

import errno
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ringback.stores.sqlite.write_batch import WriteBatch

_BYTES: Final = 512 << 10
"""More than a request writes, including its share of the indexes."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_WANT_OF_ROOM: Final = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk that a database is on."""

    folder: Path | None
    """None where it is in memory."""
    wanted: str = f"{_BYTES >> 10} KiB"

    @classmethod
    def beside(cls, session: WriteBatch) -> Self:
        """Return the disk of the database that this session is of."""
        (_, _, path) = session.read("PRAGMA database_list").fetchone()
        return cls(Path(path).parent if path else None)

    def is_there(self) -> bool:
        """Whether a file of this size can be created; it is deleted again when this returns.

        If that fails for another reason than room, the database itself reports what is wrong.
        """
        if self.folder is None:
            return True
        try:
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                file.write(bytes(_BYTES))
                # Some file systems notice only here that they are full.
                file.flush()
        except OSError as failure:
            return failure.errno not in _FULL
        return True


def is_want_of_room(failure: sqlite3.Error) -> bool:
    """Whether an operation failed because the disk is full."""
    return getattr(failure, "sqlite_errorname", None) in _WANT_OF_ROOM
