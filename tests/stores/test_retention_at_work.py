"""Retention that is killed, retention for a long time, and retention of old folders."""

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.retention import DEFAULT, DEFAULTS, RetentionTimes, TimeSubject
from ringback.engine import retention_worker
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from ringback.stores.sqlite.integrity_checks import check_data
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, VAULT
from tests.stores.asking import dangling, new_file, opened
from tests.stores.old_files import go_back
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, account
from tests.stores.retaining import DAY, HOUR, Retaining, ids_of_its_clock

TIMES = RetentionTimes(DAY, 2 * DAY, 8 * DAY, 9 * DAY)
# Most callbacks are delivered by their first attempt; of ten, one fails and one is tried twice.
COUNT = 300


async def fill(retaining: Retaining, first: int = 1, number: int = COUNT) -> None:
    """Add callbacks, with answers of their own and shared ones, and send most of them."""
    numbers = range(first, first + number)
    for part in (range(at, min(at + 250, numbers.stop)) for at in range(first, numbers.stop, 250)):
        delivered = [one for one in part if one % 10 > 1]
        retried, failed = ([one for one in part if one % 10 == rest] for rest in (0, 1))
        await retaining.create(*delivered, key=None)
        answer = ReceiverResponseRecord(200, (("X", str(part)),), b"body" * 50)
        await retaining.attempt(*delivered, response=answer)
        await retaining.create(*failed)
        await retaining.attempt(*failed, is_delivered=False)
        await retaining.create(*retried)
        await retaining.attempt(*retried, is_delivered=False, is_last=False, response=answer)


# ---- kills ---------------------------------------------------------------------------------------


def run_killed(open_store: Any, after: Any, fatal: int) -> None:
    """Do a pass at a time; kill this process before a statement."""
    statements = count()

    def deadly(original: Any) -> Any:
        def execute(*args: Any, **kwargs: Any) -> Any:
            if next(statements) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return execute

    async def work() -> None:
        store = await open_store()
        retaining = Retaining(store)
        retaining.clock.advance(after)
        with pytest.MonkeyPatch.context() as patch:
            if isinstance(store, SqliteStore):
                connection = store._committer._connection
                connection.set_trace_callback(deadly(lambda _: None))
            else:
                patch.setattr(psycopg.Connection, "execute", deadly(psycopg.Connection.execute))
            patch.setattr(retention_worker, "PIECE", 40)
            await retaining.worker.do_pass()
        await store.close()

    asyncio.run(work())


def is_killed(open_store: Any, after: Any, fatal: int) -> bool:
    """Return True if the pass was killed; False if it came to its end."""
    process = get_context("fork").Process(target=run_killed, args=(open_store, after, fatal))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


async def check_whole(retaining: Retaining) -> None:
    """Check that each callback has all of its attempts, or none of them."""
    for number, (status, attempts, _) in (await retaining.left()).items():
        assert attempts in (0, 1), (number, status)
        # Only of those that have ended do attempts go.
        assert status != "scheduled" or attempts == (number <= COUNT)


