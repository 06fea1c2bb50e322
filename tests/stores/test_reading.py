"""Reading in parallel with commits: the rows seen, refused writes, and waiting."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import NotFound, QueryTimeout, StoreUnavailable
from ringback.core.policy.policy_version import OPERATOR, PolicyVersion
from ringback.core.policy.source_policy import NOTICE
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction
from ringback.stores.sql.read_pool import ReadConnectionPool
from ringback.stores.sqlite.read_connections import SqliteReader
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import keep
from tests.stores.records import OUR_LANE, OURS, account, api_key, callback, shadow, sim, task


def how_many(tx: Transaction) -> int:
    return len(tx.callbacks.page(OURS, CallbackFilter(), PageWindow(99)))


# ---- every store ---------------------------------------------------------------------------------


async def test_a_read_sees_what_was_durable_before_it(store: Store) -> None:
    for number in range(3):
        await keep(store, callback(number))
        assert await store.read(how_many) == number + 1


async def test_a_read_sees_an_account_in_its_current_state(store: Store) -> None:
    assert await store.read(lambda tx: tx.accounts.get(OURS)) == account()
    renamed = replace(account(), name="renamed")
    await store.transact(lambda tx: tx.accounts.save(renamed))
    assert await store.read(lambda tx: tx.accounts.get(OURS)) == renamed


async def test_an_error_in_a_read_is_raised_to_the_caller(store: Store) -> None:
    def work(tx: Transaction) -> None:
        raise NotFound(f"nothing among {how_many(tx)}")

    with pytest.raises(NotFound, match="nothing among 0"):
        await store.read(work)
    assert await store.read(how_many) == 0


WRITES: dict[str, Callable[[Transaction], Any]] = {
    "a new callback": lambda tx: tx.callbacks.add(callback(1)),
    "a changed callback": lambda tx: tx.callbacks.change(callback(0, due=None)),
    "a claim": lambda tx: claim_from(tx, OUR_LANE, NOW, limit=1),
    "a copy": lambda tx: tx.shadows.open([shadow(0)]),
    "a SIM": lambda tx: tx.supersim.sims.add(sim(1)),
    "a task": lambda tx: tx.tasks.put(task(1)),
    "a policy": lambda tx: tx.policies.add(PolicyVersion(1, NOTICE, NOW, OPERATOR)),
    "an account": lambda tx: tx.accounts.save(replace(account(), name="renamed")),
    "a key": lambda tx: tx.accounts.keys.add(api_key(1)),
    "what follows": lambda tx: tx.on_commit(lambda: None),
}


@pytest.mark.parametrize("work", WRITES.values(), ids=WRITES)
async def test_a_read_that_writes_is_an_error_and_changes_nothing(
    store: Store, work: Callable[[Transaction], Any]
) -> None:
    await keep(store, callback(0))
    with pytest.raises(RuntimeError, match="must only read"):
        await store.read(work)
    assert await store.read(lambda tx: (how_many(tx), tx.accounts.get(OURS))) == (1, account())
    await keep(store, callback(2))
    assert await store.read(how_many) == 2


# ---- SQLite --------------------------------------------------------------------------------------


class Held:
    """Reads that block until the test releases them."""

    def __init__(self) -> None:
        self.begun = list[str]()
        self.may_end = threading.Event()
        self._changed = threading.Condition()

    def work(self, name: str) -> Callable[[Transaction], int]:
        """Return a blocking read with this name."""

        def read(tx: Transaction) -> int:
            before = how_many(tx)
            with self._changed:
                self.begun.append(name)
                self._changed.notify_all()
            assert self.may_end.wait(30)
            assert how_many(tx) == before
            return before

        return read

    async def have_begun(self, count: int) -> list[str]:
        """Wait until this number of reads have begun, and return their names."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(self.begun) >= count, 30)

        assert await asyncio.to_thread(wait)
        return self.begun


@pytest.fixture
def held() -> Held:
    return Held()


