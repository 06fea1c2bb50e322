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
    """What the reference loop does as fast as it goes."""

    per_second: float
    cpu_us: float
    rss_mb: float

    @property
    def share_of_core(self) -> float:
        """How much of its core the loop had; it takes all that it gets."""
        return self.per_second * self.cpu_us / 1e6


@dataclass(slots=True)
class Run:
    """One run; `is_quick` makes everything smaller, and less exact."""

    receiver: Receiver
    cores: Cores
    is_quick: bool
    rounds: int
    profiled: frozenset[str] = frozenset()
    plains: list[Plain] = field(default_factory=list[Plain])
    """Each time that the reference was measured in this run."""

    def size(self, full: T, *, quick: T) -> T:
        return quick if self.is_quick else full

    async def plain(self) -> Plain:
        """Measure the reference loop once more; what it is compared with runs next."""
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
        """Return how long after it was due a callback of the reference loop came, in ms."""
        await self.receiver.counter.reset()
        answer = await run_module(
            "benchmarks.plain_loop",
            *(self.receiver.mark, "--rate", rate, "--seconds", seconds),
            cores=self.cores.measured,
        )
        return await self.latencies(dict(enumerate(answer["due"])))

    async def latencies(self, due: Mapping[int, int]) -> list[float]:
        """Return how long after it was due the callback with each stamp came, in ms."""
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
