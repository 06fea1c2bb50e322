"""Upgrades of a PostgreSQL database while servers of two versions use it, under load."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ringback.cli.main import main
from ringback.core.accounts.account import Account
from ringback.core.errors import ConfigurationError
from ringback.ports import Transaction
from ringback.stores.postgres import partitions, schema
from ringback.stores.postgres.connections import Dsn
from ringback.stores.postgres.store import PostgresStore
from tests.crash.production import Production, in_production
from tests.fakes import VAULT
from tests.integration import later_version
from tests.integration.later_version import COUNTRY
from tests.receivers import RecordingReceiver

BASE = schema.newest()
KEY = VAULT.keys[0]
LATER = str(Path(later_version.__file__))
numbers = count(1)


@pytest.fixture
def dsn(postgres_dsn: str) -> Iterator[str]:
    name = f"upgraded_{os.getpid()}_{next(numbers)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield make_conninfo(postgres_dsn, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def upgrade_as(version: int) -> tuple[int, str]:
    """Run `ringback db upgrade` of a later version; return its exit code and all it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, LATER, str(version), "db", "upgrade"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, " ".join(said.decode().split())


class Load:
    """Creates callbacks at several servers, one after the other at each, until it is stopped."""

    def __init__(self, url: str) -> None:
        self.accepted = list[str]()
        self.refused = list[Any]()
        self._url = url
        self._numbers = count(1)
        self._tasks = dict[int, asyncio.Task[None]]()
        self._stopping = set[int]()
        self._changed = asyncio.Condition()

    def add(self, server: Production) -> None:
        self._tasks[id(server)] = asyncio.create_task(self._create(server))

    async def stop(self, server: Production) -> None:
        self._stopping.add(id(server))
        await self._tasks[id(server)]

    async def _create(self, server: Production) -> None:
        while id(server) not in self._stopping:
            number = next(self._numbers)
            parameters = {"n": str(number)}
            answer = await server.send(
                {"url": f"{self._url}{number % 7}", "parameters": parameters}
            )
            async with self._changed:
                if answer.status == 201:
                    self.accepted.append(answer.body["sid"])
                else:
                    self.refused.append((answer.status, answer.body))
                self._changed.notify_all()
            listed = await server.get("/portal/v1/callbacks", PageSize="3")
            if listed.status != 200:
                self.refused.append((listed.status, listed.body))

    async def goes_on(self) -> None:
        """Wait until some more callbacks were created."""
        wanted = len(self.accepted) + 20
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.refused or len(self.accepted) >= wanted)
        assert self.refused == []


async def stop(server: Production, load: Load) -> None:
    await load.stop(server)
    server.signal(signal.SIGTERM)
    await server.process.wait()


