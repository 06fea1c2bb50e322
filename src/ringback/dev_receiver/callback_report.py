"""Describe a received callback, as lines for people or as one JSON object for programs."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, NamedTuple, assert_never, cast

from ringback.core.calendar import iso
from ringback.core.callback_urls.connection_overrides import default_retry_on
from ringback.core.counted import counted
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.visible_text import visible
from ringback.dev_receiver.forwarder import ForwardingResult
from ringback.dev_receiver.received_callback import CheckedRequest, CountedEvent
from ringback.dev_receiver.seen_tokens import SeenTokenCount
from ringback.receiver.events import (
    CloudEvent,
    CloudEvents,
    ConnectionEvent,
    Event,
    TestEvent,
    UnknownEvent,
    read_event,
    typed_event,
    unknown_names_in,
)
from ringback.receiver.verification import Reason, ReceivedRequest, Rejected, Verdict, Verified

_MOST_PARAMETERS: Final = 50
_MOST_EVENTS: Final = 100
_MOST_NAMES: Final = 5
_THROTTLED: Final = 429
_LONGEST: Final = 2000
_WIDEST_LABEL: Final = 24


class TerminalLineStyle(Enum):
    """The kind of a line, by which the terminal output chooses the line's colour."""

    TITLE = auto()
    PLAIN = auto()
    GOOD = auto()
    BAD = auto()
    HINT = auto()


@dataclass(frozen=True, slots=True)
class TerminalLine:
    """One line for people; control characters of the request are escaped."""

    text: str
    style: TerminalLineStyle = TerminalLineStyle.PLAIN


class ReportRow(NamedTuple):
    """A row of a two-column table: a label, a text, and the style of the line."""

    label: str
    text: str
    style: TerminalLineStyle = TerminalLineStyle.PLAIN


_NOT_CHECKED: Final = frozenset({Reason.NO_SECRET, Reason.EMPTY_SIGNATURE})

_HINT_AT_URL: Final = "behind a tunnel or a proxy, give the configured URL with --url"
# twilio.com/docs/events/event-delivery-and-duplication
_DISCARDED: Final = "Twilio discards a batch of events after a 4xx other than 429; answer a 5xx"
_TRIES_AGAIN: Final[Mapping[SourceName, str]] = {
    Source.TWILIO: "Twilio's source tries again only after connection failures",
    Source.KORE: "KORE's source tries again only after connection failures, 408, 423 and 5xx",
}


def as_lines(
    checked: CheckedRequest, *, verbose: bool, with_event: bool = False
) -> list[TerminalLine]:
    """Return the report as lines for people; if verbose, with the request as it was received.

    With `with_event`, it shows the event that the receiver toolkit reads from the request, too.
    Parameters are indented more than the listener's own lines, so that a request can't fake such a
    line.
    """
    return [
        TerminalLine(_title(checked), TerminalLineStyle.TITLE),
        *aligned(_events(checked.events) or _parameters(checked.request), indent=6),
        *(_event_lines(checked) if with_event else []),
        *(_as_received(checked.request) if verbose else []),
        *aligned(list(_findings(checked)), indent=2),
    ]


def as_record(checked: CheckedRequest, *, with_event: bool = False) -> dict[str, Any]:
    """Return a JSON object with all details of the request, its verification and its answer.

    With `with_event`, it also has the event that the receiver library reads from the request.
    """
    request, verdict = checked.request, checked.verdict
    return {
        "at": iso(checked.at),
        "source": verdict.source,
        "method": request.method,
        "path": request.target,
        "parameters": request.parameters,
        "unknown_names": unknown_names_in(request),
        "token": verdict.token,
        "signature": _signature(verdict),
        "seen_before": checked.seen is not None and checked.seen.before,
        "times_seen": 1 if checked.seen is None else checked.seen.times,
        "answered": checked.answered,
        "on_purpose": checked.on_purpose is not None,
        "forwarded": _forwarded(checked.forwarded),
        "headers": request.headers,
        "body": request.body.decode("utf-8", "backslashreplace"),
        **({"events": [*map(_event_summary, checked.events)]} if checked.events else {}),
        **({"event": event_record(read_event(request))} if with_event else {}),
    }


def event_record(event: Event) -> dict[str, Any]:
    """Return a JSON object with the type and the fields of an event."""
    return {"type": type(event).__name__, **_plain(event)}


def event_rows(event: Event) -> Iterator[ReportRow]:
    """Yield the event's fields that have a value, or the parameters of an unknown event."""
    parameters = event.parameters if isinstance(event, UnknownEvent) else _plain(event).items()
    for name, value in parameters:
        if value is not None and name != "cloud_event":
            yield ReportRow(name, value if isinstance(value, str) else json.dumps(value))


