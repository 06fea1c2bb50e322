"""Makes a data file from a backup, after it has checked that all of the backup is there, unchanged.

What is checked is a copy that nobody else has open, and it becomes the data file.
"""

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
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
from ringback.stores.sqlite.backup_mac import (
    HEADER,
    MAC_SIZE,
    MAGIC,
    BackupMac,
    MacKey,
    immutable,
    is_cut_mac,
    is_in_wal_mode,
    size_of_pages,
)
from ringback.stores.sqlite.catalogue import refuse_altered
from ringback.stores.sqlite.data_file_upgrade import create, remove
from ringback.stores.sqlite.data_loss import begin_new_data
from ringback.stores.sqlite.durability_mark import DurableCommitMark, write_mark
from ringback.stores.sqlite.schema_upgrade import newest
from ringback.stores.sqlite.write_batch import any_bytes

_log = logging.getLogger(__name__)

_COPIED_AT_ONCE: Final = 64 << 20
_SPARE: Final = 1 << 20
"""Bytes that must be free on the disk in addition to the size of the data file."""
_TRUSTED: Final = "If you trust everybody who could write to it, restore it with --unverified"
_MOVE: Final = (
    "If you trust everybody who could write to it, move it out of this folder, and make a new"
    " folder from it: `ringback restore FILE --data FOLDER --unverified`"
)


def draft_of_restore(path: Path) -> Path:
    """Return the path of the file in which the data file is made."""
    return path.with_name(f"{path.name}.restored")


def read_note(backup: Path, mac_key: MacKey, *, unverified: bool) -> BackupNote:
    """Return the note in a backup.

    Raises ConfigurationError if the file can't be read, was not made by `ringback backup`, has
    another size than it had when it was made, or has a schema that is newer than this Ringback.
    Unless `unverified` is set, also raises it if the MAC or its key is missing; the MAC itself is
    not checked yet.
    """
    try:
        mac = _refuse_incomplete(backup)
        note = _note_in(backup)
    except OSError as failure:
        raise ConfigurationError(f"{backup} can't be read: {failure.strerror}") from failure
    except sqlite3.Error as failure:
        raise ConfigurationError(f"{backup} is damaged: {failure}") from failure
    if not unverified:
        _key_of(backup, mac, mac_key, _TRUSTED)
    return note


def restore_file(
    backup: Path,
    path: Path,
    *,
    mac_key: MacKey,
    unverified: bool,
    cipher: SecretCipher | None,
    now: datetime,
    tell: Callable[[str], None],
) -> tuple[BackupNote, bool]:
    """Make the data file at `path` from a backup, and let servers that use it begin with a pause.

    Returns the note of the backup, and whether its MAC was checked; if `unverified` is set, it need
    not have one, nor `mac_key` the key to it. The caller holds the data file's lock. Now and then,
    `tell` is called with a text that says how far the restore is. Raises ConfigurationError if the
    backup is damaged or changed, if the cipher has not the key to its secrets, or if the disk has
    no room; there is no data file then.
    """
    with _checked_copy(backup, path, tell) as draft:
        is_verified = _verify(backup, draft, mac_key, None if unverified else _TRUSTED)
        note = _note_in(draft, backup)
        _make_usable(draft, backup, note, cipher, now=now, tell=tell)
        sync(draft)
        # If this is killed before the last step, the folder looks as if it had no data yet.
        begin_new_data(path)
        draft.replace(path)
        sync(path.parent)
        write_mark(path, DurableCommitMark(note.commits))
    return note, is_verified


