"""`ringback callbacks replay` and `discard`: what becomes of what was not delivered."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import click

from ringback.cli.moments import ago
from ringback.cli.portal import Portal, with_portal
from ringback.core.callback import CallbackStatus

_STATUSES: Final = (*(status.value for status in CallbackStatus), "undelivered")


@click.command("replay")
@click.argument("sids", metavar="[SID]...", nargs=-1)
@with_portal
@click.option("--since", metavar="WHEN", help="All from then on: 2h, or 2026-11-24T10:00Z.")
@click.option("--until", metavar="WHEN", help="Only those that were created before.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only those that are so.")
@click.option("--source", metavar="SOURCE", help="Only those of this source.")
@click.option("--as-other-source", is_flag=True, help="Send new ones, from the other source.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only said what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def replay(
    *,
    sids: tuple[str, ...],
    portal: Portal,
    since: str | None,
    until: str | None,
    status: str | None,
    source: str | None,
    as_other_source: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send callbacks again: those that are named, or all that failed since a time.

    They keep source, token and payload, so that a receiver can tell that it had one already.
    """
    form = {
        "Sids": ",".join(sids) or None,
        "Since": ago(since, portal.now),
        "Until": ago(until, portal.now),
        "Status": status,
        "Source": source,
        "AsOtherSource": "yes" if as_other_source else "no",
        "DryRun": "no" if yes else "yes",
    }
    counts = _work_through(portal, form)
    click.echo(json.dumps(counts) if as_json else _in_words(counts))


@click.command("discard")
@click.argument("sid")
@with_portal
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stays on the record.")
def discard(*, sid: str, portal: Portal, reason: str) -> None:
    """Give a callback up: it is not sent any more, unless somebody replays it."""
    callback = portal.post("callbacks", sid, "discard", form={"Reason": reason})
    click.echo(f"{callback['sid']}  {callback['status']}: {callback['status_reason']}")


def _work_through(portal: Portal, form: Mapping[str, str | None]) -> dict[str, Any]:
    """Have all be replayed, call by call, and return the counts of all calls."""
    matched, replayed, skipped = 0, 0, Counter[str]()
    further: Mapping[str, str] | None = {}
    while further is not None:
        answer = portal.post("replays", form={**form, **further})
        matched += answer["matched"]
        replayed += answer["replayed"]
        skipped.update(answer["skipped"])
        further = answer["next"]
    is_dry = form["DryRun"] == "yes"
    return {"dry_run": is_dry, "matched": matched, "replayed": replayed, "skipped": skipped}


def _in_words(counts: Mapping[str, Any]) -> str:
    told = "would be replayed" if counts["dry_run"] else "replayed"
    skipped = "".join(
        f"; {count} skipped: {why.replace('_', ' ')}" for why, count in counts["skipped"].items()
    )
    hint = "; --yes does it" if counts["dry_run"] and counts["replayed"] else ""
    return f"{counts['replayed']} of {counts['matched']} {told}{skipped}{hint}"
