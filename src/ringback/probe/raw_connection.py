"""A raw connection to a receiver, which can hang up early, or send copies at the same moment.

The probe needs this because the HTTP client can do neither.
"""

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
    """A connection to a receiver for one request; as a context manager, it closes itself."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _stopwatch: Callable[[], float]
    _began: float = 0.0

    @classmethod
    async def open(
        cls, url: CallbackUrl, *, tls: ClientTls, stopwatch: Callable[[], float]
    ) -> Self:
        """Connect to the URL's host, over TLS if it is https; raises OSError if that fails."""
        context = tls.context(says_name=True) if url.uses_tls else None
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
        return cls(reader, writer, stopwatch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    def send(self, request: OutgoingRequest) -> None:
        """Start to send a request; `sent` waits until it is written."""
        self._began = self._stopwatch()
        self._writer.write(request.to_bytes())

    async def sent(self) -> None:
        """Wait until the whole request is written; raises OSError if the connection breaks."""
        await self._writer.drain()

    async def first_byte(self) -> None:
        """Wait until the answer begins, or the receiver closes the connection."""
        await self._reader.read(1)

    async def answer(self, *, within: float) -> AttemptResult:
        """Return the answer, or the failure if none came within this number of seconds."""
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
                    why = "the receiver closed the connection before the end of its answer"
                    return NoAnswerOutcome(AttemptFailure.CLOSED, why)
            else:
                answer.feed(memoryview(part))
            if answer.fault is not None:
                return NoAnswerOutcome(AttemptFailure.PROTOCOL, answer.fault)
        return None
