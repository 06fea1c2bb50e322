"""A store of received callbacks in an SQLite file that all processes of a machine can share."""

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
from ringback.receiver.dedupe.claims import ClaimTableDedupe, Work, finish
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
    "SQLITE_CANTOPEN": "it can't be opened or created",
    "SQLITE_BUSY": f"other processes kept it locked for {_PATIENCE:.0f} s",
    "SQLITE_FULL": "the disk is full",
}


class SqliteDedupe(ClaimTableDedupe):
    """A `DedupeStore` in an SQLite file, shared by the threads and processes of one machine.

    The file is created at first use; its folder must exist. Don't put the file on a network drive,
    since file locks don't work there. Nothing is lost if a process is killed. After a power
    failure, the last records may be missing, and their work may be done again.

    A process has one connection, which its threads use in turn. The connection is closed before the
    process forks, since SQLite connections don't survive a fork. Parent and child then each open a
    new one.
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
        """Close this process's connection; the next use of the store opens a new one."""
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        """Close the connection when the store is garbage-collected."""
        self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before_fork(self) -> None:
        """Close the connection, and keep threads from opening one until the process has forked."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Allow threads of the parent process to use the store again."""
        self._lock.release()

    def begin_as_child(self) -> None:
        """Reset the store in the child process: a new lock, and no connection.

        This works even if `before_fork` was not called: a server written in C may fork without
        running Python's hooks first.
        """
        self._lock, self._connection = Lock(), None

    def _at_once(self, work: Work[T]) -> T:
        if not self._lock.acquire(timeout=_PATIENCE):
            raise DedupeUnavailable(f"{self._path}: {_WRONG['SQLITE_BUSY']}")
        try:
            return self._in_transaction(work)
        except sqlite3.Error as failure:
            # The cause may be the connection or the file it has open, so the next use reconnects.
            self._disconnect()
            raise DedupeUnavailable(f"{self._path}: {self._what_is_wrong(failure)}") from failure
        finally:
            self._lock.release()

    def _in_transaction(self, work: Work[T]) -> T:
        if self._connection is None:
            self._connection = _connect(self._path)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            table = SqlDedupeClaimTable(self._connection.cursor(), _STATEMENTS)
            return finish(work(table, self._clock()))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _what_is_wrong(self, failure: sqlite3.Error) -> str:
        if not self._path.parent.is_dir():
            return "its folder does not exist"
        if self._path.is_dir():
            return "it is a folder; give a file, or a name that does not exist yet"
        return next((text for name, text in _WRONG.items() if _is(failure, name)), str(failure))


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are begun explicitly: IMMEDIATE takes the write lock before anything is read, so
    # that two processes can't read the same row and both claim it.
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _write_ahead(connection)
        # Commits don't wait for the disk; the class docstring says what a power failure may lose.
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
    """Turn the write-ahead log on, retrying while another process does the same.

    SQLite's own timeout does not cover this. Raises sqlite3.OperationalError after 10 s.
    """
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
    """Return True if SQLite's name for the error begins with `name`.

    Errors raised by the sqlite3 module itself have no such name.
    """
    return getattr(failure, "sqlite_errorname", "").startswith(name)


def _close_at_fork(seen: weakref.ref[SqliteDedupe]) -> None:
    """Register hooks that close the store's connection at each fork, while the store exists."""
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