def admit(path: Path, mac_key: MacKey, tell: Callable[[str], None] | None = None) -> None:
    """Turn a backup that was put in the place of a data file by hand into a data file.

    The caller holds the data file's lock. A checked copy takes the place of the backup, so if this
    is killed, the backup is still there, and is checked again. Raises ConfigurationError, and
    changes nothing, if the backup is damaged or changed, if its MAC or the key to that is missing,
    or if something of other data is beside it.
    """
    _refuse_other_data(path)
    with _checked_copy(path, path, tell or _log.info) as draft:
        _verify(path, draft, mac_key, _MOVE)
        note = _note_in(draft, path)
        with closing(_open_whole(draft, path)) as data:
            data.execute("DROP TABLE backup_note")
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    _log.warning(
        "%s is a backup of %s UTC that was put there by hand; its MAC is right",
        path,
        f"{note.made:%Y-%m-%d %H:%M:%S}",
    )


def refuse_changed(path: Path, mac_key: MacKey) -> None:
    """Raise ConfigurationError if `admit` would refuse this backup; changes nothing.

    Damage that the MAC does not show is left to other checks.
    """
    _refuse_other_data(path)
    mac = _refuse_incomplete(path)
    _refuse_wrong(path, path, mac, _key_of(path, mac, mac_key, _MOVE))


def _refuse_other_data(path: Path) -> None:
    """Raise ConfigurationError if a log of other data lies beside a backup put in by hand."""
    for end in ("-wal", "-journal"):
        beside = path.with_name(f"{path.name}{end}")
        if beside.exists() and beside.stat().st_size:
            raise ConfigurationError(
                f"{path} is a backup, but {beside} is of other data, and would change it: make a"
                " new folder from the backup with `ringback restore`"
            )


@contextmanager
def _checked_copy(backup: Path, path: Path, tell: Callable[[str], None]) -> Generator[Path]:
    """Copy the backup into a draft beside the data file; it is removed in the end, if still there.

    Errors in the block become a ConfigurationError about the backup.
    """
    draft = draft_of_restore(path)
    try:
        size = backup.stat().st_size
        free = shutil.disk_usage(path.parent).free
        if free < size + _SPARE:
            raise ConfigurationError(
                f"{backup} can't be restored: it needs {(size + _SPARE) / 1e6:.1f} MB, but the"
                f" disk of {path.parent} has {free / 1e6:.1f} MB left"
            )
        _copy(backup, draft, size, tell)
        tell("checking the data")
        yield draft
    except sqlite3.Error as failure:
        raise ConfigurationError(f"{backup} is damaged: {failure}") from failure
    except OSError as failure:
        raise ConfigurationError(f"{backup} can't be restored: {failure.strerror}") from failure
    finally:
        remove(draft)


def _verify(backup: Path, draft: Path, mac_key: MacKey, advice: str | None) -> bool:
    """Check the MAC of a copied backup, and remove it from the copy.

    Returns False if the MAC or its key is missing; raises ConfigurationError with the advice then,
    if one is given. Raises it whenever the MAC is wrong.
    """
    mac = _refuse_incomplete(draft, backup)
    key = _key_of(backup, mac, mac_key, advice)
    if mac is None:
        return False
    _refuse_wrong(draft, backup, mac, key)
    os.truncate(draft, draft.stat().st_size - MAC_SIZE)
    return key is not None


def _refuse_wrong(file: Path, backup: Path, mac: BackupMac | None, key: bytes | None) -> None:
    if mac is not None and key is not None and not mac.is_right(file, key):
        raise ConfigurationError(
            f"{backup} was changed or damaged after it was made: its MAC is not that of its"
            " content. Get it again, or use another backup"
        )


def _key_of(
    backup: Path, mac: BackupMac | None, mac_key: MacKey, advice: str | None
) -> bytes | None:
    """Return the key of the MAC; if it or the MAC is missing, None or an error with the advice."""
    key = None if mac is None else mac_key(mac.key_id)
    if key is not None or advice is None:
        return key
    if mac is None:
        raise ConfigurationError(
            f"{backup} has no MAC at its end, so nobody can see if it was changed: an older"
            " Ringback made it, or one that did not have the key, or somebody has cut the MAC off."
            f" {advice}"
        )
    raise ConfigurationError(
        f"whether {backup} was changed can only be seen with the key {mac.key_id}, which made its"
        " MAC: put its file into the folder as ringback.key, or give it with --seal-key-file or"
        f" RINGBACK_SEAL_KEY. {advice}"
    )


