"""`ringback shadow`: how callbacks are answered when they come from the other source."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import click

from ringback.cli.base_command import group, option
from ringback.cli.options import json_answer_option, limit_option, prints_answer
from ringback.cli.output import Output, say
from ringback.cli.portal_commands import newest, with_portal
from ringback.cli.time_arguments import ago
from ringback.portal_client import JsonObject, PortalClient

_PAGE: Final = "500"


def _since(default: str | None) -> Any:
    return option(
        "--since",
        metavar="WHEN",
        default=default,
        show_default=default is not None,
        help="Only copies from then on: 2h, or 2026-11-24T10:00Z.",
    )


@group()
def shadow() -> None:
    """Compare callbacks with their copies from the other source: [[shadows]] in the settings."""


@shadow.command("list")
@with_portal
@_since(None)
@option("--source", metavar="SOURCE", help="Only copies from this source.")
@option("--callback", metavar="SID", help="Only copies of this callback.")
@limit_option
@prints_answer
def list_shadows(
    *, portal: PortalClient, since: str | None, source: str | None, callback: str | None, limit: int
) -> Output:
    """List copies, newest first, each with the answer to its callback beside its own."""
    query = {"Since": ago(since, portal), "Source": source, "CallbackSid": callback}
    nothing = "no copies; [[shadows]] in the settings file says which callbacks get one"
    return newest(portal, "shadows", _rows, query=query, limit=limit, nothing=nothing)


@shadow.command("report")
@with_portal
@_since("24h")
@option("--all", "shows_all", is_flag=True, help="Show it answer by answer, too.")
@json_answer_option
def report(*, portal: PortalClient, since: str, shows_all: bool, as_json: bool) -> None:
    """Say for each URL which answers were the same, which differ, and what that means."""
    start = ago(since, portal)
    found = portal.get("shadows", "report", query={"Since": start})
    pages = portal.pages("shadows", query={"Since": start, "PageSize": _PAGE}) if shows_all else ()
    pairs = (one for page in pages for one in page["shadows"])
    if as_json and shows_all:
        found["answers"] = [one["comparison"] for one in pairs]
    say(found, chain(_lines(found), map(_row, pairs)), as_json=as_json)


def _rows(copies: Sequence[JsonObject]) -> Iterator[str]:
    yield from map(_row, copies)


def _row(one: Mapping[str, Any]) -> str:
    pair = one["comparison"]
    first, copy = (_answer(pair[side]) for side in ("first", "copy"))
    color = None if not pair["is_known"] else "green" if pair["is_same"] else "red"
    return (
        f"{one['sid']}  {one['date_started']}  of {one['callback_sid']}"
        f"  {pair['first']['source']} {first} | {pair['copy']['source']} {copy}"
        f"  {click.style(pair['meaning'], fg=color)}"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    return str(answer["status_code"] or answer["failure"] or answer["result"])


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["pairs"]:
        yield "nothing to compare: no copy was sent in that time"
    else:
        yield _counts(found)
    for why, count in found["skipped"].items():
        yield f"{count} copies skipped since the server's start: {_SKIPPED.get(why, why)}"
    for one in found["urls"]:
        yield ""
        yield from _lines_of_url(one)
    if found["urls_left_out"]:
        yield ""
        yield f"and {found['urls_left_out']} more URLs, with no more differences than these"


_SKIPPED: Final = {
    "full": "too many waited already",
    "stopped": "Ringback was stopping",
    "failed": "their rows could not be written",
}


def _counts(found: Mapping[str, Any]) -> str:
    unknown = f", {found['unknown']} not known" if found["unknown"] else ""
    return (
        f"{found['pairs']} compared: {found['same']} the same, {found['differing']} differing"
        f"{unknown}"
    )


def _lines_of_url(one: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(one["url"], bold=True)
    yield f"  {_counts(one)}"
    times = one["times"]
    if times["first"] and times["copy"]:
        yield f"  callbacks took {_times(times['first'])}, copies {_times(times['copy'])}"
    for kind in one["differences"]:
        example = kind["example"]
        first, copy = example["first"], example["copy"]
        yield click.style(
            f"  {kind['count']} x {first['source']} {kind['first']},"
            f" {copy['source']} {kind['copy']}: {kind['meaning']}",
            fg="red",
        )
        yield f"    such as {example['callback_sid']}, copied as {example['shadow_sid']}"
        for side in (first, copy):
            if side["body_excerpt"]:
                yield f"    {side['source']} got: {_on_one_line(side['body_excerpt'])}"


def _times(times: Mapping[str, float]) -> str:
    return f"{times['p50_ms']:.0f} ms (p95 {times['p95_ms']:.0f} ms)"


def _on_one_line(text: str) -> str:
    """Return an excerpt without control characters, which could steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
