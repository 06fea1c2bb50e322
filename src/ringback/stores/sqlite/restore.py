"""Makes a data file from a backup, after it has checked that all of the backup is there."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import sync
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.sealed_columns import open_all
from ringback.stores.sql.sending_pause import BEGIN_PAUSE
from ringback.stores.sqlite.backup import BackupNote
from ringback.stores.sqlite.catalogue import refuse_altered
from ringback.stores.sqlite.data_file_upgrade import create, remove
from ringback.stores.sqlite.data_loss import begin_new_data
from ringback.stores.sqlite.durability_mark import DurableCommitMark, write_mark
from ringback.stores.sqlite.schema_upgrade import newest

_HEADER: Final = 100
"""The size of the header of an SQLite file, in bytes."""
_MAGIC: Final = b"SQLite format 3\0"
_WAL_MODE: Final = b"\2\2"
_COPIED_AT_ONCE: Final = 64 << 20
_SPARE: Final = 1 << 20
"""Bytes that must be free on the disk in addition to the size of the data file."""


def draft_of_restore(path: Path) -> Path:
    """Return the path of the file in which the data file is made."""
    return path.with_name(f"{path.name}.restored")


def read_note(backup: Path) -> BackupNote:
    """Return the note in a backup.

    Raises ConfigurationError if the file can't be read, was not made by `ringback backup`, has
    another size than it had when it was made, or has a schema that is newer than this Ringback.
    """
    try:
        _refuse_incomplete(backup)
        # Nothing is created beside it, so it may be on a disk that can't be written to.
        uri = f"{backup.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as opened:
            note = BackupNote.read(opened, backup.stat().st_size)
    except OSError as failure:
        raise ConfigurationError(f"{backup} can't be read: {failure.strerror}") from failure
    except sqlite3.Error as failure:
        raise ConfigurationError(f"{backup} is damaged: {failure}") from failure
    if note is None:
        raise _no_backup(backup, "it is another program's database")
    if note.schema > newest():
        raise ConfigurationError(
            f"{backup} was made by Ringback {note.ringback} and has schema {note.schema}, but this"
            f" Ringback knows only schema {newest()}: restore it with that version"
        )
    return note


def restore_file(
    backup: Path,
    path: Path,
    note: BackupNote,
    *,
    cipher: SecretCipher | None,
    now: datetime,
    tell: Callable[[str], None],
) -> None:
    """Make the data file at `path` from a backup, and let servers that use it begin with a pause.

    The caller holds the data file's lock. Now and then, `tell` is called with a text that says how
    far the restore is. Raises ConfigurationError if the backup is damaged, if the cipher has not
    the key to its secrets, or if the disk has no room; there is no data file then.
    """
    draft = draft_of_restore(path)
    try:
        free = shutil.disk_usage(path.parent).free
        if free < note.size + _SPARE:
            raise ConfigurationError(
                f"{backup} can't be restored: it needs {(note.size + _SPARE) / 1e6:.1f} MB, but the"
                f" disk of {path.parent} has {free / 1e6:.1f} MB left"
            )
        _copy(backup, draft, note.size, tell)
        tell("checking the data")
        _make_usable(draft, backup, note, cipher, now=now, tell=tell)
        sync(draft)
        # If this is killed before the last step, the folder looks as if it had no data yet.
        begin_new_data(path)
        draft.replace(path)
        sync(path.parent)
        write_mark(path, DurableCommitMark(note.commits))
    except sqlite3.Error as failure:
        raise ConfigurationError(f"{backup} is damaged: {failure}") from failure
    except OSError as failure:
        raise ConfigurationError(f"{backup} can't be restored: {failure.strerror}") from failure
    finally:
        remove(draft)


def _refuse_incomplete(backup: Path) -> None:
    """Raise ConfigurationError unless the file has the form and the size of a whole backup."""
    with backup.open("rb") as file:
        header = file.read(_HEADER)
    size = backup.stat().st_size
    if not header:
        raise ConfigurationError(f"{backup} is empty: it was cut off, so get it again")
    if not header.startswith(_MAGIC[: len(header)]):
        raise _no_backup(backup, "it is not a database")
    if header[18:20] == _WAL_MODE:
        raise _no_backup(backup, "it is a database that a program uses or has used")
    # A page of 64 KiB is written as 1.
    page = int.from_bytes(header[16:18])
    whole = (65536 if page == 1 else page) * int.from_bytes(header[28:32])
    if len(header) < _HEADER or size < whole:
        missing = "" if len(header) < _HEADER else f" of {whole}"
        raise ConfigurationError(
            f"{backup} is cut off: it has only {size}{missing} bytes; get it again"
        )
    if size > whole:
        raise ConfigurationError(
            f"{backup} has {size} bytes, but {whole} belong to it: it was changed; get it again"
        )


def _no_backup(backup: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{backup} was not made by `ringback backup`: {why}. Only such a backup can be restored"
    )


def _copy(backup: Path, draft: Path, size: int, tell: Callable[[str], None]) -> None:
    create(draft)
    copied = 0
    with backup.open("rb") as source, draft.open("r+b") as target:
        while part := source.read(_COPIED_AT_ONCE):
            target.write(part)
            target.flush()
            os.fsync(target.fileno())
            copied += len(part)
            if copied < size:
                tell(f"copied {copied / 1e6:,.1f} of {size / 1e6:,.1f} MB")


def _make_usable(
    draft: Path,
    backup: Path,
    note: BackupNote,
    cipher: SecretCipher | None,
    *,
    now: datetime,
    tell: Callable[[str], None],
) -> None:
    """Check the copy of a backup, and turn it into a data file in which servers are paused."""
    with closing(sqlite3.connect(draft, isolation_level=None)) as data:
        data.row_factory = sqlite3.Row
        (found,) = data.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise ConfigurationError(f"{backup} is damaged: {' '.join(found.split())}")
        refuse_altered(backup, data)
        if cipher is not None:
            opened = open_all(data.execute, cipher)
            if opened.damaged:
                tell(opened.in_words)
        reason = f"restored from {backup.name}, a backup of {note.made:%Y-%m-%d %H:%M:%S} UTC"
        data.execute("BEGIN")
        data.execute("DROP TABLE backup_note")
        data.execute("UPDATE installation SET paused_us = NULL")
        data.execute(BEGIN_PAUSE, (to_us(now), reason))
        data.execute("COMMIT")
