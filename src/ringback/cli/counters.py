"""`ringback counters`: how many callbacks were accepted, delivered and so on, by time."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import command, option, option_group
from ringback.cli.options import prints_answer, read_url
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.cli.time_arguments import ago, time_option

if TYPE_CHECKING:
    from ringback.core.callback_urls.callback_url import CallbackUrl
    from ringback.portal_client import PortalClient

_SHOWN: Final = ("accepted", "delivered", "failed", "retried")


@command(
    examples={
        "ringback counters": "Count the callbacks of the last day, by hour:",
        "ringback counters --by minute --since 1h": "Count those of the last hour, by minute:",
        "ringback counters --by all --since 7d --split destination": (
            "Count those of the last week for each destination:"
        ),
    }
)
@option_group(
    "What to count",
    option(
        "--by",
        type=click.Choice(("minute", "hour", "day", "all")),
        default="hour",
        show_default=True,
        help="Spans of time to count; `all` counts the whole time at once.",
    ),
    time_option("--since", "Count from this time on: 2h (two hours ago), or 2026-11-24T10:00Z."),
    time_option("--until", "Count until this time: 2h (two hours ago), or 2026-11-24T10:00Z."),
    option(
        "--split",
        type=click.Choice(("account", "destination", "source")),
        help="Count each account, destination or source by itself.",
    ),
    option(
        "--destination",
        metavar="URL",
        callback=read_url,
        help="Count only callbacks to this server, for example https://a.example.",
    ),
    option(
        "--source",
        metavar="SOURCE",
        help="Count only callbacks from this source, for example twilio or kore.",
    ),
)
@prints_answer
@with_portal
def counters(
    *,
    portal: "PortalClient",
    by: str,
    since: str | None,
    until: str | None,
    split: str | None,
    destination: "CallbackUrl | None",
    source: str | None,
) -> Output:
    """Count callbacks and attempts by minute, hour or day.

    Shows how many callbacks were accepted, delivered and failed, how many attempts were repeated,
    and how long half (p50) and 95 % (p95) of them took at most: an attempt, and a delivery since
    the callback was accepted. Without --since, shows the last day. Minutes are kept for 8 days,
    hours for 400 days, and days for 10 years.
    """
    answer = portal.get(
        "counters",
        query={
            "By": by,
            "Since": ago(since, portal),
            "Until": ago(until, portal),
            "Split": split,
            "Destination": destination and destination.destination,
            "Source": source,
        },
    )
    return answer, _lines_of(answer, split)


def _lines_of(answer: Mapping[str, Any], split: str | None) -> Iterator[str]:
    for gap in answer["incomplete"]:
        yield (
            f"incomplete: counts between {gap['began']} and {gap['ended']} are missing, since a"
            " process was killed or can't write them"
        )
    if not answer["counters"]:
        yield (
            f"no callbacks between {answer['since']} and {answer['until']}; those of this minute"
            " are counted when it is over"
        )
        return
    parts = () if split is None else (split.upper(),)
    titles = (*(name.upper() for name in _SHOWN), "ATTEMPT P50/P95", "DELIVERY P50/P95")
    rows = [("FROM", *parts, *titles)]
    rows += [_row_of(one, split) for one in answer["counters"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _row_of(one: Mapping[str, Any], split: str | None) -> tuple[str, ...]:
    # The field of an account has its SID.
    parts = () if split is None else (one["account_sid" if split == "account" else split],)
    numbers = (str(one[name]) for name in _SHOWN)
    began = f"{one['began']} incomplete" if one["is_incomplete"] else one["began"]
    return began, *parts, *numbers, _times(one, "attempt"), _times(one, "delivery")


def _times(one: Mapping[str, Any], what: str) -> str:
    return " / ".join(_shown(one, what, name) for name in ("p50", "p95"))


def _shown(one: Mapping[str, Any], what: str, name: str) -> str:
    """Return a time in seconds; `-` if there is none, and `long` if it is above all bounds."""
    seconds, has_any = one[f"{what}_{name}"], bool(one[f"{what}_seconds"])
    if seconds is None:
        return "long" if has_any else "-"
    return f"{seconds:g} s"
