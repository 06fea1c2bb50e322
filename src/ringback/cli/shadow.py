"""`ringback shadow`: how callbacks are answered when they come from the other source."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from ringback.cli.moments import ago
from ringback.cli.portal import Portal, with_portal

_PAGE: Final = "500"
_json = click.option("--json", "as_json", is_flag=True, help="Print the API's answer as it is.")


def _since(default: str | None) -> Any:
    return click.option(
        "--since",
        metavar="WHEN",
        default=default,
        show_default=default is not None,
        help="Only copies from then on: 2h, or 2026-11-24T10:00Z.",
    )


@click.group()
def shadow() -> None:
    """Compare callbacks with their copies from the other source: [[shadows]] in the settings."""


@shadow.command("list")
@with_portal
@_since(None)
@click.option("--source", metavar="SOURCE", help="Only copies from this source.")
@click.option("--callback", metavar="SID", help="Only copies of this callback.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many at most."
)
@_json
def list_shadows(
    *,
    portal: Portal,
    since: str | None,
    source: str | None,
    callback: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List copies, newest first, each with the answer to its callback beside its own."""
    query = {
        "Since": ago(since, portal.now),
        "Source": source,
        "CallbackSid": callback,
    }
    page = portal.newest("shadows", query=query, limit=limit)
    if as_json:
        click.echo(json.dumps(page))
    elif not page["shadows"]:
        click.echo("no copies; [[shadows]] in the settings file says which callbacks get one")
    else:
        for one in page["shadows"]:
            click.echo(_row(one))


@shadow.command("report")
@with_portal
@_since("24h")
@click.option("--all", "shows_all", is_flag=True, help="Show it answer by answer, too.")
@_json
def report(*, portal: Portal, since: str, shows_all: bool, as_json: bool) -> None:
    """Say for each URL which answers were the same, which differ, and what that means."""
    start = ago(since, portal.now)
    found = portal.get("shadows", "report", query={"Since": start})
    pairs = _all(portal, start) if shows_all else iter(())
    if as_json:
        answers = {"answers": [one["comparison"] for one in pairs]} if shows_all else {}
        click.echo(json.dumps({**found, **answers}))
        return
    for line in _lines(found):
        click.echo(line)
    for one in pairs:
        click.echo(_row(one))


def _all(portal: Portal, since: str | None) -> Iterator[dict[str, Any]]:
    """Yield all copies, page by page."""
    for page in portal.pages("shadows", query={"Since": since, "PageSize": _PAGE}):
        yield from page["shadows"]


def _row(one: Mapping[str, Any]) -> str:
    pair = one["comparison"]
    first, copy = (_answer(pair[side]) for side in ("first", "copy"))
    return (
        f"{one['sid']}  {one['date_started']}  of {one['callback_sid']}"
        f"  {pair['first']['source']} {first} | {pair['copy']['source']} {copy}"
        f"  {_colored(pair['meaning'], pair)}"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    return str(answer["status_code"] or answer["failure"] or answer["result"])


def _colored(text: str, pair: Mapping[str, Any]) -> str:
    color = None if not pair["is_known"] else "green" if pair["is_same"] else "red"
    return click.style(text, fg=color)


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
    """Return an excerpt without what a terminal would take for an order."""
    return "".join(char if char.isprintable() else " " for char in text)
