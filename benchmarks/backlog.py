"""T1: one process delivers a stored backlog; every attempt is recorded before it is sent.

The reference loop runs before each round. The second line is for the same engine on both cores, one
of which it shares with the receiver.
"""

from statistics import median
from typing import Any

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import run_module
from benchmarks.run import Run

WAITING = 134_000


async def measure(run: Run) -> list[Figure]:
    count = run.size(WAITING, quick=10_000)
    plain, one, both = list[float](), list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(run.rounds):
        plain.append((await run.plain()).per_second)
        one.append(await drain(run, count, cores=run.cores.measured))
        both.append(await drain(run, count, cores=run.cores.both))
    rate, reference = _median(one, "per_second"), median(plain)
    cpu = _median(one, "cpu_us")
    shared = _median(both, "per_second")
    return [
        Figure(
            "T1",
            "stored backlog, one core",
            rate,
            "callbacks/s",
            rate / reference,
            at_least(25_000),
            cpu,
            workload=f"{count:,} callbacks",
        ),
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
            "stored backlog, both cores",
            shared,
            "callbacks/s",
            shared / reference,
            cpu_us=_median(both, "cpu_us"),
            workload=f"{count:,} callbacks",
        ),
    ]


async def drain(run: Run, count: int, *, cores: frozenset[int]) -> dict[str, Any]:
    """Deliver `count` stored callbacks in a separate process; return its report."""
    is_profiled = "T1" in run.profiled and cores == run.cores.measured
    async with run.filled(count, are_due=True) as folder:
        await run.receiver.counter.reset()
        return await run_module(
            "benchmarks.drain",
            *(folder, run.receiver.control, count, *(["--profile"] if is_profiled else [])),
            cores=cores,
        )


def _median(results: list[dict[str, Any]], name: str) -> float:
    return median(result[name] for result in results)
