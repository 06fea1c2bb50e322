"""`ringback shadow`: compare the answers to callbacks and to their copies from the other source."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import group, option, option_group
from ringback.cli.options import json_answer_option, limit_option, prints_answer
from ringback.cli.output import Output, say, style
from ringback.cli.policy.urls_left import lines_of_groups
from ringback.cli.portal_commands import newest, with_portal
from ringback.cli.time_arguments import ago, time_option
from ringback.core.counted import counted
from ringback.core.visible_text import visible

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

_PAGE: Final = "500"
_MOST_GROUPS: Final = 10
_COLUMNS: Final = {"URLS": "urls", "MOVED": "moved", "COPIES": "pairs", "DIFFER": "differing"}


def _since(default: str | None) -> Any:
    return time_option(
        "--since",
        "Use only copies of callbacks that were sent at or after this time: 2h (two hours ago), or"
        " 2026-11-24T10:00Z.",
        default=default,
        show_default=default is not None,
    )


@group()
def shadow() -> None:
    """Compare answers to callbacks and to their test copies.

    A copy (a shadow) is the same callback, sent from another source. It shows how a receiver
    answers kore, for example, before its callbacks move from twilio to kore. [[shadows]] in the
    settings file selects the callbacks that get a copy.
    """


@shadow.command(
    "list",
    examples={
        "ringback shadow list": "Show the newest test copies, and the answers to them:",
        'ringback shadow list --callback "$CALLBACK_SID"': "Show the test copies of one callback:",
    },
)
@option_group(
    "Which copies",
    _since(None),
    option(
        "--source",
        metavar="SOURCE",
        help="Show only copies that were sent from this source, for example twilio or kore.",
    ),
    option("--callback", metavar="SID", help="Show only copies of the callback with this SID."),
    limit_option,
)
@prints_answer
@with_portal
def list_shadows(
    *,
    portal: "PortalClient",
    since: str | None,
    source: str | None,
    callback: str | None,
    limit: int,
) -> Output:
    """List the test copies of callbacks, newest first.

    A test copy (a shadow) is the same callback, sent from another source to test the receiver. Each
    row shows the receiver's answer to the callback, its answer to the copy, and what a difference
    between the two answers means.
    """
    query = {"Since": ago(since, portal), "Source": source, "CallbackSid": callback}
    nothing = "no copies; [[shadows]] in the settings file selects callbacks to copy"
    return newest(portal, "shadows", _rows, query=query, limit=limit, nothing=nothing)


@shadow.command(
    "report",
    examples={
        "ringback shadow report": (
            "Compare the answers to callbacks and to their test copies in the last day:"
        ),
        "ringback shadow report --since 1h --all": (
            "Compare the last hour's answers to callbacks and test copies, and list them:"
        ),
    },
)
@option_group("Which copies", _since("24h"))
@option(
    "--all",
    "shows_all",
    is_flag=True,
    help="Also list each test copy, with the answer to the callback and the answer to the copy.",
)
@json_answer_option
@with_portal
def report(*, portal: "PortalClient", since: str, shows_all: bool, as_json: bool) -> None:
    """Compare the answers to callbacks and their test copies.

    For each URL, the report shows how often the receiver gave the same answer to a callback and to
    its copy, which answers differ, and what a difference means, for example that the receiver
    rejects the other source's signature. It also shows how the URL is configured now: a URL has
    moved if the source of its copies sends its callbacks now.
    """
    start = ago(since, portal)
    found = portal.get("shadows", "report", query={"Since": start})
    pages = portal.pages("shadows", query={"Since": start, "PageSize": _PAGE}) if shows_all else ()
    pairs = (one for page in pages for one in page["shadows"])
    if as_json and shows_all:
        found["answers"] = [one["comparison"] for one in pairs]
    say(found, chain(_lines(found), map(_row, pairs)), as_json=as_json)


def _rows(copies: "Sequence[JsonObject]") -> Iterator[str]:
    yield from map(_row, copies)


def _row(one: Mapping[str, Any]) -> str:
    pair = one["comparison"]
    first, copy = (_answer(pair[side]) for side in ("first", "copy"))
    color = None if not pair["is_known"] else "green" if pair["is_same"] else "red"
    return (
        f"{one['sid']}  {one['date_started']}  of {one['callback_sid']}"
        f"  {pair['first']['source']} {first} | {pair['copy']['source']} {copy}"
        f"  {style(pair['meaning'], fg=color)}"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    return str(answer["status_code"] or answer["failure"] or answer["result"])


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["pairs"]:
        yield "nothing to compare: no copy was sent in this period"
    else:
        yield _counts(found)
        of = counted(len(found["urls"]) + found["urls_left_out"], "URL")
        yield f"moved to the source of the copies: {found['moved']} of {of}"
    for why, number in found["skipped"].items():
        copies = counted(number, "copy")
        yield f"{copies} skipped since the server's start: {_SKIPPED.get(why, why)}"
    if len(found["urls"]) > 1:
        yield from lines_of_groups(found["groups"], _COLUMNS, limit=_MOST_GROUPS)
    for one in found["urls"]:
        yield ""
        yield from _lines_of_url(one)
    if found["urls_left_out"]:
        yield ""
        more = counted(found["urls_left_out"], "other URL")
        yield f"and {more}, with no more differences than these"


_SKIPPED: Final = {
    "full": "too many copies were waiting",
    "stopped": "Ringback was stopping",
    "failed": "they could not be stored",
}


def _counts(found: Mapping[str, Any]) -> str:
    unknown = f", {found['unknown']} not known" if found["unknown"] else ""
    return (
        f"{found['pairs']} compared: {found['same']} the same, {found['differing']} differing"
        f"{unknown}"
    )


def _lines_of_url(one: Mapping[str, Any]) -> Iterator[str]:
    yield style(one["url"], bold=True)
    now = one["now"]
    state = "moved" if now["is_moved"] else "not moved"
    where = "stored" if now["use"] == "stored" else "given with requests"
    form = "" if now["url"] == one["url"] else f" as {now['url']}"
    yield f"  {state}: {where}{form}, now sent from {now['source']}: {now['reason']}"
    yield f"  {_counts(one)}"
    times = one["times"]
    if times["first"] and times["copy"]:
        yield f"  callbacks took {_times(times['first'])}, copies {_times(times['copy'])}"
    for kind in one["differences"]:
        example = kind["example"]
        first, copy = example["first"], example["copy"]
        yield style(
            f"  {kind['count']} x {first['source']} {kind['first']},"
            f" {copy['source']} {kind['copy']}: {kind['meaning']}",
            fg="red",
        )
        yield f"    such as {example['callback_sid']}, copied as {example['shadow_sid']}"
        for side in (first, copy):
            if side["body_excerpt"]:
                yield f"    {side['source']} got: {visible(side['body_excerpt'])}"


def _times(times: Mapping[str, float]) -> str:
    return f"{times['p50_ms']:.0f} ms (p95 {times['p95_ms']:.0f} ms)"
