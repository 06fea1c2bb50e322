"""`ringback migrate apply`, `status` and `revert`: carry a plan out, look at it, take it back."""

import sys
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.migrate import output
from ringback.cli.migrate.options import with_credentials, with_policy_at, with_probing
from ringback.cli.options import json_flag, read_by, run_async
from ringback.core.calendar import read_duration
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Policy
from ringback.migration.canary_step import CanarySettings, read_shares
from ringback.migration.edit_status import (
    LEFT_BEHIND,
    MAY_MOVE,
    EditState,
    EditWithState,
    edit_statuses,
)
from ringback.migration.executor import ApplyOutcome, PlanExecutor, exact
from ringback.migration.journal import (
    ApplyBegan,
    JournalSummary,
    PlanJournal,
    journal_of,
    read_journal,
)
from ringback.migration.migration_effect import preview_rollback
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration_setup import (
    MigrationProbeOptions,
    OpenedUrlSource,
    ReceiverReadinessProbe,
    UrlSourceCredentials,
    open_url_source,
)

_WENT_BACK: Final = 3
_LEFT_BEHIND: Final = 4
_SOAK: Final = timedelta(hours=1)
_LOOKS: Final = 5

_plan = argument("path", metavar="PLAN", type=click.Path(path_type=Path))
_write = option(
    "--write", is_flag=True, help="Change files in place; without it, the diff is printed."
)


# ---- apply ---------------------------------------------------------------------------------------


@command()
@_plan
@_write
@option(
    "--canary",
    callback=read_by(read_shares),
    metavar="SHARES",
    help="Move this share first, in percent, or several one after the other (10,50), and go on"
    " while they deliver no worse than before; what got worse goes back, or all of a step.",
)
@option(
    "--soak",
    callback=read_by(read_duration),
    metavar="DURATION",
    help="How long each step of a canary is watched, like 30m.  [default: 1h]",
)
@with_probing
@with_credentials
@run_async
async def apply(
    *,
    path: Path,
    write: bool,
    canary: tuple[int, ...] | None,
    soak: timedelta | None,
    probes: MigrationProbeOptions,
    credentials: UrlSourceCredentials,
) -> int:
    """Move the URLs of a PLAN; what was cut off goes on where it was.

    Each receiver is probed first: one that doesn't accept a genuine callback of the other source,
    or accepts a forgery, is skipped.

    Beside the plan, PLAN.journal has what was done. The exit code is 0 where all have moved, 1
    where it can't be done, 3 where deliveries got worse and a step went back, 4 where some stayed
    behind.
    """
    plan = MigrationPlan.read(path)
    async with open_url_source(plan.url_source, credentials) as found:
        if isinstance(found.url_source, FileUrlSource) and not write:
            _print_diff(found.url_source, await _statuses(plan, path, found), MAY_MOVE)
            return 0
        began = read_journal(journal_of(path), plan_id=plan.id).began
        watch = _canary(found, began, shares=canary, soak=soak)
        with PlanJournal(journal_of(path), plan_id=plan.id) as journal:
            printer = output.ProgressPrinter(sys.stdout.isatty())
            executor = PlanExecutor(plan, found.url_source, journal, found.clock, printer)
            probing = ReceiverReadinessProbe(found, plan.to, probes, credentials.auth_token)
            _check_probing(probing)
            async with probing.check() as readiness:
                ended = await executor.apply(readiness=readiness, canary=watch)
            after = await executor.statuses()
    _say_status(after, printer)
    if ended is ApplyOutcome.WENT_BACK:
        click.echo(
            f"stopped: a step went back. `ringback migrate apply {path}` goes on with all but those"
            " that stay behind",
            err=True,
        )
        return _WENT_BACK
    return _LEFT_BEHIND if any(each.state in LEFT_BEHIND for each in after.values()) else 0


def _check_probing(probing: ReceiverReadinessProbe) -> None:
    """Raise a UsageError where the probe lacks the definition of the source, or its secret."""
    if probing.how.no_probe:
        return
    if probing.to not in probing.how.sources:
        raise click.UsageError(
            f"receivers are probed before they move, and what {probing.to} sends is in no settings"
            " here: give the server's with --settings, or --no-probe"
        )
    if missing := probing.missing_secret:
        flag = f"--{missing.replace('_', '-')}"
        raise click.UsageError(
            f"receivers are probed before they move, by callbacks that {flag} signs: give it, or"
            " --no-probe"
        )


