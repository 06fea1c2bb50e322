"""T1: one process delivers a stored backlog; every attempt is recorded before it is sent.

The reference loop runs before each round. The second line is for the same engine if nothing is
pinned to a core: neither the engine nor the receiver.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.figures import Figure, at_least, at_most, cpu_multiple
from benchmarks.run import Plain, Run

WAITING = 134_000
_MOST_CPU = 1.5


async def measure(run: Run) -> list[Figure]:
    count = run.size(WAITING, quick=10_000)
    profile = ["--profile"] if "T1" in run.profiled else []
    plain, one, free = list[Plain](), list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(run.rounds):
        plain.append(await run.plain())
        one.append(await drain(run, count, cores=run.cores.measured, options=profile))
        with run.unpinned():
            free.append(await drain(run, count, cores=run.cores.all))
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
    ]


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
