"""The data folder: the data file, and the key that encrypts the secrets in it.

Most commands use the data without a server. They import this module and not `application`, and so
start twice as fast. Only these two modules may import `stores`.
"""

import asyncio
import getpass
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from ringback.core.audit import Actor, ActorKind
from ringback.core.errors import ConfigurationError
from ringback.ports import Store, Transaction
from ringback.runtime.os_error_messages import refuse_windows, refusing
from ringback.runtime.system_clock import SystemClock, SystemRandomSource
from ringback.runtime.undo import on_failure
from ringback.settings.setting_definitions import DATA_FILE, SEAL_KEY
from ringback.stores.encryption import SecretCipher, has_key_file, make_key_file
from ringback.stores.encryption import new_key as new_seal_key
from ringback.stores.sql.data_copy import CopySource, CopyTarget, DataCopyResult, copy_all
from ringback.stores.sqlite.backup_mac import is_unused_backup
from ringback.stores.sqlite.copy_side import SqliteCopySource, SqliteCopyTarget, draft_of_copy
from ringback.stores.sqlite.data_file_opener import (
    growth_of_file,
    is_sealed,
    open_as_owner,
    refuse_old_sqlite,
    refuse_to_upgrade,
    schema_of_file,
)
from ringback.stores.sqlite.data_loss import (
    begin_new_data,
    forget_lost_data,
    is_being_made,
    is_missing,
    refuse_damaged_wal,
    refuse_missing_data,
)
from ringback.stores.sqlite.durability_mark import mark_path
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.integrity_checks import IntegrityCheckResult, check_data
from ringback.stores.sqlite.schema_upgrade import UpgradedSchema, newest
from ringback.stores.sqlite.store import SqliteStore, StoreOptions

if TYPE_CHECKING:
    from ringback.stores.sqlite.backup import BackupNote

__all__ = [
    "DATA_FILE",
    "KEY_FILE",
    "CopySource",
    "CopyTarget",
    "DataCopyResult",
    "DataFolder",
    "IntegrityCheckResult",
    "MadeBackup",
    "NotARingbackBackup",
    "OpenStore",
    "RestoredData",
    "StoreOptions",
    "StoredData",
    "UpgradedSchema",
    "command_line",
    "keys_in",
    "new_seal_key",
]

T = TypeVar("T")

KEY_FILE: Final = "ringback.key"
_MOST_NAMED: Final = 5
"""The most files in a folder that a message names."""


def command_line() -> Actor:
    """Return the user of this machine who runs a command, as audit entries name who did what."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run a program as a user without a name
        user = "unknown"
    return Actor(ActorKind.COMMAND_LINE, address=f"{user}@{gethostname()}")


def keys_in(file: Path) -> Sequence[str]:
    """Return the keys in a key file; raises ConfigurationError if it can't be used."""
    return SecretCipher.in_file(file).keys


class OpenStore(Store, Protocol):
    """A store that has to be closed."""

    damaged_secrets: Mapping[str, Sequence[str]]
    """The names of the secrets that can't be decrypted, by the record that has them."""

    async def close(self) -> None:
        """Finish all queued work, and close all connections and files."""
        ...


class NotARingbackBackup(ConfigurationError):
    """Another program has to make or restore the backup; the message says how."""

    exit_code = 2


class MadeBackup(NamedTuple):
    """A backup that was made, and where the key is that its secrets need."""

    note: "BackupNote"
    key_in: str
    has_mac: bool
    """True if it has a MAC, so that a restore knows that nobody has changed it."""


class RestoredData(NamedTuple):
    """The backup that a data folder was made from, and if the key of its secrets is known."""

    note: "BackupNote"
    has_key: bool
    is_verified: bool
    """True if its MAC was checked: nobody without the key has changed it."""


