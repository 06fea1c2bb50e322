"""A raw connection, for what the HTTP client never does: to hang up, or to send several at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest, RequestTimings
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, answered
from ringback.http_client.response_parser import ResponseParser
from ringback.http_client.tls import ClientTls
from ringback.runtime.os_error_messages import error_text

_PART: Final = 64 * 1024


@dataclass(slots=True)
class ProbeConnection:
    """A connection to a receiver, for one request; use it as a context manager."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _stopwatch: Callable[[], float]
    _began: float = 0.0

    @classmethod
    async def open(
        cls, url: CallbackUrl, *, tls: ClientTls, stopwatch: Callable[[], float]
    ) -> Self:
        """Connect, over TLS where the URL says so; raises OSError where there is no connection."""
        context = tls.context(says_name=True) if url.uses_tls else None
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
        return cls(reader, writer, stopwatch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    def send(self, request: OutgoingRequest) -> None:
        """Have a request leave; `sent` waits until it has."""
        self._began = self._stopwatch()
        self._writer.write(request.to_bytes())

    async def sent(self) -> None:
        """Return once all of the request has left; raises OSError where it can't."""
        await self._writer.drain()

    async def first_byte(self) -> None:
        """Return once the answer has begun, or the receiver has closed."""
        await self._reader.read(1)

    async def answer(self, *, within: float) -> AttemptResult:
        """Return how the request ended."""
        answer = ResponseParser()
        try:
            async with asyncio.timeout(within):
                outcome = await self._read(answer)
        except TimeoutError:
            outcome = NoAnswerOutcome(
                AttemptFailure.READ_TIMEOUT, f"no answer came for {within:g} s"
            )
        except OSError as error:
            why = f"the receiver closed the connection without answering ({error_text(error)})"
            outcome = NoAnswerOutcome(AttemptFailure.CLOSED, why)
        taken = RequestTimings((self._stopwatch() - self._began) * 1000)
        if isinstance(outcome, NoAnswerOutcome):
            return AttemptResult(outcome, taken)
        response = answer.response()
        return AttemptResult(answered(response.status), taken, response)

    async def _read(self, answer: ResponseParser) -> NoAnswerOutcome | None:
        while not (answer.is_complete or answer.is_cut):
            part = await self._reader.read(_PART)
            if not part:
                answer.end()
                if not answer.is_complete:
                    why = "the receiver closed the connection without a whole answer"
                    return NoAnswerOutcome(AttemptFailure.CLOSED, why)
            else:
                answer.feed(memoryview(part))
            if answer.fault is not None:
                return NoAnswerOutcome(AttemptFailure.PROTOCOL, answer.fault)
        return None
