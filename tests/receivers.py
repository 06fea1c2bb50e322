"""HTTP servers that receive: one records requests byte for byte, and answers by a script."""

import asyncio
import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from ringback.receiver import ReceivedRequest as Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What follows a request: bytes to send, or an action on the connection."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived."""

    line: str
    headers: tuple[str, ...]
    """The header lines, verbatim and in order."""
    body: bytes
    raw: bytes
    client: str = ""
    """The address that it came from."""
    came: float = 0.0
    """When it had arrived, in seconds since 1970."""

    def parsed(self) -> Request:
        """Return the request as the receiver toolkit takes it."""
        method, target, _ = self.line.split(" ")
        headers = (header.partition(":") for header in self.headers)
        pairs = tuple((name, value.strip()) for name, _, value in headers)
        return Request(method, target, pairs, self.body)


class HttpReceiver(ABC):
    """A server that answers each request as its class says; it listens on `host`."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._tls = tls
        self._host = host
        self._port = port
        self._serving = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, ssl=self._tls, backlog=1024
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self._host}:{self.port}{path}"

    @abstractmethod
    async def receive(self, request: ReceivedRequest) -> Reply:
        """Return the reply to a request that has arrived."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.add(task)
        try:
            while not writer.is_closing():
                await self._answer_one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the sender has closed, or was killed, or the test is over
        finally:
            writer.close()
            self._serving.discard(task)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_request(reader, writer.get_extra_info("peername")[0])
        reply = await self.receive(request)
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(writer)


class RecordingReceiver(HttpReceiver):
    """Records requests and answers them by a script, then with 200.

    Instead of a script it can have a function from the request to its reply.
    """

    def __init__(
        self,
        *script: Reply,
        answer: Callable[[ReceivedRequest], Reply] = lambda _: OK,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(tls=tls, host=host, port=port)
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.clients: list[str] = []
        """The addresses that the connections come from."""
        self.resumed: list[bool] = []
        """Whether each TLS connection resumed the session of an earlier one."""
        self.client_names: list[str | None] = []
        """The common name in the client certificate of each TLS connection; None without one."""
        self.ended_connections = 0
        self._script = list(script)
        self._answer = answer
        self._changed = asyncio.Condition()

    async def wait_for(self, count: int) -> list[ReceivedRequest]:
        """Wait until there are at least `count` requests, and return all of them."""
        await self._until(lambda: len(self.requests) >= count)
        return self.requests

    async def wait_for_ended(self, count: int) -> None:
        """Wait until at least `count` connections have ended."""
        await self._until(lambda: self.ended_connections >= count)

    async def receive(self, request: ReceivedRequest) -> Reply:
        self.requests.append(request)
        await self._tell()
        return self._script.pop(0) if self._script else self._answer(request)

    async def _until(self, condition: Callable[[], bool]) -> None:
        # The work of a process that died is taken over after 15 s.
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.clients.append(writer.get_extra_info("peername")[0])
        if self._tls is not None:
            connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
            self.resumed.append(connection.session_reused is True)
            self.client_names.append(_common_name(connection.getpeercert()))
        await super()._serve(reader, writer)
        self.ended_connections += 1
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _common_name(certificate: Any) -> str | None:
    subject = (certificate or {}).get("subject", ())
    return dict(pair for pairs in subject for pair in pairs).get("commonName")


async def _read_request(reader: asyncio.StreamReader, client: str) -> ReceivedRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    lengths = [h.partition(":")[2] for h in headers if h.lower().startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    return ReceivedRequest(line, tuple(headers), body, head + body, client, time.time())


def status_reply(status: int) -> bytes:
    """Return an answer that is nothing but a status."""
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


async def close_without_answer(writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as a process that dies does."""
    linger_for_no_time = struct.pack("ii", 1, 0)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
    writer.transport.abort()


def answer_and_close(data: bytes) -> Reply:
    """Return a reply that ends with its connection."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return reply


def drip(data: bytes) -> Reply:
    """Return a reply that comes one byte at a time."""
    return drip_in_parts(data, of=1)


def drip_in_parts(data: bytes, *, of: int) -> Reply:
    """Return a reply that comes `of` bytes at a time."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), of):
            writer.write(data[start : start + of])
            await writer.drain()
            await asyncio.sleep(0)

    return reply


async def drip_without_end(writer: asyncio.StreamWriter) -> None:
    """Answer with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1\r\n.\r\n")
        await writer.drain()
        await asyncio.sleep(0)


class Hang:
    """A reply that sends nothing until it is released, and then 200."""

    def __init__(self) -> None:
        self._released = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        await self._released.wait()
        writer.write(OK)
        await writer.drain()

    def release(self) -> None:
        self._released.set()


class Answering(BaseHTTPRequestHandler):
    """Accepts requests that pass its server's check, and refuses all others."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = cast("ReceivingServer", self.server)
        request = Request("POST", self.path, tuple(self.headers.items()), body)
        self.send_response(200 if server.accepts(request) else server.refuses_with)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class ReceivingServer(ThreadingHTTPServer):
    """A receiver in threads of its own, for tests that wait for the answers of a server."""

    accepts: Callable[[Request], bool]
    refuses_with = 403

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"
