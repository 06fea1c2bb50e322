"""One run: a world built from its plan, everything that happens in it, and the verdict."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final, cast
from unittest.mock import patch

from ringback.core.accounts.account import Account
from ringback.delivery import batch_ingestion as batch_queue_module
from ringback.delivery import due_callbacks as due_callbacks_module
from ringback.delivery import fair_scheduler as scheduler_module
from ringback.ports import SoleProcess
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from tests.fakes import VAULT, an_account
from tests.simulation.customers import Customers
from tests.simulation.database import Database
from tests.simulation.invariants import Violated
from tests.simulation.isolation import worse
from tests.simulation.loop import SimClock
from tests.simulation.names import Names
from tests.simulation.plan import FAULTS_LAST, Bounds, Plan, Request, Stop
from tests.simulation.process import Process
from tests.simulation.receivers import Receiver
from tests.simulation.scheduler import Scheduler
from tests.simulation.seeds import plan_of
from tests.simulation.shortage import Machine
from tests.simulation.store import SimStore
from tests.simulation.trace import Trace
from tests.simulation.watch import Watch

_MOST_STEPS: Final = 20_000
"""The maximum number of steps: a run takes some thousands, so one that takes more is spinning."""
_MOST_STEPS_EACH: Final = 200
"""Additional steps for each callback."""
_ASKED_AGAIN: Final = 0.3
"""Seconds after which customers try again if no process is listening."""
_PROBED_FOR: Final = FAULTS_LAST + 60.0
_SLACK: Final = 180.0
"""Seconds that everything may take, beyond the waits that were asked for."""
_ASTRAY: Final = timedelta(days=1)


class SimRandomness:
    """Implements `ports.RandomSource` with the seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run."""

    seed: int
    violated: Violated | None
    steps: int
    requests: int
    virtual_seconds: float
    trace: Trace
    waits: dict[str, list[float]]
    """How long quiet accounts waited until requests were acknowledged, and until they left."""


class World:
    """The state of one run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._trace = Trace()
        self._violated: Violated | None = None
        self._scheduler = Scheduler(
            self._random("order"), order=plan.order, tick=plan.tick, stalls=plan.stalls
        )
        self._clock = SimClock(self._scheduler)
        self._random_source = SimRandomness(self._random("chance"))
        self._database = Database(self._scheduler, self._random("database"), plan, self._trace)
        self._machine = Machine(plan, self._scheduler, self._random("machine"), self._trace)
        self._names = Names(plan, self._scheduler, self._random("names"), self._machine)
        self._network_random = self._random("network")
        self._receivers = receivers_of(plan)
        self._watch = Watch(
            database=self._database,
            machine=self._machine,
            trace=self._trace,
            bounds=plan.bounds,
            now=lambda: self._scheduler.now,
            clock=self._clock.now,
            fair_to=frozenset(f"AC{number:032}" for number in plan.fair_to),
            on_violation=self._on_violation,
            sees_all=not plan.has_many,
            healthy=frozenset(
                f"{place.scheme}://{place.host}:{place.port}"
                for place in plan.places
                if place.character == "healthy"
            ),
        )
        self._accounts = accounts_of(plan)
        self._keep(self._accounts)
        self._database.on_durable = self._watch.durable
        self._database.on_runaway = self._runs_away
        self._customers = Customers(
            plan=plan,
            accounts=self._accounts,
            watch=self._watch,
            random=self._random("customers"),
            clock=self._clock,
            random_source=self._random_source,
        )
        self._process: Process | None = None
        self._dead = list[Process]()
        """Dead processes that are not cleaned up yet."""
        self._lives = 0
        self._crashes = list(plan.crashes)
        self._deaths = list(plan.deaths)
        self._are_faults_over = False
        asked = sum(len(request.callbacks) for request in plan.requests)
        self._most_steps = _MOST_STEPS + asked * _MOST_STEPS_EACH

    def run(self) -> Result:
        """Let everything happen, and return the verdict."""
        self._begin()
        self._scheduler.run(self._plan.faults_last)
        self._end_faults()
        self._run_until_idle()
        if self._violated is None:
            self._judge()
        if self._process is not None:
            self._process.die()
            self._dead.append(self._process)
        self._bury()
        self._database.close()
        return Result(
            self._plan.seed,
            self._violated,
            self._scheduler.steps,
            len(self._watch.sent),
            self._scheduler.now,
            self._trace,
            self._watch.waits,
        )

    def _random(self, whose: str) -> Random:
        return random_of(self._plan, whose)

    def _on_violation(self, violated: Violated) -> None:
        self._violated = self._violated or violated
        self._scheduler.is_stopped = True

    def _keep(self, accounts: list[Account]) -> None:
        job = CommitJob(lambda tx: [tx.accounts.add(account, []) for account in accounts])
        GroupCommitter(cast("sqlite3.Connection", self._database), VAULT).commit([job])
        assert job.failure is None
        self._database.commit()

    # Faults, and customers.

    def _begin(self) -> None:
        self._database.is_sound = False
        self._scheduler.on_step[self._most_steps] = self._spins
        self._start()
        for request in self._plan.requests:
            self._at(request.at, self._ask, request)
        for at in self._plan.replays:
            self._at(at, self._replay)
        for at in self._plan.discards:
            self._at(at, self._discard)
        for stop in self._plan.stops:
            self._at(stop.at, self._stop, stop)
        for begins, ends in self._plan.freezes:
            self._at(begins, self._freeze, ends)
        for at, by in self._plan.jumps:
            self._scheduler.do(self._jump, by, at=at, origin=self._clock)
        self._at(1.0, self._probe)

    def _at(self, when: float, action: Callable[..., None], *args: object) -> None:
        self._scheduler.do(action, *args, at=when, origin=object())

    def _start(self) -> None:
        self._lives += 1
        self._database.lose()
        self._process = process = Process(
            number=self._lives,
            plan=self._plan,
            scheduler=self._scheduler,
            random=self._network_random,
            connect=self._connect,
            was_away=lambda: self._database.was_away,
            receivers=self._receivers,
            names=self._names,
            machine=self._machine,
            clock=self._clock,
            random_source=self._random_source,
            watch=self._watch,
            died=lambda: self._start_again(process, self._a_while()),
        )
        if not self._are_faults_over:
            if self._crashes:
                step = self._scheduler.steps + self._crashes.pop(0)
                self._scheduler.on_step[step] = lambda: self._crash(process)
            if self._deaths:
                process.is_to_die_at = self._deaths.pop(0)
        process.start(lambda: self._start_again(process, 1.0))

    def _connect(self, process: Process) -> tuple[SimStore, SoleProcess]:
        return SimStore(self._database, process.loop, lambda: process.is_dead), SoleProcess()

    def _crash(self, process: Process) -> None:
        if process is self._process and not self._are_faults_over and not process.is_dead:
            self._trace.note(self._scheduler.now, "crash")
            self._start_again(process, self._a_while())

    def _start_again(self, process: Process, after: float) -> None:
        if process is not self._process:
            return
        self._process = None
        process.die()
        self._database.lose()
        # It may be in the middle of a step of its own.
        self._dead.append(process)
        self._at(self._scheduler.now, self._bury)
        self._at(self._scheduler.now + after, self._start)

    def _bury(self) -> None:
        dead, self._dead = self._dead, []
        for process in dead:
            process.bury()

    def _a_while(self) -> float:
        return self._network_random.choice((0.0, 0.5, 5.0))

    def _stop(self, stop: Stop) -> None:
        process = self._process
        if process is not None and process.is_ready and not process.is_dead:
            process.stop(stop, lambda: self._start_again(process, stop.away))

    def _jump(self, by: timedelta) -> None:
        self._trace.note(self._scheduler.now, "jump", f"{by.total_seconds():+g} s")
        self._clock.ahead += by

    def _freeze(self, until: float) -> None:
        process = self._process
        if process is not None and not process.gate.is_shut:
            self._trace.note(self._scheduler.now, "freeze")
            process.gate.is_shut = True
            self._at(until, self._thaw, process)

    def _thaw(self, process: Process) -> None:
        if process.gate.is_shut:
            self._trace.note(self._scheduler.now, "thaw")
            self._scheduler.open(process.gate)

    def _ask(self, request: Request) -> None:
        process = self._up()
        if process is None:
            if not self._are_faults_over:
                self._at(self._scheduler.now + _ASKED_AGAIN, self._ask, request)
            return
        process.loop.create_task(
            self._customers.ask(
                request,
                store=process.store,
                queue=process.delivery.queue,
                batch_queue=process.batch_queue,
                is_there=lambda: process.number == self._watch.life,
            )
        )

    def _replay(self) -> None:
        if (process := self._up()) is not None:
            store, queue = process.store, process.delivery.queue
            process.loop.create_task(self._customers.replay_some(store=store, queue=queue))

    def _discard(self) -> None:
        if (process := self._up()) is not None:
            store, queue = process.store, process.delivery.queue
            process.loop.create_task(self._customers.discard_some(store=store, queue=queue))

    def _probe(self) -> None:
        """Check that nothing waits for no reason; a changed clock or a stall is a reason."""
        process, plan = self._up(), self._plan
        may_be_late = plan.jumps or plan.stalls or plan.freezes
        if process and not process.delivery.under_way and not may_be_late:
            self._watch.probe(process.ready_since)
        if self._scheduler.now < _PROBED_FOR:
            self._at(self._scheduler.now + 1.0, self._probe)

    def _up(self) -> Process | None:
        process = self._process
        return process if process and process.is_ready and not process.is_dead else None

    def _spins(self) -> None:
        self._watch.violated("lively", f"{self._most_steps} steps were taken")

    def _runs_away(self) -> None:
        self._watch.violated("apart", "a commit that does not end keeps all others waiting")

    # The end.

    def _end_faults(self) -> None:
        self._are_faults_over = True
        self._trace.note(self._scheduler.now, "all is well")
        self._scheduler.may_stall = False
        self._database.is_sound = True
        self._names.is_sound = True
        self._machine.is_sound = True
        for receiver in self._receivers.values():
            receiver.is_healthy = True
        if self._process is not None:
            self._process.is_to_die_at = None

    def _run_until_idle(self) -> None:
        step = 1.0
        until = self._scheduler.now + longest_wait(self._plan)
        while self._scheduler.now < until and not self._scheduler.is_stopped:
            if self._is_idle():
                # Nothing more may happen, except what a customer still asks for.
                self._scheduler.run(self._scheduler.now + 90.0)
                if self._is_idle():
                    return
            self._scheduler.run(self._scheduler.now + step)
            step = min(step * 1.5, 600.0)

    def _is_idle(self) -> bool:
        process = self._up()
        return process is not None and self._watch.has_ended() and process.is_idle

    def _judge(self) -> None:
        self._watch.conclude()
        process = self._up()
        if process is None:
            self._watch.violated("sound", "the engine is not running any more")
        elif not process.is_idle:
            counts = f"{process.delivery.under_way} and {process.delivery.unfinished}"
            self._watch.violated("idle", f"{counts} count as in flight and unfinished")
        elif process.open_connections:
            self._watch.violated("idle", f"{process.open_connections} connections are open")


