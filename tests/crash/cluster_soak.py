"""`python -m tests.crash.cluster_soak`: several servers on one PostgreSQL, and faults everywhere.

Three workers and two API processes get events from several clients. Each process is killed again
and again, frozen or stopped, and started again. Meanwhile the connections to PostgreSQL are cut,
all its connections are taken, and PostgreSQL itself is stopped, or crashes; its standby is promoted
and the PgBouncer in front of it killed, if there are any. What was not killed has to go on by
itself. In the end all are left alone until nothing is due, and stop. Then the laws in
`tests.crash.evidence` are checked. A failing run keeps its folder. The figures have the longest
wait of a callback after each kind of fault.
"""

import argparse
import asyncio
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, randrange
from typing import Any, Final, NamedTuple

import psycopg

from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.crash.evidence import Evidence, OnRecord
from tests.crash.kinds import HEALTHY, STEADY, Receivers, all_receivers
from tests.crash.load import Client, Promises, Site
from tests.crash.production import RINGBACK, Log, Production, ready
from tests.crash.soak import FORESEEN, run_and_report, unforeseen
from tests.crash.waits import GRAVEST_FIRST, Fault, Span
from tests.databases import OwnPair, debian_programs, postgres_programs

ROLES: Final = ("worker", "worker", "worker", "api", "api")
_SETS_OF_RECEIVERS: Final = 3
"""Enough destinations for each worker to own some."""
# Without breakers, whose waits are longer than the whole run.
_SETTINGS: Final = """\
per_destination = 8
backlog = 20000
drain = "1s"
schedule = "100ms,200ms,400ms,800ms"

[[phases]]
name = "both"
default = "kore"
may_ask = ["twilio", "kore"]

[destinations]
breaker = false
hold = "none"
"""
_STARTS_WITHIN: Final = 60
_KILLS: Final = ("kills", "immediate restarts")
_ENDS: Final = ("stops", *_KILLS)
_OF_PROCESSES: Final = ("freezes", *_ENDS)
_OF_THE_DATABASE: Final = ("database crashes", "database stops")
_ENDS_WITHIN: Final = 120


class Unexpected(Exception):
    """A process did something that it must not do."""


