"""Parses a line printed by `ringback listen --json` into the request that the line reports."""

import re
from typing import Final

from ringback.captures.captured_request import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    as_bytes,
    fitted,
)
from ringback.receiver.events import Json
from ringback.receiver.verification import Headers, ReceivedRequest

_NEEDED: Final = ("method", "path", "headers", "body")
_ESCAPED: Final = re.compile(rb"\\x([89a-f][0-9a-f])")


def is_greeting(document: Json) -> bool:
    """Return True if this is the listener's first line, which gives its address (`listening`)."""
    return isinstance(document, dict) and list(document) == ["listening"]


def is_request(document: Json) -> bool:
    """Return True if this line reports a request that the listener received."""
    return isinstance(document, dict) and "signature" in document and "method" in document


def read(document: Json) -> CapturedRequest:
    """Return the request that the line reports.

    Raises UnreadableCapture, with the reason, if fields are missing or have the wrong type.
    """
    match document:
        case {"method": str(method), "path": str(target), "headers": [*given], "body": str(text)}:
            headers = _headers(given)
            body, notes = fitted(as_bytes(text), headers)
            # The listener writes bytes that are not valid UTF-8 as escapes such as \xff.
            if notes and (plain := _unescaped(body)) != body:
                body, notes = fitted(plain, headers)
            return CapturedRequest(
                CaptureFormat.LISTEN, ReceivedRequest(method, target, headers, body), None, notes
            )
        case dict():
            missing = [name for name in _NEEDED if name not in document]
            raise UnreadableCapture(
                f"this line of `ringback listen --json` has no {' and no '.join(missing)};"
                " expected the line as it was printed"
                if missing
                else "this line of `ringback listen --json` was changed: method, path and body must"
                " be strings, and headers a list of pairs of strings"
            )
        case _:
            raise UnreadableCapture(
                "this is not a line of `ringback listen --json`; expected the line as it was"
                " printed"
            )


def _headers(given: list[Json]) -> Headers:
    headers = list[tuple[str, str]]()
    for pair in given:
        match pair:
            case [str(name), str(value)]:
                headers.append((name, value))
            case _:
                raise UnreadableCapture(
                    "this line of `ringback listen --json` has a header that is not a pair of"
                    " strings; expected the line as it was printed"
                )
    return tuple(headers)


def _unescaped(body: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), body)
