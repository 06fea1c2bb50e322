"""The file of the SQLite store: its owner, its permissions, and its contents."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.ports import CallbackFilter, PageWindow, Transaction
from ringback.stores.encryption import SecretCipher, make_key_file
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import opened
from tests.stores.records import (
    OUR_LANE,
    OURS,
    PROFILES,
    account,
    api_key,
    callback,
    fleet,
    sim,
    task,
    update_of,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An open store with one account."""
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        yield store


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_no_database(path: Path) -> None:
    path.write_bytes(b"This is not a database, it is a poem. " * 100)


def refusal_of(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        SqliteStore.open(path, VAULT)
    return str(refused.value)


# ---- the file ------------------------------------------------------------------------------------


def everything(tx: Transaction) -> tuple[object, ...]:
    return (
        tx.accounts.get(OURS),
        tx.accounts.keys.of(OURS),
        tx.supersim.fleets.find(OURS, fleet(1).sid),
        tx.supersim.sims.page(OURS, {}, PageWindow(9)),
        tx.supersim.sim_updates.get(sim(1).sid),
        tx.scenarios.get(OURS),
        tx.tasks.claim(NOW, limit=9),
        tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9)),
        tx.callbacks.left_open(),
        tx.callbacks.waiting(),
    )


async def test_a_reopened_file_has_everything(path: Path) -> None:
    def fill(tx: Transaction) -> None:
        tx.accounts.add(account(), [api_key(1)])
        tx.supersim.access_profiles.add(PROFILES[OURS])
        tx.supersim.fleets.add(fleet(1))
        tx.supersim.sims.add(sim(1))
        tx.supersim.sim_updates.add(update_of(sim(1)))
        tx.scenarios.put(OURS, "slow")
        tx.tasks.put(task(1))
        tx.callbacks.add(callback(1))
        claim_from(tx, OUR_LANE, NOW, limit=1)
        tx.callbacks.add(callback(2))

    async with opened(path) as store:
        await store.transact(fill)
        before = await store.transact(everything)
    async with opened(path) as store:
        assert await store.transact(everything) == before


async def test_committed_work_is_in_the_file_even_if_it_was_never_closed(
    store: SqliteStore, path: Path
) -> None:
    await store.transact(lambda tx: tx.supersim.sims.add(sim(1)))
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT sid FROM sims").fetchall() == [(sim(1).sid,)]


async def test_closing_finishes_queued_work(path: Path) -> None:
    store = SqliteStore.open(path, VAULT)
    adding = asyncio.ensure_future(store.transact(lambda tx: tx.accounts.add(account(), [])))
    await asyncio.sleep(0)
    await store.close()
    await adding
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == account()


async def test_only_its_owner_may_read_the_file(store: SqliteStore, path: Path) -> None:
    assert mode_of(path) == 0o600


async def test_a_file_that_others_could_read_becomes_readable_only_by_its_owner(path: Path) -> None:
    sqlite3.connect(path).close()
    assert mode_of(path) != 0o600
    async with opened(path):
        assert mode_of(path) == 0o600


async def test_only_its_owner_may_read_the_wal(store: SqliteStore, path: Path) -> None:
    assert mode_of(path.with_name("ringback.db-wal")) == 0o600


def test_a_newer_schema_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    refusal = refusal_of(path)
    assert refusal.startswith("the data file has schema 9999, but this Ringback knows only ")
    assert refusal.endswith("; use the newer Ringback that wrote it")


def test_a_file_that_is_not_a_database_is_refused_and_left_unchanged(path: Path) -> None:
    write_no_database(path)
    assert refusal_of(path) == (
        f"{path} can't be used as Ringback's data file: file is not a database"
    )
    assert path.read_bytes().startswith(b"This is not a database, ")


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    assert refusal_of(path).startswith(f"{path} can't be used as Ringback's data file: ")


def test_a_folder_without_write_access_is_refused(path: Path) -> None:
    assert str(path.parent) in refusal_of(path.parent / "none" / "ringback.db")


async def test_a_refused_file_can_be_opened_once_it_is_repaired(path: Path) -> None:
    write_no_database(path)
    refusal_of(path)
    await asyncio.to_thread(path.unlink)
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) is None


# ---- one process ---------------------------------------------------------------------------------


async def test_a_second_opening_is_refused_by_the_name_of_the_process(
    store: SqliteStore, path: Path
) -> None:
    assert refusal_of(path) == (
        f"the data in {path.parent} is in use by process {os.getpid()};"
        " stop it, or choose another folder with --data"
    )


async def test_a_refused_opening_leaves_the_lock_to_its_holder(
    store: SqliteStore, path: Path
) -> None:
    assert refusal_of(path) == refusal_of(path)


HOLD = """
import sys
from pathlib import Path
from ringback.stores.sqlite.store import SqliteStore
from ringback.stores.encryption import SecretCipher
store = SqliteStore.open(Path(sys.argv[1]), SecretCipher.in_file(Path(sys.argv[2])))
print("open", flush=True)
sys.stdin.read()
"""


def test_the_lock_ends_with_its_process(path: Path) -> None:
    key_file = path.with_suffix(".key")
    make_key_file(key_file)
    holding = [sys.executable, "-c", HOLD, str(path), str(key_file)]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        assert f"in use by process {other.pid};" in refusal_of(path)
        other.kill()
    asyncio.run(SqliteStore.open(path, SecretCipher.in_file(key_file)).close())


# ---- beside another process ----------------------------------------------------------------------


@asynccontextmanager
async def opened_beside(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.beside(path, VAULT)
    yield store
    await store.close()


async def test_a_file_in_use_can_be_opened_beside_its_owner(store: SqliteStore, path: Path) -> None:
    async with opened_beside(path) as other:
        assert await other.transact(lambda tx: tx.accounts.get(OURS)) == account()


async def test_both_processes_see_each_others_durable_changes(
    store: SqliteStore, path: Path
) -> None:
    async with opened_beside(path) as other:
        await other.transact(lambda tx: tx.callbacks.add(callback(1)))
        assert await store.transact(lambda tx: tx.callbacks.get(OURS, callback(1).sid))
        rotated = replace(account(), auth_token="new")
        await other.transact(lambda tx: tx.accounts.save(rotated))
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == rotated


async def test_a_process_beside_the_owner_neither_takes_nor_releases_its_lock(
    store: SqliteStore, path: Path
) -> None:
    async with opened_beside(path):
        pass
    assert f"in use by process {os.getpid()};" in refusal_of(path)


async def test_a_process_beside_does_not_prevent_an_owner(path: Path) -> None:
    async with opened_beside(path) as beside, opened(path) as owner:
        await owner.transact(lambda tx: tx.accounts.add(account(), []))
        assert await beside.transact(lambda tx: tx.accounts.get(OURS)) == account()


def test_a_backup_letter_cannot_be_opened_beside_another_process(path: Path) -> None:
    write_no_database(path)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        SqliteStore.beside(path, VAULT)