class Plan(NamedTuple):
    """The faults of a run; times are in seconds."""

    seconds: float
    lives: tuple[float, float] = (2, 12)
    """The shortest and longest time from the start of a process to its end."""
    frozen: float = 20
    """The longest time for which a process is frozen."""
    clients: int = 6
    cuts_every: float = 0.5
    database_stops_every: float = 20
    connections_taken_every: float = 15
    connections: int = 300
    """How many connections are taken, at most."""
    turn: float = 0
    """If not 0, faults of processes and of the database take turns of this length.

    So those of the database can be told from a kill, which delays some callbacks for longer.
    """
    away: float = 2
    """The longest time until a killed process starts again, unless it does so at once."""
    rate: float = 0
    """How many callbacks a second the clients send; as many as they can if it is 0."""
    promotions_every: float = math.inf
    """With a finite time, there is a standby."""
    pooler_kills_every: float = math.inf
    """With a finite time, the processes use a PgBouncer."""
    roles: tuple[str, ...] = ROLES
    faults: frozenset[str] = frozenset(GRAVEST_FIRST)
    """The kinds of faults that happen, as far as the plan has them at all."""
    command: tuple[str, ...] = RINGBACK

    def has(self, *kinds: str) -> bool:
        """Return True if one of these kinds of faults happens."""
        return not self.faults.isdisjoint(kinds)

    def in_turn(self, at: float, *, is_of_process: bool) -> float:
        """Return when a fault comes that would come `at` seconds after the begin of all faults."""
        if not self.turn or (at // self.turn % 2 == 0) is is_of_process:
            return at
        return at + self.turn


LONG: Final = Plan(120)
MEASURED: Final = Plan(
    1200,
    lives=(8, 24),
    turn=60,
    clients=24,
    cuts_every=8,
    database_stops_every=25,
    connections_taken_every=60,
    connections=100,
    promotions_every=30,
    rate=150,
)
"""Faults that are far enough from each other to see how long each delays what waits."""
SHORT: Final = Plan(
    7,
    lives=(1, 6),
    frozen=8,
    clients=2,
    database_stops_every=4,
    connections_taken_every=4,
    connections=30,
    command=SHORT_LEASES,
)
SHORT_WITH_STANDBY: Final = SHORT._replace(promotions_every=3)
SHORT_WITH_POOLER: Final = SHORT._replace(pooler_kills_every=2)


@dataclass
class ClusterSoak:
    """One soak run; `folder` takes its files."""

    folder: Path
    seed: int
    plan: Plan
    log: Log
    programs: Path | None = None
    """The programs of the PostgreSQL to use; None for the newest one here."""
    counts: Counter[str] = field(default_factory=Counter[str])
    noted: list[Fault] = field(default_factory=list[Fault])
    """All faults, in the order in which they began."""
    promises: Promises = field(default_factory=Promises)
    clients_stopped: float = math.inf
    without_workers: list[Span] = field(default_factory=list[Span])
    _workers: set[str] = field(default_factory=set[str])
    """Those that run; a frozen one does, too."""
    _without_since: float = field(default_factory=time.time)
    _database_changes: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> Evidence:
        """Run for the planned time, and return the evidence."""
        (self.folder / "ringback.toml").write_text(_SETTINGS)
        # Enough connections for all processes, but not while others take as many as they can.
        most = self.plan.connections + 50
        async with (
            a_cluster(
                self.folder,
                programs=self.programs,
                most_connections=most,
                command=self.plan.command,
                has_standby=math.isfinite(self.plan.promotions_every),
                has_pooler=math.isfinite(self.plan.pooler_kills_every),
            ) as cluster,
            _sets_of_receivers(self.seed) as sets,
        ):
            await self._run_on(cluster, sets)
            for receivers in sets:
                await receivers.have_heard_all()
            self.counts["faults"] = self.faults
            return self._evidence(OnRecord.read_shared(cluster.ask), sets)

    @property
    def faults(self) -> int:
        """How many faults there were."""
        return sum(self.counts[name] for name in GRAVEST_FIRST)

    def note(self, kind: str, *, of: str = "", seconds: float = 0) -> None:
        """Count a fault that begins now, and goes on for some seconds."""
        self.counts[kind] += 1
        self.noted.append(Fault(kind, time.time(), of, seconds))

    def begins(self, name: str) -> None:
        """Note that a process can work from now on."""
        if not name.startswith("api"):
            if not self._workers:
                self.without_workers.append(Span(self._without_since, time.time()))
            self._workers.add(name)

    def ends(self, name: str) -> None:
        """Note that a process does not work any more."""
        if name in self._workers:
            self._workers.remove(name)
            self._without_since = time.time()

    def faults_logged(self) -> list[str]:
        """Return unexpected lines of the servers' logs."""
        return unforeseen(self.log, _FORESEEN)

    async def _run_on(self, cluster: Cluster, sets: Sequence[Receivers]) -> None:
        site, plan = Site(cluster.credentials), self.plan
        clients = [
            Client(
                *(site, self.promises, sets[number % len(sets)].urls, self._random(f"c{number}")),
                name=f"client {number}",
                seconds_for_each=plan.clients / plan.rate if plan.rate else 0,
            )
            for number in range(plan.clients)
        ]
        all_are_up, is_over = asyncio.Barrier(len(plan.roles) + 1), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sending = [group.create_task(client.work()) for client in clients]
            for number, role in enumerate(plan.roles):
                member = _Member(self, cluster, site, role, self._random(f"p{number}"))
                group.create_task(member.live(all_are_up, is_over))
            await all_are_up.wait()
            await self._break_the_database(cluster)
            self.clients_stopped = time.time()
            for client in clients:
                client.is_stopping = True
            async with asyncio.timeout(_ENDS_WITHIN):
                await asyncio.wait(sending)
                while (await asyncio.to_thread(cluster.ask, _HAS_WORK))[0][0]:
                    pass
            is_over.set()

    def _random(self, name: str) -> Random:
        return Random(f"{self.seed}: {name}")

    # ---- the database ----------------------------------------------------------------------------

    async def _break_the_database(self, cluster: Cluster) -> None:
        plan, ends = self.plan, asyncio.get_running_loop().time() + self.plan.seconds
        async with asyncio.TaskGroup() as group:
            for kinds, every, break_it in (
                (("connections cut",), plan.cuts_every, self._cut_a_connection),
                (_OF_THE_DATABASE, plan.database_stops_every, self._stop_the_database),
                (
                    ("times without connections",),
                    plan.connections_taken_every,
                    self._take_all_connections,
                ),
                (("standbys promoted",), plan.promotions_every, self._promote_the_standby),
                (("poolers killed",), plan.pooler_kills_every, self._kill_the_pooler),
            ):
                if plan.has(*kinds):
                    group.create_task(self._again_and_again(every, break_it, cluster, ends))
            await asyncio.sleep(plan.seconds)

    async def _again_and_again(
        self,
        every: float,
        break_it: Callable[[Cluster, Random], Awaitable[None]],
        cluster: Cluster,
        ends: float,
    ) -> None:
        loop, random_source = asyncio.get_running_loop(), self._random(break_it.__name__)
        began = ends - self.plan.seconds
        while math.isfinite(every):
            at = loop.time() - began + every * random_source.uniform(0.6, 1.4)
            due = began + self.plan.in_turn(at, is_of_process=False)
            if due >= ends:
                return
            await asyncio.sleep(due - loop.time())
            # There may be no database at this moment.
            with suppress(psycopg.OperationalError):
                await break_it(cluster, random_source)

    async def _cut_a_connection(self, cluster: Cluster, random_source: Random) -> None:
        found = await asyncio.to_thread(cluster.ask, _CONNECTIONS)
        if found:
            (number,) = random_source.choice(found)
            await asyncio.to_thread(cluster.ask, f"SELECT pg_terminate_backend({number:d})")
            self.note("connections cut")

    async def _stop_the_database(self, cluster: Cluster, random_source: Random) -> None:
        kinds = [kind for kind in _OF_THE_DATABASE if self.plan.has(kind)]
        kind, database = random_source.choice(kinds), cluster.database
        async with self._database_changes:
            self.note(kind)
            is_crash = kind == "database crashes"
            await asyncio.to_thread(database.crash if is_crash else database.stop)
            await asyncio.sleep(random_source.uniform(0, 2))
            await asyncio.to_thread(database.start)

    async def _promote_the_standby(self, cluster: Cluster, _: Random) -> None:
        pair, pooler = cluster.database, cluster.pooler
        assert isinstance(pair, OwnPair)
        async with self._database_changes:
            self.note("standbys promoted")
            await asyncio.to_thread(pair.promote)
            if pooler is not None:
                pooler.point_to(pair.folder)
                await asyncio.to_thread(pooler.kill)
                await asyncio.to_thread(pooler.start)
            await asyncio.to_thread(pair.make_standby)

    async def _kill_the_pooler(self, cluster: Cluster, random_source: Random) -> None:
        pooler = cluster.pooler
        assert pooler is not None
        async with self._database_changes:  # it starts only if it finds a database
            self.note("poolers killed")
            await asyncio.to_thread(pooler.kill)
            await asyncio.sleep(random_source.uniform(0, 1))
            await asyncio.to_thread(pooler.start)

    async def _take_all_connections(self, cluster: Cluster, random_source: Random) -> None:
        taken = list[psycopg.Connection[Any]]()
        until = asyncio.get_running_loop().time() + random_source.uniform(1, 5)
        self.note("times without connections")
        try:
            while len(taken) < self.plan.connections:
                taken.append(await asyncio.to_thread(psycopg.connect, cluster.direct_url))
        except psycopg.OperationalError:
            pass  # there are no more, or there is no database at this moment
        try:
            self.counts["connections taken"] += len(taken)
            await asyncio.sleep(until - asyncio.get_running_loop().time())
        finally:
            for connection in taken:
                connection.close()

    # ---- counting --------------------------------------------------------------------------------

    def _evidence(self, found: OnRecord, sets: Sequence[Receivers]) -> Evidence:
        def places(*kinds: str) -> frozenset[str]:
            return frozenset(
                f"{receivers.urls[kind]}#cbs={source}"
                for receivers in sets
                for kind in kinds
                for source in ("kore", "twilio")
            )

        return Evidence(
            asked=self.promises.asked,
            answers=self.promises.answers,
            answered_at=self.promises.answered_at,
            records=found.records,
            arrivals=[arrival for receivers in sets for arrival in receivers.arrivals],
            steady=places(*STEADY),
            healthy=places(*HEALTHY),
            gone=places("gone"),
            dead=places("dead"),
            left_open=found.left_open,
        )


@dataclass
class _Member:
    """A process that is killed, stopped or frozen again and again, and started each time."""

    soak: ClusterSoak
    cluster: Cluster
    site: Site
    role: str
    random_source: Random

    async def live(self, all_are_up: asyncio.Barrier, is_over: asyncio.Event) -> None:
        """End and start it for the planned time, then let the last process work until all is over.

        The time begins when all processes of the cluster are up.
        """
        loop, counts, ends = asyncio.get_running_loop(), self.soak.counts, math.inf
        while not is_over.is_set():
            away = 0.0
            async with self._process() as process:
                server = await self._started(process)
                if ends == math.inf:
                    await all_are_up.wait()
                    ends = loop.time() + self.soak.plan.seconds
                if server is None:
                    # It found no database; its supervisor starts it again.
                    counts["starts without a database"] += 1
                    away = 0.3
                else:
                    away = await self._break_again_and_again(server, ends, is_over)
            await asyncio.sleep(away)

    async def _break_again_and_again(
        self, server: Production, ends: float, is_over: asyncio.Event
    ) -> float:
        """Break it until it has ended; return the time until it should start again."""
        loop, process = asyncio.get_running_loop(), server.process
        while (due := self._next_fault(ends)) < ends:
            await self._leave_alone(process, asyncio.sleep(due - loop.time()))
            if (away := await self._break(server)) is not None:
                return away
        await self._leave_alone(process, is_over.wait())
        if code := await server.stop():
            raise Unexpected(f"the last stop ended with {code}")
        return 0

    def _next_fault(self, ends: float) -> float:
        """Return when the next fault of the process is due, by the event loop's clock."""
        plan, now = self.soak.plan, asyncio.get_running_loop().time()
        began = ends - plan.seconds
        at = now - began + self.random_source.uniform(*plan.lives)
        return began + plan.in_turn(at, is_of_process=True)

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        settings = str(self.soak.folder / "ringback.toml")
        process = await self.cluster.spawn(self.role, "--settings", settings)
        following = asyncio.create_task(self.soak.log.follow(process))
        self.soak.counts["starts"] += 1
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await following

    async def _started(self, process: asyncio.subprocess.Process) -> Production | None:
        async with asyncio.timeout(_STARTS_WITHIN):
            server = await ready(process, self.cluster.credentials)
        if server is not None:
            self.soak.begins(self._name_of(process))
            if self.role == "api":
                self.site.opens(server.address)
        return server

    def _name_of(self, process: asyncio.subprocess.Process) -> str:
        return f"{self.role} {process.pid}"

    async def _leave_alone(
        self, process: asyncio.subprocess.Process, until: Coroutine[Any, Any, object]
    ) -> None:
        """Wait for something; meanwhile, the process must not end."""
        waiting, ending = asyncio.ensure_future(until), asyncio.ensure_future(process.wait())
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if ending.done():
            raise Unexpected(f"a process ended by itself, with {process.returncode}")
        ending.cancel()

    async def _break(self, server: Production) -> float | None:
        """Freeze the process, kill it, or both; instead of a kill, it may have the time to stop.

        Returns the time until it should start again; None if it goes on.
        """
        plan, process, note = self.soak.plan, server.process, self.soak.note
        choice, name = self.random_source.random(), self._name_of(process)
        if plan.has("freezes") and (choice < 0.15 or not plan.has(*_ENDS)):
            seconds = self.random_source.uniform(0, plan.frozen)
            note("freezes", of=name, seconds=seconds)
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.signal(signal.SIGCONT)
            await self._leave_alone(process, asyncio.sleep(self.random_source.uniform(0, 4)))
        if not plan.has(*_ENDS):
            return None
        self.site.closes(server.address)
        self.soak.ends(name)
        if plan.has("stops") and (choice > 0.8 or not plan.has(*_KILLS)):
            note("stops", of=name)
            server.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.random_source.uniform(0, 5)):
                    await process.wait()
            if process.returncode is not None:
                if process.returncode:
                    raise Unexpected(f"a stop ended with {process.returncode}")
                return 0
        kind = self._a_kill()
        note(kind, of=name)
        process.kill()
        return self.random_source.uniform(0, plan.away) if kind == "kills" else 0

    def _a_kill(self) -> str:
        """Return the kind of a kill: one of those that happen, if there are any."""
        kinds = [kind for kind in _KILLS if self.soak.plan.has(kind)]
        return self.random_source.choice(kinds or _KILLS)


