"""The list of callbacks: newest first, with filters that are in the URL, and a picture of the time.

New callbacks do not move the rows that somebody reads: a line above them says how many there are.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.responses import RedirectResponse, Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import duration, event_label, moment
from ringback.console.pictures import HistogramBar, SourceCounts
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import exact, read_instant
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.events.event_kinds import EVENT_KINDS
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid

EVERY: Final = 3
"""Seconds between two refreshes."""
_ROWS: Final = 50
_GAP: Final = timedelta(minutes=10)
"""Rows further apart than this are in different groups of the list."""
SPANS: Final[Mapping[str, tuple[str, timedelta | None]]] = {
    "": ("any time", None),
    "hour": ("last hour", timedelta(hours=1)),
    "day": ("last 24 hours", timedelta(days=1)),
    "week": ("last 7 days", timedelta(days=7)),
    "between": ("between two times", None),
}
_BARS: Final[Mapping[str, tuple[str, timedelta, int]]] = {
    "hour": ("minute", timedelta(minutes=1), 60),
    "day": ("hour", timedelta(hours=1), 24),
    "week": ("hour", timedelta(hours=1), 168),
}
_TOKEN: Final = re.compile(r"RQ[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILTERS: Final = (
    *("text", "status", "source", "event", "destination", "since", "from", "to", "url", "stream"),
)


async def show(visit: Visit) -> Response:
    """Show the list."""
    text = visit.asked("text")
    if is_sid(text, SidKind.CALLBACK):
        return RedirectResponse(f"{PATH}/callbacks/{text}", status_code=303)
    filters = filters_of(visit)
    is_part = "hx-request" in visit.request.headers
    (page, fresh), bars, known = await asyncio.gather(
        _rows(visit, filters),
        _nothing() if is_part else _bars(visit),
        _nothing() if is_part else _known_destinations(visit),
    )
    callbacks, meta = page["callbacks"], page["meta"]
    return await visit.page(
        "callbacks.html",
        title="Callbacks",
        every=EVERY,
        groups=list(_grouped(callbacks, visit.now)),
        top=callbacks[0]["sid"] if callbacks else "",
        fresh=fresh,
        rows_url=visit.with_query(top=callbacks[0]["sid"] if callbacks else "-"),
        next_page=page_of(visit, meta["next_page_url"]),
        previous_page=page_of(visit, meta["previous_page_url"]),
        searched_to=meta["searched_to"] if text else None,
        bars=bars or [],
        bar_name=_BARS[_bar_span(visit)][0],
        choices=choices(known or []),
        is_filtered=any(visit.asked(name) for name in FILTERS),
        filters_in_words=_in_words(visit),
        with_account=visit.is_operator,
        command=_command(visit),
    )


PAGES: Final[PageHandlers] = {"/callbacks": {"GET": show}}


async def _nothing() -> None:
    return None


def filters_of(visit: Visit) -> dict[str, str | None]:
    """Return the filters in the URL as the API's parameters."""
    text = visit.asked("text")
    is_sim = any(is_sid(text, kind) for kind in (SidKind.SIM, SidKind.WIRELESS_SIM))
    is_token = _TOKEN.fullmatch(text) is not None
    since, until = period_of(visit)
    return {
        "Status": visit.asked("status") or None,
        "Source": visit.asked("source") or None,
        "Event": visit.asked("event") or None,
        "Destination": visit.asked("destination") or None,
        "UrlPrefix": visit.asked("url") or None,
        "Stream": visit.asked("stream") or None,
        "SimSid": text if is_sim else None,
        "IdempotencyToken": text if is_token else None,
        "Text": text if text and not is_sim and not is_token else None,
        "CreatedAfter": since and exact(since),
        "CreatedBefore": until and exact(until),
    }


def period_of(visit: Visit) -> tuple[datetime | None, datetime | None]:
    """Return the beginning and the end of the time in the filter; raises ApiRefusal."""
    span = visit.asked("since")
    if span == "between":
        return typed_time(visit, "from"), typed_time(visit, "to")
    length = SPANS.get(span, ("", None))[1]
    return None if length is None else visit.now - length, None


def typed_time(visit: Visit, name: str) -> datetime | None:
    """Return a time that was typed, in UTC; raises ApiRefusal if it is none."""
    text = visit.asked(name)
    if not text:
        return None
    try:
        return read_instant(text)
    except ValueError:
        raise ApiRefusal(
            400, None, f"{text!r} is not a time; give one like 2026-11-27T04:00"
        ) from None


async def _rows(visit: Visit, filters: Mapping[str, str | None]) -> tuple[JsonObject, str]:
    """Return a page of the list, and how many callbacks are newer than its first row.

    With `top` in the query, the page begins at this callback, whatever is new.
    """
    token, top, fresh = visit.asked("page") or None, visit.asked("top"), ""
    query = {**filters, "PageSize": str(_ROWS), "PageToken": token}
    if top and token is None:
        token, fresh = await _newer(visit, filters, top)
        query["PageToken"] = token
    return await visit.api.get("callbacks", query=query, account_sid=visit.account_sid), fresh