@pytest.mark.long
async def test_servers_of_two_versions_go_on_during_and_after_upgrades(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = conninfo_to_dict(dsn)
    url = f"postgresql:///{given['dbname']}?host={given['host']}&user={given['user']}"
    monkeypatch.setenv("RINGBACK_DATABASE", url)
    monkeypatch.setenv("RINGBACK_SEAL_KEY", KEY)
    schema.upgrade(Dsn(dsn), VAULT)
    account = await _an_account()

    async with RecordingReceiver() as receiver:
        load = Load(receiver.url("/"))
        old = in_production(tmp_path, account), in_production(tmp_path, account)
        async with old[0] as first, old[1] as second:
            load.add(first)
            load.add(second)
            await load.goes_on()
            # Expand: servers of the version before go on.
            assert await upgrade_as(1) == (0, _said(BASE, BASE + 1))
            await load.goes_on()
            # Switch: servers of both versions.
            async with in_production(tmp_path, account, command=(LATER, "1")) as third:
                load.add(third)
                await load.goes_on()
                # Contract: only when no server of the version before is left.
                code, said = await upgrade_as(2)
                assert (code, "could not go on with schema" in said) == (1, True), said
                await stop(first, load)
                await stop(second, load)
                code, said = await upgrade_as(2)
                assert (code, said.split(" schema ")[-1]) == (0, f"{BASE + 1} is now {BASE + 2}")
                await load.goes_on()
                await load.stop(third)
                await receiver.wait_for(len(load.accepted))
                await _all_delivered(third, load.accepted)
    assert load.refused == [], load.refused
    sent = Counter(request.body for request in receiver.requests)
    assert set(sent.values()) == {1}
    assert len(sent) == len(load.accepted)
    with psycopg.connect(dsn) as connection:
        countries = connection.execute("SELECT country, count(*) > 0 FROM callbacks GROUP BY 1")
        assert dict(countries.fetchall()) == {None: True, COUNTRY: True}
    with pytest.raises(ConfigurationError, match=f"has schema {BASE + 2}, but this Ringback knows"):
        PostgresStore.open(Dsn(dsn), VAULT)


async def _an_account() -> dict[str, str]:
    words = ["accounts", "create", "Load", "--yes", "--json"]
    made = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert made.exit_code == 0, made.output
    return json.loads(made.stdout)


async def _all_delivered(server: Production, sids: list[str]) -> None:
    for sid in sids:
        assert (await server.ended(sid))["status"] == "delivered"


def _said(before: int, after: int) -> str:
    indexes = (
        "CREATE INDEX CONCURRENTLY callbacks_by_country CREATE INDEX CONCURRENTLY waiting_by_due"
    )
    return f"upgrading to schema {after} {indexes} schema {before} is now {after}"


# ---- upgrades without servers --------------------------------------------------------------------


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that lets this process know a number of made-up migrations."""
    real = schema._migrations

    def know(count: int) -> None:
        monkeypatch.setattr(schema, "_migrations", real)
        known = [*later_version.migrations(count)]
        monkeypatch.setattr(schema, "_migrations", lambda: iter(known))

    return know


def ask(dsn: str, query: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


INVALID = (
    "SELECT indexrelid::regclass::text FROM pg_index"
    " WHERE NOT indisvalid AND indrelid::regclass::text IN ('callbacks', 'waiting')"
)


def test_indexes_whose_making_was_interrupted_are_made_again(
    dsn: str, later: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    later(1)
    # Somebody holds an old snapshot, and the upgrade is cancelled while it waits for its end.
    with psycopg.connect(dsn) as old, monkeypatch.context() as patch:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM waiting")
        patch.setattr(schema, "CONCURRENTLY", ("SET statement_timeout = 300",))
        with pytest.raises(ConfigurationError, match="statement timeout"):
            schema.upgrade(Dsn(dsn), VAULT)
    assert ask(dsn, INVALID) != []
    # A server of the version before can go on; one of this version waits for the indexes.
    with pytest.raises(ConfigurationError, match=r"has not ended; run `ringback db upgrade`"):
        schema.check(Dsn(dsn), VAULT)
    assert schema.upgrade(Dsn(dsn), VAULT) == (BASE + 1, BASE + 1)
    schema.check(Dsn(dsn), VAULT)
    assert ask(dsn, INVALID) == []
    later(0)
    schema.check(Dsn(dsn), VAULT)


def test_new_partitions_have_the_new_indexes(dsn: str, later: Callable[[int], None]) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    later(1)
    schema.upgrade(Dsn(dsn), VAULT)
    with Dsn(dsn).connect() as connection:
        partitions.make_partitions_of(connection, "callbacks", [1])
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = '{}'::regclass"
    (tables,) = ask(dsn, parts.format("callbacks"))
    assert ask(dsn, parts.format("callbacks_by_country")) == [tables]
    assert ask(dsn, INVALID) == []


def test_an_upgrade_waits_for_locks_only_a_little_at_a_time(
    dsn: str, later: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    later(1)
    monkeypatch.setattr(schema, "_TRIES", 2)
    with psycopg.connect(dsn) as busy:
        busy.execute("LOCK TABLE accounts IN ACCESS SHARE MODE")
        with pytest.raises(ConfigurationError, match="lock timeout"):
            schema.upgrade(Dsn(dsn), VAULT)
    later(0)
    schema.check(Dsn(dsn), VAULT)  # nothing was changed


def test_an_upgrade_is_tried_again_after_a_deadlock_with_a_server(
    dsn: str, later: Callable[[int], None]
) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    later(1)
    with psycopg.connect(dsn) as busy, ThreadPoolExecutor() as threads:
        # The upgrade notices the deadlock first, so it has to give way.
        busy.execute("SET deadlock_timeout = '20s'")
        busy.execute("LOCK TABLE accounts IN ACCESS SHARE MODE")
        upgrade = threads.submit(schema.upgrade, Dsn(dsn), VAULT)
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'accounts'::regclass"
        while busy.execute(waiting).fetchone() is None:
            time.sleep(0.01)
        busy.execute("LOCK TABLE workers IN ROW EXCLUSIVE MODE")
        busy.commit()
        assert upgrade.result() == (BASE, BASE + 1)


def test_two_upgrades_at_once_are_refused(dsn: str) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    with psycopg.connect(dsn) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({schema._UPGRADE_LOCK})".encode())
        with pytest.raises(ConfigurationError, match="another `ringback db upgrade`"):
            schema.upgrade(Dsn(dsn), VAULT)


def test_a_schema_that_is_too_new_is_not_upgraded(dsn: str, later: Callable[[int], None]) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    later(2)
    schema.upgrade(Dsn(dsn), VAULT)
    later(1)
    schema.check(Dsn(dsn), VAULT)  # one version behind: its servers can go on
    with pytest.raises(ConfigurationError, match=f"knows only schema {BASE + 1}"):
        schema.upgrade(Dsn(dsn), VAULT)
    later(0)
    with pytest.raises(ConfigurationError, match=f"knows only schema {BASE}"):
        schema.check(Dsn(dsn), VAULT)


async def test_a_store_can_be_opened_after_each_made_up_migration(
    dsn: str, later: Callable[[int], None]
) -> None:
    # The contract step must remove only what no code uses; the long test above needs that, too.
    for number in (0, 1, 2):
        later(number)
        schema.upgrade(Dsn(dsn), VAULT)
        store = PostgresStore.open(Dsn(dsn), VAULT)
        assert await store.read(lambda tx: tx.accounts.all()) == []
        await store.close()


@pytest.mark.parametrize("way", ["read", "quick", "other"])
async def test_statements_that_were_prepared_before_an_upgrade_are_prepared_again(
    way: str, dsn: str, later: Callable[[int], None]
) -> None:
    schema.upgrade(Dsn(dsn), VAULT)
    store = PostgresStore.open(Dsn(dsn), VAULT)

    async def ask_all() -> list[Account]:
        def work(tx: Transaction) -> list[Account]:
            return tx.accounts.all()

        if way == "read":
            return await store.read(work)
        return await store.transact(work, is_quick=way == "quick")

    for _ in range(5):
        assert await ask_all() == []
    later(1)
    await asyncio.to_thread(schema.upgrade, Dsn(dsn), VAULT)
    for _ in range(5):
        assert await ask_all() == []
    await store.close()
