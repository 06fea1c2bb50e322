"""One process for one data file: a lock that ends with its process, however that ends."""

import fcntl
import os
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Self

from ringback.core.errors import Unusable


@dataclass(frozen=True, slots=True)
class FileLock:
    """Holds a lock file that names the process which holds it."""

    file: TextIOWrapper

    @classmethod
    def take(cls, path: Path) -> Self:
        """Take the lock.

        Raises Unusable, naming the process, where another one holds it; and where there can be
        no such file.
        """
        try:
            file = path.open("a+", encoding="ascii")
        except OSError as failure:
            raise Unusable(
                f"nothing can be written in {path.parent}: {failure.strerror};"
                " choose another folder with --data"
            ) from failure
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise Unusable(
                f"the data in {path.parent} is in use by process {holder};"
                " stop it, or choose another folder with --data"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return cls(file)

    def release(self) -> None:
        """Let another process have it."""
        self.file.close()
