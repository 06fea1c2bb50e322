"""T9: PostgreSQL with several workers, beside SQLite in the same run.

The database's server uses fsync. Nothing is pinned to a core, since several processes share the
work: workers, the database's, and the receiver. The CPU time of a callback is that of all of them.

- Claim and settle alone: the two commits of each callback, without sending it.
- The same while somebody holds a snapshot open, as a report or a backup does; and after a lot of
  history.
- A stored backlog to 64 destinations, delivered by 1, 2 and 4 workers, and by one with SQLite.
- The time from accepting a callback to receiving it, in one process and in two.
- What five idle processes cost the database's server.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Final

from benchmarks.database import Database, DatabaseServer, a_database_server
from benchmarks.figures import Figure, at_most, p50, p95, ratio_at_least, ratio_at_most
from benchmarks.latency import delivered
from benchmarks.processes import NO_VARIABLES, BenchmarkFailed, pinned, usage
from benchmarks.run import Run
from tests.databases import installed_by_debian

_Cycle = Mapping[str, float]
"""What `claims` says of a cycle."""

_WORKERS: Final = (1, 2, 4)
_DESTINATIONS: Final = 64
_RATE: Final = 200
_READY_WITHIN: Final = 60.0
_DELIVERED_WITHIN: Final = 600.0
_MOST_SLOWDOWN: Final = 1.5
_SETTLED_AFTER: Final = 15.0
"""Seconds after which a fleet has divided its work."""


async def measure(run: Run) -> list[Figure]:
    with a_database_server(run.cores.all) as server, run.unpinned(), pinned(run.cores.all):
        print(f"T9 is measured with PostgreSQL {server.version}")
        return [
            *await _claims(run, server),
            *await _beside_a_snapshot(run, server),
            *await _history(run, server),
            *await _backlog(run, server),
            *await _latency(run, server),
            *await _idle(run),
        ]


# ---- claim and settle alone ----------------------------------------------------------------------


async def _claims(run: Run, server: DatabaseServer) -> list[Figure]:
    count, ours, theirs = run.size(60_000, quick=10_000), list[_Cycle](), list[_Cycle]()
    for _ in range(run.rounds):
        ours += await _claim_all(run, count, server.new_database(), cycles=2)
        theirs += await _claim_all(run, count, None, cycles=2)
    rate, name = _median(ours, "per_second"), "claim and settle alone"
    return [
        Figure(
            *("T9", f"{name}: CPU in the worker", _median(ours, "cpu_us"), "µs"), target=at_most(15)
        ),
        Figure(
            *("T9", f"{name}: CPU in PostgreSQL", _median(ours, "server_us"), "µs"),
            target=at_most(30),
        ),
        Figure("T9", f"{name}: PostgreSQL", rate, "callbacks/s", cpu_us=_median(ours, "cpu_us")),
        Figure(
            *("T9", f"{name}: SQLite", _median(theirs, "per_second"), "callbacks/s"),
            cpu_us=_median(theirs, "cpu_us"),
        ),
    ]


async def _beside_a_snapshot(run: Run, server: DatabaseServer) -> list[Figure]:
    """Let many callbacks go through, in cycles, with a snapshot held open and without."""
    count, cycles = run.size(300_000, quick=15_000), run.size(15, quick=3)
    without = await _claim_all(run, count, server.new_database(), cycles=cycles)
    database = server.new_database()
    with _a_snapshot(database):
        beside = await _claim_all(run, count, database, cycles=cycles)
    last = cycles // 3
    figures = list[Figure]()
    for name, unit, what in (
        ("the claim's p99", "ms", "claim_p99"),
        ("CPU in PostgreSQL", "µs", "server_us"),
    ):
        here, there = (_median(each[-last:], what) for each in (beside, without))
        first = _median(beside[:last], what)
        figures.append(
            Figure(
                *("T9", f"after {count:,} callbacks beside an old snapshot: {name}", here, unit),
                *(here / there, ratio_at_most(_MOST_SLOWDOWN)),
                note=f"{there:.1f} {unit} without the snapshot; {first:.1f} {unit} at the start",
            )
        )
    return figures


async def _history(run: Run, server: DatabaseServer) -> list[Figure]:
    count, database = run.size(20_000, quick=5_000), server.new_database()
    figures, first, before = list[Figure](), 0.0, _SEED
    await _claim_all(run, _SEED, database, cycles=1)
    for history in run.size((1_000, 1_000_000, 10_000_000), quick=(1_000, 50_000)):
        _make_history(database, before=before, until=history)
        before = history
        cycles = await _claim_all(run, count, database, cycles=3)
        cpu = _median(cycles, "cpu_us") + _median(cycles, "server_us")
        first = first or cpu
        figures.append(
            Figure(
                *("T9", f"claim and settle with {history:,} callbacks of history: all CPU"),
                *(cpu, "µs", cpu / first, ratio_at_most(_MOST_SLOWDOWN)),
                note=f"{_median(cycles, 'per_second'):,.0f} callbacks/s",
            )
        )
    return figures


async def _claim_all(
    run: Run, count: int, database: Database | None, *, cycles: int
) -> list[_Cycle]:
    """Claim and settle so many callbacks, in the database or in a new data file."""
    with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
        options = ("--server", database.pid, *database.options) if database else ()
        result = await run.module(
            *("benchmarks.claims", database.url if database else folder, count),
            *("--cycles", cycles, *options),
            cores=run.cores.all,
        )
    return result["cycles"]


def _median(results: Sequence[Mapping[str, float]], name: str) -> float:
    return median(result[name] for result in results)


@contextlib.contextmanager
def _a_snapshot(database: Database) -> Generator[None]:
    """Hold a snapshot open, as a long report or a backup does."""
    with database.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SELECT count(*) FROM lanes")
        yield
        connection.execute("ROLLBACK")


# ---- a stored backlog ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog was delivered."""

    per_second: float
    worker_us: float
    """CPU of the workers for each callback."""
    server_us: float
    """CPU of the database's server for each callback."""
    cores: float
    """How many cores the workers, the server and the receiver used."""


