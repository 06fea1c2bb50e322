"""PostgreSQL behind Debian's PgBouncer, where each transaction gets another session."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg._pipeline_base import BasePipeline
from psycopg.conninfo import make_conninfo

from ringback.core.errors import ConfigurationError, QueryTimeout
from ringback.core.retention import RetentionPolicy, RetentionTimes
from ringback.ports import Transaction
from ringback.postgres_database import PostgresDatabase
from ringback.stores.encryption import new_key
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Dsn, is_pooled
from ringback.stores.postgres.readers import PostgresReader
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from ringback.stores.postgres.write_batch import types_of_columns
from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.databases import a_pgbouncer
from tests.fakes import NOW, VAULT
from tests.receivers import RecordingReceiver
from tests.served import asked_until
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import account, callback

_PATIENCE = 20  # seconds; the leases end after 6
_OF_SESSION = (
    "SELECT name, setting FROM pg_settings"
    " WHERE source = 'session' AND name <> 'application_name' ORDER BY name"
)


@pytest.fixture(scope="module")
def bench(postgres_dsn: str) -> Iterator[PostgresBench]:
    with PostgresBench.on(postgres_dsn, "pooled") as bench:
        yield bench


@pytest.fixture
def pooled(bench: PostgresBench) -> Iterator[Dsn]:
    """The database through a PgBouncer that has a single session for all of its clients."""
    with a_pgbouncer(bench.socket_folder, most_connections=1) as pooler:
        text = make_conninfo(bench.dsn.text, host=str(pooler.folder))
        yield Dsn(text).without_prepared_statements()


@pytest.fixture
async def store(pooled: Dsn, bench: PostgresBench) -> AsyncIterator[PostgresStore]:
    store = PostgresStore.open(pooled, VAULT, PostgresOptions(has_notifications=False))
    await store.cluster.renew()
    yield store
    await store.close()
    bench.empty()
    bench.forget_workers()


def ask(tx: Transaction, question: str) -> Any:
    """Ask the database of a transaction something for which no port has a method."""
    return vars(tx.tasks)["_session"].read(question).fetchone()


def setting(name: str, tx: Transaction) -> str:
    return ask(tx, f"SHOW {name}")[0]


async def settings_of(store: PostgresStore, name: str) -> list[str]:
    """Return a setting in quick work, other work, and reads."""
    work = partial(setting, name)
    changing = [await store.transact(work, is_quick=is_quick) for is_quick in (True, False)]
    return [*changing, await store.read(work)]


async def test_what_a_transaction_needs_comes_through(store: PostgresStore) -> None:
    assert await settings_of(store, "jit") == ["off", "off", "off"]
    assert await settings_of(store, "enable_seqscan") == ["off", "off", "on"]
    assert await settings_of(store, "enable_hashjoin") == ["off", "on", "on"]
    assert await settings_of(store, "plan_cache_mode") == ["force_generic_plan", "auto", "auto"]
    assert await settings_of(store, "idle_in_transaction_session_timeout") == ["5s", "5s", "0"]
    assert await settings_of(store, "statement_timeout") == ["0", "0", "5s"]
    levels = ["read committed", "serializable", "repeatable read"]
    assert await settings_of(store, "transaction_isolation") == levels


async def test_a_session_is_free_for_others_as_soon_as_a_commit_has_ended(
    store: PostgresStore, pooled: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = BasePipeline._fetch_gen

    def fetch_late(self: BasePipeline, *, flush: bool) -> Any:
        time.sleep(0.01)  # as on a busy machine: the server has answered by now
        return fetch(self, flush=flush)

    monkeypatch.setattr(BasePipeline, "_fetch_gen", fetch_late)
    with psycopg.connect(pooled.text, autocommit=True) as other:
        for is_quick in (True, False):
            await store.transact(lambda tx: None, is_quick=is_quick)
            await asyncio.wait_for(asyncio.to_thread(other.execute, "SELECT"), _PATIENCE)


async def test_nothing_is_left_in_a_session_for_its_next_client(
    store: PostgresStore, pooled: Dsn
) -> None:
    with psycopg.connect(pooled.text, autocommit=True) as other:
        assert other.execute(_OF_SESSION).fetchall() == []
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await store.transact(lambda tx: tx.callbacks.add(callback(1)), is_quick=True)
        await store.read(lambda tx: tx.accounts.all())
        await store.cluster.renew()
        assert await store.cluster.hold("the gateway")
        policy = RetentionPolicy(RetentionTimes(*[timedelta(days=1)] * 4))
        await store.retire_weeks(policy, NOW + timedelta(days=365))
        assert len(await store.cluster.members()) == 1
        # Only one session exists, so this is what all of that was done in.
        assert other.execute(_OF_SESSION).fetchall() == []
        left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert other.execute(left).fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


async def test_a_read_that_takes_too_long_is_interrupted(store: PostgresStore, pooled: Dsn) -> None:
    with pooled.connect() as connection:
        types = types_of_columns(connection)
    reader = PostgresReader(pooled, VAULT, store.cluster._own, types, longest=0.05)
    with closing(reader), pytest.raises(QueryTimeout, match=r"longer than 0\.05 s"):
        reader.run(lambda tx: ask(tx, "SELECT pg_sleep(10)"))
    # Its limit does not hold for others.
    await store.transact(lambda tx: ask(tx, "SELECT pg_sleep(0.1)"))


async def test_a_lock_of_somebody_else_delays_nobody_for_long(
    bench: PostgresBench, pooled: Dsn
) -> None:
    with psycopg.connect(bench.dsn.text) as holder:
        holder.execute("LOCK TABLE schema_versions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(ConfigurationError, match="lock timeout"):
            schema.check(pooled, VAULT)


def test_work_on_the_whole_database_needs_its_own_address(pooled: Dsn) -> None:
    here = PostgresDatabase(pooled.text, new_key())
    needs = r"needs the address of the PostgreSQL database .* itself: here is a pooler"
    with pytest.raises(ConfigurationError, match=f"`ringback db upgrade` {needs}"):
        here.upgrade()
    for place in (here.as_copy_source, here.as_copy_target):
        with pytest.raises(ConfigurationError, match=f"`ringback db copy` {needs}"), place():
            pass


@contextmanager
def looking(dsn: Dsn) -> Iterator[bool]:
    with dsn.connect() as connection:
        yield is_pooled(dsn, connection)


@pytest.mark.parametrize(("mode", "found"), [("transaction", True), ("session", False)])
def test_only_a_pooler_of_transactions_is_one(
    bench: PostgresBench, mode: str, *, found: bool
) -> None:
    with a_pgbouncer(bench.socket_folder, mode=mode) as pooler:
        dsn = Dsn(make_conninfo(bench.dsn.text, host=str(pooler.folder)))
        with looking(dsn.without_prepared_statements()) as is_one:
            assert is_one is found
    with looking(bench.dsn) as is_one:
        assert not is_one


async def everything_is_settled(cluster: Cluster) -> None:
    async def count() -> int:
        (row,) = cluster.ask(
            "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM open_attempts)"
        )
        return row[0]

    await asked_until(count, lambda count: count == 0, within=_PATIENCE)


async def test_servers_behind_a_pooler_lose_nothing_when_it_is_killed(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        cluster = await enter(a_cluster(tmp_path, command=SHORT_LEASES))
        pooler = stack.enter_context(a_pgbouncer(cluster.database.folder))
        url = f"postgresql://ringback@/ringback?host={pooler.folder}"
        quiet = ("--database-notifications", "no")
        api = await enter(cluster.running("api", sys.stderr, *quiet, url=url))
        # Somebody has forgotten the setting here.
        worker = await enter(cluster.running("worker", sys.stderr, url=url))
        await worker.log.says("a pooler such as PgBouncer is in front of the PostgreSQL database")
        receiver = await enter(RecordingReceiver())

        async def send(number: int) -> int:
            url = receiver.url(f"/{number}#cbs=kore")
            return (await api.send({"url": url, "parameters": {"N": str(number)}})).status

        assert [await send(number) for number in range(8)] == [201] * 8
        await receiver.wait_for(8)
        pooler.kill()
        assert await send(100) == 503
        pooler.start()
        await asked_until(partial(send, 8), lambda status: status == 201, within=_PATIENCE)
        assert [await send(number) for number in range(9, 16)] == [201] * 7
        await everything_is_settled(cluster)
        reached = {request.line.split()[1] for request in receiver.requests}
        assert reached >= {f"/{number}" for number in range(16)}
