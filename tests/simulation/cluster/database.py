"""The store that the processes of a simulation share, and the announcements between them.

A process has four connections to it: for quick work, for other work, for its leases, and to read.
On each, transactions follow one another. A transaction's work is done in a step of the process. Its
commit is then durable at once or, if it is slow, up to 30 s later; until then the rows that it has
changed are locked, and it becomes durable even if its process is dead by then. The answer may take
as long, also that to a read, which has no commit. A process whose connection is cut waits until it
knows whether a commit has succeeded, so none is reported as failed that has.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import Any, Final, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.postgres.lease_sessions import LeaseSession
from tests.memory_store import MemoryStore
from tests.memory_store.store import BegunTransaction, MemoryProcessStore
from tests.simulation.cluster.plan import ClusterPlan, Cut
from tests.simulation.loop import START, SimLoop
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

T = TypeVar("T")
_SLOW: Final = 30.0
"""The most seconds that a commit may take."""
_LOCKED_FOR: Final = 0.05
"""Seconds after which a transaction tries again that waits for a locked row."""


class SharedDatabase:
    """The database server."""

    def __init__(
        self, plan: ClusterPlan, scheduler: Scheduler, random: Random, trace: Trace
    ) -> None:
        self.scheduler = scheduler
        self.random = random
        self.trace = trace
        self.plan = plan
        self.is_sound = False
        """True once no more faults are planned."""
        self.on_durable: Callable[[], None] = lambda: None
        self.troubled = 0.0
        """When the last slow transaction ends."""
        self.was_away = -1.0
        """When a transaction last failed."""
        self.store = MemoryStore(now=self.now)
        self.server = 1
        """How often the server has been started, or another one has taken its place."""
        self.sessions = dict[int, SharedStore]()
        """The sessions that hold a lock, by its key."""
        self.pooled = set[int]()
        """Those that a pooler does not give to their processes any more."""
        self._keys = count(1)

    def now(self) -> datetime:
        """Return the time by the store's own clock, which decides about leases."""
        return START + self.plan.store_ahead + self.scheduler.elapsed

    def begin_session(self, of: "SharedStore") -> LeaseSession:
        key = next(self._keys)
        self.sessions[key] = of
        return LeaseSession(key, START.replace(microsecond=self.server))

    def end_sessions(self, of: "SharedStore | None" = None) -> None:
        """End the sessions of a process, or all."""
        ended = [key for key, one in self.sessions.items() if of in (None, one)]
        for key in ended:
            del self.sessions[key]

    def pool_sessions(self) -> None:
        """Let a pooler have other sessions answer the processes from now on."""
        self.pooled.update(self.sessions)

    def died(self, process: "SharedStore") -> None:
        """End the sessions that were those of a process alone: a pooler keeps the others."""
        kept = {key: one for key, one in self.sessions.items() if key in self.pooled}
        self.end_sessions(process)
        self.sessions |= kept

    def start_again(self) -> None:
        self.end_sessions()
        self.server += 1

    def has_ended(self, key: int, server: int) -> bool:
        """Return True if this server has had the session, and has it no more."""
        return server == self.server and key not in self.sessions

    def cut(self, partitions: tuple[Cut, ...]) -> Cut | None:
        """Return what keeps a process from the store at this moment, or None."""
        now = self.scheduler.now
        cuts = (*self.plan.outages, *partitions)
        current = [cut for cut in cuts if cut.begins <= now < cut.ends]
        return max(current, key=lambda cut: cut.ends, default=None)

    def is_troubled(self) -> bool:
        """Return True if a process can't reach the store, or if a commit is slow."""
        now = self.scheduler.now
        cuts = [*self.plan.outages, *(cut for one in self.plan.processes for cut in one.partitions)]
        return now <= self.troubled or any(cut.begins <= now <= cut.ends for cut in cuts)

    def commit_takes(self) -> float:
        """Return the seconds that a commit takes; zero unless it is slow."""
        if self.is_sound or self.random.random() >= self.plan.slow_commits:
            return 0.0
        return self.random.choice((0.1, 3.0, _SLOW)) * self.random.random()

    def answer_takes(self) -> float:
        """Return the seconds until a process knows that its commit has succeeded."""
        if self.is_sound or self.random.random() >= self.plan.slow_answers:
            return 0.001
        takes = self.random.choice((0.1, 3.0, _SLOW)) * self.random.random()
        # The step that reports it may take half as long again.
        self.troubled = max(self.troubled, self.scheduler.now + 1.5 * takes)
        return takes

    def finish(self, begun: BegunTransaction[Any]) -> None:
        """Make a transaction durable."""
        self.store.finish(begun)
        self.on_durable()


@dataclass(eq=False)
class _Job:
    work: Callable[[Transaction], Any]
    ended: asyncio.Future[Any]


@dataclass(eq=False)
class _Connection:
    waiting: deque[_Job] = field(default_factory=deque[_Job])
    is_busy: bool = False


