"""The list of destinations: how each is, what waits, and the source of each of its URLs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import host_of, moment
from ringback.console.visit import PageHandlers, Visit, local_path
from ringback.core.calendar import floor

LIST: Final = f"{PATH}/destinations"
EVERY: Final = 5
"""Seconds between two refreshes."""
STATES: Final = ("disabled", "damaged", "open", "failing", "held", "paused", "well")
"""The states of the API, the worst first."""
_ROWS: Final = 25
_MOST_URLS: Final = 500
_SHOWN_URLS: Final = 3
"""How many URLs of a destination the list shows; its own page shows more."""
_ORDERS: Final = (("", "trouble first"), ("name", "by name"))
_BARS: Final = 30
_BAR: Final = timedelta(minutes=2)


async def show(visit: Visit) -> Response:
    """Show the list."""
    order = visit.asked("order")
    query = {
        "Text": visit.asked("text") or None,
        "State": visit.asked("state") or None,
        "Order": order or "trouble",
        "Minutes": "yes",
        "PageSize": str(_ROWS),
        "PageToken": visit.asked("page") or None,
    }
    account_sid = visit.account_sid
    answer = await visit.api.get("destinations", query=query, account_sid=account_sid)
    urls = await urls_in_use(visit, account_sid)
    rows = [_row(one, urls or [], visit.now) for one in answer["destinations"]]
    if order != "name":
        rows.sort(key=lambda row: (STATES.index(row["state"]), not row["failed"]))
    return await visit.page(
        "destinations.html",
        title="Destinations",
        every=EVERY,
        rows=rows,
        are_urls_known=urls is not None,
        patterns=answer["patterns"],
        next_page=_next_page(visit, answer["next_page_token"]),
        states=[("", "any"), *((state, state) for state in STATES)],
        orders=_ORDERS,
        is_filtered=any(visit.asked(name) for name in ("text", "state")),
        command=_command(visit),
    )


async def resume_pattern(visit: Visit) -> Response:
    """End the pause of a pattern."""
    return await _change_pattern(visit, "resume", {}, "{} is resumed: what is due is sent.")


async def unset_pattern(visit: Visit) -> Response:
    """Unset all that is set for a pattern."""
    form = {"UnsetAll": "yes"}
    return await _change_pattern(visit, "", form, "Nothing is set for {} any more.")


PAGES: Final[PageHandlers] = {
    "/destinations": {"GET": show},
    "/destinations/patterns/resume": {"POST": resume_pattern},
    "/destinations/patterns/unset": {"POST": unset_pattern},
}


async def _change_pattern(
    visit: Visit, verb: str, values: Mapping[str, str], said: str
) -> Response:
    form = await visit.form()
    pattern, account = form.get("pattern", ""), form.get("account") or None
    back = local_path(form.get("back", LIST))
    steps = ("destinations", verb) if verb else ("destinations",)
    try:
        await visit.api.post(*steps, form={**values, "Destination": pattern}, account_sid=account)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(back, said.format(pattern))


async def urls_in_use(
    visit: Visit, account_sid: str | None, *, part: str = ""
) -> list[JsonObject] | None:
    """Return the URLs in use with their sources, those with this text; None if there are too many.

    They are what the server has counted lately, so a new URL is there after some seconds.
    """
    query = {"Url": part or None, "PageSize": str(_MOST_URLS)}
    try:
        answer = await visit.api.get("policy", "urls", query=query, account_sid=account_sid)
    except ApiRefusal:
        return []  # They are beside the list, which says itself what is wrong.
    is_whole = answer["next_page_token"] is None
    return answer["urls"] if is_whole or part else None


def urls_of(urls: Iterable[JsonObject], account_sid: str, destination: str) -> list[JsonObject]:
    """Return those of the URLs that belong to a destination, or to a part of one."""
    return [
        one
        for one in urls
        if one["account_sid"] == account_sid and _belongs(one["url"], destination)
    ]


def _belongs(url: str, destination: str) -> bool:
    origin = host_of(url)
    if destination == origin:
        return True
    part = destination.removeprefix(origin)
    place = url.partition("#")[0].partition("?")[0].partition("://")[2]
    path = "/" + place.partition("/")[2]
    return part.startswith("/") and part.endswith("*") and path.startswith(part[:-1])


def bars_of(minutes: Sequence[JsonObject], now: datetime) -> list[tuple[int, int]]:
    """Return the numbers of attempts that succeeded and failed, for each two minutes of an hour."""
    begin = floor(now, _BAR) - (_BARS - 1) * _BAR
    bars = [(0, 0)] * _BARS
    for one in minutes:
        began = moment(one["began"])
        place = -1 if began is None else (began - begin) // _BAR
        if 0 <= place < _BARS:
            good, bad = bars[place]
            bars[place] = good + one["attempts"] - one["failed"], bad + one["failed"]
    return bars


def last_hour(one: JsonObject, now: datetime) -> dict[str, Any]:
    """Return the figures of the last hour, as pages show them."""
    minutes: Sequence[JsonObject] = one["minutes"] or []
    failed = sum(each["failed"] for each in minutes)
    p95 = one["attempt_p95"]
    return {
        "succeeded": one["attempts_last_hour"] - failed,
        "failed": failed,
        "bars": bars_of(minutes, now),
        "p95_ms": None if p95 is None else p95 * 1000,
    }


def _row(one: JsonObject, urls: Sequence[JsonObject], now: datetime) -> dict[str, Any]:
    own = urls_of(urls, one["account_sid"], one["destination"])
    shown, more = own[:_SHOWN_URLS], len(own[_SHOWN_URLS:])
    return {**one, **last_hour(one, now), "urls": shown, "more_urls": more}


def _next_page(visit: Visit, token: str | None) -> str | None:
    return None if token is None else visit.with_query(page=token)


def _command(visit: Visit) -> str:
    """Return the command that gives the same list."""
    parts = ["ringback destinations list"]
    if visit.asked("order") != "name":
        parts.append("--order trouble")
    parts += [f"--{name} {visit.asked(name)}" for name in ("state", "text") if visit.asked(name)]
    account_sid = visit.account_sid if visit.is_operator else None
    return " ".join([*parts, *([f"--account {account_sid}"] if account_sid else [])])
