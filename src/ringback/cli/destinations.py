"""`ringback destinations`: show destinations, set what applies to them, pause and test them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.options import file_option, prints_answer, prints_record, read_by
from ringback.cli.output import Output, style
from ringback.cli.portal_commands import with_operators_portal, with_portal
from ringback.cli.time_arguments import ahead, time_option
from ringback.core.calendar import read_duration
from ringback.core.destinations.destination_settings import DESTINATION_SETTINGS
from ringback.core.visible_text import visible
from ringback.runtime.os_error_messages import refusing

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

_STATES: Final = ("well", "failing", "open", "held", "paused", "disabled", "damaged")
_ORDERS: Final = ("name", "trouble")
_OWN_FORMS: Final[Mapping[str, str]] = {
    "header": "Header",
    "client-certificate": "ClientCertificate",
    "ca": "Ca",
}
"""What is set beside the settings with a text: the names of the flags, and the parameters."""
_NAMES: Final[Mapping[str, str]] = {
    **{setting.flag.removeprefix("--"): setting.parameter for setting in DESTINATION_SETTINGS},
    **_OWN_FORMS,
}
_NONE: Final = "none"

_account: Final = option(
    "--account",
    metavar="SID",
    help="SID of the account (AC…) whose callbacks this is about. Without it, an operator's key"
    " is for all accounts.",
)
_pattern_argument: Final = argument(
    "destination",
    metavar="PATTERN",
    help="The destinations: https://host or https://host:port; '*' for all; 'https://*.host' for"
    " all hosts below one; with a path like '/app/*' for a part of them.",
)
_url_argument: Final = argument(
    "destination",
    metavar="URL",
    help="A URL of the destination, or a part of one like 'https://host/app/*'.",
)


def _checked_duration(text: str) -> str:
    if read_duration(text) <= timedelta(0):
        raise ValueError(f"{text!r} is not longer than nothing; write a duration like 2h")
    return text


@group()
def destinations() -> None:
    """Show where callbacks go, how fast, and why they wait; set it, or pause it.

    A destination is where callbacks of an account go: scheme, host and port of their URLs. A
    pattern with a path makes a part of a destination, which has its own rate and breaker.
    """


# ---- showing -------------------------------------------------------------------------------------


@destinations.command(
    "list",
    examples={
        "ringback destinations list": "Show all destinations, and what is set:",
        "ringback destinations list --state paused": "Show those that are paused:",
        "ringback destinations list --order trouble --text customer": (
            "Show those with a text in their name, and first those that are not well:"
        ),
    },
)
@option_group(
    "Which destinations",
    _account,
    option("--state", type=click.Choice(_STATES), help="Show only those in this state."),
    option("--text", metavar="TEXT", help="Show only those with this text in their name."),
)
@option_group(
    "Order",
    option(
        "--order",
        type=click.Choice(_ORDERS),
        help="trouble to show first those that are not well; name for the order of names, which is"
        " the default.",
    ),
)
@prints_answer
@with_operators_portal
def list_destinations(
    *,
    account: str | None,
    state: str | None,
    text: str | None,
    order: str | None,
    portal: "PortalClient",
) -> Output:
    """List destinations: their state, how many callbacks wait, and how the last hour was.

    The columns: state, callbacks that wait, share of successful attempts in the last hour, rate,
    destination and account. Below are patterns for which something is set.
    """
    query = {"AccountSid": account, "State": state, "Text": text, "Order": order}
    answer = _all_pages(portal, query)
    return answer, _rows(answer)


@destinations.command(
    "show",
    examples={
        'ringback destinations show "$CALLBACK_URL"': (
            "Show the state of a destination, and each setting with its origin:"
        )
    },
)
@_url_argument
@option_group("Which destination", _account)
@prints_answer
@with_portal
def show(*, destination: str, account: str | None, portal: "PortalClient") -> Output:
    """Show one destination: its state and why, what waits, and what is set where.

    Values of headers, keys and URLs for events are never shown.
    """
    query = {"Destination": destination, "AccountSid": account}
    answer = portal.get("destinations", "one", query=query)
    return answer, _details(answer)


# ---- changing ------------------------------------------------------------------------------------


@destinations.command(
    "set",
    examples={
        "ringback destinations set http://127.0.0.1:9000 --rate 20": (
            "Send at most 20 requests a second there:"
        ),
        "ringback destinations set 'https://*.example' --disable-after 5d": (
            "Disable a destination that has failed for five days:"
        ),
        "ringback destinations set https://a.example --header 'X-Team: meters'": (
            "Add a header to all requests there:"
        ),
    },
)
@_pattern_argument
@option_group(
    "Settings",
    *(
        option(setting.flag, setting.name, metavar=setting.metavar, help=setting.help)
        for setting in DESTINATION_SETTINGS
    ),
)
@option_group(
    "Requests",
    option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="A header to add to requests; can be repeated. All together take the place of those"
        f" that were set; {_NONE} for none. Other users can see command lines: a secret is better"
        " in --headers-file.",
    ),
    file_option("--headers-file", "File with such headers, one in each line."),
    file_option(
        "--client-certificate",
        "File in PEM with the client certificate, its chain and its private key;"
        f" {_NONE} for no certificate.",
    ),
    file_option(
        "--ca", f"File in PEM with further authorities to trust; {_NONE} for none of them."
    ),
)
@option_group(
    "What to change",
    option(
        "--unset-all",
        is_flag=True,
        help="Unset everything else that is set for it. Secret values that can't be decrypted can"
        " only be replaced so.",
    ),
    _account,
)
@prints_answer
@with_operators_portal
def set_values(
    *,
    destination: str,
    unset_all: bool,
    account: str | None,
    headers: tuple[str, ...],
    headers_file: Path | None,
    client_certificate: Path | None,
    ca: Path | None,
    portal: "PortalClient",
    **values: str | None,
) -> Output:
    """Set something for destinations; it takes effect at once.

    An account can ask for less than the operator has set: then both values are kept, and the lower
    rate is in force. `ringback destinations show` says which value is in force and why.
    """
    lines = [*headers, *(_text_of(headers_file).splitlines() if headers_file else ())]
    form: dict[str, Any] = {
        **{one.parameter: values[one.name] for one in DESTINATION_SETTINGS},
        "Header": [line for line in lines if line.strip()] or None,
        "ClientCertificate": _pem_of(client_certificate),
        "Ca": _pem_of(ca),
    }
    if all(value is None for value in form.values()):
        raise click.UsageError("give at least one setting, such as --rate 20")
    if unset_all:
        form["UnsetAll"] = "yes"
    return _changed(portal, "", destination, account, form)


@destinations.command(
    "unset",
    examples={
        "ringback destinations unset http://127.0.0.1:9000 rate": (
            "Go back to the rate that applies otherwise:"
        ),
        "ringback destinations unset https://a.example --all": "Unset all that is set for it:",
    },
)
@_pattern_argument
@argument(
    "names",
    metavar="NAME...",
    nargs=-1,
    type=click.Choice([*_NAMES]),
    help="What to unset, such as rate or header.",
)
@option_group(
    "What to change",
    option("all_of_them", "--all", is_flag=True, help="Unset everything."),
    _account,
)
@prints_answer
@with_operators_portal
def unset(
    *,
    destination: str,
    names: tuple[str, ...],
    all_of_them: bool,
    account: str | None,
    portal: "PortalClient",
) -> Output:
    """Unset something that was set by `ringback destinations set`, so that another value applies.

    It is the value of a more general pattern, of the settings file, or the default.
    """
    if bool(names) is all_of_them:
        raise click.UsageError("name what to unset, such as rate; or give --all")
    form = dict.fromkeys((_NAMES[name] for name in names), "unset")
    if all_of_them:
        form = {"UnsetAll": "yes"}
    return _changed(portal, "", destination, account, form)


@destinations.command(
    "pause",
    examples={
        "ringback destinations pause https://a.example --for 2h --reason 'they move'": (
            "Send nothing there for two hours:"
        )
    },
)
@_pattern_argument
@option_group(
    "Pause",
    time_option("--until", "When the pause ends by itself: 2h (in two hours), or a date."),
    option(
        "--for",
        "duration",
        metavar="DURATION",
        callback=read_by(_checked_duration),
        help="How long the pause lasts, such as 2h. Without it, until it is resumed.",
    ),
    option("--reason", metavar="TEXT", help="Why, for all who look at it."),
    _account,
)
@prints_answer
@with_operators_portal
def pause(
    *,
    destination: str,
    until: str | None,
    duration: str | None,
    reason: str | None,
    account: str | None,
    portal: "PortalClient",
) -> Output:
    """Send nothing to destinations; what is due waits.

    Requests that are under way may still end.
    """
    if until is not None and duration is not None:
        raise click.UsageError("give --until or --for, not both")
    form = {"Until": ahead(until or duration, portal), "Reason": reason}
    return _changed(portal, "pause", destination, account, form)


@destinations.command(
    "resume",
    examples={
        "ringback destinations pause https://a.example\nringback destinations resume"
        " https://a.example": "Pause a destination, and let it go on:"
    },
)
@_pattern_argument
@option_group("What to change", _account)
@prints_answer
@with_operators_portal
def resume(*, destination: str, account: str | None, portal: "PortalClient") -> Output:
    """End a pause, or let callbacks go again to a destination that was disabled.

    If its breaker is open, it closes. What a disabled destination has missed is sent by
    `ringback callbacks replay --since 5d --destination URL`.
    """
    return _changed(portal, "resume", destination, account, {})


@destinations.command(
    "test",
    examples={
        'ringback destinations test "$CALLBACK_URL"': (
            "Send a callback like all others, and show how it ended:"
        )
    },
)
@_url_argument
@option_group("Which destination", _account)
@prints_record
@with_portal
def test(*, destination: str, account: str | None, portal: "PortalClient") -> Output:
    """Send a callback with the event destination.test, and wait for its attempt.

    It has the rate, the headers and the certificates of the destination. If the URL has no path,
    it goes to the newest known URL of this destination.
    """
    form = {"Destination": destination, "AccountSid": account}
    sent = portal.post("destinations", "test", form=form)
    (attempts,) = portal.attempts_when_ended([sent["sid"]])
    callback = portal.get("callbacks", sent["sid"])
    return callback, _how_it_ended(callback, attempts)


# ---- requests ------------------------------------------------------------------------------------


def _text_of(path: Path) -> str:
    with refusing(f"the file {path} can't be read"):
        return path.read_bytes().decode("utf-8", "replace")


def _pem_of(path: Path | None) -> str | None:
    if path is None:
        return None
    return _NONE if str(path) == _NONE else _text_of(path)


def _changed(
    portal: "PortalClient",
    verb: str,
    destination: str,
    account: str | None,
    form: Mapping[str, Any],
) -> Output:
    path = ("destinations", verb) if verb else ("destinations",)
    whole = {**form, "Destination": destination, "AccountSid": account}
    answer = portal.post(*path, form=whole)
    return answer, _set_lines(answer)


def _all_pages(portal: "PortalClient", query: Mapping[str, str | None]) -> "JsonObject":
    """Return the first page, with the destinations of all further ones."""
    first = page = portal.get("destinations", query=query)
    while page["next_page_token"] is not None:
        page = portal.get("destinations", query={**query, "PageToken": page["next_page_token"]})
        first["destinations"] += page["destinations"]
    first["next_page_token"] = None
    return first


# ---- lines ---------------------------------------------------------------------------------------


def _rows(answer: "JsonObject") -> Iterator[str]:
    found = answer["destinations"]
    if found:
        yield style(_row("STATE", "WAITING", "SUCCESS", "RATE", "DESTINATION"), bold=True)
    for one in found:
        success = "-" if one["success_percent"] is None else f"{one['success_percent']:g}%"
        rate = "-" if one["rate"] == _NONE else f"{one['rate']}/s"
        waiting = f"{one['waiting']:,}{'+' if one['waiting_has_more'] else ''}"
        yield _row(one["state"], waiting, success, rate, one["destination"], one["account_sid"])
    for pattern in answer["patterns"]:
        yield from _set_lines(pattern)
    if not found and not answer["patterns"]:
        yield "no destinations"


def _row(state: str, waiting: str, success: str, rate: str, *where: str) -> str:
    return f"{state:<8}  {waiting:>7}  {success:>7}  {rate:>8}  {visible('  '.join(where))}"


def _set_lines(stored: Mapping[str, Any]) -> Iterator[str]:
    whose = stored["account_sid"] or "all accounts"
    who = "" if stored["owner"] == "account" else f" by the operator, for {whose}"
    yield f"set for {visible(stored['pattern'])}{who}:"
    for one in stored["settings"]:
        yield f"  {one['name']:<18} {visible(one['value'])}"
    if stored["paused_since"] is not None:
        until = "" if stored["paused_until"] is None else f" until {stored['paused_until']}"
        reason = f": {visible(stored['pause_reason'])}" if stored["pause_reason"] else ""
        yield f"  paused since {stored['paused_since']}{until}{reason}"
    elif not stored["settings"]:
        yield "  nothing"


def _details(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"{visible(one['destination'])} of {one['account_sid']}: {one['state']}"
    times = (("since", one["since"]), ("until", one["until"]))
    when = ", ".join(f"{word} {time}" for word, time in times if time is not None)
    if one["why"] is not None or when:
        yield f"  {', '.join(filter(None, [visible(one['why'] or ''), when]))}"
    number = f"{one['waiting']:,}{' or more' if one['waiting_has_more'] else ''}"
    oldest = "" if one["oldest_due"] is None else f", the first due since {one['oldest_due']}"
    yield f"waiting      {number}{oldest}"
    yield f"last hour    {_last_hour(one)}"
    window = "" if one["window"] is None else f"; at most {one['window']} at once now"
    limit = "not limited" if one["rate"] == _NONE else f"{one['rate']}/s, burst {one['burst']}"
    yield f"rate         {limit}{window}"
    yield "settings:"
    for setting in one["settings"]:
        value = visible(setting["value"])
        yield f"  {setting['name']:<18} {value:<10} ({visible(setting['origin'])})"
    yield from _changes(one["changes"])


def _last_hour(one: Mapping[str, Any]) -> str:
    missing = ["incomplete: some were not counted"] if one["last_hour_is_incomplete"] else []
    if not one["attempts_last_hour"]:
        return ", ".join(["no attempts until the beginning of this minute", *missing])
    times = [
        f"{name} up to {one[f'attempt_{name}']:g} s"
        for name in ("p50", "p95")
        if one[f"attempt_{name}"] is not None
    ]
    success = f"{one['success_percent']:g}% successful"
    return ", ".join([f"{one['attempts_last_hour']:,} attempts", success, *times, *missing])


def _changes(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if changes:
        yield "changes, newest first:"
    for one in changes:
        who = one["actor_name"] or one["actor"] or one["actor_kind"].replace("_", " ")
        what = f"{one['action']} {one['subject']}"
        yield f"  {one['date_created']}  {visible(what)}  by {visible(who)}"


def _how_it_ended(callback: "JsonObject", attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sent = f"{callback['sid']} to {callback['url']}"
    if not attempts:
        why = callback["waits_because"] or "it has not been sent yet"
        yield f"{sent}: {callback['status']}; {visible(why)}"
        return
    last = attempts[-1]
    status = "" if last["status_code"] is None else f" with status {last['status_code']}"
    took = "" if last["duration_ms"] is None else f", in {last['duration_ms']:.0f} ms"
    reason = f": {visible(last['reason'])}" if last["reason"] else ""
    yield f"{sent}: {last['result']}{status}{took}{reason}"
