"""Carries out a plan by a job in the server that has the URLs; the command follows the job.

If no server uses the store with the URLs, the command does the work of the job itself; a server
that starts meanwhile continues it.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ringback.cli.migrate import output
from ringback.cli.migrate.plan_jobs import PlanJob, PlanJobs, PortalPlanJobs, StorePlanJobs
from ringback.cli.output import echo
from ringback.core.accounts.account import EVERY
from ringback.core.errors import ConfigurationError
from ringback.core.job import JobStatus, JobStopped
from ringback.migration.executor import ReceiverReadinessCheck
from ringback.migration.journal import (
    JournalLine,
    JournalSummary,
    journal_of,
    lines_of,
    read_journal,
)
from ringback.migration.plan import MigrationPlan, plan_lines
from ringback.migration.plan_carrier import PlanCarrier
from ringback.migration.progress import ProgressReader
from ringback.migration.stored_journal import read_lines
from ringback.migration_setup import OpenedUrlSource
from ringback.operations.plan_jobs import PlanOrder, PlanWork
from ringback.portal_client import NoServerAnswers
from ringback.ports import Transaction

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks at a job: short at first, since many are done at once."""
_GOES_ON: Final = "it goes on"


class EndedJob(NamedTuple):
    """A job that has ended, and the journal of its plan."""

    job: PlanJob
    summary: JournalSummary


@dataclass(frozen=True, slots=True)
class PlanByJob:
    """A plan whose URLs a server moves, because they are in its data."""

    plan: MigrationPlan
    path: Path
    found: OpenedUrlSource
    jobs: PlanJobs

    async def summary(self) -> JournalSummary:
        """Return the journal so far; that of a file, if it was written by an earlier version."""
        summary = JournalSummary()
        if await read_lines(self.jobs.lines, lambda line, _: summary.take(line)):
            return summary
        return read_journal(journal_of(self.path), plan_id=self.plan.id)

    async def is_under_way(self) -> bool:
        """Return True if a job carries out the plan, or is paused."""
        newest = await self.jobs.newest()
        return newest is not None and not newest.has_ended

    async def carry_out(
        self,
        work: PlanWork,
        readiness: ReceiverReadinessCheck | None,
        printer: output.ProgressPrinter,
    ) -> EndedJob:
        """Create the job, print its progress until it has ended, and return it.

        If the same work is under way already, its job is followed. `readiness` is only for the case
        that no server uses the store.
        """
        order = PlanOrder(
            plan_id=self.plan.id,
            lines=plan_lines(self.path),
            edits=len(self.plan.edits),
            work=work,
            journal=lines_of(journal_of(self.path)),
        )
        is_served = (await self.jobs.server_state()).is_there
        begin = await read_lines(self.jobs.lines, _skip)
        job = await self.jobs.create(order)
        task = None
        if not is_served:
            task = asyncio.create_task(self._carry_out_here(job, readiness))
        try:
            return await self._follow(job, begin, printer, task)
        except asyncio.CancelledError:
            _say_how_to_go_on(job, is_served=is_served)
            raise
        finally:
            if task is not None:
                task.cancel()

    async def _carry_out_here(
        self, asked: PlanJob, readiness: ReceiverReadinessCheck | None
    ) -> None:
        """Do the work of the job in this process, and save how it ended."""
        store, clock = self.found.store, self.found.clock
        if store is None:
            raise NoServerAnswers("the server does not answer")

        def check(_: str) -> ReceiverReadinessCheck:
            if readiness is None:
                raise ConfigurationError(f"{asked.sid} asks for probes, and --no-probe is given")
            return readiness

        job = await store.read(lambda tx: tx.jobs.get(asked.sid))
        if job is None:
            raise ConfigurationError(f"the job {asked.sid} does not exist any more")
        carrier = PlanCarrier(store=store, readiness=check, context=None)
        try:
            why = await carrier.carry_out(job, clock)
        except JobStopped:
            return
        except ConfigurationError as refused:
            why = str(refused)

        def save(tx: Transaction) -> None:
            now, mine = clock.now(), tx.jobs.get(asked.sid)
            if mine is not None and mine.status is JobStatus.RUNNING:
                tx.jobs.save(mine.completed(now) if why is None else mine.failed(why, now))

        await store.transact(save)

    async def _follow(
        self,
        job: PlanJob,
        begin: int,
        printer: output.ProgressPrinter,
        task: "asyncio.Task[None] | None",
    ) -> EndedJob:
        """Print the progress of a job until it has ended; `begin` is the last line before it."""
        summary, reader, last, pause = JournalSummary(), ProgressReader(), 0, _FIRST_PAUSE
        state = None

        def take(line: JournalLine, number: int) -> None:
            summary.take(line)
            for event in reader.read(line, summary):
                if number > begin:
                    printer(event)

        while True:
            before = last
            try:
                found = await self.jobs.newest()
                last = await read_lines(self.jobs.lines, take, after=last)
            except NoServerAnswers:
                found = job
            if found is None:
                raise ConfigurationError(f"the job {job.sid} does not exist any more")
            if found.sid != job.sid:
                raise ConfigurationError(
                    f"the job {job.sid} has ended: the job {found.sid} works on the plan now"
                    f" ({found.action})"
                )
            if found.has_ended:
                if state is not None:
                    echo(_GOES_ON, err=True)
                printer.end()
                return EndedJob(found, summary)
            if task is not None and task.done():
                await task
            state = await self._say_state(found, state, is_ours=task is not None)
            pause = _FIRST_PAUSE if last > before else min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _say_state(self, job: PlanJob, before: str | None, *, is_ours: bool) -> str | None:
        """Say why the job does not go on, if that is new; return the reason, or None."""
        state = None
        if job.status is JobStatus.PAUSED:
            state = f"it is paused: `ringback jobs resume {job.sid}` lets it go on"
        elif not is_ours:
            server = await self.jobs.server_state()
            if not server.is_there:
                state = "the server has stopped: it goes on when the server runs again"
            elif server.paused is not None:
                state = (
                    f"the server is paused ({server.paused}): it goes on after `ringback resume`"
                )
        if state != before:
            echo(state or _GOES_ON, err=True)
        return state


def plan_by_job(plan: MigrationPlan, path: Path, found: OpenedUrlSource) -> PlanByJob | None:
    """Return the plan, if its URLs are in the data of a Ringback that can move them."""
    if found.store is not None:
        account = plan.url_source["account"] or EVERY
        jobs = StorePlanJobs(found.store, account, plan.id, found.clock, found.is_served)
        return PlanByJob(plan, path, found, jobs)
    if found.portal is not None:
        return PlanByJob(plan, path, found, PortalPlanJobs(found.portal, plan.id))
    return None


def _skip(_: JournalLine, __: int) -> None:
    """Only count the lines."""


def _say_how_to_go_on(job: PlanJob, *, is_served: bool) -> None:
    if is_served:
        text = (
            f"the move goes on in the server: `ringback jobs follow {job.sid}` shows how far it is,"
            f" `ringback jobs cancel {job.sid}` ends it"
        )
    else:
        text = "the move was interrupted: run the command again, or start the server, to go on"
    echo(err=True)
    echo(text, err=True)