async def _newer(
    visit: Visit, filters: Mapping[str, str | None], top: str
) -> tuple[str | None, str]:
    """Return the token of the page that begins at `top`, and how many callbacks are newer."""
    if not is_sid(top, SidKind.CALLBACK):
        return None, ""
    query = {**filters, "PageSize": str(_ROWS), "PageToken": f"PB{top}"}
    try:
        newer = await visit.api.get("callbacks", query=query, account_sid=visit.account_sid)
    except ApiRefusal as refusal:
        if refusal.status == 404:
            return None, ""
        raise
    found = newer["callbacks"]
    if not found:
        return None, ""
    more = "more than " if newer["meta"]["previous_page_url"] is not None else ""
    noun = "callback" if len(found) == 1 else "callbacks"
    return f"PA{found[-1]['sid']}", f"{more}{len(found)} new {noun}"


def page_of(visit: Visit, url: str | None) -> str | None:
    """Return the URL of another page of the list here, from that of the API."""
    if url is None:
        return None
    token = parse_qs(urlsplit(url).query).get("PageToken", [""])[0]
    return visit.with_query(page=token, top=None)


def _grouped(callbacks: Sequence[JsonObject], now: datetime) -> Any:
    """Yield the rows in groups, each with a heading if much time lies before it."""
    group, last = 0, None
    keyed = list[tuple[int, str, JsonObject]]()
    heading = ""
    for callback in callbacks:
        created = moment(callback["date_created"]) or now
        if last is not None and (last.date() != created.date() or last - created > _GAP):
            group += 1
            heading = f"{duration((last - created).total_seconds())} earlier"
            if last.date() != created.date():
                heading = f"{created:%Y-%m-%d}, {heading}"
        elif last is None and created.date() != now.date():
            heading = f"{created:%Y-%m-%d}"
        last = created
        keyed.append((group, heading, callback))
    for (_, words), rows in groupby(keyed, key=lambda one: (one[0], one[1])):
        yield words, [row for _, _, row in rows]


def _bar_span(visit: Visit) -> str:
    span = visit.asked("since")
    return span if span in _BARS else "hour"


async def _bars(visit: Visit) -> list[HistogramBar]:
    """Return the counts of the time by source, as bars; empty if there was nothing."""
    _, length, number = _BARS[_bar_span(visit)]
    seconds = length.total_seconds()
    last = visit.now.timestamp() // seconds * seconds
    begin = datetime.fromtimestamp(last, visit.now.tzinfo) - (number - 1) * length
    query = {
        "Since": exact(begin),
        "By": "minute" if length == timedelta(minutes=1) else "hour",
        "Split": "source",
        "Destination": visit.asked("destination") or None,
        "Source": visit.asked("source") or None,
    }
    try:
        answer = await visit.api.get("counters", query=query, account_sid=visit.account_sid)
    except ApiRefusal:
        return []  # Only a picture; the list itself says what is wrong.
    found = defaultdict[tuple[datetime, str], SourceCounts](SourceCounts)
    for one in answer["counters"]:
        began = moment(one["began"])
        if began is not None:
            failures = sum(one["failures"].values())
            found[began, one["source"]] = SourceCounts(one["delivered"], failures)
    if not found:
        return []
    starts = [begin + place * length for place in range(number)]
    return [
        HistogramBar(at, found[at, Source.TWILIO.value], found[at, Source.KORE.value])
        for at in starts
    ]


async def _known_destinations(visit: Visit) -> list[str]:
    """Return some destinations, to choose from."""
    try:
        answer = await visit.api.get(
            "destinations", query={"PageSize": "50"}, account_sid=visit.account_sid
        )
    except ApiRefusal:
        return []
    return sorted({one["destination"].partition("*")[0] for one in answer["destinations"]})


def choices(destinations: Sequence[str]) -> dict[str, Any]:
    """Return the choices of the fields of the filter."""
    return {
        "statuses": [("", "any"), *((one.value, one.value) for one in CallbackStatus)],
        "sources": [("", "any"), *((one.value, one.value) for one in Source)],
        "events": [("", "any"), *((kind, event_label(kind)) for kind in EVENT_KINDS)],
        "spans": [(name, words) for name, (words, _) in SPANS.items()],
        "destinations": destinations,
    }


def _in_words(visit: Visit) -> list[tuple[str, str, str]]:
    """Return each filter that is set: its name, its value, and the URL of the list without it."""
    names = {"text": "has the text", "status": "is", "source": "comes from", "event": "reports"}
    names |= {"destination": "goes to", "since": "was created in the", "url": "goes to a URL below"}
    names["stream"] = "is of the stream"
    spans = {name: words for name, (words, _) in SPANS.items()}
    return [
        (
            words,
            spans.get(value, value) if name == "since" else value,
            visit.with_query(**{name: None}),
        )
        for name, words in names.items()
        if (value := visit.asked(name))
    ]


def _command(visit: Visit) -> str:
    """Return the command that gives the same list."""
    parts = ["ringback callbacks list"]
    flags = ("status", "source", "event", "destination", "stream")
    parts += [f"--{name} {visit.asked(name)}" for name in flags if visit.asked(name)]
    return " ".join(parts)
