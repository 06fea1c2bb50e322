"""What ten people who look at the console cost (T18).

They have pages open that refresh themselves, while a stored backlog is delivered (as in T1), and
while callbacks are created at a steady rate (as in T4). The reference is the same without them,
alternately, in a server that also serves: T1 measures the engine alone.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.backlog import WAITING
from benchmarks.browsing import Browser, Watching, people_who_look
from benchmarks.engine import ACCOUNT_SID, AUTH_TOKEN
from benchmarks.figures import Figure, p50, ratio_at_most
from benchmarks.latency import delivered
from benchmarks.load import closed_loop
from benchmarks.processes import BenchmarkFailed, usage
from benchmarks.run import Run
from benchmarks.server import Server

_LISTS: Final = (
    *("/console/callbacks", "/console/undelivered", "/console/destinations", "/console/move"),
)
PEOPLE: Final = 2 * (len(_LISTS) + 1)
_RATES: Final = (50, 200)
_MOST: Final = 1.10
_PAUSED: Final = ("--start-paused", "yes", "--log-level", "error")
_SETTLES_WITHIN: Final = 600.0
_ONE: Final = re.compile(r'href="(/console/callbacks/CB[0-9a-f]{32})"')


@dataclass(slots=True)
class Beside:
    """What was measured without people who look, and with them."""

    without: list[float] = field(default_factory=list[float])
    beside: list[float] = field(default_factory=list[float])

    @property
    def ratio(self) -> float:
        """The median of the ratios in single rounds."""
        return median(self._ratios)

    @property
    def _ratios(self) -> list[float]:
        return [one / other for one, other in zip(self.beside, self.without, strict=True)]

    def figure(self, name: str, unit: str, note: str) -> Figure:
        """Return the figure of what was measured with them."""
        its = f"{median(self.without):.2f} {unit} without; {note}"
        pairs = [f"{ratio:.2f}" for ratio in self._ratios]
        return Figure(
            *("T18", f"{name}, beside {PEOPLE} people who look", median(self.beside), unit),
            *(self.ratio, ratio_at_most(_MOST)),
            note=f"{its}; {', '.join(pairs)} in single rounds",
        )


async def beside_single_callbacks(run: Run, server: Server) -> list[Figure]:
    """Create callbacks at steady rates; last, let people look while nothing else happens."""
    seconds, figures = run.size(8.0, quick=2.0), list[Figure]()
    await delivered(run, server, rate=50, seconds=0.5)  # warm-up
    for rate in _RATES:
        times, asked = Beside(), list[Watching]()
        for _ in range(run.rounds):
            # In this order, so that a machine that gets busier does not favour one of them.
            without = await delivered(run, server, rate=rate, seconds=seconds)
            async with _people(server) as watching:
                beside = await delivered(run, server, rate=rate, seconds=2 * seconds)
            without += await delivered(run, server, rate=rate, seconds=seconds)
            times.without.append(p50(without))
            times.beside.append(p50(beside))
            asked.append(watching)
        figures.append(
            times.figure(f"accept to received, at {rate}/s: p50", "ms", _in_words(asked))
        )
    return [*figures, await _alone(run, server)]


async def _alone(run: Run, server: Server) -> Figure:
    """Measure what people cost who look at a server without other work."""
    async with _people(server) as watching:
        cpu, began = usage(server.pid).cpu_seconds, perf_counter()
        before = watching.refreshes
        await asyncio.sleep(run.size(20.0, quick=6.0))
        cpu, took = usage(server.pid).cpu_seconds - cpu, perf_counter() - began
        asked = watching.refreshes - before
    return Figure(
        *("T18", f"{PEOPLE} people who look: share of a core", cpu / took * 100, "%"),
        note=f"{asked / took:.1f} refreshes a second, {cpu / asked * 1e3:.1f} ms of CPU for each;"
        f" {watching.unchanged / watching.refreshes:.0%} of them unchanged",
    )


async def beside_a_backlog(run: Run) -> Figure:
    """Deliver stored backlogs in a server, in turn without and with people who look."""
    costs, asked, rates = Beside(), list[Watching](), Beside()
    for number in range(run.rounds):
        order = (True, False) if number % 2 else (False, True)
        drained = {are_seen: await _drain(run, are_seen=are_seen) for are_seen in order}
        plain, seen = drained[False], drained[True]
        costs.without.append(plain.cpu_us)
        costs.beside.append(seen.cpu_us)
        rates.without.append(plain.per_second)
        rates.beside.append(seen.per_second)
        asked.append(seen.watching)
    return costs.figure(
        "CPU for each callback of a stored backlog",
        "µs",
        f"{median(rates.without):,.0f}/s without, {median(rates.beside):,.0f}/s beside them;"
        f" {_in_words(asked)}",
    )


class _Drained(NamedTuple):
    """How a server delivered a backlog."""

    per_second: float
    cpu_us: float
    watching: Watching


async def _drain(run: Run, *, are_seen: bool) -> _Drained:
    """Deliver a backlog in a server that begins when all pages are open."""
    count = run.size(WAITING, quick=20_000)
    async with (
        run.filled(count, are_due=True) as folder,
        run.server("T18", folder, options=_PAUSED) as any_account,
    ):
        server = any_account.as_account(ACCOUNT_SID, AUTH_TOKEN)
        operator = await run.as_operator(server, folder=folder)
        await run.receiver.counter.reset()
        async with _people(server) if are_seen else contextlib.nullcontext(Watching()) as watching:
            before, began = usage(server.pid).cpu_seconds, perf_counter()
            resume = operator.post("/portal/v1/resume")
            load = await closed_loop(server.place, repeat(resume), connections=1, seconds=0)
            load.expect_accepted()
            await run.receiver.counter.until(count, within=_SETTLES_WITHIN)
            await server.until_settled(within=_SETTLES_WITHIN)
            took = perf_counter() - began
            cpu = usage(server.pid).cpu_seconds - before
    return _Drained(count / took, cpu / count * 1e6, watching)


@contextlib.asynccontextmanager
async def _people(server: Server) -> AsyncGenerator[Watching]:
    """Have each page that refreshes itself open in two browsers."""
    person = await Browser.signed_in(server)
    found = _ONE.search((await person.page("/console/callbacks")).text)
    person.close()
    if found is None:
        raise BenchmarkFailed("the list of callbacks is empty")
    async with people_who_look(server, [*_LISTS, found[1]] * 2) as watching:
        yield watching


def _in_words(asked: Sequence[Watching]) -> str:
    count = sum(one.refreshes for one in asked)
    return f"they asked {count:,} times in {len(asked)} rounds"
