"""`ringback callbacks`: what was sent, from which source and why, and what became of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from ringback.cli.base_command import argument, group, option
from ringback.cli.callback_output import attempt_lines, details, row, storage_lines
from ringback.cli.options import limit_option, printing, prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import newest, with_portal
from ringback.cli.time_arguments import ago
from ringback.core.callbacks.callback import CallbackStatus
from ringback.portal_client import JsonObject, PortalClient

_STATUSES: Final = tuple(status.value for status in CallbackStatus)
_source = option("--source", metavar="SOURCE", help="Only those of this source.")


def _status(*choices: str) -> Any:
    return option("--status", type=click.Choice(choices), help="Only those that are so.")


@group()
def callbacks() -> None:
    """See callbacks: their requests, answers, and why they came from their source."""


@callbacks.command("list")
@with_portal
@_status(*_STATUSES)
@_source
@limit_option
@prints_answer
def list_callbacks(
    *, portal: PortalClient, status: str | None, source: str | None, limit: int
) -> Output:
    """List callbacks, newest first."""
    query = {"Status": status, "Source": source}
    nothing = "no callbacks; update a SIM with a CallbackUrl, and there will be one"
    return newest(portal, "callbacks", row, query=query, limit=limit, nothing=nothing)


@callbacks.command("undelivered")
@with_portal
@_source
@limit_option
@prints_answer
def list_undelivered(*, portal: PortalClient, source: str | None, limit: int) -> Output:
    """List the callbacks that ended without a delivery, newest first, and say why."""
    return newest(
        portal,
        "undelivered",
        lambda callback: f"{row(callback)}\n  {callback['status_reason']}",
        query={"Source": source},
        limit=limit,
        nothing="nothing is undelivered",
    )


@callbacks.command("show")
@argument("sid")
@with_portal
@prints_answer
def show_callback(*, sid: str, portal: PortalClient) -> Output:
    """Show one callback: why this source, and each request and answer as it was."""
    callback = portal.get("callbacks", sid)
    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    return {**callback, "attempts": attempts}, _lines(callback, attempts)


def _lines(callback: JsonObject, attempts: Sequence[JsonObject]) -> Iterator[str]:
    yield from details(callback)
    for attempt in attempts:
        yield ""
        yield from attempt_lines(attempt)


@callbacks.command("storage")
@with_portal
@prints_answer
def show_storage(*, portal: PortalClient) -> Output:
    """Tell how much is kept of long answers, and how much may be."""
    storage = portal.get("response_storage")
    return storage, storage_lines(storage)


@callbacks.command("replay")
@argument("sids", metavar="[SID]...", nargs=-1)
@with_portal
@option("--since", metavar="WHEN", help="All from then on: 2h, or 2026-11-24T10:00Z.")
@option("--until", metavar="WHEN", help="Only those that were created before.")
@_status(*_STATUSES, "undelivered")
@_source
@option("--as-other-source", is_flag=True, help="Send new ones, from the other source.")
@option("--yes", is_flag=True, help="Do it; without this it is only said what would be done.")
@printing("Print the counts as one JSON object.")
def replay(
    *,
    sids: tuple[str, ...],
    portal: PortalClient,
    since: str | None,
    until: str | None,
    status: str | None,
    source: str | None,
    as_other_source: bool,
    yes: bool,
) -> Output:
    """Send callbacks again: those that are named, or all that failed since a time.

    They keep source, token and payload, so that a receiver can tell that it had one already.
    """
    form = {
        "Sids": ",".join(sids) or None,
        "Since": ago(since, portal),
        "Until": ago(until, portal),
        "Status": status,
        "Source": source,
        "AsOtherSource": "yes" if as_other_source else "no",
        "DryRun": "no" if yes else "yes",
    }
    counts = _work_through(portal, form)
    return counts, _in_words(counts)


@callbacks.command("discard")
@argument("sid")
@with_portal
@option("--reason", required=True, metavar="TEXT", help="Why; it stays on the record.")
def discard(*, sid: str, portal: PortalClient, reason: str) -> None:
    """Give a callback up: it is not sent any more, unless somebody replays it."""
    callback = portal.post("callbacks", sid, "discard", form={"Reason": reason})
    click.echo(f"{callback['sid']}  {callback['status']}: {callback['status_reason']}")


def _work_through(portal: PortalClient, form: Mapping[str, str | None]) -> dict[str, Any]:
    """Replay all, and return the sums of the counts of all calls."""
    matched, replayed, skipped = 0, 0, Counter[str]()
    # The server handles a limited number for each call, and says where the next one goes on.
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
    done = "would be replayed" if counts["dry_run"] else "replayed"
    skipped = "".join(
        f"; {count} skipped: {why.replace('_', ' ')}" for why, count in counts["skipped"].items()
    )
    hint = "; --yes does it" if counts["dry_run"] and counts["replayed"] else ""
    return f"{counts['replayed']} of {counts['matched']} {done}{skipped}{hint}"
