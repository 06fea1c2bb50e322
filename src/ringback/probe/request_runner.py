"""Send the probe's requests, and stop in time whatever the receiver does.

All sending stops after `ProbeTimeouts.whole` seconds. It also stops after four requests in a row
that got no answer, or after four late answers in a row.
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

# Development servers often have a listen backlog of only five connections.
_AT_ONCE: Final = 4
_CONNECT: Final = 5.0
# Long enough for a receiver to read the request and begin its work.
_HANGS_UP_AFTER: Final = 0.02
# Each missing answer costs a whole time-out, and four in a row are not a coincidence.
_MOST_IN_A_ROW: Final = 4
_FIRST_PAUSE: Final = 0.1
_TRIES_FOR: Final = 8.0
_UP_AGAIN_WITHIN: Final = 20.0
# No answer, or a proxy's answer while the receiver behind it is down.
_IS_DOWN: Final = frozenset({None, 502, 503, 504})
_NOT_UP: Final = "the receiver did not answer again after the restart"


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """The time limits of a probe run, in seconds."""

    request: float = 15.0
    """The time-out for one request, the same that both sources use."""
    answer: float = 5.0
    """The time within which the receiver should answer; a later answer is a fault."""
    quiet: float = 0.3
    """The time for which the counter must stay the same before its value is used."""
    whole: float = 85.0
    """The time for the whole run; cases that aren't done by then are not run."""


@dataclass(frozen=True, slots=True)
class ProbeDependencies:
    """The HTTP client, TLS settings and stopwatch that a probe run uses."""

    transport: Transport
    tls: ClientTls
    """TLS settings for the probe's raw connections; the transport has its own."""
    stopwatch: Callable[[], float]


class ProbeStopped(Exception):
    """A case can't be run, or nothing more may be sent; the message says why."""


class ProbeSession:
    """Sends all requests of one probe run, and keeps its time limits."""

    def __init__(
        self, dependencies: ProbeDependencies, timeouts: ProbeTimeouts, hide: Hide
    ) -> None:
        self.seconds = list[float]()
        """The time that each answer took."""
        self.timeouts = timeouts
        self.hide = hide
        self.now = dependencies.stopwatch
        """Returns a time in seconds, to compute durations."""
        self._dependencies = dependencies
        self._ends = self.now() + timeouts.whole
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._silent = self._late = 0

    async def send(self, request: OutgoingRequest) -> ProbeResponse:
        """Send a request once, and return the answer.

        Like all methods that send, raises ProbeStopped if nothing more may be sent.
        """
        async with self._slots:
            return self._noted(await self._send_within(self._left(), request))

    async def send_at_once(self, request: OutgoingRequest, *, copies: int) -> list[ProbeResponse]:
        """Send copies of a request at the same moment, each over its own connection."""
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
        """Send a request, and close the connection without waiting for the answer."""
        async with self._slots:
            try:
                async with await self._open(request) as connection:
                    connection.send(request)
                    await connection.sent()
                    await asyncio.sleep(_HANGS_UP_AFTER)
            except OSError:
                return  # if the receiver is down, the repeated request shows it

    async def drop(self, request: OutgoingRequest) -> None:
        """Send a request, and close the connection at the first byte of the answer."""
        async with self._slots:
            try:
                async with asyncio.timeout(self._left()), await self._open(request) as connection:
                    connection.send(request)
                    await connection.first_byte()
            except OSError:  # includes TimeoutError
                return  # if the receiver is down, the repeated request shows it

    async def until_accepted(self, request: OutgoingRequest) -> list[ProbeResponse]:
        """Send a request, and retry for up to 8 s while the answers ask for a retry.

        Returns all answers. Stops at the first answer that accepts or refuses the request, or if no
        answer comes.
        """
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
        """Send requests until the receiver answers one; raises ProbeStopped after 20 s."""
        ends = self.now() + _UP_AGAIN_WITHIN
        while True:
            left = min(self._left(), ends - self.now())
            if left <= 0:
                raise ProbeStopped(_NOT_UP)
            exchange = await self._send_within(left, knock())
            if ProbeResponse.of(exchange, hide=self.hide).status not in _IS_DOWN:
                return
            await asyncio.sleep(_FIRST_PAUSE)

    @property
    def is_unanswered(self) -> bool:
        """True if the last request got no answer."""
        return self._silent > 0

    def check_not_stopped(self) -> None:
        """Raise ProbeStopped if nothing more may be sent."""
        self._left()

    def time_left(self) -> float:
        """Return the seconds left for the whole run; raises ProbeStopped if no time is left."""
        left = self._ends - self.now()
        if left <= 0:
            raise ProbeStopped(
                f"the probe was stopped at its time limit of {self.timeouts.whole:g} s"
            )
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
            raise ProbeStopped(f"the probe gave up: {self._silent} requests in a row got no answer")
        if self._late >= _MOST_IN_A_ROW:
            raise ProbeStopped(
                f"the probe gave up: {self._late} answers in a row took longer than"
                f" {self.timeouts.answer:g} s"
            )
        return min(self.timeouts.request, self.time_left())

    def _noted(self, exchange: AttemptResult) -> ProbeResponse:
        answer = ProbeResponse.of(exchange, hide=self.hide)
        if answer.is_silence:
            self.time_left()  # raises if the run's time is over: then the silence proves nothing
        self._silent = self._silent + 1 if answer.is_silence else 0
        if answer.failure is None:
            self.seconds.append(answer.seconds)
            self._late = self._late + 1 if answer.seconds > self.timeouts.answer else 0
        return answer