@asynccontextmanager
async def under_way(held: Held, *reads: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Start these reads, and release them at the end."""
    tasks = [asyncio.create_task(read) for read in reads]
    yield tasks
    held.may_end.set()
    await asyncio.gather(*tasks)


async def test_no_commit_waits_for_a_read_which_sees_the_state_at_its_start(
    sqlite: SqliteStore, held: Held
) -> None:
    await sqlite.transact(lambda tx: tx.accounts.add(account(), []))
    async with under_way(held, sqlite.read(held.work("long"))) as (reading,):
        await held.have_begun(1)
        await keep(sqlite, callback(1))
        assert await sqlite.read(how_many, asked_by="another") == 1
    assert reading.result() == 0


async def test_an_account_with_many_reads_leaves_others_a_thread(
    sqlite: SqliteStore, held: Held
) -> None:
    def read(asked_by: str) -> Any:
        return sqlite.read(held.work(asked_by), asked_by=asked_by)

    async with under_way(held, *(read("flood") for _ in range(20)), *map(read, "abab")):
        assert sorted(await held.have_begun(3)) == ["a", "b", "flood"]
        assert await sqlite.read(how_many, asked_by="quiet") == 0
        assert len(held.begun) == 3
    assert len(held.begun) == 24


async def test_waiting_accounts_take_turns(sqlite: SqliteStore, held: Held) -> None:
    ended = list[str]()
    last = Held()

    async def read(asked_by: str) -> None:
        await sqlite.read(how_many, asked_by=asked_by)
        ended.append(asked_by)

    # All threads but one are held to the end, so what this one does next is known.
    async with (
        under_way(held, *(sqlite.read(held.work(one), asked_by=one) for one in "123")),
        under_way(last, sqlite.read(last.work("4"), asked_by="4")),
    ):
        await held.have_begun(3)
        await last.have_begun(1)
        waiting = [asyncio.create_task(read("flood")) for _ in range(50)]
        waiting.append(asyncio.create_task(read("quiet")))
        await asyncio.sleep(0)
        last.may_end.set()
        await asyncio.gather(*waiting)
    assert ended == ["flood", "quiet", *["flood"] * 49]


def reading(path: Path, **how: float) -> ReadConnectionPool:
    return ReadConnectionPool(lambda: SqliteReader(path, VAULT, **how), sqlite3.Error)


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"


def _read_without_end(tx: Transaction) -> object:
    # No port has such a question.
    return vars(tx.tasks)["_session"].read(ENDLESS).fetchone()


async def test_a_read_that_takes_too_long_is_interrupted_and_says_what_to_do(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    readers = reading(tmp_path / "ringback.db", longest=0.05)
    with pytest.raises(QueryTimeout, match=r"longer than 0\.05 s, .* request less at once"):
        await readers.read(_read_without_end, "")
    assert await readers.read(lambda tx: tx.accounts.all(), "") == []
    readers.close()


async def test_threads_are_started_when_needed(sqlite: SqliteStore, held: Held) -> None:
    def count() -> int:
        return len(sqlite._readers._threads)

    assert count() == 0
    for _ in range(9):
        await sqlite.read(how_many)
    assert count() == 1
    async with under_way(held, *(sqlite.read(held.work(one), asked_by=one) for one in "abcdefgh")):
        await held.have_begun(4)
        assert count() == 4


async def test_a_file_that_cannot_be_read_is_reported_and_tried_again(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    readers = reading(tmp_path / "gone" / "ringback.db")
    with pytest.raises(StoreUnavailable, match="can't be read just now: unable to open"):
        await readers.read(how_many, "")
    (tmp_path / "gone").symlink_to(tmp_path)
    assert await readers.read(how_many, "") == 0
    readers.close()


async def test_a_closed_store_reads_nothing(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "ringback.db", VAULT)
    assert await store.read(how_many) == 0
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.read(how_many)


async def test_if_no_thread_can_be_started_that_is_reported_or_the_others_read(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreUnavailable, match="can't start new thread"):
            await sqlite.read(how_many)
    assert not sqlite._readers._waiting
    assert await sqlite.read(how_many) == 0
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        both = [sqlite.read(how_many, asked_by=one) for one in "ab"]
        assert await asyncio.gather(*both) == [0, 0]
    assert len(sqlite._readers._threads) == 1
