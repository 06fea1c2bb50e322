"""`ringback migrate`: move callback URLs to another source by a plan, and back."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from ringback.cli.base_command import group, option
from ringback.cli.migrate.apply_and_revert import apply, revert, status
from ringback.cli.migrate.options import with_policy, with_policy_at, with_url_source
from ringback.cli.migrate.output import inventory_lines, inventory_table, json_line, plan_lines
from ringback.cli.options import file_option, json_flag, run_async
from ringback.core.policy.source_policy import Policy, SourceName, source_named
from ringback.migration.filters import UrlFilter
from ringback.migration.inventory import inventory as inventory_of
from ringback.migration.migration_effect import in_vain
from ringback.migration.plan import make_plan
from ringback.migration.url_source import UrlEntry, UrlSourceSpec
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration_setup import OpenedUrlSource, UrlSourceCredentials, open_url_source
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.system_clock import SystemRandomSource


@group()
def migrate() -> None:
    """Move callback URLs to another source step by step, see where each is, and go back."""


migrate.add_command(apply)
migrate.add_command(status)
migrate.add_command(revert)


@migrate.command("inventory")
@with_url_source
@with_policy
@json_flag("Print one JSON object for each URL.")
@file_option("--out", "Write a CSV file instead.")
@run_async
async def inventory(
    *,
    url_source: tuple[UrlSourceSpec, UrlSourceCredentials],
    policy: Policy,
    as_json: bool,
    out: Path | None,
) -> None:
    """List callback URLs: what each asks for, where it is sent from in each phase, what is odd.

    PATH is source code or configuration, files and folders.
    """
    async with open_url_source(*url_source) as opened:
        found = inventory_of(await _read(opened), policy)
    if out is not None:
        _write(out, inventory_table(found))
        click.echo(f"{out}: {len(found)} callback URLs")
        return
    for line in (json_line(line.record) for line in found) if as_json else inventory_lines(found):
        click.echo(line)


@migrate.command("plan")
@with_url_source
@with_policy_at
@option("--to", required=True, metavar="SOURCE", help="The source to move to: kore, twilio.")
@option(
    "--select",
    "selected",
    multiple=True,
    metavar="CONDITION",
    help="Only these: account=AC…, url=https://a.example/*, place=fleet*, source=none; != for all"
    " others. Several have to hold together.",
)
@option(
    "--percent",
    type=click.IntRange(1, 100),
    default=100,
    show_default=True,
    help="Only such a share of the receivers; a larger share has these among it.",
)
@file_option("--out", "Where the plan is written to.", required=True)
@run_async
async def plan(
    *,
    url_source: tuple[UrlSourceSpec, UrlSourceCredentials],
    policy: Policy,
    at: datetime | None,
    to: str,
    selected: tuple[str, ...],
    percent: int,
    out: Path,
) -> None:
    """Write down the exact edits that move callback URLs to a source; nothing is changed.

    The file has one edit on each line: review it, and delete the lines of what is to stay.
    """
    target = _source(to, policy)
    selections = [UrlFilter.parse(text) for text in selected]
    async with open_url_source(*url_source) as found:
        now = found.clock.now()
        planned = make_plan(
            await _read(found),
            to=target,
            url_source=found.url_source.spec,
            phase=policy.phase_at(at or now).name,
            now=now,
            plan_id=SystemRandomSource().bytes(8).hex(),
            selections=selections,
            percent=percent,
        )
    planned.write(out)
    without_effect = in_vain(planned.edits, planned.to, policy, at=at or planned.made)
    for line in plan_lines(planned, str(out), without_effect):
        click.echo(line)


async def _read(found: OpenedUrlSource) -> Sequence[UrlEntry]:
    entries = await found.url_source.entries()
    if isinstance(found.url_source, FileUrlSource):
        for why, number in found.url_source.skipped.items():
            if number:
                click.echo(f"skipped {number}: {why}", err=True)
    return entries


def _source(text: str, policy: Policy) -> SourceName:
    if text not in policy.sources:
        known = ", ".join(policy.sources)
        raise click.BadParameter(f"{text!r} is no source; there are {known}", param_hint="--to")
    return source_named(text)


def _write(path: Path, text: str) -> None:
    with refusing(f"{path} can't be written"):
        path.write_text(text, "utf-8")
