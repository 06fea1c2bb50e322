"""Applies a plan for `ringback migrate apply`, shows its state, and reverts it."""

import sys
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from ringback.cli.migrate import output
from ringback.cli.migrate.options import MigrationAccess, policy_for
from ringback.cli.migrate.plan_by_job import EndedJob, plan_by_job
from ringback.cli.migrate.plan_jobs import PlanJob
from ringback.cli.migrate.step_watch import PortalDeliveries, ServerStepWatcher
from ringback.cli.output import say
from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.core.job import JobStatus
from ringback.migration.calls_since_move import calls_since_move
from ringback.migration.canary_step import CanarySettings
from ringback.migration.edit_status import (
    LEFT_BEHIND,
    MAY_MOVE,
    EditState,
    EditWithState,
    count,
    edit_statuses,
)
from ringback.migration.executor import ApplyOutcome, PlanExecutor, ReceiverReadinessCheck, exact
from ringback.migration.journal import (
    ApplyBegan,
    JournalFile,
    JournalSummary,
    journal_of,
    read_journal,
)
from ringback.migration.migration_effect import preview_rollback
from ringback.migration.named_place import NamedPlace
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlDeliveryHistory, UrlEdit, UrlLocation
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration_setup import (
    MigrationProbeOptions,
    OpenedUrlSource,
    ReceiverReadinessProbe,
    open_planned,
)
from ringback.operations.plan_jobs import PlanAction, PlanWork

_WENT_BACK: Final = 3
_LEFT_BEHIND: Final = 4
_ARE_NEW: Final = (EditState.MOVED, EditState.THERE)
_SOAK: Final = timedelta(hours=1)
_LEAST: Final = 10
_LOOKS: Final = 5


# ---- apply ---------------------------------------------------------------------------------------


async def apply_plan(
    path: Path,
    *,
    write: bool,
    steps: "CanaryOptions",
    probes: MigrationProbeOptions,
    named: tuple[NamedPlace, MigrationAccess],
    as_json: bool,
) -> int:
    """Move the URLs of a plan, print the progress and the result, and return the exit code."""
    plan, (place, access) = MigrationPlan.read(path), named
    printer = _printer(plan, as_json=as_json)
    async with open_planned(plan, place, access.credentials) as found:
        if not plan.edits and not (await _statuses(plan, path, found)):
            raise ConfigurationError(
                f"{path} is empty: it moves no URL; `ringback migrate plan` says why it leaves URLs"
                " out"
            )
        if isinstance(found.url_source, FileUrlSource) and not write:
            _print_diff(
                found.url_source, await _statuses(plan, path, found), MAY_MOVE, as_json=as_json
            )
            return 0
        by_job = plan_by_job(plan, path, found)
        if steps.test_event and by_job is None:
            raise click.UsageError("--test-event is only for plans of URLs in a Ringback's data")
        began = (await _summary(plan, path, found)).began
        portal = None
        if isinstance(found.url_source, FileUrlSource):
            portal = access.portal(access.account_sid)
        history = found.deliveries or (portal and PortalDeliveries(portal))
        watch = _canary(history, began, steps)
        probing = ReceiverReadinessProbe(found, plan.to, probes, access.credentials.auth_token)
        async with _readiness(probing) as readiness:
            if by_job is not None:
                work = PlanWork(
                    action=PlanAction.APPLY,
                    shares=watch.shares if watch else (),
                    soak=watch.soak if watch else timedelta(0),
                    least=watch.least if watch else 0,
                    wait=watch.wait if watch else timedelta(0),
                    is_probed=not probes.no_probe,
                    sends_test_events=steps.test_event,
                )
                outcome = _outcome_of(await by_job.carry_out(work, readiness, printer))
            else:
                with _journal_file(plan, path, printer) as journal:
                    executor = PlanExecutor(plan, found.url_source, journal, found.clock)
                    if portal is not None and watch is not None:
                        executor.watcher = ServerStepWatcher(plan, path, watch, portal)
                    outcome = await executor.apply(readiness=readiness, canary=watch)
        after, summary = await _statuses_and_summary(plan, path, found)
        unsettled = await _unsettled(plan, path, found, summary)
    end = PlanEnd(path, after, summary, unsettled)
    _say_result(outcome.value, end, printer, as_json=as_json)
    return _code_of(outcome, path, plan, after)


