"""The journal of a plan that a job carries out: lines in the store, which outlive the process.

Each transaction checks that the job still runs, and that nobody else has added a line. So after a
job was paused or cancelled, or another process has continued it, nothing more of it is done here.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar

from ringback.core.errors import ConfigurationError
from ringback.core.job import Job, JobStatus, JobStopped
from ringback.migration.journal import (
    JournalEntryType,
    JournalLine,
    JournalSummary,
    Reasons,
    journal_line,
)
from ringback.ports import Store, Transaction

T = TypeVar("T")

_COUNTED: Final[Mapping[JournalEntryType, str]] = {
    JournalEntryType.MOVED: "moved",
    JournalEntryType.SKIPPED: "skipped",
    JournalEntryType.RETURNED: "moved_back",
}


@dataclass(eq=False)
class StoredJournal:
    """Implements `PlanJournal` for a job, and keeps the counts of the job."""

    store: Store
    job: Job
    summary: JournalSummary = field(default_factory=JournalSummary)
    _last: int = 0
    """The number of the last line."""

    @classmethod
    async def open(cls, store: Store, job: Job, *, now: datetime) -> Self:
        """Read the journal of a job, and add a line that ends the work of any other process on it.

        Raises JobStopped if the job does not run.
        """
        journal, plan = cls(store, job), (job.account_sid, plan_id_of(job))
        journal._last = await read_lines(
            lambda after: store.read(lambda tx: tx.plans.after(*plan, after)),
            lambda line, _: journal.summary.take(line),
        )
        await journal.append(JournalEntryType.CONTINUED, at=now, job=job.sid)
        return journal

    async def append(
        self, what: JournalEntryType, *, at: datetime, places: Reasons | None = None, **more: Any
    ) -> None:
        """Add a line; raises JobStopped if the job does not run here any more."""
        line = journal_line(what, at, places, **more)
        await self.record(lambda _: (None, line))

    async def record(self, work: Callable[[Transaction], tuple[T, JournalLine | None]]) -> T:
        """Do work in a transaction that also adds the line which it returns, if any.

        Returns the work's result. Raises JobStopped if the job does not run here any more.
        """

        def add(tx: Transaction) -> tuple[T, JournalLine | None]:
            job = self.guard(tx)
            result, line = work(tx)
            if line is not None:
                text = json.dumps(line, ensure_ascii=False)
                tx.plans.add(job.account_sid, plan_id_of(job), self._last + 1, [text])
                # The summary is of the lines before this one, so that this can run again.
                counts = counts_of(self.summary)
                at = datetime.fromisoformat(line["at"])
                tx.jobs.save(replace(job, counts=counts, date_updated=at))
            return result, line

        result, line = await self.store.transact(add)
        if line is not None:
            self._last += 1
            self.summary.take(line)
        return result

    async def save_counts(self, *, at: datetime) -> None:
        """Save the counts of all lines in the job; raises JobStopped if it does not run here."""

        def save(tx: Transaction) -> None:
            tx.jobs.save(replace(self.guard(tx), counts=counts_of(self.summary), date_updated=at))

        await self.store.transact(save)

    def guard(self, tx: Transaction) -> Job:
        """Return the job as it is now; raises JobStopped if its work has to end."""
        job = tx.jobs.get(self.job.sid)
        if job is None or job.status is not JobStatus.RUNNING:
            raise JobStopped(f"{self.job.sid} does not run any more")
        if tx.plans.last(job.account_sid, plan_id_of(job)) != self._last:
            raise JobStopped(f"another process continues {self.job.sid}")
        return job


async def read_lines(
    fetch: Callable[[int], Awaitable[Sequence[str]]],
    take: Callable[[JournalLine, int], None],
    *,
    after: int = 0,
) -> int:
    """Pass the lines of a plan that follow the one with this number to `take`, with their numbers.

    `fetch` returns some lines that follow the one with the given number, or none. Returns the
    number of the last line. Raises ConfigurationError if a line can't be read.
    """
    while lines := await fetch(after):
        for at, line in enumerate(lines, after + 1):
            try:
                take(json.loads(line), at)
            except (KeyError, TypeError, ValueError, AttributeError):
                raise ConfigurationError(
                    f"line {at} of the plan's journal in the data can't be read; is it of a newer"
                    " version of Ringback?"
                ) from None
        after += len(lines)
    return after


def counts_of(summary: JournalSummary) -> dict[str, int]:
    """Return how many URLs were moved, skipped and moved back, for the counts of a job."""
    marks = [*summary.marks.values()]
    counts = {name: marks.count(mark) for mark, name in _COUNTED.items()}
    return {name: count for name, count in counts.items() if count}


def plan_id_of(job: Job) -> str:
    """Return the id of the plan that a job carries out; raises ValueError if it has none."""
    if job.plan_id is None:
        raise ValueError(f"{job.sid} has no plan")
    return job.plan_id
