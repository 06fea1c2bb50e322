"""Tasks, jobs and shadow copies in PostgreSQL; each belongs to the process that does the work.

Also says what retention has to do in addition there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ringback.core.job import Job
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.shadows.shadow import ShadowCallback
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.postgres.leases import WorkerIdentity
from ringback.stores.sql.field_columns import maybe_from_us, to_us
from ringback.stores.sql.response_overflow import SqlResponseOverflows
from ringback.stores.sql.retention import SqlRetention
from ringback.stores.sql.shadows import OPENED_COLUMNS, SqlShadowCallbacks, write_opened
from ringback.stores.sql.tasks_and_scenarios import JOBS, RUNNING_JOBS, TASKS, SqlJobs, SqlTasks
from ringback.stores.sql.write_batch import BulkStatement, WriteBatch

_ALIVE: Final = "(SELECT worker FROM workers WHERE lease_until >= clock_timestamp())"
# The one value is the worker that asks.
_MINE_OR_FREE: Final = f"(worker IS NULL OR worker = ? OR worker NOT IN {_ALIVE})"
_OPENED: Final = BulkStatement.insert("shadows", f"{OPENED_COLUMNS}, worker")
_KEYS: Final = BulkStatement.delete("idempotency", "account_id, key")

_LOOK_EVERY: Final = 1000
"""Milliseconds after which a process with jobs looks for further ones."""

TABLES: Final = (_OPENED, _KEYS)
"""The SQL statements that write queued rows here; they run before those of the shared tables."""


class PostgresTasks(SqlTasks):
    """Implements `ports.ScheduledTasks` for processes that share the tasks."""

    def __init__(self, session: WriteBatch, own: WorkerIdentity) -> None:
        super().__init__(session)
        self._own = own

    def claim(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        rows = self._session.write(
            # An array is made once; a subquery of `IN` could run several times.
            "UPDATE tasks SET worker = ? WHERE seq = ANY (ARRAY(SELECT seq FROM tasks"
            f" WHERE due_us <= ? AND {_MINE_OR_FREE} ORDER BY due_us, seq LIMIT ?"
            " FOR UPDATE SKIP LOCKED)) RETURNING *",
            (self._own.worker, to_us(now), self._own.worker, limit),
        )
        claimed = sorted(rows, key=lambda row: (row["due_us"], row["seq"]))
        return [TASKS.read(row) for row in claimed]

    def next_due(self) -> datetime | None:
        row = self._session.read(
            f"SELECT min(due_us) AS due_us FROM tasks WHERE {_MINE_OR_FREE}", [self._own.worker]
        ).fetchone()
        return maybe_from_us(row["due_us"])

    def take(self, task: ScheduledTask) -> bool:
        taken = self._session.write(
            "DELETE FROM tasks WHERE subject_sid = ? AND step = ? AND due_us = ?"
            f" AND {_MINE_OR_FREE}",
            (task.subject_sid, task.step, to_us(task.due), self._own.worker),
        )
        return taken.rowcount > 0


class PostgresJobs(SqlJobs):
    """Implements `ports.Jobs` for processes that share the jobs.

    A process that works on jobs looks only at its own, because two processes that read each other's
    rows would be in each other's way. It looks for free ones once a second.
    """

    def __init__(self, session: WriteBatch, own: WorkerIdentity) -> None:
        super().__init__(session)
        self._own = own
        self._looks_at = 0
        """When to look for free jobs next, by the steady clock, in milliseconds."""

    def claim(self) -> list[Job]:
        mine = self._mine()
        if mine and steady_milliseconds() < self._looks_at:
            return mine
        self._looks_at = steady_milliseconds() + _LOOK_EVERY
        claimed = self._session.write(
            "UPDATE jobs SET worker = ? WHERE seq = ANY (ARRAY(SELECT seq FROM jobs"
            f" WHERE {RUNNING_JOBS} AND (worker IS NULL OR worker NOT IN {_ALIVE})"
            " FOR UPDATE SKIP LOCKED))",
            [self._own.worker],
        )
        return self._mine() if claimed.rowcount else mine

    def _mine(self) -> list[Job]:
        rows = self._session.read(
            f"SELECT * FROM jobs WHERE {RUNNING_JOBS} AND worker = ? ORDER BY seq",
            [self._own.worker],
        )
        return [JOBS.read(row) for row in rows]


class PostgresShadowCallbacks(SqlShadowCallbacks):
    """Implements `ports.ShadowCallbacks` for processes that share a database."""

    left_open_condition = f"result = 'open' AND (worker IS NULL OR worker NOT IN {_ALIVE})"

    def __init__(
        self, session: WriteBatch, responses: SqlResponseOverflows, own: WorkerIdentity
    ) -> None:
        super().__init__(session, responses)
        self._own = own

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            seq, opened = self._session.new_seq(), write_opened(shadow)
            self._session.queue(_OPENED, (seq, *opened, self._own.worker))


class PostgresRetention(SqlRetention):
    """Implements `ports.Retention` in PostgreSQL, where idempotency keys have their own table."""

    def _forget_key(self, account_id: int, key: str) -> None:
        self._session.queue(_KEYS, (account_id, key))
