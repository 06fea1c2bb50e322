"""Commits to PostgreSQL that fail because of others: they are run again, and get done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors

from ringback.core.callbacks.shards import Role
from ringback.ports import Transaction
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from ringback.stores.postgres.write_batch import PostgresWriteBatch
from tests.fakes import VAULT
from tests.stores.postgres_bench import PostgresBench

SUBJECT = "HS1"


@pytest.fixture
async def other(postgres_bench: PostgresBench) -> AsyncIterator[PostgresStore]:
    """Another process, which serves requests only."""
    store = PostgresStore.open(
        postgres_bench.dsn, VAULT, PostgresOptions(role=Role.API, open_for=timedelta(0))
    )
    yield store
    await store.close()


async def test_work_that_others_disturb_is_counted_by_the_reason(
    postgres_bench: PostgresBench, other: PostgresStore
) -> None:
    again, loop, tries = list[str](), asyncio.get_running_loop(), list[int]()
    options = PostgresOptions(role=Role.API, open_for=timedelta(0), repeated=again.append)
    store = PostgresStore.open(postgres_bench.dsn, VAULT, options)

    async def disturb() -> None:
        await other.transact(lambda tx: tx.scenarios.put(SUBJECT, "theirs"))

    def change(tx: Transaction) -> None:
        tx.scenarios.get(SUBJECT)
        if not tries:
            asyncio.run_coroutine_threadsafe(disturb(), loop).result(5)
        tries.append(1)
        tx.scenarios.put(SUBJECT, "ours")

    await store.transact(change)
    await store.close()
    assert again == ["serialization_failure"]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(errors.DeadlockDetected, "deadlock"), (errors.LockNotAvailable, "lock_timeout")],
)
async def test_a_lock_of_others_is_counted_by_what_it_was(
    postgres_bench: PostgresBench, failure: type[psycopg.Error], reason: str
) -> None:
    again, tries = list[str](), list[int]()
    options = PostgresOptions(role=Role.API, open_for=timedelta(0), repeated=again.append)
    store = PostgresStore.open(postgres_bench.dsn, VAULT, options)

    def change(tx: Transaction) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise failure("as the server reports it")
        tx.scenarios.put(SUBJECT, "ours")

    await store.transact(change)
    await store.close()
    assert again == [reason]


async def test_work_that_others_disturb_again_and_again_is_done_in_the_end(
    postgres: PostgresStore, other: PostgresStore
) -> None:
    loop, tries = asyncio.get_running_loop(), list[str]()

    async def disturb() -> None:
        await other.transact(lambda tx: tx.scenarios.put(SUBJECT, f"theirs {len(tries)}"))

    def change(tx: Transaction) -> str | None:
        before = tx.scenarios.get(SUBJECT)
        disturbing = asyncio.run_coroutine_threadsafe(disturb(), loop)
        try:
            disturbing.result(1)
            tries.append("disturbed")
        except TimeoutError:
            tries.append("undisturbed")
        tx.scenarios.put(SUBJECT, "ours")
        return before

    before = await postgres.transact(change)
    assert tries == ["disturbed", "disturbed", "disturbed", "undisturbed"]
    assert before == "theirs 2", "it does not overwrite what it has not seen"


def test_a_statement_that_was_skipped_after_a_failure_works_later(
    postgres_bench: PostgresBench,
) -> None:
    with postgres_bench.dsn.connect() as connection:
        batch = PostgresWriteBatch((), {}, int)
        batch.use(connection)
        for _ in range(3):
            batch.forget()
        for _ in range(2):
            connection.execute(b"SELECT 2")
        connection.execute(b"BEGIN")
        # It fails only when all is sent. The third time, psycopg prepares a statement; the server
        # skips that after the failure.
        with suppress(psycopg.Error), connection.pipeline():
            connection.execute(b"SELECT 1 / length(pg_sleep(0.2)::text)")
            connection.execute(b"SELECT 2")
        batch.forget()
        assert connection.execute(b"SELECT 2").fetchone() == (2,)
