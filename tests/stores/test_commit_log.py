"""The write-ahead log stays short, however many reads there are and however long they take."""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.ports import Transaction
from ringback.stores.sqlite import wal_checkpointer
from ringback.stores.sqlite.store import SqliteStore
from ringback.stores.sqlite.wal_checkpointer import SMALL
from tests.stores.records import account, callback

MIB = 1024 * 1024


def size_in(folder: Path) -> int:
    return (folder / "ringback.db-wal").stat().st_size


async def write(store: SqliteStore, numbers: range) -> None:
    """Commit a MiB for each of these numbers."""
    for number in numbers:
        large = callback(number)._replace(body="x" * MIB)
        await store.transact(lambda tx, large=large: tx.callbacks.add(large))


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it is not so after a long time")


async def test_the_log_that_grew_under_a_reader_shrinks_when_the_reader_ends(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    await sqlite.transact(lambda tx: tx.accounts.add(account(), []))
    reader = sqlite3.connect(tmp_path / "ringback.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM callbacks").fetchone()
    await write(sqlite, range(40))
    assert size_in(tmp_path) > SMALL + 10 * MIB
    reader.execute("COMMIT")
    # There are no more commits or reads.
    await until(lambda: size_in(tmp_path) <= SMALL)
    reader.close()


async def test_the_log_stays_short_while_there_is_always_a_reader(
    sqlite: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_checkpointer, "_LARGE", 2 * SMALL)
    monkeypatch.setattr(wal_checkpointer, "_LOOK_EVERY", 0.01)
    await sqlite.transact(lambda tx: tx.accounts.add(account(), []))
    reads, largest = 0, 0

    def read(tx: Transaction) -> None:
        tx.callbacks.find("CB")
        time.sleep(0.05)
        tx.callbacks.find("CB")

    async def read_on(after: float) -> None:
        nonlocal reads
        await asyncio.sleep(after)
        while True:
            await sqlite.read(read, asked_by=str(after))
            reads += 1

    # Each read begins before another one ends.
    readers = [asyncio.create_task(read_on(number / 60)) for number in range(3)]
    for number in range(150):
        await write(sqlite, range(number, number + 1))
        largest = max(largest, size_in(tmp_path))
    for reader in readers:
        reader.cancel()
    assert reads > 3
    assert SMALL < largest < 80 * MIB


async def test_the_log_is_not_checked_again_while_nothing_happens(sqlite: SqliteStore) -> None:
    await sqlite.transact(lambda tx: tx.accounts.add(account(), []))
    assert sqlite._log.patience is not None
    await until(lambda: sqlite._log.patience is None)


async def test_reads_hardly_wait_while_another_process_reads_for_long(
    sqlite: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_checkpointer, "_LARGE", 2 * MIB)
    monkeypatch.setattr(wal_checkpointer, "_LOOK_EVERY", 0.01)
    await sqlite.transact(lambda tx: tx.accounts.add(account(), []))
    holds, hold = list[float](), sqlite._readers.hold

    def counted_hold() -> bool:
        holds.append(time.perf_counter())
        return hold()

    monkeypatch.setattr(sqlite._readers, "hold", counted_hold)
    other = sqlite3.connect(tmp_path / "ringback.db", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM callbacks").fetchone()
    began = time.perf_counter()
    for number in range(40):
        await write(sqlite, range(number, number + 1))
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    # Each pause is twice as long as the one before: 0.01 s, 0.02 s, 0.04 s, …
    assert 2 <= len(holds) <= 3 + math.log2(took / 0.01)
    assert size_in(tmp_path) > 30 * MIB
    other.execute("COMMIT")
    other.close()
    await until(lambda: size_in(tmp_path) <= SMALL)  # it is idle
