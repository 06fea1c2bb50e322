"""A plan whose URLs a command has opened: their state, and how it is printed."""

import sys
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from ringback.cli.migrate import output
from ringback.cli.migrate.options import MigrationAccess
from ringback.cli.migrate.plan_by_job import PlanByJob, plan_by_job
from ringback.cli.migrate.plan_jobs import PlanJob
from ringback.cli.output import echo, echo_text, json_line, say
from ringback.core.errors import ConfigurationError
from ringback.migration.calls_since_move import calls_since_move
from ringback.migration.edit_status import (
    LEFT_BEHIND,
    EditState,
    EditWithState,
    count,
    edit_statuses,
)
from ringback.migration.executor import exact
from ringback.migration.journal import JournalFile, JournalSummary, journal_of, read_journal
from ringback.migration.named_place import NamedPlace
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration_setup import OpenedUrlSource, open_planned

Edits = Mapping[UrlLocation, EditWithState]

_LOOKS: Final = 5


class PlanState(NamedTuple):
    """The state of a plan: of all its edits, and what its journal says."""

    edits: Edits
    summary: JournalSummary

    def among(self, states: Collection[EditState]) -> list[EditWithState]:
        """Return the edits that are in one of these states."""
        return [each for each in self.edits.values() if each.state in states]

    @property
    def counts(self) -> dict[str, int]:
        """The number of edits in each state, by the state's name."""
        return {state.value: number for state, number in count(self.edits).items()}


@dataclass(frozen=True, slots=True)
class OpenedPlan:
    """A plan, and the place of its URLs."""

    path: Path
    plan: MigrationPlan
    access: MigrationAccess
    found: OpenedUrlSource
    by_job: PlanByJob | None
    """The plan as a server carries it out; None if the command changes the URLs."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, named: tuple[NamedPlace, MigrationAccess]
    ) -> AsyncGenerator[Self]:
        """Read a plan, and open the place that the user names, until the end of the block.

        Raises ConfigurationError if one of them can't be used, or they don't belong together.
        """
        plan, (place, access) = MigrationPlan.read(path), named
        async with open_planned(plan, place, access.credentials) as found:
            yield cls(path, plan, access, found, plan_by_job(plan, path, found))

    @property
    def files(self) -> FileUrlSource | None:
        """The files with the URLs; None if they are elsewhere."""
        source = self.found.url_source
        return source if isinstance(source, FileUrlSource) else None

    async def summary(self) -> JournalSummary:
        """Return the summary of the journal."""
        if self.by_job is not None:
            return await self.by_job.summary()
        return read_journal(journal_of(self.path), plan_id=self.plan.id)

    async def state(self) -> PlanState:
        """Return the state of the plan, from URLs and a journal that were read together."""
        after, entries = JournalSummary(), ()
        for _ in range(_LOOKS):
            before = await self.summary()
            entries = await self.found.url_source.entries()
            after = await self.summary()
            # Another process may be applying the plan. Entries and journal fit together only if it
            # wrote nothing in between.
            if after.marks == before.marks:
                break
        return PlanState(edit_statuses(self.plan, after, entries), after)

    def printer(self, *, as_json: bool) -> output.ProgressPrinter:
        """Return a printer of the progress: on stderr, if JSON is printed on stdout."""
        is_terminal = sys.stderr.isatty() if as_json else sys.stdout.isatty()
        edits = {edit.place: edit for edit in self.plan.edits}
        return output.ProgressPrinter(edits, is_terminal, err=as_json)

    def journal_file(self, printer: output.ProgressPrinter) -> JournalFile:
        """Return the journal for URLs that the command changes, opened for writing."""
        return JournalFile(journal_of(self.path), plan_id=self.plan.id, follow=printer.follow)

    async def print_result(
        self, outcome: str, printer: output.ProgressPrinter, *, as_json: bool, **more: Any
    ) -> PlanState:
        """Print how `apply` or `revert` ended, and return the state of the plan."""
        printer.end()
        state = await self.state()
        behind = [output.status_record(each) for each in state.among(LEFT_BEHIND)]
        record = {"outcome": outcome, **more, "counts": state.counts, "left_behind": behind}
        lines = [
            *output.status_lines(state.edits, reported=printer.reported),
            *await self._undelivered_lines(state.summary),
        ]
        say(record | output.undelivered_record(state.summary), lines, as_json=as_json)
        return state

    async def print_state(self, *, as_json: bool) -> None:
        """Print the state of each edit, and which of the moved URLs were called since."""
        state, calls = await self.state(), None
        if self.found.deliveries is not None:
            now, moved_at = self.found.clock.now(), state.summary.moved_at
            calls = await calls_since_move(state.edits, moved_at, self.found.deliveries, now=now)
        if as_json:
            for place, each in state.edits.items():
                called = None if calls is None else calls.get(place)
                echo(json_line(output.status_record(each, called), ensure_ascii=False))
            return
        for line in (
            *output.status_lines(state.edits),
            *output.call_lines(state.edits, calls or {}),
            *await self._undelivered_lines(state.summary),
        ):
            echo(line)
        if not state.edits:
            echo(f"{self.path} is empty: it moves no URL")

    async def _undelivered_lines(self, summary: JournalSummary) -> list[str]:
        unsettled = 0
        if self.by_job is not None and not await self.by_job.is_under_way():
            unsettled = len(summary.unsettled)
        return list(output.undelivered_lines(summary, self.path, unsettled=unsettled))


def print_diff(
    files: FileUrlSource,
    edits: Collection[EditWithState],
    *,
    turned: Callable[[UrlEdit], UrlEdit] = lambda edit: edit,
    as_json: bool,
    **more: Any,
) -> None:
    """Print what these edits would change in files, each as `turned` returns it."""
    diff = files.diff(
        [exact(turned(each.edit), each.entry) for each in edits if each.entry is not None]
    )
    if as_json:
        say({"outcome": "not written", **more, "diff": diff}, "", as_json=True)
    else:
        echo_text(diff, nl=False)
    echo("nothing is changed yet; --write changes the files", err=True)


def not_done(job: PlanJob) -> ConfigurationError:
    """Return the error for a job that has ended, but is not done."""
    why = f": {job.reason}" if job.reason else ""
    return ConfigurationError(f"the job {job.sid} was {job.status}{why}")
