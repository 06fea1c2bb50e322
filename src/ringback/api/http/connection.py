"""One connection of a client: what is read of it, when, and how long it may take.

Laws of this file. One request is answered at a time; what comes behind it waits, unread, once a
little has been read ahead. Everything that a client can drag out has a limit, and nothing has a
timer of its own: who keeps all connections asks each once a second.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final, Protocol, cast

from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.request_head import MalformedRequest, RequestHead
from ringback.api.http.request_parser import RequestParser
from ringback.api.http.response_bytes import CONTINUE, DateHeader, internal_error, refusal
from ringback.api.http.server_limits import MAX_DISCARDED, MAX_HELD, PROGRESS, ServerTimeouts

_TOO_LATE: Final = 408


class InFlightResponse(Protocol):
    """What is answering a request."""

    @property
    def has_begun(self) -> bool:
        """Whether some of the answer is on its way."""
        ...

    @property
    def task(self) -> asyncio.Task[None]:
        """The task that answers."""
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
    """An event loop fills it and has it emptied in one step, so one is enough."""
    abandoned: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """Tasks that still answer a client that has gone."""


class _State(Enum):
    """The phase that a connection is in."""

    SETTING_UP = auto()
    """TLS, or the event loop, isn't ready."""
    WAITING = auto()
    """Nothing has come of the next request, or not all of its head."""
    ANSWERING = auto()
    """A request is being answered; its body may still be coming."""
    DROPPING = auto()
    """A request was answered before its body had come, which is of no use any more."""
    LINGERING = auto()
    """All is said; what still comes is read, so that the client gets to read the answer."""
    CLOSING = auto()
    """It is closed, or will be once the client has taken the rest."""


_OVER: Final = (_State.LINGERING, _State.CLOSING)


