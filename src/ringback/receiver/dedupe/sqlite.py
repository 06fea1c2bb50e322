"""What was seen, in one SQLite file that all processes of a machine share."""

import os
import sqlite3
import weakref
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Final, Self, TypeVar

from ringback.receiver import system_clock
from ringback.receiver.dedupe.claims import ClaimTableDedupe, Work
from ringback.receiver.dedupe.dedupe_store import DedupeUnavailable
from ringback.receiver.dedupe.sql_claims import SCHEMA, DedupeClaimStatements, SqlDedupeClaimTable

T = TypeVar("T")

_TABLE: Final = "ringback_seen"
_STATEMENTS: Final = DedupeClaimStatements.of(_TABLE, mark="?")
_SCHEMA: Final = [statement.format(table=_TABLE, name=_TABLE) for statement in SCHEMA]
_PATIENCE: Final = 10.0  # seconds
_PAUSE: Final = 0.02  # seconds
_WRONG: Final = {
    "SQLITE_NOTADB": "it is not a SQLite database",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_READONLY": "it can't be written to",
    "SQLITE_CANTOPEN": "it can't be opened or made",
    "SQLITE_BUSY": f"others kept it locked for {_PATIENCE:.0f} s",
    "SQLITE_FULL": "the disk is full",
}


class SqliteDedupe(ClaimTableDedupe):
    """Answers `DedupeStore` for all threads and processes of one machine that use the same file.

    The file is made at first use, in a folder that must be there; on a network drive its locks do
    not hold. A process may be killed at any moment, and nothing is lost. A loss of power may take
    the last instants with it: what was done in them may be done once more.

    A process has one connection, which its threads use in turn. It is closed before the process
    forks, and both open their own: a connection to SQLite does not survive that.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Callable[[], datetime] = system_clock.now
    ) -> None:
        self._connection: sqlite3.Connection | None = None
        self._path = Path(path).absolute()
        self._clock = clock
        self._lock = Lock()
        _close_at_fork(weakref.ref(self))

    def close(self) -> None:
        """Close this process's connection; whoever asks again opens another."""
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        """Leave no connection open that nobody can use any more."""
        self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before_fork(self) -> None:
        """Have no connection, and let nobody make one, until the process has forked."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Go on, in the process that has forked."""
        self._lock.release()

    def begin_as_child(self) -> None:
        """Begin anew, in the process that was forked off, even where nobody has said so before.

        A server written in C may fork without asking Python first.
        """
        self._lock, self._connection = Lock(), None

    def _at_once(self, work: Work[T]) -> T:
        if not self._lock.acquire(timeout=_PATIENCE):
            raise DedupeUnavailable(f"{self._path}: {_WRONG['SQLITE_BUSY']}")
        try:
            return self._in_transaction(work)
        except sqlite3.Error as failure:
            # What is wrong may be the connection, or the file that it was opened on.
            self._disconnect()
            raise DedupeUnavailable(f"{self._path}: {self._what_is_wrong(failure)}") from failure
        finally:
            self._lock.release()

    def _in_transaction(self, work: Work[T]) -> T:
        if self._connection is None:
            self._connection = _connect(self._path)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            return work(SqlDedupeClaimTable(self._connection.cursor(), _STATEMENTS), self._clock())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _what_is_wrong(self, failure: sqlite3.Error) -> str:
        if not self._path.parent.is_dir():
            return "its folder does not exist"
        if self._path.is_dir():
            return "it is a folder; it must be a file, or nothing yet"
        return next((text for name, text in _WRONG.items() if _is(failure, name)), str(failure))


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are begun by hand: IMMEDIATE takes the write lock before anything is read, so two
    # processes can't read the same row and both claim it.
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _write_ahead(connection)
        # No commit waits for the disk; the class says what a loss of power then costs.
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite itself does not wait for others who do so just now."""
    until = monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as failure:
            if not _is(failure, "SQLITE_BUSY") or monotonic() > until:
                raise
            sleep(_PAUSE)
        else:
            return


def _is(failure: sqlite3.Error, name: str) -> bool:
    """Whether SQLite named a failure so; an error of the module itself has no such name."""
    return getattr(failure, "sqlite_errorname", "").startswith(name)


def _close_at_fork(seen: weakref.ref[SqliteDedupe]) -> None:
    """Close a store's connection around each fork, for as long as there is the store."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lambda: _tell(seen, SqliteDedupe.before_fork),
            after_in_parent=lambda: _tell(seen, SqliteDedupe.after_fork),
            after_in_child=lambda: _tell(seen, SqliteDedupe.begin_as_child),
        )


def _tell(seen: weakref.ref[SqliteDedupe], what: Callable[[SqliteDedupe], None]) -> None:
    store = seen()
    if store is not None:
        what(store)
