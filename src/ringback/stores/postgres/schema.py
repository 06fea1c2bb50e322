"""The schema of the database: its version, and its upgrades.

Functions that change it work under an advisory lock, so that processes don't do the same at the
same time.

Servers of the version before go on during an upgrade and afterwards. So a change is made in three
steps, each in a version of its own: *expand* (add what the new version needs), *switch* (the code
uses it) and *contract* (remove what no version uses any more). Each migration names the oldest
schema whose servers can go on, in the line `-- Servers of schema N can go on.` Indexes are made
after the line `-- Outside a transaction:`, with CREATE INDEX CONCURRENTLY, which blocks nobody.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from time import sleep
from typing import Final, NamedTuple

import psycopg
from psycopg import errors

from ringback.core.errors import ConfigurationError
from ringback.runtime.system_clock import SystemClock
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres.catalogue import difference_of
from ringback.stores.postgres.connections import Connection, Dsn, execute, is_pooled, transaction
from ringback.stores.postgres.failures import unusable
from ringback.stores.postgres.partitions import PARTITIONED, make_partitions, partitions_of
from ringback.stores.sql.catalogue import CatalogueDifference
from ringback.stores.sql.copy_records import take_into_use
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.sealed_columns import seal_anew, sealed_with, warn_of_damaged

_LOCK: Final = 0x52494E47
"""The number of the advisory lock; others of the same database must use another one."""
_COPY_LOCK: Final = _LOCK + 1
"""The lock that a copy of the whole database holds."""
_UPGRADE_LOCK: Final = _LOCK + 2
"""The lock that an upgrade holds from its beginning to its end."""
_RETIREMENT_LOCK: Final = _LOCK + 3
"""The lock of the process that removes old weeks."""
_TRIES: Final = 10
"""How often a migration is tried if it and others wait for each other's locks."""
_PAUSE: Final = 0.5
"""Seconds between these tries, in which those who waited for it get their turn."""
CONCURRENTLY: Final = ("SET lock_timeout = 0",)
"""The settings to make indexes with: to wait for others then blocks nobody."""
_OF_SESSION: Final = (
    *("jit = off", "lock_timeout = '2s'", "ringback.copying = on"),
    *("idle_in_transaction_session_timeout = 0", "statement_timeout = 0"),
)
"""The settings of a session that changes the whole database."""
_GOES_ON: Final = re.compile(r"^-- Servers of schema (\d+) can go on\.$", re.MULTILINE)
_OUTSIDE: Final = "-- Outside a transaction:\n"
_MOVED: Final = (
    "the data is in another PostgreSQL database than the one it was written in: it was restored or"
    " copied"
)
# Servers are paused if the place was noted, and is another one now.
_NOTE_PLACE: Final = """
    INSERT INTO installation (number, written_in) VALUES (1, own_place())
    ON CONFLICT (number) DO UPDATE SET written_in = excluded.written_in,
        paused_us = CASE WHEN installation.written_in IS NULL THEN installation.paused_us
            ELSE coalesce(installation.paused_us, ?) END,
        paused_reason = CASE WHEN installation.written_in IS NULL OR installation.paused_us NOTNULL
            THEN installation.paused_reason ELSE ? END
    WHERE installation.written_in IS DISTINCT FROM excluded.written_in
"""
_INDEX: Final = re.compile(r"CREATE (UNIQUE )?INDEX CONCURRENTLY (\w+) ON (\w+) (.+)", re.DOTALL)


class PostgresMigration(NamedTuple):
    """One step of schema upgrades; its SQL is in a file `NNNN_what_it_does.sql`."""

    version: int
    oldest_server: int
    """The oldest version whose servers can use the schema afterwards."""
    sql: str
    """What is done in one transaction."""
    indexes: Sequence[str]
    """The statements that make indexes afterwards."""

    @classmethod
    def read(cls, version: int, text: str) -> "PostgresMigration":
        """Read the text of a migration's file."""
        sql, _, outside = text.partition(_OUTSIDE)
        goes_on = _GOES_ON.search(sql)
        indexes = [one.strip() for one in outside.split(";") if one.strip()]
        return cls(version, int(goes_on[1]) if goes_on else version, sql, indexes)


