"""One destination: how it is, its URLs, what is set for it, and what can be done."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import full_time
from ringback.console.pages.destinations import EVERY, LIST, last_hour, urls_in_use, urls_of
from ringback.console.visit import PageHandlers, SentForm, Visit
from ringback.core.audit import HIDDEN
from ringback.core.calendar import exact, read_duration, read_instant
from ringback.core.callbacks.shards import origin_of
from ringback.core.destinations.destination_settings import BY_NAME
from ringback.core.destinations.effective_settings import BY_DEFAULT

_ONE: Final = "/destinations/one"
_UNSET: Final = "unset"
_READY: Final = "ready"
_YES_OR_NO: Final = ("yes", "no")
_CHOICES: Final[Mapping[str, Sequence[str]]] = {"YES|NO": _YES_OR_NO, "NONE|SIM": ("none", "sim")}
"""The values of settings that have only a few, by their form."""
_BESIDE: Final[Mapping[str, tuple[str, str]]] = {
    "headers": (
        "Header",
        "Headers to add to all requests, one in each line, like “X-Team: meters”. All together take"
        " the place of those that are set now. “none” for none.",
    ),
    "client_certificate": (
        "ClientCertificate",
        "The client certificate, its chain and its private key, in PEM. “none” for none.",
    ),
    "ca": ("Ca", "Further authorities to trust, as certificates in PEM. “none” for none."),
}
"""What is set beside the settings with a short text: the parameter, and what it means."""
_LENGTHS: Final = (
    ("", "until somebody resumes it"),
    ("15m", "for 15 minutes"),
    ("1h", "for an hour"),
    ("4h", "for 4 hours"),
    ("1d", "for a day"),
    ("7d", "for 7 days"),
)
_MOST_URLS: Final = 100


async def show(visit: Visit) -> Response:
    """Show a destination."""
    account_sid = visit.account_sid or await _only_account(visit)
    if account_sid is None:
        # Several accounts, or none, send there: the list says which.
        query = urlencode({"text": origin_of(visit.asked("destination"))})
        return RedirectResponse(f"{LIST}?{query}", status_code=303)
    return await _page(visit, account_sid, visit.asked("destination"))


async def pause(visit: Visit) -> Response:
    """Send nothing there, until it is resumed or until a time."""
    form = await visit.form()
    try:
        until = _until(form, visit.now)
    except ValueError as problem:
        return visit.back(f"{_here(form)}&do=pause", str(problem), is_bad=True)
    values = {"Until": until, "Reason": form.get("reason") or None}
    return await _do(
        visit, form, "pause", values, "It is paused: what is due waits.", again="pause"
    )


async def resume(visit: Visit) -> Response:
    """End a pause, or begin anew with a destination that is disabled or has an open breaker."""
    return await _do(visit, await visit.form(), "resume", {}, "It is resumed: what is due is sent.")


async def test(visit: Visit) -> Response:
    """Send a test event there."""
    form = await visit.form()
    url, account_sid = form.get("url") or form.get("destination", ""), form.get("account")
    try:
        sent = await visit.api.post(
            "destinations", "test", form={"Destination": url}, account_sid=account_sid
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, _here(form))
    return visit.back(
        _here(form),
        f"A test event goes to {sent['url']}, from {sent['source']}.",
        link=f"{PATH}/callbacks/{sent['sid']}",
        link_text="See how it ends",
    )


async def change(visit: Visit) -> Response:
    """Set one setting for this destination, or unset it."""
    form = await visit.form()
    name = form.get("name", "")
    is_unset = form.get("unset") == "yes"
    if name in _BESIDE:
        parameter, _ = _BESIDE[name]
    elif name in BY_NAME:
        parameter = BY_NAME[name].parameter
    else:
        return visit.back(_here(form), f"there is no setting {name[:50]!r}", is_bad=True)
    lines = form.get("value", "").strip()
    value = lines.splitlines() if name == "headers" else lines
    words = name.replace("_", " ")
    said = f"{words.capitalize()} is unset here." if is_unset else f"{words.capitalize()} is set."
    return await _do(visit, form, "", {parameter: _UNSET if is_unset else value}, said, again=name)


async def probe(visit: Visit) -> Response:
    """Check whether the receiver is ready for each source; the page then shows the findings."""
    form = await visit.form()
    try:
        found = await visit.api.post(
            "receiver_checks",
            form={"Url": form.get("url", "").strip()},
            account_sid=form.get("account"),
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, _here(form))
    checks = found["receiver_checks"]
    is_ready = all(one["verdict"] == _READY for one in checks)
    said = "; ".join(f"{one['source']}: {one['words']}" for one in checks)
    return visit.back(
        f"{_here(form)}#checks", f"The receiver was checked. {said}", is_bad=not is_ready
    )


PAGES: Final[PageHandlers] = {
    _ONE: {"GET": show},
    f"{_ONE}/pause": {"POST": pause},
    f"{_ONE}/resume": {"POST": resume},
    f"{_ONE}/test": {"POST": test},
    f"{_ONE}/set": {"POST": change},
    f"{_ONE}/probe": {"POST": probe},
}


def page_of(destination: str, account_sid: str) -> str:
    """Return the path of the page of a destination."""
    query = urlencode({"destination": destination, "account": account_sid})
    return f"{PATH}{_ONE}?{query}"


async def values_of(visit: Visit, account_sid: str, destination: str) -> dict[str, Any]:
    """Return the values that the page shows to everybody who may read the destination."""
    one = await visit.api.get(
        "destinations",
        "one",
        query={"Destination": destination, "Minutes": "yes"},
        account_sid=account_sid,
    )
    name = one["destination"]
    found = await urls_in_use(visit, account_sid, part=_searched(name))
    own = urls_of(found or [], account_sid, name)
    return {
        "title": name.removeprefix("https://"),
        "every": EVERY,
        "one": {**one, **last_hour(one, visit.now)},
        "urls": own[:_MOST_URLS],
        "more_urls": len(own[_MOST_URLS:]),
        "hidden": HIDDEN,
    }


def _searched(destination: str) -> str:
    """Return the part of a destination's name that each of its URLs has."""
    host = origin_of(destination).partition("://")[2]
    # A URL need not have the usual port.
    return host.removesuffix(":443").removesuffix(":80")


