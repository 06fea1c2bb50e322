"""Splits the bytes received on a connection into request heads and bodies. Does no I/O.

The parser starts on a request only after the caller has taken the whole previous request. So no
byte is parsed as a part of two requests.
"""

import re
from typing import Final

from ringback.api.http.request_head import (
    MalformedRequest,
    RequestHead,
    check_partial_head,
    parse_head,
)

MAX_HEAD: Final = 64 * 1024
"""Maximum bytes of the request line and headers together."""
_MAX_CHUNK_LINE: Final = 1024
_MAX_TRAILERS: Final = 8 * 1024
_END: Final = b"\r\n\r\n"
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8}+)(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_TRAILERS: Final = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)


class RequestParser:
    """Parses the requests of one connection.

    `next_head` and `take_body` raise MalformedRequest if a request is invalid. Nothing more can be
    parsed after that.
    """

    __slots__ = ("_at", "_body_left", "_data", "_is_chunked", "_is_in_chunk", "_seen", "_trails")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        """While a body is parsed, the position of the next byte in the data; 0 at other times."""
        self._seen = 0
        """The number of bytes at the start of the data in which no end of a head was found."""
        self._body_left = 0
        """The number of bytes of the body, or of its current chunk, that were not returned yet."""
        self._is_chunked = False
        self._is_in_chunk = False
        """True until the current chunk and the line end after it were parsed."""
        self._trails = False
        """True once the last chunk was parsed, so that only trailers can follow."""

    @property
    def held(self) -> int:
        """The number of bytes that were fed to the parser and not returned yet."""
        return len(self._data)

    @property
    def is_body_complete(self) -> bool:
        """True once `take_body` has returned the whole body of the current request."""
        return not self._body_left and not self._is_chunked

    @property
    def has_whole_request(self) -> bool:
        """True once the current request has arrived; a chunked body must have been taken too."""
        return not self._is_chunked and self._body_left <= len(self._data)

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived on the connection."""
        self._data = self._data + data if self._data else data

    def next_head(self) -> RequestHead | None:
        """Return the head of the next request, or None if it has not arrived completely.

        Must be called only after `take_body` has returned the whole previous body. Raises
        MalformedRequest if the head is invalid.
        """
        data = self._data
        end = data.find(_END, self._seen)
        if end < 0 or end > MAX_HEAD - len(_END):
            self._wait_for_more(data)
            return None
        # Skip an empty line at the start: some clients send one after a body (RFC 9112, 2.2).
        head = parse_head(data[2 if data.startswith(b"\r\n") else 0 : end + 4])
        self._data = data[end + 4 :]
        self._seen = 0
        self._is_chunked = head.length is None
        self._body_left = head.length or 0
        self._is_in_chunk = self._trails = False
        return head

    def take_body(self) -> bytes:
        """Return the part of the body that has arrived since the last call.

        Raises MalformedRequest if a chunk is invalid.
        """
        body = b"".join(self._chunks()) if self._is_chunked else self._take()
        self._data, self._at = self._data[self._at :], 0
        return body

    def _wait_for_more(self, data: bytes) -> None:
        """Check the part of a head that has arrived, and keep it until the rest arrives.

        Raises MalformedRequest if the head is too long or already invalid.
        """
        if len(data) < MAX_HEAD:
            check_partial_head(data, seen=self._seen)
            self._seen = max(0, len(data) - 3)
        elif data.find(b"\r\n", 2, MAX_HEAD) < 0:
            raise MalformedRequest(f"the target is longer than {MAX_HEAD} bytes", status=414)
        else:
            raise MalformedRequest(f"the headers are longer than {MAX_HEAD} bytes", status=431)

    def _take(self) -> bytes:
        part = self._data[self._at : self._at + self._body_left]
        self._at += len(part)
        self._body_left -= len(part)
        return part

    def _chunks(self) -> list[bytes]:
        parts = list[bytes]()
        while self._is_chunked and self._at < len(self._data):
            if self._body_left:
                parts.append(self._take())
            elif not self._read_between():
                break
        return parts

    def _read_between(self) -> bool:
        """Parse the bytes between two chunks or after the last; return False if any are missing."""
        if self._trails:
            return self._read_trailers()
        return self._read_chunk_end() if self._is_in_chunk else self._read_size()

    def _read_chunk_end(self) -> bool:
        end = self._data[self._at : self._at + 2]
        if not b"\r\n".startswith(end):
            raise MalformedRequest("a chunk is longer than its declared size")
        if len(end) < 2:
            return False
        self._at += 2
        self._is_in_chunk = False
        return True

    def _read_size(self) -> bool:
        end = self._data.find(b"\n", self._at, self._at + _MAX_CHUNK_LINE)
        if end < 0:
            if len(self._data) - self._at >= _MAX_CHUNK_LINE:
                raise MalformedRequest("the line of a chunk's size is too long")
            return False
        match = _CHUNK.fullmatch(self._data, self._at, end + 1)
        if match is None:
            raise MalformedRequest("a chunk must begin with its size, in at most 8 hex digits")
        self._at = end + 1
        self._body_left = int(match[1], 16)
        self._is_in_chunk = bool(self._body_left)
        self._trails = not self._body_left
        return True

    def _read_trailers(self) -> bool:
        at, data = self._at, self._data
        end = at if data.startswith(b"\r\n", at) else data.find(_END, at, at + _MAX_TRAILERS) + 2
        if end < at + 2 and end != at:
            if len(data) - at >= _MAX_TRAILERS:
                raise MalformedRequest("the trailers after the last chunk are too long", status=431)
            return False
        if not _TRAILERS.fullmatch(data, at, end + 2):
            raise MalformedRequest("only headers may follow the last chunk")
        self._at, self._is_chunked = end + 2, False
        return True
