"""`ringback migrate`: moves callback URLs to another source by a plan, and back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.migrate.options import (
    MigrationAccess,
    with_access,
    with_policy,
    with_policy_at,
    with_probing,
    with_url_source,
)
from ringback.cli.options import (
    Option,
    file_option,
    json_lines_option,
    json_option,
    read_by,
    run_async,
)
from ringback.core.calendar import read_duration

if TYPE_CHECKING:
    from ringback.migration.url_source import UrlSourceSpec
    from ringback.migration_setup import MigrationProbeOptions

# The help is quicker without the imports of `ringback.migration`, so the functions make them.


def _shares(text: str) -> tuple[int, ...]:
    from ringback.migration.canary_step import read_shares

    return read_shares(text)


_plan: Final = argument(
    "path",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="The file that `ringback migrate plan` wrote.",
)
_write: Final = option(
    "--write",
    is_flag=True,
    help="Change files and tables in place. Without it, only the diff is printed.",
)


def _output(option_: Option[Any] = json_option, *more: Option[Any]) -> Callable[..., Any]:
    return option_group("Output", *more, option_)


@group()
def migrate() -> None:
    """Find, plan and move callback URLs, or move them back.

    A URL chooses the source of its callbacks by its fragment, `#cbs=kore` or `#cbs=twilio`. The
    commands edit that fragment: `inventory` lists the URLs, `plan` writes the edits to a file,
    `apply` makes them step by step, `status` shows each one's state, and `revert` undoes them.
    """


@command(
    "inventory",
    examples={
        "ringback migrate inventory --data ringback-data": (
            "List the URLs of the running `ringback dev`."
        ),
        "ringback migrate inventory app.env": "List the URLs in a file, or in a folder.",
        "ringback migrate inventory app.env --out urls.csv": "Write them to a table.",
    },
)
@with_url_source
@with_policy
@_output(json_lines_option, file_option("--out", "Write a CSV table to this file instead."))
@run_async
async def inventory(
    *,
    url_source: "tuple[UrlSourceSpec, MigrationAccess]",
    settings: str | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """List callback URLs, their source in each phase, and their oddities.

    The URLs are in a Ringback's data folder, in an account's fleets and SIMs at the API, in a
    table, or in source code and configuration. Nothing is changed.
    """
    from ringback.cli.migrate.plan_and_inventory import print_inventory

    await print_inventory(*url_source, settings=settings, as_json=as_json, out=out)


@command(
    "plan",
    examples={
        "ringback migrate plan --data ringback-data --to kore --out dev.plan": (
            "Plan to move the URLs of the running `ringback dev`."
        ),
        "ringback migrate plan app.env --to kore \\\n"
        "  --select 'url=https://a.example/*' --out site.plan": (
            "Plan to move only the URLs of one site in a file."
        ),
    },
)
@with_url_source
@option_group(
    "Which URLs move",
    option("--to", required=True, metavar="SOURCE", help="The source to move to: kore or twilio."),
    option(
        "--select",
        "selected",
        multiple=True,
        metavar="CONDITION",
        help="Only URLs with account=AC…, url=https://a.example/*, place=fleet* or source=none."
        " != instead of = selects all others. With several conditions, all must be true.",
    ),
    option(
        "--percent",
        type=click.IntRange(1, 100),
        metavar="PERCENT",
        default=100,
        show_default=True,
        help="Only this share of the receivers. A larger share always includes a smaller one.",
    ),
)
@with_policy_at
@_output(
    json_option, file_option("--out", "The file to write the plan to; it is new.", required=True)
)
@run_async
async def plan(
    *,
    url_source: "tuple[UrlSourceSpec, MigrationAccess]",
    settings: str | None,
    at: datetime | None,
    to: str,
    selected: tuple[str, ...],
    percent: int,
    out: Path,
    as_json: bool,
) -> None:
    """Write a plan: the edits that move callback URLs to a source.

    Nothing is changed yet. The plan has one edit on each line: review it, and delete the lines of
    the URLs that stay. Then `ringback migrate apply` makes the edits.
    """
    from ringback.cli.migrate.plan_and_inventory import write_plan

    await write_plan(
        *url_source,
        settings=settings,
        at=at,
        to=to,
        selected=selected,
        percent=percent,
        out=out,
        as_json=as_json,
    )


@command(
    "apply",
    examples={
        "ringback migrate apply kore.plan --no-probe --canary 50 --soak 1s": (
            "Move half of the URLs, watch them, and then move the rest."
        ),
        "ringback migrate apply example.plan": "Show what a plan for files would change.",
        "ringback migrate apply example.plan --no-probe --write": (
            "Change the files in place, without probing the receivers."
        ),
    },
)
@_plan
@option_group(
    "How to move",
    _write,
    option(
        "--canary",
        callback=read_by(_shares),
        metavar="SHARES",
        help="Move these shares in percent one after the other, like 10,50, then all. Each step is"
        " watched. URLs that deliver worse than before go back, or the whole step if they are"
        " many.",
    ),
    option(
        "--soak",
        callback=read_by(read_duration),
        metavar="DURATION",
        help="How long each step of a canary is watched, like 30m.  [default: 1h]",
    ),
)
@with_probing
@with_access
@_output()
@run_async
async def apply(
    *,
    path: Path,
    write: bool,
    canary: tuple[int, ...] | None,
    soak: timedelta | None,
    probes: "MigrationProbeOptions",
    access: MigrationAccess,
    as_json: bool,
) -> int:
    """Move the URLs of a plan, step by step.

    Each receiver is probed first. It is skipped if it refuses a genuine callback of the other
    source, or accepts a forged one. PLAN.journal beside the plan records each step. If the command
    is interrupted, call it again: it goes on from there.

    Exit code: 0 if all URLs have moved; 1 if the plan is empty or can't be applied; 3 if
    deliveries got worse and a step was rolled back; 4 if some URLs stay where they are.
    """
    from ringback.cli.migrate.apply_and_revert import apply_plan

    return await apply_plan(
        path,
        write=write,
        shares=canary,
        soak=soak,
        probes=probes,
        credentials=access.credentials,
        as_json=as_json,
    )


@command(
    "status",
    examples={
        "ringback migrate status kore.plan": "Count the URLs of a plan by their state.",
        "ringback migrate status kore.plan --json": "Show the state of each URL as JSON.",
    },
)
@_plan
@with_access
@_output(json_lines_option)
@run_async
async def status(*, path: Path, as_json: bool, access: MigrationAccess) -> None:
    """Show the state of each URL of a plan: pending, moved, skipped.

    The URLs are read where they are configured, so the answer is right while `apply` runs, and
    after it was interrupted.
    """
    from ringback.cli.migrate.apply_and_revert import print_status

    await print_status(path, credentials=access.credentials, as_json=as_json)


@command(
    "revert",
    examples={
        "ringback migrate revert kore.plan --yes": "Undo all edits of a plan, without a question.",
        "ringback migrate revert example.plan": "Show what a revert would change in files.",
        "ringback migrate revert example.plan --write --yes": "Undo the edits in the files.",
    },
)
@_plan
@option_group(
    "How to revert",
    _write,
    option("--yes", "is_sure", is_flag=True, help="Revert without asking first."),
)
@with_policy_at
@with_access
@_output()
@run_async
async def revert(
    *,
    path: Path,
    write: bool,
    is_sure: bool,
    settings: str | None,
    at: datetime | None,
    access: MigrationAccess,
    as_json: bool,
) -> int:
    """Undo the edits of a plan: each URL gets its old form again.

    The command first shows how many URLs will be sent from their old source again. It can be
    fewer, if that source has ended by now. Then it asks. If it is interrupted, call it again.

    Exit code: 0 if all URLs are back; 1 if the plan can't be reverted; 4 if some are not back.
    """
    from ringback.cli.migrate.apply_and_revert import revert_plan

    return await revert_plan(
        path, write=write, is_sure=is_sure, settings=settings, at=at, access=access, as_json=as_json
    )


for _command in (inventory, plan, apply, status, revert):
    migrate.add_command(_command)
