"""Parses an HTTP/1.1 answer that arrives in parts, and stores only a limited part of it."""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ringback.core.http.http_exchange import ReceiverResponseRecord

MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024
# Chunk sizes, chunk extensions and trailers may be far longer than the body itself.
_MAX_READ: Final = 16 * MAX_BODY
_TOO_MANY_HEADERS: Final = f"the receiver's answer has headers of more than {MAX_HEAD} bytes"


class ResponseParser:
    """Parses the answers on one connection, one after the other, as their parts arrive."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        # RFC 9112 (2.2) allows a recipient to accept a bare LF, and hand-made receivers send it.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._status = 0
        self.fault: str | None = None
        """Why the answer is invalid, or None. After a fault, `feed` must not be called again."""
        self.start_over()

    def start_over(self) -> None:
        """Prepare for the next answer; the previous answer must be complete."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._room = MAX_BODY
        self._has_head = False
        self._bytes_read = 0
        self.is_complete = False
        self.is_cut = False
        """True if the answer's body is longer than the part that is stored."""
        self.keeps_alive = False
        """True if the answer is complete and the receiver keeps the connection open."""

    @property
    def has_begun(self) -> bool:
        """True if any byte of the answer has arrived."""
        return self._bytes_read > 0

    def feed(self, part: memoryview) -> None:
        """Parse the next part of the answer."""
        self._bytes_read += len(part)
        try:
            self._parser.feed_data(part)
        except HttpParserUpgrade:
            self._stumble(
                "the receiver wants to switch protocols, although the request did not ask for that"
            )
        except HttpParserError as error:
            self._stumble(f"the receiver's answer is not HTTP/1.1: {error}")
        if not self._has_head and self._bytes_read > MAX_HEAD:
            self._stumble(_TOO_MANY_HEADERS)
        elif not self.is_complete and self._bytes_read > _MAX_READ:
            self.is_cut = True

    def end(self) -> None:
        """Complete an answer without a stated length, because the connection has ended."""
        if self._has_head and not any(_states_length(*header) for header in self._headers):
            self.is_complete = True

    def response(self) -> ReceiverResponseRecord:
        """Return the answer as received so far; call only once its head is complete."""
        headers = tuple(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers]
        )
        is_cut = self.is_cut or not self.is_complete
        return ReceiverResponseRecord(self._status, headers, b"".join(self._body), is_cut)

    def so_far(self) -> ReceiverResponseRecord | None:
        """Return the answer as received so far, or None if its head is not complete."""
        return self.response() if self._has_head else None

    # The parser calls the following methods.

    def on_message_begin(self) -> None:
        """Raise HttpParserError, which stops the parser, if a second answer follows the first."""
        if self.is_complete:
            raise HttpParserError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; ignore trailers, which follow the body."""
        if not self._has_head:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Mark the head as complete, and check its size."""
        self._has_head = True
        self._status = self._parser.get_status_code()
        if self._bytes_read > MAX_HEAD and _size_of(self._headers) > MAX_HEAD:
            self._stumble(_TOO_MANY_HEADERS)

    def on_body(self, part: bytes) -> None:
        """Store a part of the body, up to the limit; beyond the limit, mark the answer as cut."""
        self._body.append(part[: self._room])
        self.is_cut = self.is_cut or len(part) > self._room
        self._room = max(0, self._room - len(part))

    def on_message_complete(self) -> None:
        """Mark the answer as complete; ignore an interim (1xx) answer: the real answer follows."""
        if 100 <= self._status <= 199:
            self._headers = []
            self._has_head = False
            return
        self.is_complete = True
        self.keeps_alive = (
            self._parser.should_keep_alive()
            and self._parser.get_http_version() == "1.1"
            and not self.is_cut
        )

    def _stumble(self, why: str) -> None:
        # Bytes after a complete answer don't make it invalid, but the connection is not reusable.
        self.keeps_alive = False
        if not self.is_complete:
            self.fault = self.fault or why


def _states_length(name: bytes, value: bytes) -> bool:
    match name.lower():
        case b"content-length":
            return True
        case b"transfer-encoding":
            return value.rstrip().lower().endswith(b"chunked")
        case _:
            return False


def _size_of(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)
