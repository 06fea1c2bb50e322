"""The store of a simulation: the real committer on a real SQLite database in memory.

The database outlives the processes. In the place of the thread that commits there are two steps of
the scheduler, one that does the work and one, some time later, that makes it durable: a process
that dies in between has never committed, one that dies afterwards never hears that it has.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple, TypeVar, cast

from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.sqlite.committer import Committer, Job
from ringback.stores.sqlite.store import connect
from tests.fakes import VAULT
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

T = TypeVar("T")

_COMPLAINTS: Final = {
    "locked": "database is locked",
    "broken": "disk I/O error",
    "full": "database or disk is full",
}


@cache
def _template() -> sqlite3.Connection:
    return connect(":memory:", VAULT)


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
    _template().backup(connection)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Database:
    """The file: a connection that fails as planned, and puts each COMMIT off."""

    def __init__(self, scheduler: Scheduler, random: Random, plan: Plan, trace: Trace) -> None:
        self.scheduler = scheduler
        self.random = random
        self.trace = trace
        self.plan = plan
        self.connection = _empty()
        self.is_sound = True
        """Whether nothing goes wrong with it any more."""
        self.on_durable: Callable[[], None] = lambda: None
        self.was_away = -1.0
        """When a commit failed for the last time."""
        self._is_put_off = False
        self._fault: str | None = None
        self._statements_left = 0
        self._changes = self.connection.total_changes

    # What the committer calls.

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction and not self._is_put_off

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if statement == "BEGIN IMMEDIATE":
            self.commit()
            self._fault = self._choose_fault()
            self._fail_if(self._fault == "locked")
        elif statement == "COMMIT":
            self._fail_if(self._fault == "full")
            self._is_put_off = True
            return self.connection.cursor()
        elif self._fault == "broken" and not statement.startswith(("ROLLBACK", "RELEASE")):
            self._statements_left -= 1
            self._fail_if(self._statements_left < 0)
        return self.connection.execute(statement, values)

    def close(self) -> None:
        self.connection.close()

    # What the world does.

    def read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        cursor = self.connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values).fetchall()

    def commit(self) -> None:
        """Make durable what was put off."""
        if self._is_put_off:
            self._is_put_off = False
            self.connection.execute("COMMIT")
            if self._changes != self.connection.total_changes:
                self._changes = self.connection.total_changes
                self.on_durable()

    def lose(self) -> None:
        """Undo what is not durable."""
        self._is_put_off = False
        self._fault = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _choose_fault(self) -> str | None:
        if self.is_sound:
            return None
        now = self.scheduler.now
        is_away = any(begin <= now < end for begin, end in self.plan.outages)
        if not is_away and self.random.random() >= self.plan.failing_commits:
            return None
        self._statements_left = self.random.randrange(8)
        return self.random.choice(tuple(_COMPLAINTS))

    def _fail_if(self, fails: bool) -> None:
        if fails:
            fault, self._fault = self._fault, None
            assert fault is not None
            self.was_away = self.scheduler.now
            self.trace.note(self.scheduler.now, "store fails", fault)
            if fault != "locked" and self.random.random() < 0.3:
                # SQLite rolls back by itself after some errors.
                self.connection.execute("ROLLBACK")
            raise sqlite3.OperationalError(_COMPLAINTS[fault])


class _Entry(NamedTuple):
    job: Job
    ended: asyncio.Future[None]


class SimStore:
    """Answers `ports.Store` for one process, in groups as `SqliteStore` does."""

    def __init__(
        self, database: Database, loop: asyncio.AbstractEventLoop, is_dead: Callable[[], bool]
    ) -> None:
        self._database = database
        self._scheduler = database.scheduler
        self._loop = loop
        self._is_dead = is_dead
        self._committer = Committer(cast("sqlite3.Connection", database), VAULT)
        self._entries = list[_Entry]()
        self._is_busy = False
        self._is_closed = False
        self._reported = 0.0

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work in the next commit; see `ports.Store`."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        entry = _Entry(Job(work), self._loop.create_future())
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
            self._later(self._work, 0.0001)

    def _later(self, step: Callable[..., None], seconds: float, *args: Any) -> None:
        at = self._scheduler.now + seconds * self._database.random.uniform(0.2, 1.8)
        self._scheduler.do(step, *args, at=at, origin=self)

    def _work(self) -> None:
        if self._is_dead():
            return
        most = self._database.plan.bounds.jobs_in_a_commit
        taken, self._entries = self._entries[:most], self._entries[most:]
        entries = [entry for entry in taken if not entry.ended.cancelled()]
        if entries:
            # The real one works in a thread, where there is no running loop.
            asyncio._set_running_loop(None)
            self._committer.commit([entry.job for entry in entries])
            asyncio._set_running_loop(self._loop)
        self._later(self._commit, self._database.plan.commit_seconds, entries)

    def _commit(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        self._database.commit()
        self._is_busy = False
        self._go_on()
        if entries:
            # As the real one's: reports come in the order of their commits.
            at = max(self._reported, self._scheduler.now + self._database.random.random() * 0.001)
            self._reported = at
            self._scheduler.do(self._report, entries, at=at, origin=self)

    def _report(self, entries: list[_Entry]) -> None:
        if self._is_dead():
            return
        for job, ended in entries:
            job.end()
            if not ended.done():
                ended.set_result(None)