def _code_of(
    outcome: ApplyOutcome,
    path: Path,
    plan: MigrationPlan,
    after: Mapping[UrlLocation, EditWithState],
) -> int:
    """Return the exit code of an apply, and say how to go on if it has stopped."""
    again = f"`ringback migrate apply {path}`"
    if outcome is ApplyOutcome.WENT_BACK:
        click.echo(
            f"stopped: a step was rolled back. {again} goes on with all URLs except those that stay"
            " behind",
            err=True,
        )
        return _WENT_BACK
    if outcome is ApplyOutcome.UNPROVEN:
        click.echo(
            "stopped: too few callbacks came to say that the URLs of this step deliver well, and"
            f" --no-probe is given. {again} waits for them again, or probes the receivers;"
            " --least 0 goes on without",
            err=True,
        )
        return _LEFT_BEHIND
    has_moved_all = all(after[edit.place].state in _ARE_NEW for edit in plan.edits)
    return 0 if has_moved_all else _LEFT_BEHIND


def _outcome_of(ended: EndedJob) -> ApplyOutcome:
    """Return how the apply of a job ended; raises ConfigurationError if it failed."""
    job, summary = ended
    if job.status is JobStatus.DONE:
        return ApplyOutcome.DONE
    if job.status is JobStatus.FAILED and summary.went_back:
        return ApplyOutcome.WENT_BACK
    if job.status is JobStatus.FAILED and summary.is_unproven:
        return ApplyOutcome.UNPROVEN
    raise _not_done(job)


def _not_done(job: PlanJob) -> ConfigurationError:
    why = f": {job.reason}" if job.reason else ""
    return ConfigurationError(f"the job {job.sid} was {job.status}{why}")


def _journal_file(plan: MigrationPlan, path: Path, printer: output.ProgressPrinter) -> JournalFile:
    return JournalFile(journal_of(path), plan_id=plan.id, follow=printer.follow)


def _printer(plan: MigrationPlan, *, as_json: bool) -> output.ProgressPrinter:
    stream = sys.stderr if as_json else sys.stdout
    edits = {edit.place: edit for edit in plan.edits}
    return output.ProgressPrinter(edits, stream.isatty(), err=as_json)


@asynccontextmanager
async def _readiness(
    probing: ReceiverReadinessProbe,
) -> AsyncGenerator[ReceiverReadinessCheck | None]:
    """Yield the check of receivers; yields None with `--no-probe`.

    Raises UsageError if the probe lacks the definition of the new source, or its secret.
    """
    if not probing.how.no_probe:
        _check_probing(probing)
    async with probing.check() as readiness:
        yield readiness


def _check_probing(probing: ReceiverReadinessProbe) -> None:
    """Raise UsageError if the probe lacks the definition of the new source, or its secret."""
    if probing.to not in probing.how.sources:
        raise click.UsageError(
            f"to probe receivers, the definition of the source {probing.to} is needed: name the"
            " server's settings file with --settings, or give --no-probe"
        )
    if missing := probing.missing_secret:
        flag = f"--{missing.replace('_', '-')}"
        raise click.UsageError(
            f"to probe receivers, callbacks are signed with {flag}: give it, or --no-probe"
        )


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """The options of the canary; None where an option is not given."""

    shares: tuple[int, ...] | None
    soak: timedelta | None
    least: int | None
    wait: timedelta | None
    test_event: bool = False


