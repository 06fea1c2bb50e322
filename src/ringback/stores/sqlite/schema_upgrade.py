"""The schema of a data file: finding out its version, and bringing it up to date."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.stores.sqlite.data_loss import is_missing
from ringback.stores.sqlite.durability_mark import number_in
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.migration_functions import FUNCTIONS, DeviceAddressBackfill


class SchemaMigration(NamedTuple):
    """One step of the schema; its file is named `NNNN_what_it_does.sql`, and applied once."""

    version: int
    sql: str


class SchemaVersionGap(NamedTuple):
    """The schema that a file has, and the one that it needs."""

    present: int
    wanted: int


BeforeUpgrade = Callable[[sqlite3.Connection, SchemaVersionGap], None]
"""Called before a file with data is upgraded; if it raises, the file stays as it was."""


def allow(_: sqlite3.Connection, gap: SchemaVersionGap) -> None:
    """Do nothing before a file is upgraded."""


def gap_of(path: Path) -> SchemaVersionGap | None:
    """Return how far a file is behind, or None if it is up to date, empty or missing.

    Raises ConfigurationError for a schema that is newer than this Ringback, and sqlite3.Error.
    """
    if is_missing(path):
        return None
    with closing(open_existing(path)) as connection:
        version = version_of(connection)
        steps = pending_migrations(version)
    return SchemaVersionGap(version, steps[-1].version) if version and steps else None


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a file without creating it: for reading, which can take writing in WAL mode."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def refusal_beside(path: Path, gap: SchemaVersionGap) -> ConfigurationError:
    """Return why a command does not use a file with an older schema."""
    holder = FileLock.holder(path)
    who = (
        "no server is using it: run"
        if holder is None
        else f"process {holder} is using it: stop that server, then run"
    )
    return ConfigurationError(
        f"{path} has schema {gap.present}, and this Ringback needs {gap.wanted}. Commands leave"
        f" that as it is, since a server of the older version could not go on. {who}"
        f" `ringback db upgrade --data {path.parent}`, or start a server of this version"
    )


def bring_up_to_date(connection: sqlite3.Connection, before: BeforeUpgrade) -> None:
    """Take all steps that the schema lacks.

    Each is a transaction of its own together with its number: after a crash, the next start goes on
    with the step that was not finished.
    """
    version = version_of(connection)
    steps = pending_migrations(version)
    if version and steps:
        before(connection, SchemaVersionGap(version, steps[-1].version))
    for function in FUNCTIONS:
        count = function.__code__.co_argcount
        connection.create_function(function.__name__, count, function, deterministic=True)
    connection.create_function("device_ip_of", 1, DeviceAddressBackfill().device_ip_of)
    # The first number of a watermark: it says that the file has data from now on.
    number = max(1, number_in(connection))
    for step in steps:
        connection.executescript(
            f"BEGIN; {step.sql}; PRAGMA user_version = {step.version};"
            f" PRAGMA application_id = {number}; COMMIT;"
        )
    # The function remembers all addresses that it has given, and nobody needs it any more.
    connection.create_function("device_ip_of", 1, None)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file's schema; 0 for a new file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version


def newest() -> int:
    """Return the schema that this Ringback needs."""
    return pending_migrations(0)[-1].version


def pending_migrations(version: int) -> list[SchemaMigration]:
    """Return the steps that a schema of this version has yet to take, in order.

    Raises ConfigurationError for a schema that is newer than this Ringback.
    """
    steps = sorted(_migrations())
    wanted = steps[-1].version
    if version > wanted:
        raise ConfigurationError(
            f"the data file has schema {version}, but this Ringback knows only {wanted};"
            " use the newer Ringback that wrote it"
        )
    return [step for step in steps if step.version > version]


def _migrations() -> Iterator[SchemaMigration]:
    for file in (files("ringback.stores.sqlite") / "migrations").iterdir():
        if name := re.match(r"(\d{4})_\w+\.sql$", file.name):
            yield SchemaMigration(int(name[1]), file.read_text("utf-8"))
