"""`ringback jobs`: list, show, follow, pause, resume and cancel jobs that run in the server."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.options import limit_option, prints_answer, prints_record
from ringback.cli.output import Output, echo, overwrite
from ringback.cli.portal_commands import newest, with_operators_portal
from ringback.core.errors import ConfigurationError
from ringback.core.visible_text import visible

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

STATUSES: Final = ("running", "paused", "done", "cancelled", "failed")
INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells define it."""
_UNFINISHED: Final = ("running", "paused")
_LOOK_EVERY_SECONDS: Final = 0.5
_SAY_EVERY_SECONDS: Final = 10.0
"""How often progress is printed if the output is not a terminal."""
_PATIENCE_SECONDS: Final = 120.0
"""For how long a job is still followed if its server doesn't answer, for example at a restart."""

_DIGEST: Final = "plan_digest"
"""A parameter by which servers know that a plan has not changed."""

_job_argument: Final = argument("sid", help="SID of the job, for example JO0123abc.")


@group()
def jobs() -> None:
    """Show, pause and cancel jobs: long actions that run in the server.

    `ringback callbacks replay --since` and `ringback migrate apply` create jobs. A job goes on when
    the terminal is closed, and after a crash of the server.
    """


@jobs.command(
    "list",
    examples={
        "ringback jobs list": "Show the newest jobs:",
        "ringback jobs list --status running": "Show the jobs that are running:",
    },
)
@option_group(
    "Which jobs",
    option("--status", type=click.Choice(STATUSES), help="Show only jobs with this status."),
    limit_option,
)
@prints_answer
@with_operators_portal
def list_jobs(*, portal: "PortalClient", status: str | None, limit: int) -> Output:
    """List jobs, newest first.

    The columns: SID, time of creation (UTC), kind, status, and progress. With an operator's key,
    the jobs of all accounts are listed.
    """
    return newest(
        portal,
        "jobs",
        lambda found: map(_row, found),
        query={"Status": status},
        limit=limit,
        nothing="no jobs",
    )


@jobs.command(
    "show", examples={'ringback jobs show "$JOB_SID"': "Show what a job does, and how far it is:"}
)
@_job_argument
@prints_answer
@with_operators_portal
def show(*, sid: str, portal: "PortalClient") -> Output:
    """Show one job: what was asked for, how far it is, and how it ended."""
    job = portal.get("jobs", sid)
    return job, _details(job)


@jobs.command(
    "follow",
    examples={'ringback jobs follow "$JOB_SID"': "Print the progress of a job until it has ended:"},
)
@_job_argument
@prints_record
@with_operators_portal
def follow(*, sid: str, portal: "PortalClient") -> Output:
    """Print the progress of a job until it has ended.

    Ctrl-C ends the command, but not the job.
    """
    job = follow_job(portal, portal.get("jobs", sid))
    return job, _row(job)


def _move(verb: str, meaning: str, example: str) -> None:
    @jobs.command(verb, help=meaning, examples={f'ringback jobs {verb} "$JOB_SID"': example})
    @_job_argument
    @prints_record
    @with_operators_portal
    def move(*, sid: str, portal: "PortalClient") -> Output:
        job = portal.post("jobs", sid, verb)
        return job, _row(job)


_move("pause", "Pause a job, until it is resumed.", "Pause a job:")
_move("resume", "Let a paused job go on.", "Let it go on:")
_move(
    "cancel",
    "End a job.\n\nWhat it has done stays as it is: callbacks that it has replayed are still sent.",
    "End a job before it is done:",
)


def follow_job(portal: "PortalClient", job: "JsonObject") -> "JsonObject":
    """Print the progress of a job on stderr until it has ended, and return it.

    Raises ConfigurationError if it fails or is cancelled. Ctrl-C ends the process with INTERRUPTED,
    after a text that says how to go on.
    """
    try:
        job = _followed(portal, job)
    except KeyboardInterrupt:
        echo(err=True)
        echo(
            f"the job goes on. `ringback jobs follow {job['sid']}` shows its progress,"
            f" `ringback jobs cancel {job['sid']}` ends it",
            err=True,
        )
        sys.exit(INTERRUPTED)
    if job["status"] != "done":
        why = f": {job['status_reason']}" if job["status_reason"] else ""
        raise ConfigurationError(f"the job {job['sid']} was {job['status']}, {_progress(job)}{why}")
    return job


def _followed(portal: "PortalClient", job: "JsonObject") -> "JsonObject":
    from ringback.portal_client import NoServerAnswers

    is_terminal, said = sys.stderr.isatty(), time.monotonic()
    answered, done = said, job["done"]
    while job["status"] in _UNFINISHED:
        time.sleep(_LOOK_EVERY_SECONDS)
        try:
            job = portal.get("jobs", job["sid"])
            answered = time.monotonic()
        except NoServerAnswers:
            if time.monotonic() - answered > _PATIENCE_SECONDS:
                raise
            continue
        now = time.monotonic()
        if is_terminal or now - said >= _SAY_EVERY_SECONDS:
            rate = (job["done"] - done) / max(now - said, _LOOK_EVERY_SECONDS)
            state = "paused" if job["status"] == "paused" else f"{rate:.0f}/s"
            text = f"{_progress(job)}, {state}{_reason(job)}"
            if is_terminal:
                overwrite(text, stays_open=True, err=True)
            else:
                echo(text, err=True)
            said, done = now, job["done"]
    if is_terminal:
        overwrite("", stays_open=True, err=True)
    return job


def _row(job: "JsonObject") -> str:
    created = job["date_created"].replace("T", " ").removesuffix("Z")
    return (
        f"{job['sid']}  {created}  {job['kind']}  {job['status']:9}  {_progress(job)}{_reason(job)}"
    )


def _reason(job: "JsonObject") -> str:
    return f"; {visible(job['status_reason'])}" if job["status_reason"] else ""


def _progress(job: "JsonObject") -> str:
    """Return how far a job is, in words."""
    done, estimate = job["done"], job["estimate"]
    if job["status"] == "done":
        return f"{done:,} done"
    return f"{done:,} of {'' if job['is_exact'] else 'at least '}{max(estimate, done):,} done"


def _details(job: "JsonObject") -> Iterator[str]:
    yield _row(job)
    owner = job["account_sid"] or "all accounts"
    yield f"account     {owner}, created by {job['created_by']}"
    asked: dict[str, Any] = job["parameters"]
    given = {name: value for name, value in asked.items() if value is not False and name != _DIGEST}
    if job["plan_id"] is not None:
        given["plan"] = job["plan_id"]
    if "statuses" in given:
        given["statuses"] = ", ".join(given["statuses"])
    if job["rate"] is not None:
        given["rate"] = f"{job['rate']:,} a second"
    dates = {"updated": job["date_updated"], "ended": job["date_ended"]}
    for name, value in (given | job["counts"] | dates).items():
        if value is not None:
            shown = f"{value:,}" if type(value) is int else value
            yield f"{name.replace('_', ' '):<11} {visible(str(shown))}"
