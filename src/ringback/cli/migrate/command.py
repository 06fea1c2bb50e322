"""`ringback migrate`: moves callback URLs to another source by a plan, and back."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.migrate.options import (
    MigrationAccess,
    settings_option,
    with_named_place,
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
from ringback.cli.policy.urls_in_use import url_list_options
from ringback.core.calendar import read_duration

if TYPE_CHECKING:
    from ringback.migration.named_place import NamedPlace
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
    help="The plan: a file that `ringback migrate plan` wrote.",
)
_write: Final = option(
    "--write",
    is_flag=True,
    help="Really change the files or the CSV table that the plan is for; without this option, only"
    " the diff is printed. A plan for a data folder or an API is carried out without this option.",
)


def _output(option_: Option[Any] = json_option, *more: Option[Any]) -> Callable[..., Any]:
    return option_group("Output", *more, option_)


@group()
def migrate() -> None:
    """Find callback URLs, and move them to another source, or back.

    A callback URL chooses the source that sends to it by its fragment, `#cbs=kore` or
    `#cbs=twilio`. The commands edit that fragment: `inventory` lists the URLs, `plan` writes the
    edits to a file, `apply` makes them step by step, `status` shows the state of each edit, and
    `revert` undoes them. `streams` compares the event streams of both sources.
    """


@command(
    "inventory",
    examples={
        "ringback migrate inventory --data ringback-data": (
            "List the callback URLs in the data folder of `ringback dev`."
        ),
        "ringback migrate inventory app.env": "List the callback URLs in the file app.env.",
        "ringback migrate inventory app.env --out urls.csv": (
            "Write the callback URLs in a file to a CSV table."
        ),
    },
)
@with_url_source
@with_policy
@_output(
    json_lines_option,
    file_option("--out", "Write the list to this file as a CSV table, instead of printing it."),
)
@run_async
async def inventory(
    *,
    url_source: "tuple[UrlSourceSpec, MigrationAccess]",
    settings: str | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """List callback URLs, the source of each, and warnings about them.

    For each URL, the list has the source (twilio or kore) that sends its callbacks in each phase of
    the transition from twilio to kore. The URLs can be in the data folder of a Ringback server, in
    an account's fleets and SIMs at the API, in a CSV table, or in source code and configuration.
    Nothing is changed.
    """
    from ringback.cli.migrate.plan_and_inventory import print_inventory

    await print_inventory(*url_source, settings=settings, as_json=as_json, out=out)


@command(
    "plan",
    examples={
        "ringback migrate plan --data ringback-data --to kore --out dev.plan": (
            "Plan to move the callback URLs of the running `ringback dev` to kore."
        ),
        "ringback migrate plan app.env --to kore \\\n"
        "  --select 'url=https://a.example/*' --out site.plan": (
            "Plan to move only the URLs under https://a.example/ in app.env to kore."
        ),
    },
)
@with_url_source
@option_group(
    "Which URLs move",
    option(
        "--to",
        required=True,
        metavar="SOURCE",
        help="The source to move the URLs to: kore or twilio.",
    ),
    option(
        "--select",
        "selected",
        multiple=True,
        metavar="CONDITION",
        help="Move only URLs that meet a condition, such as account=AC…, url=https://a.example/*,"
        " place=fleet* (where the URL is configured), source=none (the URL names no source) or"
        " service=GitHub (the URL is a callback of this service). * matches any text; != instead of"
        " = excludes the URLs that match. Repeat the option to require several conditions. Default:"
        " all URLs.",
    ),
    option(
        "--percent",
        type=click.IntRange(1, 100),
        metavar="PERCENT",
        default=100,
        show_default=True,
        help="Move only this percentage of the receivers, for example 10. A larger percentage"
        " always includes the receivers of a smaller one.",
    ),
)
@with_policy_at
@_output(
    json_option,
    file_option("--out", "New file to write the plan to, for example kore.plan.", required=True),
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
    """Write a plan: a file of edits that move callback URLs to a source.

    No URL is changed yet. The plan has one edit on each line: review it, and delete the lines of
    URLs that should not move. Then `ringback migrate apply` makes the edits.
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
        "ringback migrate apply kore.plan --no-probe --canary 50 --soak 1s --least 0": (
            "Move 50 % of a plan's URLs, watch them for 1 second, then move the rest."
        ),
        "ringback migrate apply example.plan": (
            "Show what a plan would change in files, without changing them."
        ),
        "ringback migrate apply example.plan --no-probe --write": (
            "Make a plan's changes in files, without probing the receivers first."
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
        help="Move the URLs in steps, for example 10,50: first 10 %, then up to 50 %, then all."
        " After each step, deliveries are watched: URLs that deliver worse than before are moved"
        " back, or the whole step if they are many. Default: one step.",
    ),
    option(
        "--soak",
        callback=read_by(read_duration),
        metavar="DURATION",
        help="With --canary: how long to watch the deliveries after each step, for example 30m."
        "  [default: 1h]",
    ),
    option(
        "--least",
        type=click.IntRange(0),
        metavar="COUNT",
        help="With --canary: how many callbacks must have come in a step. If there are fewer, wait"
        " for more, and then probe the receivers that got none.  [default: 10]",
    ),
    option(
        "--wait",
        callback=read_by(read_duration),
        metavar="DURATION",
        help="With --canary: how long to wait for them after the soak.  [default: as long again]",
    ),
    option(
        "--test-event",
        is_flag=True,
        help="With --canary: if too few callbacks came, also send a test event of kore to each"
        " receiver that got none. Only for URLs in a Ringback's data.",
    ),
)
@with_probing
@with_named_place
@_output()
@run_async
async def apply(
    *,
    path: Path,
    write: bool,
    canary: tuple[int, ...] | None,
    soak: timedelta | None,
    least: int | None,
    wait: timedelta | None,
    test_event: bool,
    probes: "MigrationProbeOptions",
    named: "tuple[NamedPlace, MigrationAccess]",
    as_json: bool,
) -> int:
    """Move the callback URLs of a plan to their new source.

    Each receiver is probed (tested) first. Its URL is skipped if it refuses a genuine callback from
    the new source, or accepts a forged one. The file PLAN.journal, next to the plan, records each
    step. If the command is interrupted, run it again: it continues from there.

    Exit code: 0 if all URLs have moved; 1 if the plan is empty or can't be applied; 3 if
    deliveries got worse and a step was rolled back; 4 if some URLs of the plan have not moved, or a
    step of the canary is still open because too few callbacks came.
    """
    from ringback.cli.migrate.apply_plan import CanaryOptions, apply_plan

    steps = CanaryOptions(canary, soak, least, wait, test_event)
    return await apply_plan(
        path, write=write, steps=steps, probes=probes, named=named, as_json=as_json
    )


