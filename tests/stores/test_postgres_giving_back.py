"""A process that has too many shards gives some back, in which it begins nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ringback.core.callbacks.shards import SHARDS, shard_of
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from tests.fakes import VAULT
from tests.stores.postgres_bench import PostgresBench

HOSTS = [f"http://h{number}.example:80" for number in range(200)]


@pytest.fixture
async def first(postgres_bench: PostgresBench) -> AsyncIterator[PostgresStore]:
    """A process that owns all shards."""
    yield await postgres_bench.begin()
    await postgres_bench.end()


@pytest.fixture
async def second(postgres_bench: PostgresBench) -> AsyncIterator[PostgresStore]:
    """A process that has none so far."""
    store = PostgresStore.open(postgres_bench.dsn, VAULT, PostgresOptions(open_for=timedelta(0)))
    yield store
    await store.close()


async def test_it_first_claims_nothing_more_there_and_later_begins_no_requests(
    first: PostgresStore, second: PostgresStore
) -> None:
    assert not (await second.cluster.renew()).gained
    surplus = (await first.cluster.renew()).surplus
    assert len(surplus) == SHARDS // 2
    leaving = [host for host in HOSTS if shard_of(host) in surplus]
    assert not any(map(first.cluster.may_claim, leaving))
    assert all(map(first.cluster.may_send, leaving)), "attempts under way may go on"
    assert not (await second.cluster.renew()).gained, "others must not have them yet"

    giving_back = asyncio.create_task(first.cluster.renew())
    await asyncio.sleep(0)
    assert not any(map(first.cluster.may_send, leaving)), "others may have them at any moment"
    assert (await giving_back).lost == surplus
    assert (await second.cluster.renew()).gained == surplus
