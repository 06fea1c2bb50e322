"""Upgrades an older data file: a new file gets all its data, and then takes its place.

The old file is not changed. It stays under the name `<name>.before-N` (N: its schema version), so
that an older Ringback can be used again. Until the new file is complete, its name ends in `.new`;
an upgrade that was interrupted goes on with it, unless the old file has been changed meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import sync
from ringback.stores.sqlite.disk_space import is_want_of_room
from ringback.stores.sqlite.durability_mark import number_in
from ringback.stores.sqlite.schema_upgrade import UpgradedSchema, bring_up_to_date, newest
from ringback.stores.sqlite.table_rebuild import REBUILT, begin, fill, finish, source_of
from ringback.stores.sqlite.wal_integrity import wal_path

_SPARE: Final = 1 << 20
"""Bytes that must be free on the disk in addition to the size of the new files."""


def upgrade_data_file(
    path: Path,
    version: int,
    *,
    check: Callable[[sqlite3.Connection], None],
    tell: Callable[[str], None],
) -> UpgradedSchema:
    """Upgrade a data file of this schema version.

    `check` is called first; if it raises, nothing is changed. Now and then, `tell` is called with a
    text that says how far the upgrade is. Raises ConfigurationError if the disk has no room for the
    new file, and sqlite3.Error or OSError if the data can't be upgraded. The data file is then as
    it was, and the new file is deleted.
    """
    new, step = _drafts(path)
    size = _size_of(path, wal_path(path)) * (2 if version < REBUILT - 1 else 1) + _SPARE
    free = shutil.disk_usage(path.parent).free + _size_of(new, step)
    if free < size:
        raise _no_room(path, version, size, f"the disk has {free / 1e6:.1f} MB left")
    with closing(_open(path)) as old:
        check(old)
        state = _hold(old, path)
        try:
            _make(path, version, state, tell)
            kept = keep(path, f"before-{version}", step)
            sync(path.parent)
            step.unlink(missing_ok=True)
            new.replace(path)
            sync(path.parent)
        except Exception as failure:
            remove(new, step)
            if is_want_of_room(failure):
                raise _no_room(path, version, size, str(failure)) from failure
            raise
    return UpgradedSchema(version, newest(), kept)


def _hold(old: sqlite3.Connection, path: Path) -> str:
    """Keep other processes from writing to the file, and move its write-ahead log into the file.

    Returns a text that changes whenever the file is changed.
    """
    if old.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
        raise sqlite3.OperationalError("another process is using the file")
    old.execute("BEGIN IMMEDIATE")
    found = path.stat()
    return f"{number_in(old)} {found.st_size} {found.st_mtime_ns}"


def _make(path: Path, version: int, state: str, tell: Callable[[str], None]) -> None:
    """Make the new file from the file at `path`, or go on with it.

    If the schema is too old to be copied row by row, a copy of the file gets a newer one first.
    """
    new, step = _drafts(path)
    is_direct = version == REBUILT - 1
    if version >= REBUILT:
        _copy(path, new)
    elif _source_of(new) != state or not (is_direct or step.exists()):
        if not is_direct:
            _copy(path, step)
            with closing(_open(step)) as connection:
                bring_up_to_date(connection, until=REBUILT - 1)
            sync(path.parent)
        create(new)
        with closing(_open(new)) as connection:
            begin(connection, state)
    with closing(_open(new)) as connection:
        if version < REBUILT:
            connection.execute("ATTACH ? AS old", [str(path if is_direct else step)])
            fill(connection, tell)
            finish(connection)
        bring_up_to_date(connection)


def _drafts(path: Path) -> tuple[Path, Path]:
    """Return the path of the new file, and that of a copy of an old file that needs other steps."""
    return path.with_name(f"{path.name}.new"), path.with_name(f"{path.name}.new-step")


def _source_of(new: Path) -> str | None:
    with suppress(sqlite3.DatabaseError), closing(_open(new)) as connection:
        return source_of(connection)
    return None


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def keep(path: Path, ending: str, draft: Path) -> Path:
    """Give the file a second name, which it keeps; on a disk where it can't have two, copy it.

    Returns this name, which has the ending. A copy is made in the file `draft`.
    """
    name = first = path.with_name(f"{path.name}.{ending}")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    while name.exists() and not name.samefile(path):
        name = next(others)
    if not name.exists():
        try:
            name.hardlink_to(path)
        except OSError:
            _copy(path, draft)
            draft.rename(name)
    return name


def _copy(path: Path, target: Path) -> None:
    create(target)
    # Not by the connection that holds the file: its open transaction would block the copy for ever.
    with closing(_open(path)) as source, closing(_open(target)) as copy:
        # An unfinished copy is deleted anyway, so it needs no journal.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
    sync(target)


def create(path: Path) -> None:
    """Create an empty file, before SQLite opens it: so nobody else can ever read its content."""
    remove(path)
    path.touch(mode=0o600, exist_ok=False)


def remove(*drafts: Path) -> None:
    """Delete unfinished files."""
    for draft in drafts:
        for end in ("", "-journal", "-wal", "-shm"):
            draft.with_name(f"{draft.name}{end}").unlink(missing_ok=True)


def _size_of(*files: Path) -> int:
    return sum(file.stat().st_size for file in files if file.exists())


def _no_room(path: Path, version: int, size: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} has schema {version} and needs {newest()}, but can't be upgraded: {why}."
        f" Nothing was changed. The upgrade takes up to {size / 1e6:.1f} MB in {path.parent}:"
        " make room and try again"
    )
