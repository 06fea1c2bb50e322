"""One HTTP/1.1 connection: sends requests byte for byte, and receives their answers.

This module guarantees: it sends one request at a time, and none twice. Whatever the receiver does,
the result is an outcome, never an exception. A connection that is not safe for another request
closes itself.
"""

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import Final, cast

from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
    answered,
)
from ringback.core.newest_entries import NewestEntries
from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.response_parser import ResponseParser
from ringback.http_client.tls import refusal_of
from ringback.runtime.os_error_messages import error_text

_MAX_LOCATION: Final = 500
_MAX_RETRY_AFTER: Final = 100
# In seconds. If a timer fires later than this, the process was stopped or starved of processor
# time, and bytes that arrived meanwhile may be unread in the socket.
_HELD_UP: Final = 0.25
# In seconds: long enough for any event loop to read the bytes that have arrived.
_LAST_LOOK: Final = 0.01
_DELIVERED: Final = {status: DeliveredOutcome(status) for status in range(200, 300)}

_LONGEST_KNOWN: Final = 512

AnswerOutcome = DeliveredOutcome | RefusedOutcome
KnownAnswers = NewestEntries[bytes, tuple[AnswerOutcome, ReceiverResponseRecord]]
"""Short answers by their bytes: most receivers repeat a few, and parsing one takes a while.

An answer is known if it arrived in one part and keeps the connection open.
"""
ExchangeEnded = Callable[[AnswerOutcome | NoAnswerOutcome, ReceiverResponseRecord | None], None]
"""Called when an exchange has ended, with its outcome, and the answer as far as it arrived."""


