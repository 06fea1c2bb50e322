"""Checks that the disk has room for the data that one request writes."""

import errno
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ringback.stores.sql.write_batch import WriteBatch

_BYTES: Final = 512 << 10
"""The number of bytes to check for; one request writes less, even with its index entries."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_WANT_OF_ROOM: Final = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Checks the free space of the disk that a database is on."""

    folder: Path | None
    """The database's folder; None if the database is in memory."""
    wanted: str = f"{_BYTES >> 10} KiB"

    @classmethod
    def beside(cls, session: WriteBatch) -> Self:
        """Return the `DiskSpace` for the disk of the batch's database."""
        (_, _, path) = session.read("PRAGMA database_list").fetchone()
        return cls(Path(path).parent if path else None)

    def is_there(self) -> bool:
        """Return True if there is room; checked by creating and deleting a temporary file.

        Only a full disk counts as no room: the database itself reports other problems.
        """
        if self.folder is None:
            return True
        try:
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                file.write(bytes(_BYTES))
                # Some file systems report only here that they are full.
                file.flush()
        except OSError as failure:
            return failure.errno not in _FULL
        return True


def is_want_of_room(failure: Exception) -> bool:
    """Return True if SQLite or the system raised this error because the disk is full."""
    name, number = getattr(failure, "sqlite_errorname", None), getattr(failure, "errno", None)
    return name in _WANT_OF_ROOM or number in _FULL
