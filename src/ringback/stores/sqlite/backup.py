"""Makes a backup of a data file while a server uses it: one file, as of one moment.

One read transaction holds that moment, so commits go on, and the copy never has to begin again.
Meanwhile, the write-ahead log can't be started over, and grows. The copy is made in a private
folder, and gets its name only when it is complete and checked. In it, servers are paused, even if
it is put in the place of a data file by hand. At its end is a MAC, if the key is at hand.
"""

import hashlib
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter, sleep
from typing import Final, NamedTuple

from ringback import __version__
from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import sync
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.sending_pause import BEGIN_PAUSE
from ringback.stores.sqlite.backup_mac import MacKey, append_mac
from ringback.stores.sqlite.catalogue import refuse_altered
from ringback.stores.sqlite.data_file_upgrade import remove
from ringback.stores.sqlite.data_loss import refuse_older_data
from ringback.stores.sqlite.disk_space import is_want_of_room
from ringback.stores.sqlite.durability_mark import number_in, read_mark
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.schema_upgrade import open_existing, refuse_outdated, version_of

if sys.platform != "win32":
    import fcntl

_DRAFTS: Final = ".ringback-backup-"
"""How the names of the folders begin in which backups are made."""
_DRAFT: Final = "draft"
_PART: Final = 1 << 17
"""Bytes that are copied at once."""
_SYNCED_AFTER: Final = 1 << 19
"""Bytes after which the copy is synced, so that a server's commits never wait for much of it."""
_TOLD_EVERY: Final = 5.0
"""Seconds."""
_TURN: Final = 0.02
"""Seconds for which the check of a copy works before it pauses as long."""
_SPARE: Final = 1 << 20
"""Bytes that must be free on the disk in addition to the size of the copy."""
_WRITE_BACK: Final = "PRAGMA wal_checkpoint(PASSIVE)"
"""Writes back what no transaction needs any more; commits need not wait for it."""
_CREATE: Final = """
    CREATE TABLE backup_note (
        made_us INTEGER NOT NULL,
        ringback TEXT NOT NULL,
        data_folder TEXT NOT NULL,
        key_id TEXT
    ) STRICT
"""


class BackupNote(NamedTuple):
    """What a backup says about itself."""

    made: datetime
    """The moment that the backup shows."""
    ringback: str
    """The version of Ringback that made it."""
    data_folder: str
    key_id: str | None
    """The id of the key that opens its secrets; None if they are plain text."""
    schema: int
    commits: int
    """The number of the last numbered commit in it."""
    size: int
    """The size of the file, in bytes."""

    @classmethod
    def read(cls, backup: sqlite3.Connection, size: int) -> "BackupNote | None":
        """Read the note in an open file of this size; return None if it has none."""
        try:
            row = backup.execute(
                "SELECT made_us, ringback, data_folder, key_id FROM backup_note"
            ).fetchone()
        except sqlite3.OperationalError:
            return None
        if row is None:
            return None
        made_us, ringback, data_folder, key_id = row
        schema, commits = version_of(backup), number_in(backup)
        return cls(from_us(made_us), ringback, data_folder, key_id, schema, commits, size)


def back_up(
    path: Path,
    target: Path,
    *,
    rate: int,
    mac_key: MacKey,
    clock: Callable[[], datetime],
    tell: Callable[[str], None],
) -> tuple[BackupNote, bool]:
    """Copy a data file to `target`, a file that does not exist yet, and check the copy.

    Returns its note, and whether it has a MAC: it has none if `mac_key` does not know the key of
    the secrets in it. At most `rate` bytes are copied in a second. Now and then, `tell` is called
    with a text that says how far the backup is. Raises ConfigurationError if the data can't be
    used, if its schema is not the newest, if `target` can't be made, or if the disk has no room for
    it; there is no `target` then.
    """
    try:
        with closing(_snapshot(path)) as source, _draft(path, target) as draft:
            made = clock()
            _copy(source, draft, rate, tell)
            _end_snapshot(source, path)
            _mark(draft, made, path)
            tell("checking the copy")
            rest = _pauses()
            note = _check(draft, rest)
            has_mac = _append_mac(draft, note, mac_key, rest)
            sync(draft)
            note = note._replace(size=draft.stat().st_size)
            _publish(draft, target)
            return note, has_mac
    except sqlite3.Error as failure:
        if is_want_of_room(failure):
            raise ConfigurationError(f"no backup was made: the disk of {target} is full") from None
        raise ConfigurationError(f"no backup of {path} was made: {failure}") from failure
    except OSError as failure:
        raise ConfigurationError(f"{target} can't be made: {failure.strerror}") from failure


