"""What one run of the benchmarks has: its receiver, its cores, its sizes, and its reference."""

import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.processes import Cores, run_module
from benchmarks.receiving import Receiver
from benchmarks.server import Server, a_server

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plain:
    """The reference loop's result when it runs as fast as it can."""

    per_second: float
    cpu_us: float
    rss_mb: float

    @property
    def share_of_core(self) -> float:
        """Return the share of its core that the loop used; it uses all that it can get."""
        return self.per_second * self.cpu_us / 1e6


@dataclass(slots=True)
class Run:
    """One run of the benchmarks; `is_quick` makes everything smaller, and less exact."""

    receiver: Receiver
    cores: Cores
    is_quick: bool
    rounds: int
    profiled: frozenset[str] = frozenset()
    plains: list[Plain] = field(default_factory=list[Plain])
    """The results of the reference loop in this run."""

    def size(self, full: T, *, quick: T) -> T:
        return quick if self.is_quick else full

    async def plain(self) -> Plain:
        """Measure the reference loop again, just before the benchmark that is compared with it."""
        await self.receiver.counter.reset()
        count = self.size(30_000, quick=10_000)
        plain = Plain(
            **await run_module(
                "benchmarks.plain_loop",
                *(self.receiver.url, "--count", count),
                cores=self.cores.measured,
            )
        )
        self.plains.append(plain)
        return plain

    async def plain_latencies(self, rate: float, seconds: float) -> list[float]:
        """Return how many ms after its due time each callback of the reference loop arrived."""
        await self.receiver.counter.reset()
        answer = await run_module(
            "benchmarks.plain_loop",
            *(self.receiver.mark, "--rate", rate, "--seconds", seconds),
            cores=self.cores.measured,
        )
        return await self.latencies(dict(enumerate(answer["due"])))

    async def latencies(self, due: Mapping[int, int]) -> list[float]:
        """Return how many ms after its due time the callback with each stamp arrived."""
        marks = await self.receiver.counter.marks()
        return [(marks[stamp] - at) / 1e6 for stamp, at in due.items() if stamp in marks]

    def server(
        self,
        id_: str,
        folder: Path | None = None,
        *,
        options: Sequence[str] = (),
        most_files: int | None = None,
    ) -> AbstractAsyncContextManager[Server]:
        """Run a server on the measured core; see `a_server`."""
        return a_server(
            self.cores.measured,
            folder,
            is_profiled=id_ in self.profiled,
            options=options,
            most_files=most_files,
        )

    @asynccontextmanager
    async def filled(
        self, count: int, *, are_due: bool = False, are_delivered: bool = False
    ) -> AsyncGenerator[Path]:
        """Make a data folder with this many callbacks, waiting or delivered."""
        with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
            when = ["--due"] * are_due + ["--history"] * are_delivered
            await run_module(
                "benchmarks.filling",
                *(folder, self.receiver.url, count, *when),
                cores=self.cores.both,
            )
            yield Path(folder)