def random_of(plan: Plan, whose: str) -> Random:
    """Return the source of randomness of one part of a world."""
    return Random(f"{whose} {plan.seed}")


def accounts_of(plan: Plan) -> list[Account]:
    """Return the accounts of a world."""
    return [
        an_account(sid=f"AC{number:032}", schedule=schedule)
        for number, schedule in enumerate(plan.account_schedules)
    ]


def receivers_of(plan: Plan) -> dict[tuple[str, int], Receiver]:
    """Return the receivers of a world by their addresses; one may have several."""
    receivers = dict[tuple[str, int], Receiver]()
    for place in plan.places:
        random = random_of(plan, f"receiver {place.host}")
        receiver = Receiver(place.host, place.character, random)
        receivers |= {(address, place.port): receiver for address in place.addresses}
    return receivers


def longest_wait(plan: Plan) -> float:
    """Return how many seconds everything may take once the faults are over."""
    schedules = [plan.schedule, *filter(None, plan.account_schedules)]
    waits = [wait.total_seconds() for one in schedules for wait in one.waits[:3]]
    # Callbacks planned by a wrong clock are due again once the clock is corrected.
    jumps = sum(abs(by.total_seconds()) for _, by in plan.jumps if abs(by) < _ASTRAY)
    return max([*waits, 300.0]) * 1.2 + jumps + _SLACK


