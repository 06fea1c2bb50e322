"""Sends what the cases need, within bounds, whatever the receiver does.

Laws of this file. Nothing is sent, and nothing waited for, beyond `ProbeTimeouts.whole`. After
several requests in a row that got no answer, or a late one, nothing more is sent.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.tls import ClientTls
from ringback.ports import Transport
from ringback.probe.raw_connection import ProbeConnection
from ringback.probe.redacted_response import Hide, ProbeResponse
from ringback.runtime.os_error_messages import error_text

# Servers for development have room for five connections that wait.
_AT_ONCE: Final = 4
_CONNECT: Final = 5.0
# Long enough for a receiver to read the request and begin its work.
_HANGS_UP_AFTER: Final = 0.02
# Each silence costs a whole time-out, and four in a row are no accident.
_MOST_IN_A_ROW: Final = 4
_FIRST_PAUSE: Final = 0.1
_TRIES_FOR: Final = 8.0
_UP_AGAIN_WITHIN: Final = 20.0
# What a proxy says while there is nobody behind it.
_IS_DOWN: Final = frozenset({None, 502, 503, 504})
_NOT_UP: Final = "it did not answer again after the restart"


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """How long things may take, in seconds."""

    request: float = 15.0
    """Until the sender gives up on one request: the time-out of both sources."""
    answer: float = 5.0
    """An answer that takes longer is a fault."""
    quiet: float = 0.3
    """How long a counter has to rest before it is believed."""
    whole: float = 85.0
    """For the whole run; cases that aren't done by then are given up."""


@dataclass(frozen=True, slots=True)
class ProbeDependencies:
    """What a run works with."""

    transport: Transport
    tls: ClientTls
    """For connections in the probe's own hands; the transport has its own."""
    stopwatch: Callable[[], float]


class ProbeStopped(Exception):
    """A case can't be carried out, or nothing more may be sent; the message says why."""


class ProbeSession:
    """All that is sent in one run."""

    def __init__(
        self, dependencies: ProbeDependencies, timeouts: ProbeTimeouts, hide: Hide
    ) -> None:
        self.seconds = list[float]()
        """How long each answer took."""
        self.timeouts = timeouts
        self.hide = hide
        self.now = dependencies.stopwatch
        """Returns the time, in seconds from some instant."""
        self._dependencies = dependencies
        self._ends = self.now() + timeouts.whole
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._silent = self._late = 0

    async def send(self, request: OutgoingRequest) -> ProbeResponse:
        """Send a request once. Raises ProbeStopped, as all that follows."""
        async with self._slots:
            return self._noted(await self._send_within(self._left(), request))

    async def send_at_once(self, request: OutgoingRequest, *, copies: int) -> list[ProbeResponse]:
        """Send copies of a request at the same moment, each over a connection of its own."""
        async with self._slots, AsyncExitStack() as stack:
            try:
                connections = [
                    await stack.enter_async_context(await self._open(request))
                    for _ in range(copies)
                ]
            except OSError as error:
                why = f"no connection: {error_text(error)}"
                return [self._noted(AttemptResult(NoAnswerOutcome(AttemptFailure.CONNECT, why)))]
            for connection in connections:
                connection.send(request)
            left = self._left()
            exchanges = await asyncio.gather(
                *(connection.answer(within=left) for connection in connections)
            )
        return [self._noted(exchange) for exchange in exchanges]

    async def hang_up(self, request: OutgoingRequest) -> None:
        """Send a request, and close the connection without awaiting the answer."""
        async with self._slots:
            try:
                async with await self._open(request) as connection:
                    connection.send(request)
                    await connection.sent()
                    await asyncio.sleep(_HANGS_UP_AFTER)
            except OSError:
                return  # the repeat will tell

    async def drop(self, request: OutgoingRequest) -> None:
        """Send a request, and break the connection off at the first byte of the answer."""
        async with self._slots:
            try:
                async with asyncio.timeout(self._left()), await self._open(request) as connection:
                    connection.send(request)
                    await connection.first_byte()
            except OSError:  # and TimeoutError, which is one
                return  # the repeat will tell

    async def until_accepted(self, request: OutgoingRequest) -> list[ProbeResponse]:
        """Send a request again and again, as long as its answer asks for another try."""
        ends, pause = self.now() + _TRIES_FOR, _FIRST_PAUSE
        answers = [await self.send(request)]
        while answers[-1].asks_for_another_try and not answers[-1].is_silence:
            if self.now() + pause > ends:
                break
            await asyncio.sleep(pause)
            answers.append(await self.send(request))
            pause *= 2
        return answers

    async def until_it_is_up(self, knock: Callable[[], OutgoingRequest]) -> None:
        """Send requests until one is answered; raises ProbeStopped where none is within 20 s."""
        ends = self.now() + _UP_AGAIN_WITHIN
        while True:
            left = min(self._left(), ends - self.now())
            if left <= 0:
                raise ProbeStopped(_NOT_UP)
            exchange = await self._send_within(left, knock())
            if ProbeResponse.of(exchange, hide=self.hide).status not in _IS_DOWN:
                return
            await asyncio.sleep(_FIRST_PAUSE)

    def check_not_stopped(self) -> None:
        """Raise ProbeStopped where nothing more is sent."""
        self._left()

    def time_left(self) -> float:
        """Return how many seconds there are still for the whole run; raises ProbeStopped."""
        left = self._ends - self.now()
        if left <= 0:
            raise ProbeStopped(f"the probe ended after {self.timeouts.whole:g} s")
        return left

    async def _send_within(self, seconds: float, request: OutgoingRequest) -> AttemptResult:
        limits = Timeouts(min(_CONNECT, seconds), seconds, seconds)
        return await self._dependencies.transport.send(request, limits=limits)

    async def _open(self, request: OutgoingRequest) -> ProbeConnection:
        async with asyncio.timeout(min(_CONNECT, self._left())):
            return await ProbeConnection.open(
                request.url, tls=self._dependencies.tls, stopwatch=self.now
            )

    def _left(self) -> float:
        if self._silent >= _MOST_IN_A_ROW:
            raise ProbeStopped(f"given up: {self._silent} requests in a row got no answer")
        if self._late >= _MOST_IN_A_ROW:
            raise ProbeStopped(
                f"given up: {self._late} answers in a row took longer than"
                f" {self.timeouts.answer:g} s"
            )
        return min(self.timeouts.request, self.time_left())

    def _noted(self, exchange: AttemptResult) -> ProbeResponse:
        answer = ProbeResponse.of(exchange, hide=self.hide)
        if answer.is_silence:
            self.time_left()  # where that is up, the silence says nothing
        self._silent = self._silent + 1 if answer.is_silence else 0
        if answer.failure is None:
            self.seconds.append(answer.seconds)
            self._late = self._late + 1 if answer.seconds > self.timeouts.answer else 0
        return answer
