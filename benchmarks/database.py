"""A PostgreSQL server as the benchmarks use it: with fsync, and otherwise as it is installed."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.processes import pinned, usage
from ringback.postgres_database import PostgresDatabase
from ringback.stores.encryption import new_key
from tests.databases import a_postgres_to_restart


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database on a running server, and the key of the secrets in it."""

    url: str
    pid: int
    """The first process of the server, whose children are its other processes."""
    seal_key: str = field(default_factory=new_key)

    @property
    def options(self) -> tuple[str]:
        """The options with which modules of the benchmarks use this database."""
        return (f"--seal-key={self.seal_key}",)

    @property
    def variables(self) -> dict[str, str]:
        """The variables with which `ringback` uses this database."""
        return {"RINGBACK_DATABASE": self.url, "RINGBACK_SEAL_KEY": self.seal_key}

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds that all processes of the server have used up to now."""
        return usage(self.pid).cpu_seconds

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def ask(self, query: LiteralString) -> Any:
        """Return the value that a query returns."""
        with self.connect() as connection:
            row = connection.execute(query).fetchone()
        return row and row[0]

    def settle_down(self) -> None:
        """Do what the server would do in the background after a lot was written."""
        with self.connect() as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")


class DatabaseServer:
    """A running server; each database on it is new."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._numbers = count(1)
        with psycopg.connect(dsn) as connection:
            self._pid = _parent_of(connection.info.backend_pid)
            self.version = connection.info.server_version // 10_000

    def new_database(self) -> Database:
        """Return a database with all tables."""
        name = f"bench_{next(self._numbers)}"
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        given = conninfo_to_dict(self._dsn)
        where = urlencode({"host": given["host"]})
        database = Database(f"postgresql://{given['user']}@/{name}?{where}", self._pid)
        PostgresDatabase(database.url, database.seal_key).upgrade()
        return database


@contextlib.contextmanager
def a_database_server(
    cores: frozenset[int], programs: Path | None = None
) -> Generator[DatabaseServer]:
    """Run a server on these cores; if `programs` does not say which, the newest one here."""
    with contextlib.ExitStack() as stack:
        with pinned(cores):
            server = stack.enter_context(a_postgres_to_restart(programs, has_fsync=True))
        yield DatabaseServer(server.dsn)


def _parent_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return int(fields[1])
