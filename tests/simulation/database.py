"""The database of a simulation: a real SQLite database with planned delays, failures and losses.

It outlives the processes. The time that its work takes depends on what SQLite really does: it
counts the steps of SQLite's virtual machine, which are the same for the same rows and query plan.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import Any, Final

from ringback.stores.sqlite.store import connect
from tests.fakes import VAULT
from tests.simulation.history import copy_of_history
from tests.simulation.plan import Plan, is_within
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

_A_STEP: Final = 50e-9
"""Seconds for one step: 20 to 50 ns were measured for scans of rows, and more for writes."""
_COUNTED_BY: Final = 100
_MOST_STEPS: Final = 5_000_000
"""The steps of a commit that takes a quarter of a second; the largest has 65,000.

A commit with more steps is interrupted.
"""
_COMPLAINTS: Final = {
    "locked": "database is locked",
    "broken": "disk I/O error",
    "full": "database or disk is full",
    "no files": "unable to open database file",
}
_ANY_TIME: Final = ("locked", "broken", "full")
_READING: Final = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA data_version")
_CHANGES: Final = (
    *(("INSERT", table, "new") for table in ("callbacks", "waiting", "sent_at_once", "outcomes")),
    ("UPDATE", "waiting", "new"),
    *(("DELETE", table, "old") for table in ("waiting", "sent_at_once")),
)
"""What changes the state of a callback, and the row that has its id."""


@cache
def template() -> sqlite3.Connection:
    """Return a database with the tables, and no rows."""
    return connect(":memory:", VAULT)


def _opened(plan: Plan) -> sqlite3.Connection:
    if plan.history:
        connection = copy_of_history(template(), plan.history)
    else:
        connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
        template().backup(connection)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Database:
    """The database file: a connection that fails as planned, and delays each COMMIT."""

    def __init__(self, scheduler: Scheduler, random: Random, plan: Plan, trace: Trace) -> None:
        self.scheduler = scheduler
        self.random = random
        self.trace = trace
        self.plan = plan
        self.connection = _opened(plan)
        self.is_sound = True
        """True once no more faults are planned."""
        self.on_durable: Callable[[], None] = lambda: None
        self.on_runaway: Callable[[], None] = lambda: None
        """Called if a commit is interrupted because it does too much work."""
        self.was_away = -1.0
        """When a commit last failed."""
        self.touched = dict[int, None]()
        """Ids of callbacks changed since the last durable commit; empty except in large worlds."""
        if plan.has_many:
            self._note_changes()
        self._is_put_off = False
        self._fault: str | None = None
        self._statements_left = 0
        self._has_written = False
        self._steps = 0
        self._changes = self.connection.total_changes

    # Called by the committer.

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction and not self._is_put_off

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if statement == "BEGIN IMMEDIATE":
            self.commit()
            self._has_written = False
            self._fault = self._choose_fault()
            self._fail_if(self._fault in ("locked", "no files"))
        elif statement == "COMMIT":
            if self._has_written and self._is_full():
                self._fault = "full"
            self._fail_if(self._fault == "full")
            self._is_put_off = True
            return self.connection.cursor()
        elif not statement.startswith(_READING):
            self._has_written = True
        if self._fault == "broken" and not statement.startswith(("ROLLBACK", "RELEASE", "BEGIN")):
            self._statements_left -= 1
            self._fail_if(self._statements_left < 0)
        return self.connection.execute(statement, values)

    def close(self) -> None:
        self.connection.close()

    # Called by the world.

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count the steps of the work done in this context."""
        self._steps = 0
        self.connection.set_progress_handler(self._count, _COUNTED_BY)
        try:
            yield
        finally:
            self.connection.set_progress_handler(None, 0)

    @property
    def took(self) -> float:
        """Return how many seconds the last work took."""
        return self._steps * _A_STEP

    def read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        cursor = self.connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values).fetchall()

    def commit(self) -> None:
        """Make the work since the last commit durable."""
        if self._is_put_off:
            self._is_put_off = False
            self.connection.execute("COMMIT")
            if self._changes != self.connection.total_changes:
                self._changes = self.connection.total_changes
                self.on_durable()

    def lose(self) -> None:
        """Undo all work that is not durable."""
        self._is_put_off = False
        self._fault = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _note_changes(self) -> None:
        self.connection.create_function(
            "note", 1, lambda row_id: self.touched.update({row_id: None})
        )
        for change, table, row in _CHANGES:
            self.connection.execute(
                f"CREATE TEMP TRIGGER {change}_{table} AFTER {change} ON {table}"
                f" BEGIN SELECT note({row}.id); END"
            )

    def _count(self) -> int:
        self._steps += _COUNTED_BY
        if self._steps < _MOST_STEPS:
            return 0
        self.on_runaway()
        return 1

    def _is_full(self) -> bool:
        return not self.is_sound and is_within(self.plan.full_disk, self.scheduler.now)

    def _choose_fault(self) -> str | None:
        if self.is_sound:
            return None
        now, plan = self.scheduler.now, self.plan
        lack = plan.lack_at(now)
        if lack and lack.error in (errno.EMFILE, errno.ENFILE) and self.random.random() < 0.2:
            return "no files"
        if not is_within(plan.outages, now) and self.random.random() >= plan.failing_commits:
            return None
        self._statements_left = self.random.randrange(8)
        return self.random.choice(_ANY_TIME)

    def _fail_if(self, fails: bool) -> None:
        if fails:
            fault, self._fault = self._fault, None
            assert fault is not None
            self.was_away = self.scheduler.now
            self.trace.note(self.scheduler.now, "store fails", fault)
            if fault != "locked" and self.random.random() < 0.3 and self.connection.in_transaction:
                # SQLite rolls back by itself after some errors.
                self.connection.execute("ROLLBACK")
            raise sqlite3.OperationalError(_COMPLAINTS[fault])
