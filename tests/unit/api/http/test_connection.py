"""Time limits of a connection, with a client and a clock that the test controls."""

import asyncio
import socket
from datetime import UTC, datetime

from ringback.api.http.connection import HttpServerContext, InFlightResponse, ServerConnection
from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.request_head import RequestHead
from ringback.api.http.response_bytes import DateHeader
from ringback.api.http.server_limits import ServerTimeouts

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
TIMEOUTS = ServerTimeouts()


class Wire(asyncio.Transport):
    """A transport whose client receives as many bytes as a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.calls = list[str]()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class Answering:
    """Acts as the code that answers requests, so that the test decides the answers."""

    has_begun = True
    task: asyncio.Task[None]


def connected() -> tuple[ServerConnection, Wire, list[InFlightResponse]]:
    begun = list[InFlightResponse]()

    def begin(connection: ServerConnection, head: RequestHead) -> InFlightResponse:
        begun.append(Answering())
        return begun[-1]

    loop = asyncio.get_running_loop()
    context = HttpServerContext(
        begin=begin,
        connections=OpenConnections(10),
        timeouts=TIMEOUTS,
        date=DateHeader(loop, lambda: datetime.now(UTC)),
        buffer=memoryview(bytearray(1024)),
    )
    with socket.socket() as sock:
        pass
    connection = ServerConnection(
        context,
        sock,
        ("127.0.0.1", 1),
        local=("127.0.0.1", 2),
        scheme="http",
        holder="a",
        is_trusted=False,
    )
    wire = Wire()
    connection.connection_made(wire)
    context.buffer[: len(REQUEST)] = REQUEST
    connection.buffer_updated(len(REQUEST))
    return connection, wire, begun


async def test_an_answer_being_read_is_not_truncated_by_closing() -> None:
    connection, wire, begun = connected()
    connection.write(b"a" * 1000)
    connection.end_answer(begun[0])
    now = asyncio.get_running_loop().time()
    assert wire.calls == ["close"]
    connection.check(now + TIMEOUTS.closing + 1)
    assert wire.calls == ["close"]
    wire.unsent = 500
    connection.check(now + TIMEOUTS.answer + 1)
    assert wire.calls == ["close"], "the client read a part"
    connection.check(now + 2 * TIMEOUTS.answer + 2)
    assert wire.calls == ["close", "abort"], "the client read no more"


async def test_a_client_that_has_everything_and_does_not_close_is_disconnected_soon() -> None:
    connection, wire, begun = connected()
    connection.end_answer(begun[0])
    connection.check(asyncio.get_running_loop().time() + TIMEOUTS.closing + 1)
    assert wire.calls == ["close", "abort"]


async def test_the_application_has_no_time_limit_but_a_client_that_does_not_read_has() -> None:
    connection, wire, _ = connected()
    now = asyncio.get_running_loop().time()
    connection.check(now + 10_000)
    assert wire.calls == []
    connection.write(b"a" * 1000)
    connection.pause_writing()
    connection.check(now + TIMEOUTS.answer - 1)
    assert wire.calls == []
    connection.check(now + TIMEOUTS.answer + 1)
    assert wire.calls == ["abort"]
