"""Read-only connections to the data file."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from ringback.ports import Transaction
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.read_pool import LONGEST, too_slow
from ringback.stores.sql.write_batch import WriteRefusal, writes
from ringback.stores.sqlite.group_commit import TABLES, SqliteTransaction
from ringback.stores.sqlite.write_batch import SqliteWriteBatch

_STEPS: Final = 20_000
"""The number of SQLite steps between two checks of the time limit: about a millisecond."""
_PRAGMAS: Final = ("PRAGMA query_only = ON", "PRAGMA cache_size = -1024")  # KiB


class SqliteReadOnlyBatch(WriteRefusal, SqliteWriteBatch):
    """A batch that refuses to write."""


class SqliteReader:
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
        self._transaction = SqliteTransaction(SqliteReadOnlyBatch(self._connection, TABLES), cipher)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        """Run the work in a read transaction, and return its result; see `Reader.run`."""
        self._until = perf_counter() + self._longest
        self._connection.execute("BEGIN")
        try:
            self._transaction.begin()
            result = work(self._transaction)
            if self._transaction.endings:
                raise writes()
            return result
        except sqlite3.OperationalError:
            if not self._is_overdue():
                raise
            raise too_slow(self._longest) from None
        finally:
            self._transaction.endings.clear()
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _is_overdue(self) -> bool:
        return perf_counter() > self._until
