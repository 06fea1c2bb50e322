"""Undoes the edits of a plan for `ringback migrate revert`."""

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from ringback.cli.migrate import output
from ringback.cli.migrate.opened_plan import Edits, OpenedPlan, PlanState, not_done, print_diff
from ringback.cli.migrate.options import MigrationAccess, policy_for
from ringback.cli.output import ask, echo, say
from ringback.core.counted import counted
from ringback.core.job import JobStatus
from ringback.migration.edit_status import EditState
from ringback.migration.executor import PlanExecutor
from ringback.migration.migration_effect import preview_rollback
from ringback.migration.named_place import NamedPlace
from ringback.migration.url_source import UrlEdit
from ringback.operations.plan_jobs import PlanAction, PlanWork

_LEFT_BEHIND: Final = 4
"""The exit code if some URLs are not back."""


async def revert_plan(
    path: Path,
    *,
    write: bool,
    is_sure: bool,
    settings: str | None,
    at: datetime | None,
    replay: bool,
    named: tuple[NamedPlace, MigrationAccess],
    as_json: bool,
) -> int:
    """Undo the edits of a plan, print the progress and the result, and return the exit code."""
    async with OpenedPlan.open(path, named) as plan:
        before = await plan.state()
        if replay and plan.by_job is None:
            raise click.UsageError("--replay is only for plans of URLs in a Ringback's data")
        moved = before.among({EditState.MOVED})
        if not moved and not await _has_more_to_do(plan, before, replay=replay):
            return _say_nothing_to_revert(before, as_json=as_json)
        now, edits = plan.found.clock.now(), [each.edit for each in moved]
        spec, access = plan.found.url_source.spec, plan.access
        policy, date, _ = policy_for(spec, access, settings, at=at, now=now)
        preview = preview_rollback(edits, plan.plan.to, policy, at=date)
        for line in output.rollback_lines(preview, plan.plan.to):
            echo(line, err=as_json)
        effect = output.rollback_record(preview)
        if plan.files is not None and not write:
            print_diff(plan.files, moved, turned=UrlEdit.back, as_json=as_json, **effect)
            return 0
        if not is_sure:
            question = f"Move {counted(len(moved), 'URL')} back?"
            if replay:
                question += " And send again what receivers may have acted on already?"
            ask(question, err=as_json)
        printer = plan.printer(as_json=as_json)
        if plan.by_job is not None:
            work = PlanWork(action=PlanAction.REVERT, is_all_sent_again=replay)
            job, _ = await plan.by_job.carry_out(work, None, printer)
            if job.status is not JobStatus.DONE:
                raise not_done(job)
        else:
            with plan.journal_file(printer) as journal:
                executor = PlanExecutor(plan.plan, plan.found.url_source, journal, plan.found.clock)
                await executor.revert()
        after = await plan.print_result("reverted", printer, as_json=as_json, **effect)
    return _LEFT_BEHIND if _not_back(after) else 0


async def _has_more_to_do(plan: OpenedPlan, before: PlanState, *, replay: bool) -> bool:
    """Return True if there is work although no URL is moved."""
    if plan.by_job is None:
        return False
    if await plan.by_job.is_under_way() or (replay and before.summary.returned):
        return True
    # A server sends again what was refused when URLs went back while none ran.
    return bool(before.summary.unsettled) and (await plan.by_job.jobs.server_state()).is_there


def _say_nothing_to_revert(before: PlanState, *, as_json: bool) -> int:
    left = _not_back(before)
    record = {
        "outcome": "nothing to revert",
        "counts": before.counts,
        "left_behind": [output.status_record(each) for each in left.values()],
    }
    why = "no URL is as this plan moved it" if left else "this plan has moved no URL"
    say(record, [f"nothing to revert: {why}", *output.status_lines(left)], as_json=as_json)
    return _LEFT_BEHIND if left else 0


def _not_back(state: PlanState) -> Edits:
    """Return the edits that an apply began, and whose URLs do not have their old form."""
    begun = state.summary.edits
    return {
        place: each for place, each in state.edits.items() if place in begun and not each.is_back
    }
