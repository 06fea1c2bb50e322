"""The data folder: its file, and the key that seals it.

It is apart from `application` since most commands work on the data and serve nothing: they start in
half of the time. Nothing but these two may import a store.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher, has_key_file, make_key_file, new_key
from ringback.stores.sqlite.data_file_opener import is_sealed, open_as_owner, refuse_to_upgrade
from ringback.stores.sqlite.data_loss import (
    begin_new_data,
    forget_lost_data,
    is_being_made,
    is_missing,
    refuse_damaged_wal,
    refuse_missing_data,
)
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.integrity_checks import IntegrityCheck, check_data
from ringback.stores.sqlite.schema_upgrade import gap_of, newest
from ringback.stores.sqlite.store import SqliteStore

__all__ = [
    "DATA_FILE",
    "KEY_FILE",
    "IntegrityCheck",
    "UpgradedSchema",
    "check_folder",
    "new_seal_key",
    "open_beside",
    "open_to_serve",
    "upgrade_data",
]

DATA_FILE: Final = "ringback.db"
KEY_FILE: Final = "ringback.key"
_BUDGET: Final = ResponseStorageBudget()


def _tell_nobody(_: str) -> None:
    """Let nobody know that a commit failed."""


class UpgradedSchema(NamedTuple):
    """Which schema a data file had, which one it has now, and where it is as it was."""

    before: int
    after: int
    copy: Path | None
    """None where it was up to date."""


def open_to_serve(
    folder: Path,
    *,
    seal_key: str | None,
    seal_key_file: Path | None,
    committed: Callable[[float], None],
    unavailable: Callable[[str], None] = _tell_nobody,
    budget: ResponseStorageBudget = _BUDGET,
    accept_data_loss: bool = False,
) -> SqliteStore:
    """Open the data in this folder as its only server.

    `committed` is called with the seconds that a commit took, and `unavailable` with the reason why
    one failed. `budget` is how much may be kept of long answers. With `accept_data_loss`, what is
    missing is taken for lost, and the server goes on with what there is.

    Raises ConfigurationError where the folder or a file can't be used, has lost something, or
    another server has it.
    """
    path = _data_file(folder)
    lock = FileLock.take(path)
    with on_failure(lock.release):
        if accept_data_loss:
            forget_lost_data(path)
        else:
            _refuse_lost_data(folder)
        cipher = _cipher_of(folder, seal_key, seal_key_file)
    return SqliteStore.open(
        path,
        cipher,
        lock=lock,
        committed=committed,
        unavailable=unavailable,
        budget=budget,
        accept_data_loss=accept_data_loss,
    )


def open_beside(
    folder: Path, *, seal_key: str | None = None, seal_key_file: Path | None = None
) -> SqliteStore:
    """Open the data in this folder for short work, also while a server uses it.

    Raises ConfigurationError where the folder or the file can't be used, has lost something, or has
    to be upgraded first.
    """
    path = _data_file(folder)
    _refuse_lost_data(folder, is_in_use=FileLock.holder(path) is not None)
    # Before a key is made.
    refuse_to_upgrade(path)
    return SqliteStore.beside(path, _cipher_of(folder, seal_key, seal_key_file))


def upgrade_data(
    folder: Path, *, seal_key: str | None = None, seal_key_file: Path | None = None
) -> UpgradedSchema:
    """Bring the data in this folder up to date, after a copy of its file.

    Raises ConfigurationError where there is none, a server is using it, or it can't be copied.
    """
    path = folder / DATA_FILE
    if is_missing(path):
        raise ConfigurationError(
            f"there is no data in {folder}; --data names the folder of a Ringback"
        )
    lock, copies = FileLock.take(path), list[Path]()
    try:
        _refuse_lost_data(folder)
        gap = gap_of(path)
        cipher = _cipher_of(folder, seal_key, seal_key_file)
        open_as_owner(path, cipher, copied=copies.append).connection.close()
    finally:
        lock.release()
    after = newest()
    return UpgradedSchema(gap.present if gap else after, after, copies[0] if copies else None)


def check_folder(
    folder: Path, *, seal_key: str | None = None, seal_key_file: Path | None = None
) -> Sequence[IntegrityCheck]:
    """Look through the data in this folder, also while a server uses it; nothing is changed."""

    def cipher() -> SecretCipher:
        return _existing_cipher(folder / KEY_FILE, seal_key, seal_key_file)

    return check_data(folder / DATA_FILE, cipher)


def new_seal_key() -> str:
    """Return a new key to seal the secrets of a data file with."""
    return new_key()


def _refuse_lost_data(folder: Path, *, is_in_use: bool = False) -> None:
    """Raise ConfigurationError where data is gone, before anything is opened or made."""
    # The key is looked for first: who makes a data file notes that, then makes the key, and takes
    # the note back once there is data. So a start that died in between has lost nothing.
    expects_data = has_key_file(folder / KEY_FILE) and not is_being_made(folder / DATA_FILE)
    refuse_missing_data(folder / DATA_FILE, expects_data=expects_data)
    # A server that lives has all of it in hand.
    if not is_in_use:
        refuse_damaged_wal(folder / DATA_FILE)


def _cipher_of(folder: Path, keys: str | None, file: Path | None) -> SecretCipher:
    """Return what opens the secrets; a key is made for a new data file, and only for that."""
    own, path = folder / KEY_FILE, folder / DATA_FILE
    if is_missing(path):
        begin_new_data(path)
    # Beside a sealed data file a new key would open nothing, and pass for the one that was lost.
    if keys is None and not has_key_file(file or own) and not is_sealed(path):
        make_key_file(file or own)
    return _existing_cipher(own, keys, file)


def _existing_cipher(own: Path, keys: str | None, file: Path | None) -> SecretCipher:
    return SecretCipher.in_file(file or own) if keys is None else SecretCipher(keys.split(","))


def _data_file(folder: Path) -> Path:
    with refusing(f"the data folder {folder} can't be made", "choose another with --data"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / DATA_FILE
