"""Sends each request by the transport for the scheme of its URL."""

from collections.abc import Callable
from typing import Protocol

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.streams.kinesis_stream import SCHEME
from ringback.ports import Transport


class ClosableTransport(Transport, Protocol):
    """A transport that has to be closed in the end."""

    async def close(self) -> None:
        """Give up what is under way; call it after the last request has ended."""
        ...


class TransportByScheme:
    """Implements `ports.Transport`: records go to Kinesis streams, all else goes over HTTP.

    `make_kinesis` makes the transport for records, when the first of them is sent.
    """

    def __init__(self, http: Transport, make_kinesis: Callable[[], ClosableTransport]) -> None:
        self._http = http
        self._make_kinesis = make_kinesis
        self._kinesis: ClosableTransport | None = None

    async def close(self) -> None:
        """Close the transport for records, if there is one; the other stays open."""
        if self._kinesis is not None:
            await self._kinesis.close()

    def try_send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[AttemptResult], None],
    ) -> bool:
        """Send a request if a kept connection is idle; a record is never sent so."""
        if request.url.scheme == SCHEME:
            return False
        return self._http.try_send(request, limits=limits, turn=turn, ended=ended)

    def break_off(self) -> None:
        """Give up the requests of `try_send` that are not answered; `ended` is not called."""
        self._http.break_off()

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        """Send a request once by the transport for it, and return the result."""
        transport = self._http
        if request.url.scheme == SCHEME:
            self._kinesis = transport = self._kinesis or self._make_kinesis()
        return await transport.send(
            request, limits=limits, turn=turn, fresh=fresh, anew=anew, leaving=leaving
        )