@contextmanager
def made_small(bounds: Bounds) -> Iterator[None]:
    """Make the engine's own constants small, so that rare events become frequent."""
    small = (
        (scheduler_module, "_CLAIMED_AT_ONCE", bounds.claimed_at_once),
        (due_callbacks_module, "_PLANNED_ANEW_AT_ONCE", bounds.claimed_at_once),
        (batch_queue_module, "_FEW", min(bounds.claimed_at_once, batch_queue_module._FEW)),
        (batch_queue_module, "_MANY", min(bounds.claimed_at_once, batch_queue_module._MANY)),
        (scheduler_module, "_FIRST_WINDOW", bounds.first_window),
        (scheduler_module, "_MOST_IDLE", bounds.most_idle_lanes),
    )
    with ExitStack() as constants:
        for module, name, value in small:
            constants.enter_context(patch.object(module, name, value))
        yield


def run(seed: int) -> Result:
    """Run the world of a seed and, if it has one, its calm version, to compare the two."""
    plan = plan_of(seed)
    with in_silence(), made_small(plan.bounds):
        result = World(plan).run()
        if plan.calm is not None and result.violated is None:
            what = worse(result.waits, World(plan.calm).run().waits)
            result = replace(result, violated=Violated("apart", what) if what else None)
        return result


@contextmanager
def in_silence() -> Iterator[None]:
    """Log nothing, and leave no event loop behind."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        asyncio._set_running_loop(None)
