"""The output of `ringback verify`: lines for people, or one JSON object for programs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Final, cast

from ringback.captures import CapturedRequest
from ringback.dev_receiver.callback_report import (
    ReportRow,
    TerminalLine,
    TerminalLineStyle,
    aligned,
)
from ringback.receiver import Callback, Rejected
from ringback.receiver.events import Event, UnknownEvent, read_event

_NAMED: Final = (
    "by what the request says of itself; if the sender has another, give that with --url"
)
_NOT_SIGNED: Final = (
    "not signed: KORE signs no query, so whoever has seen such a request can change them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureVerification:
    """A receiver's verdict on a capture."""

    capture: CapturedRequest
    urls: tuple[str, ...]
    """The URLs that were tried; only the right one where the request is genuine."""
    is_url_given: bool
    """Whether the one URL was given, and not taken from the request itself."""
    result: Callback | Rejected

    @property
    def event(self) -> Event:
        """The event in the request, whether it is genuine or not."""
        return read_event(self.capture.request)


def as_lines(found: CaptureVerification) -> Iterator[TerminalLine]:
    """Yield the lines for people.

    Values from the request are indented further than our findings, so that none can pass for one.
    """
    match found.result:
        case Callback():
            yield TerminalLine("accepted: the signature is right", TerminalLineStyle.GOOD)
        case Rejected(reason):
            yield TerminalLine(f"rejected: {reason.replace('_', ' ')}", TerminalLineStyle.BAD)
    yield from aligned(list(_findings(found)), indent=2)
    yield from aligned(list(_event_rows(found.event)), indent=6)


def as_record(found: CaptureVerification) -> dict[str, Any]:
    """Return a JSON object with everything that was found out."""
    capture, result = found.capture, found.result
    rejected = result if isinstance(result, Rejected) else None
    return {
        "accepted": rejected is None,
        "reason": rejected and rejected.reason,
        "explanation": rejected and rejected.explanation,
        "answer": rejected.status if rejected else 200,
        "source": result.source,
        "token": result.token,
        "method": capture.request.method,
        "target": capture.request.target,
        "urls": found.urls,
        "parameters_are_signed": (
            result.parameters_are_signed if isinstance(result, Callback) else None
        ),
        "event": {"type": type(found.event).__name__, **_plain(found.event)},
        "read_as": capture.form,
        "notes": capture.notes,
    }


def _findings(found: CaptureVerification) -> Iterator[ReportRow]:
    result, request = found.result, found.capture.request
    if isinstance(result, Rejected):
        yield ReportRow("why", result.explanation, TerminalLineStyle.BAD)
    for note in found.capture.notes:
        yield ReportRow("note", note, TerminalLineStyle.HINT)
    yield ReportRow("source", result.source or "unknown")
    yield ReportRow("token", result.token or "none of the right form")
    yield ReportRow("method", request.method)
    yield ReportRow("url", " or ".join(found.urls))
    if not found.is_url_given:
        is_rejected = isinstance(result, Rejected)
        yield ReportRow(
            "", _NAMED, TerminalLineStyle.HINT if is_rejected else TerminalLineStyle.PLAIN
        )
    if isinstance(result, Rejected):
        yield ReportRow("answer", f"{result.status}, from a receiver with these settings")
    elif result.parameters_are_signed:
        yield ReportRow("parameters", "signed")
    else:
        yield ReportRow("parameters", _NOT_SIGNED, TerminalLineStyle.HINT)
    yield ReportRow("event", _event(found))


def _event(found: CaptureVerification) -> str:
    if isinstance(found.event, UnknownEvent):
        return f"unknown: {found.event.why}"
    name = type(found.event).__name__
    return name if isinstance(found.result, Callback) else f"{name}, if it is to be believed"


def _event_rows(event: Event) -> Iterator[ReportRow]:
    """Yield the event's fields that have a value, or the parameters of an unknown event."""
    parameters = event.parameters if isinstance(event, UnknownEvent) else _plain(event).items()
    for name, value in parameters:
        if value is not None:
            yield ReportRow(name, value if isinstance(value, str) else json.dumps(value))


def _plain(value: Any) -> Any:
    """Return an event, or what is in it, for JSON: records as dicts, and instants as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
