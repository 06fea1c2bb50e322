"""The SQLite store beyond the common tests: shared commits, and an unavailable database."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from ringback.core.errors import QueryTimeout, RecoveryPending, StoreUnavailable
from ringback.core.supersim.sim import SuperSim
from ringback.ports import PageWindow, Transaction
from ringback.stores.sqlite.store import SqliteStore, StoreOptions
from tests.fakes import NOW, VAULT
from tests.stores.asking import fail_in_turn, opened
from tests.stores.records import OURS, account, callback, sim
from tests.streams import a_sink, a_subscription, add_stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An open store with one account."""
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        yield store


# ---- shared commits ------------------------------------------------------------------------------


@asynccontextmanager
async def busy(store: SqliteStore) -> AsyncIterator[None]:
    """Keep the store's thread busy with other work, so that all calls meanwhile queue up."""
    begun, may_end = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        may_end.wait(10)

    working = asyncio.ensure_future(store.transact(work))
    await asyncio.to_thread(begun.wait, 10)
    yield
    await asyncio.sleep(0)  # so that the tasks created meanwhile have called the store
    may_end.set()
    await working


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    return store._committer._connection


def statements_of(store: SqliteStore) -> list[str]:
    """Return a list to which every SQL statement from now on is added."""
    statements = list[str]()
    connection_of(store).set_trace_callback(statements.append)
    return statements


async def test_waiting_callbacks_are_searched_for_a_clock_ahead_only_if_one_was(
    store: SqliteStore,
) -> None:
    await store.transact(lambda tx: tx.callbacks.add(callback(1)))
    await store.transact(lambda tx: tx.callbacks.changed_after(NOW, limit=9))
    statements = statements_of(store)
    await store.transact(lambda tx: tx.callbacks.changed_after(NOW, limit=9))
    assert not [each for each in statements if "FROM waiting" in each]


async def test_streams_are_read_again_only_when_somebody_has_changed_them(
    store: SqliteStore, path: Path
) -> None:
    await store.transact(
        lambda tx: add_stream(tx, a_sink(account_sid=OURS), a_subscription(account_sid=OURS))
    )

    def known(tx: Transaction) -> list[object]:
        of_account = tx.streams.subscriptions.of_account(OURS)
        to = tx.streams.sinks.destinations(OURS)
        return [*(one.is_enabled for one in of_account), *to.values()]

    assert await store.transact(known) == [True, "http://a.example:80"]
    statements = statements_of(store)
    assert await store.transact(known) == [True, "http://a.example:80"]
    assert not [each for each in statements if "stream_" in each]
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE stream_subscriptions SET is_enabled = 0")
        other.execute("UPDATE stream_sinks SET url = 'http://b.example/'")
    assert await store.transact(known) == [False, "http://b.example:80"]


async def test_queued_work_shares_one_commit(store: SqliteStore) -> None:
    async with busy(store):
        statements = statements_of(store)
        adding = [
            asyncio.ensure_future(store.transact(lambda tx, n=n: tx.supersim.sims.add(sim(n))))
            for n in range(100)
        ]
    await asyncio.gather(*adding)
    # The first statement belongs to the work that keeps the thread busy.
    assert statements.count("COMMIT") == 2


async def test_the_duration_of_each_commit_is_reported(path: Path) -> None:
    took = list[float]()
    store = SqliteStore.open(path, VAULT, options=StoreOptions(committed=took.append))
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.transact(lambda tx: tx.accounts.get(OURS))
    await store.close()
    assert len(took) == 2
    assert min(took) > 0


async def test_a_commit_has_at_most_500_jobs(store: SqliteStore) -> None:
    async with busy(store):
        statements = statements_of(store)
        asking = [
            asyncio.ensure_future(store.transact(lambda tx: tx.callbacks.waiting()))
            for _ in range(501)
        ]
    await asyncio.gather(*asking)
    assert statements.count("COMMIT") == 3


async def test_work_cancelled_before_its_turn_is_not_done(store: SqliteStore) -> None:
    async with busy(store):
        given_up = asyncio.ensure_future(store.transact(lambda tx: tx.supersim.sims.add(sim(1))))
        await asyncio.sleep(0)
        given_up.cancel()
    assert await store.transact(lambda tx: tx.supersim.sims.get(sim(1).sid)) is None


async def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore.open(path, VAULT)
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.transact(lambda tx: tx.callbacks.waiting())


# ---- an unavailable database ---------------------------------------------------------------------


async def sims_in(store: SqliteStore) -> list[SuperSim]:
    return await store.transact(lambda tx: tx.supersim.sims.page(OURS, {}, PageWindow(9)))


async def refusal_to_add(store: SqliteStore, number: int = 1) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        await store.transact(lambda tx: tx.supersim.sims.add(sim(number)))
    return str(refused.value)


async def test_a_file_locked_by_others_is_unavailable_until_they_release_it(
    store: SqliteStore, path: Path
) -> None:
    connection_of(store).execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await refusal_to_add(store) == (
            "the database can't be used just now: database is locked"
        )
    await store.transact(lambda tx: tx.supersim.sims.add(sim(2)))
    assert await sims_in(store) == [sim(2)]


