"""Runs an ASGI application for each request, and sends the application's response as HTTP.

Ordinary requests to a few paths are answered without the application, since its routing costs more
than all other work on them. Whatever is odd, and each error, goes the usual way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from ringback.api.http.connection import ServerConnection
from ringback.api.http.request_head import RequestHead
from ringback.api.http.response_bytes import BODILESS, head_of
from ringback.core.http.allowed_addresses import Network
from ringback.core.http.client_address import client_of

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_SCHEMES: Final = ("http", "https")

FAILURE: Final = "ringback.failure"
"""The key of the ASGI scope for the error with which a `DirectHandler` failed.

The application raises it, so that the response is the same as without the handler.
"""


@dataclass(frozen=True, slots=True)
class PromisedResponse:
    """A response that is made of a future's result, which needs no task."""

    result: asyncio.Future[Any]
    respond: Callable[[Any], Response]
    """Returns the response to a result."""

    def __await__(self) -> Generator[Any, None, Response]:
        """Wait for the result, and return the response."""
        return self.respond((yield from self.result))


DirectAnswer = Callable[[bytes], Awaitable[Response]]
"""Begins to answer a request by its body. A task awaits the response, unless it is promised."""
DirectHandler = Callable[[RequestHead], DirectAnswer | None]
"""Returns a function that answers a request without the ASGI application.

Returns None if the application must answer the request. It is called when the whole request has
arrived, and may change nothing.
"""

NO_HANDLERS: Final[Mapping[tuple[str, bytes], DirectHandler]] = MappingProxyType({})

_log = logging.getLogger(__name__)


