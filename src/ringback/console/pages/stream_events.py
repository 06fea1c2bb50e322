"""Events of event streams: the list, and one event as both sources write it, with its batches."""

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from starlette.responses import Response

from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import short_event_type
from ringback.console.pages.account_choice import account_of, ask_for_account
from ringback.console.pages.callbacks import SPANS, page_of, period_of
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import exact
from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import DESCRIPTIONS, StreamEventType

_ROWS: Final = 50
_FILTERS: Final = ("sim", "type", "since", "from", "to")
_ABSENT: Final = object()
_ORDER: Final = "Order of the names"


class ComparedField(NamedTuple):
    """A part of an event, as each source writes it; None where a source does not have it."""

    name: str
    twilio: str | None
    kore: str | None

    @property
    def look(self) -> str:
        """The CSS class: `same`, `differs`, or `only` for a part that one source has."""
        if self.twilio is None or self.kore is None:
            return "only"
        return "same" if self.twilio == self.kore else "differs"


async def show(visit: Visit) -> Response:
    """Show the list."""
    since, until = period_of(visit)
    query = {
        "SimSid": visit.asked("sim") or None,
        "Type": _type_asked(visit),
        "Since": since and exact(since),
        "Until": until and exact(until),
        "PageSize": str(_ROWS),
        "PageToken": visit.asked("page") or None,
    }
    wrong, events, meta = "", list[JsonObject](), dict[str, Any]()
    try:
        answer = await visit.api.get(
            "streams", "events", query=query, account_sid=visit.account_sid
        )
        events, meta = answer["events"], answer["meta"]
    except ApiRefusal as refusal:
        if refusal.status != 400:
            raise
        wrong = refusal.message
    return await visit.page(
        "stream_events.html",
        title="Events",
        events=events,
        wrong=wrong,
        types=[("", "any"), *((one.short, one.short) for one in StreamEventType)],
        spans=[(name, words) for name, (words, _) in SPANS.items()],
        is_filtered=any(visit.asked(name) for name in _FILTERS),
        next_page=page_of(visit, meta.get("next_page_url")),
        previous_page=page_of(visit, meta.get("previous_page_url")),
        command=_command(visit),
    )


async def show_one(visit: Visit) -> Response:
    """Show one event: its data, both sources' JSON side by side, and the batches that have it."""
    choice = await account_of(visit)
    if choice.sid is None:
        return await ask_for_account(visit, choice, "Event")
    path = ("streams", "events", visit.request.path_params["sid"])
    event, batches = await asyncio.gather(
        visit.api.get(*path, account_sid=choice.sid),
        visit.api.get(*path, "batches", account_sid=choice.sid),
    )
    written: Mapping[str, str] = event["written"]
    parsed = {source: json.loads(text) for source, text in written.items()}
    rows = list(compare_events(parsed[Source.TWILIO], parsed[Source.KORE]))
    return await visit.page(
        "stream_event.html",
        title=short_event_type(event["type"]),
        event=event,
        meaning=DESCRIPTIONS[StreamEventType(event["type"])],
        facts=list(_flat(parsed[Source.TWILIO].get("data"))),
        rows=rows,
        about={look: sum(row.look == look for row in rows) for look in ("differs", "only")},
        written=written,
        batches=batches["batches"],
        has_more=batches["has_more"],
    )


PAGES: Final[PageHandlers] = {
    "/streams/events": {"GET": show},
    "/streams/events/{sid}": {"GET": show_one},
}


def compare_events(
    twilio: Mapping[str, object], kore: Mapping[str, object]
) -> Iterator[ComparedField]:
    """Yield the parts of an event from both sources.

    >>> list(compare_events({"id": "EZ", "time": "1"}, {"time": "1", "id": "EZ"}))[0]
    ComparedField(name='Order of the names', twilio='id, time', kore='time, id')
    """
    yield ComparedField(_ORDER, ", ".join(twilio), ", ".join(kore))
    for name in {**twilio, **kore}:
        sides = [one.get(name, _ABSENT) for one in (twilio, kore)]
        yield ComparedField(name, *(None if side is _ABSENT else _text(side) for side in sides))


def _text(value: object) -> str:
    """Return a value of a JSON text: a string without quotes, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names and values of an object; those of an object in it as `network.mcc`."""
    if not isinstance(value, dict):
        yield prefix.removesuffix("."), _text(value)
        return
    for name, one in cast("dict[str, object]", value).items():
        yield from _flat(one, f"{prefix}{name}.")


def _type_asked(visit: Visit) -> str | None:
    """Return the whole name of the type in the filter; an unknown one as it is."""
    asked = visit.asked("type")
    known = {one.short: one.value for one in StreamEventType}
    return known.get(asked, asked) or None


def _command(visit: Visit) -> str:
    """Return the command that gives the same list."""
    since, until = period_of(visit)
    given: Sequence[tuple[str, str]] = (
        ("sim", visit.asked("sim")),
        ("type", visit.asked("type")),
        ("since", f"{since:%Y-%m-%dT%H:%MZ}" if since else ""),
        ("until", f"{until:%Y-%m-%dT%H:%MZ}" if until else ""),
    )
    flags = [f"--{name} {shlex.quote(value)}" for name, value in given if value]
    return " ".join(["ringback streams events", *flags])