def fill_the_disk(connection: sqlite3.Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def add_much(tx: Transaction) -> None:
    for number in range(1000):
        tx.callbacks.add(callback(number))


async def test_a_full_disk_stores_what_fits_and_refuses_the_rest(store: SqliteStore) -> None:
    fill_the_disk(connection_of(store))
    async with busy(store):
        asked = [
            asyncio.ensure_future(store.transact(lambda tx: tx.supersim.sims.add(sim(1)))),
            asyncio.ensure_future(store.transact(add_much)),
            asyncio.ensure_future(store.transact(lambda tx: tx.supersim.sims.add(sim(2)))),
        ]
    endings = await asyncio.gather(*asked, return_exceptions=True)
    full = "the database can't be used just now: database or disk is full"
    assert [ending and (type(ending), str(ending)) for ending in endings] == [
        None,
        (StoreUnavailable, full),
        None,
    ]
    assert await sims_in(store) == [sim(2), sim(1)]


async def test_a_refused_commit_is_reported_even_if_another_that_shared_it_succeeded(
    path: Path,
) -> None:
    reported = list[StoreUnavailable]()
    store = SqliteStore.open(path, VAULT, options=StoreOptions(unavailable=reported.append))
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    fill_the_disk(connection_of(store))
    async with busy(store):
        asked = [
            asyncio.ensure_future(store.transact(lambda tx: tx.callbacks.unfinished())),
            asyncio.ensure_future(store.transact(add_much)),
        ]
    await asyncio.gather(*asked, return_exceptions=True)
    await store.close()
    assert list(map(str, reported)) == [
        "the database can't be used just now: database or disk is full"
    ]


async def test_only_a_database_that_cannot_be_used_is_reported(path: Path) -> None:
    reported = list[StoreUnavailable]()
    store = SqliteStore.open(path, VAULT, options=StoreOptions(unavailable=reported.append))
    await fail_in_turn(
        store, RecoveryPending("not yet"), QueryTimeout("slow"), StoreUnavailable("gone")
    )
    await store.close()
    assert list(map(str, reported)) == ["gone"]


async def test_a_disk_with_room_again_is_used_again(store: SqliteStore) -> None:
    fill_the_disk(connection_of(store))
    with pytest.raises(StoreUnavailable):
        await store.transact(add_much)
    connection_of(store).execute("PRAGMA max_page_count = 1000000")
    await store.transact(add_much)
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {OURS: 1000}


async def test_a_full_disk_can_still_be_read(store: SqliteStore) -> None:
    await store.transact(lambda tx: tx.supersim.sims.add(sim(1)))
    fill_the_disk(connection_of(store))
    with pytest.raises(StoreUnavailable):
        await store.transact(add_much)
    assert await sims_in(store) == [sim(1)]


async def test_a_file_that_cannot_be_written_is_unavailable_until_it_can(
    store: SqliteStore,
) -> None:
    connection_of(store).execute("PRAGMA query_only = ON")
    assert await refusal_to_add(store) == (
        "the database can't be used just now: attempt to write a readonly database"
    )
    connection_of(store).execute("PRAGMA query_only = OFF")
    await store.transact(lambda tx: tx.supersim.sims.add(sim(1)))
    assert await sims_in(store) == [sim(1)]


async def test_writing_nothing_shows_that_a_file_cannot_be_written(store: SqliteStore) -> None:
    await store.transact(lambda tx: tx.write_nothing())
    connection_of(store).execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable):
        await store.transact(lambda tx: tx.write_nothing())


async def test_writing_nothing_leaves_the_schema_unchanged(store: SqliteStore, path: Path) -> None:
    def schema() -> list[tuple[int]]:
        return connection_of(store).execute("PRAGMA user_version").fetchall()

    before = schema()
    await store.transact(lambda tx: tx.write_nothing())
    assert [tuple(row) for row in schema()] == [tuple(row) for row in before]


async def test_callers_are_notified_that_a_commit_was_undone(store: SqliteStore) -> None:
    told = list[str]()

    def work(tx: Transaction) -> None:
        tx.on_commit(lambda: told.append("durable"), undone=lambda: told.append("undone"))
        add_much(tx)

    fill_the_disk(connection_of(store))
    with pytest.raises(StoreUnavailable):
        await store.transact(work)
    assert told == ["undone"]


async def test_a_cancelled_caller_is_still_notified_that_its_work_is_durable(
    store: SqliteStore,
) -> None:
    told = list[str]()
    begun, may_end, is_told = threading.Event(), threading.Event(), asyncio.Event()

    def work(tx: Transaction) -> None:
        tx.on_commit(lambda: told.append("durable"))
        tx.on_commit(is_told.set)
        begun.set()
        may_end.wait(10)

    asking = asyncio.ensure_future(store.transact(work))
    await asyncio.to_thread(begun.wait, 10)
    asking.cancel()
    may_end.set()
    await is_told.wait()
    assert told == ["durable"]
    assert asking.cancelled()


def test_a_caller_in_a_closed_loop_does_not_prevent_closing(path: Path) -> None:
    async def ask_and_leave() -> SqliteStore:
        store = SqliteStore.open(path, VAULT)
        may_end = threading.Event()
        asking = asyncio.ensure_future(store.transact(lambda tx: may_end.wait(10)))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(may_end.set)
        asking.cancel()
        return store

    store = asyncio.run(ask_and_leave())
    asyncio.run(store.close())
    assert not store._thread.is_alive()
