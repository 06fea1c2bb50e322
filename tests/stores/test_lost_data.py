"""Lost data is reported and refused, unless a flag accepts the loss."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder
from ringback.stores.sqlite import durability_mark as watermarks
from ringback.stores.sqlite import wal_integrity
from ringback.stores.sqlite.durability_mark import (
    DurableCommitMark,
    mark_path,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.store import SqliteStore
from ringback.stores.sqlite.wal_integrity import damage_of_wal
from tests.damage.trial import INDEX, WAL, make_base, opened, read_all
from tests.stores.records import OURS, account, callback

Killed = tuple[Path, dict[str, Any]]
FRAME = 24 + 4096


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return make_base(tmp_path_factory.mktemp("lost"))


@pytest.fixture
def killed(base: Killed, tmp_path: Path) -> Path:
    """A data folder after a server was killed: half of the callbacks are only in the WAL."""
    return Path(shutil.copytree(base[0], tmp_path / "killed"))


def refusal_of(use: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        use()
    return str(refused.value)


def delete(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def faults_of(folder: Path) -> list[str]:
    return [check.name for check in DataFolder(folder).check() if not check.is_ok]


def assert_refused(folder: Path, why: str) -> None:
    """Check that a server, a command and an upgrade each refuse to use the folder."""
    data = DataFolder(folder)
    for use in (lambda: opened(folder), data.open_beside, data.upgrade, lambda: opened(folder)):
        assert why in refusal_of(use)


async def accept(folder: Path) -> SqliteStore:
    await opened(folder, accept_data_loss=True).close()
    return opened(folder)


# ---- whole ---------------------------------------------------------------------------------------


async def test_data_left_by_a_killed_server_is_complete(base: Killed, killed: Path) -> None:
    assert faults_of(killed) == []
    assert await read_all(killed) == base[1]


async def test_nothing_is_missing_after_an_orderly_stop(killed: Path) -> None:
    await opened(killed).close()
    assert not (killed / WAL).exists()
    assert faults_of(killed) == []
    await opened(killed).close()


# ---- a file that is missing ----------------------------------------------------------------------


@pytest.mark.parametrize("is_empty", [False, True])
async def test_a_missing_data_file_beside_its_key_is_refused(is_empty: bool, killed: Path) -> None:
    delete(killed, DATA_FILE, WAL, INDEX, "ringback.watermark")
    if is_empty:
        (killed / DATA_FILE).touch()
    beside = DataFolder(killed).open_beside
    for use in (lambda: opened(killed), beside, lambda: opened(killed)):
        assert "although its key file or its watermark file exists" in refusal_of(use)
    assert (killed / DATA_FILE).exists() == is_empty
    assert faults_of(killed) == ["file"]


async def test_it_is_refused_without_its_key_too_and_no_other_key_is_created(killed: Path) -> None:
    delete(killed, DATA_FILE, WAL, INDEX, KEY_FILE)
    assert "is not there" in refusal_of(lambda: opened(killed))
    assert not (killed / KEY_FILE).exists()


async def test_the_loss_can_be_accepted_once(killed: Path) -> None:
    delete(killed, DATA_FILE, WAL, INDEX)
    store = await accept(killed)
    assert await store.transact(lambda tx: tx.accounts.all()) == []
    await store.close()
    delete(killed, DATA_FILE)
    assert "is not there" in refusal_of(lambda: opened(killed))


async def test_new_data_created_by_a_command_is_missed_if_lost_later(tmp_path: Path) -> None:
    store = DataFolder(tmp_path).open_beside()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.close()
    delete(tmp_path, DATA_FILE)
    assert "is not there" in refusal_of(DataFolder(tmp_path).open_beside)


@pytest.mark.parametrize("step", ["mark", "key", "touch"])
def test_a_start_that_died_while_creating_data_has_lost_nothing(step: str, tmp_path: Path) -> None:
    write_mark(tmp_path / DATA_FILE, DurableCommitMark(0))
    if step != "mark":
        shutil.copy(_a_key(tmp_path), tmp_path / KEY_FILE)
    if step == "touch":
        (tmp_path / DATA_FILE).touch()
    asyncio.run(opened(tmp_path).close())


def _a_key(folder: Path) -> Path:
    other = folder / "other"
    asyncio.run(opened(other).close())
    return other / KEY_FILE


# ---- the WAL -------------------------------------------------------------------------------------


async def test_a_deleted_wal_is_noticed(killed: Path) -> None:
    delete(killed, WAL)
    assert_refused(killed, "ringback.db-wal is gone, so")
    assert faults_of(killed) == ["wal"]


async def test_a_wal_deleted_with_its_index_is_noticed(killed: Path) -> None:
    delete(killed, WAL, INDEX)
    assert_refused(killed, "is older than the data that was here")
    assert faults_of(killed) == ["age"]


async def test_an_old_copy_in_place_of_the_data_is_noticed(base: Killed, killed: Path) -> None:
    old = (base[0] / DATA_FILE).read_bytes()
    await opened(killed).close()
    (killed / DATA_FILE).write_bytes(old)
    assert_refused(killed, "is older than the data that was here")


@pytest.mark.parametrize("length", [0, 32, 32 + FRAME, 32 + 5 * FRAME + 100])
async def test_a_truncated_wal_is_noticed(length: int, killed: Path) -> None:
    with (killed / WAL).open("r+b") as file:
        file.truncate(length)
    assert_refused(killed, "ringback.db-wal is ")


async def test_the_loss_can_be_accepted_and_the_rest_is_served(killed: Path) -> None:
    delete(killed, WAL, INDEX)
    store = await accept(killed)
    assert await store.transact(lambda tx: tx.callbacks.get(OURS, callback(0).sid)) is not None
    await store.close()
    assert faults_of(killed) == []


def flip(path: Path, place: int) -> None:
    text = bytearray(path.read_bytes())
    text[place] ^= 1
    path.write_bytes(text)


@pytest.mark.parametrize("place", [16, 32 + 8, 32 + 16, 32 + 100, 32 + 3 * FRAME + 24])
async def test_after_a_power_cut_a_damaged_wal_is_recognised_by_later_commits(
    place: int, killed: Path
) -> None:
    # After a power cut, the index in shared memory is gone.
    delete(killed, INDEX)
    flip(killed / WAL, place)
    assert_refused(killed, "ringback.db-wal is damaged")


async def test_after_a_power_cut_an_incomplete_end_is_no_damage(killed: Path) -> None:
    (killed / INDEX).write_bytes(b"")
    whole = (killed / WAL).read_bytes()
    (killed / WAL).write_bytes(whole + whole[32 : 32 + FRAME] + whole[:100])
    assert damage_of_wal(killed / DATA_FILE, is_index_of_this_boot=False) is None
    await opened(killed).close()


async def test_an_index_from_before_a_power_cut_proves_nothing(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (killed / INDEX).read_bytes()
    store = opened(killed)
    await store.close()
    # The WAL was deleted properly, but the disk has an older index.
    (killed / INDEX).write_bytes(old)
    monkeypatch.setattr(watermarks, "this_boot", lambda: "another")
    await opened(killed).close()


async def test_a_wal_that_another_process_deletes_when_closing_is_not_missed(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = wal_integrity._Index.read

    def read_and_close(path: Path) -> Any:
        index = read(path)
        if index is not None:
            with closing(sqlite3.connect(killed / DATA_FILE)) as other:
                other.execute("SELECT count(*) FROM accounts").fetchone()
        return index

    monkeypatch.setattr(wal_integrity._Index, "read", read_and_close)
    assert damage_of_wal(killed / DATA_FILE, is_index_of_this_boot=True) is None
    assert not (killed / WAL).exists()


async def test_a_restarted_wal_is_not_missed(killed: Path) -> None:
    old = (killed / INDEX).read_bytes()
    store = opened(killed)
    with closing(sqlite3.connect(killed / DATA_FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
    await store.transact(lambda tx: tx.callbacks.add(callback(100)))
    later = Path(shutil.copytree(killed, killed.with_name("later")))
    await store.close()
    (later / INDEX).write_bytes(old)
    await opened(later).close()


# ---- kills ---------------------------------------------------------------------------------------

COMMIT = """
import asyncio, sys
from pathlib import Path
from ringback.stores.sqlite import durability_mark
from tests.damage.trial import opened
from tests.stores.records import OURS, account, callback

