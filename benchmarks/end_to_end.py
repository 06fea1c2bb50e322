"""T2 and T3: authenticated request -> committed -> signed POST -> attempt committed.

Clients create callbacks at a served process as fast as it answers; then all accepted callbacks have
to be settled. The rate of settling counts from the first request to the last settled attempt, so
that a server can't look fast by leaving a backlog. The lines called "unpinned" are for a server,
load and receiver that run on any core.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.figures import Figure, Target, at_least, at_most, cpu_multiple, p95, p99
from benchmarks.load import closed_loop
from benchmarks.processes import usage
from benchmarks.run import Plain, Run
from benchmarks.server import Server, a_callback

BATCH: Final = 50
_CONNECTIONS: Final = 64
_BATCH_CONNECTIONS: Final = 16
_SETTLES_WITHIN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Passage:
    """The rates at which callbacks went through a server in one round."""

    accepted: float
    """Callbacks accepted a second, while requests were sent."""
    settled: float
    """Callbacks settled a second, until none was left to settle."""
    backlog: int
    """How many callbacks were not yet settled when the last request was answered."""
    cpu_us: float
    p95: float
    p99: float


async def singles(run: Run) -> list[Figure]:
    return await _measure(run, "T2", "one by one", 1, targets=(at_least(10_000), at_most(3.5)))


async def batches(run: Run) -> list[Figure]:
    name = f"batches of {BATCH}"
    return await _measure(run, "T3", name, BATCH, targets=(at_least(18_000), at_most(2.1)))


async def _measure(
    run: Run, id_: str, name: str, batch: int, *, targets: tuple[Target, Target]
) -> list[Figure]:
    """Measure a server; the targets are for the rate of settling, and for the CPU multiple."""
    name, (target, cpu_target) = f"end to end, {name}", targets
    plain, passages, free = list[Plain](), list[Passage](), list[Passage]()
    async with _warm_server(run, id_, batch, run.cores.measured) as server:
        for _ in range(run.rounds):
            plain.append(await run.plain())
            passages.append(await _round(run, server, batch))
    with run.unpinned():
        async with _warm_server(run, id_, batch, run.cores.all) as server:
            free += [await _round(run, server, batch) for _ in range(run.rounds)]
    reference = median(each.per_second for each in plain)
    accepted = median(passage.accepted for passage in passages)
    settled = median(passage.settled for passage in passages)
    note = "; ".join(
        f"{passage.backlog:,} behind at the end, an accept took p95 {passage.p95:.1f} ms,"
        f" p99 {passage.p99:.1f} ms"
        for passage in passages
    )
    cpu = median(passage.cpu_us for passage in passages)
    costs = [(each.cpu_us, its.cpu_us) for each, its in zip(passages, plain, strict=True)]
    unpinned = median(passage.settled for passage in free)
    return [
        Figure(id_, f"{name}: settled", settled, "callbacks/s", settled / reference, target, cpu),
        cpu_multiple(id_, name, costs, cpu_target),
        Figure(id_, f"{name}: accepted", accepted, "callbacks/s", accepted / reference, note=note),
        Figure(
            *(id_, f"{name}, unpinned: settled", unpinned, "callbacks/s", unpinned / reference),
            cpu_us=median(passage.cpu_us for passage in free),
        ),
    ]


@asynccontextmanager
async def _warm_server(
    run: Run, id_: str, batch: int, cores: frozenset[int]
) -> AsyncGenerator[Server]:
    async with run.server(id_, cores=cores) as server:
        await pass_through(run, server, batch, seconds=run.size(2.0, quick=0.5))
        yield server


async def _round(run: Run, server: Server, batch: int) -> Passage:
    return await pass_through(run, server, batch, seconds=run.size(6.0, quick=2.0))


async def pass_through(run: Run, server: Server, batch: int, *, seconds: float) -> Passage:
    """Create callbacks, `batch` of them in each request, and wait until all are settled."""
    counter = run.receiver.counter
    await counter.reset()
    cpu, began = usage(server.pid).cpu_seconds, perf_counter()
    load = await closed_loop(
        server.place,
        _requests(run, server, batch),
        connections=_CONNECTIONS if batch == 1 else _BATCH_CONNECTIONS,
        seconds=seconds,
    )
    load.expect_accepted()
    accepted = load.accepted * batch
    behind = accepted - (await counter.count()).count
    await counter.until(accepted, within=_SETTLES_WITHIN)
    await server.until_settled(within=_SETTLES_WITHIN)
    took = perf_counter() - began
    return Passage(
        accepted=accepted / load.took,
        settled=accepted / took,
        backlog=behind,
        cpu_us=(usage(server.pid).cpu_seconds - cpu) / accepted * 1e6,
        p95=p95(load.latencies),
        p99=p99(load.latencies),
    )


def _requests(run: Run, server: Server, batch: int) -> Iterator[bytes]:
    callback = a_callback(run.receiver.url)
    one = server.create_one(callback) if batch == 1 else server.create_many([callback] * batch)
    return repeat(one)
