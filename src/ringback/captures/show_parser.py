"""Parses the output of `ringback callbacks show`, as text or JSON, into the requests in it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ringback.captures import http_text_parser
from ringback.captures.captured_request import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    as_bytes,
    sent_to,
)
from ringback.receiver.events import Json

_START: Final = re.compile(r"CB[0-9a-fA-F]{32}  |attempt [0-9]+  ")
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")
_NOTHING_SENT: Final = (
    "this output of `ringback callbacks show` has no request; expected a callback with an attempt"
    " that has ended"
)
_CHANGED: Final = (
    "this output of `ringback callbacks show --json` was changed: each request must have the"
    " strings method, url and body, and headers as a list of pairs of strings"
)


def is_output(text: str) -> bool:
    """Return True if the text begins like the output of `callbacks show`."""
    return _START.match(_COLOR.sub("", text[:100])) is not None


def is_record(document: Json) -> bool:
    """Return True if this is the JSON object that `callbacks show --json` prints."""
    return isinstance(document, dict) and "sid" in document and "attempts" in document


def read(text: str) -> tuple[CapturedRequest, ...]:
    """Return the request of each attempt, the last one with a note if there are several.

    Raises UnreadableCapture, with the reason, if there is no request, or one can't be read.
    """
    requests = map(http_text_parser.read, _requests_in(_COLOR.sub("", text)))
    return _noted(tuple(replace(one, form=CaptureFormat.SHOW) for one in requests))


def _requests_in(text: str) -> Iterator[str]:
    for attempt in re.split(r"(?m)^attempt [0-9]+  .*$", text):
        lines = [line[3:] for line in attempt.split("\n") if line.startswith("  >")]
        if lines:
            yield "\n".join(line.removeprefix(" ") for line in lines)


def read_record(document: Json) -> tuple[CapturedRequest, ...]:
    """Return the requests in the output of `callbacks show --json`; `read` does so for text."""
    match document:
        case {"attempts": [*attempts]}:
            sent = [one.get("request") for one in attempts if isinstance(one, dict)]
            return _noted(tuple(map(_read_request, filter(None, sent))))
        case _:
            raise UnreadableCapture(_CHANGED)


def _read_request(request: Json) -> CapturedRequest:
    match request:
        case {"method": str(method), "url": str(url), "headers": [*given], "body": str(body)}:
            url, _, target = sent_to(url)
            parts = method, target, tuple(_headers(given)), as_bytes(body)
            return CapturedRequest.of(CaptureFormat.SHOW, *parts, url=url)
        case _:
            raise UnreadableCapture(_CHANGED)


def _headers(given: list[Json]) -> Iterator[tuple[str, str]]:
    for pair in given:
        match pair:
            case [str(name), str(value)]:
                yield name, value
            case _:
                raise UnreadableCapture(_CHANGED)


def _noted(captures: tuple[CapturedRequest, ...]) -> tuple[CapturedRequest, ...]:
    if not captures:
        raise UnreadableCapture(_NOTHING_SENT)
    if len(captures) == 1:
        return captures
    *earlier, last = captures
    note = f"this is the request of the last of {len(captures)} attempts; --entry picks another"
    return (*earlier, replace(last, notes=(*last.notes, note)))
