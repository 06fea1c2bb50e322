"""Tasks, jobs, plans, scenarios, versions of the policy and the pause, in plain dictionaries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.job import Job, JobStatus
from ringback.core.policy.policy_version import PolicyVersion
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.ports import SendingPause
from tests.memory_store.leases import MemoryLeases, utc_now
from tests.memory_store.records import MemoryRecords, of_account


@dataclass
class MemoryScenarios:
    """Implements `ports.ScenarioChoices`."""

    names: dict[str, str] = field(default_factory=dict[str, str])

    def put(self, subject_sid: str, name: str | None) -> None:
        self.names.pop(subject_sid, None)
        if name is not None:
            self.names[subject_sid] = name

    def get(self, subject_sid: str) -> str | None:
        return self.names.get(subject_sid)


@dataclass
class MemoryPolicyVersions:
    """Implements `ports.PolicyVersions`."""

    versions: dict[int, PolicyVersion] = field(default_factory=dict[int, PolicyVersion])

    def newest(self, *, after: int = 0) -> PolicyVersion | None:
        found = (one for one in self.versions.values() if one.number > after)
        return max(found, key=lambda one: one.number, default=None)

    def made_until(self, at: datetime, *, below: int | None = None) -> PolicyVersion | None:
        found = [one for one in self.versions.values() if one.date_created <= at]
        lower = (one for one in found if below is None or one.number < below)
        return max(lower, key=lambda one: one.number, default=None)

    def made_by(self, file_hash: str) -> PolicyVersion | None:
        found = (one for one in self.versions.values() if one.file_hash == file_hash)
        return next(found, None)

    def add(self, version: PolicyVersion) -> bool:
        file_hash = version.file_hash
        if version.number in self.versions or (file_hash and self.made_by(file_hash)):
            return False
        self.versions[version.number] = version
        return True


@dataclass
class MemoryPause:
    """Implements `ports.StoredPause`."""

    pauses: dict[int, SendingPause] = field(default_factory=dict[int, SendingPause])
    """The pause, if there is one, under the key 1."""

    def get(self) -> SendingPause | None:
        return self.pauses.get(1)

    def begin(self, pause: SendingPause) -> SendingPause:
        return self.pauses.setdefault(1, pause)

    def end(self) -> SendingPause | None:
        return self.pauses.pop(1, None)


@dataclass
class MemoryTasks:
    """Implements `ports.ScheduledTasks`."""

    tasks: dict[tuple[str, TaskKind], ScheduledTask] = field(
        default_factory=dict[tuple[str, TaskKind], ScheduledTask]
    )
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    process: str | None = None
    """The process that asks; None if only one process can use the store."""
    now: Callable[[], datetime] = utc_now
    claimed_by: dict[tuple[str, TaskKind], str] = field(
        default_factory=dict[tuple[str, TaskKind], str]
    )

    def put(self, task: ScheduledTask) -> None:
        # After those that are due at the same instant.
        self.drop(task.subject_sid, task.step)
        self.tasks[task.subject_sid, task.step] = task

    def claim(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        due = [task for task in self._free() if task.due <= now]
        claimed = sorted(due, key=lambda task: task.due)[:limit]
        if self.process is not None:
            self.claimed_by |= {(task.subject_sid, task.step): self.process for task in claimed}
        return claimed

    def next_due(self) -> datetime | None:
        return min((task.due for task in self._free()), default=None)

    def count_due(self, now: datetime) -> int:
        return sum(task.due <= now for task in self.tasks.values())

    def due_of(self, subject_sid: str, step: TaskKind) -> datetime | None:
        task = self.tasks.get((subject_sid, step))
        return task and task.due

    def take(self, task: ScheduledTask) -> bool:
        if self.tasks.get((task.subject_sid, task.step)) != task or task not in self._free():
            return False
        self.drop(task.subject_sid, task.step)
        return True

    def drop(self, subject_sid: str, step: TaskKind) -> None:
        self.tasks.pop((subject_sid, step), None)
        self.claimed_by.pop((subject_sid, step), None)

    def _free(self) -> list[ScheduledTask]:
        """Return the tasks that no other living process has claimed."""
        return [task for key, task in self.tasks.items() if not self._is_of_another(key)]

    def _is_of_another(self, key: tuple[str, TaskKind]) -> bool:
        owner = self.claimed_by.get(key)
        return owner not in (None, self.process) and self.leases.is_alive(owner, self.now())


@dataclass
class MemoryPlanLines:
    """Implements `ports.PlanLines`."""

    lines: dict[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[str, ...]]
    )

    def add(self, account_sid: str, plan_id: str, number: int, lines: Sequence[str]) -> None:
        before = self.lines.get((account_sid, plan_id), ())
        if number != len(before) + 1:
            raise ValueError(f"line {number} does not follow {len(before)}")
        self.lines[account_sid, plan_id] = (*before, *lines)

    def after(self, account_sid: str, plan_id: str, number: int, *, limit: int = 100) -> list[str]:
        return list(self.lines.get((account_sid, plan_id), ())[number : number + limit])

    def last(self, account_sid: str, plan_id: str) -> int:
        return len(self.lines.get((account_sid, plan_id), ()))


@dataclass
class MemoryJobs(MemoryRecords[Job]):
    """Implements `ports.Jobs`."""

    leases: MemoryLeases = field(default_factory=MemoryLeases)
    process: str | None = None
    """The process that asks; None if only one process can use the store."""
    now: Callable[[], datetime] = utc_now
    claimed_by: dict[str, str] = field(default_factory=dict[str, str])
    plans: MemoryPlanLines = field(default_factory=MemoryPlanLines)

    def claim(self) -> list[Job]:
        running = [one for one in self.records.values() if one.status is JobStatus.RUNNING]
        claimed = [one for one in running if not self._is_of_another(one.sid)]
        if self.process is not None:
            self.claimed_by |= {one.sid: self.process for one in claimed}
        return claimed

    def newest_of_plans(self, account_sid: str, *, limit: int) -> list[Job]:
        newest = dict[tuple[str, str], Job]()
        for one in of_account(account_sid, self.records.values()):
            if one.plan_id is not None:
                newest.pop((one.account_sid, one.plan_id), None)
                newest[one.account_sid, one.plan_id] = one
        return [*newest.values()][::-1][:limit]

    def remove_ended_before(
        self, instant: datetime, *, limit: int, have_plans: bool = False
    ) -> int:
        ours = [one for one in self.records.values() if (one.plan_id is not None) == have_plans]
        ended = [one for one in ours if one.date_ended is not None]
        old = [one for one in ended if one.date_ended and one.date_ended < instant]
        gone = sorted(old, key=lambda one: one.date_ended or instant)[:limit]
        for one in gone:
            self.remove(one.sid)
            plan = one.account_sid, one.plan_id or ""
            if all((other.account_sid, other.plan_id) != plan for other in self.records.values()):
                self.plans.lines.pop(plan, None)
        return len(gone)

    def _is_of_another(self, sid: str) -> bool:
        owner = self.claimed_by.get(sid)
        return owner not in (None, self.process) and self.leases.is_alive(owner, self.now())
