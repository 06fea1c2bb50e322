"""A small HTTP/1.1 server that passes requests to a handler exactly as they came.

The listener shows malformed requests, and the order and letter case of headers. The API server
can't do that, because ASGI demands header names in lower case.

This server is for a developer's machine: it limits the size of requests, but has no time limits.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from http.client import responses as phrases
from typing import Final, cast

from ringback.core.http.http_exchange import Headers
from ringback.dev_receiver.request_parser import (
    CompleteRequest,
    ListenRequestParser,
    UnparsableRequest,
)
from ringback.dev_receiver.responses import ListenerResponse
from ringback.receiver.verification import ReceivedRequest

Handler = Callable[[ReceivedRequest], Awaitable[ListenerResponse]]

_BODILESS: Final = (204, 304)


class ListenServer:
    """Listens on one address, and answers each request with the handler's answer."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.connections = set[_Connection]()
        """The open connections."""
        self._listening: asyncio.Server | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, host: str, port: int) -> int:
        """Start to listen, and return the port; if `port` is 0, a free port is chosen.

        Raises OSError if the address can't be used.
        """
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: _Connection(self), host, port)
        return cast("int", self._listening.sockets[0].getsockname()[1])

    async def wait_broken(self) -> None:
        """Wait until the handler raises an exception, and raise this exception."""
        await self._broken

    async def stop(self) -> None:
        """Stop listening, and close all connections without answering pending requests."""
        if self._listening is not None:
            self._listening.close()
        tasks = [connection.abandon() for connection in tuple(self.connections)]
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)

    def break_off(self, error: BaseException) -> None:
        """Make `wait_broken` raise this error; later errors are ignored."""
        if not self._broken.done():
            self._broken.set_exception(error)


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other.

    Nothing is read while a request is answered, so that requests can't pile up.
    """

    _transport: asyncio.Transport

    def __init__(self, server: ListenServer) -> None:
        self._server = server
        self._reader = ListenRequestParser()
        self._waiting = deque[CompleteRequest | UnparsableRequest]()
        self._answering: asyncio.Task[None] | None = None

    def abandon(self) -> asyncio.Task[None] | None:
        """Close the connection; return the cancelled task of an unfinished answer, or None."""
        self._transport.abort()
        if self._answering is not None:
            self._answering.cancel()
        return self._answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the new connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Remove the connection; a request under way is still finished and shown."""
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and start to answer if a request is complete."""
        self._waiting.extend(self._reader.feed(data))
        if self._reader.expects_continue:
            self._reader.expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._waiting and self._answering is None:
            self._transport.pause_reading()
            self._answering = asyncio.get_running_loop().create_task(self._answer_all())
            self._answering.add_done_callback(self._answered_all)

    async def _answer_all(self) -> None:
        while self._waiting and not self._transport.is_closing():
            match self._waiting.popleft():
                case CompleteRequest(request, keeps_alive):
                    answer = await self._server.handle(request)
                    self._write(answer, method=request.method, keeps_alive=keeps_alive)
                case UnparsableRequest() as unreadable:
                    self._write(_refusal(unreadable), method="", keeps_alive=False)

    def _answered_all(self, task: asyncio.Task[None]) -> None:
        self._answering = None
        if task.cancelled():
            return
        # A handler that raises can't show requests any more: stop, rather than answer unseen.
        if (error := task.exception()) is not None:
            self._server.break_off(error)
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, answer: ListenerResponse, *, method: str, keeps_alive: bool) -> None:
        self._transport.write(to_bytes(answer, method=method, keeps_alive=keeps_alive))
        if not keeps_alive:
            self._transport.close()


def to_bytes(answer: ListenerResponse, *, method: str, keeps_alive: bool) -> bytes:
    """Return the bytes of an answer to a request with this method."""
    phrase = phrases.get(answer.status, "")
    headers: Headers = answer.headers
    if answer.status not in _BODILESS:
        headers += (("Content-Length", str(len(answer.body))),)
    if not keeps_alive:
        headers += (("Connection", "close"),)
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    has_body = method != "HEAD" and answer.status not in _BODILESS
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (answer.body if has_body else b"")


def _refusal(unreadable: UnparsableRequest) -> ListenerResponse:
    text = f"{unreadable}\n".encode()
    return ListenerResponse(
        unreadable.status, (("Content-Type", "text/plain; charset=utf-8"),), text
    )