@command(
    "status",
    examples={
        "ringback migrate status": ("Show which callback URLs still depend on a source that ends."),
        "ringback migrate status kore.plan": (
            "Show how many URLs of a plan are in each state, such as moved or skipped."
        ),
        "ringback migrate status kore.plan --json": (
            "Show the state of each URL of a plan as JSON."
        ),
    },
)
@argument(
    "path",
    metavar="[PLAN]",
    required=False,
    type=click.Path(path_type=Path),
    help="The plan: a file that `ringback migrate plan` wrote. Without it, all URLs are shown.",
)
@option_group("Without a plan", settings_option)
@url_list_options
@with_named_place
@_output(json_lines_option)
def status(
    *,
    path: Path | None,
    settings: str | None,
    limit: int,
    shows_urls: bool,
    as_json: bool,
    named: "tuple[NamedPlace, MigrationAccess]",
) -> None:
    """Show the progress of a move: of all URLs, or of those of a plan.

    Without a plan, the command shows how many URLs each source sends to now and why, how many still
    depend on a source that ends, and how much time is left. The URLs are those that are stored, and
    those that requests have given in the last eight days.

    With a plan, it shows the state of each of its URLs, such as pending or moved, and which of the
    moved ones have been called since. It reads the URLs where they are configured, so the states
    are also right while `ringback migrate apply` runs, and after it was interrupted.
    """
    if path is None:
        from ringback.cli.migrate.progress import print_progress

        place, access = named
        print_progress(
            place.data,
            access,
            settings=settings,
            limit=limit,
            shows_urls=shows_urls,
            as_json=as_json,
        )
        return
    _refuse_without_effect("settings", "limit", "shows_urls")
    import asyncio

    from ringback.cli.migrate.opened_plan import OpenedPlan

    async def show(plan: Path) -> None:
        async with OpenedPlan.open(plan, named) as opened:
            await opened.print_state(as_json=as_json)

    asyncio.run(show(path))


