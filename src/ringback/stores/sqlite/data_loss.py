"""Refuses data files that have lost something, before anything is created or changed."""

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
"""The check for a file up to this size in bytes: it takes a fraction of a second."""

_INSTEAD: Final = (
    "Put it back from a copy; or, if it is to be done without, start the server once with"
    " --accept-data-loss"
)


def refuse_missing_data(path: Path, *, expects_data: bool) -> None:
    """Raise ConfigurationError if the data file is missing or empty, although it had data.

    `expects_data` says that something other than the watermark shows that it had.
    """
    mark = read_mark(path)
    if is_missing(path) and (expects_data or (mark is not None and mark.number)):
        what = "is empty" if path.exists() else "is not there"
        raise ConfigurationError(f"{path} {what}, but its key or its watermark is. {_INSTEAD}")


def refuse_damaged_wal(path: Path) -> None:
    """Raise ConfigurationError where commits in the WAL are lost; ask before the file is opened."""
    damage = known_damage_of_wal(path)
    if damage is not None:
        raise ConfigurationError(
            f"{damage}: some of what was acknowledged is lost. Leave the folder as it is, and put"
            " the data back from a backup elsewhere; or copy the folder, and start the server once"
            " with --accept-data-loss to go on with what is left"
        )


def known_damage_of_wal(path: Path) -> str | None:
    """Return what is wrong with the WAL, or None; ask before the file is opened."""
    mark = read_mark(path)
    return damage_of_wal(path, is_index_of_this_boot=mark is not None and mark.is_of_this_boot)


def refuse_older_data(
    path: Path, connection: sqlite3.Connection, mark: DurableCommitMark | None
) -> None:
    """Raise ConfigurationError where the data file is older than what was known to be on disk.

    `mark` is the watermark from before the file was opened.
    """
    if mark is not None and number_in(connection) < mark.number:
        raise ConfigurationError(
            f"{path} is older than what was here: its WAL was deleted, or an old copy put in its"
            f" place. {_INSTEAD}"
        )


def refuse_damaged_data(path: Path, connection: sqlite3.Connection) -> None:
    """Raise ConfigurationError if a file that is not too large to check is damaged."""
    size = path.stat().st_size
    check = next((check for most, check in _CHECKED_AT_START if size <= most), None)
    if check is None:
        return
    (found,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    if found != "ok":
        raise ConfigurationError(f"{path} is damaged: {' '.join(found.split())}. {_INSTEAD}")


def is_missing(path: Path) -> bool:
    """Whether the file does not exist, or is empty."""
    return not path.exists() or not path.stat().st_size


def begin_new_data(path: Path) -> None:
    """Record that a data file is being created, unless that was recorded before."""
    if read_mark(path) is None:
        write_mark(path, DurableCommitMark(0))


def is_being_made(path: Path) -> bool:
    """Whether creating a data file was begun here, and it has no data so far."""
    mark = read_mark(path)
    return mark is not None and not mark.number


def forget_lost_data(path: Path) -> None:
    """Accept the loss, as the operator wants: the present data counts from now on."""
    write_mark(path, DurableCommitMark(0))