def _plain(value: Any) -> Any:
    """Return an event, or a value in it, converted for JSON: records to dicts, times to texts."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _signature(verdict: Verdict) -> dict[str, bool | str | None]:
    why = verdict if isinstance(verdict, Rejected) else None
    return {"ok": why is None, "reason": why and why.reason, "explanation": why and why.explanation}


def _forwarded(forwarded: ForwardingResult | None) -> dict[str, str | int | None] | None:
    if forwarded is None:
        return None
    return {"url": forwarded.url, "answered": forwarded.answered, "why_not": forwarded.why_not}


def _title(checked: CheckedRequest) -> str:
    request = checked.request
    # The query of a GET is listed below, parameter by parameter.
    shown = request.path if request.method == "GET" else request.target
    source = checked.verdict.source or "no callback"
    return f"{_time(checked.at)}  {source}  {_printable(f'{request.method} {shown}')}"


def _parameters(request: ReceivedRequest) -> list[ReportRow]:
    form = request.parameters
    if request.is_json and not form:  # such as a test event
        return [ReportRow("JSON", request.body.decode("utf-8", "backslashreplace"))]
    rows = [ReportRow(name, value) for name, value in form[:_MOST_PARAMETERS]]
    more = len(form) - len(rows)
    return [*rows, ReportRow("…", f"and {more} more")] if more else rows


def _events(events: Sequence[CountedEvent]) -> list[ReportRow]:
    """Return a row for each event of a stream: its type, its SIM, its time, and if it came before.

    All of them come from Super SIM or are test events, unless another product sends them.
    """
    rows = [_event_row(each) for each in events[:_MOST_EVENTS]]
    more = len(events) - len(rows)
    return [*rows, ReportRow("…", f"and {more} more")] if more else rows


def _event_row(counted_event: CountedEvent) -> ReportRow:
    event, seen = counted_event.event, counted_event.seen
    match event:
        case ConnectionEvent():
            error = event.error and f"error {event.error.code}"
            label, said = event.type, [event.sim_sid, _utc(event.timestamp), event.event_sid, error]
        case TestEvent():
            label, said = "test event", [event.test_id, event.time and _utc(event.time)]
        case CloudEvent():
            label, said = event.type, [event.time and _utc(event.time), event.id]
    style = TerminalLineStyle.PLAIN
    if seen is not None and seen.before:
        said.append(f"seen before, {_ordinal(seen.times)} time")
        style = TerminalLineStyle.HINT
    return ReportRow(label, "  ".join(filter(None, said)), style)


def _utc(at: datetime) -> str:
    """Return a time of any offset as text, in UTC."""
    try:
        return iso(at.astimezone(UTC))
    except OverflowError:  # the first or the last day of the calendar
        return at.isoformat()


def _event_summary(counted_event: CountedEvent) -> dict[str, Any]:
    """Return a JSON object with what identifies an event of a stream, and how often it has come."""
    event, seen = counted_event.event, counted_event.seen
    of = event.cloud_event if isinstance(event, ConnectionEvent) else event
    return {
        "type": None if isinstance(of, TestEvent) else of.type,
        "is_test": isinstance(of, TestEvent),
        "id": of.id,
        "event_sid": event.event_sid if isinstance(event, ConnectionEvent) else None,
        "sim_sid": event.sim_sid if isinstance(event, ConnectionEvent) else None,
        "time": None if of.time is None else of.time.isoformat(),
        "seen_before": seen is not None and seen.before,
        "times_seen": 1 if seen is None else seen.times,
    }


def _event_lines(checked: CheckedRequest) -> Iterator[TerminalLine]:
    batch = read_event(checked.request)
    is_batch = isinstance(batch, CloudEvents)
    for event in [typed_event(each) for each in batch.events] if is_batch else [batch]:
        name = type(event).__name__
        if isinstance(event, UnknownEvent):
            name = f"unknown: {event.why}"
        elif isinstance(checked.verdict, Rejected):
            name = f"{name}, if the request is genuine"
        yield from aligned([ReportRow("event", name)], indent=2)
        if not isinstance(event, UnknownEvent):
            yield from aligned(list(event_rows(event)), indent=6)


def _as_received(request: ReceivedRequest) -> Iterator[TerminalLine]:
    yield TerminalLine("  as received")
    lines = [f"{request.method} {request.target}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body:
        lines += ["", request.body.decode("utf-8", "backslashreplace")]
    for line in lines:
        yield TerminalLine(f"      {_printable(line)}".rstrip())


def _findings(checked: CheckedRequest) -> Iterator[ReportRow]:
    yield from _datagram(checked.request)
    yield from unknown_name_rows(checked.request)
    yield _token(checked)
    yield from _signature_rows(checked.verdict)
    if any(each.seen for each in checked.events):
        yield _batch_delivery(checked.events)
    elif checked.seen is not None:
        yield _delivery(checked.seen, checked.verdict)
    if checked.forwarded is not None:
        yield _forwarding(checked.forwarded)
    yield _answer(checked)
    yield from _retry_hint(checked)


def _datagram(request: ReceivedRequest) -> Iterator[ReportRow]:
    """Yield a row with the callback's binary payload, decoded from Base64, if it has one."""
    parameters = dict(request.parameters)
    if parameters.get("PayloadType") != "binary":
        return
    try:
        # An empty datagram has no Payload.
        payload = b64decode(parameters.get("Payload", ""), validate=True)
    except ValueError:
        return
    text = payload.decode("utf-8", "backslashreplace")
    yield ReportRow("payload", f"{counted(len(payload), 'byte')}: {text}")