def _snapshot(path: Path) -> sqlite3.Connection:
    """Open the data file read-only, in a transaction that sees it as it is now."""
    mark = read_mark(path)
    source = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10
    )
    try:
        source.execute("BEGIN")
        if not version_of(source):
            raise ConfigurationError(f"{path} has no data yet: a server is making it, or has died")
        refuse_outdated(path, source)
        refuse_older_data(path, source, mark)
        refuse_altered(path, source)
    except BaseException:
        source.close()
        raise
    return source


@contextmanager
def _draft(path: Path, target: Path) -> Generator[Path]:
    """Make an empty file for the copy, which is removed at the end if it is still there.

    It is alone in a folder that only this user can enter: nobody can put a link in its place, or
    put a journal beside it that SQLite would write into it.
    """
    folder = target.resolve().parent
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists already, and is not replaced: name a new file")
    if not folder.is_dir():
        raise ConfigurationError(f"{target} can't be made: the folder {folder} does not exist")
    if folder == path.resolve().parent:
        raise ConfigurationError(
            f"{target} would be in the data folder, and be lost together with it: name a file in"
            " another folder, best on another disk"
        )
    prefix = _draft_prefix(target)
    if any(busy.name.startswith(prefix) for busy in _remove_leftovers(folder)):
        raise ConfigurationError(f"another process is making {target} just now")
    draft, descriptor = _new_draft(folder, prefix)
    try:
        yield draft
    finally:
        _remove_draft(draft.parent)
        os.close(descriptor)


def _draft_prefix(target: Path) -> str:
    """Return how the folders begin in which this target is made, however long its name is."""
    return f"{_DRAFTS}{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}-"


