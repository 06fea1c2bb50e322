"""T16: what years of use cost: the latency with a long history, while old data is deleted.

A real server delivers a thousand callbacks; SQL copies these and their attempts into the past, so
that all copies are older than a new data folder keeps them. So the server that starts on them
deletes all the time. The reference is a server without a history, in the same run.

Then a backup is made of the data file again and again, under load.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.database import a_database_server
from benchmarks.engine import make_partitions_since
from benchmarks.figures import Figure, p50, p95, ratio_at_most
from benchmarks.history import copy_into_the_past
from benchmarks.latency import delivered
from benchmarks.processes import BenchmarkFailed, environment, pinned
from benchmarks.run import Run
from benchmarks.server import Server

_SEED: Final = 1_000
_RATE: Final = 200
_BACKUP_RATE: Final = 500
_MOST_SLOWDOWN: Final = 1.5
_NEWEST_DAYS, _OLDEST_DAYS = 40, 95
"""How long ago the copies were made, in days: longer than a new data folder keeps any."""

_COUNT: Final = "SELECT count(*) FROM callbacks"


async def measure(run: Run) -> list[Figure]:
    count = run.size(10_000_000, quick=200_000)
    with run.unpinned(), pinned(run.cores.all):
        figures = await _on_sqlite(run, count)
        with a_database_server(run.cores.all) as server:
            empty, old = server.new_database(), server.new_database()
            async with run.server("T16", cores=run.cores.all, variables=empty.variables) as served:
                reference = await _samples(run, served, rate=_RATE)
            async with run.server("T16", cores=run.cores.all, variables=old.variables) as served:
                await delivered(run, served, rate=_RATE, seconds=_SEED / _RATE)
            make_partitions_since(old.url, datetime.now(UTC) - timedelta(_OLDEST_DAYS + 7))
            with old.connect() as connection:
                copy_into_the_past(
                    lambda statement: connection.execute(statement.encode()),
                    count,
                    days=(_NEWEST_DAYS, _OLDEST_DAYS),
                    is_postgres=True,
                )
            old.settle_down()
            async with run.server("T16", cores=run.cores.all, variables=old.variables) as served:
                figures += await _beside_retention(
                    run, served, "PostgreSQL", reference, lambda: old.ask(_COUNT)
                )
    return figures


async def _on_sqlite(run: Run, count: int) -> list[Figure]:
    async with run.server("T16", cores=run.cores.all) as empty:
        reference = await _samples(run, empty, rate=_RATE)
    with tempfile.TemporaryDirectory(prefix="ringback-") as name:
        folder = Path(name)
        async with run.server("T16", folder, cores=run.cores.all) as served:
            await delivered(run, served, rate=_RATE, seconds=_SEED / _RATE)
        with closing(sqlite3.connect(folder / "ringback.db")) as connection, connection:
            connection.execute("PRAGMA cache_size = -1000000")
            copy_into_the_past(
                connection.execute, count, days=(_NEWEST_DAYS, _OLDEST_DAYS), is_postgres=False
            )
        async with run.server("T16", folder, cores=run.cores.all) as served:
            figures = await _beside_retention(
                run, served, "SQLite", reference, lambda: _count_in_file(folder)
            )
            figures.append(await _beside_backups(run, served, folder))
    return figures


async def _beside_retention(
    run: Run, server: Server, name: str, reference: Sequence[float], count: Callable[[], int]
) -> list[Figure]:
    before, began = count(), time.monotonic()
    samples = await _samples(run, server, rate=_RATE)
    gone, took = before - count(), time.monotonic() - began
    if gone <= 0:
        raise BenchmarkFailed(f"nothing was deleted in {took:.0f} s, so this measured nothing")
    what = f"accept to received at {_RATE}/s, {name}, while {before:,} old callbacks are deleted"
    note = f"{gone / took:,.0f} a second were deleted"
    return [
        Figure(
            *("T16", f"{what}: {which}", of(samples), "ms", of(samples) / of(reference)),
            target=ratio_at_most(_MOST_SLOWDOWN),
            note=f"{of(reference):.2f} ms without a history; {note}",
        )
        for which, of in (("p50", p50), ("p95", p95))
    ]


async def _beside_backups(run: Run, server: Server, folder: Path) -> Figure:
    """Measure without and with a backup that runs all the time."""
    reference = await _samples(run, server, rate=_BACKUP_RATE)
    async with _backups(run, folder) as sizes:
        samples = await _samples(run, server, rate=_BACKUP_RATE)
    return Figure(
        *("T16", f"accept to received at {_BACKUP_RATE}/s, SQLite, during a backup: p95"),
        *(p95(samples), "ms", p95(samples) / p95(reference)),
        target=ratio_at_most(_MOST_SLOWDOWN),
        note=f"{p95(reference):.2f} ms without; {sum(sizes) / 1e6:,.0f} MB were written",
    )


@contextlib.asynccontextmanager
async def _backups(run: Run, folder: Path) -> AsyncGenerator[list[int]]:
    """Make one backup after the other; the list gets the number of bytes that each has written."""
    sizes = list[int]()

    async def make() -> None:
        with tempfile.TemporaryDirectory(prefix="ringback-") as name:
            target = Path(name) / "backup.db"
            command = (run.product.python, "-m", "ringback", "backup", str(target))
            process = await asyncio.create_subprocess_exec(
                *(*command, "--data", str(folder)), stdout=subprocess.DEVNULL, env=environment()
            )
            try:
                if await process.wait():
                    raise BenchmarkFailed("the backup failed; see its output above")
            finally:
                sizes.append(_size_of(Path(name)))
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def repeat() -> None:
        while True:
            await make()

    making = asyncio.create_task(repeat())
    try:
        yield sizes
    finally:
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await making


def _size_of(folder: Path) -> int:
    """Return the number of bytes in the files of a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


async def _samples(run: Run, server: Server, *, rate: float) -> list[float]:
    await delivered(run, server, rate=rate, seconds=0.5)  # warm-up
    return await delivered(run, server, rate=rate, seconds=run.size(30.0, quick=4.0))


def _count_in_file(folder: Path) -> int:
    file = (folder / "ringback.db").absolute().as_uri()
    with closing(sqlite3.connect(f"{file}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute(_COUNT).fetchone()
    return count
