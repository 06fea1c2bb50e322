"""Opens the data file, and refuses a file that has lost data.

One process, usually the server, is the owner of the file: only the owner may claim callbacks and
upgrade the schema. Other processes can open the file at the same time.
"""

import logging
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.data_growth import growth_of
from ringback.stores.sqlite.catalogue import refuse_altered
from ringback.stores.sqlite.data_loss import is_missing, refuse_damaged_data, refuse_older_data
from ringback.stores.sqlite.disk_space import is_want_of_room
from ringback.stores.sqlite.durability_mark import (
    CommitNumbering,
    DurableCommitMark,
    number_in,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.retention import INCREMENTAL
from ringback.stores.sqlite.schema_upgrade import (
    LAYOUT,
    OutdatedSchema,
    UpgradedSchema,
    bring_up_to_date,
    open_existing,
    refuse_outdated,
    version_of,
)
from ringback.stores.sqlite.seal_key_rotation import seal_all
from ringback.stores.sqlite.wal_checkpointer import SMALL

_log = logging.getLogger(__name__)

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # A commit must be on disk when it returns, since an acknowledgement promises that.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",  # KiB
    "PRAGMA wal_autocheckpoint = 4000",  # pages
    # If the log grew beyond this size during reads, the next commit afterwards truncates it.
    f"PRAGMA journal_size_limit = {SMALL}",
    "PRAGMA cell_size_check = ON",  # a damaged page is noticed when it is read
)
_PREPARED: Final = 256
_SEALED_SINCE: Final = 5
"""The first schema version in which secrets are encrypted."""

_OLDEST_SQLITE: Final = (3, 40, 0)
"""That of Debian 12. The tests run with it, and show that its query plans are those of today's."""

Reopen = Callable[[], "OpenDataFile"]


class OpenDataFile(NamedTuple):
    """An open data file: its connection, its commit numbers, and how to open it again."""

    connection: sqlite3.Connection
    watermark: CommitNumbering | None = None
    reopen: Reopen | None = None
    """Opens the file again for several connections; None unless a full disk allows only one."""
    upgrade: UpgradedSchema | None = None
    """The upgrade of the schema that was needed; None if none was."""