def _canary(
    history: UrlDeliveryHistory | None, began: ApplyBegan | None, asked: CanaryOptions
) -> CanarySettings | None:
    """Return the canary that the options set, or else that of the earlier `apply` of this plan.

    So a plain `apply` that continues after a crash still watches the URLs that it moves.
    """
    shares = began.shares if asked.shares is None and began is not None else asked.shares
    if not shares:
        given = {
            "--soak": asked.soak,
            "--least": asked.least,
            "--wait": asked.wait,
            "--test-event": asked.test_event or None,
        }
        if flags := [flag for flag, value in given.items() if value is not None]:
            raise click.UsageError(
                f"{flags[0]} needs --canary: give the shares that move first, like --canary 10,50"
            )
        return None
    if history is None:
        raise ConfigurationError(
            "--canary needs the results of deliveries, which only a Ringback has: for URLs in files"
            " or a table, name the server that sends to them with --server. Without --canary, make"
            " a plan with --percent 10, and check the deliveries yourself before the next plan"
        )
    has_canary = began is not None and bool(began.shares)
    soak = asked.soak
    if soak is None:
        soak = timedelta(seconds=began.soak) if began is not None and has_canary else _SOAK
    least = asked.least
    if least is None:
        least = began.least if began is not None and has_canary else _LEAST
    wait = asked.wait
    if wait is None:
        wait = timedelta(seconds=began.wait) if began is not None and has_canary else soak
    return CanarySettings(shares, soak, history, least, wait)


# ---- status --------------------------------------------------------------------------------------


async def print_status(
    path: Path, *, named: tuple[NamedPlace, MigrationAccess], as_json: bool
) -> None:
    """Print the state of each URL of a plan."""
    plan, (place, access) = MigrationPlan.read(path), named
    async with open_planned(plan, place, access.credentials) as found:
        edits, summary = await _statuses_and_summary(plan, path, found)
        unsettled = await _unsettled(plan, path, found, summary)
        calls = None
        if found.deliveries is not None:
            now, moved_at = found.clock.now(), summary.moved_at
            calls = await calls_since_move(edits, moved_at, found.deliveries, now=now)
    if as_json:
        for place, each in edits.items():
            called = None if calls is None else calls.get(place)
            click.echo(output.json_line(output.status_record(each, called)))
        return
    for line in (
        *output.status_lines(edits),
        *output.call_lines(edits, calls or {}),
        *output.undelivered_lines(summary, path, unsettled=unsettled),
    ):
        click.echo(line)
    if not edits:
        click.echo(f"{path} is empty: it moves no URL")


async def _statuses(
    plan: MigrationPlan, path: Path, found: OpenedUrlSource
) -> Mapping[UrlLocation, EditWithState]:
    return (await _statuses_and_summary(plan, path, found))[0]


async def _statuses_and_summary(
    plan: MigrationPlan, path: Path, found: OpenedUrlSource
) -> tuple[Mapping[UrlLocation, EditWithState], JournalSummary]:
    """Return the state of all edits, from URLs and a journal that were read together."""
    after, entries = JournalSummary(), ()
    for _ in range(_LOOKS):
        before = await _summary(plan, path, found)
        entries = await found.url_source.entries()
        after = await _summary(plan, path, found)
        # Another process may be applying the plan. Entries and journal fit together only if it
        # wrote nothing in between.
        if after.marks == before.marks:
            break
    return edit_statuses(plan, after, entries), after


async def _unsettled(
    plan: MigrationPlan, path: Path, found: OpenedUrlSource, summary: JournalSummary
) -> int:
    """Return the number of URLs that went back while no server could send callbacks again."""
    by_job = plan_by_job(plan, path, found)
    if by_job is None or await by_job.is_under_way():
        return 0
    return len(summary.unsettled)


async def _summary(plan: MigrationPlan, path: Path, found: OpenedUrlSource) -> JournalSummary:
    if by_job := plan_by_job(plan, path, found):
        return await by_job.summary()
    return read_journal(journal_of(path), plan_id=plan.id)