# It takes a tenth of a second, so that it can be asked again at once.
_HAS_WORK: Final = (
    "SELECT EXISTS (SELECT FROM waiting) OR EXISTS (SELECT FROM open_attempts), pg_sleep(0.1)"
)
_CONNECTIONS: Final = (
    "SELECT pid FROM pg_stat_activity WHERE usename = 'ringback' AND application_name = 'ringback'"
)


@asynccontextmanager
async def _sets_of_receivers(seed: int) -> AsyncGenerator[list[Receivers]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(all_receivers(seed + number))
            for number in range(_SETS_OF_RECEIVERS)
        ]


_FORESEEN: Final = (
    *(*FORESEEN, "lost the leases on ", "settled "),
    # After a process was frozen:
    "callbacks have to wait, but none is lost: the lease on ",
    "callbacks have to wait, but none is lost: the process was suspended",
    # A start without a database, and a stop:
    *("the PostgreSQL database ringback on ", "the database can't be read just now: "),
    "the leases end by themselves later: ",
    "a pooler such as PgBouncer is in front of the PostgreSQL database ",
)


_SERVERS: Final[dict[str, Callable[[], Path]]] = {
    "newest": lambda: postgres_programs()[-1],
    "oldest": lambda: postgres_programs()[0],
    "debian": debian_programs,
}


