"""Backs up the data file before a schema upgrade, so that an older Ringback can be used again."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import sync
from ringback.runtime.undo import on_failure
from ringback.stores.sqlite.schema_upgrade import SchemaVersionGap

_SPARE: Final = 1 << 20
"""Bytes that must be free on the disk in addition to the size of the backup."""


def copy_before_upgrade(
    path: Path,
    connection: sqlite3.Connection,
    gap: SchemaVersionGap,
    copied: Callable[[Path], None],
) -> None:
    """Copy the data file to `<name>.before-N` (N: old schema version), then call `copied`.

    The copy is synced to disk. If that file exists, the copy gets another name with a further
    number. Raises ConfigurationError if the disk has no room, or copying fails; then no copy is
    left.
    """
    size = _size_of(connection)
    _check_room(path, gap, size)
    draft = path.with_name(f"{path.name}.before-{gap.present}.part")
    try:
        with on_failure(partial(draft.unlink, missing_ok=True)):
            _copy(connection, draft)
            target = _name(path, gap)
            draft.rename(target)
            sync(path.parent)
    except (sqlite3.Error, OSError) as failure:
        raise _no_copy(path, gap, size, str(failure)) from failure
    copied(target)


def _size_of(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return pages * page_size


def _check_room(path: Path, gap: SchemaVersionGap, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size + _SPARE:
        raise _no_copy(path, gap, size, f"the disk has {_megabytes(free)} left")


def _no_copy(path: Path, gap: SchemaVersionGap, size: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} has schema {gap.present} and needs {gap.wanted}, but can't be copied before that:"
        f" {why}. Nothing was changed. The copy takes {_megabytes(size + _SPARE)} in"
        f" {path.parent}, and the upgrade itself up to as much again: make room and try again"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _name(path: Path, gap: SchemaVersionGap) -> Path:
    first = path.with_name(f"{path.name}.before-{gap.present}")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return first if not first.exists() else next(one for one in others if not one.exists())


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    target.unlink(missing_ok=True)
    # Create the file with its mode before SQLite opens it, so that nobody else can ever read it.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # An unfinished copy is deleted anyway, so it needs no journal.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        connection.backup(copy)
    for path in (target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")):
        path.unlink(missing_ok=True)
    sync(target)
