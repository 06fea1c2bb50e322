"""`python -m tests.crash.soak`: kill a server again and again under load; then check everything.

A real `ringback serve` on a real file gets events from several clients, for receivers of several
kinds, and SIGKILL at random moments: while it starts, works, or stops. In the end it is left alone
until nothing is due. Then the answers to clients, the requests at receivers and the stored records
are checked against the laws in `tests.crash.evidence`. Moments and events come from a seed, but
timing does not: a seed alone does not repeat a run, so a failing run keeps its data folder.
"""

import argparse
import asyncio
import math
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, randrange
from typing import Final, Protocol

from tests.crash.evidence import Evidence, OnRecord, broken
from tests.crash.kinds import HEALTHY, STEADY, Receivers, all_receivers
from tests.crash.load import Client, Promises, Site
from tests.crash.production import (
    AWAY,
    BACK,
    SILENT,
    Log,
    Production,
    create_account,
    limit_files,
    ready,
    spawn,
)
from tests.crash.waits import Fault, Span, table
from tests.served import asked_until

FORESEEN: Final = ("callback CB", "destination.failing: ", AWAY, SILENT, BACK)
"""How warnings and errors begin that each soak run causes."""
CLIENTS: Final = 6
_STARTS_WITHIN: Final = 30
_ENDS_WITHIN: Final = 120
# A slow receiver gets few requests at a time, so that a stop finds some not sent yet; the backlog
# is small enough that all can be delivered in the end, however fast the machine is. There are no
# breakers, whose waits are longer than the whole run.
_SETTINGS: Final = """\
per_destination = 8
backlog = 2000
drain = "100ms"
schedule = "100ms,200ms,400ms,800ms"

[[phases]]
name = "both"
default = "kore"
may_ask = ["twilio", "kore"]

[destinations]
breaker = false
hold = "none"
"""


class Unexpected(Exception):
    """The server did something that it must not do."""