def upgrade(
    dsn: Dsn, cipher: SecretCipher, tell: Callable[[str], None] | None = None
) -> tuple[int, int]:
    """Bring the schema up to date, in an empty database too; return the versions before and after.

    Also encrypts the secrets with the cipher's first key, and makes partitions. Servers of the
    versions that the migrations name can go on meanwhile. An upgrade that was interrupted goes on
    where it was. `tell` is called with a text for each step.

    Raises ConfigurationError if the database can't be used, has a newer schema, or if a server is
    using it that could not go on.
    """
    with alone_in_session(dsn, "`ringback db upgrade`") as (connection, holder):
        _refuse_other_encodings(dsn, connection)
        if not _try_lock(holder, _UPGRADE_LOCK):
            raise ConfigurationError(
                f"another `ringback db upgrade` of {dsn.shown} is running: wait for its end"
            )
        _refuse_while_copied(dsn, holder)
        before = version_of(connection)
        if before > newest():
            raise _too_new(dsn, before)
        for migration in _migrations():
            if migration.version > before:
                _tell(tell, f"upgrading to schema {migration.version}")
                _apply(dsn, connection, migration)
            if not _is_finished(connection, migration.version):
                for index in migration.indexes:
                    _tell(tell, index.partition(" ON ")[0])
                    _make_index(connection, index)
                _finish(connection, migration.version)
        with _locked(connection):
            seal_anew(partial(execute, connection), cipher)
            make_partitions(connection)
            note_place(connection)
        return before, newest()


def check(dsn: Dsn, cipher: SecretCipher, *, serve_copied: bool = False) -> None:
    """Check that a server can use the database, and make the partitions for the next weeks.

    With `serve_copied`, data that was copied to another place can be used again. Raises
    ConfigurationError if the database can't be used, if its schema doesn't fit, if its data is
    being copied or was copied, or if the cipher has not the key to its secrets.
    """
    with connected(dsn) as connection:
        with transaction(connection, lock_timeout="2s"):
            refuse_unfit(dsn, connection)
        with _locked(connection):
            run = partial(execute, connection)
            if _has_notes(connection):
                _refuse_while_copied(dsn, connection)
                if take_into_use(run, place_of(dsn), serve_copied=serve_copied):
                    run("SELECT unfence_data()", ())
            # An unfinished copy, which lacks a trigger, was refused by now, and with better words.
            altered_in(connection).refuse(f"the PostgreSQL database {dsn.shown}")
            if sealed_with(run, cipher) != cipher.key_ids[0]:
                seal_anew(run, cipher)
            warn_of_damaged(run, cipher)
            make_partitions(connection)
            note_place(connection)


def has_pooler(dsn: Dsn) -> bool:
    """Return True if there is a pooler of transactions in between; see `connections.is_pooled`.

    Raises ConfigurationError if the database can't be used.
    """
    with connected(dsn) as connection:
        return is_pooled(dsn, connection)


def place_of(dsn: Dsn) -> str:
    """Return the database as notes of copies name it: the same for each user and password."""
    port = dsn.given.get("port")
    return f"the database {dsn.shown}" + (f", port {port}" if port else "")


def note_place(connection: Connection) -> None:
    """In a transaction, note in which database the data is.

    If it was in another one before, it was restored or copied: servers are paused then, so that
    nothing is sent twice.
    """
    now = to_us(SystemClock().now())
    # Usually nothing has changed, and nothing is written.
    (is_here,) = execute(
        connection, "SELECT EXISTS (SELECT FROM installation WHERE written_in = own_place())"
    ).fetchone()
    if not is_here:
        execute(connection, _NOTE_PLACE, (now, _MOVED))


def hold_for_copy(dsn: Dsn, connection: Connection) -> None:
    """Keep others from using the database until the end of the current transaction.

    Raises ConfigurationError if another copy or an upgrade holds it.
    """
    if not _try_lock(connection, _COPY_LOCK):
        raise ConfigurationError(
            f"{place_of(dsn)} is in use by another `ringback db copy` or `ringback db upgrade`:"
            " wait for its end"
        )


def hold_for_retirement(connection: Connection) -> bool:
    """Until the end of the transaction, keep others from removing old weeks, and from copying all.

    Returns False if another process is doing one of these.
    """
    is_free = _try_lock(connection, _RETIREMENT_LOCK)
    return is_free and _try_lock(connection, _COPY_LOCK, "_shared")


def hold_schema(connection: Connection) -> bool:
    """Until the end of the transaction, keep others from changing tables; False if one does."""
    return _try_lock(connection, _LOCK)


def refuse_while_used(dsn: Dsn, connection: Connection) -> None:
    """Raise ConfigurationError if a process is using the database."""
    rows = execute(
        connection, "SELECT name FROM workers WHERE lease_until >= clock_timestamp() ORDER BY name"
    )
    names = [name for (name,) in rows]
    if names:
        raise ConfigurationError(
            f"{place_of(dsn)} is in use by {', '.join(names)}: stop all servers and commands that"
            " use it first. A process that was killed counts for 15 seconds"
        )


