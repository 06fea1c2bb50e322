"""`ringback callbacks`: list, show, replay and discard callbacks."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.callback_output import (
    CallbackTable,
    attempt_lines,
    details,
    explanation_lines,
    group_lines,
    storage_lines,
    table,
)
from ringback.cli.jobs import follow_job
from ringback.cli.options import (
    json_answer_option,
    limit_option,
    printing,
    prints_answer,
    prints_record,
    read_url,
    with_options,
)
from ringback.cli.output import Output, confirm, echo, say
from ringback.cli.portal_commands import newest, with_portal
from ringback.cli.time_arguments import ago, time_option
from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.core.events.event_kinds import EVENT_KINDS

if TYPE_CHECKING:
    from ringback.core.callback_urls.callback_url import CallbackUrl
    from ringback.portal_client import JsonObject, PortalClient, RequestParameters

STATUSES: Final = ("scheduled", "delivered", "failed", "discarded")
_PAUSE_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 5.0
"""How long `--follow` waits for the first attempt of a new callback before it prints it."""

_filters = with_options(
    option(
        "--source",
        metavar="SOURCE",
        help="Show only callbacks from this source, for example twilio or kore.",
    ),
    option(
        "--event",
        type=click.Choice(EVENT_KINDS),
        metavar="KIND",
        help="Show only callbacks that report this kind of event; for example, sms stands for"
        f" sms.sent, sms.delivered and so on. The kinds: {', '.join(EVENT_KINDS)}.",
    ),
    option("--sim", metavar="SID", help="Show only callbacks about the SIM with this SID."),
    option(
        "--stream",
        metavar="SID",
        help="Show only batches of the event stream with this SID: a streaming rule or a"
        " subscription (DF…); or test events of a destination or a sink (DG…).",
    ),
    option(
        "--destination",
        metavar="URL",
        callback=read_url,
        help="Show only callbacks to this server, for example https://a.example. With a path, for"
        " example https://a.example/hooks, show only callbacks to URLs that begin with it.",
    ),
    option(
        "--text",
        metavar="TEXT",
        help="Show only callbacks with this text in their URL, body, idempotency token or SIDs,"
        " in upper or lower case.",
    ),
    time_option(
        "--since",
        "Show only callbacks created at or after this time: 2h (two hours ago), or"
        " 2026-11-24T10:00Z.",
    ),
    time_option(
        "--until",
        "Show only callbacks created before this time: 2h (two hours ago), or 2026-11-24T10:00Z.",
    ),
)


class _Filters(TypedDict):
    """The values of the options in `_filters`."""

    source: str | None
    event: str | None
    sim: str | None
    stream: str | None
    destination: "CallbackUrl | None"
    text: str | None
    since: str | None
    until: str | None


def _status(help_: str, *choices: str) -> Any:
    return option("--status", type=click.Choice(choices), help=help_)


@group()
def callbacks() -> None:
    """List callbacks, send them again, or stop sending them.

    A callback is one notification to one URL. Ringback stores every attempt to deliver the
    callback: the request, the response, and how long the receiver took.
    """


@callbacks.command(
    "list",
    examples={
        "ringback callbacks list": "Show the newest callbacks:",
        "ringback callbacks list --status failed --since 2h": (
            "Show the callbacks of the last two hours that failed:"
        ),
        "ringback callbacks list --destination 'http://127.0.0.1:9000'": (
            "Show the callbacks to one receiver:"
        ),
        "ringback callbacks list --text my_super_sim": (
            "Show the callbacks that contain a text, such as the name of a SIM:"
        ),
        "ringback callbacks list --follow": "Show new callbacks as they are sent, until Ctrl-C:",
    },
)
@option_group(
    "Which callbacks",
    _status("Show only callbacks with this status.", *STATUSES),
    _filters,
    limit_option,
)
@option(
    "-f", "--follow", is_flag=True, help="Keep running, and print each new callback, until Ctrl-C."
)
@json_answer_option
@with_portal
def list_callbacks(
    *,
    portal: "PortalClient",
    status: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
    **filters: Unpack[_Filters],
) -> None:
    """List callbacks, newest first.

    The columns: time of creation (UTC), source, event, status, HTTP status of the last response,
    number of attempts, duration of the last attempt, SID and URL.

    With --follow, the newest callback is at the bottom, and a new callback is printed after its
    first attempt. With --follow and --json, each callback is printed as one line of JSON.
    """
    query = _query(portal, filters)
    if not follow:
        page, words = newest(
            portal,
            "callbacks",
            table,
            query={"Status": status, **query},
            limit=limit,
            nothing="no callbacks; to send one, try `ringback trigger sim.active`",
        )
        say(page, words, as_json=as_json)
    elif status is not None or filters["until"] is not None:
        raise click.UsageError(
            "--follow prints callbacks as they are sent; leave out --status and --until"
        )
    else:
        _follow(portal, query, limit=limit, as_json=as_json)


def _query(portal: "PortalClient", filters: _Filters) -> dict[str, str | None]:
    query = {
        "Source": filters["source"],
        "Event": filters["event"],
        "SimSid": filters["sim"],
        "Stream": filters["stream"],
        "Text": filters["text"],
        "CreatedAfter": ago(filters["since"], portal),
        "CreatedBefore": ago(filters["until"], portal),
    }
    destination = filters["destination"]
    if destination is None:
        return query
    is_whole_server = destination.path in ("", "/") and destination.query is None
    prefix = None if is_whole_server else destination.shown
    return query | {"Destination": destination.shown, "UrlPrefix": prefix}


# ---- --follow ------------------------------------------------------------------------------------


def _follow(
    portal: "PortalClient", query: Mapping[str, str | None], *, limit: int, as_json: bool
) -> None:
    rows = CallbackTable()
    if not as_json:
        echo(rows.header())
    try:
        for callback in _old_and_new(portal, query, limit=limit):
            say(callback, rows.lines(callback), as_json=as_json)
    except KeyboardInterrupt:
        return  # the way to end it


def _old_and_new(
    portal: "PortalClient", query: Mapping[str, str | None], *, limit: int
) -> Iterator["JsonObject"]:
    """Yield the newest callbacks, oldest first, and then each new one after its first attempt."""
    last = _newest_sid(portal)
    old = portal.newest("callbacks", query=query, limit=limit)["callbacks"]
    yield from reversed(old)
    done, seen = {one["sid"] for one in old}, dict[str, float]()
    while True:
        time.sleep(_PAUSE_SECONDS)
        newest_sid = _newest_sid(portal)
        if newest_sid == last:
            continue
        now, found = time.monotonic(), list(portal.newer("callbacks", than=last, query=query))
        for callback in found:
            sid = callback["sid"]
            is_tried = callback["status"] != "scheduled" or callback["last_attempt"] is not None
            if sid not in done and (
                is_tried or now - seen.setdefault(sid, now) > _PATIENCE_SECONDS
            ):
                done.add(sid)
                yield callback
        # Only if all are printed can the next search begin at a later callback.
        if done.issuperset(one["sid"] for one in found):
            last, seen = newest_sid, {}
            done = {one["sid"] for one in found}


def _newest_sid(portal: "PortalClient") -> str | None:
    found = portal.get("callbacks", query={"PageSize": "1"})["callbacks"]
    return found[0]["sid"] if found else None


# ---- the other commands --------------------------------------------------------------------------


@callbacks.command(
    "undelivered",
    examples={
        "ringback callbacks undelivered": "Show the newest callbacks that were not delivered:",
        "ringback callbacks undelivered --since 1d --json": (
            "Print the undelivered callbacks of the last day as JSON:"
        ),
        "ringback callbacks undelivered --groups": (
            "Count the callbacks that failed, by URL and last answer:"
        ),
    },
)
@option_group("Which callbacks", _filters, limit_option)
@option(
    "--groups",
    is_flag=True,
    help="Instead of a list, count the newest 10,000 callbacks that failed, by URL, source and last"
    " answer. `ringback callbacks replay --group` takes the key of a group.",
)
@prints_answer
@with_portal
def list_undelivered(
    *, portal: "PortalClient", limit: int, groups: bool, **filters: Unpack[_Filters]
) -> Output:
    """List callbacks that were not delivered, and why.

    Shows callbacks that have failed or were discarded (a person stopped them). The columns are the
    same as those of `ringback callbacks list`; the reason is below each row.
    """
    if groups:
        found = portal.get("undelivered", "groups", query=_query(portal, filters))
        return found, group_lines(found, limit=limit)
    return newest(
        portal,
        "undelivered",
        lambda callbacks: table(callbacks, with_reason=True),
        query=_query(portal, filters),
        limit=limit,
        nothing="no undelivered callbacks",
    )


@callbacks.command(
    "show",
    examples={
        "ringback callbacks show": "Show the newest callback:",
        'ringback callbacks show "$CALLBACK_SID"': "Show the callback with this SID:",
        'ringback callbacks show "$CALLBACK_SID" | ringback verify': (
            "Check the signature of a callback:"
        ),
        'ringback callbacks show "$CALLBACK_SID" --curl': (
            "Print the last request as a command that sends it again:"
        ),
    },
)
@argument(
    "sid",
    required=False,
    help="SID of the callback to show, for example CB0123abc. Default: the newest callback.",
)
@option(
    "--curl",
    is_flag=True,
    help="Print only the request that was last sent, as a curl command that sends the same bytes."
    " Hidden secrets stay hidden.",
)
@prints_answer
@with_portal
def show_callback(*, sid: str | None, portal: "PortalClient", curl: bool) -> Output:
    """Show one callback with its requests and responses.

    Prints why the callback was sent from its source (twilio or kore), step by step, and each
    attempt with the exact request (secrets hidden) and the response.
    """
    sid = sid or _newest_sid(portal)
    if sid is None:
        raise ConfigurationError(
            "the account has no callbacks yet; to send one, try `ringback trigger sim.active`"
        )
    if curl:
        return _as_curl(sid, portal)
    callback = portal.get("callbacks", sid)
    explanation = portal.get("callbacks", sid, "explanation")
    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    shown = chain.from_iterable(["", *attempt_lines(attempt)] for attempt in attempts)
    record = {**callback, "explanation": explanation, "attempts": attempts}
    return record, chain(details(callback), explanation_lines(explanation), shown)


def _as_curl(sid: str, portal: "PortalClient") -> Output:
    from ringback.core.callbacks.curl_command import curl_command

    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    sent = [attempt["request"] for attempt in attempts if attempt["request"]]
    if not sent:
        raise ConfigurationError(f"no request was sent for {sid} yet")
    request = sent[-1]
    command = curl_command(**{name: request[name] for name in ("method", "url", "headers", "body")})
    return {"callback_sid": sid, "curl": command}, command


@callbacks.command(
    "storage",
    examples={
        "ringback callbacks storage": "Show how much storage long responses use, and the limit:"
    },
)
@prints_answer
@with_portal
def show_storage(*, portal: "PortalClient") -> Output:
    """Show how much storage receivers' long responses use.

    The beginning of each response is stored with the attempt to deliver the callback. The rest of a
    long response is stored separately, up to a limit, and only this rest is counted here.
    """
    storage = portal.get("response_storage")
    return storage, storage_lines(storage)


@callbacks.command(
    "replay",
    examples={
        "ringback callbacks replay --since 2h --dry-run": (
            "Count the callbacks of the last two hours that failed:"
        ),
        "ringback callbacks replay --since 2h --yes": (
            "Send the failed callbacks of the last two hours again:"
        ),
        "ringback callbacks replay --since 2h --most 1000 --rate 50 --yes": (
            "Send at most 1,000 of them again, and no more than 50 in a second:"
        ),
        'ringback callbacks replay "$CALLBACK_SID" --yes': "Send one callback again:",
    },
)
@argument(
    "sids",
    metavar="[SIDS]",
    nargs=-1,
    help="SIDs of the callbacks to send again, for example CB0123abc. Give either SIDs or --since.",
)
@option_group(
    "Which callbacks",
    time_option(
        "--since",
        "Replay callbacks created at or after this time: 2h (two hours ago), or 2026-11-24T10:00Z.",
    ),
    time_option(
        "--until",
        "With --since, replay only callbacks created before this time: 1h (one hour ago), or"
        " 2026-11-24T10:00Z. Default: now.",
    ),
    _status(
        "Replay only callbacks with this status. Default: failed with --since; with SIDs, every"
        " status except delivered.",
        *STATUSES,
        "undelivered",
    ),
    option(
        "--source",
        metavar="SOURCE",
        help="With --since, replay only callbacks from this source, for example twilio or kore.",
    ),
    option(
        "--event",
        type=click.Choice(EVENT_KINDS),
        metavar="KIND",
        help="With --since, replay only callbacks that report this kind of event, such as sms; see"
        " `ringback callbacks list`.",
    ),
    option(
        "--sim",
        metavar="SID",
        help="With --since, replay only callbacks about the SIM with this SID.",
    ),
    option(
        "--stream",
        metavar="SID",
        help="With --since, replay only batches of the event stream with this SID (DF…).",
    ),
    option(
        "--text",
        metavar="TEXT",
        help="With --since, replay only callbacks with this text in their URL, body, idempotency"
        " token or SIDs, in upper or lower case.",
    ),
    option(
        "--destination",
        metavar="URL",
        callback=read_url,
        help="With --since, replay only callbacks to this server, for example https://a.example.",
    ),
    option(
        "--group",
        "groups",
        multiple=True,
        metavar="KEY",
        help="With --since, replay only callbacks of the group with this key, which `ringback"
        " callbacks undelivered --groups` shows. You can give this option more than once.",
    ),
    option(
        "--most",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --since, send at most this many callbacks again, the oldest. Default: all.",
    ),
)
@option_group(
    "How to replay",
    option(
        "--as-other-source",
        is_flag=True,
        help="Send each as a new callback from the other source: kore instead of twilio, or twilio"
        " instead of kore. Default: send the same callback again from its own source.",
    ),
    option(
        "--rate",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="With --since, send at most this many callbacks again in a second. Default: no limit.",
    ),
    option("--dry-run", is_flag=True, help="Only count the callbacks, and send nothing again."),
    option(
        "--yes",
        is_flag=True,
        help="Replay for real, without a question. Without this option, you are asked if you call"
        " the command in a terminal with --since; otherwise, the callbacks are only counted.",
    ),
)
@printing("Print the counts of callbacks as one JSON object.")
@with_portal
def replay(
    *,
    sids: tuple[str, ...],
    portal: "PortalClient",
    since: str | None,
    until: str | None,
    status: str | None,
    source: str | None,
    event: str | None,
    sim: str | None,
    stream: str | None,
    text: str | None,
    destination: "CallbackUrl | None",
    groups: tuple[str, ...],
    most: int | None,
    as_other_source: bool,
    rate: int | None,
    dry_run: bool,
    yes: bool,
) -> Output:
    """Send callbacks again: given ones, or all that failed.

    A callback that is sent again keeps its source, its idempotency token and its payload. So a
    receiver can recognise a callback that it already has.

    With --since, the callbacks are replayed by a job in the server. The command prints its
    progress. Ctrl-C ends the command, but not the job; `ringback jobs` lists, pauses and cancels
    jobs.
    """
    if dry_run and yes:
        raise click.UsageError("--dry-run only counts the callbacks; leave out --yes")
    form: dict[str, str | Sequence[str] | None] = {
        "Since": ago(since, portal),
        "Until": ago(until, portal),
        "Status": status,
        "Source": source,
        "Event": event,
        "SimSid": sim,
        "Stream": stream,
        "Text": text,
        "Destination": None if destination is None else destination.shown,
        "AsOtherSource": "yes" if as_other_source else "no",
    }
    if sids or since is None:
        beside = {
            "--most": most,
            "--rate": rate,
            "--destination": destination,
            "--group": groups or None,
        }
        wrong = [name for name, value in beside.items() if value is not None]
        if wrong:
            raise click.UsageError(f"{wrong[0]} is allowed only with --since, not with SIDs")
        named = {**form, "Sids": ",".join(sids) or None, "DryRun": "no" if yes else "yes"}
        answer = portal.post("replays", form=named)
        counts = {key: answer[key] for key in ("dry_run", "matched", "replayed", "skipped")}
        return counts, _in_words(counts)
    form |= {"Kind": "replay", "Most": None if most is None else str(most), "Groups": groups}
    if not yes:
        counts = _preview(portal, form)
        if dry_run or not sys.stdin.isatty() or not counts["replayed"]:
            return counts, _in_words(counts)
        confirm(f"{_in_words(counts, hint='')}. Replay?", "callbacks would be sent again")
        # Callbacks that were created since are not part of the count.
        form["Until"] = counts["until"]
    job = portal.post("jobs", form={**form, "Rate": None if rate is None else str(rate)})
    echo(f"{job['sid']} runs in the server", err=True)
    counts = _counts_of(follow_job(portal, job))
    return counts, _in_words(counts)


def _preview(portal: "PortalClient", form: "RequestParameters") -> dict[str, Any]:
    """Return the counts of a dry run."""
    found = portal.get("jobs", "preview", query=form)
    matched = found["estimate"] + sum(found["skipped"].values())
    return {
        "dry_run": True,
        "matched": matched,
        "replayed": found["estimate"],
        **{key: found[key] for key in ("skipped", "is_exact", "until")},
    }


def _counts_of(job: "JsonObject") -> dict[str, Any]:
    """Return the counts of a job, with the names that a dry run has."""
    skipped = {why: number for why, number in job["counts"].items() if why != "replayed"}
    return {
        "dry_run": False,
        "matched": job["done"],
        "replayed": job["counts"].get("replayed", 0),
        "skipped": skipped,
        "job": job["sid"],
    }


def _in_words(counts: Mapping[str, Any], *, hint: str = "; replay for real with --yes") -> str:
    done = "would be replayed" if counts["dry_run"] else "replayed"
    skipped = "".join(
        f"; {number} skipped: {why.replace('_', ' ')}" for why, number in counts["skipped"].items()
    )
    hint = hint if counts["dry_run"] and counts["replayed"] else ""
    matched = counted(counts["matched"], "callback")
    at_least = "" if counts.get("is_exact", True) else "at least "
    return f"{at_least}{counts['replayed']} of {matched} {done}{skipped}{hint}"


@callbacks.command(
    "discard",
    examples={
        "SID=$(ringback send 'http://127.0.0.1:9000' --deliver-at 2h | cut -c1-34)\n"
        'ringback callbacks discard "$SID" --reason "wrong URL"': (
            "Schedule a callback in two hours, and then stop it:"
        )
    },
)
@argument("sid", help="SID of the callback to stop, for example CB0123abc.")
@option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why you discard the callback. The text is stored and shown with the callback.",
)
@prints_record
@with_portal
def discard(*, sid: str, portal: "PortalClient", reason: str) -> Output:
    """Stop sending a callback, until somebody replays it."""
    callback = portal.post("callbacks", sid, "discard", form={"Reason": reason})
    return callback, f"{callback['sid']}  {callback['status']}: {callback['status_reason']}"