class SharedStore(MemoryProcessStore):
    """Implements `ports.Store` for one process, with the faults of its connections."""

    def __init__(
        self,
        database: SharedDatabase,
        name: str,
        *,
        partitions: tuple[Cut, ...],
        loop: SimLoop,
        is_dead: Callable[[], bool],
    ) -> None:
        super().__init__(database.store, name)
        self._database = database
        self._partitions = partitions
        self._loop = loop
        self._is_dead = is_dead
        self._quick, self._other, self._leasing, self._reading = (_Connection() for _ in range(4))
        self._listening = _Connection()
        self.has_ended = database.has_ended
        self._is_closed = False

    async def transact(
        self,
        work: Callable[[Transaction], T],
        *,
        is_quick: bool = False,
        may_wait: bool = False,
        **how: bool,
    ) -> T:
        return await self._run(self._quick if is_quick else self._other, work)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self._run(self._reading, work)

    async def begin_session(self) -> LeaseSession:
        """Begin a session that holds a lock."""
        return await self._run(self._listening, lambda _: self._database.begin_session(self))

    async def is_in_session(self, session: LeaseSession) -> bool:
        """Ask whether this very session answers: a pooler may pass the question to another one."""
        there = self._database.sessions.keys() - self._database.pooled
        return await self._run(self._listening, lambda _: session.key in there)

    def is_pooled(self, session: LeaseSession) -> bool:
        return session.key in self._database.pooled

    async def _change_leases(self, work: Callable[[Transaction], T]) -> T:
        return await self._run(self._leasing, work)

    def close(self) -> None:
        self._is_closed = True

    async def _run(self, connection: _Connection, work: Callable[[Transaction], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        job = _Job(work, self._loop.create_future())
        connection.waiting.append(job)
        if not connection.is_busy:
            self._later(0.0001, self._begin, connection)
            connection.is_busy = True
        return await job.ended

    def _later(self, seconds: float, step: Callable[..., None], *args: Any) -> None:
        """Do a step of this process, after about this time."""
        at = self._database.scheduler.now + seconds * self._database.random.uniform(0.5, 1.5)
        self._database.scheduler.do(step, *args, at=at, origin=self, gate=self._loop.gate)

    def _begin(self, connection: _Connection) -> None:
        if self._is_dead():
            return
        cut = self._database.cut(self._partitions)
        if cut is None:
            self._work(connection)
        elif cut.hangs:
            left = cut.ends - self._database.scheduler.now
            self._database.scheduler.do(
                self._begin,
                connection,
                at=self._database.scheduler.now + left,
                origin=self,
                gate=self._loop.gate,
            )
        else:
            database = self._database
            database.was_away = database.scheduler.now
            self._later(0.01, self._fail, connection, connection.waiting.popleft())

    def _fail(self, connection: _Connection, job: _Job) -> None:
        if not job.ended.done():
            job.ended.set_exception(StoreUnavailable("the database can't be reached"))
        self._go_on(connection)

    def _work(self, connection: _Connection) -> None:
        store, job = self._database.store, connection.waiting[0]
        if job.ended.cancelled():
            connection.waiting.popleft()
            self._go_on(connection)
            return
        try:
            begun = store.begin(job.work, self.id)
        except Exception as failure:  # noqa: BLE001 (the caller gets it)
            connection.waiting.popleft()
            job.ended.set_exception(failure)
            self._go_on(connection)
            return
        if store.is_held(begun):
            for ending in begun.endings:
                ending.undone()
            self._later(_LOCKED_FOR, self._begin, connection)
            return
        connection.waiting.popleft()
        only_reads = connection in (self._reading, self._listening)
        takes = 0.0 if only_reads else self._database.commit_takes()
        if takes:
            self._commit_later(connection, job, begun, takes)
        else:
            self._database.finish(begun)
            self._later(self._database.answer_takes(), self._report, connection, job, begun)

    def _commit_later(
        self, connection: _Connection, job: _Job, begun: BegunTransaction[Any], takes: float
    ) -> None:
        database, release = self._database, self._database.store.hold(begun)
        database.trace.note(database.scheduler.now, "slow commit", self.id, f"{takes:.3f} s")

        def commit() -> None:
            release()
            database.finish(begun)
            self._later(0.001, self._report, connection, job, begun)

        database.troubled = max(database.troubled, database.scheduler.now + takes)
        database.scheduler.do(commit, at=database.scheduler.now + takes, origin=job)

    def _report(self, connection: _Connection, job: _Job, begun: BegunTransaction[Any]) -> None:
        if self._is_dead():
            return
        cut = self._database.cut(self._partitions)
        if cut is not None:
            # Nobody knows yet whether it has been committed.
            at = cut.ends + 0.001
            self._database.scheduler.do(
                self._report, connection, job, begun, at=at, origin=self, gate=self._loop.gate
            )
            return
        for ending in begun.endings:
            ending.durable()
        if not job.ended.done():
            job.ended.set_result(begun.result)
        self._go_on(connection)

    def _go_on(self, connection: _Connection) -> None:
        connection.is_busy = bool(connection.waiting)
        if connection.waiting:
            self._later(0.0001, self._begin, connection)
