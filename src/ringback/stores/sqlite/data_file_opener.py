"""Opens the data file, and refuses a file that has lost data.

One process, usually the server, is the owner of the file: only the owner may claim callbacks and
upgrade the schema. Other processes can open the file at the same time.
"""

import logging
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.sqlite.data_loss import refuse_damaged_data, refuse_older_data
from ringback.stores.sqlite.disk_space import is_want_of_room
from ringback.stores.sqlite.durability_mark import (
    CommitNumbering,
    DurableCommitMark,
    number_in,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.pre_upgrade_backup import copy_before_upgrade
from ringback.stores.sqlite.schema_upgrade import (
    BeforeUpgrade,
    SchemaVersionGap,
    allow,
    bring_up_to_date,
    gap_of,
    open_existing,
    refusal_beside,
)
from ringback.stores.sqlite.seal_key_rotation import seal_all
from ringback.stores.sqlite.wal_checkpointer import SMALL

_log = logging.getLogger(__name__)

_PRAGMAS: Final = (
    "PRAGMA page_size = 8192",  # of a new file; a row with its request is up to 1 KiB
    "PRAGMA journal_mode = WAL",
    # A commit must be on disk when it returns, since an acknowledgement promises that.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",  # KiB
    "PRAGMA wal_autocheckpoint = 2000",  # pages
    # If the log grew beyond this size during reads, the next commit afterwards truncates it.
    f"PRAGMA journal_size_limit = {SMALL}",
    "PRAGMA cell_size_check = ON",  # a damaged page is noticed when it is read
)
_PREPARED: Final = 256
_SEALED_SINCE: Final = 5
"""The first schema version in which secrets are encrypted."""

Reopen = Callable[[], "OpenDataFile"]


class OpenDataFile(NamedTuple):
    """An open data file: its connection, its commit numbers, and how to open it again."""

    connection: sqlite3.Connection
    watermark: CommitNumbering | None = None
    reopen: Reopen | None = None
    """Opens the file again for several connections; None unless a full disk allows only one."""


def open_as_owner(
    path: Path,
    cipher: SecretCipher,
    *,
    copied: Callable[[Path], None] | None = None,
    accept_data_loss: bool = False,
) -> OpenDataFile:
    """Open or create the data file as its only owner; back up and upgrade an older schema.

    The caller must hold the file's lock. `copied` is called with the path of the backup; by default
    the path is logged. Raises ConfigurationError if the file can't be used. Also raises it if the
    file is damaged or older than the data that was here before, unless `accept_data_loss` is set.
    """
    mark = read_mark(path)
    with _refusing_unusable(path):
        connection, reopen = _connect_as_owner(path, cipher, copied)
        with on_failure(connection.close):
            if not accept_data_loss:
                refuse_older_data(path, connection, mark)
                refuse_damaged_data(path, connection)
            watermark = None if reopen else CommitNumbering(connection, path)
            return OpenDataFile(connection, watermark, reopen)


def open_beside(path: Path, cipher: SecretCipher) -> sqlite3.Connection:
    """Open the data file while its owner may be using it; create it if missing, never upgrade it.

    Raises ConfigurationError if the file can't be used, has lost data, or has an older schema.
    """

    def refuse(_: sqlite3.Connection, gap: SchemaVersionGap) -> None:
        raise refusal_beside(path, gap)

    with _refusing_unusable(path):
        mark = read_mark(path)
        connection = connect(path, cipher, before=refuse)
        with on_failure(connection.close):
            refuse_older_data(path, connection, mark)
    if mark is not None and not mark.number:
        # The file was created just now: from here on it has data that can be lost.
        write_mark(path, DurableCommitMark(number_in(connection)))
    return connection


def refuse_to_upgrade(path: Path) -> None:
    """Raise ConfigurationError if the file can't be read, or if its schema isn't the newest."""
    with _refusing_unusable(path):
        gap = gap_of(path)
    if gap is not None:
        raise refusal_beside(path, gap)


def is_sealed(path: Path) -> bool:
    """Return True if this data file exists and its secrets are encrypted; changes nothing.

    Raises ConfigurationError if the file can't be read.
    """
    with _refusing_unusable(path):
        return path.exists() and _is_sealed(path)


def connect(
    path: Path | str, cipher: SecretCipher, *, before: BeforeUpgrade = allow, alone: bool = False
) -> sqlite3.Connection:
    """Open the file, upgrade its schema, encrypt its secrets, and return the connection.

    `before` is called before an older schema is upgraded. With `alone`, no other connection can use
    the file. SQLite then needs no shared-memory file, for which a full disk has no room.
    """
    if isinstance(path, Path):
        # Set the mode before SQLite opens the file: SQLite gives `-wal` and `-shm` the same mode.
        path.touch(mode=0o600)
        path.chmod(0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_PREPARED
    )
    with on_failure(connection.close):
        connection.row_factory = sqlite3.Row
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        bring_up_to_date(connection, before)
        seal_all(connection, cipher)
    return connection


@contextmanager
def _refusing_unusable(path: Path) -> Generator[None]:
    """Turn SQLite and OS errors in the block into a ConfigurationError about the data file."""
    try:
        yield
    except (sqlite3.Error, OSError) as failure:
        raise ConfigurationError(
            f"{path} can't be used as Ringback's data file: {failure}"
        ) from failure


def _connect_as_owner(
    path: Path, cipher: SecretCipher, copied: Callable[[Path], None] | None
) -> tuple[sqlite3.Connection, Reopen | None]:
    def copy(connection: sqlite3.Connection, gap: SchemaVersionGap) -> None:
        copy_before_upgrade(path, connection, gap, copied or partial(_tell_of_copy, gap))

    try:
        return connect(path, cipher, before=copy), None
    except sqlite3.OperationalError as failure:
        if not is_want_of_room(failure):
            raise
        _log.warning("%s; until there is room, no other process can use the data", failure)
    connection = connect(path, cipher, before=copy, alone=True)
    return connection, partial(open_as_owner, path, cipher)


def _tell_of_copy(gap: SchemaVersionGap, copy: Path) -> None:
    secrets = "; it has secrets in plain text" if gap.present < _SEALED_SINCE else ""
    _log.warning(
        "the data file was upgraded from schema %d to %d; %s is a backup of the old one%s",
        *gap,
        copy,
        secrets,
    )


def _is_sealed(path: Path) -> bool:
    with closing(open_existing(path)) as connection:
        (knows,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'sealed_with'"
        ).fetchone()
        return (
            bool(knows) and connection.execute("SELECT 1 FROM sealed_with").fetchone() is not None
        )
