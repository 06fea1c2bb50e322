"""Quick work of the SQLite store runs in the event loop, which never waits for the database."""

import asyncio
import resource
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.sqlite import store as store_module
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import VAULT
from tests.stores.records import OURS, account, callback
from tests.stores.test_sqlite import (
    add_much,
    busy,
    connection_of,
    fill_the_disk,
    path,
    statements_of,
    store,
)

__all__ = ["path", "store"]

Work = Callable[[Transaction], Any]


class Broken(Exception):
    """The error that makes work fail."""


def add(number: int) -> Work:
    return lambda tx: tx.callbacks.add(callback(number))


def break_off(tx: Transaction) -> None:
    raise Broken


def thread_of(tx: Transaction) -> int:
    return threading.get_ident()


def quick(store: SqliteStore, work: Work, *, may_wait: bool = False) -> asyncio.Future[Any]:
    return asyncio.ensure_future(store.transact(work, is_quick=True, may_wait=may_wait))


async def unfinished(store: SqliteStore) -> int:
    return (await store.transact(lambda tx: tx.callbacks.unfinished())).get(OURS, 0)


async def test_quick_work_runs_in_the_event_loop_unless_other_work_shares_its_commit(
    store: SqliteStore,
) -> None:
    here = threading.get_ident()
    assert await asyncio.gather(quick(store, thread_of), quick(store, thread_of)) == [here, here]
    shared = quick(store, thread_of)
    assert await store.transact(thread_of) == await shared != here


async def test_the_event_loop_goes_on_while_another_process_has_the_lock(
    store: SqliteStore, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        adding = [quick(store, add(number)) for number in range(3)]
        # A wait for the lock would take 5 s, in which the loop can't do this.
        async with asyncio.timeout(4):
            for _ in range(5):
                await asyncio.sleep(0.01)
                adding.append(quick(store, add(len(adding))))
        assert not any(each.done() for each in adding)
        other.execute("ROLLBACK")
        await asyncio.gather(*adding)
    assert await unfinished(store) == len(adding)


async def test_a_disk_that_is_full_for_the_rows_refuses_only_the_work_that_needs_room(
    store: SqliteStore,
) -> None:
    fill_the_disk(connection_of(store))
    endings = await asyncio.gather(
        quick(store, lambda tx: tx.callbacks.unfinished()),
        quick(store, add_much),
        return_exceptions=True,
    )
    assert endings[0] == {}
    assert isinstance(endings[1], StoreUnavailable)
    connection_of(store).execute("PRAGMA max_page_count = 1000000")
    await quick(store, add(1))
    assert await unfinished(store) == 1


@contextmanager
def no_room_in_files() -> Iterator[None]:
    """Let no file of this process grow beyond 4 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # else bytecode could be cut off
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_is_full_at_the_commit_undoes_quick_work(store: SqliteStore) -> None:
    told = list[str]()
    where = set[int]()

    def work(tx: Transaction) -> None:
        where.add(threading.get_ident())
        tx.on_commit(lambda: told.append("durable"), undone=lambda: told.append("undone"))
        tx.callbacks.add(callback(1))

    with no_room_in_files(), pytest.raises(StoreUnavailable, match="can't be used just now"):
        await quick(store, work)
    assert (told, where) == (["undone"], {threading.get_ident()})
    assert await unfinished(store) == 0
    await quick(store, work)
    assert told == ["undone", "durable"]
    assert await unfinished(store) == 1


async def test_quick_work_that_fails_does_not_affect_the_work_beside_it(store: SqliteStore) -> None:
    tasks = [quick(store, work) for work in (add(1), break_off, add(2))]
    endings = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in endings] == [int, Broken, int]
    assert await unfinished(store) == 2


async def test_an_unexpected_error_does_not_keep_the_connection(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(store._committer._session, "flush", lambda: 1 / 0)
        with pytest.raises(StoreUnavailable, match="ZeroDivisionError"):
            await quick(store, add(1))
    await quick(store, add(2))
    assert await unfinished(store) == 1


async def test_quick_work_cancelled_before_its_turn_is_not_done(store: SqliteStore) -> None:
    async with busy(store):
        adding = [quick(store, add(number)) for number in range(3)]
        await asyncio.sleep(0)
        adding[1].cancel()
    await asyncio.gather(*adding, return_exceptions=True)
    assert await unfinished(store) == 2


async def test_the_work_of_a_caller_that_leaves_during_the_commit_is_durable(
    store: SqliteStore,
) -> None:
    is_durable = asyncio.Event()
    adding = list[asyncio.Future[Any]]()

    def work(tx: Transaction) -> None:
        tx.on_commit(is_durable.set)
        tx.callbacks.add(callback(1))
        asyncio.get_running_loop().call_soon(adding[0].cancel)

    adding.append(quick(store, work))
    await is_durable.wait()
    assert adding[0].cancelled()
    assert await unfinished(store) == 1


async def test_closing_finishes_waiting_work(path: Path) -> None:
    store = SqliteStore.open(path, VAULT)
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    adding = [quick(store, add(number), may_wait=number % 2 == 0) for number in range(600)]
    await asyncio.sleep(0)
    await store.close()
    assert all(isinstance(each.result(), int) for each in adding)


async def busy_times(store: SqliteStore) -> None:
    """Let so much work arrive that work that may wait is delayed."""
    await asyncio.gather(*(quick(store, thread_of) for _ in range(100)))
    await asyncio.sleep(0.01)


async def test_work_that_may_wait_shares_the_commit_of_the_next_work(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PATIENCE", 60.0)
    await busy_times(store)
    statements = statements_of(store)
    waiting = quick(store, add(1), may_wait=True)
    for _ in range(5):
        await asyncio.sleep(0.002)
    assert statements == []
    await quick(store, add(2))
    assert waiting.done()
    assert statements.count("COMMIT") == 1


async def test_work_that_may_wait_needs_no_other_work_to_be_done(store: SqliteStore) -> None:
    await quick(store, add(1), may_wait=True)
    await busy_times(store)
    await quick(store, add(2), may_wait=True)
    assert await unfinished(store) == 2


def test_a_store_whose_loop_was_closed_during_a_commit_can_be_closed(path: Path) -> None:
    store = SqliteStore.open(path, VAULT)
    begun, may_end = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        may_end.wait(10)

    async def ask_and_leave() -> None:
        asking = asyncio.ensure_future(store.transact(work))
        await asyncio.to_thread(begun.wait, 10)
        asking.cancel()

    asyncio.run(ask_and_leave())
    may_end.set()
    asyncio.run(asyncio.wait_for(store.close(), 20))


def test_a_store_whose_loop_was_closed_before_it_learned_of_a_commit_can_be_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, loop = SqliteStore.open(path, VAULT), asyncio.new_event_loop()
    may_end, is_reported = threading.Event(), threading.Event()
    asking = list[asyncio.Future[Any]]()
    call_soon_threadsafe = loop.call_soon_threadsafe

    def report(*call: Any) -> asyncio.Handle:
        handle = call_soon_threadsafe(*call)
        is_reported.set()
        return handle

    async def ask_and_leave() -> None:
        for _ in range(2):  # the second waits for the next commit
            asking.append(asyncio.ensure_future(store.transact(lambda tx: may_end.wait(10))))
            await asyncio.sleep(0)

    loop.run_until_complete(ask_and_leave())
    monkeypatch.setattr(loop, "call_soon_threadsafe", report)
    may_end.set()
    assert is_reported.wait(10)
    loop.close()
    asyncio.run(asyncio.wait_for(store.close(), 20))
