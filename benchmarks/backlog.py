"""T1: one process delivers a stored backlog; every attempt is recorded before it is sent.

The reference loop runs before each round. The second line is for the same engine if nothing is
pinned to a core: neither the engine nor the receiver. The last two lines show that a callback costs
the same however many wait, with the SQLite that this Python loads (see LD_LIBRARY_PATH).
"""

import sqlite3
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.figures import Figure, at_least, at_most, cpu_multiple, ratio_at_most
from benchmarks.run import Plain, Run

WAITING = 134_000
_MOST_CPU = 1.5
_FEW, _MANY = 10_000, 300_000
_MOST_GROWTH = 1.1


async def measure(run: Run) -> list[Figure]:
    count = run.size(WAITING, quick=10_000)
    profile = ["--profile"] if "T1" in run.profiled else []
    plain, one, free = list[Plain](), list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(run.rounds):
        plain.append(await run.plain())
        one.append(await drain(run, count, cores=run.cores.measured, options=profile))
        with run.unpinned():
            free.append(await drain(run, count, cores=run.cores.all))
    few, many = await _few_and_many(run)
    rate, reference = _median(one, "per_second"), median(each.per_second for each in plain)
    unpinned = _median(free, "per_second")
    costs = [(each["cpu_us"], its.cpu_us) for each, its in zip(one, plain, strict=True)]
    return [
        Figure(
            "T1",
            "stored backlog, one core",
            rate,
            "callbacks/s",
            rate / reference,
            at_least(25_000),
            _median(one, "cpu_us"),
        ),
        cpu_multiple("T1", "stored backlog, one core", costs, at_most(_MOST_CPU)),
        Figure(
            "T1",
            f"{WAITING:,} waiting, delivered and settled in",
            WAITING / rate,
            "s",
            target=at_most(6),
            note="" if count == WAITING else f"reckoned from {count:,}",
        ),
        Figure(
            "T1",
            "stored backlog, unpinned",
            unpinned,
            "callbacks/s",
            unpinned / reference,
            cpu_us=_median(free, "cpu_us"),
        ),
        few,
        many,
    ]


async def _few_and_many(run: Run) -> tuple[Figure, Figure]:
    """Return what a callback costs if few wait, and if many; the second ratio is to the first."""
    sizes = _FEW, run.size(_MANY, quick=10 * _FEW)
    rounds = [
        [await drain(run, count, cores=run.cores.measured) for count in sizes]
        for _ in range(run.rounds)
    ]
    names = [f"a backlog of {count:,}, with SQLite {sqlite3.sqlite_version}" for count in sizes]
    rates = [_median(list(one), "per_second") for one in zip(*rounds, strict=True)]
    costs = [_median(list(one), "cpu_us") for one in zip(*rounds, strict=True)]
    return (
        Figure("T1", names[0], rates[0], "callbacks/s", cpu_us=costs[0]),
        Figure(
            *("T1", names[1], rates[1], "callbacks/s", costs[1] / costs[0]),
            target=ratio_at_most(_MOST_GROWTH),
            cpu_us=costs[1],
            note="the ratio is that of its CPU to the line before",
        ),
    )


async def drain(
    run: Run,
    count: int,
    *,
    cores: frozenset[int],
    url: str | None = None,
    options: Sequence[object] = (),
) -> dict[str, Any]:
    """Deliver `count` stored callbacks in a separate process; return its report."""
    async with run.filled(count, url=url, are_due=True) as folder:
        await run.receiver.counter.reset()
        return await run.module(
            "benchmarks.drain", folder, run.receiver.control, count, *options, cores=cores
        )


def _median(results: list[dict[str, Any]], name: str) -> float:
    return median(result[name] for result in results)