durability_mark.EVERY = 0.002

async def commit() -> None:
    store = opened(Path(sys.argv[1]))
    if await store.transact(lambda tx: tx.accounts.get(OURS)) is None:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
    first = sum((await store.transact(lambda tx: tx.callbacks.unfinished())).values())
    if first % 3 == 1:
        store._committer._connection.execute("PRAGMA wal_autocheckpoint = 20")
    for number in range(first, 10**6):
        await store.transact(lambda tx: tx.callbacks.add(callback(number)))
        print(number, flush=True)

asyncio.run(commit())
"""


def test_no_kill_prevents_a_start_or_loses_a_commit(tmp_path: Path) -> None:
    known = -1
    for turn in range(8):
        command = [sys.executable, "-c", COMMIT, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(0 if turn % 4 == 3 else 7 * turn + 1):
                line = process.stdout.readline()
                assert line, "a start was refused"
                known = max(known, int(line))
            process.send_signal(signal.SIGKILL)
            known = max([known, *map(int, process.stdout.read().split("\n")[:-1])])
        assert faults_of(tmp_path) in ([], ["file"])
    found = asyncio.run(_count(tmp_path))
    assert found in (known + 1, known + 2)


async def _count(folder: Path) -> int:
    store = opened(folder)
    counts = await store.transact(lambda tx: tx.callbacks.unfinished())
    await store.close()
    return sum(counts.values())


# ---- the watermark -------------------------------------------------------------------------------


async def test_commits_update_the_watermark_at_most_once_a_second_and_reads_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    made = watermarks.CommitNumbering
    monkeypatch.setattr(
        "ringback.stores.sqlite.data_file_opener.CommitNumbering",
        lambda connection, path: made(connection, path, clock=lambda: now[0]),
    )
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    numbers = list[int]()

    async def commit(work: Callable[[Any], object]) -> None:
        await store.transact(work)
        mark = read_mark(tmp_path / DATA_FILE)
        assert mark is not None
        numbers.append(mark.number)

    await commit(lambda tx: tx.callbacks.add(callback(1)))
    await commit(lambda tx: tx.callbacks.add(callback(2)))
    now[0] = 1.0
    await commit(lambda tx: tx.accounts.get(OURS))
    await commit(lambda tx: tx.callbacks.add(callback(3)))
    await store.close()
    assert numbers == [2, 2, 2, 3]


async def test_an_undone_commit_does_not_move_the_watermark(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    before = read_mark(tmp_path / DATA_FILE)
    connection = store._committer._connection
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(ConfigurationError):
        await store.transact(lambda tx: tx.callbacks.add(callback(1)))
    assert read_mark(tmp_path / DATA_FILE) == before
    connection.execute("PRAGMA query_only = OFF")
    await store.close()
    await opened(tmp_path).close()


@pytest.mark.parametrize("text", [b"", b"\xff", b"letter", b"0000000001"])
async def test_an_empty_watermark_prevents_nothing(text: bytes, killed: Path) -> None:
    mark_path(killed / DATA_FILE).write_bytes(text)
    await opened(killed).close()
    assert read_mark(killed / DATA_FILE) is not None
