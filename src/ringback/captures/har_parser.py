"""Parses a HAR file (HTTP Archive 1.2) into its requests."""

import base64
from typing import Final

from ringback.captures.captured_request import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    as_bytes,
    sent_to,
    with_host,
)
from ringback.core.form_encoding import encode
from ringback.receiver.events import Json
from ringback.receiver.verification import Headers

_REBUILT: Final = "the body was rebuilt from its parameters, since the HAR file has no body text"


def is_har(document: Json) -> bool:
    """Return True if the JSON document looks like a HAR file: an object with a `log`."""
    return isinstance(document, dict) and "log" in document


def read(document: Json) -> tuple[CapturedRequest, ...]:
    """Return the requests of all entries, in order.

    Raises UnreadableCapture if there are no entries or one of them can't be read.
    """
    match document:
        case {"log": {"entries": [_, *_] as entries}}:
            return tuple(_read_entry(f"entry {n}", entry) for n, entry in enumerate(entries, 1))
        case {"log": {"entries": []}}:
            raise UnreadableCapture("this HAR file has no entries; expected at least one request")
        case _:
            raise UnreadableCapture(
                "this looks like a HAR file, but has no list log.entries; expected a whole HAR file"
            )


def _read_entry(place: str, entry: Json) -> CapturedRequest:
    match entry:
        case {"request": {"method": str(method), "url": str(url), "headers": [*given]} as request}:
            called, host, target = sent_to(url)
            headers = with_host(_headers(place, given), host)
            body, notes = _body(place, request.get("postData"))
            return CapturedRequest.of(
                CaptureFormat.HAR, method, target, headers, body, url=called, notes=notes
            )
        case _:
            raise UnreadableCapture(
                f"{place} of the HAR file has no request with method, url and headers;"
                " export the file again"
            )


def _headers(place: str, given: list[Json]) -> Headers:
    pairs = (_pair(place, "header", header) for header in given)
    # Browsers list HTTP/2 pseudo-headers such as `:path` too; the URL already has their values.
    return tuple((name, value) for name, value in pairs if not name.startswith(":"))


def _body(place: str, given: Json) -> tuple[bytes, tuple[str, ...]]:
    match given:
        case None:
            return b"", ()
        case {"text": str(text), "encoding": "base64"}:
            return _from_base64(place, text), ()
        case {"text": str(text)} if text or not given.get("params"):
            return as_bytes(text), ()
        case {"params": [*params]}:
            pairs = [_pair(place, "parameter", param) for param in params]
            as_bytes("".join(map("".join, pairs)))  # raises for half a surrogate pair
            return encode(pairs).encode(), (_REBUILT,)
        case _:
            raise UnreadableCapture(
                f"{place} of the HAR file has a `postData` that lacks both `text` and `params`;"
                " export the file again, with the contents of requests"
            )


def _from_base64(place: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UnreadableCapture(
            f"{place} of the HAR file says that its body is Base64, but the text"
            " is not valid Base64; export the file again"
        ) from None


def _pair(place: str, what: str, given: Json) -> tuple[str, str]:
    match given:
        case {"name": str(name), "value": str(value)}:
            return name, value
        case _:
            raise UnreadableCapture(
                f"{place} of the HAR file has a {what} whose name or value is missing or not text;"
                " export the file again"
            )
