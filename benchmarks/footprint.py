"""T7: what an idle server uses, with no callbacks and with many waiting.

The reference is the memory of the plain loop's process before it has anything to send. The idle CPU
has no reference: an idle process should use none.
"""

import asyncio
from typing import Final

from benchmarks.figures import Figure, Target, at_most
from benchmarks.processes import Usage, usage
from benchmarks.run import Run
from benchmarks.server import Server

_SETTLING_IN: Final = 1.0


async def measure(run: Run) -> list[Figure]:
    plain = await run.plain()
    async with run.server("T7") as server:
        used, percent = await idle(run, server)
        started = server.started_in
    waiting = run.size(1_000_000, quick=50_000)
    async with run.filled(waiting, are_due=False) as folder, run.server("T7", folder) as server:
        full, full_percent = await idle(run, server)
        started_full = server.started_in
    with_waiting = f"with {waiting:,} waiting"
    return [
        Figure("T7", "from the command to serving", started * 1000, "ms"),
        Figure("T7", "idle: CPU", percent, "% of a core", target=at_most(1)),
        _memory("idle: memory", used, plain.rss_mb, at_most(80)),
        Figure("T7", f"{with_waiting}: to serving", started_full * 1000, "ms"),
        Figure("T7", f"{with_waiting}: CPU", full_percent, "% of a core", target=at_most(1)),
        _memory(f"{with_waiting}: memory", full, plain.rss_mb, at_most(150)),
    ]


async def idle(run: Run, server: Server) -> tuple[Usage, float]:
    """Return the server's usage, and the share of a core that it takes while idle."""
    await asyncio.sleep(_SETTLING_IN)
    seconds = run.size(10.0, quick=3.0)
    before = usage(server.pid)
    await asyncio.sleep(seconds)
    after = usage(server.pid)
    return after, (after.cpu_seconds - before.cpu_seconds) / seconds * 100


def _memory(name: str, used: Usage, reference_mb: float, target: Target) -> Figure:
    note = f"{used.anonymous_mb:.0f} MB of it its own, the rest from files"
    ratio = used.rss_mb / reference_mb
    return Figure("T7", name, used.rss_mb, "MB", ratio, target, note=note)