def _canary(
    found: OpenedUrlSource,
    began: ApplyBegan | None,
    *,
    shares: tuple[int, ...] | None,
    soak: timedelta | None,
) -> CanarySettings | None:
    """Return the canary that the options ask for, else the one with which the plan began.

    So a plain `apply` that goes on after a crash still watches what it moves.
    """
    if shares is None and began is not None:
        shares = began.shares
    if not shares:
        if soak is not None:
            raise click.UsageError("--soak is for --canary: say which share moves first")
        return None
    if soak is None:
        soak = timedelta(seconds=began.soak) if began is not None and began.soak else _SOAK
    if found.deliveries is None:
        raise ConfigurationError(
            "--canary needs a record that knows how its callbacks go, a Ringback's data folder"
            " (--data) or its API (--api --server); make a plan of --percent 10 here, and look for"
            " yourself before the next one"
        )
    return CanarySettings(shares, soak, found.deliveries)


# ---- status --------------------------------------------------------------------------------------


@command()
@_plan
@json_flag("Print one JSON object for each URL.")
@with_credentials
@run_async
async def status(*, path: Path, as_json: bool, credentials: UrlSourceCredentials) -> None:
    """Say where the URLs of a PLAN are: pending, moved, skipped, and why.

    The record itself is asked, so this is right also while apply runs, and after it was killed.
    """
    plan = MigrationPlan.read(path)
    async with open_url_source(plan.url_source, credentials) as found:
        edits = await _statuses(plan, path, found)
    records = (output.json_line(output.status_record(each)) for each in edits.values())
    for line in records if as_json else output.status_lines(edits):
        click.echo(line)


async def _statuses(
    plan: MigrationPlan, path: Path, found: OpenedUrlSource
) -> Mapping[UrlLocation, EditWithState]:
    """Return the state of all edits, by URLs and a journal that were read at the same time."""
    after, entries = JournalSummary(), ()
    for _ in range(_LOOKS):
        before = read_journal(journal_of(path), plan_id=plan.id)
        entries = await found.url_source.entries()
        after = read_journal(journal_of(path), plan_id=plan.id)
        # An apply may be running: the two belong together only if it noted nothing in between.
        if after.marks == before.marks:
            break
    return edit_statuses(plan, after, entries)


# ---- revert --------------------------------------------------------------------------------------


@command()
@_plan
@_write
@option("--yes", "is_sure", is_flag=True, help="Don't ask.")
@with_policy_at
@with_credentials
@run_async
async def revert(
    *,
    path: Path,
    write: bool,
    is_sure: bool,
    policy: Policy,
    at: datetime | None,
    credentials: UrlSourceCredentials,
) -> int:
    """Give all URLs that a PLAN has moved their old form back.

    It says first how many will really be sent from their old source again, by the policy and the
    date. What was cut off goes on where it was. The exit codes are those of apply.
    """
    plan = MigrationPlan.read(path)
    async with open_url_source(plan.url_source, credentials) as found:
        before = await _statuses(plan, path, found)
        moved = [each.edit for each in before.values() if each.state is EditState.MOVED]
        if not moved:
            click.echo("nothing is to go back: no URL is where this plan has moved it")
            return 0
        preview = preview_rollback(moved, plan.to, policy, at=at or found.clock.now())
        for line in output.rollback_lines(preview, plan.to):
            click.echo(line)
        if isinstance(found.url_source, FileUrlSource) and not write:
            _print_diff(found.url_source, before, {EditState.MOVED}, turned=UrlEdit.back)
            return 0
        if not is_sure:
            click.confirm(f"take {len(moved)} URLs back?", abort=True)
        with PlanJournal(journal_of(path), plan_id=plan.id) as journal:
            printer = output.ProgressPrinter(sys.stdout.isatty())
            executor = PlanExecutor(plan, found.url_source, journal, found.clock, printer)
            await executor.revert()
            after = await executor.statuses()
    _say_status(after, printer)
    is_all_back = all(after[edit.place].state in _BACK for edit in moved)
    return 0 if is_all_back else _LEFT_BEHIND


_BACK: Final = (EditState.RETURNED, EditState.BEHIND)


def _say_status(
    found: Mapping[UrlLocation, EditWithState], printer: output.ProgressPrinter
) -> None:
    printer.end()
    for line in output.status_lines(found, reported=printer.reported):
        click.echo(line)


# ---- files, without --write ----------------------------------------------------------------------


def _print_diff(
    files: FileUrlSource,
    found: Mapping[UrlLocation, EditWithState],
    states: Collection[EditState],
    *,
    turned: Callable[[UrlEdit], UrlEdit] = lambda edit: edit,
) -> None:
    """Print what the edits in one of these states would change."""
    edits = [
        exact(turned(each.edit), each.entry)
        for each in found.values()
        if each.entry is not None and each.state in states
    ]
    click.echo(files.diff(edits), nl=False)
    click.echo("nothing is changed; --write changes the files", err=True)