class StoredData(ABC):
    """A place that stores all data of a server."""

    __slots__ = ()

    @abstractmethod
    def back_up(self, target: Path, *, rate: int, tell: Callable[[str], None]) -> MadeBackup:
        """Copy all data as of now into a new file, while a server may use it, and check the copy.

        At most `rate` bytes are copied in a second. Now and then, `tell` is called with a text that
        says how far the backup is. Raises ConfigurationError if the data or the file can't be used.
        """

    @abstractmethod
    def restore(
        self, backup: Path, *, tell: Callable[[str], None], unverified: bool = False
    ) -> RestoredData:
        """Make the data from a backup; servers that use it are paused until an operator resumes.

        Now and then, `tell` is called with a text that says how far the restore is. Raises
        ConfigurationError if there is something in this place, if the backup can't be used or was
        changed, or if the key that is known is another one. Unless `unverified` is set, also raises
        it if the backup has no MAC, or the key of its MAC is not known.
        """

    def copy_to(self, target: "StoredData", tell: Callable[[str], None]) -> DataCopyResult:
        """Copy all data to an empty place, or go on with such a copy, and compare both places.

        Nothing can use either place meanwhile. Afterwards this one is marked as copied. Now and
        then, `tell` is called with a text that says how far the copy is.

        Raises ConfigurationError if a place can't be used or is in use, if the target has data, if
        a key is missing or wrong, or if the copy differs.
        """
        with self.as_copy_source() as source, target.as_copy_target() as copied:
            return copy_all(
                source, copied, clock=SystemClock(), random_source=SystemRandomSource(), tell=tell
            )

    @abstractmethod
    def as_copy_source(self) -> AbstractContextManager[CopySource]:
        """Hold the data, so that it can be copied; see `copy_to`."""

    @abstractmethod
    def as_copy_target(self) -> AbstractContextManager[CopyTarget]:
        """Hold the place, so that data can be copied to it; see `copy_to`."""

    @abstractmethod
    def upgrade(self, tell: Callable[[str], None] | None = None) -> UpgradedSchema:
        """Upgrade the schema to the newest version.

        During a long upgrade, `tell` is called with texts that say how far it is. Raises
        ConfigurationError if the data can't be used or upgraded.
        """

    @abstractmethod
    def status(self) -> Mapping[str, str | int | None]:
        """Return where the data is, its size and growth, and the version of its schema."""

    @abstractmethod
    def served_by(self) -> str | None:
        """Return the id of the process that would not notice changes by others; None without one.

        Processes that share a database notice them.
        """

    @abstractmethod
    def check(self) -> Sequence[IntegrityCheckResult]:
        """Check the integrity of the data, read-only; a server may be using it meanwhile."""

    @abstractmethod
    def open_beside(self) -> OpenStore:
        """Open the data for a short job; a server may be using it meanwhile.

        Raises ConfigurationError if it can't be used.
        """

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one transaction, commit it, and return its result.

        A server may be using the data meanwhile. Raises ConfigurationError if it can't be used.
        """
        return self.use(lambda store: store.transact(work))

    def use(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do work that takes several transactions; otherwise like `transact`."""

        async def use() -> T:
            store = self.open_beside()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(use())


