"""One HTTP/1.1 connection: a finished request goes out as it is, one answer comes back.

Laws of this file. One request at a time, and none is ever sent twice. What the receiver does is
an `Ending`, not an exception. A connection that can't be trusted with another request closes
itself.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from ringback.core.callback import RecordedResponse
from ringback.core.outcome import Delivered, Failure, Refused, Unreachable, answered
from ringback.engine.answer import AnswerReader

_MAX_LOCATION: Final = 500
# A plain Protocol is handed fresh memory for every read, which costs more than the whole request.
_BUFFER: Final = 64 * 1024


class Peer(NamedTuple):
    """What a connection leads to; connections with equal peers are interchangeable."""

    uses_tls: bool
    host: str
    port: int
    address: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How one exchange ended, and as much of the answer as came."""

    outcome: Delivered | Refused | Unreachable
    response: RecordedResponse | None = None


def in_words(error: OSError) -> str:
    """Return what the machine or the TLS library has to say about an error."""
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return (error.reason or "TLS error").replace("_", " ").lower()
        case socket.gaierror():
            return error.strerror or "name error"
        case _:
            # asyncio puts words of its own in `strerror`; the number is the system's.
            return os.strerror(error.errno) if error.errno else str(error) or "no answer"


class HttpConnection(asyncio.BufferedProtocol):
    """A connection that carries one exchange at a time."""

    def __init__(self, peer: Peer, *, on_lost: Callable[["HttpConnection"], None]) -> None:
        self.peer = peer
        self.is_reusable = False
        """Whether another exchange may follow; False while one is under way."""
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = memoryview(bytearray(_BUFFER))
        self._answer = AnswerReader()
        self._is_fresh = True
        self._broken: Unreachable | None = None
        self._waiting: asyncio.Future[Ending] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_limit = self._heard = self._until = 0.0
        self._gone: asyncio.Future[None] = self._loop.create_future()

    async def exchange(self, request: bytes, *, read: float, until: float) -> Ending:
        """Send the request and return how that ended.

        `read` bounds each wait for a part of the answer, in seconds; `until`, on the loop's
        clock, bounds them all. Where it is cancelled, the connection is closed.
        """
        if self._broken is not None:
            return Ending(self._broken)
        self.is_reusable = False
        self._read_limit, self._until = read, until
        self._heard = self._loop.time()
        self._timer = self._loop.call_at(min(self._heard + read, until), self._look_at_the_time)
        self._waiting = waiting = self._loop.create_future()
        self._transport.write(request)
        try:
            return await waiting
        except asyncio.CancelledError:
            self._stop_waiting()
            self._transport.abort()
            raise

    def close(self) -> None:
        """Close politely; for a connection without an exchange under way."""
        self.is_reusable = False
        self._transport.close()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._gone

    # The event loop calls what follows.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the connection, and TLS where it has it, is there."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (the loop's signature)
        """Return where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in bytes that came."""
        if self._waiting is None:
            self._break(Failure.PROTOCOL, "the receiver sent something without being asked")
            return
        self._heard = self._loop.time()
        answer = self._answer
        answer.feed(self._buffer[:nbytes])
        if answer.fault is not None:
            self._break(Failure.PROTOCOL, answer.fault)
        elif answer.is_complete or answer.is_cut:
            self._settle_answer()

    def eof_received(self) -> None:
        """Note that the receiver sends no more."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._end(exc)
        if not self._gone.done():
            self._gone.set_result(None)

    def _end(self, error: Exception | None) -> None:
        if error is None and self._waiting is not None:
            self._answer.end()
            if self._answer.is_complete:
                self._settle_answer()
                return
        because = f" ({in_words(error)})" if isinstance(error, OSError) else ""
        self._break(*self._closed_early(because))

    def _closed_early(self, because: str) -> tuple[Failure, str]:
        if self._answer.has_begun:
            when = "in the middle of its answer"
            return Failure.CLOSED, f"the receiver closed the connection {when}{because}"
        if self._is_fresh:
            return Failure.CLOSED, f"the receiver closed the connection without answering{because}"
        return (
            Failure.STALE,
            f"the receiver had closed the kept-alive connection before it answered{because}",
        )

    def _look_at_the_time(self) -> None:
        now = self._loop.time()
        due = self._heard + self._read_limit
        if now >= self._until:
            self._break(Failure.TOTAL_TIMEOUT, "the answer was not complete when time was up")
        elif now >= due:
            what = "part of the answer" if self._answer.has_begun else "answer"
            self._break(Failure.READ_TIMEOUT, f"no {what} came for {self._read_limit:g} s")
        else:
            self._timer = self._loop.call_at(min(due, self._until), self._look_at_the_time)

    def _settle_answer(self) -> None:
        response = self._answer.response()
        # A receiver may answer before it has read the request; what it awaits then is its rest.
        is_all_sent = self._transport.get_write_buffer_size() == 0
        self.is_reusable = self._answer.keeps_alive and is_all_sent
        if not self.is_reusable:
            self._transport.abort()
        self._is_fresh = False
        self._answer.start_over()
        self._settle(Ending(_outcome_of(response), response))

    def _break(self, failure: Failure, why: str) -> None:
        self._broken = self._broken or Unreachable(failure, why)
        self.is_reusable = False
        self._on_lost(self)
        self._transport.abort()
        if self._waiting is not None:
            self._settle(Ending(self._broken, self._answer.so_far()))

    def _settle(self, ending: Ending) -> None:
        waiting = self._stop_waiting()
        if waiting is not None and not waiting.done():
            waiting.set_result(ending)

    def _stop_waiting(self) -> asyncio.Future[Ending] | None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        return waiting


def _outcome_of(response: RecordedResponse) -> Delivered | Refused:
    if not 300 <= response.status <= 399:
        return answered(response.status)
    locations = (value for name, value in response.headers if name.lower() == "location")
    location = next(locations, None)
    return answered(response.status, location=location and location[:_MAX_LOCATION])
