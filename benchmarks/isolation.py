"""T10: what destinations in trouble cost the healthy ones.

Callbacks go to healthy destinations at a steady rate, first alone; then as many more a second go
to one that never answers, one that refuses connections and one that answers 429. The reference is
the same load alone, on the same server; each round has a server of its own.
"""

import asyncio
from collections.abc import Callable
from itertools import cycle
from typing import Final

from benchmarks.figures import Figure, p95, p99, ratio_at_most
from benchmarks.load import Load, open_loop
from benchmarks.processes import BenchmarkFailed
from benchmarks.run import Run
from benchmarks.server import Server, a_callback, stamped

_RATE: Final = 200
_TROUBLED_RATE: Final = 50
_ALL_COME_WITHIN: Final = 60.0


async def measure(run: Run) -> list[Figure]:
    seconds = run.size(10.0, quick=3.0)
    receiver = run.receiver
    troubled = (
        f"http://{receiver.hanging}/hang",
        f"http://{receiver.refusing}/hook",
        f"http://{receiver.throttled}/throttle",
    )
    alone, among = list[float](), list[float]()
    hung = throttled = 0
    for _ in range(run.rounds):
        async with run.server("T10") as server:
            await _healthy(run, server, (), seconds=0.5)  # warms up
            alone += await _healthy(run, server, (), seconds=seconds)
            among += await _healthy(run, server, troubled, seconds=seconds)
        count = await receiver.counter.count()
        hung, throttled = hung + count.hung, throttled + count.throttled
    note = (
        f"{_TROUBLED_RATE}/s to each of the three; {hung} requests hung, {throttled} were throttled"
    )
    return [
        _figure("all healthy: p95", p95(alone)),
        _figure("others hang, refuse, throttle: p95", p95(among), p95(alone), note),
        _figure("all healthy: p99", p99(alone)),
        _figure("others hang, refuse, throttle: p99", p99(among), p99(alone)),
    ]


def _figure(name: str, value: float, reference: float | None = None, note: str = "") -> Figure:
    full_name = f"accept to received, at {_RATE}/s, {name}"
    ratio = None if reference is None else value / reference
    # The target is set for the p95; it is the line that carries the note.
    target = ratio_at_most(2) if note else None
    return Figure("T10", full_name, value, "ms", ratio, target, note=note)


async def _healthy(
    run: Run, server: Server, troubled: tuple[str, ...], *, seconds: float
) -> list[float]:
    """Return how long callbacks to healthy destinations took, while these get theirs as well."""
    await run.receiver.counter.reset()
    healthy, *others = await asyncio.gather(
        open_loop(server.place, _marks(run, server), rate=_RATE, seconds=seconds),
        *(
            open_loop(server.place, _same(server, url), rate=_TROUBLED_RATE, seconds=seconds)
            for url in troubled
        ),
    )
    _expect_accepted(healthy, *others)
    try:
        await run.receiver.counter.until(healthy.accepted, within=_ALL_COME_WITHIN)
    except BenchmarkFailed:
        if not troubled:
            raise
    came = await run.latencies(dict(enumerate(healthy.due)))
    # One that is held up for longer than anyone waits here took at least so long.
    return came + [_ALL_COME_WITHIN * 1000] * (healthy.accepted - len(came))


def _marks(run: Run, server: Server) -> Callable[[int], bytes]:
    callbacks = cycle([a_callback(f"http://{hook}/mark") for hook in run.receiver.hooks])
    return lambda number: server.create_one(stamped(next(callbacks), number))


def _same(server: Server, url: str) -> Callable[[int], bytes]:
    request = server.create_one(a_callback(url))
    return lambda _: request


def _expect_accepted(*loads: Load) -> None:
    for load in loads:
        load.expect_accepted()