@dataclass(frozen=True, slots=True)
class DataFolder(StoredData):
    """Opens, upgrades and checks the data file in a folder, and finds the key of its secrets.

    The key encrypts the secrets in the data file. It is `seal_key` if given, else the content of
    `seal_key_file` if given, else the content of the key file in the folder.
    """

    folder: Path
    seal_key: str | None = field(default=None, repr=False)
    seal_key_file: Path | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError on Windows, and if Python's SQLite is too old."""
        refuse_windows("a Ringback data folder")
        refuse_old_sqlite()

    def open_to_serve(
        self, options: StoreOptions, *, accept_data_loss: bool = False, serve_copied: bool = False
    ) -> SqliteStore:
        """Open the data in this folder for a server; no other server can use it meanwhile.

        With `accept_data_loss`, the server continues with the data that is left if some is missing.
        With `serve_copied`, it continues with data that was copied to another place.

        Raises ConfigurationError if the folder or a file can't be used, if data is missing, if it
        was copied to another place, or if another server uses the folder.
        """
        self._make()
        lock = FileLock.take(self._path)
        with on_failure(lock.release):
            if accept_data_loss:
                forget_lost_data(self._path)
            else:
                self._refuse_lost_data()
            self._admit_backup()
            cipher = self._cipher()
        return SqliteStore.open(
            self._path,
            cipher,
            lock=lock,
            options=options,
            accept_data_loss=accept_data_loss,
            serve_copied=serve_copied,
        )

    def open_beside(self) -> SqliteStore:
        """Open the data in this folder for a short job; a server may be using it meanwhile.

        Raises ConfigurationError if the folder or the file can't be used, if data is missing, or if
        the schema has to be upgraded first.
        """
        self._make()
        self._refuse_lost_data(is_in_use=FileLock.holder(self._path) is not None)
        self._admit_unlocked_backup()
        # This check comes first, so that a refused call creates no key.
        refuse_to_upgrade(self._path)
        return SqliteStore.beside(self._path, self._cipher())

    def upgrade(self, tell: Callable[[str], None] | None = None) -> UpgradedSchema:
        """Upgrade the schema of the data file in this folder to the newest version.

        The old file stays in the folder. During a long upgrade, `tell` is called with texts that
        say how far it is; without it, they are logged. Raises ConfigurationError if there is no
        data file, if a server is using it, or if it can't be upgraded.
        """
        path = self._path
        if is_missing(path):
            raise self._no_data()
        lock = FileLock.take(path)
        try:
            self._refuse_lost_data()
            self._admit_backup(tell)
            opened = open_as_owner(path, self._cipher(), tell=tell)
            opened.connection.close()
        finally:
            lock.release()
        return opened.upgrade or UpgradedSchema(newest(), newest(), None)

    def back_up(self, target: Path, *, rate: int, tell: Callable[[str], None]) -> MadeBackup:
        """Copy the data file into a new file; see `StoredData.back_up`."""
        from ringback.stores.sqlite.backup import back_up  # noqa: PLC0415 (rarely needed)

        path = self._path
        if is_missing(path):
            raise self._no_data()
        self._refuse_lost_data(is_in_use=FileLock.holder(path) is not None)
        self._admit_unlocked_backup()
        note, has_mac = back_up(
            path, target, rate=rate, mac_key=self._mac_key, clock=SystemClock().now, tell=tell
        )
        return MadeBackup(note, self._place_of_key(note.key_id), has_mac)

    def _ciphers(self) -> Iterator[tuple[str, SecretCipher]]:
        """Yield the places of all keys that are at hand: several may be given, and one be right."""
        if self.seal_key is not None:
            yield SEAL_KEY.variable, SecretCipher(self.seal_key.split(","))
        for file in dict.fromkeys((self._key_file, self.folder / KEY_FILE)):
            if has_key_file(file):
                yield str(file), SecretCipher.in_file(file)

    def _place_of_key(self, key_id: str | None) -> str:
        """Return where the key with this id is."""
        places = (place for place, cipher in self._ciphers() if key_id in cipher.key_ids)
        return next(places, "none of the places that were named")

    def _mac_key(self, key_id: str) -> bytes | None:
        """Return the key for MACs that belongs to the key with this id, if that is at hand."""
        return next(filter(None, (cipher.mac_key(key_id) for _, cipher in self._ciphers())), None)

    def _admit_backup(self, tell: Callable[[str], None] | None = None) -> None:
        """If the data file is a backup put in by hand, check it, and make a data file of it.

        The caller holds the lock. Raises ConfigurationError if the backup can't be trusted.
        """
        if is_unused_backup(self._path):
            from ringback.stores.sqlite.restore import admit  # noqa: PLC0415 (rarely needed)

            admit(self._path, self._mac_key, tell)

    def _admit_unlocked_backup(self) -> None:
        """Do the same without holding the lock."""
        if is_unused_backup(self._path):
            lock = FileLock.take(self._path)
            try:
                self._admit_backup()
            finally:
                lock.release()

    def restore(
        self, backup: Path, *, tell: Callable[[str], None], unverified: bool = False
    ) -> RestoredData:
        """Make the data file in this folder from a backup; see `StoredData.restore`."""
        from ringback.stores.sqlite.restore import read_note, restore_file  # noqa: PLC0415 (rarely needed)

        path = self._path
        read_note(backup, self._mac_key, unverified=unverified)
        cipher = None
        if self.seal_key is not None or has_key_file(self._key_file):
            cipher = self._existing_cipher()
        self._make()
        self._refuse_what_is_there()
        lock = FileLock.take(path)
        try:
            now = SystemClock().now()
            note, is_verified = restore_file(
                backup,
                path,
                mac_key=self._mac_key,
                unverified=unverified,
                cipher=cipher,
                now=now,
                tell=tell,
            )
        finally:
            lock.release()
        return RestoredData(note, has_key=cipher is not None, is_verified=is_verified)

    def _refuse_what_is_there(self) -> None:
        """Raise ConfigurationError if anything is in the folder but a key and what a kill left."""
        from ringback.stores.sqlite.restore import draft_of_restore  # noqa: PLC0415 (rarely needed)

        lock, mark = self._path.with_suffix(".lock"), mark_path(self._path)
        draft = draft_of_restore(self._path)
        may_be = {KEY_FILE, lock.name, draft.name, f"{draft.name}-journal"}
        if is_being_made(self._path):
            may_be.add(mark.name)
        with refusing(f"the folder {self.folder} can't be read"):
            others = sorted({file.name for file in self.folder.iterdir()} - may_be)
        if others:
            named = ", ".join([*others[:_MOST_NAMED], *(["…"] if others[_MOST_NAMED:] else [])])
            raise ConfigurationError(
                f"{self.folder} is not empty: it has {named}. Name a new folder with --data; only"
                f" the key file, {KEY_FILE}, may be in it"
            )

    @contextmanager
    def as_copy_source(self) -> Generator[CopySource]:
        """Hold the data, so that it can be copied; see `StoredData.copy_to`."""
        path = self._path
        if is_missing(path):
            raise ConfigurationError(f"there is no data in {self.folder}: {path} is missing")
        with self._held(), SqliteCopySource.open(path, self._existing_cipher()) as source:
            yield source

    @contextmanager
    def as_copy_target(self) -> Generator[CopyTarget]:
        """Hold the place, so that data can be copied to it; see `StoredData.copy_to`."""
        self._make()
        with self._held(), SqliteCopyTarget.open(self._path, self._existing_cipher()) as target:
            yield target

    @contextmanager
    def _held(self) -> Generator[None]:
        """Hold the folder for a copy; its errors become a ConfigurationError."""
        path = self._path
        lock = FileLock.take(path)
        try:
            if not is_missing(path):
                self._refuse_lost_data()
                self._admit_backup()
            yield
        except (sqlite3.Error, OSError) as failure:
            raise ConfigurationError(f"{path} can't be copied: {failure}") from failure
        finally:
            lock.release()

    def served_by(self) -> str | None:
        """Return the id of the process that holds the data file's lock, or None."""
        return FileLock.holder(self._path)

    def check(self) -> Sequence[IntegrityCheckResult]:
        """Check the integrity of the data, read-only; a server may be using it meanwhile."""
        return check_data(self._path, self._existing_cipher, self._mac_key)

    def status(self) -> dict[str, str | int | None]:
        """Return the state of the data file; raises ConfigurationError if there is none."""
        path = self._path
        if is_missing(path):
            raise self._no_data()
        found: dict[str, str | int | None] = {
            "where": str(path),
            "schema": schema_of_file(path),
            "newest_schema": newest(),
            "bytes": path.stat().st_size,
        }
        # An older schema has no times.
        return found | growth_of_file(path) if found["schema"] == newest() else found

    @property
    def _path(self) -> Path:
        return self.folder / DATA_FILE

    @property
    def _key_file(self) -> Path:
        return self.seal_key_file or self.folder / KEY_FILE

    def _no_data(self) -> ConfigurationError:
        return ConfigurationError(
            f"there is no data in {self.folder}; give the data folder of a Ringback with --data"
        )

    def _make(self) -> None:
        advice = "choose another folder with --data"
        with refusing(f"the data folder {self.folder} can't be created", advice):
            self.folder.mkdir(parents=True, exist_ok=True)

    def _refuse_lost_data(self, *, is_in_use: bool = False) -> None:
        """Raise ConfigurationError if data is missing, before any file is opened or created.

        With `is_in_use`, the write-ahead log is not checked, since a server is writing to it.
        """
        path = self._path
        if is_missing(path) and draft_of_copy(path).exists():
            raise ConfigurationError(
                f"the data in {self.folder} is an unfinished copy: run `ringback db copy` again,"
                f" which goes on with it, or delete {draft_of_copy(path)}"
            )
        # Look for the key before the note of a data file being made. A start writes that note, then
        # creates the key, and deletes the note once there is data. So a start that was killed in
        # between does not look like lost data.
        expects_data = has_key_file(self.folder / KEY_FILE) and not is_being_made(path)
        refuse_missing_data(path, expects_data=expects_data)
        # While a server runs, it looks after the write-ahead log itself.
        if not is_in_use:
            refuse_damaged_wal(path)

    def _cipher(self) -> SecretCipher:
        """Return the cipher for the secrets; creates its key only together with a new data file."""
        path, key_file = self._path, self._key_file
        if is_missing(path):
            begin_new_data(path)
        # If the data file is already sealed, a new key could decrypt nothing, and would be mistaken
        # for the lost key.
        if self.seal_key is None and not has_key_file(key_file) and not is_sealed(path):
            make_key_file(key_file)
        return self._existing_cipher()

    def _existing_cipher(self) -> SecretCipher:
        if self.seal_key is None:
            return SecretCipher.in_file(self._key_file)
        return SecretCipher(self.seal_key.split(","))
