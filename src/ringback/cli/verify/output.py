"""The output of `ringback verify`: lines for people, or one JSON object for programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ringback.captures import CapturedRequest
from ringback.dev_receiver.callback_report import (
    ReportRow,
    TerminalLine,
    TerminalLineStyle,
    aligned,
    event_record,
    event_rows,
    unknown_name_rows,
)
from ringback.receiver import Callback, Rejected
from ringback.receiver.events import Event, UnknownEvent, read_event, unknown_names_in

_NAMED: Final = (
    "read from the request; if the callback is configured with another URL, give it with --url"
)
_NOT_SIGNED: Final = (
    "not signed: KORE does not sign the query, so anybody with a copy of the request can change it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureVerification:
    """A receiver's verdict on a capture."""

    capture: CapturedRequest
    urls: tuple[str, ...]
    """The URLs that were tried; only the right one if the request is genuine."""
    is_url_given: bool
    """True if the URL was given by --url, and False if it was read from the request."""
    result: Callback | Rejected

    @property
    def event(self) -> Event:
        """The event in the request, whether the request is genuine or not."""
        return read_event(self.capture.request)


def as_lines(found: CaptureVerification) -> Iterator[TerminalLine]:
    """Yield the lines for people.

    Values from the request are indented more than the findings, so that no value can imitate one.
    """
    match found.result:
        case Callback():
            yield TerminalLine("accepted: the signature is right", TerminalLineStyle.GOOD)
        case Rejected(reason):
            yield TerminalLine(f"rejected: {reason.replace('_', ' ')}", TerminalLineStyle.BAD)
    yield from aligned(list(_findings(found)), indent=2)
    yield from aligned(list(event_rows(found.event)), indent=6)


def as_record(found: CaptureVerification) -> dict[str, Any]:
    """Return a JSON object with the verdict, and all details of the request."""
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
        "unknown_names": unknown_names_in(capture.request),
        "event": event_record(found.event),
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
    yield ReportRow("token", result.token or "none that is valid")
    yield ReportRow("method", request.method)
    yield ReportRow("url", " or ".join(found.urls))
    if not found.is_url_given:
        is_rejected = isinstance(result, Rejected)
        yield ReportRow(
            "", _NAMED, TerminalLineStyle.HINT if is_rejected else TerminalLineStyle.PLAIN
        )
    if isinstance(result, Rejected):
        yield ReportRow("answer", f"{result.status}, from a receiver with these secrets")
    elif result.parameters_are_signed:
        yield ReportRow("parameters", "signed")
    else:
        yield ReportRow("parameters", _NOT_SIGNED, TerminalLineStyle.HINT)
    yield from unknown_name_rows(request)
    yield ReportRow("event", _event(found))


def _event(found: CaptureVerification) -> str:
    if isinstance(found.event, UnknownEvent):
        return f"unknown: {found.event.why}"
    name = type(found.event).__name__
    return name if isinstance(found.result, Callback) else f"{name}, if the request is genuine"
