"""The stores that every test of the suite runs with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ringback.ports import Store
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import VAULT
from tests.memory_store import MemoryStore
from tests.stores.asking import keep, new_file
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import (
    FLEETS,
    OURS,
    PROFILES,
    RATE_PLANS,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    account,
)
from tests.stores.sharing import MemoryShared, SharedStores


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    path = tmp_path / "ringback.db"
    path.write_bytes(new_file())
    store = SqliteStore.open(path, VAULT)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def postgres_bench(postgres_dsn: str) -> Iterator[PostgresBench]:
    with PostgresBench.on(postgres_dsn) as bench:
        yield bench


@pytest.fixture
async def postgres(postgres_bench: PostgresBench) -> AsyncIterator[PostgresStore]:
    store = await postgres_bench.begin()
    yield store
    await postgres_bench.end()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def empty(request: pytest.FixtureRequest) -> Store:
    """An empty store."""
    if request.param == "memory":
        return MemoryStore()
    return request.getfixturevalue(request.param)


@pytest.fixture
async def shared() -> SharedStores:
    """An empty store that several processes share, with the account OURS."""
    stores = MemoryShared()
    await stores.join("first").store.transact(lambda tx: tx.accounts.add(account(OURS), []))
    return stores


@pytest.fixture
async def store(empty: Store) -> Store:
    """A store with two accounts, OURS and THEIRS, each with a network access profile for fleets."""
    for sid in (OURS, THEIRS):
        added = account(sid)
        await empty.transact(lambda tx, added=added: tx.accounts.add(added, []))
    await keep(empty, *PROFILES.values())
    return empty


@pytest.fixture
async def furnished(store: Store) -> Store:
    """A store in which each account has SIMs, a fleet and a rate plan for other records."""
    await keep(store, *FLEETS.values(), *SIMS.values())
    await keep(store, *RATE_PLANS.values(), *WIRELESS_SIMS.values())
    return store