def _note_in(file: Path, backup: Path | None = None) -> BackupNote:
    """Return the note in a backup; in errors, a copy of one is called by the name of `backup`."""
    named = backup or file
    # Nothing is created beside it, so it may be on a disk that can't be written to.
    with closing(sqlite3.connect(immutable(file), uri=True)) as opened:
        note = BackupNote.read(opened, file.stat().st_size)
    if note is None:
        raise _no_backup(named, "it is another program's database")
    if note.schema > newest():
        raise ConfigurationError(
            f"{named} was made by Ringback {note.ringback} and has schema {note.schema}, but this"
            f" Ringback knows only schema {newest()}: restore it with that version"
        )
    return note


def _refuse_incomplete(file: Path, backup: Path | None = None) -> BackupMac | None:
    """Raise ConfigurationError unless the file has the form and the size of a whole backup.

    Returns the MAC at its end, unchecked; None if it has none.
    """
    named = backup or file
    with file.open("rb") as opened:
        header = opened.read(HEADER)
        size, whole = os.fstat(opened.fileno()).st_size, size_of_pages(header)
        opened.seek(min(whole, size))
        end = opened.read(MAC_SIZE + 1)
    if not header:
        raise ConfigurationError(f"{named} is empty: it was cut off, so get it again")
    if not header.startswith(MAGIC[: len(header)]):
        raise _no_backup(named, "it is not a database")
    if is_in_wal_mode(header):
        raise _no_backup(named, "it is a database that a program uses or has used")
    if len(header) < HEADER or size < whole or (end and is_cut_mac(end)):
        of = "" if len(header) < HEADER else f" of {whole + (MAC_SIZE if end else 0)}"
        raise ConfigurationError(f"{named} is cut off: it has only {size}{of} bytes; get it again")
    mac = BackupMac.read(end)
    if end and mac is None:
        raise ConfigurationError(
            f"{named} has {size} bytes, but {whole} belong to it: it was changed; get it again"
        )
    return mac


def _no_backup(backup: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{backup} was not made by `ringback backup`: {why}. Only such a backup can be restored"
    )


def _copy(backup: Path, draft: Path, size: int, tell: Callable[[str], None]) -> None:
    create(draft)
    copied = 0
    with backup.open("rb") as source, draft.open("r+b") as target:
        # Not more, in case that somebody lets it grow meanwhile: the disk has room for this.
        while part := source.read(min(_COPIED_AT_ONCE, size - copied)):
            target.write(part)
            target.flush()
            os.fsync(target.fileno())
            copied += len(part)
            if copied < size:
                tell(f"copied {copied / 1e6:,.1f} of {size / 1e6:,.1f} MB")


def _open_whole(draft: Path, backup: Path) -> sqlite3.Connection:
    """Open the copy of a backup; raise ConfigurationError if it is damaged or was altered."""
    data = sqlite3.connect(draft, isolation_level=None)
    try:
        data.row_factory = sqlite3.Row
        (found,) = data.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise ConfigurationError(f"{backup} is damaged: {' '.join(found.split())}")
        refuse_altered(backup, data)
    except BaseException:
        data.close()
        raise
    return data


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
    with closing(_open_whole(draft, backup)) as data:
        if cipher is not None:
            with any_bytes(data):
                opened = open_all(data.execute, cipher)
            if opened.damaged:
                tell(opened.in_words)
        reason = f"restored from {backup.name}, a backup of {note.made:%Y-%m-%d %H:%M:%S} UTC"
        data.execute("BEGIN")
        data.execute("DROP TABLE backup_note")
        data.execute("UPDATE installation SET paused_us = NULL")
        data.execute(BEGIN_PAUSE, (to_us(now), reason))
        data.execute("COMMIT")