async def _page(visit: Visit, account_sid: str, destination: str) -> Response:
    is_part = "hx-request" in visit.request.headers
    values = await values_of(visit, account_sid, destination)
    one = values["one"]
    return await visit.page(
        "destination.html",
        **values,
        checks=None if is_part else await _checks(visit, account_sid, one["destination"]),
        ready=_READY,
        account_sid=account_sid,
        here=page_of(one["destination"], account_sid),
        origin=origin_of(one["destination"]),
        settings=[_setting(visit, each, one["set_here"]) for each in one["settings"]],
        lengths=_LENGTHS,
        targets=_targets(one["destination"], values["urls"]),
        may_resume=_may_resume(visit, one),
    )


async def _checks(visit: Visit, account_sid: str, destination: str) -> list[JsonObject] | None:
    """Return the last checks of the destination's receivers; None if none can be made here."""
    try:
        answer = await visit.api.get("receiver_checks", account_sid=account_sid)
    except ApiRefusal:
        return None
    return urls_of(answer["receiver_checks"], account_sid, destination)


async def _only_account(visit: Visit) -> str | None:
    """Return the account whose callbacks go to the destination; None unless it is only one."""
    destination = visit.asked("destination")
    answer = await visit.api.get(
        "destinations", query={"Text": origin_of(destination), "PageSize": "2"}
    )
    accounts = {one["account_sid"] for one in answer["destinations"]}
    return accounts.pop() if len(accounts) == 1 else None


def _targets(destination: str, urls: Sequence[JsonObject]) -> list[tuple[str, str]]:
    """Return the URLs to which a test can go, with their words."""
    known = [(one["url"], one["url"]) for one in urls]
    is_whole = not destination.endswith("*")
    return [(destination, "its newest URL"), *known] if is_whole else known


def _owner(visit: Visit) -> str:
    return "operator" if visit.is_operator else "account"


def _may_resume(visit: Visit, one: JsonObject) -> bool:
    """Return True if the person could end what stops callbacks."""
    if one["state"] in ("open", "disabled"):
        return True
    own = [each for each in one["set_here"] if each["owner"] == _owner(visit)]
    return any(each["paused_since"] is not None for each in own)


def _setting(visit: Visit, one: JsonObject, set_here: Sequence[JsonObject]) -> dict[str, Any]:
    """Return a setting in force, and how it is changed here."""
    name = one["name"]
    own = {
        each["name"]: each["value"]
        for stored in set_here
        if stored["owner"] == _owner(visit)
        for each in stored["settings"]
    }
    definition = BY_NAME.get(name)
    is_secret = definition is None or definition.is_secret
    return {
        **one,
        "words": name.replace("_", " "),
        "help": _BESIDE[name][1] if definition is None else definition.help,
        "form": "" if definition is None else definition.metavar.lower(),
        "choices": () if definition is None else _CHOICES.get(definition.metavar, ()),
        "is_long": definition is None,
        "is_secret": is_secret,
        "is_default": one["origin"] == BY_DEFAULT,
        "own": own.get(name),
        "may_change": visit.may_change
        and (definition is None or visit.is_operator or not definition.is_operators),
    }


def _here(form: SentForm) -> str:
    return page_of(form.get("destination", ""), form.get("account", ""))


async def _do(
    visit: Visit,
    form: SentForm,
    verb: str,
    values: Mapping[str, str | Sequence[str] | None],
    said: str,
    *,
    again: str = "",
) -> Response:
    """Change something, and go back to the page; if that is refused, with the form `again` open."""
    steps = ("destinations", verb) if verb else ("destinations",)
    whole = {**values, "Destination": form.get("destination", "")}
    try:
        await visit.api.post(*steps, form=whole, account_sid=form.get("account"))
    except ApiRefusal as refusal:
        return visit.refused(refusal, f"{_here(form)}&do={again}" if again else _here(form))
    return visit.back(_here(form), said)


def _until(form: SentForm, now: datetime) -> str | None:
    """Return when a pause ends, as a parameter; raises ValueError if it can't be read."""
    length, typed = form.get("length", ""), form.get("until", "").strip()
    if typed:
        until = read_instant(typed)
        if until <= now + timedelta(0):
            raise ValueError(f"{full_time(until)} has passed; give a later time")
        return exact(until)
    return exact(now + read_duration(length)) if length else None