async def _backlog(run: Run, server: DatabaseServer) -> list[Figure]:
    count = run.size(100_000, quick=10_000)
    results: dict[int, list[Drained]] = {workers: [] for workers in (0, *_WORKERS)}
    for _ in range(run.rounds):
        for workers, its in results.items():
            its.append(await _drain(run, count, server, workers))
    sqlite, one = (median(each.per_second for each in results[workers]) for workers in (0, 1))
    figures = list[Figure]()
    for workers, its in results.items():
        rate = median(each.per_second for each in its)
        name = "SQLite" if not workers else f"PostgreSQL, {workers} worker{'s' * (workers > 1)}"
        ratio, target = rate / sqlite, ratio_at_least(0.75) if workers == 1 else None
        if workers > 1:
            ratio, target = rate / one, ratio_at_least(1.5) if workers == 2 else None
        figures.append(
            Figure(
                *("T9", f"stored backlog: {name}", rate, "callbacks/s", ratio, target),
                cpu_us=median(each.worker_us for each in its),
                note=f"PostgreSQL {median(each.server_us for each in its):.1f} µs of CPU for each;"
                f" all of it used {median(each.cores for each in its):.2f} of"
                f" {len(run.cores.all)} cores",
            )
        )
    return figures


async def _drain(run: Run, count: int, server: DatabaseServer, workers: int) -> Drained:
    """Deliver a backlog by so many workers, or by one with a data file if there are none."""
    url = f"http://127.0.1.{{}}:{run.receiver.hanging_port}/hook?tenant=7"
    with contextlib.ExitStack() as stack:
        if workers:
            database = server.new_database()
            place, options = database.url, database.options
        else:
            database, options = None, ()
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="ringback-"))
        await run.module(
            *("benchmarks.filling", place, url, count, "--due"),
            *("--destinations", _DESTINATIONS, *options),
            cores=run.cores.all,
        )
        if database is not None:
            database.settle_down()
        await run.receiver.counter.reset()
        async with _workers(place, *options, number=max(workers, 1)) as processes:
            before = _used(run, database)
            began = time.perf_counter()
            for process in processes:
                process.tell()
            await run.receiver.counter.until(count, within=_DELIVERED_WITHIN)
            for process in processes:
                process.tell()
            its = [await process.answer() for process in processes]
            took = time.perf_counter() - began
            after = _used(run, database)
    if database is not None and database.ask(_UNENDED):
        raise BenchmarkFailed("some callbacks were not settled")
    cpu = sum(each["cpu_seconds"] for each in its)
    server_cpu, receiver_cpu = (now - then for now, then in zip(after, before, strict=True))
    return Drained(
        count / took,
        cpu / count * 1e6,
        server_cpu / count * 1e6,
        (cpu + server_cpu + receiver_cpu) / took,
    )


_UNENDED: Final = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM open_attempts)"


def _used(run: Run, database: Database | None) -> tuple[float, float]:
    """Return the CPU seconds of the database's server, and of the receiver."""
    server = database.cpu_seconds if database else 0.0
    return server, usage(run.receiver.pid).cpu_seconds


