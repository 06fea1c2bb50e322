"""Finds the URLs for `ringback migrate inventory` and `plan`, and prints or writes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import click

from ringback.cli.migrate import output
from ringback.cli.migrate.options import MigrationAccess, policy_for
from ringback.cli.output import echo, json_line, say
from ringback.core.counted import counted
from ringback.core.policy.source_policy import Policy, SourceName, source_named
from ringback.migration.filters import UrlFilter
from ringback.migration.inventory import inventory
from ringback.migration.migration_effect import in_vain
from ringback.migration.plan import make_plan
from ringback.migration.url_source import UrlEntry, UrlSourceSpec
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration.url_sources.url_matches import NotListed
from ringback.migration_setup import OpenedUrlSource, open_url_source
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.system_clock import SystemRandomSource


async def print_inventory(
    spec: UrlSourceSpec,
    access: MigrationAccess,
    *,
    settings: str | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Print an inventory of the URLs in a place, or write it to a CSV file."""
    async with open_url_source(spec, access.credentials) as opened:
        policy, *_ = policy_for(spec, access, settings, now=opened.clock.now())
        found = inventory(await _read(opened), policy)
        not_listed = _not_listed(opened)
        searched = output.searched_lines(opened.url_source)
    if out is not None:
        _write(out, output.inventory_table(found))
        totals = output.inventory_totals(found, not_listed)
        record = {"file": str(out), **totals, "callback_urls": len(found)}
        say(record, f"{out}: {counted(len(found), 'callback URL')}", as_json=as_json)
        return
    if as_json:
        for line in found:
            echo(json_line(line.record, ensure_ascii=False))
        echo(json_line(output.inventory_totals(found, not_listed)))
        return
    for text in output.inventory_lines(found, not_listed):
        echo(text)
    for text in () if found else searched:
        echo(text)


async def write_plan(
    spec: UrlSourceSpec,
    access: MigrationAccess,
    *,
    settings: str | None,
    at: datetime | None,
    to: str,
    selected: Sequence[str],
    percent: int,
    out: Path,
    as_json: bool,
) -> None:
    """Write the plan that moves the URLs in a place to the source `to`, and print its summary."""
    selections = [UrlFilter.parse(text) for text in selected]
    async with open_url_source(spec, access.credentials) as opened:
        now = opened.clock.now()
        policy, date, origin = policy_for(spec, access, settings, at=at, now=now)
        planned = make_plan(
            await _read(opened),
            to=_source(to, policy),
            url_source=opened.url_source.spec,
            phase=policy.general_phase(date).name,
            now=now,
            plan_id=SystemRandomSource().bytes(8).hex(),
            selections=selections,
            percent=percent,
            fingerprint=opened.fingerprint,
        )
        searched = output.searched_lines(opened.url_source)
    planned.write(out)
    without_effect = in_vain(planned.edits, planned.to, policy, at=date)
    record = {
        "file": str(out),
        "to": planned.to,
        "edits": len(planned.edits),
        "left_out": planned.left_out,
        "without_effect": without_effect,
        "policy_of": origin,
        "phase": planned.phase,
    }
    lines = [*output.plan_lines(planned, str(out), without_effect)]
    say(record, lines if planned.edits else [*lines, *searched], as_json=as_json)


async def _read(opened: OpenedUrlSource) -> Sequence[UrlEntry]:
    entries = await opened.url_source.entries()
    if isinstance(opened.url_source, FileUrlSource):
        for why, number in opened.url_source.skipped.items():
            if number:
                echo(f"skipped {number}: {why}", err=True)
    return entries


def _not_listed(opened: OpenedUrlSource) -> Mapping[str, int]:
    """Return how many URLs in files were seen that aren't callback URLs, by the reason."""
    source = opened.url_source
    counts = source.not_listed if isinstance(source, FileUrlSource) else Counter[str]()
    return {why.value: counts[why] for why in NotListed if counts[why]}


def _source(text: str, policy: Policy) -> SourceName:
    if text not in policy.sources:
        known = ", ".join(policy.sources)
        raise click.BadParameter(
            f"{text!r} is not a source of the policy; it has {known}", param_hint="--to"
        )
    return source_named(text)


def _write(path: Path, text: str) -> None:
    with refusing(f"{path} can't be written"):
        # As when it is printed: a byte that is not UTF-8 becomes an escape.
        path.write_text(text, "utf-8", "backslashreplace")
