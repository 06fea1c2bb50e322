"""A PostgreSQL database for many tests, with a store that stays open from one to the next."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.shards import Role
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Dsn
from ringback.stores.postgres.group_commit import (
    TABLES,
    Isolation,
    PostgresCommitter,
    PostgresTransaction,
)
from ringback.stores.postgres.leases import WorkerIdentity, renew
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from ringback.stores.postgres.write_batch import PostgresWriteBatch, types_of_columns
from ringback.stores.row_ids import RowIds
from tests.fakes import VAULT

# To delete a few rows is quicker than to truncate tables.
_EMPTY = """
CREATE FUNCTION empty_tables() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text; is_used boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname NOT IN ('schema_versions', 'workers', 'shard_leases',
                'changes', 'write_checks', 'sealed_with', 'server_runs', 'this_server_run',
                'installation', 'commit_marks')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO is_used;
        IF is_used THEN
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
    UPDATE installation SET paused_us = NULL, paused_reason = NULL, written_in = NULL;
    UPDATE shard_leases SET open_until = '-infinity';
    UPDATE changes SET accounts = accounts + 1;
END $$
"""


# However slow the machine is, no test loses its shards.
_OPTIONS = PostgresOptions(lease=timedelta(hours=1), open_for=timedelta(0))


class _Undone(Exception):
    """Makes a job fail, so that the store forgets what it remembers of its rows."""


class PostgresBench:
    """A database with the newest schema, and an open store of it."""

    def __init__(self, dsn: Dsn, connection: psycopg.Connection[Any]) -> None:
        self.dsn = dsn
        self.connection = connection
        self._store: PostgresStore | None = None

    @classmethod
    @contextmanager
    def on(cls, server: str, name: str = "conformance") -> Iterator[Self]:
        """Make a database on a server; it is gone afterwards, so that it can be made again."""
        dsn = Dsn(make_conninfo(server, dbname=name))
        with psycopg.connect(server, autocommit=True) as maker:
            maker.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            schema.upgrade(dsn, VAULT)
            with psycopg.connect(dsn.text, autocommit=True) as connection:
                connection.execute(_EMPTY)
                yield cls(dsn, connection)
            maker.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    async def begin(self) -> PostgresStore:
        """Return the store, which owns all shards; the tables are empty."""
        if self._store is None:
            self._store = PostgresStore.open(self.dsn, VAULT, _OPTIONS)
        await self._store.cluster.renew()
        return self._store

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket."""
        return Path(str(conninfo_to_dict(self.dsn.text)["host"]))

    def terminate_all(self) -> None:
        """Have the server break all other connections to the database."""
        self.connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def leave(self) -> None:
        """Close the store, so that another process can own the shards."""
        if self._store is not None:
            await self._store.close()
            self._store = None
        self.forget_workers()  # a test may have killed some

    def empty(self) -> None:
        """Empty the tables."""
        self.connection.execute("SELECT empty_tables()")

    def forget_workers(self) -> None:
        """As if all processes had ended long ago, so that none of their requests can go on."""
        self.connection.execute("DELETE FROM workers")
        self.connection.execute("UPDATE shard_leases SET open_until = '-infinity'")

    def new_process(self, budget: ResponseStorageBudget, *, is_quick: bool) -> PostgresCommitter:
        """Return the committer of a process that takes all shards over from earlier ones."""
        own = WorkerIdentity("model", Role.ALL, timedelta(hours=1), timedelta(0))
        with self.dsn.connect() as connection:
            self.forget_workers()
            own.register(connection)
            renew(connection, own)
            types = types_of_columns(connection)
        ids = RowIds(2 * own.number, milliseconds=steady_milliseconds)
        session = PostgresWriteBatch(TABLES, types, ids.make)
        transaction = PostgresTransaction(session, VAULT, budget, own, ids)
        isolation = Isolation.READ_COMMITTED if is_quick else Isolation.SERIALIZABLE
        return PostgresCommitter(
            self.dsn, isolation, transaction, session, is_closing=lambda: False
        )

    async def end(self) -> None:
        """Empty the tables, and have the store forget what it remembers of them."""
        self.empty()
        if self._store is not None:
            for is_quick in (True, False):
                with suppress(_Undone):
                    await self._store.transact(_fail, is_quick=is_quick)


def _fail(_: object) -> NoReturn:
    raise _Undone
