"""Refuses to open a data file that has lost data, before anything is created or changed."""

import sqlite3
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.stores.sqlite.durability_mark import (
    DurableCommitMark,
    number_in,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.wal_integrity import damage_of_wal

_CHECKED_AT_START: Final = ((16 << 20, "integrity_check"), (64 << 20, "quick_check"))
"""For each maximum file size, the check to run at the start; each takes less than a second."""

_INSTEAD: Final = (
    "Restore it from a backup; or, to go on without the lost data, start the server once with"
    " --accept-data-loss"
)


def refuse_missing_data(path: Path, *, expects_data: bool) -> None:
    """Raise ConfigurationError if the data file is missing or empty, but had data before.

    The watermark file shows if it had data. `expects_data` is True if the caller knows this for
    another reason, such as an existing key file.
    """
    mark = read_mark(path)
    if is_missing(path) and (expects_data or (mark is not None and mark.number)):
        what = "is empty" if path.exists() else "is not there"
        raise ConfigurationError(
            f"{path} {what}, although its key file or its watermark file exists. {_INSTEAD}"
        )


def refuse_damaged_wal(path: Path) -> None:
    """Raise ConfigurationError if the WAL has lost commits; call before opening the file."""
    damage = known_damage_of_wal(path)
    if damage is not None:
        raise ConfigurationError(
            f"{damage}: some acknowledged data is lost. Leave the folder as it is, and restore the"
            " data from a backup into another folder; or copy the folder, and start the server"
            " once with --accept-data-loss to go on with the data that is left"
        )


def known_damage_of_wal(path: Path) -> str | None:
    """Return a description of the damage to the WAL, or None; call before opening the file."""
    mark = read_mark(path)
    return damage_of_wal(path, is_index_of_this_boot=mark is not None and mark.is_of_this_boot)


def refuse_older_data(
    path: Path, connection: sqlite3.Connection, mark: DurableCommitMark | None
) -> None:
    """Raise ConfigurationError if the data file is older than its watermark.

    `mark` is the watermark, read before the file was opened: the last commit known to be on disk.
    """
    if mark is not None and number_in(connection) < mark.number:
        raise ConfigurationError(
            f"{path} is older than the data that was here: its WAL was deleted, or the file was"
            f" replaced by an old copy. {_INSTEAD}"
        )


def refuse_damaged_data(path: Path, connection: sqlite3.Connection) -> None:
    """Raise ConfigurationError if the file is damaged; files over 64 MiB are not checked."""
    size = path.stat().st_size
    check = next((check for most, check in _CHECKED_AT_START if size <= most), None)
    if check is None:
        return
    (found,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    if found != "ok":
        raise ConfigurationError(f"{path} is damaged: {' '.join(found.split())}. {_INSTEAD}")


def is_missing(path: Path) -> bool:
    """Return True if the file does not exist or is empty."""
    return not path.exists() or not path.stat().st_size


def begin_new_data(path: Path) -> None:
    """If there is no watermark file yet, write one that says that a data file is being created."""
    if read_mark(path) is None:
        write_mark(path, DurableCommitMark(0))


def is_being_made(path: Path) -> bool:
    """Return True if a data file is being created here and has no data yet."""
    mark = read_mark(path)
    return mark is not None and not mark.number


def forget_lost_data(path: Path) -> None:
    """Accept the loss of data, as the operator asked: from now on expect only what is left."""
    write_mark(path, DurableCommitMark(0))
