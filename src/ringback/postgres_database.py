"""The PostgreSQL database in place of a data folder, and the key that encrypts the secrets in it.

It has the same methods as `data_folder`, so commands work on either.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import NoReturn

from ringback.core.callbacks.shards import Role
from ringback.core.errors import ConfigurationError
from ringback.data_folder import (
    KEY_FILE,
    CopySource,
    CopyTarget,
    IntegrityCheckResult,
    NotARingbackBackup,
    StoredData,
    UpgradedSchema,
)
from ringback.stores.encryption import SecretCipher, has_key_file
from ringback.stores.postgres import schema
from ringback.stores.postgres.checks import check_database, status_of
from ringback.stores.postgres.connections import Dsn
from ringback.stores.postgres.copy_side import PostgresCopySource, PostgresCopyTarget
from ringback.stores.postgres.store import PostgresOptions, PostgresStore

__all__ = ["PostgresDatabase", "PostgresOptions", "PostgresStore"]


@dataclass(frozen=True, slots=True)
class PostgresDatabase(StoredData):
    """Opens and upgrades a PostgreSQL database, and finds the key of its secrets.

    The key is `seal_key` if given, else the content of `seal_key_file` if given, else the content
    of the key file in `folder`, if there is one.
    """

    url: str = field(repr=False)
    seal_key: str | None = field(default=None, repr=False)
    seal_key_file: Path | None = None
    folder: Path | None = None

    def open_to_serve(self, options: PostgresOptions) -> PostgresStore:
        """Open the database for a server; other processes can use it meanwhile.

        Raises ConfigurationError if the database can't be used, if its schema is not the newest, or
        if the key is missing or wrong.
        """
        dsn = self._dsn
        if not options.has_notifications:
            dsn = dsn.without_prepared_statements()
        return PostgresStore.open(dsn, self._cipher(), options)

    def open_beside(self) -> PostgresStore:
        """Open the database for a short job; raises ConfigurationError like `open_to_serve`."""
        # Like an API process, a command owns no shards.
        return PostgresStore.open(
            self._dsn.without_prepared_statements(),
            self._cipher(),
            PostgresOptions(name="a command", role=Role.API, has_notifications=False),
        )

    def upgrade(self, tell: Callable[[str], None] | None = None) -> UpgradedSchema:
        """Make the tables, or upgrade them to the newest schema; see `StoredData.upgrade`.

        Servers of the version before can go on meanwhile.
        """
        before, after = schema.upgrade(self._dsn, self._cipher(), tell)
        return UpgradedSchema(before, after, None)

    def back_up(
        self,
        target: Path,
        *,
        rate: int,  # noqa: ARG002 (that of data folders)
        tell: Callable[[str], None],  # noqa: ARG002 (as above)
    ) -> NoReturn:
        """Raise NotARingbackBackup, which says what to run: PostgreSQL has its own programs."""
        raise NotARingbackBackup(
            f"no backup was made: PostgreSQL's own programs back up {self._dsn.shown}, also while"
            f" servers use it:\n\n  pg_dump --format=custom --file={quote(str(target))}"
            f" --dbname={quote(self._dsn.without_password)}\n\nFor backups that lose less than"
            " the time since the last dump, use base backups and the archived WAL:"
            " docs/operating.md has the steps. Neither has the key that opens the secrets: also"
            f" keep the key {self._cipher().key_ids[0]}, in another place than the backups. Servers"
            " that find a restored dump are paused by themselves; after the restore of a base"
            " backup, start them with --start-paused"
        )

    def restore(
        self,
        backup: Path,
        *,
        tell: Callable[[str], None],  # noqa: ARG002 (that of data folders)
        unverified: bool = False,  # noqa: ARG002 (as above)
    ) -> NoReturn:
        """Raise NotARingbackBackup, which says what to run."""
        raise NotARingbackBackup(
            "nothing was restored: PostgreSQL's own programs restore its backups, for example into"
            f" an empty database:\n\n  pg_restore --dbname={quote(self._dsn.without_password)}"
            f" {quote(str(backup))}\n\nTo restore a backup of a data folder, name a new folder with"
            " --data; `ringback db copy` can copy it into a database afterwards"
        )

    def as_copy_source(self) -> AbstractContextManager[CopySource]:
        """Hold the data, so that it can be copied; see `StoredData.copy_to`."""
        return PostgresCopySource.open(self._dsn, self._cipher())

    def as_copy_target(self) -> AbstractContextManager[CopyTarget]:
        """Hold the place, so that data can be copied to it; see `StoredData.copy_to`."""
        cipher = self._cipher()
        with schema.connected(self._dsn) as connection:
            has_tables = schema.version_of(connection) > 0
        if not has_tables:
            schema.upgrade(self._dsn, cipher)
        return PostgresCopyTarget.open(self._dsn, cipher)

    def served_by(self) -> str | None:
        """Return None: processes that share the database look at it each second."""
        return None

    def check(self) -> Sequence[IntegrityCheckResult]:
        """Check the integrity of the data; raises ConfigurationError if it can't be used at all."""
        return [
            IntegrityCheckResult(*one)
            for one in check_database(self._dsn.without_prepared_statements(), self._cipher())
        ]

    def status(self) -> dict[str, str | int | None]:
        """Return the state of the database; raises ConfigurationError if it can't be used."""
        found = status_of(self._dsn.without_prepared_statements())
        until, growth = found.partitions_until, found.growth
        shown = {} if growth is None else growth.shown(used=found.bytes, room=found.room)
        in_words = "growth", "room"
        record = {name: one for name, one in found._asdict().items() if name not in in_words}
        return {**record, "partitions_until": until and until.date().isoformat(), **shown}

    @property
    def _dsn(self) -> Dsn:
        return Dsn(self.url)

    def _cipher(self) -> SecretCipher:
        if self.seal_key is not None:
            return SecretCipher(self.seal_key.split(","))
        if self.seal_key_file is not None:
            return SecretCipher.in_file(self.seal_key_file)
        if self.folder is not None and has_key_file(self.folder / KEY_FILE):
            return SecretCipher.in_file(self.folder / KEY_FILE)
        raise ConfigurationError(
            "all processes that use a PostgreSQL database need the key that encrypts the secrets in"
            " it: give it in RINGBACK_SEAL_KEY, or its file with --seal-key-file; `ringback"
            " accounts new-key` makes one"
        )
