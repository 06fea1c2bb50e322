"""The store of a simulation: the real committer on a database of the simulation.

Two steps of the scheduler replace the committing thread: one does the work and another, some time
later, makes it durable. A process that dies in between has never committed; one that dies
afterwards never learns that it has. The more work, the later the second step.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.sqlite.group_commit import CommitJob, GroupCommitter
from tests.fakes import VAULT
from tests.simulation.database import Database
from tests.simulation.loop import SimLoop

T = TypeVar("T")


class _Entry(NamedTuple):
    job: CommitJob
    ended: asyncio.Future[None]


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
        self._reported = 0.0

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        entry = _Entry(CommitJob(work), self._loop.create_future())
        self._entries.append(entry)
        self._go_on()
        await entry.ended
        if entry.job.failure is not None:
            raise entry.job.failure
        return entry.job.result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)

    def close(self) -> None:
        self._is_closed = True

    def _go_on(self) -> None:
        if self._entries and not self._is_busy:
            self._is_busy = True
            self._later(self._work, self._about(0.0001))

    def _about(self, seconds: float) -> float:
        return seconds * self._database.random.uniform(0.2, 1.8)

    def _later(self, step: Callable[..., None], seconds: float, *args: Any) -> None:
        at = self._scheduler.now + seconds
        self._scheduler.do(step, *args, at=at, origin=self, gate=self._loop.gate)

    def _work(self) -> None:
        if self._is_dead():
            return
        took = 0.0
        most = self._database.plan.bounds.jobs_in_a_commit
        taken, self._entries = self._entries[:most], self._entries[most:]
        entries = [entry for entry in taken if not entry.ended.cancelled()]
        if entries:
            # The real one works in a thread, where there is no running loop.
            asyncio._set_running_loop(None)
            with self._database.working():
                self._committer.commit([entry.job for entry in entries])
            asyncio._set_running_loop(self._loop)
            took = self._database.took
        commit = self._about(self._database.plan.commit_seconds)
        self._later(self._commit, took + commit, entries)

    def _commit(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        self._database.commit()
        self._is_busy = False
        self._go_on()
        if entries:
            # As with the real store, results are reported in the order of the commits.
            at = max(self._reported, self._scheduler.now + self._database.random.random() * 0.001)
            self._reported = at
            self._scheduler.do(self._report, entries, at=at, origin=self, gate=self._loop.gate)

    def _report(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        for job, ended in entries:
            job.end()
            if not ended.done():
                ended.set_result(None)
