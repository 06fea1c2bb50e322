"""The same server over TLS: plain bytes, hanging handshakes, and a renewed certificate."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.server import ApiHttpServer
from ringback.api.http.server_limits import ServerTimeouts
from ringback.api.serve_on_socket import bind
from ringback.runtime.system_clock import SystemClock
from tests.smuggling import SECOND
from tests.tls import server_side

CA = trustme.CA()
CLIENT = ssl.create_default_context()
CA.configure_trust(CLIENT)


async def say_scheme(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


class Shown:
    """The certificate that the server shows now."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.context = server_side(CA.issue_cert("localhost"))

    def __call__(self) -> ssl.SSLContext:
        return self.context


@asynccontextmanager
async def serving(
    shown: Shown, *, most: int = 100, timeouts: ServerTimeouts | None = None
) -> AsyncGenerator[tuple[tuple[str, int], OpenConnections, ApiHttpServer]]:
    listener = bind("127.0.0.1", 0)
    connections = OpenConnections(most)
    server = ApiHttpServer(
        say_scheme,
        connections=connections,
        now=SystemClock().now,
        timeouts=timeouts or ServerTimeouts(),
    )
    server.listen(listener, shown)
    try:
        yield listener.getsockname(), connections, server
    finally:
        async with asyncio.timeout(10):
            await server.stop()
        assert len(connections) == 0


async def open_tls(
    address: tuple[str, int],
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Return a connection, and the certificate that was shown."""
    reader, writer = await asyncio.open_connection(
        *address, ssl=CLIENT, server_hostname="localhost"
    )
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return reader, writer, shown


async def test_it_serves_https_and_the_next_connection_sees_a_renewed_certificate() -> None:
    shown = Shown()
    async with serving(shown) as (address, _, _):
        first, writer, old = await open_tls(address)
        shown.renew()
        second, other_writer, new = await open_tls(address)
        assert old != new
        for reader, one in ((first, writer), (second, other_writer)):
            one.write(SECOND)
            assert (await reader.readuntil(b"https")).startswith(b"HTTP/1.1 200 OK\r\n")
            one.transport.abort()


async def test_an_invalid_request_is_refused_here_too() -> None:
    async with serving(Shown()) as (address, _, _):
        reader, writer, _ = await open_tls(address)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + SECOND)
        said = await reader.read()
        writer.close()
    assert said.count(b"HTTP/1.1 400 Bad Request") == 1
    assert b"200 OK" not in said


@pytest.mark.parametrize("sends", [b"", b"\x16\x03\x01", SECOND])
async def test_a_connection_that_never_becomes_tls_is_closed(
    sends: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Shown(), timeouts=ServerTimeouts(handshake=0)) as (address, connections, _):
        client = socket.create_connection(address)
        client.sendall(sends)
        await asyncio.sleep(0.1)
        await connections.emptied()
        client.close()
    assert caplog.messages == []


async def test_hanging_handshakes_make_room_for_others() -> None:
    async with serving(Shown(), most=5) as (address, connections, _):
        clients = [socket.create_connection(address) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert len(connections) == 5
        reader, writer, _ = await open_tls(address)
        writer.write(SECOND)
        assert await reader.readuntil(b"https")
        assert connections.evicted == 1
        writer.transport.abort()
        for client in clients:
            client.close()


async def test_a_stop_does_not_wait_for_a_client_that_does_not_close() -> None:
    async with serving(Shown()) as (address, connections, server):
        reader, writer, _ = await open_tls(address)
        writer.write(SECOND)
        await reader.readuntil(b"https")
        hanging = socket.create_connection(address)
        await asyncio.sleep(0.1)
        assert len(connections) == 2
        async with asyncio.timeout(2):
            await server.stop()
        hanging.close()
        writer.transport.abort()
