"""Stores scheduled tasks, jobs, plans, and the network scenarios that were chosen for SIMs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.job import Job, JobKind
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.ports import LINES_AT_ONCE
from ringback.stores.sql.field_columns import from_us, maybe_from_us, to_us
from ringback.stores.sql.record_tables import RowMapping, SqlRecords
from ringback.stores.sql.write_batch import WriteBatch

TASKS: Final = RowMapping("tasks", ScheduledTask)
JOBS: Final = RowMapping("jobs", Job, "account_sid plan_id", "account_sid status")
# A newer server, which shares the database during an upgrade, may have further kinds.
_KINDS: Final = ", ".join(f"'{one}'" for one in JobKind)
RUNNING_JOBS: Final = f"status = 'running' AND kind IN ({_KINDS})"
"""The condition for jobs that a process of this version can work on."""


class SqlTasks:
    """Implements `ports.ScheduledTasks`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def put(self, task: ScheduledTask) -> None:
        # The new row gets a new `seq`, so that it comes after tasks that are due at the same time.
        self.drop(task.subject_sid, task.step)
        self._session.write(TASKS.insert, TASKS.values(task, self._session.new_seq()))

    def claim(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        rows = self._session.read(
            "SELECT * FROM tasks WHERE due_us <= ? ORDER BY due_us, seq LIMIT ?",
            (to_us(now), limit),
        )
        return [TASKS.read(row) for row in rows]

    def next_due(self) -> datetime | None:
        row = self._session.read("SELECT min(due_us) AS due_us FROM tasks").fetchone()
        return maybe_from_us(row["due_us"])

    def count_due(self, now: datetime) -> int:
        row = self._session.read(
            "SELECT count(*) AS due FROM tasks WHERE due_us <= ?", [to_us(now)]
        ).fetchone()
        return row["due"]

    def due_of(self, subject_sid: str, step: TaskKind) -> datetime | None:
        row = self._session.read(
            "SELECT due_us FROM tasks WHERE subject_sid = ? AND step = ?", (subject_sid, step)
        ).fetchone()
        return row and from_us(row["due_us"])

    def take(self, task: ScheduledTask) -> bool:
        taken = self._session.write(
            "DELETE FROM tasks WHERE subject_sid = ? AND step = ? AND due_us = ?",
            (task.subject_sid, task.step, to_us(task.due)),
        )
        return taken.rowcount > 0

    def drop(self, subject_sid: str, step: TaskKind) -> None:
        self._session.write(
            "DELETE FROM tasks WHERE subject_sid = ? AND step = ?", (subject_sid, step)
        )


class SqlJobs(SqlRecords[Job]):
    """Implements `ports.Jobs`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, JOBS)

    def claim(self) -> list[Job]:
        rows = self._session.read(f"SELECT * FROM jobs WHERE {RUNNING_JOBS} ORDER BY seq")
        return [JOBS.read(row) for row in rows]

    def newest_of_plans(self, account_sid: str, *, limit: int) -> list[Job]:
        whose, values = (
            ("", [limit])
            if account_sid == EVERY
            else (" AND account_sid = ?", [account_sid, limit])
        )
        rows = self._session.read_queued(
            f"SELECT * FROM jobs WHERE plan_id IS NOT NULL{whose} AND NOT EXISTS (SELECT 1"
            " FROM jobs AS later WHERE later.account_sid = jobs.account_sid"
            " AND later.plan_id = jobs.plan_id AND later.seq > jobs.seq) ORDER BY seq DESC LIMIT ?",
            values,
        )
        return [JOBS.read(row) for row in rows.fetchall()]

    def remove_ended_before(
        self, instant: datetime, *, limit: int, have_plans: bool = False
    ) -> int:
        which = "IS NOT NULL" if have_plans else "IS NULL"
        rows = self._session.read(
            f"SELECT sid, account_sid, plan_id FROM jobs WHERE ended_us < ? AND plan_id {which}"
            " ORDER BY ended_us LIMIT ?",
            (to_us(instant), limit),
        ).fetchall()
        for row in rows:
            self.remove(row["sid"])
            plan = row["account_sid"], row["plan_id"]
            if row["plan_id"] is not None and self._is_last_of(*plan):
                self._session.write(
                    "DELETE FROM plan_lines WHERE account_sid = ? AND plan_id = ?", plan
                )
        return len(rows)

    def _is_last_of(self, account_sid: str, plan_id: str) -> bool:
        return self.first({"account_sid": account_sid, "plan_id": plan_id}) is None


class SqlPlanLines:
    """Implements `ports.PlanLines`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def add(self, account_sid: str, plan_id: str, number: int, lines: Sequence[str]) -> None:
        for at, line in enumerate(lines, number):
            self._session.write(
                "INSERT INTO plan_lines (account_sid, plan_id, number, line) VALUES (?, ?, ?, ?)",
                (account_sid, plan_id, at, line),
            )

    def after(
        self, account_sid: str, plan_id: str, number: int, *, limit: int = LINES_AT_ONCE
    ) -> list[str]:
        rows = self._session.read(
            "SELECT line FROM plan_lines WHERE account_sid = ? AND plan_id = ? AND number > ?"
            " ORDER BY number LIMIT ?",
            (account_sid, plan_id, number, limit),
        )
        return [row["line"] for row in rows]

    def last(self, account_sid: str, plan_id: str) -> int:
        row = self._session.read(
            "SELECT max(number) AS last FROM plan_lines WHERE account_sid = ? AND plan_id = ?",
            (account_sid, plan_id),
        ).fetchone()
        return row["last"] or 0


class SqlScenarioChoices:
    """Implements `ports.ScenarioChoices`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def put(self, subject_sid: str, name: str | None) -> None:
        if name is None:
            self._session.write("DELETE FROM scenarios WHERE subject_sid = ?", [subject_sid])
        else:
            self._session.write(
                "INSERT INTO scenarios VALUES (?, ?)"
                " ON CONFLICT (subject_sid) DO UPDATE SET name = excluded.name",
                (subject_sid, name),
            )

    def get(self, subject_sid: str) -> str | None:
        row = self._session.read(
            "SELECT name FROM scenarios WHERE subject_sid = ?", [subject_sid]
        ).fetchone()
        return row and row["name"]
