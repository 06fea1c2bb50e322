"""Several `ringback serve` on one PostgreSQL database, as an operator runs them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psycopg

from tests.crash.production import RINGBACK, Log, Production, attended, spawn
from tests.databases import OwnPostgres, a_postgres_to_restart
from tests.served import in_this_process

SHORT_LEASES: Final = ("-m", "tests.crash.short_leases")
"""The command `ringback` with leases of 6 s, so that a test need not wait long for their end."""


@dataclass(frozen=True)
class Cluster:
    """A database with its tables and an account, and what its processes need to use it."""

    folder: Path
    database: OwnPostgres
    credentials: dict[str, str]
    command: tuple[str, ...] = RINGBACK

    @property
    def url(self) -> str:
        """The database, as processes that belong to the cluster name it."""
        return f"postgresql://ringback@/ringback?host={self.database.folder}"

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database something, also if it has no more connections for others."""
        with self.connect() as connection:
            return connection.execute(question.encode(), values).fetchall()

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to the database as its administrator."""
        dsn = f"host={self.database.folder} user=postgres dbname=ringback"
        return psycopg.connect(dsn, autocommit=True)

    async def spawn(
        self, role: str, *flags: str, before: tuple[str, ...] = (), url: str | None = None
    ) -> asyncio.subprocess.Process:
        """Start a process with this role; `before` is a command that starts it in another place.

        With an empty `url`, the flags name the database.
        """
        address = self.url if url is None else url
        words = ("--role", role, *(("--database", address) if address else ()))
        key = ("--seal-key-file", str(self.folder / "ringback.key"))
        return await spawn(self.folder, *words, *key, *flags, command=self.command, before=before)

    @asynccontextmanager
    async def running(
        self,
        role: str,
        log: IO[str],
        *flags: str,
        before: tuple[str, ...] = (),
        url: str | None = None,
    ) -> AsyncGenerator[Production]:
        """Run a process with this role until the block ends."""
        process = await self.spawn(role, *flags, before=before, url=url)
        async with attended(process, self.credentials, Log(log)) as server:
            yield server


@contextmanager
def _a_database(
    programs: Path | None, address: str, most_connections: int
) -> Iterator[OwnPostgres]:
    """Run a PostgreSQL with an empty database, whose owner has no special rights."""
    with a_postgres_to_restart(
        programs, address=address, most_connections=most_connections
    ) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE ringback LOGIN")
            connection.execute("CREATE DATABASE ringback OWNER ringback")
        yield server


@asynccontextmanager
async def a_cluster(
    folder: Path,
    *,
    programs: Path | None = None,
    address: str = "",
    most_connections: int = 100,
    command: tuple[str, ...] = RINGBACK,
) -> AsyncGenerator[Cluster]:
    """Make a database with an account; the oldest PostgreSQL runs if `programs` does not say."""
    with _a_database(programs, address, most_connections) as database:
        found = Cluster(folder, database, {}, command)
        key = await in_this_process("accounts", "new-key")
        (folder / "ringback.key").write_text(key.stdout)
        variables = {"RINGBACK_DATABASE": found.url}
        where = ("--seal-key-file", str(folder / "ringback.key"))
        for words in (("db", "upgrade"), ("accounts", "create", "Acme", "--yes", "--json")):
            ended = await in_this_process(*words, *where, **variables)
            assert ended.exit_code == 0, ended.output
        yield Cluster(folder, database, json.loads(ended.stdout), command)