class WorkerProcess:
    """A process of the module `worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def tell(self) -> None:
        """Let the worker begin or, the second time, end."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def answer(self) -> dict[str, Any]:
        """Return the next line that the worker prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_READY_WITHIN):
            line = await self._process.stdout.readline()
        if not line:
            raise BenchmarkFailed("a worker has ended; see its output above")
        return json.loads(line)


@contextlib.asynccontextmanager
async def _workers(
    place: str, *options: object, number: int
) -> AsyncGenerator[Sequence[WorkerProcess]]:
    """Start workers, and wait until each has its share of the lanes."""
    command = (sys.executable, "-m", "benchmarks.worker", place, "--workers", number, *options)
    processes = [
        await asyncio.create_subprocess_exec(
            *map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(number)
    ]
    workers = [*map(WorkerProcess, processes)]
    try:
        for worker in workers:
            await worker.answer()
        yield workers
        for process in processes:
            await process.wait()
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


# ---- from accepting to receiving -----------------------------------------------------------------


async def _latency(run: Run, server: DatabaseServer) -> list[Figure]:
    seconds, figures = run.size(10.0, quick=2.0), list[Figure]()
    one, two = server.new_database(), server.new_database()
    for name, database, bound, has_worker in (
        ("SQLite", None, None, False),
        ("PostgreSQL, one process", one, 10, False),
        ("PostgreSQL, API and worker in two processes", two, 20, True),
    ):
        variables = database.variables if database else NO_VARIABLES
        serve = partial(run.server, "T9", cores=run.cores.all, variables=variables)
        async with contextlib.AsyncExitStack() as stack:
            if has_worker:
                await stack.enter_async_context(serve(options=("--role", "worker")))
            role = ("--role", "api" if has_worker else "all")
            api = await stack.enter_async_context(serve(options=role))
            await delivered(run, api, rate=_RATE, seconds=0.5)  # warm-up
            samples = await delivered(run, api, rate=_RATE, seconds=seconds)
        figures.append(
            Figure(
                *("T9", f"accept to received at {_RATE}/s, {name}: p95", p95(samples), "ms"),
                target=at_most(bound) if bound else None,
                note=f"p50 {p50(samples):.1f} ms",
            )
        )
    return figures


# ---- an idle fleet -------------------------------------------------------------------------------


async def _idle(run: Run) -> list[Figure]:
    """Let five processes do nothing, on a server that has a compiler if there is one here."""
    seconds = run.size(30.0, quick=5.0)
    with a_database_server(run.cores.all, installed_by_debian()) as server:
        database = server.new_database()
        has_compiler = database.ask("SELECT pg_jit_available()")
        async with contextlib.AsyncExitStack() as stack:
            for role in ("api", "api", "worker", "worker", "worker"):
                options, variables = ("--role", role), database.variables
                process = run.server(
                    "T9", cores=run.cores.all, options=options, variables=variables
                )
                await stack.enter_async_context(process)
            await asyncio.sleep(_SETTLED_AFTER)
            before = database.cpu_seconds
            await asyncio.sleep(seconds)
            used = (database.cpu_seconds - before) / seconds
    return [
        Figure(
            *("T9", "five idle processes: CPU in PostgreSQL", used * 100, "% of a core"),
            target=at_most(3),
            note=f"PostgreSQL {server.version} {'with' if has_compiler else 'without'} a compiler",
        )
    ]


# ---- history -------------------------------------------------------------------------------------


def _make_history(database: Database, *, before: int, until: int) -> None:
    """Add older copies of the oldest callbacks and of their attempts, to have so many of them.

    The copies of SIDs and tokens are in the order of time, as those of callbacks are.
    """
    with database.connect() as connection:
        connection.execute(_SEEDS)
        for at in range(before // _SEED, until // _SEED, _COPIES_AT_ONCE):
            copies = {"first": at, "last": min(at + _COPIES_AT_ONCE, until // _SEED) - 1}
            for statement in _COPY:
                connection.execute(statement, copies)
    database.settle_down()


_SEED: Final = 1_000
_COPIES_AT_ONCE: Final = 100
_SEEDS: Final = """
    CREATE TEMP TABLE seeds AS
    SELECT *, (max(id) OVER () - min(id) OVER () + 1) AS span
    FROM (SELECT * FROM callbacks ORDER BY id LIMIT 1000) AS first
"""
_COPY: Final = (
    """
    INSERT INTO callbacks (
        id, sid, account_id, lane_id, target_id, created_us, idempotency_token, body
    )
    SELECT id - copy * span, 'CB' || lpad(to_hex(id - copy * span), 32, '0'), account_id, lane_id,
        target_id, created_us - copy * span / 2097, 'RQ' || lpad(to_hex(id - copy * span), 32, '0'),
        body
    FROM seeds, generate_series(%(first)s::bigint, %(last)s::bigint) AS copy ORDER BY 1
    """,
    """
    INSERT INTO attempts (
        callback_id, number, started_us, result_id, head_id, signature, sent_us, delivered_us,
        total_ms, first_byte_ms
    )
    SELECT callback_id - copy * span, number, started_us, result_id, head_id, signature, sent_us,
        delivered_us, total_ms, first_byte_ms
    FROM attempts JOIN seeds ON id = callback_id,
        generate_series(%(first)s::bigint, %(last)s::bigint) AS copy ORDER BY 1
    """,
)
