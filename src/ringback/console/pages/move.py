"""The move: its phases, the changes ahead, the receivers that they break, each URL's source."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from ringback.console import pictures
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import long_day, moment
from ringback.console.pictures import HeldSpan, SourceSpan
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import DAY, exact
from ringback.core.policy.source_policy import Source

EVERY: Final = 5
_ROWS: Final = 50
_MOST_HOLDS: Final = 8
"""How many holds the timeline shows; the table has them all."""
_MOST_PLANS: Final = 10
_LEAST_SPAN: Final = timedelta(days=28)
_MARGIN: Final = 0.25
"""How much of the time between its borders the timeline shows before and after them."""


async def show(visit: Visit) -> Response:
    """Show the timeline, what is ahead, and the URLs on a day."""
    at = visit.asked("at") or None
    policy, outlook = await asyncio.gather(
        visit.api.get("policy", account_sid=visit.account_sid),
        visit.api.get("policy", "outlook", query={"At": at}, account_sid=visit.account_sid),
    )
    query = {
        "At": at,
        "Url": visit.asked("url") or None,
        "PageSize": str(_ROWS),
        "PageToken": visit.asked("page") or None,
    }
    urls = await visit.api.get("policy", "urls", query=query, account_sid=visit.account_sid)
    today = moment(policy["date"]) or visit.now
    return await visit.page(
        "move.html",
        title="The move",
        every=EVERY,
        policy_now=policy,
        today=today,
        outlook=outlook,
        day=moment(outlook["at"]) or today,
        timeline=_timeline(policy, today),
        sources=_sources(policy["phases"]),
        holds=policy["holds"],
        urls=urls,
        groups=_grouped(urls["urls"]),
        before=_bar("Today", outlook, "sources"),
        after=_bar(long_day(outlook["at"]), outlook, "sources_then"),
        days=_days(outlook["ahead"]),
        next_page=(
            visit.with_query(page=urls["next_page_token"]) if urls["next_page_token"] else None
        ),
        shadows=await _shadows(visit),
        plans=await _plans(visit),
    )


PAGES: Final[PageHandlers] = {"/move": {"GET": show}}


def _timeline(policy: JsonObject, today: datetime) -> Markup:
    """Return the picture of the policy's phases and holds."""
    phases: Sequence[JsonObject] = policy["phases"]
    borders = [at for phase in phases if (at := moment(phase["since"])) is not None]
    holds = [
        HeldSpan(_held(hold), moment(hold["until"]))
        for hold in policy["holds"]
        if not hold["has_ended"]
    ][:_MOST_HOLDS]
    known = [*borders, today, *(hold.until for hold in holds if hold.until is not None)]
    span = max(max(known) - min(known), _LEAST_SPAN)
    begin, end = min(known) - _MARGIN * span, max(known) + _MARGIN * span
    rows = [(source, _spans(source, phases, begin, end)) for source in _sources(phases)]
    return pictures.timeline(
        rows,
        holds,
        borders=borders,
        today=today,
        edges=(begin, end),
        label=_in_words(rows, holds, today),
    )


def _held(hold: JsonObject) -> str:
    return hold["url_prefix"] or hold["account_sid"] or "every callback"


def _sources(phases: Sequence[JsonObject]) -> list[str]:
    """Return the sources of a policy: the two built-in ones first."""
    named = sorted({source for phase in phases for source in phase["may_ask"]})
    return list(dict.fromkeys([*map(str, Source), *named]))


def _spans(
    source: str, phases: Sequence[JsonObject], begin: datetime, end: datetime
) -> list[SourceSpan]:
    """Return how a source sends in each phase, one after the other."""
    spans = list[SourceSpan]()
    for number, phase in enumerate(phases):
        began = moment(phase["since"]) or begin
        next_phase = phases[number + 1] if number + 1 < len(phases) else None
        ended = (moment(next_phase["since"]) if next_phase else None) or end
        if phase["default"] == source:
            look = "default"
        else:
            look = "asked" if source in phase["may_ask"] else "gone"
        if spans and spans[-1].look == look:
            spans[-1] = spans[-1]._replace(ended=ended)
        else:
            spans.append(SourceSpan(look, began, ended))
    return spans


def _in_words(
    rows: Sequence[tuple[str, Sequence[SourceSpan]]], holds: Sequence[HeldSpan], today: datetime
) -> str:
    words = {"default": "is the default", "asked": "sends if a URL asks for it", "gone": "is off"}
    said = [
        f"{source} "
        + ", then ".join(
            f"{words[span.look]}" + (f" from {long_day(span.began)}" if place else "")
            for place, span in enumerate(spans)
        )
        for source, spans in rows
    ]
    said += [
        f"{hold.name} is held" + (f" until {long_day(hold.until)}" if hold.until else "")
        for hold in holds
    ]
    return f"Timeline. {'. '.join(said)}. Today is {long_day(today)}."


def _grouped(urls: Sequence[JsonObject]) -> list[tuple[str, list[JsonObject]]]:
    """Return the URLs in two groups: those that get another source, and the others."""
    changing = [one for one in urls if one["changes"]]
    same = [one for one in urls if not one["changes"]]
    groups = [("Another source than today", changing), ("The same source", same)]
    return [(name, found) for name, found in groups if found]


def _bar(name: str, outlook: JsonObject, which: str) -> tuple[str, Markup] | None:
    """Return the bar of last week's callbacks by the source that would send them."""
    urls: Mapping[str, Any] | None = outlook["urls"]
    if urls is None or not urls["callbacks"]:
        return None
    parts = [(one["source"], one["callbacks"]) for one in urls[which]]
    parts.sort(key=lambda part: (part[0] != "twilio", part[0] != "kore", part[0]))
    said = ", ".join(f"{number:,} from {source}" for source, number in parts)
    return name, pictures.shares(parts, label=f"{name}: {said}")


def _days(ahead: Sequence[JsonObject]) -> list[tuple[str, str]]:
    """Return the days just after each change, to choose from: the value, and its words."""
    days = list[tuple[str, str]]()
    for change in ahead:
        at = moment(change["date"])
        if at is not None:
            after = at if at.time() == datetime.min.time() else at + DAY
            days.append((f"{after:%Y-%m-%d}", f"on {after.day} {after:%B}"))
    return list(dict.fromkeys(days))


async def _plans(visit: Visit) -> Sequence[JsonObject]:
    """Return the newest plans."""
    if "hx-request" in visit.request.headers:
        return ()
    query = {"PageSize": str(_MOST_PLANS)}
    answer = await visit.api.get("plans", query=query, account_sid=visit.account_sid)
    return answer["plans"]


async def _shadows(visit: Visit) -> JsonObject | None:
    """Return the differences that shadow copies have found in a day; None without any copy."""
    if "hx-request" in visit.request.headers:
        return None
    try:
        report = await visit.api.get(
            "shadows",
            "report",
            query={"Since": exact(visit.now - DAY)},
            account_sid=visit.account_sid,
        )
    except ApiRefusal:
        return None
    if not report["pairs"]:
        return None
    kinds = [{**kind, "url": url["url"]} for url in report["urls"] for kind in url["differences"]]
    kinds.sort(key=lambda kind: -kind["count"])
    return {**report, "kinds": kinds[:_ROWS]}