def _kinds(text: str) -> frozenset[str]:
    """Return the kinds of faults in a text; none if it says so."""
    kinds = frozenset(text.split(",")) - {"none"}
    if unknown := kinds.difference(GRAVEST_FIRST):
        raise argparse.ArgumentTypeError(f"not a kind of fault: {', '.join(sorted(unknown))}")
    return kinds


def main() -> int:
    """Run a soak, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="cluster_soak", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, help="of faults (120; with --rate 1200)")
    parser.add_argument("--short", action="store_true", help="with short leases, as `make test`")
    parser.add_argument(
        "--rate",
        type=float,
        help="callbacks a second, with a standby and fewer faults in a minute; otherwise as many"
        " as possible",
    )
    parser.add_argument(
        "--server",
        choices=_SERVERS,
        default="newest",
        help="the PostgreSQL to use: the newest or the oldest one here, or Debian's (newest)",
    )
    parser.add_argument("--pooler", action="store_true", help="behind a PgBouncer, which is killed")
    parser.add_argument(
        "--seed", type=int, default=randrange(1_000_000), help="for all random choices"
    )
    parser.add_argument(
        "--faults",
        type=_kinds,
        default=frozenset(GRAVEST_FIRST),
        help=f"only these, with commas between: {', '.join(GRAVEST_FIRST)}; or none",
    )
    parser.add_argument(
        "--processes",
        type=lambda text: tuple(text.split(",")),
        default=ROLES,
        help="the role of each, with commas between",
    )
    asked = parser.parse_args()
    plan = SHORT if asked.short else LONG
    if asked.rate:
        plan = MEASURED._replace(rate=asked.rate)
    plan = plan._replace(faults=asked.faults, roles=asked.processes)
    if not plan.has("standbys promoted"):
        plan = plan._replace(promotions_every=math.inf)
    if not plan.has(*_OF_PROCESSES) or plan.faults <= {*_OF_PROCESSES}:
        plan = plan._replace(turn=0)
    if asked.seconds:
        plan = plan._replace(seconds=asked.seconds)
    if asked.pooler:
        plan = plan._replace(pooler_kills_every=2 * plan.cuts_every)
    programs = _SERVERS[asked.server]()
    return run_and_report(
        asked.seed, lambda folder, log: ClusterSoak(folder, asked.seed, plan, log, programs)
    )


if __name__ == "__main__":
    sys.exit(main())
