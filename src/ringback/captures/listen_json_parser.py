"""A line of `ringback listen --json` -> the request in it."""

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
    """Whether this is the line by which the listener says where it listens."""
    return isinstance(document, dict) and list(document) == ["listening"]


def is_request(document: Json) -> bool:
    """Whether this is a request that the listener received."""
    return isinstance(document, dict) and "signature" in document and "method" in document


def read(document: Json) -> CapturedRequest:
    """Return the request of a line. Raises UnreadableCapture, which names what is missing."""
    match document:
        case {"method": str(method), "path": str(target), "headers": [*given], "body": str(text)}:
            headers = _headers(given)
            body, notes = fitted(as_bytes(text), headers)
            # The listener writes bytes that are no UTF-8 as \xff.
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
                else "this line of `ringback listen --json` was changed: method, path and body are"
                " texts, and headers pairs of them"
            )
        case _:
            raise UnreadableCapture("this is no line of `ringback listen --json`")


def _headers(given: list[Json]) -> Headers:
    headers = list[tuple[str, str]]()
    for pair in given:
        match pair:
            case [str(name), str(value)]:
                headers.append((name, value))
            case _:
                raise UnreadableCapture(
                    "this line of `ringback listen --json` has a header that is no pair of texts"
                )
    return tuple(headers)


def _unescaped(body: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), body)
