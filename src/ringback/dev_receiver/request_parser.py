"""Parse HTTP requests from the bytes of a connection; no I/O.

The order of headers and the letter case of their names are kept. Input that is too long or not HTTP
becomes one `UnparsableRequest`; all later input of the connection is ignored.
"""

from dataclasses import dataclass
from typing import Final

import httptools

from ringback.receiver.verification import ReceivedRequest

MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """A complete request; `keeps_alive` is True if another may follow on the connection."""

    request: ReceivedRequest
    keeps_alive: bool


class UnparsableRequest(Exception):
    """Input that is not a valid request, with the HTTP status to answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class ListenRequestParser:
    """Parses the requests of one connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._complete: list[CompleteRequest | UnparsableRequest] = []
        self._is_broken = False
        self.expects_continue = False
        """True while the sender waits for `100 Continue` before it sends the body."""
        self.on_message_begin()

    def feed(self, data: bytes) -> list[CompleteRequest | UnparsableRequest]:
        """Return the requests that these bytes complete, in order; never raises."""
        if not self._is_broken:
            self._read(data)
        complete, self._complete = self._complete, []
        return complete

    def _read(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        try:
            self._parser.feed_data(data)
            if was_in_head and self._is_in_head:
                self._grow_head(len(data))
        except httptools.HttpParserUpgrade:
            # A client may offer to switch to another protocol, which a server may ignore. The
            # connection isn't read any further: the rest may be in that protocol.
            self._is_broken = True
        except httptools.HttpParserError as error:
            # The parser wraps exceptions of the methods below.
            cause = error.__context__
            unreadable = UnparsableRequest(400, f"this is not an HTTP/1.1 request: {error}")
            self._give_up(cause if isinstance(cause, UnparsableRequest) else unreadable)
        except UnparsableRequest as unreadable:
            self._give_up(unreadable)

    def _give_up(self, unreadable: UnparsableRequest) -> None:
        self._is_broken = True
        self._complete.append(unreadable)

    def _grow_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            raise UnparsableRequest(431, f"the headers are longer than {MAX_HEAD} bytes")

    # ---- what the parser calls -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._target = bytearray()
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._head_size = 0
        self._is_in_head = True
        self.expects_continue = False

    def on_url(self, url: bytes) -> None:
        """Append a piece of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers after a chunked body are ignored."""
        if self._is_in_head:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Refuse a request if its headers or its announced body are too long."""
        self._is_in_head = False
        sizes = (len(name) + len(value) + 4 for name, value in self._headers)
        self._head_size = 0
        self._grow_head(len(self._target) + sum(sizes))
        for name, value in self._headers:
            if name.lower() == "content-length" and int(value) > MAX_BODY:
                raise _too_long()
            if name.lower() == "expect" and value.lower() == "100-continue":
                self.expects_continue = True

    def on_body(self, body: bytes) -> None:
        """Append a piece of the body."""
        self.expects_continue = False  # the sender did not wait
        self._body += body
        if len(self._body) > MAX_BODY:
            raise _too_long()

    def on_message_complete(self) -> None:
        """Add the finished request to the result of `feed`."""
        request = ReceivedRequest(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
        )
        keeps_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._complete.append(CompleteRequest(request, keeps_alive))
        self.expects_continue = False


def _too_long() -> UnparsableRequest:
    return UnparsableRequest(413, f"the body is longer than {MAX_BODY} bytes")
