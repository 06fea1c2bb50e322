"""Moves the URLs of a plan for `ringback migrate apply`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from ringback.cli.migrate import output
from ringback.cli.migrate.opened_plan import OpenedPlan, PlanState, not_done, print_diff
from ringback.cli.migrate.options import MigrationAccess
from ringback.cli.migrate.plan_by_job import PlanByJob
from ringback.cli.migrate.step_watch import PortalDeliveries, ServerStepWatcher
from ringback.cli.output import echo
from ringback.core.errors import ConfigurationError
from ringback.core.job import JobStatus
from ringback.migration.canary_step import CanarySettings
from ringback.migration.edit_status import MAY_MOVE, EditState
from ringback.migration.executor import ApplyOutcome, PlanExecutor, ReceiverReadinessCheck
from ringback.migration.journal import ApplyBegan
from ringback.migration.named_place import NamedPlace
from ringback.migration.url_source import UrlDeliveryHistory
from ringback.migration_setup import MigrationProbeOptions, ReceiverReadinessProbe
from ringback.operations.plan_jobs import PlanAction, PlanWork

_WENT_BACK: Final = 3
"""The exit code if a step was rolled back."""
_LEFT_BEHIND: Final = 4
"""The exit code if some URLs have not moved."""
_ARE_NEW: Final = (EditState.MOVED, EditState.THERE)
_SOAK: Final = timedelta(hours=1)
_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """The options of the canary; None where an option is not given."""

    shares: tuple[int, ...] | None
    soak: timedelta | None
    least: int | None
    wait: timedelta | None
    test_event: bool = False


async def apply_plan(
    path: Path,
    *,
    write: bool,
    steps: CanaryOptions,
    probes: MigrationProbeOptions,
    named: tuple[NamedPlace, MigrationAccess],
    as_json: bool,
) -> int:
    """Move the URLs of a plan, print the progress and the result, and return the exit code."""
    async with OpenedPlan.open(path, named) as plan:
        if not plan.plan.edits and not (await plan.state()).edits:
            raise ConfigurationError(
                f"{path} is empty: it moves no URL; `ringback migrate plan` says why it leaves URLs"
                " out"
            )
        if plan.files is not None and not write:
            print_diff(plan.files, (await plan.state()).among(MAY_MOVE), as_json=as_json)
            return 0
        if steps.test_event and plan.by_job is None:
            raise click.UsageError("--test-event is only for plans of URLs in a Ringback's data")
        printer = plan.printer(as_json=as_json)
        async with _readiness(plan, probes) as readiness:
            if plan.by_job is not None:
                canary = _canary(plan.found.deliveries, (await plan.summary()).began, steps)
                work = _work(canary, steps, is_probed=not probes.no_probe)
                outcome = await _apply_by_job(plan.by_job, work, readiness, printer)
            else:
                outcome = await _apply_here(plan, steps, readiness, printer)
        after = await plan.print_result(outcome.value, printer, as_json=as_json)
    return _code_of(outcome, plan, after)


def _work(canary: CanarySettings | None, steps: CanaryOptions, *, is_probed: bool) -> PlanWork:
    if canary is None:
        return PlanWork(action=PlanAction.APPLY, is_probed=is_probed)
    return PlanWork(
        action=PlanAction.APPLY,
        shares=canary.shares,
        soak=canary.soak,
        least=canary.least,
        wait=canary.wait,
        is_probed=is_probed,
        sends_test_events=steps.test_event,
    )


async def _apply_by_job(
    plan: PlanByJob,
    work: PlanWork,
    readiness: ReceiverReadinessCheck | None,
    printer: output.ProgressPrinter,
) -> ApplyOutcome:
    """Let a job do it; raises ConfigurationError if it failed, or was cancelled."""
    job, summary = await plan.carry_out(work, readiness, printer)
    match job.status:
        case JobStatus.DONE:
            return ApplyOutcome.DONE
        case JobStatus.FAILED if summary.went_back:
            return ApplyOutcome.WENT_BACK
        case JobStatus.FAILED if summary.is_unproven:
            return ApplyOutcome.UNPROVEN
        case _:
            raise not_done(job)


async def _apply_here(
    plan: OpenedPlan,
    steps: CanaryOptions,
    readiness: ReceiverReadinessCheck | None,
    printer: output.ProgressPrinter,
) -> ApplyOutcome:
    """Change the URLs in this process; a server that sends to URLs in files watches, too."""
    portal = None
    if plan.files is not None:
        portal = plan.access.portal(plan.access.account_sid)
    history = plan.found.deliveries or (portal and PortalDeliveries(portal))
    canary = _canary(history, (await plan.summary()).began, steps)
    with plan.journal_file(printer) as journal:
        executor = PlanExecutor(plan.plan, plan.found.url_source, journal, plan.found.clock)
        if portal is not None and canary is not None:
            executor.watcher = ServerStepWatcher(plan.plan, plan.path, canary, portal)
        return await executor.apply(readiness=readiness, canary=canary)


def _code_of(outcome: ApplyOutcome, plan: OpenedPlan, after: PlanState) -> int:
    """Return the exit code of an apply, and say how to go on if it has stopped."""
    again = f"`ringback migrate apply {plan.path}`"
    match outcome:
        case ApplyOutcome.WENT_BACK:
            echo(
                f"stopped: a step was rolled back. {again} goes on with all URLs except those that"
                " stay behind",
                err=True,
            )
            return _WENT_BACK
        case ApplyOutcome.UNPROVEN:
            echo(
                "stopped: too few callbacks came to say that the URLs of this step deliver well,"
                f" and --no-probe is given. {again} waits for them again, or probes the receivers;"
                " --least 0 goes on without",
                err=True,
            )
            return _LEFT_BEHIND
        case ApplyOutcome.DONE:
            has_moved_all = all(
                after.edits[edit.place].state in _ARE_NEW for edit in plan.plan.edits
            )
            return 0 if has_moved_all else _LEFT_BEHIND


# ---- the probe and the canary --------------------------------------------------------------------


@asynccontextmanager
async def _readiness(
    plan: OpenedPlan, probes: MigrationProbeOptions
) -> AsyncGenerator[ReceiverReadinessCheck | None]:
    """Yield the check of receivers; yields None with `--no-probe`.

    Raises UsageError if the probe lacks the definition of the new source, or its secret.
    """
    auth_token = plan.access.credentials.auth_token
    probing = ReceiverReadinessProbe(plan.found, plan.plan.to, probes, auth_token)
    if not probes.no_probe:
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


def _canary(
    history: UrlDeliveryHistory | None, began: ApplyBegan | None, asked: CanaryOptions
) -> CanarySettings | None:
    """Return the canary that the options set, or else that of the earlier `apply` of this plan.

    So a plain `apply` that continues after a crash still watches the URLs that it moves.
    """
    earlier = began if began is not None and began.shares else None
    shares = earlier.shares if asked.shares is None and earlier is not None else asked.shares
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
    soak, least, wait = asked.soak, asked.least, asked.wait
    if soak is None:
        soak = timedelta(seconds=earlier.soak) if earlier else _SOAK
    if least is None:
        least = earlier.least if earlier else _LEAST
    if wait is None:
        wait = timedelta(seconds=earlier.wait) if earlier else soak
    return CanarySettings(shares, soak, history, least, wait)
