"""The schema of the database: its version, its upgrades, and the partitions for the next weeks.

All functions work under one advisory lock, so that processes don't do the same at the same time.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Final, NamedTuple

import psycopg

from ringback.core.errors import ConfigurationError
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres.connections import Connection, Dsn, execute, reason_of
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.sealed_columns import open_all, seal_anew, sealed_with

_LOCK: Final = 0x52494E47
"""The number of the advisory lock; others of the same database must use another one."""
_IDS_OF_A_WEEK: Final = ids_in(hours=7 * 24)
_US_OF_A_WEEK: Final = 7 * 24 * 3_600_000_000
_AHEAD: Final = 7
"""The number of weeks for which partitions are made in advance."""
_PARTITIONED: Final = (
    *("callbacks", "attempts", "outcomes", "callback_targets", "bodies"),
    *("request_heads", "attempt_results", "answer_bodies"),
)


class PostgresMigration(NamedTuple):
    """One step of schema upgrades; its SQL is in a file `NNNN_what_it_does.sql`."""

    version: int
    sql: str


def upgrade(dsn: Dsn, cipher: SecretCipher) -> tuple[int, int]:
    """Bring the schema up to date, in an empty database too; return the versions before and after.

    Also encrypts the secrets with the cipher's first key, and makes partitions. Raises
    ConfigurationError if the database can't be used, or has a newer schema.
    """
    with _connected(dsn) as connection:
        with _locked(connection):
            before = version_of(connection)
            _refuse_newer(dsn, before)
            for migration in _migrations():
                if migration.version > before:
                    connection.execute(migration.sql.encode())
                    execute(
                        connection,
                        "INSERT INTO schema_versions (version) VALUES (?)",
                        [migration.version],
                    )
            seal_anew(partial(execute, connection), cipher)
            make_partitions(connection)
        return before, newest()


def check(dsn: Dsn, cipher: SecretCipher) -> None:
    """Check that a server can use the database, and make the partitions for the next weeks.

    Raises ConfigurationError if the database can't be used, if its schema is not the newest, or if
    the cipher has not the key to its secrets.
    """
    with _connected(dsn) as connection:
        version = version_of(connection)
        _refuse_newer(dsn, version)
        if version < newest():
            state = f"has schema {version}" if version else "has no tables of Ringback"
            raise ConfigurationError(
                f"the PostgreSQL database {dsn.shown} {state}, but this Ringback needs schema"
                f" {newest()}; run `ringback db upgrade`"
            )
        with _locked(connection):
            run = partial(execute, connection)
            if sealed_with(run, cipher) == cipher.key_ids[0]:
                open_all(run, cipher)
            else:
                seal_anew(run, cipher)
            make_partitions(connection)


def make_partitions(connection: Connection) -> None:
    """In a transaction, add the partitions that are missing for this week and the next ones."""
    (now_us,) = execute(
        connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    ).fetchone()
    this_week = now_us // _US_OF_A_WEEK
    there = {
        name
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace"
            " AND relispartition AND relkind = 'r'"
        )
    }
    for week in range(this_week - 1, this_week + 1 + _AHEAD):
        begins = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(weeks=week)
        start, end = week * _IDS_OF_A_WEEK, (week + 1) * _IDS_OF_A_WEEK
        for table in _PARTITIONED:
            name = f"{table}_{begins:%Y%m%d}"
            if name not in there:
                # To attach a table locks others out for a moment less than `PARTITION OF` does.
                connection.execute(
                    f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
                    f"ALTER TABLE {table} ATTACH PARTITION {name}"
                    f" FOR VALUES FROM ({start}) TO ({end})".encode()
                )


def partitions_end(connection: Connection) -> datetime:
    """Return until when there are partitions for new callbacks."""
    names = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relispartition AND relkind = 'r' AND relname LIKE 'callbacks\\_%'"
        " ORDER BY relname DESC LIMIT 1"
    ).fetchone()
    if names is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    begins = datetime.strptime(f"{names[0]}+0000", "callbacks_%Y%m%d%z")
    return begins + timedelta(weeks=1)


def make_missing_partitions(dsn: Dsn) -> None:
    """Do the same on a connection of its own; raises psycopg.Error if that fails."""
    with dsn.connect() as connection, _locked(connection):
        make_partitions(connection)


def version_of(connection: Connection) -> int:
    """Return the version of the schema; 0 if the database has no tables of Ringback."""
    (has_versions,) = execute(
        connection, "SELECT to_regclass('schema_versions') IS NOT NULL"
    ).fetchone()
    if not has_versions:
        return 0
    (version,) = execute(
        connection, "SELECT coalesce(max(version), 0) FROM schema_versions"
    ).fetchone()
    return version


def newest() -> int:
    """Return the version of the newest schema."""
    return max(migration.version for migration in _migrations())


def _migrations() -> Iterator[PostgresMigration]:
    """Yield the steps from an empty database to the newest schema, in order."""
    folder = files("ringback.stores.postgres") / "migrations"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if match := re.fullmatch(r"(\d+)_\w+\.sql", file.name):
            yield PostgresMigration(int(match[1]), file.read_text())


def _refuse_newer(dsn: Dsn, version: int) -> None:
    if version > newest():
        raise ConfigurationError(
            f"the PostgreSQL database {dsn.shown} has schema {version}, but this Ringback knows"
            f" only schema {newest()}; use the version of Ringback that upgraded it, or a newer one"
        )


@contextmanager
def _connected(dsn: Dsn) -> Generator[Connection]:
    """Connect for the block; turn errors of the database in it into a ConfigurationError."""
    try:
        with dsn.connect("lock_timeout=2s") as connection:
            yield connection
    except psycopg.Error as failure:
        raise ConfigurationError(
            f"the PostgreSQL database {dsn.shown} can't be used: {reason_of(failure)}"
        ) from failure


@contextmanager
def _locked(connection: Connection) -> Generator[None]:
    """Run the block in a transaction under the advisory lock."""
    connection.execute("BEGIN")
    with on_failure(lambda: connection.execute("ROLLBACK")):
        # It ends with the transaction, so it also works behind a pooler.
        connection.execute("SET LOCAL lock_timeout = '30s'")
        execute(connection, "SELECT pg_advisory_xact_lock(?)", [_LOCK])
        connection.execute("SET LOCAL lock_timeout = '2s'")
        yield
    connection.execute("COMMIT")
