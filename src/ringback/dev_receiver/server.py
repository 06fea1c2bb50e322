"""A small HTTP/1.1 server that hands requests on exactly as they came.

Deliberately raw. The letter case and the order of the headers are what a listener is there to
show, and the server of the APIs (by the rules of ASGI) lower-cases header names, and refuses what a
listener had better show. It is made for a handful of senders on a developer's machine: it keeps
connections alive and bounds what it reads, and has no time limits.
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
    """Listens on one address, and answers each request with what the handler returns."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.connections = set[_Connection]()
        """Those that are open."""
        self._listening: asyncio.Server | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: where 0 was asked for, one that was free.

        Raises OSError where the address can't be had.
        """
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: _Connection(self), host, port)
        return cast("int", self._listening.sockets[0].getsockname()[1])

    async def wait_broken(self) -> None:
        """Wait until the handler raises, and raise that: it means that nothing can be shown."""
        await self._broken

    async def stop(self) -> None:
        """Stop listening, and leave unanswered what is not answered yet."""
        if self._listening is not None:
            self._listening.close()
        tasks = [connection.abandon() for connection in tuple(self.connections)]
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)

    def break_off(self, error: BaseException) -> None:
        """Have `wait_broken` raise this; only the first one counts."""
        if not self._broken.done():
            self._broken.set_exception(error)


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection one after the other.

    While one is being answered nothing is read, so a sender can't pile requests up.
    """

    _transport: asyncio.Transport

    def __init__(self, server: ListenServer) -> None:
        self._server = server
        self._reader = ListenRequestParser()
        self._waiting = deque[CompleteRequest | UnparsableRequest]()
        self._answering: asyncio.Task[None] | None = None

    def abandon(self) -> asyncio.Task[None] | None:
        """Close at once; return the task that was answering, which is ending."""
        self._transport.abort()
        if self._answering is not None:
            self._answering.cancel()
        return self._answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Let a request that is being handled come to its end; nobody will read the answer."""
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read on, and begin to answer where a request is complete."""
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
        # A handler that raises can show nothing any more; answering unseen would hide that.
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
    """Return an answer to this method as it goes on the wire."""
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
