"""Checks a data file for damage without changing it, even while a server uses it."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from ringback.core.callbacks.callback_serialization import read_new
from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import read_policy_text
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.consistency_checks import (
    counts,
    found_by,
    open_attempts,
    references,
    states,
)
from ringback.stores.sql.sealed_columns import open_all
from ringback.stores.sqlite.backup_mac import MacKey, is_unused_backup
from ringback.stores.sqlite.catalogue import difference_of
from ringback.stores.sqlite.data_loss import is_missing, known_damage_of_wal
from ringback.stores.sqlite.durability_mark import DurableCommitMark, number_in, read_mark
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.schema_upgrade import newest, version_of
from ringback.stores.sqlite.wal_integrity import wal_path
from ringback.stores.sqlite.write_batch import any_bytes

_MOST_SHOWN: Final = 20
"""The maximum number of faults to show per check: a damaged page can cause thousands."""


class IntegrityCheckResult(NamedTuple):
    """The result of one check of the data file: its name, if it passed, and the faults found."""

    name: str
    is_ok: bool
    found: str


_SENT: Final = "sent_at_once"
_OPEN_ATTEMPTS: Final = (
    "SELECT count(*), min(started_us) FROM (SELECT started_us FROM waiting"
    " WHERE started_us IS NOT NULL UNION ALL SELECT started_us FROM sent_at_once)"
)


class _OpenFile(NamedTuple):
    """An open data file, its watermark and its cipher, for the checks that need them."""

    path: Path
    connection: sqlite3.Connection
    mark: DurableCommitMark | None
    cipher: Callable[[], SecretCipher]


def check_data(
    path: Path, cipher: Callable[[], SecretCipher], mac_key: MacKey = lambda _: None
) -> Sequence[IntegrityCheckResult]:
    """Run the checks and return their results; stop at a fault that prevents the next checks.

    `mac_key` has the key for the MAC of a backup that was put in by hand.
    """
    return list(_checks(path, cipher, mac_key))


def _checks(
    path: Path, cipher: Callable[[], SecretCipher], mac_key: MacKey
) -> Iterator[IntegrityCheckResult]:
    for check in (_check_file(path), _check_wal(path)):
        yield check
        if not check.is_ok:
            # Opening the file would destroy the evidence.
            return
    if is_unused_backup(path):
        yield _check_backup(path, mac_key)
    mark = read_mark(path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.row_factory = sqlite3.Row
            opened.execute("PRAGMA cell_size_check = ON")
            for name, look in _CHECKS.items():
                yield _look(name, look, _OpenFile(path, opened, mark, cipher))
    except sqlite3.Error as failure:
        yield IntegrityCheckResult("open", is_ok=False, found=str(failure))


def _check_file(path: Path) -> IntegrityCheckResult:
    if is_missing(path):
        return IntegrityCheckResult("file", is_ok=False, found=f"{path} is missing or empty")
    return IntegrityCheckResult(
        "file", is_ok=True, found=f"{path}, {path.stat().st_size / 1e6:.1f} MB"
    )


def _check_backup(path: Path, mac_key: MacKey) -> IntegrityCheckResult:
    """Check the MAC of a backup that was put in by hand, as its first start does."""
    from ringback.stores.sqlite.restore import refuse_changed  # noqa: PLC0415 (rarely needed)

    try:
        refuse_changed(path, mac_key)
    except ConfigurationError as refusal:
        return IntegrityCheckResult("backup", is_ok=False, found=str(refusal))
    return IntegrityCheckResult("backup", is_ok=True, found="put in by hand; its MAC is right")


def _check_wal(path: Path) -> IntegrityCheckResult:
    wal, holder = wal_path(path), FileLock.holder(path)
    if holder is not None:
        return IntegrityCheckResult("wal", is_ok=True, found=f"in use by process {holder}")
    damage = known_damage_of_wal(path)
    size = wal.stat().st_size if wal.exists() else 0
    found = damage or (f"{size / 1e6:.1f} MB, whole" if size else "nothing in it")
    return IntegrityCheckResult("wal", is_ok=damage is None, found=found)


def _look(
    name: str, look: Callable[[_OpenFile], tuple[bool, str]], opened: _OpenFile
) -> IntegrityCheckResult:
    try:
        return IntegrityCheckResult(name, *look(opened))
    except (sqlite3.Error, ConfigurationError) as failure:
        return IntegrityCheckResult(name, is_ok=False, found=str(failure))


# ---- checks of an open file: each returns whether it passed, and the findings --------------------


def _schema(opened: _OpenFile) -> tuple[bool, str]:
    version, wanted = version_of(opened.connection), newest()
    if version == wanted:
        return True, str(version)
    what = "run `ringback db upgrade`" if version < wanted else "use the newer Ringback"
    return False, f"{version}, but this Ringback needs {wanted}: {what}"


def _catalogue(opened: _OpenFile) -> tuple[bool, str]:
    found = difference_of(opened.connection)
    return not (found.missing or found.foreign), found.shown


def _age(opened: _OpenFile) -> tuple[bool, str]:
    number = number_in(opened.connection)
    if opened.mark is None:
        return True, "unknown, since no server of this version has used the file so far"
    if number < opened.mark.number:
        return False, f"too old: its last commit is {number}, but {opened.mark.number} was on disk"
    return True, "up to date: it has the last commit known to be on disk"


def _integrity(opened: _OpenFile) -> tuple[bool, str]:
    rows = opened.connection.execute(f"PRAGMA integrity_check({_MOST_SHOWN})").fetchall()
    found = "; ".join(" ".join(text.split()) for (text,) in rows)
    return found == "ok", found


def _foreign_keys(opened: _OpenFile) -> tuple[bool, str]:
    rows = opened.connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST_SHOWN)
    lost = [f"row {row['rowid']} of {row['table']} has no {row['parent']}" for row in rows]
    return not lost, "; ".join(lost) or "ok"


def _secrets(opened: _OpenFile) -> tuple[bool, str]:
    with any_bytes(opened.connection):
        found = open_all(opened.connection.execute, opened.cipher())
    return not found.damaged, found.in_words


def _batches(opened: _OpenFile) -> tuple[bool, str]:
    texts = opened.connection.execute("SELECT callback FROM batched_callbacks").fetchall()
    unreadable = sum(not _can_be_read(text) for (text,) in texts)
    callbacks = counted(len(texts), "accepted callback")
    if unreadable:
        return False, f"{unreadable} of {callbacks} not queued yet can't be read"
    return True, f"{callbacks} not queued yet"


def _can_be_read(text: str) -> bool:
    try:
        read_new(text)
    except ValueError:
        return False
    return True


def _policy(opened: _OpenFile) -> tuple[bool, str]:
    rows = opened.connection.execute(
        "SELECT number, policy FROM policy_versions ORDER BY number"
    ).fetchall()
    versions = counted(len(rows), "version")
    for number, text in rows:
        try:
            read_policy_text(text)
        except ConfigurationError as problem:
            return False, f"version {number} of {versions} can't be read: {problem}"
    return True, versions


def _references(opened: _OpenFile) -> tuple[bool, str]:
    wrong = found_by(opened.connection.execute, references(_SENT))
    return not wrong, wrong or "ok"


def _counts(opened: _OpenFile) -> tuple[bool, str]:
    execute = opened.connection.execute
    wrong = found_by(execute, counts(_SENT))
    return not wrong, wrong or states(execute, _SENT)


def _open_attempts(opened: _OpenFile) -> tuple[bool, str]:
    count, found = open_attempts(opened.connection.execute, _OPEN_ATTEMPTS)
    if count and FileLock.holder(opened.path) is None:
        found += "; no server is running, so the next one settles them as unknown"
    return True, found


_CHECKS: Final[dict[str, Callable[[_OpenFile], tuple[bool, str]]]] = {
    "schema": _schema,
    "catalogue": _catalogue,
    "age": _age,
    "integrity": _integrity,
    "foreign_keys": _foreign_keys,
    "secrets": _secrets,
    "batches": _batches,
    "policy": _policy,
    "references": _references,
    "counts": _counts,
    "open_attempts": _open_attempts,
}