class ServerConnection(asyncio.BufferedProtocol):
    """Reads requests, has them answered one after the other, and ends in time."""

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
        """The address and the port at the other end."""
        self.local = local
        """The address and the port at this end; None where there are several, until it is open."""
        self.sends_no_more = False
        """Whether the client has closed its side."""
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
        """Whether the client has still to send something."""
        self._keeps_alive = True
        self._is_paused = False
        self._arrival: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        """How much the client had still to take when that was last looked at."""
        self._came = 0
        """How much has come since the last progress, or of what is dropped."""
        self._deadline = self._loop.time() + context.timeouts.handshake

    # ---- what the event loop calls -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._transport = cast("asyncio.Transport", transport)
        if self.local is None:
            host, port, *_ = self._transport.get_extra_info("sockname")
            self.local = (host, port)
        if self._state is _State.SETTING_UP:
            self._enter(_State.WAITING, self._context.timeouts.head)
        else:
            self.evict()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return self._context.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
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
        """Answer a client that has sent all that it will, and close then.

        A handler that waits for the client to disconnect is told so: a client that closes its
        side has usually left.
        """
        if self._state is not _State.ANSWERING or not self._parser.has_whole_request:
            return False
        self._keeps_alive = False
        self.sends_no_more = True
        self._arrival = _let_go(self._arrival)
        # TLS has no half-closed connections.
        return self.scheme == "http"

    def pause_writing(self) -> None:
        """Note that the client is slow to take its answer."""
        self._drained = self._loop.create_future()
        self._expect_taking(self._loop.time())

    def resume_writing(self) -> None:
        """Go on."""
        self._drained = _let_go(self._drained)
        self._unsent = 0
        if self._state is _State.ANSWERING:
            self._deadline = inf

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the task that answers see that the client has gone."""
        self._state = _State.CLOSING
        self._context.connections.remove(self)
        self._abandon()
        self._arrival = _let_go(self._arrival)
        self._drained = _let_go(self._drained)

    # ---- for whoever answers -----------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the client takes no more of an answer."""
        return self._state in _OVER

    @property
    def is_body_complete(self) -> bool:
        """Whether the body of the request has been taken as a whole."""
        return self._parser.is_body_complete

    @property
    def will_close(self) -> bool:
        """Whether no request will follow this one: nobody knows if a body comes untold."""
        return self._expects_continue or not self._keeps_alive

    def close_with_answer(self) -> None:
        """Let no request follow this one."""
        self._keeps_alive = False

    def date_line(self) -> bytes:
        """Return the date header of an answer."""
        return self._context.date.line()

    def take_body(self) -> bytes:
        """Return the part of the body that has arrived since the last call.

        A malformed body ends the connection: see `is_over`.
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
        """Wait until there may be more of the body, or nobody listens any more."""
        if self.is_over or self.sends_no_more:
            return
        if self._expects_continue:
            self._expects_continue = False
            self.write(CONTINUE)
        if not self._parser.is_body_complete:
            self._expect_more()
        # Several may wait: for the body, and for the client to leave.
        if self._arrival is None:
            self._arrival = self._loop.create_future()
        await self._arrival

    def write(self, data: bytes) -> None:
        """Send this; what nobody takes any more is dropped."""
        if self._transport is not None and not self.is_over:
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent."""
        if self._drained is not None:
            await self._drained

    def end_answer(self, request: InFlightResponse) -> None:
        """Go on to the next request; where that can't be, close."""
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
        """Answer that there is no answer, and close.

        In the middle of one it is closed at once, so that its reader sees that it isn't whole.
        """
        if self._request is not request:
            return
        self._request = None
        if request.has_begun:
            self.evict()
        else:
            self._end(internal_error(self.date_line()))

    # ---- for whoever keeps all connections ---------------------------------------------------

    @property
    def answering(self) -> asyncio.Task[None] | None:
        """The task that answers the present request."""
        return None if self._request is None else self._request.task

    def evict(self) -> None:
        """Close at once, without an answer."""
        self._state = _State.CLOSING
        if self._transport is not None:
            self._transport.abort()
        else:
            with suppress(OSError):  # it is closed already
                self._sock.shutdown(socket.SHUT_RDWR)

    def check(self, now: float) -> None:
        """End what has taken too long."""
        if now < self._deadline:
            return
        if self._unsent_now() < self._unsent:
            self._expect_taking(now)
        elif self._drained is not None or self.is_over or self._state is _State.SETTING_UP:
            self.evict()
        elif self._state is _State.WAITING and not self._parser.held:
            self._close()
        else:
            self._refuse(_TOO_LATE, "it did not come within the time that there is for that")

    def stop(self) -> None:
        """Close now, or with the end of the request that is under way."""
        self._keeps_alive = False
        if self._state is _State.SETTING_UP:
            self.evict()
        elif self._request is None and not self.is_over:
            self._close()

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
        if self._parser.held:
            self._next_request()
        elif self._is_paused:
            self._pause_or_resume()

    def _has_come(self) -> None:
        """Note that the client has done its part."""
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
        """Drop what has come of a body; when that is all, the next request may come."""
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
        """Read only a little ahead of who takes it."""
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
        """Answer what can't be read, or has not come in time, and close."""
        request = self._request
        self._abandon()
        self._arrival = _let_go(self._arrival)
        if request is not None and request.has_begun:
            self.evict()
        elif self._state is _State.DROPPING:
            # It has had its answer; a second one would be taken for that of another request.
            self._linger()
        else:
            self._end(refusal(status, why, self.date_line()))

    def _abandon(self) -> None:
        """Let the task that answers end by itself; its result goes nowhere."""
        if (task := self.answering) is not None:
            self._request = None
            self._context.abandoned.add(task)
            task.add_done_callback(self._context.abandoned.discard)

    def _end(self, answer: bytes) -> None:
        self.write(answer)
        self._context.connections.waits(self)
        self._linger()

    def _linger(self) -> None:
        """Close this side, and give the client a moment to read before the other is closed too.

        A socket that is closed while there is something to read in it takes back what it has sent.
        """
        if self._transport is None or not self._transport.can_write_eof():
            self._close()
            return
        self._transport.write_eof()
        self._came = 0
        self._enter_last(_State.LINGERING)
        self._pause_or_resume()

    def _close(self) -> None:
        """Close once everything is sent."""
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
        self._deadline = self._loop.time() + limit

    def _unsent_now(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


def _let_go(waiting: asyncio.Future[None] | None) -> None:
    """Wake the coroutine that waits for this, if any."""
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