def _new_draft(folder: Path, prefix: str) -> tuple[Path, int]:
    """Make an empty, locked file in a new folder; return its path and the locked descriptor."""
    while True:
        draft = Path(mkdtemp(prefix=prefix, dir=folder)) / _DRAFT
        with suppress(FileNotFoundError):  # another backup took the folder for a leftover
            descriptor = os.open(
                draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                os.fchmod(descriptor, 0o600)  # whatever the umask
                return draft, descriptor
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a draft; return False if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed backups of this user have left in a folder; return what is in use."""
    found = [one for one in folder.glob(f"{_DRAFTS}*") if _is_own_folder(one)]
    return [one for one in found if not _remove_if_left(one)]


def _is_own_folder(path: Path) -> bool:
    with suppress(FileNotFoundError):
        entry = path.lstat()
        return stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.geteuid()
    return False


def _remove_if_left(folder: Path) -> bool:
    """Remove the folder of a draft, unless a process has its lock; return False then."""
    try:
        descriptor = os.open(folder / _DRAFT, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # it was killed before it made its draft
        with suppress(OSError):
            folder.rmdir()
        return True
    try:
        if not _lock(descriptor):
            return False
        _remove_draft(folder)
    finally:
        os.close(descriptor)
    return True


def _remove_draft(folder: Path) -> None:
    remove(folder / _DRAFT)
    with suppress(OSError):
        folder.rmdir()


def _copy(source: sqlite3.Connection, draft: Path, rate: int, tell: Callable[[str], None]) -> None:
    (page_size,), (pages,) = (
        source.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count")
    )
    size = page_size * pages
    free = shutil.disk_usage(draft.parent).free
    if free < size + _SPARE:
        raise ConfigurationError(
            f"no backup was made: it needs {(size + _SPARE) / 1e6:.1f} MB, but the disk of"
            f" {draft.parent.parent} has {free / 1e6:.1f} MB left"
        )
    began = told = perf_counter()
    synced = 0

    def pace(_status: int, remaining: int, _total: int) -> None:
        nonlocal told, synced
        copied = size - remaining * page_size
        if copied - synced >= _SYNCED_AFTER:
            sync(draft)
            synced = copied
        now = perf_counter()
        if now - told >= _TOLD_EVERY:
            told = now
            tell(f"copied {copied / 1e6:,.1f} of {size / 1e6:,.1f} MB")
        sleep(max(0.0, began + copied / rate - now))

    with closing(_open(draft)) as copy:
        source.backup(copy, pages=max(1, _PART // page_size), progress=pace)
        # So the copy is one file, which can be read on any disk. Nothing else can have it open.
        copy.execute("PRAGMA locking_mode = EXCLUSIVE")
        copy.execute("PRAGMA journal_mode = DELETE")


def _end_snapshot(source: sqlite3.Connection, path: Path) -> None:
    """Let the write-ahead log start over, and write back what has gathered in it.

    Otherwise a commit of the server would have to do so, and all others would wait for it.
    """
    if FileLock.holder(path) is None:
        source.execute("ROLLBACK")
        return
    with suppress(sqlite3.Error), closing(open_existing(path)) as helper:
        helper.execute(_WRITE_BACK)  # so it has opened all files by the next time
        source.execute("ROLLBACK")
        helper.execute(_WRITE_BACK)


def _mark(draft: Path, made: datetime, path: Path) -> None:
    """Note in the copy what it is, and let servers that use it begin with a pause."""
    with closing(_open(draft)) as copy:
        copy.execute("BEGIN")
        # Earlier versions left the note in a backup that was used as a data file.
        copy.execute("DROP TABLE IF EXISTS backup_note")
        copy.execute(_CREATE)
        copy.execute(
            "INSERT INTO backup_note SELECT ?, ?, ?, (SELECT key_id FROM sealed_with)",
            (to_us(made), __version__, str(path.parent.resolve())),
        )
        copy.execute(BEGIN_PAUSE, (to_us(made), f"it is a backup of {made:%Y-%m-%d %H:%M:%S} UTC"))
        copy.execute("COMMIT")


def _pauses() -> Callable[[], int]:
    """Return the function to call often during long work: it pauses for half of the time."""
    turn = perf_counter()

    def pause() -> int:
        nonlocal turn
        if perf_counter() - turn > _TURN:
            sleep(_TURN)
            turn = perf_counter()
        return 0

    return pause


def _append_mac(draft: Path, note: BackupNote, mac_key: MacKey, rest: Callable[[], int]) -> bool:
    """Add the MAC if its key is at hand; otherwise return False."""
    if note.key_id is None or (key := mac_key(note.key_id)) is None:
        return False
    append_mac(draft, note.key_id, key, rest)
    return True


def _check(draft: Path, rest: Callable[[], int]) -> BackupNote:
    """Check that all pages of the copy can be read, and return its note."""
    with closing(_open(draft)) as copy:
        copy.set_progress_handler(rest, 10_000)
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise ConfigurationError(
                f"no backup was made: the data is damaged ({' '.join(found.split())}); `ringback db"
                " check` says more"
            )
        note = BackupNote.read(copy, draft.stat().st_size)
        assert note is not None  # noqa: S101 (it was written just now)
        return note


def _publish(draft: Path, target: Path) -> None:
    """Give the copy its name, unless a file has it by now."""
    try:
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            raise
        except OSError:  # on this disk, a file can't have two names
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            draft.rename(target)
    except FileExistsError:
        raise ConfigurationError(f"{target} was made by another program meanwhile") from None
    draft.unlink(missing_ok=True)
    sync(target.resolve().parent)


def _open(draft: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(draft, isolation_level=None)
    # An unfinished copy is removed anyway, so it needs no journal.
    copy.execute("PRAGMA journal_mode = OFF")
    copy.execute("PRAGMA synchronous = OFF")
    return copy