class HttpConnection(asyncio.BufferedProtocol):
    """A connection that carries one exchange (a request and its answer) at a time.

    All connections of an event loop can share one buffer, because the bytes are taken out of it in
    the same step of the event loop in which they are read.
    """

    def __init__(
        self,
        peer: ConnectionPoolKey,
        *,
        buffer: memoryview,
        known_answers: KnownAnswers,
        stopwatch: Callable[[], float],
        on_lost: Callable[["HttpConnection"], None],
    ) -> None:
        self.peer = peer
        self.transport: asyncio.Transport
        self.local_address: str | None = None
        """The local address of the connection; None until it is connected."""
        self.is_reusable = False
        """True if another exchange can follow; False during an exchange."""
        self.broken: NoAnswerOutcome | None = None
        """Why nothing can be sent over the connection any more; None while it works."""
        self.first_byte: float | None = None
        """When the answer of the last exchange began, by the stopwatch; None if it hasn't."""
        self.on_answer: Callable[[], None] | None = None
        """Called once, when the first answer is complete."""
        self._buffer = buffer
        self._known_answers = known_answers
        self._stopwatch = stopwatch
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """A future that is done once the connection has ended."""
        self._answer = ResponseParser()
        self._is_fresh = True
        self._ended: ExchangeEnded | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = self._read_limit = self._heard = self._until = 0.0
        self._has_looked_again = False
        self._poll: select.poll | None = None

    def exchange(self, request: bytes, read: float, until: float, ended: ExchangeEnded) -> None:
        """Send the request, and call `ended` once when the exchange has ended.

        `ended` may begin another exchange. If the connection is already broken, it is called before
        this returns. A caller that stops waiting for the answer must call `abort`.

        `read` is the maximum number of seconds to wait for each part of the answer. `until` is the
        time, by the event loop's clock, at which the whole exchange times out.
        """
        self.first_byte = None
        if self.broken is not None:
            ended(self.broken, None)
            return
        self._ended = ended
        self.is_reusable = False
        self._heard = now = self._loop.time()
        self._read_limit, self._until = read, until
        self._has_looked_again = False
        # Don't postpone a timer that is due earlier: it rarely fires, and is then set again.
        # Setting a timer for each request would cost more than the rest of this file.
        due = now + read
        due = due if due < until else until
        if self._alarm is None or self._alarm_at > due:
            self._set_alarm(due)
        self.transport.write(request)

    def is_quiet(self) -> bool:
        """Return True if nothing has arrived on an idle connection, so that it can be used again.

        Anything that arrives without a request is the end of the connection, or can't be trusted.
        This checks the socket itself, because the event loop may not have read the data yet.
        """
        return self._poll is None or not self._poll.poll(0)

    def close(self) -> None:
        """Close the connection gracefully; it must have no exchange under way."""
        self.is_reusable = False
        self._disarm()
        self.transport.close()

    def abort(self) -> None:
        """Close the connection at once, even during an exchange, without sending buffered data."""
        self.is_reusable = False
        self._ended = None
        self._disarm()
        self.transport.abort()

    # The event loop calls the following methods.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Use this transport from now on; called when connected, and again when TLS is ready."""
        self.transport = cast("asyncio.Transport", transport)
        sockname: tuple[str, int] | None = transport.get_extra_info("sockname")
        self.local_address = sockname[0] if sockname else None
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (the loop's signature)
        """Return the buffer that the event loop should read the next bytes into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process `nbytes` bytes that were read into the buffer."""
        if self._ended is None:
            self._break(AttemptFailure.PROTOCOL, "the receiver sent data before it got a request")
            return
        part, answer = b"", self._answer
        if self.first_byte is None:
            self.first_byte = self._stopwatch()
            if nbytes <= _LONGEST_KNOWN:
                part = self._buffer[:nbytes].tobytes()
                known = self._known_answers.get(part)
                if known is not None:
                    self._settle(*known, keeps_alive=True)
                    return
        self._heard = self._loop.time()
        answer.feed(self._buffer[:nbytes])
        if answer.fault is not None:
            self._break(AttemptFailure.PROTOCOL, answer.fault)
        elif answer.is_complete or answer.is_cut:
            self._settle_answer(part)

    def eof_received(self) -> None:
        """End the exchange, because the receiver has closed its side and can't answer any more."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way, if any, and set `gone`: the connection has ended."""
        self._end(exc)
        if not self.gone.done():
            self.gone.set_result(None)

    def _end(self, error: Exception | None) -> None:
        if error is None and self._ended is not None:
            self._answer.end()
            if self._answer.is_complete:
                self._settle_answer()
                return
        self._break(*self._closed_early(error))

    def _closed_early(self, error: Exception | None) -> tuple[AttemptFailure, str]:
        because = f" ({error_text(error)})" if isinstance(error, OSError) else ""
        failure, what = AttemptFailure.CLOSED, "closed the connection without answering"
        if self._answer.has_begun:
            what = "closed the connection in the middle of its answer"
        elif not self._is_fresh:
            failure = AttemptFailure.STALE
            what = "had closed the kept-alive connection before it answered"
        elif isinstance(error, ssl.SSLError):
            # In TLS 1.3, the receiver can refuse the client certificate only after the handshake.
            failure = AttemptFailure.TLS
            what = refusal_of(error) or "refused the TLS connection"
        return failure, f"the receiver {what}{because}"

    def _set_alarm(self, at: float) -> None:
        self._disarm()
        self._alarm = self._loop.call_at(at, self._look_at_the_time)
        self._alarm_at = at

    def _look_at_the_time(self) -> None:
        self._alarm = None
        if self._ended is None:
            return
        now = self._loop.time()
        due = self._heard + self._read_limit
        if now - min(due, self._until) > _HELD_UP and not self._has_looked_again:
            # Timers may fire before the loop reads the bytes that arrived during a stop.
            self._has_looked_again = True
            self._set_alarm(now + _LAST_LOOK)
        elif now >= self._until:
            self._break(
                AttemptFailure.TOTAL_TIMEOUT, "the answer was not complete within the time limit"
            )
        elif now >= due:
            what = "part of the answer" if self._answer.has_begun else "answer"
            self._break(
                AttemptFailure.READ_TIMEOUT, f"no {what} arrived for {self._read_limit:g} s"
            )
        else:
            self._set_alarm(min(due, self._until))

    def _settle_answer(self, whole: bytes = b"") -> None:
        """End the exchange with the answer; `whole` is its bytes if they may be remembered."""
        answer = self._answer
        response, keeps_alive = answer.response(), answer.keeps_alive
        outcome = _outcome_of(response)
        if keeps_alive:
            answer.start_over()
            if whole:
                self._known_answers[whole] = outcome, response
        self._settle(outcome, response, keeps_alive=keeps_alive)

    def _settle(
        self, outcome: AnswerOutcome, response: ReceiverResponseRecord, *, keeps_alive: bool
    ) -> None:
        ended, self._ended = self._ended, None
        if self.on_answer is not None:
            self.on_answer()
            self.on_answer = None
        # A receiver may answer before it has read the whole request. Then the connection is not
        # reusable, since the receiver still expects the rest of this request.
        if keeps_alive and self.transport.get_write_buffer_size() == 0:
            self.is_reusable = True
            self._is_fresh = False
        else:
            self.abort()
        # Last, since it may begin the next exchange.
        if ended is not None:
            ended(outcome, response)

    def _break(self, failure: AttemptFailure, why: str) -> None:
        self.broken = self.broken or NoAnswerOutcome(failure, why)
        self._on_lost(self)
        ended = self._ended
        self.abort()
        if ended is not None:
            ended(self.broken, self._answer.so_far())

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _outcome_of(response: ReceiverResponseRecord) -> AnswerOutcome:
    status = response.status
    if status in _DELIVERED:
        return _DELIVERED[status]
    location = _header(response, "location") if 300 <= status <= 399 else None
    retry_after = _header(response, "retry-after") if status in (429, 503) else None
    return answered(
        status,
        location=location and location[:_MAX_LOCATION],
        retry_after=retry_after and retry_after[:_MAX_RETRY_AFTER],
    )


def _header(response: ReceiverResponseRecord, wanted: str) -> str | None:
    values = (value for name, value in response.headers if name.lower() == wanted)
    return next(values, None)