def refuse_unfit(dsn: Dsn, connection: Connection) -> None:
    """Raise ConfigurationError if this process can't use the schema."""
    _refuse_other_encodings(dsn, connection)
    version = version_of(connection)
    if version > newest() and _oldest_server(connection) > newest():
        raise _too_new(dsn, version)
    if version < newest():
        state = f"has schema {version}" if version else "has no tables of Ringback"
        raise ConfigurationError(
            f"the PostgreSQL database {dsn.shown} {state}, but this Ringback needs schema"
            f" {newest()}; run `ringback db upgrade`"
        )
    if not _is_finished(connection, newest()):
        raise ConfigurationError(
            f"the upgrade of the PostgreSQL database {dsn.shown} to schema {newest()} has not"
            " ended; run `ringback db upgrade`, which goes on with it"
        )


def altered_in(connection: Connection) -> CatalogueDifference:
    """Return how the tables differ from what the schema makes, if this is the newest schema."""
    found = difference_of(connection, is_newer=version_of(connection) > newest())
    if found.missing or found.foreign:
        # An upgrade by a newer version may have come in between.
        return difference_of(connection, is_newer=version_of(connection) > newest())
    return found


def refuse_other_versions(dsn: Dsn, connection: Connection) -> None:
    """Raise ConfigurationError unless the schema is the newest that this Ringback knows."""
    refuse_unfit(dsn, connection)
    if (version := version_of(connection)) != newest():
        raise _too_new(dsn, version)


def make_missing_partitions(dsn: Dsn) -> None:
    """Make the partitions for the next weeks; raises psycopg.Error if that fails."""
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


def worker_details() -> str:
    """Return the details of this process for `workers`: the newest schema it knows, as JSON."""
    return json.dumps({"schema": newest()})


def _migrations() -> Iterator[PostgresMigration]:
    """Yield the steps from an empty database to the newest schema, in order."""
    folder = files("ringback.stores.postgres") / "migrations"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if match := re.fullmatch(r"(\d+)_\w+\.sql", file.name):
            yield PostgresMigration.read(int(match[1]), file.read_text())


def _apply(dsn: Dsn, connection: Connection, migration: PostgresMigration) -> None:
    """Do what a migration does in one transaction; try again if it would keep others waiting."""
    for tries in range(1, _TRIES + 1):
        try:
            with _locked(connection):
                if migration.version > 1:
                    _refuse_old_servers(dsn, connection, migration)
                connection.execute(migration.sql.encode())
                version = migration.version
                if version == 1:  # it has no other columns yet
                    execute(connection, "INSERT INTO schema_versions VALUES (?)", [version])
                else:
                    execute(
                        connection,
                        "INSERT INTO schema_versions (version, oldest_server, is_finished)"
                        " VALUES (?, ?, ?)",
                        [version, migration.oldest_server, not migration.indexes],
                    )
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if tries == _TRIES:
                raise
            sleep(_PAUSE)
        else:
            return


def _refuse_old_servers(dsn: Dsn, connection: Connection, migration: PostgresMigration) -> None:
    """Raise ConfigurationError if a process is using the database that could not go on."""
    # A process that starts now waits for the end of the migration.
    connection.execute("LOCK TABLE workers IN SHARE ROW EXCLUSIVE MODE")
    rows = execute(
        connection,
        "SELECT name FROM workers WHERE lease_until >= clock_timestamp()"
        " AND coalesce((details ->> 'schema')::bigint, 1) < ? ORDER BY name",
        [migration.oldest_server],
    )
    names = [name for (name,) in rows]
    if names:
        raise ConfigurationError(
            f"{', '.join(names)} could not go on with schema {migration.version} of the PostgreSQL"
            f" database {dsn.shown}: first replace these processes by some of the new version"
        )


def _is_finished(connection: Connection, version: int) -> bool:
    if version == 1:
        return True
    row = execute(
        connection, "SELECT is_finished FROM schema_versions WHERE version = ?", [version]
    ).fetchone()
    return row is not None and row[0]


def _finish(connection: Connection, version: int) -> None:
    execute(
        connection, "UPDATE schema_versions SET is_finished = true WHERE version = ?", [version]
    )


def _oldest_server(connection: Connection) -> int:
    """Return the oldest version whose servers can use a schema that is too new for this one."""
    (oldest,) = execute(
        connection,
        "SELECT max(coalesce(oldest_server, version)) FROM schema_versions WHERE version > ?",
        [newest()],
    ).fetchone()
    return oldest


