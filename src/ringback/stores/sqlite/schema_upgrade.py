"""Reads the schema version of a data file, and runs the steps that upgrade a schema."""

import re
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.stores.sqlite.durability_mark import number_in
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.migration_functions import FUNCTIONS, DeviceAddressBackfill


class SchemaMigration(NamedTuple):
    """One step of schema upgrades; its SQL is in a file `NNNN_what_it_does.sql`."""

    version: int
    sql: str


class UpgradedSchema(NamedTuple):
    """The result of a schema upgrade: the version before, the version after, and the old file."""

    before: int
    after: int
    copy: Path | None
    """The path of the old file; None if the schema was already up to date."""


LAYOUT: Final = (
    # Rows are short, and each commit writes the last page of each table and index.
    "PRAGMA page_size = 4096",
    # The pages of deleted rows can be released, a few at a time.
    "PRAGMA auto_vacuum = INCREMENTAL",
)
"""Commands for a new file, to be run before anything is written."""


class OutdatedSchema(ConfigurationError):
    """A data file has the schema `version`, which isn't the newest."""

    def __init__(self, path: Path | str, version: int) -> None:
        holder = FileLock.holder(Path(path))
        who = (
            "no server is using it: run"
            if holder is None
            else f"process {holder} is using it: stop that server, then run"
        )
        super().__init__(
            f"{path} has schema {version}, but this Ringback needs {newest()}."
            " Commands don't upgrade it, since a server of the older version"
            f" could not use it any more. {who} `ringback db upgrade --data {Path(path).parent}`,"
            " or start a server of this version"
        )
        self.version = version


def refuse_outdated(path: Path | str, connection: sqlite3.Connection) -> None:
    """Raise OutdatedSchema if the open file has data, and a schema that isn't the newest.

    Raises ConfigurationError if the schema is newer than this Ringback.
    """
    version = version_of(connection)
    if pending_migrations(version) and version:
        raise OutdatedSchema(path, version)


def open_existing(path: Path) -> sqlite3.Connection:
    """Open an existing file to read it. Not read-only: in WAL mode, reading may have to write."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def bring_up_to_date(connection: sqlite3.Connection, *, until: int | None = None) -> None:
    """Apply all upgrade steps that the schema lacks, up to version `until`, or all.

    Each step is one transaction, so after a crash the next call continues with the unfinished step.
    In a new file, one transaction makes all tables, so nobody ever finds a part of them: those of
    `schema.sql`, or with `until`, those of all steps to there.
    """
    before = version_of(connection)
    steps = [step for step in pending_migrations(before) if until is None or step.version <= until]
    if not before and steps:
        sql = "; ".join(step.sql for step in steps) if until else _text_of("schema.sql")
        steps = [SchemaMigration(steps[-1].version, sql)]
    for function in FUNCTIONS:
        count = function.__code__.co_argcount
        connection.create_function(function.__name__, count, function, deterministic=True)
    connection.create_function("device_ip_of", 1, DeviceAddressBackfill().device_ip_of)
    # The commit number must be at least 1: 0 would mean that the file has no data.
    number = max(1, number_in(connection))
    for step in steps:
        connection.executescript(
            f"BEGIN; {step.sql}; PRAGMA user_version = {step.version};"
            f" PRAGMA application_id = {number}; COMMIT;"
        )
    # Free the function's memory of all addresses that it has assigned: nothing needs it any more.
    connection.create_function("device_ip_of", 1, None)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of the open file; 0 for a new file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version


def newest() -> int:
    """Return the newest schema version, which this Ringback needs."""
    return pending_migrations(0)[-1].version


def pending_migrations(version: int) -> list[SchemaMigration]:
    """Return the upgrade steps that a schema of this version lacks, in order.

    Raises ConfigurationError if the schema is newer than this Ringback.
    """
    steps = sorted(_migrations())
    wanted = steps[-1].version
    if version > wanted:
        raise ConfigurationError(
            f"the data file has schema {version}, but this Ringback knows only {wanted};"
            " use the newer Ringback that wrote it"
        )
    return [step for step in steps if step.version > version]


def _text_of(name: str) -> str:
    return (files("ringback.stores.sqlite") / name).read_text("utf-8")


def _migrations() -> Iterator[SchemaMigration]:
    for file in (files("ringback.stores.sqlite") / "migrations").iterdir():
        if name := re.match(r"(\d{4})_\w+\.sql$", file.name):
            yield SchemaMigration(int(name[1]), file.read_text("utf-8"))