@pytest.mark.parametrize(
    "kills", [6, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_killed_at_any_statement_nothing_is_half_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    path, chance = tmp_path / "ringback.db", Random(kills)
    path.write_bytes(new_file())

    async def open_store() -> SqliteStore:
        return SqliteStore.open(path, VAULT)

    async def prepare() -> None:
        store = await open_store()
        await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
        retaining = Retaining(store)
        with ids_of_its_clock(retaining, monkeypatch):
            await retaining.set(TIMES)
            await fill(retaining)
            retaining.clock.advance(40 * DAY)
            await retaining.create(COUNT + 1, due=NOW + 400 * DAY)
        await store.close()

    async def look(after: Any, *, is_over: bool) -> None:
        store = await open_store()
        retaining = Retaining(store)
        retaining.clock.advance(after)
        await check_whole(retaining)
        assert dangling(store._committer._connection) == []
        if is_over:
            await retaining.worker.do_pass()
            left = await retaining.left()
            gone = {number for number in range(1, COUNT + 1) if number % 10 > 1}
            assert not gone & left.keys()
        await store.close()
        faults = [one for one in check_data(path, lambda: VAULT) if not one.is_ok]
        assert faults == []

    asyncio.run(prepare())
    done = 0
    for after in (3 * DAY, 8 * DAY, 9 * DAY):
        for _ in range(kills // 3):
            if not is_killed(open_store, after, chance.randrange(5, 50)):
                break
            done += 1
            asyncio.run(look(after, is_over=False))
    assert done > 3
    asyncio.run(look(9 * DAY, is_over=True))


@pytest.fixture
def bench(postgres_bench: PostgresBench) -> Iterator[PostgresBench]:
    """A database that no process has open."""
    asyncio.run(postgres_bench.leave())
    yield postgres_bench
    asyncio.run(postgres_bench.leave())
    postgres_bench.empty()


def test_killed_in_postgresql_nothing_is_half_gone(
    bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare() -> None:
        store = await bench.begin()
        await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
        retaining = Retaining(store)
        with ids_of_its_clock(retaining, monkeypatch):
            await retaining.set(TIMES)
            await fill(retaining, number=100)
        await bench.leave()

    async def open_store() -> PostgresStore:
        return PostgresStore.open(bench.dsn, VAULT, PostgresOptions())

    async def look(after: Any) -> dict[int, tuple[str, int, int]]:
        store = await open_store()
        retaining = Retaining(store)
        retaining.clock.advance(after)
        await check_whole(retaining)
        left = await retaining.left()
        await store.close()
        return left

    asyncio.run(prepare())
    killed = [is_killed(open_store, 9 * DAY, fatal) for fatal in (40, 55, 70)]
    left = asyncio.run(look(9 * DAY))
    assert any(killed)
    assert not is_killed(open_store, 9 * DAY, 10**6)
    left = asyncio.run(look(9 * DAY))
    assert {status for status, *_ in left.values()} == {"scheduled"}


# ---- for years -----------------------------------------------------------------------------------


def sizes(store: SqliteStore) -> tuple[int, dict[str, int]]:
    """Return the used bytes of a file, and the number of rows in each table."""
    execute = store._committer._connection.execute
    size, pages, free = (
        execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "page_count", "freelist_count")
    )
    tables = [name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {
        name: execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 (its own names)
        for name in tables
    }
    return (pages - free) * size, rows


@pytest.mark.parametrize(
    "number", [400, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_the_file_does_not_grow_over_ten_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "ringback.db"
    path.write_bytes(new_file())
    monkeypatch.setattr(retention_worker, "_SPARE", 0)
    monkeypatch.setattr(retention_worker, "_REST", 0)
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
        retaining = Retaining(store)
        with ids_of_its_clock(retaining, monkeypatch):
            await retaining.set(TIMES)
            await retaining.create(1, due=NOW + 366 * DAY)
            found = list[tuple[int, dict[str, int]]]()
            for turn in range(10):
                first = 2 + turn * number
                delivered = range(first, first + number)
                for at in range(0, number, 200):
                    part = delivered[at : at + 200]
                    await retaining.create(*part)
                    answer = ReceiverResponseRecord(200, (("X", str(at)),), b"body" * 99)
                    await retaining.attempt(*part, response=answer)
                    retaining.clock.advance(HOUR)
                await retaining.do_pass(after=9 * DAY)
                found.append(sizes(store))
            assert found[9][0] < 1.3 * found[2][0]
            grown = {
                table: (found[2][1][table], rows)
                for table, rows in found[9][1].items()
                if rows > found[2][1][table] + 2
            }
            assert grown == {}
            # One is due in a year.
            assert found[9][1]["callbacks"] == 1
            assert found[9][1]["attempts"] == 0
            await retaining.do_pass(after=400 * DAY - HOUR)
            assert (await retaining.left())[1] == ("scheduled", 0, 0)
        free = store._committer._connection.execute("PRAGMA freelist_count").fetchone()[0]
        pages = store._committer._connection.execute("PRAGMA page_count").fetchone()[0]
        assert free <= pages // 10


@pytest.mark.parametrize("answers", [DAY, None])
async def test_what_callbacks_shared_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: timedelta | None
) -> None:
    """Bodies of answers go at the latest with the attempts, even if they are kept for ever."""
    path = tmp_path / "ringback.db"
    path.write_bytes(new_file())
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
        retaining = Retaining(store)
        with ids_of_its_clock(retaining, monkeypatch):
            await retaining.set(TIMES._replace(answers=answers))
            await retaining.create(1, 2)
            answer = ReceiverResponseRecord(200, (("X", "y"),), b"body")
            await retaining.attempt(1, 2, response=answer)
            retaining.clock.advance(12 * DAY)
            await retaining.create(3, due=NOW + 99 * DAY)
            await retaining.do_pass()
            _, rows = sizes(store)
        shared = "answer_bodies", "attempt_results", "request_heads", "callback_targets"
        assert [rows[table] for table in shared] == [0, 0, 0, 1]
        assert dangling(store._committer._connection) == []


# ---- old folders ---------------------------------------------------------------------------------


async def test_an_old_file_with_accounts_keeps_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
        retaining = Retaining(store)
        await retaining.create(1)
        await retaining.attempt(1)
    go_back(path, schema=16)
    async with opened(path) as store:
        assert await store.read(lambda tx: tx.retention.times()) == {}
        retaining = Retaining(store)
        await retaining.do_pass(after=9999 * DAY)
        assert await retaining.left() == {1: ("delivered", 1, 0)}
        assert "no times are set, so everything is kept" in caplog.text
        # Until a time is set.
        await retaining.set(TIMES)
        await retaining.do_pass()
        assert await retaining.left() == {}


async def test_an_old_file_without_accounts_is_new(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    path.write_bytes(new_file())
    go_back(path, schema=16)
    expected = {TimeSubject(DEFAULT, kind): time for kind, time in DEFAULTS._asdict().items()}
    async with opened(path) as store:
        assert await store.read(lambda tx: tx.retention.times()) == expected