class AsgiServer:
    """Runs an ASGI application for each request.

    The headers X-Forwarded-For and X-Forwarded-Proto count only if a proxy in `trusted` sent them.
    `direct` are the handlers that answer requests without the application, by method and path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted: Sequence[Network] = (),
        direct: Mapping[tuple[str, bytes], DirectHandler] = NO_HANDLERS,
    ) -> None:
        self._app = app
        self._direct = direct
        self._trusted = trusted
        self._has_warned = False
        self._loop = asyncio.get_running_loop()

    def begin(self, connection: ServerConnection, head: RequestHead) -> "AsgiCall":
        """Begin to answer a request, usually in a task, and return its AsgiCall."""
        call = AsgiCall(connection, head)
        answer = self._direct_answer(connection, head)
        if answer is None:
            scope = self._scope_of(connection, head)
            call.start(self._app(scope, call.receive, call.send))
        else:
            self._answer_directly(call, answer)
        return call

    def _answer_directly(self, call: "AsgiCall", answer: DirectAnswer) -> None:
        try:
            answering = answer(call.connection.take_body())
        except Exception as failure:  # noqa: BLE001 (the application raises it again)
            call.start(self._fail(call, failure))
            return
        if isinstance(answering, PromisedResponse):
            call.task = answering.result
            answering.result.add_done_callback(partial(self._keep_promise, call, answering))
        else:
            call.start(self._await_answer(call, answering))

    def _keep_promise(
        self, call: "AsgiCall", promised: PromisedResponse, _: asyncio.Future[Any]
    ) -> None:
        """Send a promised response, now that its result is there."""
        if promised.result.cancelled():
            return
        try:
            call.respond_now(promised.respond(promised.result.result()))
        except Exception as failure:  # noqa: BLE001 (the application raises it again)
            call.start(self._fail(call, failure))

    async def _await_answer(self, call: "AsgiCall", answering: Awaitable[Response]) -> None:
        try:
            response = await answering
        except Exception as failure:  # noqa: BLE001 (the application raises it again)
            await self._fail(call, failure)
        else:
            await call.respond(response)

    async def _fail(self, call: "AsgiCall", failure: Exception) -> None:
        """Let the application raise the error with which a handler failed, and answer it."""
        scope = {**self._scope_of(call.connection, call.head), FAILURE: failure}
        await self._app(scope, call.receive, call.send)

    def _direct_answer(
        self, connection: ServerConnection, head: RequestHead
    ) -> DirectAnswer | None:
        """Return the function that answers this request without the application, or None."""
        handler = self._direct.get((head.method, head.path))
        if handler is None or head.query or not connection.has_whole_request:
            return None
        if head.is_forwarded and not connection.is_trusted:
            return None  # it may have to be warned of
        return handler(head)

    def _scope_of(self, connection: ServerConnection, head: RequestHead) -> Scope:
        client, scheme = connection.peer, connection.scheme
        if head.is_forwarded:
            client, scheme = self._forwarded(connection, head)
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.version,
            "method": head.method,
            "scheme": scheme,
            "path": _path_of(head),
            "raw_path": head.path,
            "root_path": "",
            "query_string": head.query,
            "headers": head.headers,
            "client": client,
            "server": connection.local,
        }

    def _forwarded(
        self, connection: ServerConnection, head: RequestHead
    ) -> tuple[tuple[str, int], str]:
        """Return the client's address and scheme, as a trusted proxy reports them.

        If the connection is not from a trusted proxy, returns the connection's own address and
        scheme.
        """
        if not connection.is_trusted:
            self._warn(connection.peer[0])
            return connection.peer, connection.scheme
        clients = head.by_name.get(b"x-forwarded-for", b"").decode("latin-1")
        schemes = head.by_name.get(b"x-forwarded-proto", b"").decode("latin-1")
        host = client_of(connection.peer[0], clients, self._trusted)
        # The last value comes from the nearest proxy.
        scheme = schemes.rpartition(",")[2].strip().lower()
        client = connection.peer if host == connection.peer[0] else (host, 0)
        return client, scheme if scheme in _SCHEMES else connection.scheme

    def _warn(self, peer: str) -> None:
        # Warn only once: the header comes with every request.
        if self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "%s sends X-Forwarded-For, which is ignored because the address is not in"
            " trusted_proxies: if it is a proxy, add it to trusted_proxies, as otherwise all of its"
            " clients count as one",
            peer,
            extra={"peer": peer},
        )


@dataclass(slots=True, eq=False)
class AsgiCall:
    """Runs the ASGI application for one request, and sends the response."""

    connection: ServerConnection
    head: RequestHead
    task: asyncio.Future[Any] = field(init=False)
    """The task that answers the request, or the future that its response waits for."""
    has_begun: bool = field(init=False, default=False)
    _start: Message | None = field(init=False, default=None)
    """The application's `http.response.start` message, kept until the body begins."""
    _is_chunked: bool = field(init=False, default=False)
    _is_taken: bool = field(init=False, default=False)
    """True once the application has received the whole body of the request."""
    _is_complete: bool = field(init=False, default=False)

    def start(self, work: Awaitable[None]) -> None:
        """Begin the task that answers the request."""
        self.task = asyncio.get_running_loop().create_task(self.run(work))

    async def run(self, work: Awaitable[None]) -> None:
        """Await the work of the application; log an exception that it raises, and answer 500."""
        try:
            await work
        except Exception:  # noqa: BLE001 (it can only be logged)
            _log.exception("answering %s %s failed", self.head.method, _path_of(self.head))
        else:
            if not self._is_complete and not self.connection.is_over:
                _log.error(
                    "the application did not complete its response to %s %s",
                    self.head.method,
                    _path_of(self.head),
                )
        if not self._is_complete:
            self.connection.fail(self)

    async def receive(self) -> Message:
        """Return the next part of the request's body: the `receive` of ASGI."""
        connection = self.connection
        while not self._is_taken and not connection.is_over:
            part = connection.take_body()
            self._is_taken = connection.is_body_complete
            if part or (self._is_taken and not connection.is_over):
                return {"type": "http.request", "body": part, "more_body": not self._is_taken}
            await connection.arrival()
        while not connection.is_over and not connection.sends_no_more:
            await connection.arrival()
        return {"type": "http.disconnect"}

    async def respond(self, response: Response) -> None:
        """Send a whole response."""
        self._start = {"status": response.status_code, "headers": response.raw_headers}
        await self._send_body(bytes(response.body), is_last=True)

    def respond_now(self, response: Response) -> None:
        """Send a whole response; a task waits only for a client that is slow to receive it."""
        self._start = {"status": response.status_code, "headers": response.raw_headers}
        self._write(bytes(response.body), is_last=True)
        if self.connection.is_drained:
            self.connection.end_answer(self)
        else:
            self.start(self._send_body(b"", is_last=True))

    async def send(self, message: Message) -> None:
        """Send the next part of the response: the `send` of ASGI."""
        kind = message["type"]
        if kind == "http.response.start":
            if self._start is not None or self.has_begun:
                raise RuntimeError("a response can be started only once")
            self._start = message
        elif kind != "http.response.body" or self._is_complete:
            raise RuntimeError(f"{kind} can't be sent now")
        else:
            body, has_more = message.get("body", b""), message.get("more_body", False)
            await self._send_body(body, is_last=not has_more)

    async def _send_body(self, body: bytes, *, is_last: bool) -> None:
        self._write(body, is_last=is_last)
        await self.connection.drained()
        if is_last:
            self.connection.end_answer(self)

    def _write(self, body: bytes, *, is_last: bool) -> None:
        head = b"" if self.has_begun else self._begin(is_last=is_last, length=len(body))
        if self.head.method == "HEAD":
            body = b""
        elif self._is_chunked:
            body = _chunk(body, is_last=is_last)
        self._is_complete = is_last
        if head or body:
            self.connection.write(head + body)

    def _begin(self, *, is_last: bool, length: int) -> bytes:
        """Return the status line and headers of the response, as bytes.

        If the application gave no length, a Content-Length or chunked coding is added.
        """
        start = self._start
        if start is None:
            raise RuntimeError("a response must be started before its body is sent")
        status, headers = start["status"], start["headers"]
        more = [self.connection.date_line()]
        if status not in BODILESS and not _says_length(headers):
            if is_last:
                more.append(b"content-length: %d\r\n" % length)
            elif self.head.version == "1.1":
                self._is_chunked = True
                more.append(b"transfer-encoding: chunked\r\n")
            else:
                # HTTP/1.0 has no chunks: the response ends when the connection is closed.
                self.connection.close_with_answer()
        if self.connection.will_close:
            more.append(b"connection: close\r\n")
        elif self.head.version == "1.0":
            more.append(b"connection: keep-alive\r\n")
        head = head_of(status, headers, *more)
        self.has_begun = True
        return head


def _path_of(head: RequestHead) -> str:
    """Return a request's path with percent escapes decoded; invalid UTF-8 is replaced."""
    path = head.path.decode("ascii")
    return unquote(path) if "%" in path else path


def _says_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, _ in headers:  # noqa: SIM110 (runs for each response; a generator takes twice as long)
        if name == b"content-length":
            return True
    return False


def _chunk(body: bytes, *, is_last: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk + b"0\r\n\r\n" if is_last else chunk
