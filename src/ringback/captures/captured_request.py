"""A captured request, and what every form of capture has to do with its body."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, Self

from ringback.receiver.verification import Headers, ReceivedRequest
from ringback.receiver.verification.called_url import SplitUrl, without_port
from ringback.receiver.verification.schemes import FAMILIES

_SIGNATURES: Final = tuple(family.signature_header for family in FAMILIES.values())


class UnreadableCapture(Exception):
    """What was given can't be read as a request; the message says why, and what would be right."""


class CaptureFormat(StrEnum):
    """How a request was written down."""

    RAW = "raw"
    """HTTP, or nearly HTTP."""
    CURL = "curl"
    HAR = "har"
    LISTEN = "listen"
    """A line of `ringback listen --json`."""


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request as somebody has captured it."""

    form: CaptureFormat
    request: ReceivedRequest
    url: str | None = None
    """The URL that it was sent to, where the capture has one with its scheme."""
    notes: tuple[str, ...] = ()
    """What was assumed in reading it, in sentences for people."""

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
        """Return a capture of these parts, with the body that the Content-Length says."""
        body, more = fitted(body, headers)
        return cls(form, ReceivedRequest(method, target, headers, body), url, (*notes, *more))

    @property
    def has_signature(self) -> bool:
        """Whether it has the header of a signature, of either source."""
        return any(self.request.values(name) for name in _SIGNATURES)

    def urls(self) -> list[str]:
        """Return the URLs that it may have been sent to by its own account, the likeliest first.

        There are none where it tells no target or no host.
        """
        named = [] if self.url is None else [self.url]
        if self.request.target:
            # Behind a proxy, Host may be an inner name, and the signature is for the outer one.
            for name in ("Host", "X-Forwarded-Host"):
                for host in self._first(name):
                    named += [f"{s}://{host}{self.request.target}" for s in self._schemes(host)]
        return list(dict.fromkeys(named))

    def _schemes(self, host: str) -> list[str]:
        """Return both schemes, the likelier one first."""
        schemes = [] if self.url is None else [SplitUrl.of(self.url).scheme.lower()]
        schemes += self._first("X-Forwarded-Proto")
        if not {"http", "https"}.isdisjoint(schemes[:1]):
            is_http = schemes[0] == "http"
        else:
            is_http = _is_loopback(host)
        return ["http", "https"] if is_http else ["https", "http"]

    def _first(self, name: str) -> list[str]:
        """Return the first value of a header in a list, or an empty one where there is none."""
        values = (value.partition(",")[0].strip() for value in self.request.values(name)[:1])
        return [value for value in values if value]


def _is_loopback(host: str) -> bool:
    name = without_port(host).strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def sent_to(url: str) -> tuple[str, str, str]:
    """Return a URL without fragment and credentials, its host with its port, and its target.

    >>> sent_to("https://user:pass@a.example?x=1#cbs=kore")
    ('https://a.example?x=1', 'a.example', '/?x=1')
    """
    split = SplitUrl.of(url)
    return str(split), split.authority, (split.path or "/") + split.query


def with_host(headers: Headers, host: str) -> Headers:
    """Return headers with the host that a URL names, where they name none themselves."""
    if not host or any(name.lower() == "host" for name, _ in headers):
        return headers
    return (("Host", host), *headers)


def as_bytes(text: str) -> bytes:
    """Return a body's bytes; those that were no UTF-8 come back as they were.

    Raises UnreadableCapture for half of a character that takes two code units.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as problem:
        raise UnreadableCapture(
            f"the body has {text[problem.start]!r}, which is half a character and has no bytes;"
            " expected the body as it was received"
        ) from None


def fitted(body: bytes, headers: Headers) -> tuple[bytes, tuple[str, ...]]:
    """Return a body without the line breaks that its Content-Length has no place for, and notes.

    Where the length is wrong in another way, the body is taken as it is.
    """
    length = _content_length(headers)
    if length is None or length == len(body):
        return body, ()
    if length < len(body) and not body[length:].strip(b"\r\n"):
        note = "the line break after the body was left out, as its Content-Length says"
        return body[:length], (note,)
    how = "has it been cut off?" if len(body) < length else "is there more than one request?"
    note = (
        f"the Content-Length is {length}, and the body has {len(body)} bytes: {how}"
        " It is checked as it is"
    )
    return body, (note,)


def _content_length(headers: Iterable[tuple[str, str]]) -> int | None:
    given = {value for name, value in headers if name.lower() == "content-length"}
    text = given.pop() if len(given) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
