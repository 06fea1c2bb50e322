"""The store of a simulation: the real committer on a database of the simulation.

Steps of the scheduler replace the committing thread: one does the work and another, some time
later, makes it durable. A process that dies in between has never committed; one that dies
afterwards never learns that it has. The more work, the later the second step. Quick work is done in
a step of the event loop before that, and its COMMIT can still fail in the step of the thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from tests.fakes import VAULT
from tests.simulation.database import Database
from tests.simulation.loop import SimLoop

T = TypeVar("T")


class _Entry(NamedTuple):
    job: CommitJob
    ended: asyncio.Future[None]
    is_quick: bool


class SimStore:
    """Implements `ports.Store` for one process, with group commits like `SqliteStore`."""

    def __init__(self, database: Database, loop: SimLoop, is_dead: Callable[[], bool]) -> None:
        self._database = database
        self._scheduler = database.scheduler
        self._loop = loop
        self._is_dead = is_dead
        self._committer = GroupCommitter(cast("sqlite3.Connection", database), VAULT)
        self._entries = list[_Entry]()
        self._is_busy = False
        self._is_closed = False

    async def transact(
        self, work: Callable[[Transaction], T], *, is_quick: bool = False, may_wait: bool = False
    ) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        entry = _Entry(CommitJob(work), self._loop.create_future(), is_quick)
        self._entries.append(entry)
        self._later(self._begin, self._about(0.005 if may_wait else 0.0001))
        await entry.ended
        if entry.job.failure is not None:
            raise entry.job.failure
        return entry.job.result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)

    def close(self) -> None:
        self._is_closed = True

    def _about(self, seconds: float) -> float:
        return seconds * self._database.random.uniform(0.2, 1.8)

    def _later(self, step: Callable[..., None], seconds: float, *args: Any) -> None:
        at = self._scheduler.now + seconds
        self._scheduler.do(step, *args, at=at, origin=self, gate=self._loop.gate)

    def _begin(self) -> None:
        """Begin a commit of the waiting jobs, unless there is one already."""
        if self._is_dead() or self._is_busy or not self._entries:
            return
        self._is_busy = True
        most = self._database.plan.bounds.jobs_in_a_commit
        taken, self._entries = self._entries[:most], self._entries[most:]
        entries = [entry for entry in taken if not entry.ended.cancelled()]
        is_quick = bool(entries) and all(entry.is_quick for entry in entries)
        is_prepared = is_quick and self._prepare([entry.job for entry in entries])
        self._later(self._work, self._about(0.0001), entries, is_prepared)

    def _prepare(self, jobs: list[CommitJob]) -> bool:
        """Do the work here, where the event loop waits for it; False if the thread has to do it."""
        if self._database.random.random() < 0.1:
            # As if the thread were using the connection.
            return False
        with self._database.working():
            is_prepared = self._committer.try_to_prepare(jobs)
        self._scheduler.now += self._database.took
        return is_prepared

    def _work(self, entries: list[_Entry], is_prepared: bool) -> None:
        if self._is_dead():
            return
        took = 0.0
        if entries:
            # The real one works in a thread, where there is no running loop.
            asyncio._set_running_loop(None)
            with self._database.working():
                self._committer.commit([entry.job for entry in entries], is_prepared=is_prepared)
            asyncio._set_running_loop(self._loop)
            took = self._database.took
        commit = self._about(self._database.plan.commit_seconds)
        self._later(self._commit, took + commit, entries)

    def _commit(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        self._database.commit()
        self._later(self._report, self._database.random.random() * 0.001, entries)

    def _report(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        self._is_busy = False
        for job, ended, _ in entries:
            job.end()
            if not ended.done():
                ended.set_result(None)
        self._later(self._begin, self._about(0.0001))
