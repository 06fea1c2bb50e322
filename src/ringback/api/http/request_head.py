"""Parses the head of a request: its request line and its headers. Does no I/O.

The parser is strict, because two servers must not disagree about where a request ends. It refuses
some forms that RFC 9110 and RFC 9112 let a server accept: a bare LF, a folded line, a space before
a colon, a repeated length.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

MAX_HEADERS: Final = 128
_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 1024

# Our own expressions: llhttp accepts two Host headers, none, and HTTP/2.0 (decision 16).
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Possessive quantifiers, so that no input causes backtracking.
_HEAD: Final = re.compile(
    rb"(" + _TOKEN + rb"{1,32}+) ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])\r\n"
    rb"((?:" + _TOKEN + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
)
_FIELD: Final = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")
_LINE: Final = re.compile(_TOKEN + rb"{1,32}+ [\x21\x22\x24-\x7e]++ HTTP/1\.[01]")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r[^\n]")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"  # RFC 3986, 3.2.2
)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(/[^?]*)?(\?.*)?", re.IGNORECASE)

_FIRST_LINE: Final = (
    "the first line must be a method, a target and HTTP/1.1, with one space between"
)
_LINE_ENDS: Final = "lines must end with CR LF, and contain no other CR or LF"
_AT_MOST_ONCE: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))


class MalformedRequest(Exception):
    """Raised for an invalid request; it is answered with `status`, and the connection ends."""

    def __init__(self, why: str, *, status: int = 400) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class RequestHead(NamedTuple):
    """A request's method, target and headers: everything except its body."""

    method: str
    path: bytes
    """The path as received, with its percent escapes and without the query."""
    query: bytes
    version: str
    """`1.0` or `1.1`."""
    headers: tuple[tuple[bytes, bytes], ...]
    """The headers in their order, with names in lower case."""
    by_name: Mapping[bytes, bytes]
    """The headers by name; repeated ones are joined by commas."""
    length: int | None
    """The length of the body in bytes; None if the body comes in chunks."""
    keeps_alive: bool
    """True if the client may send another request on the same connection."""
    expects_continue: bool
    """True if the client waits for 100 Continue before it sends the body."""
    is_forwarded: bool
    """True if there is an X-Forwarded-For or X-Forwarded-Proto header, as a proxy adds them."""


def parse_head(data: bytes) -> RequestHead:
    """Parse the request line and the headers; `data` ends with the empty line after them.

    Raises MalformedRequest if RFC 9112 forbids this head, or if servers may read it in different
    ways.
    """
    # Most clients send the same few heads again and again. They are kept in memory only, since
    # there are credentials in them.
    return _remembered(data) if len(data) <= _LONGEST_REMEMBERED else _parse(data)


def _parse(data: bytes) -> RequestHead:
    match = _HEAD.fullmatch(data)
    if match is None:
        raise MalformedRequest(_why_not(data))
    method, target, minor, fields = match.groups()
    headers, by_name = _headers_of(fields)
    version = "1.1" if minor == b"1" else "1.0"
    host = by_name.get(b"host")
    _check_host(host, version)
    path, query = _path_of(method, target, host)
    return RequestHead(
        method.decode("ascii"),
        path,
        query,
        version,
        tuple(headers),
        by_name,
        _length_of(by_name, version),
        _keeps_alive(by_name.get(b"connection"), version),
        by_name.get(b"expect", b"").lower() == b"100-continue" and version == "1.1",
        b"x-forwarded-for" in by_name or b"x-forwarded-proto" in by_name,
    )


_remembered: Final = lru_cache(_MOST_REMEMBERED)(_parse)


def check_partial_head(data: bytes, *, seen: int) -> None:
    """Raise MalformedRequest if an incomplete head is already invalid, whatever follows.

    Earlier calls have checked the first `seen` bytes.
    """
    if _BARE.search(data, max(0, seen - 1)):
        raise MalformedRequest(_LINE_ENDS)
    # The first line is checked only once: when its end has arrived.
    end = data.find(b"\r\n", max(2, seen - 1))
    if end > 0 and b"\r\n" not in data[2:end]:
        start = 2 if data.startswith(b"\r\n") else 0
        if not _LINE.fullmatch(data, start, end):
            raise MalformedRequest(_FIRST_LINE)


def _headers_of(fields: bytes) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """Return the headers in order, and as a dict that joins repeated headers by commas.

    Raises MalformedRequest if there are too many headers, or if a header is repeated that must be
    unique.
    """
    headers = [(name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(fields)]
    if len(headers) > MAX_HEADERS:
        raise MalformedRequest(f"there are more than {MAX_HEADERS} headers", status=431)
    by_name = dict(headers)
    return headers, by_name if len(by_name) == len(headers) else _joined(headers)


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    by_name = dict[bytes, bytes]()
    for name, value in headers:
        if name in by_name and name in _AT_MOST_ONCE:
            raise MalformedRequest(f"the header {name.decode()} is given twice; give it once")
        by_name[name] = by_name[name] + b"," + value if name in by_name else value
    return by_name


def _length_of(by_name: dict[bytes, bytes], version: str) -> int | None:
    """Return the length of the body in bytes, or None if the body comes in chunks.

    Raises MalformedRequest if the headers about the length are invalid or contradict each other.
    """
    coding, length = by_name.get(b"transfer-encoding"), by_name.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise MalformedRequest(
                "the request has both Content-Length and Transfer-Encoding; send only one"
            )
        if version == "1.0":
            raise MalformedRequest("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise MalformedRequest("the only supported Transfer-Encoding is chunked")
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise MalformedRequest("Content-Length must be one number of at most 15 digits")
    return int(length)


def _path_of(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes]:
    """Return the path and the query of a request's target.

    Raises MalformedRequest unless the target is a path, `*` with OPTIONS, or an absolute URL with
    the host of the Host header.
    """
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise MalformedRequest("the target must be a path")
    authority, path, query = match.groups(b"")
    # A server must accept absolute URLs (RFC 9112, 3.2.2), but can't choose between two hosts.
    if host is not None and authority.lower() != host.lower():
        raise MalformedRequest("the target and the Host header name different hosts")
    return path or b"/", query[1:]


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise MalformedRequest("HTTP/1.1 needs a Host header")
    elif not _HOST.fullmatch(host):
        raise MalformedRequest("the Host header must be a host with an optional port")


def _keeps_alive(connection: bytes | None, version: str) -> bool:
    if connection is None:
        return version == "1.1"
    options = {option.strip() for option in connection.lower().split(b",")}
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)


def _why_not(data: bytes) -> str:
    """Return the reason why these bytes are not a valid head."""
    line, _, fields = data.partition(b"\r\n")
    if not _LINE.fullmatch(line):
        return _FIRST_LINE
    if _BARE.search(fields):
        return _LINE_ENDS
    return "a header must be a name, a colon and a value, on one line"
