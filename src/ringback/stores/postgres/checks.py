"""The checks of `ringback db check` on a PostgreSQL database, and its state for `db status`."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from shutil import disk_usage
from typing import Any, Final, NamedTuple

import psycopg

from ringback.core.errors import ConfigurationError
from ringback.stores.encryption import SecretCipher
from ringback.stores.postgres.connections import Connection, Dsn, execute
from ringback.stores.postgres.failures import detail, reason, unusable
from ringback.stores.postgres.partitions import partitions_end
from ringback.stores.postgres.schema import altered_in, newest, refuse_unfit, version_of
from ringback.stores.sql.consistency_checks import (
    RowCheck,
    counts,
    found_by,
    open_attempts,
    references,
    states,
)
from ringback.stores.sql.data_growth import DataGrowth, growth_of
from ringback.stores.sql.sealed_columns import open_all

OLDEST_SERVER: Final = 15
"""The oldest version of PostgreSQL that has everything the statements use."""
_FEW_WEEKS: Final = 3
"""With partitions for fewer weeks than this, something keeps them from being made."""
_DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_BEGUN: Final = "open_attempts"
_OPEN_ATTEMPTS: Final = "SELECT count(*), min(started_us) FROM open_attempts"
_FURTHER_REFERENCES: Final = RowCheck(
    "rows of idempotency without their row of callbacks",
    "SELECT count(*), min(callback_id) FROM idempotency WHERE NOT EXISTS"
    " (SELECT 1 FROM callbacks WHERE callbacks.id = idempotency.callback_id)",
)

Found = tuple[str, bool, str]
"""The name of a check, whether it passed, and what it found."""


class DatabaseStatus(NamedTuple):
    """The state of a database."""

    where: str
    server: str
    """The version of PostgreSQL."""
    schema: int
    newest_schema: int
    bytes: int
    unfinished: int
    """The number of callbacks that have not ended."""
    partitions_until: datetime | None
    """Until when there are partitions for new rows; None without tables."""
    growth: DataGrowth | None
    """How much data there is, about; None if the schema is not the newest."""
    room: int | None
    """How many bytes are free on its disk; None if that is not known."""


def check_database(dsn: Dsn, cipher: SecretCipher) -> Iterator[Found]:
    """Yield the result of each check; nothing is changed."""
    try:
        connection = dsn.connect()
    except psycopg.Error as failure:
        yield "database", False, f"{dsn.shown} can't be used: {detail(failure) or reason(failure)}"
        return
    with connection:
        for name, look in _CHECKS.items():
            try:
                yield name, *look(connection, cipher)
            except (psycopg.Error, ConfigurationError) as failure:
                yield name, False, detail(failure)
                if name == "schema":
                    return  # the other checks read the tables


def status_of(dsn: Dsn) -> DatabaseStatus:
    """Return the state of a database; raises ConfigurationError if it can't be used."""
    try:
        with dsn.connect() as connection:
            ask = partial(_one, connection)
            schema = version_of(connection)
            unfinished = 0
            if schema:
                unfinished = ask(
                    "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM open_attempts)"
                )
            return DatabaseStatus(
                dsn.shown,
                ask("SHOW server_version").split()[0],
                schema,
                newest(),
                ask("SELECT pg_database_size(current_database())"),
                unfinished,
                partitions_end(connection) if schema else None,
                _growth(connection) if schema == newest() else None,
                _room(connection),
            )
    except psycopg.Error as failure:
        raise unusable(failure, dsn.given) from None


def _growth(connection: Connection) -> DataGrowth:
    # To count all rows would take minutes; this is how many the planner has last seen.
    callbacks = _one(
        connection,
        "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_inherits"
        " JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'callbacks'::regclass",
    )
    return growth_of(partial(execute, connection), callbacks, in_weeks=True)


def _room(connection: Connection) -> int | None:
    """Return how many bytes are free on the database's disk, if it is a disk of this machine."""
    if not connection.info.host.startswith("/"):  # no Unix socket
        return None
    try:
        return disk_usage(_one(connection, "SHOW data_directory")).free
    except (psycopg.Error, OSError):  # it is not for everybody to know
        return None


def _one(connection: Connection, query: str) -> Any:
    (value,) = execute(connection, query).fetchone()
    return value


def _server(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    version = connection.info.server_version // 10_000
    where = f"PostgreSQL {version}"
    if version < OLDEST_SERVER:
        return False, f"{where}, but Ringback needs {OLDEST_SERVER} or newer"
    return True, where


def _durability(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    found = {name: str(_one(connection, f"SHOW {name}")) for name in _DURABLE}
    # More than `on`, such as `remote_apply`, is right too.
    off = [name for name, value in found.items() if value in ("off", "local")]
    if off:
        return False, f"{', '.join(off)} is off: a commit can be lost in a crash or power cut"
    return True, ", ".join(f"{name} {value}" for name, value in found.items())


def _schema(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    refuse_unfit(Dsn(connection.info.dsn), connection)
    return True, str(version_of(connection))


def _catalogue(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    found = altered_in(connection)
    return not (found.missing or found.foreign), found.shown


def _partitions(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    end = partitions_end(connection)
    (weeks,) = execute(
        connection, "SELECT extract(epoch FROM ? - clock_timestamp())::bigint / 604800", [end]
    ).fetchone()
    return weeks >= _FEW_WEEKS, f"there are partitions for the next {weeks} weeks"


def _secrets(connection: Connection, cipher: SecretCipher) -> tuple[bool, str]:
    opened = open_all(partial(execute, connection), cipher)
    return not opened.damaged, opened.in_words


def _references(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    checks = (*references(_BEGUN), _FURTHER_REFERENCES)
    wrong = found_by(partial(execute, connection), checks)
    return not wrong, wrong or "ok"


def _counts(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    run = partial(execute, connection)
    wrong = found_by(run, counts(_BEGUN))
    return not wrong, wrong or states(run, _BEGUN)


def _open_attempts(connection: Connection, _: SecretCipher) -> tuple[bool, str]:
    return True, open_attempts(partial(execute, connection), _OPEN_ATTEMPTS)[1]


_CHECKS: Final[dict[str, Callable[[Connection, SecretCipher], tuple[bool, str]]]] = {
    "server": _server,
    "durability": _durability,
    "schema": _schema,
    "catalogue": _catalogue,
    "partitions": _partitions,
    "secrets": _secrets,
    "references": _references,
    "counts": _counts,
    "open_attempts": _open_attempts,
}
