"""The data folder: its file, and the key that seals it.

It is apart from `application` since most commands work on the data and serve nothing: they start in
half of the time. Nothing but these two may import a store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refuse_windows, refusing
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher, has_key_file, make_key_file
from ringback.stores.encryption import new_key as new_seal_key
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
from ringback.stores.sqlite.integrity_checks import IntegrityCheckResult, check_data
from ringback.stores.sqlite.schema_upgrade import gap_of, newest
from ringback.stores.sqlite.store import SqliteStore, StoreOptions

__all__ = [
    "DATA_FILE",
    "KEY_FILE",
    "DataFolder",
    "IntegrityCheckResult",
    "StoreOptions",
    "UpgradedSchema",
    "new_seal_key",
]

DATA_FILE: Final = "ringback.db"
KEY_FILE: Final = "ringback.key"


class UpgradedSchema(NamedTuple):
    """Which schema a data file had, which one it has now, and where it is as it was."""

    before: int
    after: int
    copy: Path | None
    """None where it was up to date."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder of the data file, and the key that its secrets are sealed with.

    The key is given, or in the file that is given, or else in the folder, too.
    """

    folder: Path
    seal_key: str | None = field(default=None, repr=False)
    seal_key_file: Path | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError on Windows."""
        refuse_windows("a Ringback data folder")

    def open_to_serve(
        self, options: StoreOptions, *, accept_data_loss: bool = False
    ) -> SqliteStore:
        """Open the data in this folder as its only server.

        With `accept_data_loss`, what is missing is taken for lost, and the server goes on with what
        there is.

        Raises ConfigurationError where the folder or a file can't be used, has lost something, or
        another server has it.
        """
        self._make()
        lock = FileLock.take(self._path)
        with on_failure(lock.release):
            if accept_data_loss:
                forget_lost_data(self._path)
            else:
                self._refuse_lost_data()
            cipher = self._cipher()
        return SqliteStore.open(
            self._path, cipher, lock=lock, options=options, accept_data_loss=accept_data_loss
        )

    def open_beside(self) -> SqliteStore:
        """Open the data in this folder for short work, also while a server uses it.

        Raises ConfigurationError where the folder or the file can't be used, has lost something, or
        has to be upgraded first.
        """
        self._make()
        self._refuse_lost_data(is_in_use=FileLock.holder(self._path) is not None)
        # Before a key is made.
        refuse_to_upgrade(self._path)
        return SqliteStore.beside(self._path, self._cipher())

    def upgrade(self) -> UpgradedSchema:
        """Bring the data in this folder up to date, after a copy of its file.

        Raises ConfigurationError where there is none, a server is using it, or it can't be copied.
        """
        path = self._path
        if is_missing(path):
            raise ConfigurationError(
                f"there is no data in {self.folder}; --data names the folder of a Ringback"
            )
        lock, copies = FileLock.take(path), list[Path]()
        try:
            self._refuse_lost_data()
            gap = gap_of(path)
            open_as_owner(path, self._cipher(), copied=copies.append).connection.close()
        finally:
            lock.release()
        after = newest()
        return UpgradedSchema(gap.present if gap else after, after, copies[0] if copies else None)

    def check(self) -> Sequence[IntegrityCheckResult]:
        """Look through the data in this folder, also while a server uses it; change nothing."""
        return check_data(self._path, self._existing_cipher)

    @property
    def _path(self) -> Path:
        return self.folder / DATA_FILE

    @property
    def _key_file(self) -> Path:
        return self.seal_key_file or self.folder / KEY_FILE

    def _make(self) -> None:
        advice = "choose another with --data"
        with refusing(f"the data folder {self.folder} can't be made", advice):
            self.folder.mkdir(parents=True, exist_ok=True)

    def _refuse_lost_data(self, *, is_in_use: bool = False) -> None:
        """Raise ConfigurationError where data is gone, before anything is opened or made."""
        path = self._path
        # The key is looked for first: who makes a data file notes that, then makes the key, and
        # takes the note back once there is data. So a start that died in between has lost nothing.
        expects_data = has_key_file(self.folder / KEY_FILE) and not is_being_made(path)
        refuse_missing_data(path, expects_data=expects_data)
        # A server that lives has all of it in hand.
        if not is_in_use:
            refuse_damaged_wal(path)

    def _cipher(self) -> SecretCipher:
        """Return what opens the secrets; a key is made for a new data file, and only for that."""
        path, key_file = self._path, self._key_file
        if is_missing(path):
            begin_new_data(path)
        # Beside a sealed data file a new key would open nothing, and pass for the one that was
        # lost.
        if self.seal_key is None and not has_key_file(key_file) and not is_sealed(path):
            make_key_file(key_file)
        return self._existing_cipher()

    def _existing_cipher(self) -> SecretCipher:
        if self.seal_key is None:
            return SecretCipher.in_file(self._key_file)
        return SecretCipher(self.seal_key.split(","))