@command(
    "revert",
    examples={
        "ringback migrate revert kore.plan --yes": "Undo all edits of a plan, without a question.",
        "ringback migrate revert example.plan": (
            "Show what a revert would change in files, without changing them."
        ),
        "ringback migrate revert example.plan --write --yes": (
            "Undo the edits of a plan in files, without a question."
        ),
    },
)
@_plan
@option_group(
    "How to revert",
    _write,
    option("--yes", "is_sure", is_flag=True, help="Revert without asking first."),
    option(
        "--replay",
        is_flag=True,
        help="Also send again, from the old source, the callbacks that receivers may have acted on"
        " while their URLs were moved: those that timed out, for example. What they refused is"
        " always sent again. Only for URLs in a Ringback's data.",
    ),
)
@with_policy_at
@with_named_place
@_output()
@run_async
async def revert(
    *,
    path: Path,
    write: bool,
    is_sure: bool,
    settings: str | None,
    at: datetime | None,
    replay: bool,
    named: "tuple[NamedPlace, MigrationAccess]",
    as_json: bool,
) -> int:
    """Undo the edits of a plan: each URL gets its old form again.

    The command first shows how many URLs will get callbacks from their old source again: not all,
    if that source no longer sends. Then it asks you. If it is interrupted, run it again.

    Exit code: 0 if all URLs that the plan moved are back; 1 if the plan can't be reverted; 4 if
    some of them are not back.
    """
    from ringback.cli.migrate.revert_plan import revert_plan

    return await revert_plan(
        path,
        write=write,
        is_sure=is_sure,
        settings=settings,
        at=at,
        replay=replay,
        named=named,
        as_json=as_json,
    )


@command(
    "streams",
    examples={
        "ringback migrate streams streams.jsonl": (
            "Compare what `ringback listen --json` has written to a file."
        )
    },
)
@argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.File("rb"),
    help="Files with captured requests, in any format that `ringback verify` reads, such as the"
    " output of `ringback listen --json`; - is standard input.",
)
@_output()
def streams(*, files: tuple[IO[bytes], ...], as_json: bool) -> None:
    """Compare the event streams of twilio and kore that one receiver gets.

    While an account has a stream of each, every event comes twice, with the same event_sid. The
    command counts these pairs, and lists the events that came by one source only: their types,
    times and SIDs. Test events, and requests of no stream, are counted apart. Signatures are not
    checked.

    Exit code: 0 if every event came by both sources; 1 if one did not; 2 if a file can't be read.
    """
    from ringback.cli.migrate.stream_comparison import print_stream_comparison

    sys.exit(print_stream_comparison(files, as_json=as_json))


def _refuse_without_effect(*names: str) -> None:
    """Raise UsageError if one of these options is given, since a plan makes it useless."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            flag = "--urls" if name == "shows_urls" else f"--{name}"
            raise click.UsageError(f"{flag} has no effect with a plan: leave out one of the two")


for _command in (inventory, plan, apply, status, revert, streams):
    migrate.add_command(_command)
