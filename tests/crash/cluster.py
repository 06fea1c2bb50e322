"""Several `ringback serve` on one PostgreSQL database, as an operator runs them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psycopg

from tests.crash.production import RINGBACK, Log, Production, attended, spawn
from tests.databases import (
    OwnPair,
    OwnPgBouncer,
    OwnPostgres,
    a_pgbouncer,
    a_postgres_to_restart,
    a_postgres_with_standby,
)
from tests.served import in_this_process

SHORT_LEASES: Final = ("-m", "tests.crash.short_leases")
"""The command `ringback` with leases of 6 s, so that a test need not wait long for their end."""


@dataclass(frozen=True)
class Cluster:
    """A database with its tables and an account, and what its processes need to use it."""

    folder: Path
    database: OwnPostgres | OwnPair
    credentials: dict[str, str]
    command: tuple[str, ...] = RINGBACK
    pooler: OwnPgBouncer | None = None
    """What the processes connect to instead of the database."""

    @property
    def direct_url(self) -> str:
        """The database itself."""
        return f"postgresql://ringback@/ringback?{self.database.where}"

    @property
    def url(self) -> str:
        """The database, as processes that belong to the cluster name it."""
        if self.pooler is None:
            return self.direct_url
        return f"postgresql://ringback@/ringback?host={self.pooler.folder}&port=5432"

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
    programs: Path | None, address: str, most_connections: int, *, has_standby: bool
) -> Iterator[OwnPostgres | OwnPair]:
    """Run a PostgreSQL with an empty database, whose owner has no special rights."""
    running = (
        a_postgres_with_standby(programs, most_connections=most_connections)
        if has_standby
        else a_postgres_to_restart(programs, address=address, most_connections=most_connections)
    )
    with running as server:
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
    has_standby: bool = False,
    has_pooler: bool = False,
) -> AsyncGenerator[Cluster]:
    """Make a database with an account; the newest PostgreSQL runs if `programs` does not say.

    With a standby, this one can be promoted; with a pooler, the processes use a PgBouncer.
    """
    with (
        _a_database(programs, address, most_connections, has_standby=has_standby) as database,
        a_pgbouncer(database.folder) if has_pooler else nullcontext() as pooler,
    ):
        found = Cluster(folder, database, {}, command)
        key = await in_this_process("accounts", "new-key")
        (folder / "ringback.key").write_text(key.stdout)
        variables = {"RINGBACK_DATABASE": found.url}
        where = ("--seal-key-file", str(folder / "ringback.key"))
        for words in (("db", "upgrade"), ("accounts", "create", "Acme", "--yes", "--json")):
            ended = await in_this_process(*words, *where, **variables)
            assert ended.exit_code == 0, ended.output
        yield Cluster(folder, database, json.loads(ended.stdout), command, pooler)