@dataclass
class Soak:
    """One soak run; `folder` takes its data."""

    folder: Path
    seed: int
    kills: int
    log: Log
    seconds_between: float = 0.3
    """The longest time in seconds from when a server listens until it is killed."""
    counts: Counter[str] = field(default_factory=Counter[str])
    noted: list[Fault] = field(default_factory=list[Fault])
    promises: Promises = field(default_factory=Promises)
    clients_stopped: float = math.inf
    without_workers: list[Span] = field(default_factory=list[Span])

    async def run(self) -> Evidence:
        """Kill the server `kills` times, and return the evidence."""
        self.folder.joinpath("ringback.toml").write_text(_SETTINGS)
        site = Site(await create_account(self.folder))
        async with all_receivers(self.seed) as receivers:
            clients = [
                Client(site, self.promises, receivers.urls, Random(f"{self.seed}: client {number}"))
                for number in range(CLIENTS)
            ]
            async with asyncio.TaskGroup() as working:
                tasks = [working.create_task(client.work()) for client in clients]
                await self._kill_again_and_again(site)
                async with self._started(site) as server, asyncio.timeout(_ENDS_WITHIN):
                    self.clients_stopped = time.time()
                    for client in clients:
                        client.is_stopping = True
                    await asyncio.wait(tasks)
                    await self._let_it_end(server)
            await receivers.have_heard_all()
            return self._evidence(receivers)

    # ---- killing ---------------------------------------------------------------------------------

    async def _kill_again_and_again(self, site: Site) -> None:
        random_source = Random(f"{self.seed}: kills")
        while self.counts["kills"] < self.kills:
            if random_source.random() < 0.15:
                await self._kill_while_it_starts(random_source)
            else:
                async with self._started(site) as server:
                    await self._kill_while_it_works(server, site, random_source)

    async def _kill_while_it_starts(self, random_source: Random) -> None:
        async with self._process() as process:
            await self._leave_alone(process, random_source.uniform(0, 0.6))
            await self._kill(process)
        self.counts["killed while starting"] += 1

    async def _kill_while_it_works(
        self, server: Production, site: Site, random_source: Random
    ) -> None:
        await self._leave_alone(server.process, random_source.uniform(0, self.seconds_between))
        if random_source.random() < 0.1 and sys.platform == "linux":
            await self._let_the_disk_be_full(server.process, random_source)
        if random_source.random() < 0.15:
            server.signal(signal.SIGTERM)
            site.closes(server.address)
            if await self._ends_within(server.process, random_source.uniform(0, 0.8)):
                if server.process.returncode:
                    raise Unexpected(f"a stop ended with {server.process.returncode}")
                self.counts["stops"] += 1
                return
            self.counts["killed while stopping"] += 1
        site.closes(server.address)
        await self._kill(server.process)

    async def _let_the_disk_be_full(
        self, process: asyncio.subprocess.Process, random_source: Random
    ) -> None:
        """Simulate a full disk for a moment; usually the kill comes before the server recovers."""
        self.counts["full disks"] += 1
        limit_files(process, 4096)
        await self._leave_alone(process, random_source.uniform(0, 0.3))
        if random_source.random() < 0.5:
            limit_files(process, None)
            await self._leave_alone(process, random_source.uniform(0, 1.5))

    async def _leave_alone(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        if await self._ends_within(process, seconds):
            raise Unexpected(f"the server ended by itself, with {process.returncode}")

    async def _ends_within(self, process: asyncio.subprocess.Process, seconds: float) -> bool:
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        self.noted.append(Fault("kills", time.time()))
        process.kill()
        await process.wait()
        self.counts["kills"] += 1

    # ---- starting and ending ---------------------------------------------------------------------

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        """Run a server process, and follow its log."""
        process = await spawn(self.folder, "--settings", str(self.folder / "ringback.toml"))
        following = asyncio.create_task(self.log.follow(process))
        self.counts["starts"] += 1
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await following

    @asynccontextmanager
    async def _started(self, site: Site) -> AsyncGenerator[Production]:
        """Run a server, and give its address to the clients."""
        async with self._process() as process:
            async with asyncio.timeout(_STARTS_WITHIN):
                server = await ready(process, dict(site.credentials))
            if server is None:
                raise Unexpected("the server did not start; its log says why")
            site.opens(server.address)
            try:
                yield server
            finally:
                site.closes(server.address)

    async def _let_it_end(self, server: Production) -> None:
        """Wait until the server reports that nothing is due, and has stopped."""
        path = "/portal/v1/callbacks"
        await asked_until(
            lambda: server.get(path, Status="scheduled", PageSize="1"),
            lambda answered: not answered.body["callbacks"],
            within=_ENDS_WITHIN,
        )
        if code := await server.stop():
            raise Unexpected(f"the last stop ended with {code}")

    # ---- counting --------------------------------------------------------------------------------

    def _evidence(self, receivers: Receivers) -> Evidence:
        found = OnRecord.read(self.folder / "ringback.db")
        places = {
            kind: frozenset(f"{url}#cbs={source}" for source in ("kore", "twilio"))
            for kind, url in receivers.urls.items()
        }
        return Evidence(
            asked=self.promises.asked,
            answers=self.promises.answers,
            answered_at=self.promises.answered_at,
            records=found.records,
            arrivals=receivers.arrivals,
            steady=frozenset().union(*(places[kind] for kind in STEADY)),
            healthy=frozenset().union(*(places[kind] for kind in HEALTHY)),
            gone=places["gone"],
            dead=places["dead"],
            left_open=found.left_open,
        )

    def faults_logged(self) -> list[str]:
        """Return unexpected lines of the servers' logs."""
        return unforeseen(self.log, FORESEEN)


class AnySoak(Protocol):
    """A soak run, and what it counts."""

    counts: Counter[str]
    noted: list[Fault]
    promises: Promises
    clients_stopped: float
    """When the clients stopped, in seconds since 1970."""
    without_workers: list[Span]
    """The times in which nobody could send anything."""

    async def run(self) -> Evidence: ...

    def faults_logged(self) -> list[str]: ...


def unforeseen(log: Log, foreseen: tuple[str, ...]) -> list[str]:
    """Return the lines of a log that no soak run should cause; `foreseen` is how others begin."""
    return [
        f"logged: {line}"
        for line in log.lines
        if line["level"] != "info"
        and ("exc_info" in line or not line["message"].startswith(foreseen))
    ]


def summary(soak: AnySoak, evidence: Evidence, seconds: float) -> str:
    """Return the figures of a run, as lines of text."""
    results = Counter(row.result for record in evidence.records for row in record.rows)
    statuses = Counter(record.status for record in evidence.records)
    figures = {
        **soak.counts,
        "seconds": round(seconds),
        "acknowledged": len(evidence.answers),
        "answers lost": soak.promises.lost,
        "answered 429 or 503": soak.promises.refused,
        "requests": len(evidence.arrivals),
        "rows": sum(results.values()),
        **{f"  {result}": number for result, number in sorted(results.items())},
        "repeats after 2xx": evidence.repeats,
        **statuses,
    }
    lines = [f"{name:<24}{number:>9,}" for name, number in figures.items()]
    return "\n".join(
        [*lines, "", table(evidence, soak.noted, soak.clients_stopped, soak.without_workers)]
    )


def main() -> int:
    """Run a soak, and return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how often to kill the server (200)")
    parser.add_argument(
        "--seed", type=int, default=randrange(1_000_000), help="for all random choices"
    )
    parser.add_argument(
        "--seconds-between",
        type=float,
        default=0.3,
        help="the longest time from listening to the kill, in seconds (0.3)",
    )
    asked = parser.parse_args()
    return run_and_report(
        asked.seed,
        lambda folder, log: Soak(folder, asked.seed, asked.kills, log, asked.seconds_between),
    )


def run_and_report(seed: int, make: Callable[[Path, Log], AnySoak]) -> int:
    """Run a soak in a new folder, print its figures or faults, and return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="ringback-soak-"))
    print(f"seed {seed}, data in {folder}", flush=True)
    began = time.monotonic()
    with folder.joinpath("serve.log").open("w", encoding="utf-8") as log:
        soak = make(folder, Log(log))
        try:
            evidence = asyncio.run(soak.run())
        except BaseException:
            print(f"seed {seed} FAILED after {dict(soak.counts)}; see {folder}", flush=True)
            raise
    print(summary(soak, evidence, time.monotonic() - began))
    if faults := [*broken(evidence), *soak.faults_logged()]:
        print(f"\nseed {seed} FAILED; its data is kept in {folder}", *faults, sep="\n  ")
        return 1
    shutil.rmtree(folder)
    print("all laws hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