def unknown_name_rows(request: ReceivedRequest) -> Iterator[ReportRow]:
    """Yield a row with the names that no callback of the form's kind has, if there are any."""
    names = unknown_names_in(request)
    if names:
        listed = ", ".join(map(repr, names[:_MOST_NAMES]))
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield ReportRow("unknown names", f"{listed}{more}", TerminalLineStyle.HINT)


def _token(checked: CheckedRequest) -> ReportRow:
    token = checked.verdict.token
    if checked.events:
        return ReportRow("token", f"{token} (of the batch)" if token else "none; events have ids")
    return ReportRow("token", token or "none, so a retry of this callback looks like a new one")


def _signature_rows(verdict: Verdict) -> Iterator[ReportRow]:
    match verdict:
        case Verified():
            yield ReportRow("signature", "right", TerminalLineStyle.GOOD)
        case Rejected(reason, explanation) if reason in _NOT_CHECKED:
            text = f"not checked ({_in_words(reason)}): {explanation}"
            yield ReportRow("signature", text, TerminalLineStyle.HINT)
        case Rejected(reason, explanation):
            text = f"not right ({_in_words(reason)}): {explanation}"
            yield ReportRow("signature", text, TerminalLineStyle.BAD)
            if reason is Reason.URL_DIFFERS:
                yield ReportRow("", _HINT_AT_URL, TerminalLineStyle.HINT)
        case _:
            assert_never(verdict)


def _in_words(reason: Reason) -> str:
    return reason.replace("_", " ")


def _delivery(seen: SeenTokenCount, verdict: Verdict) -> ReportRow:
    if not seen.before:
        return ReportRow("delivery", "first time")
    text = f"seen before, {_ordinal(seen.times)} time since {_time(seen.since)}"
    if isinstance(verdict, Rejected) and verdict.reason not in _NOT_CHECKED:
        return ReportRow("delivery", text)
    text += ": a retry of the same callback, so do the work only once"
    return ReportRow("delivery", text, TerminalLineStyle.HINT)


def _batch_delivery(events: Sequence[CountedEvent]) -> ReportRow:
    said = counted(len(events), "event")
    repeated = sum(each.seen is not None and each.seen.before for each in events)
    if not repeated:
        return ReportRow("delivery", f"{said}, first time")
    text = f"{said}, {repeated} seen before: do the work of each event only once"
    return ReportRow("delivery", text, TerminalLineStyle.HINT)


def _forwarding(forwarded: ForwardingResult) -> ReportRow:
    if forwarded.why_not is not None:
        text = f"{forwarded.url} gave no answer: {forwarded.why_not}"
        return ReportRow("forwarded", text, TerminalLineStyle.BAD)
    return ReportRow("forwarded", f"{forwarded.url} answered {forwarded.answered}")


def _answer(checked: CheckedRequest) -> ReportRow:
    seconds = checked.after.total_seconds()
    after = f" after {seconds:g} s" if seconds else ""
    purpose = "" if checked.on_purpose is None else f" on purpose ({checked.on_purpose})"
    return ReportRow("answered", f"{checked.answered}{after}{purpose}")


def _retry_hint(checked: CheckedRequest) -> Iterator[ReportRow]:
    source, family = checked.verdict.source, f"{checked.answered // 100}xx"
    if source is None or family == "2xx":
        return
    if checked.events:
        if source == Source.TWILIO and family == "4xx" and checked.answered != _THROTTLED:
            yield ReportRow("", _DISCARDED, TerminalLineStyle.HINT)
        return
    if not {family, str(checked.answered)} & default_retry_on(source):
        wish = family if family in ("4xx", "5xx") else "all"
        text = f"{_TRIES_AGAIN[source]}, unless the URL says e.g. #rp={wish}"
        yield ReportRow("", text, TerminalLineStyle.HINT)


def aligned(rows: Sequence[ReportRow], *, indent: int) -> Iterator[TerminalLine]:
    """Yield each row as a line with `indent` spaces; the texts are aligned in one column."""
    labels = [_printable(label) for label, _, _ in rows]
    width = max((min(len(label), _WIDEST_LABEL) for label in labels), default=0)
    for label, (_, text, style) in zip(labels, rows, strict=True):
        yield TerminalLine(f"{' ' * indent}{label:{width}}  {_printable(text)}".rstrip(), style)


def _printable(text: str) -> str:
    r"""Escape control characters in a text, and shorten it if it is very long.

    >>> _printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return visible(shown)


def _ordinal(number: int) -> str:
    """Return an ordinal number, such as `1st`.

    >>> [_ordinal(number) for number in (1, 2, 3, 4, 11, 22, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '112th']
    """
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _time(at: datetime) -> str:
    """Return the time of day in UTC, the time zone of the sender's records."""
    return f"{at:%H:%M:%S}Z"