# ---- revert --------------------------------------------------------------------------------------


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
    plan, (place, access) = MigrationPlan.read(path), named
    async with open_planned(plan, place, access.credentials) as found:
        before, summary = await _statuses_and_summary(plan, path, found)
        moved = [each.edit for each in before.values() if each.state is EditState.MOVED]
        by_job = plan_by_job(plan, path, found)
        if replay and by_job is None:
            raise click.UsageError("--replay is only for plans of URLs in a Ringback's data")
        goes_on = by_job is not None and (
            await by_job.is_under_way()
            # A server sends again what was refused when URLs went back while none ran.
            or (bool(summary.unsettled) and await by_job.jobs.is_served())
        )
        if not moved and not goes_on and not (replay and summary.returned):
            left = _not_back(summary, before)
            record = {
                "outcome": "nothing to revert",
                "counts": _counts(before),
                "left_behind": [output.status_record(each) for each in left.values()],
            }
            why = "no URL is as this plan moved it" if left else "this plan has moved no URL"
            say(record, [f"nothing to revert: {why}", *output.status_lines(left)], as_json=as_json)
            return _LEFT_BEHIND if left else 0
        now = found.clock.now()
        policy, date, _ = policy_for(found.url_source.spec, access, settings, at=at, now=now)
        preview = preview_rollback(moved, plan.to, policy, at=date)
        for line in output.rollback_lines(preview, plan.to):
            click.echo(line, err=as_json)
        effect = output.rollback_record(preview)
        if isinstance(found.url_source, FileUrlSource) and not write:
            _print_diff(
                *(found.url_source, before, {EditState.MOVED}),
                turned=UrlEdit.back,
                as_json=as_json,
                **effect,
            )
            return 0
        if not is_sure:
            question = f"Move {counted(len(moved), 'URL')} back?"
            if replay:
                question += " And send again what receivers may have acted on already?"
            click.confirm(question, abort=True, err=as_json)
        printer = _printer(plan, as_json=as_json)
        if by_job is not None:
            work = PlanWork(action=PlanAction.REVERT, is_all_sent_again=replay)
            job, _ = await by_job.carry_out(work, None, printer)
            if job.status is not JobStatus.DONE:
                raise _not_done(job)
        else:
            with _journal_file(plan, path, printer) as journal:
                await PlanExecutor(plan, found.url_source, journal, found.clock).revert()
        after, summary = await _statuses_and_summary(plan, path, found)
        unsettled = await _unsettled(plan, path, found, summary)
    end = PlanEnd(path, after, summary, unsettled)
    _say_result("reverted", end, printer, as_json=as_json, **effect)
    return _LEFT_BEHIND if _not_back(summary, after) else 0


def _not_back(
    summary: JournalSummary, found: Mapping[UrlLocation, EditWithState]
) -> Mapping[UrlLocation, EditWithState]:
    """Return the edits that an apply began, and whose URLs do not have their old form."""
    return {
        place: each for place, each in found.items() if place in summary.edits and not each.is_back
    }


class PlanEnd(NamedTuple):
    """What `apply` or `revert` ends with."""

    path: Path
    found: Mapping[UrlLocation, EditWithState]
    summary: JournalSummary
    unsettled: int


def _say_result(
    outcome: str, end: PlanEnd, printer: output.ProgressPrinter, *, as_json: bool, **more: Any
) -> None:
    printer.end()
    path, found, summary, unsettled = end
    behind = [output.status_record(each) for each in found.values() if each.state in LEFT_BEHIND]
    record = {"outcome": outcome, **more, "counts": _counts(found), "left_behind": behind}
    record |= output.undelivered_record(summary)
    lines = [
        *output.status_lines(found, reported=printer.reported),
        *output.undelivered_lines(summary, path, unsettled=unsettled),
    ]
    say(record, lines, as_json=as_json)


def _counts(found: Mapping[UrlLocation, EditWithState]) -> dict[str, int]:
    return {state.value: number for state, number in count(found).items()}


# ---- files, without --write ----------------------------------------------------------------------


def _print_diff(
    files: FileUrlSource,
    found: Mapping[UrlLocation, EditWithState],
    states: Collection[EditState],
    *,
    turned: Callable[[UrlEdit], UrlEdit] = lambda edit: edit,
    as_json: bool,
    **more: Any,
) -> None:
    """Print what the edits whose state is one of `states` would change."""
    edits = [
        exact(turned(each.edit), each.entry)
        for each in found.values()
        if each.entry is not None and each.state in states
    ]
    diff = files.diff(edits)
    if as_json:
        say({"outcome": "not written", **more, "diff": diff}, "", as_json=True)
    else:
        click.echo(diff, nl=False)
    click.echo("nothing is changed yet; --write changes the files", err=True)
