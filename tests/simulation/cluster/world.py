"""One run of several processes over one store: faults by the plan, then everything must end."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from unittest.mock import patch

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.effective_settings import DestinationRule, SettingsOwner
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.delivery import callback_sender
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.enqueue import DirectBatchQueue
from ringback.operations.create_callbacks import send_callbacks
from ringback.ports import (
    Clock,
    Cluster,
    DestinationPause,
    News,
    StoredDestinationSettings,
    Transaction,
)
from tests.callback_queues import accepting_queue
from tests.memory_store.leases import MemoryCluster
from tests.simulation.cluster.database import SharedDatabase, SharedStore
from tests.simulation.cluster.destination_watch import DestinationWatch
from tests.simulation.cluster.plan import ClusterPlan, Kill, PlannedPause, ProcessPlan, plan_of
from tests.simulation.cluster.watch import ClusterWatch, ProcessWatch
from tests.simulation.customers import Customers
from tests.simulation.invariants import Violated
from tests.simulation.loop import START, SimClock, SimLoop
from tests.simulation.names import Names
from tests.simulation.plan import Request, Stop
from tests.simulation.process import Process
from tests.simulation.scheduler import Gate, Scheduler
from tests.simulation.shortage import Machine
from tests.simulation.trace import Trace
from tests.simulation.world import (
    Result,
    SimRandomness,
    accounts_of,
    in_silence,
    longest_wait,
    made_small,
    random_of,
    receivers_of,
)

_MOST_STEPS: Final = 150_000
_ASKED_AGAIN: Final = 0.3
_TAKEN_OVER: Final = 20.0
"""Seconds within which another worker has the shards of one that has died."""
_KNOWN: Final = 4.0
"""Seconds after which all processes know what is set for destinations."""
_CALM: Final = _TAKEN_OVER + 3.0
"""Seconds after the last fault from which due callbacks have to be sent at once."""
_PROMPT: Final = 4.0
"""Seconds that a due callback may wait in the end, if its process is idle."""
_SWEPT: Final = 65.0
"""The same for a callback that was due long ago when it was saved."""
_PROBES: Final = 3000.0
"""How many seconds more it may take until the last breaker has closed, and all is sent."""
_RECENT: Final = timedelta(seconds=50)
_POOLED_FOR: Final = 6.0
"""Seconds until a connection breaks that a pooler has given another session."""


@dataclass(frozen=True, slots=True)
class ClusterResult(Result):
    """The result of a run of several processes."""

    late: int = 0
    """How often a callback was in flight twice because of a process frozen before a request."""
    unended: int = 0
    """How often because of a process frozen while it waited for an answer."""
    outdated: int = 0
    """How many results were dropped because another process had taken the callback over."""


class AcceptingProcess:
    """A process without workers: it only accepts callbacks."""

    def __init__(
        self,
        loop: SimLoop,
        clock: Clock,
        connect: Callable[["AcceptingProcess"], tuple[SharedStore, Cluster]],
        *,
        rules: Sequence[DestinationRule] = (),
    ) -> None:
        self.loop = loop
        self.is_ready = False
        self.store, self.cluster = connect(self)
        self.queue = accepting_queue(self.cluster, clock, DeliveryCounters(), rules)
        self.batch_queue = DirectBatchQueue(store=self.store, queue=self.queue, add=send_callbacks)

    @property
    def gate(self) -> Gate:
        return self.loop.gate

    @property
    def is_dead(self) -> bool:
        return self.loop.is_dead

    def start(self, ended: Callable[[], None]) -> None:
        self.is_ready = True

    def die(self) -> None:
        self.loop.is_dead = True

    def bury(self) -> None:
        self.loop.kill()


def stopwatch_of(loop: SimLoop, clock: Clock) -> Callable[[], float]:
    """Return what tells a process how long its leases last: not a clock that can be set."""
    return loop.time


class SimCluster(MemoryCluster):
    """The cluster of one process, whose announcements the world delivers, or not."""

    def __init__(
        self, store: SharedStore, loop: SimLoop, clock: Clock, deliver: Callable[[News], None]
    ) -> None:
        super().__init__(store, stopwatch=stopwatch_of(loop, clock))
        self._deliver = deliver
        self._shared, self._loop = store, loop

    def begin_sessions(self) -> None:
        """Have a session from now on, as long as the process runs."""
        self._loop.create_task(self._keep_session())

    async def _keep_session(self) -> None:
        while True:
            pause = 1.0
            try:
                session = await self._shared.begin_session()
                while True:
                    asked = self.milliseconds()
                    if not await self._shared.is_in_session(session):
                        break
                    self.sessions.answered(session, asked)
                    self.sessions.newest = session
                    await asyncio.sleep(0.5)
                # Its connection lasts without a session if a pooler only uses another one.
                pause = _POOLED_FOR if self._shared.is_pooled(session) else 0.0
            except StoreUnavailable:
                pass
            finally:
                self.sessions.newest = None
            await asyncio.sleep(pause)

    def announce(self, news: News) -> None:
        self._deliver(news)


class ClusterProcess(Process):
    """A worker, which may be stopped right before the first byte of a request."""

    on_writing: Callable[[], None] = lambda: None

    def _pass(self, name: str) -> None:
        if name == "writing":
            self.on_writing()


class Site:
    """A process of the plan, through all its lives."""

    def __init__(self, world: "ClusterWorld", plan: ProcessPlan) -> None:
        self.plan = plan
        self.clock = SimClock(world.scheduler)
        self.process: ClusterProcess | AcceptingProcess | None = None
        self.customers: Customers
        self.view: ProcessWatch
        self.lives = 0
        self.died_at = 0.0
        self.up_since = 0.0
        self.requests = 0
        """How many requests have been about to leave."""

    @property
    def up(self) -> ClusterProcess | AcceptingProcess | None:
        """The process if it is running, and not frozen."""
        process = self.process
        is_up = process is not None and process.is_ready and not process.gate.is_shut
        return process if is_up else None

    @property
    def worker(self) -> ClusterProcess | None:
        process = self.up
        return process if isinstance(process, ClusterProcess) else None


class ClusterWorld:
    """The state of one run."""

    def __init__(self, plan: ClusterPlan) -> None:
        self._plan = plan
        self._base = base = plan.base
        self._trace = Trace()
        self._violated: Violated | None = None
        self.scheduler = Scheduler(random_of(base, "order"), order=base.order, tick=base.tick)
        self._random = random_of(base, "world")
        self._sessions = random_of(base, "sessions")
        self._randomness = SimRandomness(random_of(base, "chance"))
        self._database = SharedDatabase(
            plan, self.scheduler, random_of(base, "database"), self._trace
        )
        self._machine = Machine(base, self.scheduler, random_of(base, "machine"), self._trace)
        self._names = Names(base, self.scheduler, random_of(base, "names"), self._machine)
        self._receivers = receivers_of(base)
        self._accounts = accounts_of(base)
        self._wanted = dict[str, DestinationPause | None]()
        """What somebody has wanted last for the destinations of a pattern: to pause or resume."""
        self.watch = ClusterWatch(
            database=self._database,
            trace=self._trace,
            bounds=base.bounds,
            now=lambda: self.scheduler.now,
            on_violation=self._on_violation,
        )
        self._database.store.commit(self._keep_accounts)
        self._database.on_durable = self.watch.durable
        self.watch.destinations = DestinationWatch(self.watch, base)
        self._sites = [Site(self, one) for one in plan.processes]
        self._counters = DeliveryCounters()
        self._troubled = 0.0
        """When the last fault began or ended."""
        self._are_faults_over = False
        self._lives = list[tuple[int, SharedStore, Process | AcceptingProcess]]()
        """All processes that there were, with their machines and stores."""
        self._dead = list[ClusterProcess | AcceptingProcess]()

    def run(self) -> ClusterResult:
        """Let everything happen, and return the verdict."""
        self.scheduler.on_step[_MOST_STEPS] = lambda: self.watch.violated(
            "lively", f"{_MOST_STEPS} steps were taken"
        )
        self._begin()
        self.scheduler.run(self._base.faults_last)
        self._end_faults()
        self._run_until_idle()
        if self._violated is None:
            self._judge()
        for site in self._sites:
            if site.process is not None:
                self._kill(site)
        self._bury()
        outdated = self._counters.outdated_results
        return ClusterResult(
            seed=self._base.seed,
            violated=self._violated,
            steps=self.scheduler.steps,
            requests=len(self.watch.flights),
            virtual_seconds=self.scheduler.now,
            trace=self._trace,
            waits={},
            late=self.watch.late,
            unended=self.watch.unended,
            outdated=outdated,
        )

    def rendered(self, callback: CallbackRecord) -> None:
        """Note the callback of the next request."""
        self.watch.rendered = callback

    def _keep_accounts(self, tx: Transaction) -> None:
        for account in self._accounts:
            tx.accounts.add(account, [])

    def _on_violation(self, violated: Violated) -> None:
        self._violated = self._violated or violated
        self.scheduler.is_stopped = True

    # Faults, and customers.

    def _begin(self) -> None:
        for site in self._sites:
            plan = site.plan
            self._at(plan.starts, self._start, site)
            for kill in plan.kills:
                self._at(kill.at, self._kill_soon, site, kill)
            for stop in plan.stops:
                self._at(stop.at, self._stop, site, stop)
            for at, length in plan.freezes:
                self._at(at, self._freeze, site, length)
            for at, by in plan.jumps:
                self._at(at, self._jump, site, by)
            for cut in plan.partitions:
                self._note_cut(f"partition of {plan.name}", cut.begins, cut.ends)
        for cut in self._plan.outages:
            self._note_cut("outage", cut.begins, cut.ends)
        for request in self._base.requests:
            self._at(request.at, self._ask, request)
        for at in self._base.replays:
            self._at(at, self._replay)
        for pause in self._plan.pauses:
            self._at(pause.at, self._pause, pause)
        for at in self._base.discards:
            self._at(at, self._discard)
        for at, kind in self._plan.session_faults if self._plan.has_sessions else ():
            self._at(at, self._end_sessions, kind)
        self._at(1.0, self._probe)

    def _at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        self.scheduler.do(action, *args, at=when, origin=object())

    def _trouble(self, what: str, *details: object) -> None:
        self._trace.note(self.scheduler.now, what, *details)
        self._troubled = self.scheduler.now

    def _note_cut(self, what: str, begins: float, ends: float) -> None:
        self._at(begins, self._trouble, what)
        self._at(ends, self._trouble, f"end of {what}")

    def _start(self, site: Site) -> None:
        if site.process is not None:
            return
        site.lives += 1
        name = f"{site.plan.name}.{site.lives}"
        self._trouble("start", name)
        process = self._a_worker(site, name) if site.plan.is_worker else self._an_api(site, name)
        site.process = process
        site.customers = Customers(
            plan=self._base,
            accounts=self._accounts,
            watch=self.watch,
            random=self._random,
            clock=site.clock,
            random_source=self._randomness,
            is_quick=True,
        )
        site.up_since = self.scheduler.now
        process.start(lambda: self._gone(site, process, 1.0))

    def _a_worker(self, site: Site, name: str) -> ClusterProcess:
        site.view = view = ProcessWatch(
            self.watch,
            name,
            identity=lambda: cast("SharedStore", process.store).id,
            is_dead=lambda: process.is_dead,
            knows=lambda: process.delivery.destinations.book.revision,
            clock=site.clock,
        )
        process = ClusterProcess(
            number=site.lives,
            plan=self._base,
            scheduler=self.scheduler,
            random=random_of(self._base, f"network of {name}"),
            connect=lambda process: self._connect(site, name, process),
            was_away=lambda: self._database.was_away,
            receivers=self._receivers,
            names=self._names,
            machine=self._machine,
            clock=site.clock,
            random_source=self._randomness,
            watch=view,
            died=lambda: None,
            counters=self._counters,
        )
        process.on_writing = lambda: self._about_to_write(site)
        return process

    def _an_api(self, site: Site, name: str) -> AcceptingProcess:
        def failed(context: dict[str, Any]) -> None:
            self.watch.violated("sound", f"{name}: {context['message']}: {context!r}")

        loop = SimLoop(self.scheduler, on_failure=failed)
        return AcceptingProcess(
            loop,
            site.clock,
            lambda process: self._connect(site, name, process),
            rules=self._base.rules,
        )

    def _connect(
        self, site: Site, name: str, process: Process | AcceptingProcess
    ) -> tuple[SharedStore, SimCluster]:
        store = SharedStore(
            self._database,
            name,
            partitions=site.plan.partitions,
            loop=process.loop,
            is_dead=lambda: process.is_dead,
        )
        self._lives.append((site.plan.machine, store, process))
        store.is_known_dead = lambda identity: self._is_known_dead(identity, site.plan.machine)
        cluster = SimCluster(store, process.loop, site.clock, lambda news: self._tell(site, news))
        if self._plan.has_sessions:
            cluster.begin_sessions()
        return store, cluster

    def _is_known_dead(self, identity: str, machine: int) -> bool:
        """Return True if a process of this machine is dead, and not only frozen."""
        return any(
            place == machine and store.id == identity and process.is_dead
            for place, store, process in self._lives
        )

    def _tell(self, site: Site, news: News) -> None:
        """Deliver an announcement to the other processes, late or never."""
        for other in self._sites:
            process = other.process
            if other is site or process is None or self._random.random() < self._plan.news_lost:
                continue
            at = self.scheduler.now + 0.01 + self._random.random() * self._plan.news_delay
            for listener in cast("SimCluster", process.cluster).listeners:
                self.scheduler.do(
                    _unless_dead(process, listener), news, at=at, origin=site, gate=process.gate
                )

    def _about_to_write(self, site: Site) -> None:
        site.requests += 1
        site.view.checked()
        for number, length in site.plan.freezes_before_requests:
            if number == site.requests and not self._are_faults_over:
                self._freeze(site, length)

    def _freeze(self, site: Site, length: float) -> None:
        process = site.process
        if process is None or process.gate.is_shut or self._are_faults_over:
            return
        self._trouble("freeze", site.plan.name, f"{length:.3f} s")
        process.gate.is_shut = True
        if site.plan.is_worker:
            site.view.frozen_until = math.inf
        self._at(self.scheduler.now + length, self._thaw, site, process)

    def _thaw(self, site: Site, process: ClusterProcess | AcceptingProcess) -> None:
        if not process.gate.is_shut or process.is_dead:
            return
        self._trouble("thaw", site.plan.name)
        if site.plan.is_worker:
            site.view.frozen_until = self.scheduler.now
        self.scheduler.open(process.gate)

    def _end_sessions(self, kind: str) -> None:
        """Let the server end sessions of processes that may live, or a pooler use other ones."""
        self._trouble(f"sessions end: {kind}")
        if kind == "server":
            self._database.start_again()
        elif kind == "pooler":
            self._database.pool_sessions()
        elif kind == "all":
            self._database.end_sessions()
        elif stores := [*dict.fromkeys(self._database.sessions.values())]:
            self._database.end_sessions(self._random.choice(stores))

    def _jump(self, site: Site, by: timedelta) -> None:
        self._trouble("jump", site.plan.name, f"{by.total_seconds():+g} s")
        site.clock.ahead += by

    def _kill_soon(self, site: Site, kill: Kill) -> None:
        step = self.scheduler.steps + kill.steps
        while step in self.scheduler.on_step:
            step += 1
        self.scheduler.on_step[step] = lambda: self._killed(site, kill)

    def _killed(self, site: Site, kill: Kill) -> None:
        if site.process is not None and not self._are_faults_over:
            self._trouble("kill", site.plan.name)
            self._gone(site, site.process, kill.away)

    def _stop(self, site: Site, stop: Stop) -> None:
        process = site.worker
        if process is not None:
            self._trouble("stop", site.plan.name)
            process.stop(stop, lambda: self._gone(site, process, stop.away))

    def _gone(
        self, site: Site, process: ClusterProcess | AcceptingProcess, away: float | None
    ) -> None:
        if process is not site.process:
            return
        self._trouble("gone", site.plan.name)
        self._kill(site)
        self._at(self.scheduler.now, self._bury)
        if away is not None:
            self._at(self.scheduler.now + away, self._start, site)

    def _kill(self, site: Site) -> None:
        process, site.process = site.process, None
        assert process is not None
        process.die()
        # It may be in the middle of a step of its own.
        self._dead.append(process)
        # A server that does not learn of the death keeps the session for long.
        noticed = self._sessions.choice(self._plan.deaths_noticed)
        self._at(self.scheduler.now + noticed, self._database.died, process.store)

    def _bury(self) -> None:
        dead, self._dead = self._dead, []
        for process in dead:
            process.bury()

    def _ask(self, request: Request) -> None:
        site = self._some_site()
        if site is None or (process := site.up) is None:
            self._at(self.scheduler.now + _ASKED_AGAIN, self._ask, request)
            return
        process.loop.create_task(
            site.customers.ask(
                request,
                store=process.store,
                queue=process.queue,
                batch_queue=process.batch_queue,
                is_there=lambda: not process.is_dead,
            )
        )

    def _replay(self) -> None:
        if (site := self._some_site()) is not None and (process := site.up) is not None:
            how = site.customers.replay_some(store=process.store, queue=process.queue)
            process.loop.create_task(how)

    def _discard(self) -> None:
        if (site := self._some_site()) is not None and (process := site.up) is not None:
            how = site.customers.discard_some(store=process.store, queue=process.queue)
            process.loop.create_task(how)

    def _pause(self, pause: PlannedPause) -> None:
        now = START + self.scheduler.elapsed
        lasts = timedelta(seconds=pause.lasts)
        until = now + lasts if pause.ends_by_itself else None
        self._set(pause.pattern, DestinationPause(now, until))
        if not pause.ends_by_itself:
            self._at(self.scheduler.now + pause.lasts, self._set, pause.pattern, None)

    def _set(self, pattern: str, pause: DestinationPause | None) -> None:
        """Let somebody pause destinations, or resume them, through any process."""
        self._wanted[pattern] = pause
        self._ask_for(pattern, pause)

    def _ask_for(self, pattern: str, pause: DestinationPause | None) -> None:
        """Ask for what somebody wants, again and again, unless they want something else by now."""
        if self._wanted[pattern] is not pause:
            return
        site = self._some_site()
        if site is None or (process := site.up) is None:
            self._at(self.scheduler.now + _ASKED_AGAIN, self._ask_for, pattern, pause)
            return
        stored = StoredDestinationSettings(
            sid="",
            owner=SettingsOwner.OPERATOR,
            account_sid=EVERY,
            pattern=pattern,
            pause=pause,
            date_updated=START + self.scheduler.elapsed,
        )

        def set_in(tx: Transaction) -> None:
            tx.destinations.save(stored)
            if isinstance(process, ClusterProcess):
                process.delivery.destinations.book.use_from(tx)

        async def save() -> None:
            try:
                await process.store.transact(set_in)
            except StoreUnavailable:
                self._at(self.scheduler.now + _ASKED_AGAIN, self._ask_for, pattern, pause)
                return
            self._trace.note(self.scheduler.now, "paused" if pause else "resumed", pattern)
            process.cluster.announce(News(has_changes=True))
            if (wanted := self._wanted[pattern]) is not pause:
                # This took so long that what is wanted by now may have been set before.
                self._ask_for(pattern, wanted)

        process.loop.create_task(save())

    def _some_site(self) -> Site | None:
        up = [site for site in self._sites if site.up is not None]
        return self._random.choice(up) if up else None

    # Probes.

    def _probe(self) -> None:
        """Check that nothing waits for no reason, and that shards of the dead are taken over."""
        now = self.scheduler.now
        are_frozen = any(site.process and site.process.gate.is_shut for site in self._sites)
        if are_frozen or self._database.is_troubled():
            self._troubled = now
        calm = now - self._troubled
        if calm > _TAKEN_OVER and any(site.worker for site in self._sites):
            self._check_owners()
        if calm > _KNOWN:
            self._check_books()
        if calm > _CALM and not self._plan.is_protected:
            self._check_waiting(calm - _CALM)
        else:
            self.watch.waiting = frozenset()
        if now < self._base.faults_last + 120.0:
            self._at(now + 1.0, self._probe)

    def _check_books(self) -> None:
        """Check that all workers know by now what is set for destinations."""
        since, revision = self.watch.destinations.last_change
        if self.scheduler.now - since <= _KNOWN:
            return
        for site in self._sites:
            worker = site.worker
            if worker and worker.delivery.destinations.book.revision < revision:
                self.watch.violated("shut", f"{site.plan.name} does not know revision {revision}")

    def _check_owners(self) -> None:
        leases = self._database.store.tables.callbacks.leases
        living = {site.view.identity() for site in self._sites if site.worker}
        now = self._database.now()
        # Shards may just have been given back.
        taken = [one for one in leases.owners.values() if one.process or one.open_until < now]
        owners = {one.process for one in taken}
        if foreign := owners - living:
            self.watch.violated("taken over", f"shards belong to {foreign}, not to {living}")

    def _check_waiting(self, calm: float) -> None:
        leases = self._database.store.tables.callbacks.leases
        workers = {site.view.identity(): site for site in self._sites if site.worker}
        waiting = set[str]()
        for sid, callback in self.watch.callbacks.items():
            due, turn = callback.progress.due, self.watch.turns.since(callback)
            owner = workers.get(leases.owners[shard_of(callback.url.destination)].process or "")
            if due is None or turn is None or owner is None or (worker := owner.worker) is None:
                continue
            since_saved = self.scheduler.now - max(self.watch.changed_at[sid], turn)
            overdue = owner.clock.now() - due
            late = min(overdue.total_seconds(), since_saved, calm)
            was_recent = overdue - timedelta(seconds=since_saved) < _RECENT
            if late > (_PROMPT if was_recent else _SWEPT) and not worker.delivery.under_way:
                waiting.add(sid)
                if sid in self.watch.waiting:
                    self.watch.violated("prompt", f"{sid} has been due for {overdue}")
        self.watch.waiting = frozenset(waiting)

    # The end.

    def _end_faults(self) -> None:
        self._are_faults_over = True
        self._trouble("all is well")
        self._database.is_sound = True
        self._names.is_sound = True
        self._machine.is_sound = True
        for receiver in self._receivers.values():
            receiver.is_healthy = True
        for pattern, pause in self._wanted.items():
            if pause is None:
                # The process that was asked to resume it may have been killed meanwhile.
                self._ask_for(pattern, pause)
        for site in self._sites:
            if site.process is None:
                self._at(self.scheduler.now + 0.5, self._start, site)
            else:
                self._thaw(site, site.process)

    def _run_until_idle(self) -> None:
        step, now = 1.0, self.scheduler.now
        until = now + longest_wait(self._base) + 60.0 + _PROBES * self._plan.is_protected
        last = max(now, *(request.at for request in self._base.requests)) + 5.0
        while self.scheduler.now < until and not self.scheduler.is_stopped:
            if self.scheduler.now > max(last, self._database.troubled) and self._is_idle():
                # Nothing more may happen.
                self.scheduler.run(self.scheduler.now + 20.0)
                if self._is_idle():
                    return
            self.scheduler.run(self.scheduler.now + step)
            step = min(step * 1.5, 600.0)

    def _is_idle(self) -> bool:
        has_ended = all(one.progress.is_ended for one in self.watch.callbacks.values())
        workers = [site.worker for site in self._sites if site.plan.is_worker]
        return has_ended and all(worker is not None and worker.is_idle for worker in workers)

    def _judge(self) -> None:
        self.watch.conclude()
        workers = [site for site in self._sites if site.plan.is_worker]
        for site in workers:
            if (worker := site.worker) is None:
                self.watch.violated("sound", f"{site.plan.name} is not running any more")
            elif not worker.is_idle:
                counts = f"{worker.delivery.under_way} and {worker.delivery.unfinished}"
                self.watch.violated("idle", f"{site.plan.name}: {counts} in flight and unfinished")
            elif worker.open_connections:
                self.watch.violated("idle", f"{site.plan.name} has open connections")
        tables = self._database.store.tables.callbacks
        if tables.runs:
            self.watch.violated("idle", f"attempts are open: {tables.runs}")
        counted = sum(self._counters.endings.values())
        if counted > self.watch.endings:
            self.watch.violated("counted", f"{counted} endings instead of {self.watch.endings}")
        self._check_owners()
        if any(not tables.leases.owned_by(site.view.identity()) for site in workers):
            self.watch.violated("idle", "a worker has no shards")


def _unless_dead(
    process: ClusterProcess | AcceptingProcess, listener: Callable[[News], None]
) -> Callable[[News], None]:
    def listen(news: News) -> None:
        if not process.is_dead:
            listener(news)

    return listen


@contextmanager
def _noting_renders(world: ClusterWorld) -> Iterator[None]:
    render = callback_sender.render

    def noted(callback: CallbackRecord, **how: Any) -> OutgoingRequest:
        world.rendered(callback)
        return render(callback, **how)

    with patch.object(callback_sender, "render", noted):
        yield


def run(seed: int, plan_of: Callable[[int], ClusterPlan] = plan_of) -> ClusterResult:
    """Run the world of a seed."""
    plan = plan_of(seed)
    with in_silence(), made_small(plan.base.bounds):
        world = ClusterWorld(plan)
        with _noting_renders(world):
            return world.run()