def refuse_old_sqlite() -> None:
    """Raise ConfigurationError if the SQLite library of this Python is too old for a data file."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE[:2]))
        raise ConfigurationError(
            f"a data file needs SQLite {oldest} or newer, and this Python ({sys.executable}) has"
            f" {sqlite3.sqlite_version}; install Ringback with another Python, such as that of"
            " Debian 12 or newer, or use a PostgreSQL database"
        )


def open_as_owner(
    path: Path,
    cipher: SecretCipher,
    *,
    tell: Callable[[str], None] | None = None,
    accept_data_loss: bool = False,
) -> OpenDataFile:
    """Open or create the data file as its only owner; upgrade an older schema, in a new file.

    The caller must hold the file's lock. During a long upgrade, `tell` is called with texts that
    say how far it is; without it, they are logged, and so is the end of the upgrade. Raises
    ConfigurationError if the file can't be used, or if it has not the tables, indexes and triggers
    that its schema makes. Also raises it if the file is damaged or older than the data that was
    here before, unless `accept_data_loss` is set.
    """
    mark, upgrade = read_mark(path), None

    def check(connection: sqlite3.Connection) -> None:
        if not accept_data_loss:
            refuse_older_data(path, connection, mark)
            refuse_damaged_data(path, connection)

    def check_old(connection: sqlite3.Connection) -> None:
        check(connection)
        refuse_altered(path, connection)

    with _refusing_unusable(path):
        try:
            connection, reopen = _connect_as_owner(path, cipher)
        except OutdatedSchema as outdated:
            from ringback.stores.sqlite.data_file_upgrade import upgrade_data_file  # noqa: PLC0415 (rarely needed)

            upgrade = upgrade_data_file(
                path, outdated.version, check=check_old, tell=tell or _log.info
            )
            if tell is None:
                _log_upgrade(upgrade)
            connection, reopen = _connect_as_owner(path, cipher)
        with on_failure(connection.close):
            check(connection)
            watermark = None if reopen else CommitNumbering(connection, path)
            return OpenDataFile(connection, watermark, reopen, upgrade)


def open_beside(path: Path, cipher: SecretCipher) -> sqlite3.Connection:
    """Open the data file while its owner may be using it; create it if missing, never upgrade it.

    Raises ConfigurationError if the file can't be used, has lost data, or has an older schema.
    """
    with _refusing_unusable(path):
        mark = read_mark(path)
        connection = connect(path, cipher)
        with on_failure(connection.close):
            refuse_older_data(path, connection, mark)
    if mark is not None and not mark.number:
        # The file was created just now: from here on it has data that can be lost.
        write_mark(path, DurableCommitMark(number_in(connection)))
    return connection


def connect_alone(path: Path) -> sqlite3.Connection:
    """Open an existing data file so that no other process can use it until it is closed.

    The caller must hold the file's lock. Raises ConfigurationError if the file can't be used, has
    lost data or an older schema, or if another process has it open.
    """
    with _refusing_unusable(path):
        connection = open_existing(path)
        with on_failure(connection.close):
            connection.row_factory = sqlite3.Row
            connection.isolation_level = None
            refuse_outdated(path, connection)
            refuse_older_data(path, connection, read_mark(path))
            refuse_damaged_data(path, connection)
            refuse_altered(path, connection)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # Its write-ahead log can be moved into the file only while nothing else has it open.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            # The lock stays after the end of the transaction.
            connection.execute("COMMIT")
    return connection


def refuse_to_upgrade(path: Path) -> None:
    """Raise ConfigurationError if the file can't be read, or if its schema isn't the newest."""
    with _refusing_unusable(path):
        if not is_missing(path):
            with closing(open_existing(path)) as connection:
                refuse_outdated(path, connection)


def schema_of_file(path: Path) -> int:
    """Return the version of a data file's schema; raises ConfigurationError if it can't be read."""
    with _refusing_unusable(path), closing(open_existing(path)) as connection:
        return version_of(connection)


def growth_of_file(path: Path) -> dict[str, str | int | None]:
    """Return how much is in a data file with the newest schema, and how fast it grows.

    Raises ConfigurationError if the file can't be read.
    """
    with _refusing_unusable(path), closing(open_existing(path)) as connection:
        size, pages, free, kind = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
        )
        # An index without the bodies is counted in a fraction of the time.
        (callbacks,) = connection.execute(
            "SELECT count(*) FROM callbacks INDEXED BY callbacks_of_account"
        ).fetchone()
        growth = growth_of(connection.execute, callbacks)
    room = disk_usage(path.parent).free + free * size
    shrinks = "yes" if kind == INCREMENTAL else "no: `ringback db copy` makes a file that can"
    return {
        "free_bytes": free * size,
        "can_shrink": shrinks,
        **growth.shown(used=(pages - free) * size, room=room),
    }


def is_sealed(path: Path) -> bool:
    """Return True if this data file exists and its secrets are encrypted; changes nothing.

    Raises ConfigurationError if the file can't be read.
    """
    with _refusing_unusable(path):
        return path.exists() and _is_sealed(path)


def connect(path: Path | str, cipher: SecretCipher, *, alone: bool = False) -> sqlite3.Connection:
    """Open or create the file, encrypt its secrets, and return the connection.

    With `alone`, no other connection can use the file. SQLite then needs no shared-memory file, for
    which a full disk has no room. Raises OutdatedSchema, and changes nothing, if the schema of an
    existing file isn't the newest.
    """
    if isinstance(path, Path):
        # Set the mode before SQLite opens the file: SQLite gives `-wal` and `-shm` the same mode.
        if not path.exists():
            path.touch(mode=0o600)
        path.chmod(0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_PREPARED
    )
    with on_failure(connection.close):
        connection.row_factory = sqlite3.Row
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        refuse_outdated(path, connection)
        # Before anything is written, since a foreign trigger would act on it.
        refuse_altered(path, connection)
        # In an existing file, these commands write, and a full disk may have no room for that.
        for pragma in (*(() if version_of(connection) else LAYOUT), *_PRAGMAS):
            connection.execute(pragma)
        bring_up_to_date(connection)
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
    except UnicodeDecodeError as failure:
        # SQLite's own message quotes what is damaged, and Python can't read it.
        raise ConfigurationError(
            f"{path} can't be used as Ringback's data file: its schema is damaged"
        ) from failure


def _connect_as_owner(path: Path, cipher: SecretCipher) -> tuple[sqlite3.Connection, Reopen | None]:
    try:
        return connect(path, cipher), None
    except sqlite3.OperationalError as failure:
        if not is_want_of_room(failure):
            raise
        _log.warning("%s; until there is room, no other process can use the data", failure)
    return connect(path, cipher, alone=True), partial(open_as_owner, path, cipher)


def _log_upgrade(upgrade: UpgradedSchema) -> None:
    secrets = "; it has secrets in plain text" if upgrade.before < _SEALED_SINCE else ""
    _log.warning(
        "the data file was upgraded from schema %d to %d; %s is a backup of the old one%s",
        *upgrade,
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