def _make_index(connection: Connection, statement: str) -> None:
    """Make an index while others work with its table, unless it is there.

    A table with partitions can't have one made in this way. So each partition gets one, and the
    table's own is then made of these.
    """
    match = _INDEX.fullmatch(statement)
    if match is None:
        raise ValueError(f"not CREATE INDEX CONCURRENTLY name ON table (...): {statement}")
    unique, name, table, columns = match.groups(default="")
    is_divided = table in PARTITIONED
    if is_divided:
        # From now on, new partitions get the index by themselves.
        connection.execute(
            f"CREATE {unique}INDEX IF NOT EXISTS {name} ON ONLY {table} {columns}".encode()
        )
    parts = partitions_of(connection, table) if is_divided else [(None, table)]
    for begins, part in parts:
        one = f"{name}_{begins:%Y%m%d}" if begins else name
        if begins and _has_index_of(connection, part, name):
            continue
        for setting in CONCURRENTLY:
            connection.execute(setting.encode())
        if _is_valid(connection, one) is False:
            connection.execute(f"DROP INDEX CONCURRENTLY {one}".encode())
        connection.execute(
            f"CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {one} ON {part} {columns}".encode()
        )
        connection.execute(b"SET lock_timeout = '2s'")
        if begins:
            connection.execute(f"ALTER INDEX {name} ATTACH PARTITION {one}".encode())


def _is_valid(connection: Connection, index: str) -> bool | None:
    """Return whether an index can be used; False if making it was interrupted, None without it."""
    row = execute(
        connection, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(?)", [index]
    ).fetchone()
    return row and row[0]


def _has_index_of(connection: Connection, partition: str, index: str) -> bool:
    """Return True if a partition has its part of an index of the whole table."""
    row = execute(
        connection,
        "SELECT 1 FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE inhparent = to_regclass(?) AND indrelid = ?::regclass",
        [index, partition],
    ).fetchone()
    return row is not None


def _too_new(dsn: Dsn, version: int) -> ConfigurationError:
    return ConfigurationError(
        f"the PostgreSQL database {dsn.shown} has schema {version}, but this Ringback knows only"
        f" schema {newest()}; use the version of Ringback that upgraded it, or a newer one"
    )


def _tell(tell: Callable[[str], None] | None, text: str) -> None:
    if tell is not None:
        tell(text)


def _has_notes(connection: Connection) -> bool:
    return execute(connection, "SELECT 1 FROM data_copies").fetchone() is not None


def _refuse_while_copied(dsn: Dsn, connection: Connection) -> None:
    if not _try_lock(connection, _COPY_LOCK, "_shared"):
        raise ConfigurationError(
            f"{place_of(dsn)} is in use by `ringback db copy`: wait for its end"
        )


def _try_lock(connection: Connection, number: int, kind: str = "") -> bool:
    """Take an advisory lock until the end of the transaction; return False if somebody has it."""
    # Without parameters, no snapshot is left behind for which CREATE INDEX CONCURRENTLY would wait.
    row = connection.execute(f"SELECT pg_try_advisory_xact_lock{kind}({number})".encode())
    (is_taken,) = row.fetchone() or (False,)
    return is_taken


@contextmanager
def connected(dsn: Dsn) -> Generator[Connection]:
    """Connect for the block; turn errors of the database in it into a ConfigurationError."""
    try:
        with dsn.connect() as connection:
            yield connection
    except psycopg.Error as failure:
        raise unusable(failure, dsn.given) from None


@contextmanager
def alone_in_session(dsn: Dsn, what: str) -> Generator[tuple[Connection, Connection]]:
    """Connect twice for a block that changes the whole database, and is named `what`.

    The first one may change data that is being copied. The second one is in a transaction, to hold
    locks. Errors of the database in the block become a ConfigurationError, which is also raised if
    there is a pooler in between: nobody else may get the settings of these sessions.
    """
    with connected(dsn) as connection, connected(dsn) as holder:
        if is_pooled(dsn, connection):
            raise ConfigurationError(
                f"{what} needs the address of the PostgreSQL database {dsn.shown} itself: here is a"
                " pooler such as PgBouncer in between, which gives each transaction another session"
            )
        for setting in _OF_SESSION:
            connection.execute(f"SET {setting}".encode())
        holder.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection, holder


def _refuse_other_encodings(dsn: Dsn, connection: Connection) -> None:
    """Raise ConfigurationError unless the database can store all texts."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the PostgreSQL database {dsn.shown} has the encoding {encoding}, but Ringback needs"
            " UTF8; make one with CREATE DATABASE name TEMPLATE template0 ENCODING 'UTF8'"
        )


@contextmanager
def _locked(connection: Connection) -> Generator[None]:
    """Run the block in a transaction under the advisory lock."""
    # The lock ends with the transaction, so it also works behind a pooler.
    with transaction(connection, lock_timeout="30s"):
        execute(connection, "SELECT pg_advisory_xact_lock(?)", [_LOCK])
        connection.execute("SET LOCAL lock_timeout = '2s'")
        yield
