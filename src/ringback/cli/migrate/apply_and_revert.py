"""Applies a plan for `ringback migrate apply`, shows its state, and reverts it."""

import sys
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.migrate import output
from ringback.cli.migrate.options import MigrationAccess, policy_for
from ringback.cli.output import say
from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
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
from ringback.migration.executor import ApplyOutcome, PlanExecutor, exact
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
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration_setup import (
    MigrationProbeOptions,
    OpenedUrlSource,
    ReceiverReadinessProbe,
    open_planned,
)

_WENT_BACK: Final = 3
_LEFT_BEHIND: Final = 4
_ARE_NEW: Final = (EditState.MOVED, EditState.THERE)
_SOAK: Final = timedelta(hours=1)
_LOOKS: Final = 5


# ---- apply ---------------------------------------------------------------------------------------


async def apply_plan(
    path: Path,
    *,
    write: bool,
    shares: tuple[int, ...] | None,
    soak: timedelta | None,
    probes: MigrationProbeOptions,
    named: tuple[NamedPlace, MigrationAccess],
    as_json: bool,
) -> int:
    """Move the URLs of a plan, print the progress and the result, and return the exit code."""
    plan, (place, access) = MigrationPlan.read(path), named
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
        began = read_journal(journal_of(path), plan_id=plan.id).began
        watch = _canary(found, began, shares=shares, soak=soak)
        printer = _printer(plan, as_json=as_json)
        with JournalFile(journal_of(path), plan_id=plan.id, follow=printer.follow) as journal:
            executor = PlanExecutor(plan, found.url_source, journal, found.clock)
            probing = ReceiverReadinessProbe(found, plan.to, probes, access.credentials.auth_token)
            _check_probing(probing)
            async with probing.check() as readiness:
                ended = await executor.apply(readiness=readiness, canary=watch)
            after = await executor.statuses()
    _say_result(ended.value, after, printer, as_json=as_json)
    if ended is ApplyOutcome.WENT_BACK:
        click.echo(
            f"stopped: a step was rolled back. `ringback migrate apply {path}` goes on with all"
            " URLs except those that stay behind",
            err=True,
        )
        return _WENT_BACK
    has_moved_all = all(after[edit.place].state in _ARE_NEW for edit in plan.edits)
    return 0 if has_moved_all else _LEFT_BEHIND


def _printer(plan: MigrationPlan, *, as_json: bool) -> output.ProgressPrinter:
    stream = sys.stderr if as_json else sys.stdout
    edits = {edit.place: edit for edit in plan.edits}
    return output.ProgressPrinter(edits, stream.isatty(), err=as_json)


def _check_probing(probing: ReceiverReadinessProbe) -> None:
    """Raise UsageError if the probe lacks the definition of the new source, or its secret."""
    if probing.how.no_probe:
        return
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


def _canary(
    found: OpenedUrlSource,
    began: ApplyBegan | None,
    *,
    shares: tuple[int, ...] | None,
    soak: timedelta | None,
) -> CanarySettings | None:
    """Return the canary that the options set, or else that of the earlier `apply` of this plan.

    So a plain `apply` that continues after a crash still watches the URLs that it moves.
    """
    if shares is None and began is not None:
        shares = began.shares
    if not shares:
        if soak is not None:
            raise click.UsageError(
                "--soak needs --canary: give the shares that move first, like --canary 10,50"
            )
        return None
    if soak is None:
        soak = timedelta(seconds=began.soak) if began is not None and began.soak else _SOAK
    if found.deliveries is None:
        raise ConfigurationError(
            "--canary needs the results of deliveries. Only plans for the data folder (--data) or"
            " the API (--api --server) of a Ringback server have them. Without --canary, make a"
            " plan with --percent 10, and check the deliveries yourself before the next plan"
        )
    return CanarySettings(shares, soak, found.deliveries)


# ---- status --------------------------------------------------------------------------------------


async def print_status(
    path: Path, *, named: tuple[NamedPlace, MigrationAccess], as_json: bool
) -> None:
    """Print the state of each URL of a plan."""
    plan, (place, access) = MigrationPlan.read(path), named
    async with open_planned(plan, place, access.credentials) as found:
        edits = await _statuses(plan, path, found)
        calls = None
        if found.deliveries is not None:
            moved_at = read_journal(journal_of(path), plan_id=plan.id).moved_at
            now = found.clock.now()
            calls = await calls_since_move(edits, moved_at, found.deliveries, now=now)
    if as_json:
        for place, each in edits.items():
            called = None if calls is None else calls.get(place)
            click.echo(output.json_line(output.status_record(each, called)))
        return
    for line in output.status_lines(edits):
        click.echo(line)
    for line in output.call_lines(edits, calls or {}):
        click.echo(line)
    if not edits:
        click.echo(f"{path} is empty: it moves no URL")


async def _statuses(
    plan: MigrationPlan, path: Path, found: OpenedUrlSource
) -> Mapping[UrlLocation, EditWithState]:
    """Return the state of all edits, from URLs and a journal that were read together."""
    after, entries = JournalSummary(), ()
    for _ in range(_LOOKS):
        before = read_journal(journal_of(path), plan_id=plan.id)
        entries = await found.url_source.entries()
        after = read_journal(journal_of(path), plan_id=plan.id)
        # Another process may be applying the plan. Entries and journal fit together only if it
        # wrote nothing in between.
        if after.marks == before.marks:
            break
    return edit_statuses(plan, after, entries)


# ---- revert --------------------------------------------------------------------------------------


async def revert_plan(
    path: Path,
    *,
    write: bool,
    is_sure: bool,
    settings: str | None,
    at: datetime | None,
    named: tuple[NamedPlace, MigrationAccess],
    as_json: bool,
) -> int:
    """Undo the edits of a plan, print the progress and the result, and return the exit code."""
    plan, (place, access) = MigrationPlan.read(path), named
    async with open_planned(plan, place, access.credentials) as found:
        before = await _statuses(plan, path, found)
        moved = [each.edit for each in before.values() if each.state is EditState.MOVED]
        if not moved:
            left = _not_back(path, plan, before)
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
            click.confirm(question, abort=True, err=as_json)
        printer = _printer(plan, as_json=as_json)
        with JournalFile(journal_of(path), plan_id=plan.id, follow=printer.follow) as journal:
            executor = PlanExecutor(plan, found.url_source, journal, found.clock)
            await executor.revert()
            after = await executor.statuses()
    _say_result("reverted", after, printer, as_json=as_json, **effect)
    return _LEFT_BEHIND if _not_back(path, plan, after) else 0


def _not_back(
    path: Path, plan: MigrationPlan, found: Mapping[UrlLocation, EditWithState]
) -> Mapping[UrlLocation, EditWithState]:
    """Return the edits that an apply began, and whose URLs do not have their old form."""
    begun = read_journal(journal_of(path), plan_id=plan.id).edits
    return {place: each for place, each in found.items() if place in begun and not each.is_back}


def _say_result(
    outcome: str,
    found: Mapping[UrlLocation, EditWithState],
    printer: output.ProgressPrinter,
    *,
    as_json: bool,
    **more: Any,
) -> None:
    printer.end()
    behind = [output.status_record(each) for each in found.values() if each.state in LEFT_BEHIND]
    record = {"outcome": outcome, **more, "counts": _counts(found), "left_behind": behind}
    say(record, output.status_lines(found, reported=printer.reported), as_json=as_json)


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
