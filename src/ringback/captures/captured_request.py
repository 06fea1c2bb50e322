"""A captured request, and helpers that all the capture parsers use."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, Self

from ringback.core.counted import counted
from ringback.receiver.verification import Headers, ReceivedRequest
from ringback.receiver.verification.called_url import SplitUrl, without_port
from ringback.receiver.verification.schemes import FAMILIES

_SIGNATURES: Final = tuple(family.signature_header for family in FAMILIES.values())


class UnreadableCapture(Exception):
    """Raised if a text can't be read as a request; the message says why, and what was expected."""


class CaptureFormat(StrEnum):
    """The text format that a request was captured in."""

    RAW = "raw"
    """An HTTP request as text, exactly or nearly as it is on the wire."""
    CURL = "curl"
    HAR = "har"
    LISTEN = "listen"
    """A line printed by `ringback listen --json`."""
    SHOW = "show"
    """The output of `ringback callbacks show`, as text or JSON."""


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request copied from somewhere, with its format and notes on how it was read."""

    form: CaptureFormat
    request: ReceivedRequest
    url: str | None = None
    """The full URL that the request was sent to; None if the capture has no URL with a scheme."""
    notes: tuple[str, ...] = ()
    """Assumptions made while reading the capture, as sentences to show to people."""

    @classmethod
    def of(
        cls,
        form: CaptureFormat,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        url: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Return a captured request made of these parts.

        Line breaks at the end of the body that the Content-Length doesn't count are cut off; see
        `fitted`.
        """
        body, more = fitted(body, headers)
        return cls(form, ReceivedRequest(method, target, headers, body), url, (*notes, *more))

    @property
    def has_signature(self) -> bool:
        """True if the request has a signature header of either source (`twilio` or `kore`)."""
        return any(self.request.values(name) for name in _SIGNATURES)

    def urls(self) -> list[str]:
        """Return the URLs that the request may have been sent to, the likeliest first.

        They come from the capture's URL and from the request's headers. The list is empty if
        neither gives both a host and a target.
        """
        named = [] if self.url is None else [self.url]
        if self.request.target:
            # Behind a proxy, Host may be an inner name, and the signature is for the outer one.
            for name in ("Host", "X-Forwarded-Host"):
                for host in self._first(name):
                    named += [f"{s}://{host}{self.request.target}" for s in self._schemes(host)]
        return list(dict.fromkeys(named))

    def _schemes(self, host: str) -> list[str]:
        """Return "http" and "https", the scheme that is likelier for this host first."""
        schemes = [] if self.url is None else [SplitUrl.of(self.url).scheme.lower()]
        schemes += self._first("X-Forwarded-Proto")
        if not {"http", "https"}.isdisjoint(schemes[:1]):
            is_http = schemes[0] == "http"
        else:
            is_http = _is_loopback(host)
        return ["http", "https"] if is_http else ["https", "http"]

    def _first(self, name: str) -> list[str]:
        """Return a list with the header's first value, or an empty list if there is no value."""
        values = (value.partition(",")[0].strip() for value in self.request.values(name)[:1])
        return [value for value in values if value]


def _is_loopback(host: str) -> bool:
    name = without_port(host).strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def sent_to(url: str) -> tuple[str, str, str]:
    """Return a URL without fragment and credentials, its host and port, and its request target.

    >>> sent_to("https://user:pass@a.example?x=1#cbs=kore")
    ('https://a.example?x=1', 'a.example', '/?x=1')
    """
    split = SplitUrl.of(url)
    return str(split), split.authority, (split.path or "/") + split.query


def with_host(headers: Headers, host: str) -> Headers:
    """Return the headers with a Host header added if they have none and `host` isn't empty."""
    if not host or any(name.lower() == "host" for name, _ in headers):
        return headers
    return (("Host", host), *headers)


def as_bytes(text: str) -> bytes:
    """Return the text of a body as UTF-8; bytes decoded with surrogateescape are restored.

    Raises UnreadableCapture if the text contains half of a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as problem:
        raise UnreadableCapture(
            f"the body has {text[problem.start]!r}, half of a surrogate pair, which can't"
            " be encoded; expected the body as it was received"
        ) from None


def fitted(body: bytes, headers: Headers) -> tuple[bytes, tuple[str, ...]]:
    """Cut trailing line breaks beyond the Content-Length off a body; return the body and notes.

    If the Content-Length differs from the body in any other way, the body is returned unchanged,
    and a note explains the difference.
    """
    length = _content_length(headers)
    if length is None or length == len(body):
        return body, ()
    if length < len(body) and not body[length:].strip(b"\r\n"):
        note = "the line break after the body was left out, as its Content-Length says"
        return body[:length], (note,)
    how = "has it been cut off?" if len(body) < length else "is there more than one request?"
    note = (
        f"the Content-Length is {length}, but the body has {counted(len(body), 'byte')}: {how}"
        " The body is checked as it is"
    )
    return body, (note,)


def _content_length(headers: Iterable[tuple[str, str]]) -> int | None:
    given = {value for name, value in headers if name.lower() == "content-length"}
    text = given.pop() if len(given) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
