"""One connection of a client: reads its requests in order, and enforces time limits.

Requests are answered one at a time. While one is answered, only a limited number of further bytes
is read. Everything that a client can delay has a time limit, which `OpenConnections` checks once a
second.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Any, Final, Protocol, cast

from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.request_head import MalformedRequest, RequestHead
from ringback.api.http.request_parser import RequestParser
from ringback.api.http.response_bytes import CONTINUE, DateHeader, internal_error, refusal
from ringback.api.http.server_limits import MAX_DISCARDED, MAX_HELD, PROGRESS, ServerTimeouts

_TOO_LATE: Final = 408


class InFlightResponse(Protocol):
    """The response to the current request, while the application works on it."""

    @property
    def has_begun(self) -> bool:
        """True once a part of the response was sent."""
        ...

    @property
    def task(self) -> asyncio.Future[Any]:
        """The task that answers the request, or the future that its response waits for."""
        ...


Begin = Callable[["ServerConnection", RequestHead], InFlightResponse]
"""Begins to answer a request, and returns at once."""


@dataclass(frozen=True, slots=True)
class HttpServerContext:
    """The parts that all connections of a server share."""

    begin: Begin
    connections: OpenConnections
    timeouts: ServerTimeouts
    date: DateHeader
    buffer: memoryview
    """The read buffer that all connections share; it is emptied at once after each read."""
    abandoned: set[asyncio.Future[Any]] = field(default_factory=set[asyncio.Future[Any]])
    """The tasks and futures of requests whose clients have disconnected."""


class _State(Enum):
    """The phase that a connection is in."""

    SETTING_UP = auto()
    """The TLS handshake or the setup by the event loop is not finished."""
    WAITING = auto()
    """The head of the next request has not arrived, or not completely."""
    ANSWERING = auto()
    """A request is being answered; its body may still be arriving."""
    DROPPING = auto()
    """The request was answered before its whole body arrived; the rest is read and dropped."""
    LINGERING = auto()
    """Everything is sent; further input is dropped, so that the client can read the response."""
    CLOSING = auto()
    """The connection is closed, or will be once the client has received the rest."""


_OVER: Final = (_State.LINGERING, _State.CLOSING)


class ServerConnection(asyncio.BufferedProtocol):
    """Reads a client's requests, passes them on one after the other, and enforces time limits."""

    def __init__(
        self,
        context: HttpServerContext,
        sock: socket.socket,
        peer: tuple[str, int],
        *,
        local: tuple[str, int] | None,
        scheme: str,
        holder: str,
        is_trusted: bool,
    ) -> None:
        self.peer = peer
        """The address and port of the client."""
        self.local = local
        """The server's own address and port; may be None until the connection is set up."""
        self.sends_no_more = False
        """True once the client has closed its side of the connection."""
        self.scheme = scheme
        self.holder = holder
        self.is_trusted = is_trusted
        self._context = context
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser()
        self._state = _State.SETTING_UP
        self._request: InFlightResponse | None = None
        self._expects_continue = False
        self._is_awaited = True
        """True while a part of the current request has not arrived."""
        self._keeps_alive = True
        self._closes_with_next = False
        """True if the next response is the last one; the current one has promised to go on."""
        self._is_paused = False
        self._arrival: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        """The number of unsent bytes when the client's progress was last checked."""
        self._came = 0
        """Bytes received since the body's time limit was last extended, or while it is dropped."""
        self._since = self._loop.time()
        """When the connection began to wait, for example for its next request."""
        self._deadline = self._since + context.timeouts.handshake

    # ---- called by the event loop ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to read requests."""
        self._transport = cast("asyncio.Transport", transport)
        if self.local is None:
            host, port, *_ = self._transport.get_extra_info("sockname")
            self.local = (host, port)
        if self._state is _State.SETTING_UP:
            self._enter(_State.WAITING, self._context.timeouts.head)
        else:
            self.evict()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer into which the event loop reads."""
        return self._context.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process the bytes that the event loop has read into the buffer."""
        state = self._state
        if state in _OVER:
            self._drop(nbytes)
            return
        is_first = not self._parser.held
        self._parser.feed(bytes(self._context.buffer[:nbytes]))
        if state is _State.WAITING:
            if is_first:
                self._deadline = self._loop.time() + self._context.timeouts.head
            self._next_request()
        elif state is _State.DROPPING:
            self._drop(nbytes)
            if self._state is _State.DROPPING:
                self._drop_body()
        else:
            self._more_of_body(nbytes)

    def eof_received(self) -> bool:
        """Note that the client sends nothing more; finish the current response, then close.

        Returns False if the connection can be closed at once.
        """
        if self._state is not _State.ANSWERING or not self._parser.has_whole_request:
            return False
        self._keeps_alive = False
        self.sends_no_more = True
        self._arrival = _let_go(self._arrival)
        # TLS has no half-closed connections.
        return self.scheme == "http"

    def pause_writing(self) -> None:
        """Start the time limit within which the client must receive the rest of the response."""
        self._drained = self._loop.create_future()
        self._expect_taking(self._loop.time())

    def resume_writing(self) -> None:
        """Continue to send, since the client has received most of the data sent so far."""
        self._drained = _let_go(self._drained)
        self._unsent = 0
        if self._state is _State.ANSWERING:
            self._deadline = inf

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and wake the task that answers a request so that it can end."""
        self._state = _State.CLOSING
        self._context.connections.remove(self)
        self._abandon()
        self._arrival = _let_go(self._arrival)
        self._drained = _let_go(self._drained)

    # ---- called by the code that answers a request -------------------------------------------

    @property
    def is_over(self) -> bool:
        """True if nothing more can be sent to the client."""
        return self._state in _OVER

    @property
    def has_whole_request(self) -> bool:
        """True if the whole request is here, so that `take_body` returns its whole body."""
        return not self._is_awaited

    @property
    def is_body_complete(self) -> bool:
        """True once `take_body` has returned the whole body of the request."""
        return self._parser.is_body_complete

    @property
    def will_close(self) -> bool:
        """True if the connection closes after the current response.

        If the client still waits for `100 Continue`, this is always True: after the response, it is
        unknown whether the client's next bytes are the body or another request.
        """
        return self._expects_continue or not self._keeps_alive

    def close_with_answer(self) -> None:
        """Close the connection once the next response that has not begun is sent."""
        if self._request is not None and self._request.has_begun:
            self._closes_with_next = True
        else:
            self._keeps_alive = False

    def date_line(self) -> bytes:
        """Return the `Date` header line for a response."""
        return self._context.date.line()

    def take_body(self) -> bytes:
        """Return the part of the request's body that has arrived since the last call.

        A malformed body ends the connection; the result is then empty and `is_over` is True.
        """
        if self.is_over:
            return b""
        try:
            part = self._parser.take_body()
        except MalformedRequest as problem:
            self._refuse(problem.status, problem.why)
            return b""
        if self._is_paused:
            self._pause_or_resume()
        if self._is_awaited and self._parser.is_body_complete:
            self._has_come()
        return part

    async def arrival(self) -> None:
        """Wait until more of the request's body has arrived, or the client has disconnected."""
        if self.is_over or self.sends_no_more:
            return
        if self._expects_continue:
            self._expects_continue = False
            self.write(CONTINUE)
        if not self._parser.is_body_complete:
            self._expect_more()
        # Several coroutines may wait: for the body, and for the client to disconnect.
        if self._arrival is None:
            self._arrival = self._loop.create_future()
        await self._arrival

    def write(self, data: bytes) -> None:
        """Send data to the client; if the connection is over, drop the data."""
        if self._transport is not None and not self.is_over:
            self._transport.write(data)

    @property
    def is_drained(self) -> bool:
        """True if the client has received most of the data sent so far."""
        return self._drained is None

    async def drained(self) -> None:
        """Wait until the client has received most of the data sent so far."""
        if self._drained is not None:
            await self._drained

    def end_answer(self, request: InFlightResponse) -> None:
        """Continue with the next request after a complete response, or close the connection."""
        if self._request is not request:
            return
        self._request = None
        if self._state in _OVER:
            return
        self._context.connections.waits(self)
        if self.will_close:
            is_all = self._parser.is_body_complete and not self._parser.held
            self._close() if is_all else self._linger()
        elif self._parser.is_body_complete:
            self._expect_next()
        else:
            self._enter(_State.DROPPING, self._context.timeouts.body)
            self._drop_body()

    def fail(self, request: InFlightResponse) -> None:
        """Respond 500 to a request that could not be answered, and close the connection.

        If a part of the response was sent, the connection is closed at once, so that the client
        notices that the response is incomplete.
        """
        if self._request is not request:
            return
        self._request = None
        if request.has_begun:
            self.evict()
        else:
            self._end(internal_error(self.date_line()))

    # ---- called by `OpenConnections` and the server ------------------------------------------

    @property
    def answering(self) -> asyncio.Future[Any] | None:
        """The task or future of the current request's response; None if there is none."""
        return None if self._request is None else self._request.task

    def evict(self) -> None:
        """Close the connection at once, without a response."""
        self._state = _State.CLOSING
        if self._transport is not None:
            self._transport.abort()
        else:
            with suppress(OSError):  # it is closed already
                self._sock.shutdown(socket.SHUT_RDWR)

    def check(self, now: float) -> None:
        """Close the connection, or answer its request with an error, if a time limit has passed."""
        if now < self._deadline:
            return
        if self._unsent_now() < self._unsent:
            self._expect_taking(now)
        elif self._drained is not None or self.is_over or self._state is _State.SETTING_UP:
            self.evict()
        elif self._state is _State.WAITING and not self._parser.held:
            self._close()
        else:
            self._refuse(_TOO_LATE, "the request did not arrive completely within the time limit")

    @property
    def is_receiving(self) -> bool:
        """True if a part of the next request has arrived, but no response to it has begun."""
        return self._state is _State.WAITING and (self._parser.held > 0 or self._has_unread())

    def is_used_within(self, seconds: float) -> bool:
        """Return True if a client came, or got its response, at most this many seconds ago.

        False while a request is being answered.
        """
        is_ready = self._state in (_State.SETTING_UP, _State.WAITING)
        return is_ready and self._loop.time() < self._since + seconds

    def stop(self) -> None:
        """Close the connection at once if it is idle, otherwise after the current response."""
        self._keeps_alive = False
        if self._state is _State.SETTING_UP:
            self.evict()
        elif self._request is None and not self.is_over and not self.is_receiving:
            self._close()

    def _has_unread(self) -> bool:
        """Return True if the system has bytes that the event loop has not read yet."""
        with suppress(OSError):  # there are none, or the connection is closed
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        return False

    # ---- reading -----------------------------------------------------------------------------

    def _next_request(self) -> None:
        try:
            head = self._parser.next_head()
        except MalformedRequest as problem:
            self._refuse(problem.status, problem.why)
            return
        if head is not None:
            self._state = _State.ANSWERING
            self._deadline = inf
            self._keeps_alive = self._keeps_alive and head.keeps_alive
            self._expects_continue = head.expects_continue
            self._is_awaited = True
            if self._parser.has_whole_request:
                self._has_come()
            self._request = self._context.begin(self, head)
        if self._is_paused or self._parser.held >= MAX_HELD:
            self._pause_or_resume()

    def _expect_next(self) -> None:
        self._enter(_State.WAITING, self._context.timeouts.idle)
        if self._closes_with_next:
            self._keeps_alive = False
        if self._parser.held:
            self._next_request()
        elif self._is_paused:
            self._pause_or_resume()

    def _has_come(self) -> None:
        """Note that the whole request has arrived, and end its time limit."""
        self._is_awaited = self._expects_continue = False
        self._context.connections.serves(self)
        if self._drained is None:
            self._deadline = inf

    def _more_of_body(self, nbytes: int) -> None:
        self._came += nbytes
        if self._parser.has_whole_request:
            self._has_come()
        elif self._came >= PROGRESS and self._arrival is not None:
            self._expect_more()
        self._arrival = _let_go(self._arrival)
        self._pause_or_resume()

    def _expect_more(self) -> None:
        self._came = 0
        if self._drained is None:
            self._deadline = self._loop.time() + self._context.timeouts.body

    def _drop_body(self) -> None:
        """Drop the part of an unwanted body that has arrived; after its end, wait for a request."""
        self.take_body()
        if self._state is _State.DROPPING and self._parser.is_body_complete:
            self._came = 0
            self._context.connections.waits(self)
            self._expect_next()

    def _drop(self, nbytes: int) -> None:
        self._came += nbytes
        if self._came > MAX_DISCARDED:
            self.evict()

    def _pause_or_resume(self) -> None:
        """Stop reading while too many bytes wait to be processed; resume afterwards."""
        if self._transport is None or self._state is _State.CLOSING:
            return
        pauses = self._state is _State.ANSWERING and self._parser.held >= MAX_HELD
        if pauses and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not pauses:
            self._transport.resume_reading()
        self._is_paused = pauses

    # ---- ending ------------------------------------------------------------------------------

    def _refuse(self, status: int, why: str) -> None:
        """Send an error for a malformed or too slow request, and close the connection."""
        request = self._request
        self._abandon()
        self._arrival = _let_go(self._arrival)
        if request is not None and request.has_begun:
            self.evict()
        elif self._state is _State.DROPPING:
            # The request has its response; the client would take a second one for another request.
            self._linger()
        else:
            self._end(refusal(status, why, self.date_line()))

    def _abandon(self) -> None:
        """Let the task that answers the request finish without a client, and drop its result."""
        if (task := self.answering) is not None:
            self._request = None
            self._context.abandoned.add(task)
            task.add_done_callback(self._context.abandoned.discard)

    def _end(self, answer: bytes) -> None:
        self.write(answer)
        self._context.connections.waits(self)
        self._linger()

    def _linger(self) -> None:
        """Stop sending, and drop further input for a while before closing the connection.

        If a socket is closed with unread input, the system discards the end of the response.
        """
        if self._transport is None or not self._transport.can_write_eof():
            self._close()
            return
        self._transport.write_eof()
        self._came = 0
        self._enter_last(_State.LINGERING)
        self._pause_or_resume()

    def _close(self) -> None:
        """Close the connection once everything has been sent to the client."""
        self._enter_last(_State.CLOSING)
        if self._transport is not None:
            self._transport.close()

    def _enter_last(self, state: _State) -> None:
        self._enter(state, self._context.timeouts.closing)
        if self._unsent_now():
            self._expect_taking(self._loop.time())

    def _expect_taking(self, now: float) -> None:
        self._unsent = self._unsent_now()
        self._deadline = now + self._context.timeouts.answer

    def _enter(self, state: _State, limit: float) -> None:
        self._state = state
        self._since = self._loop.time()
        self._deadline = self._since + limit

    def _unsent_now(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


def _let_go(waiting: asyncio.Future[None] | None) -> None:
    """Wake the coroutine that waits for this future, if there is one."""
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
