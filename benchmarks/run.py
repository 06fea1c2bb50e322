"""What one run of the benchmarks has: its receiver, its cores, its sizes, and its reference."""

import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.processes import NO_VARIABLES, Cores, Product, moved, run_module
from benchmarks.receiving import Receiver
from benchmarks.server import Server, a_server, an_operator

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
    product: Product = field(default_factory=Product)
    profiled: frozenset[str] = frozenset()
    plains: list[Plain] = field(default_factory=list[Plain])
    """The results of the reference loop in this run."""

    def size(self, full: T, *, quick: T) -> T:
        return quick if self.is_quick else full

    async def plain(self) -> Plain:
        """Measure the reference loop again, just before the benchmark that is compared with it."""
        plain = await self._plain()
        self.plains.append(plain)
        return plain

    async def plain_today(self) -> Plain:
        """Measure the plain loop with the client and rendering of this working tree."""
        return await self._plain("--today")

    async def _plain(self, *options: str) -> Plain:
        await self.receiver.counter.reset()
        count = self.size(30_000, quick=10_000)
        return Plain(
            **await run_module(
                "benchmarks.plain_loop",
                *(self.receiver.url, "--count", count, *options),
                cores=self.cores.measured,
            )
        )

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

    def unpinned(self) -> AbstractContextManager[None]:
        """Let load and receiver run on all cores in this context."""
        return moved(self.cores.all, self.receiver.pid)

    async def module(
        self, module: str, *arguments: object, cores: frozenset[int] | None = None
    ) -> dict[str, Any]:
        """Run a benchmark's module of the measured product, by default on the measured core."""
        cores = self.cores.measured if cores is None else cores
        return await run_module(module, *arguments, cores=cores, product=self.product)

    def server(
        self,
        id_: str,
        folder: Path | None = None,
        *,
        cores: frozenset[int] | None = None,
        options: Sequence[str] = (),
        most_files: int | None = None,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> AbstractAsyncContextManager[Server]:
        """Run a server, by default on the measured core; see `a_server`."""
        return a_server(
            self.cores.measured if cores is None else cores,
            folder,
            product=self.product,
            is_profiled=id_ in self.profiled,
            options=options,
            most_files=most_files,
            variables=variables,
        )

    async def as_operator(
        self,
        server: Server,
        *,
        folder: Path | None = None,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> Server:
        """Return a server on this folder, or the database of the variables, used by an operator."""
        return replace(
            server,
            credentials=await an_operator(
                self.product, folder, cores=self.cores.both, variables=variables
            ),
        )

    @asynccontextmanager
    async def filled(
        self,
        count: int,
        *,
        url: str | None = None,
        are_due: bool = False,
        are_delivered: bool = False,
    ) -> AsyncGenerator[Path]:
        """Make a data folder with this many callbacks, waiting or delivered."""
        with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
            when = ["--due"] * are_due + ["--history"] * are_delivered
            await self.module(
                "benchmarks.filling",
                *(folder, url or self.receiver.url, count, *when),
                cores=self.cores.both,
            )
            yield Path(folder)
