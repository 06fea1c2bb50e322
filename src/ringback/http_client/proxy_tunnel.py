"""Opens a tunnel through an HTTP proxy: sends a CONNECT request, and reads the answer.

The CONNECT request contains an IP address that the SSRF guard has allowed, not a host name:
otherwise the proxy would look up the name itself. TLS still checks the certificate for the host's
name.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Final, cast

from ringback.core.http.egress_routes import Proxy
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.runtime.os_error_messages import error_text, shortage_of

_MAX_HEAD: Final = 16 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_REASONS: Final = {status.value: f" {status.phrase}" for status in HTTPStatus}


class ProxyTunnel(asyncio.BufferedProtocol):
    """A connection to a proxy, until the proxy connects it to a receiver."""

    def __init__(self, proxy: Proxy, *, buffer: memoryview) -> None:
        self.transport: asyncio.Transport
        self._proxy = proxy
        self._buffer = buffer
        self._head = b""
        self._answer: asyncio.Future[NoAnswerOutcome | None]
        self._answer = asyncio.get_running_loop().create_future()

    async def open(self, address: str, port: int) -> NoAnswerOutcome | None:
        """Ask the proxy to connect to this address; return None for success, or why it failed.

        After success, the transport is connected to the receiver. The caller must then set another
        protocol on it before it awaits anything.
        """
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self._proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {self._proxy.authorization}")
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        verdict = await self._answer
        return self._silence() if verdict is None and self.transport.is_closing() else verdict

    # The event loop calls the following methods.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport, now that the proxy is connected."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (the loop's signature)
        """Return the buffer that the event loop should read the next bytes into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process `nbytes` bytes of the proxy's answer, which were read into the buffer."""
        self._head += self._buffer[:nbytes]
        end = _END_OF_HEAD.search(self._head)
        if end is not None:
            self._conclude(self._verdict(more=self._head[end.end() :]))
        elif len(self._head) > _MAX_HEAD:
            self._conclude(self._garbage("its head is too long"))

    def eof_received(self) -> None:
        """Treat the end of the proxy's data as the end of the connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a failure if the connection ends before the proxy has answered."""
        if not isinstance(exc, OSError):
            self._conclude(self._silence())
        elif shortage := shortage_of(exc):
            self._conclude(NoAnswerOutcome(shortage, error_text(exc)))
        else:
            self._conclude(self._silence(f" ({error_text(exc)})"))

    def _verdict(self, *, more: bytes) -> NoAnswerOutcome | None:
        line = _STATUS_LINE.match(self._head)
        if line is None:
            return self._garbage("it is not HTTP/1.1")
        status = int(line[1])
        if not 200 <= status <= 299:
            words = f"{status}{_REASONS.get(status, '')}"
            why = f"the proxy refused the connection: it answered {words}"
            return NoAnswerOutcome(AttemptFailure.PROXY_REFUSED, why)
        if more:
            # Neither the proxy nor the receiver may send anything yet: no request has been sent.
            return self._garbage("unexpected data came after it")
        return None

    def _silence(self, because: str = "") -> NoAnswerOutcome:
        why = f"the proxy closed the connection without an answer{because}"
        return NoAnswerOutcome(AttemptFailure.PROXY, why)

    def _garbage(self, what: str) -> NoAnswerOutcome:
        why = f"the answer of the proxy can't be used: {what}"
        return NoAnswerOutcome(AttemptFailure.PROXY, why)

    def _conclude(self, verdict: NoAnswerOutcome | None) -> None:
        # The first verdict counts. But data that arrives after a success, before the connection is
        # passed on, would be lost: so the connection is closed.
        if not self._answer.done():
            self._answer.set_result(verdict)
        elif not self._answer.cancelled():
            self.transport.abort()
