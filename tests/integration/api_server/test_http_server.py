"""The server in front of the APIs, over real sockets, with small applications behind it."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.server import ApiHttpServer
from ringback.api.http.server_limits import MAX_DISCARDED, ServerTimeouts
from ringback.api.serve_on_socket import bind
from ringback.core.http.allowed_addresses import Network
from ringback.runtime.system_clock import SystemClock
from tests.policy_monitors import until
from tests.smuggling import CHUNKED, FIRST, HOST, READ, REFUSED_BODIES, REFUSED_HEADS, SECOND

App = Callable[[Scope, Receive, Send], Awaitable[None]]
FORM = {"code", "message", "more_info", "status"}
NEVER = ServerTimeouts()
HELD_BY_THE_SYSTEMS = 32 * 1024 * 1024
"""More bytes than the systems at both ends buffer for a connection."""
SOON = ServerTimeouts(handshake=0, head=0, body=0, idle=0, answer=0, closing=0)


async def body_of(receive: Receive) -> bytes:
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return body


async def answer(send: Send, body: bytes = b"", status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Echo:
    """Answers each request with its own path and body, and records it."""

    scopes: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = await body_of(receive)
        await answer(send, scope["raw_path"] + b" " + body)


@dataclass
class Serving:
    """A running server."""

    address: tuple[str, int]
    connections: OpenConnections
    server: ApiHttpServer

    async def open(self, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, Any]:
        return await asyncio.open_connection(*self.address, local_addr=(source, 0))

    async def tell(self, *parts: bytes, source: str = "127.0.0.1") -> bytes:
        """Send these bytes over one connection, and return all that arrives until it is closed."""
        reader, writer = await self.open(source)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        said = await reader.read()
        writer.close()
        return said


@asynccontextmanager
async def serving(
    app: App, *, most: int = 100, trusted: Sequence[Network] = (), timeouts: ServerTimeouts = NEVER
) -> AsyncGenerator[Serving]:
    listener = bind("127.0.0.1", 0)
    connections = OpenConnections(most)
    server = ApiHttpServer(
        app, connections=connections, now=SystemClock().now, trusted=trusted, timeouts=timeouts
    )
    server.listen(listener)
    try:
        yield Serving(listener.getsockname(), connections, server)
    finally:
        async with asyncio.timeout(10):
            await server.stop()
        assert len(connections) == 0


async def pour(writer: asyncio.StreamWriter, part: bytes) -> int:
    """Send these bytes repeatedly until that fails or blocks; return the number of bytes sent."""
    sent = 0
    with suppress(ConnectionError, TimeoutError):
        while sent < 256 * 1024 * 1024:
            writer.write(part)
            sent += len(part)
            await asyncio.wait_for(writer.drain(), 1)
    return sent


def of_ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return only Ringback's log records: an object of an earlier test may log something too."""
    return [record for record in caplog.records if record.name.startswith("ringback.")]


def statuses(said: bytes) -> list[int]:
    return list(map(int, re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", said)))


# ---- hostile input -------------------------------------------------------------------------------


REFUSED = REFUSED_HEADS | REFUSED_BODIES


@pytest.mark.parametrize("bytes_", REFUSED.values(), ids=REFUSED)
async def test_ambiguous_requests_get_one_400_and_their_connection_ends(bytes_: bytes) -> None:
    echo = Echo()
    async with serving(echo) as served:
        said = await served.tell(bytes_ + SECOND)
    assert statuses(said) == [400]
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert set(json.loads(body)) == FORM
    assert b"/second" not in [scope["raw_path"] for scope in echo.scopes]


@pytest.mark.parametrize("bytes_", REFUSED_BODIES.values(), ids=REFUSED_BODIES)
async def test_a_body_that_the_application_ignores_is_not_read_as_a_request(bytes_: bytes) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=401)

    async with serving(refuse) as served:
        assert statuses(await served.tell(bytes_ + SECOND)) == [401]


@pytest.mark.parametrize(("bytes_", "body"), READ.values(), ids=READ)
async def test_a_body_ends_where_the_next_request_begins(bytes_: bytes, body: bytes) -> None:
    last = SECOND[:-2] + b"Connection: close\r\n\r\n"
    async with serving(Echo()) as served:
        said = await served.tell(bytes_ + last)
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert b"\r\n\r\n/first " + body in said
    assert said.endswith(b"\r\n\r\n/second ")


# ---- the rules of HTTP ---------------------------------------------------------------------------


async def test_requests_are_answered_in_order_however_they_are_split() -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(500))
    last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving(Echo()) as served:
        said = await served.tell(requests + last)
    answered = [part.rpartition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]]
    assert answered == [b"/%d " % number for number in range(500)] + [b"/last "]


async def test_a_head_that_arrives_byte_by_byte_is_read() -> None:
    request = FIRST + HOST + b"Connection: close\r\nContent-Length: 2\r\n\r\nab"
    async with serving(Echo()) as served:
        said = await served.tell(*(request[at : at + 1] for at in range(len(request))))
    assert said.endswith(b"\r\n\r\n/first ab")


async def test_a_head_request_is_answered_without_a_body() -> None:
    async with serving(Echo()) as served:
        said = await served.tell(b"HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"content-length: 3\r\n" in said
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("connection", "is_kept"), [(b"", False), (b"Connection: keep-alive\r\n", True)]
)
async def test_http_1_0_keeps_a_connection_that_it_asks_to_keep(
    connection: bytes, is_kept: bool
) -> None:
    first = b"GET /a HTTP/1.0\r\n" + connection + b"\r\n"
    async with serving(Echo()) as served:
        said = await served.tell(first + b"GET /b HTTP/1.0\r\n\r\n")
    assert statuses(said) == [200, 200] if is_kept else [200]
    assert (b"connection: keep-alive" in said) is is_kept


async def test_a_sender_that_expects_100_continue_gets_it() -> None:
    async with serving(Echo()) as served:
        reader, writer = await served.open()
        writer.write(FIRST + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readuntil(b"/first hello")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_a_body_that_was_never_asked_for_ends_the_connection() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=401)

    waits = FIRST + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    async with serving(refuse) as served:
        said = await served.tell(waits)
    assert statuses(said) == [401]
    assert b"connection: close\r\n" in said


async def test_a_body_that_the_application_ignores_is_skipped() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, scope["raw_path"], status=401)

    async with serving(refuse) as served:
        reader, writer = await served.open()
        for start in (b"Content-Length: 50000\r\n\r\n", CHUNKED + b"\r\nc350\r\n"):
            writer.write(FIRST + HOST + start)
            await reader.readuntil(b"/first")
            writer.write(b"a" * 50000 + (b"\r\n0\r\n\r\n" if start.startswith(CHUNKED) else b""))
        writer.write(SECOND)
        assert (await reader.readuntil(b"/second")).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_an_ignored_body_is_not_read_endlessly() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=401)

    async with serving(refuse) as served:
        reader, writer = await served.open()
        writer.write(FIRST + HOST + b"Content-Length: 1000000000\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await pour(writer, b"a" * 65536) < MAX_DISCARDED + HELD_BY_THE_SYSTEMS


async def test_an_answer_of_unknown_length_is_chunked_or_ends_with_the_connection() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"ab", b"", b"c"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async with serving(stream) as served:
        chunked = await served.tell(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        until_the_end = await served.tell(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in chunked
    assert chunked.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert b"connection: close\r\n" in until_the_end
    assert until_the_end.endswith(b"\r\n\r\nabc")


async def test_answers_without_a_body_have_no_content_length() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with serving(nothing) as served:
        said = await served.tell(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length" not in said
    assert b"transfer-encoding" not in said
    assert b"\r\ndate: " in said


async def test_a_client_that_half_closes_is_answered() -> None:
    may_answer = asyncio.Event()

    async def later(scope: Scope, receive: Receive, send: Send) -> None:
        await may_answer.wait()
        await answer(send, b"done")

    async with serving(later) as served:
        reader, writer = await served.open()
        writer.write(SECOND)
        writer.write_eof()
        await asyncio.sleep(0.05)
        may_answer.set()
        assert (await reader.read()).endswith(b"done")
        writer.close()


async def test_an_application_that_waits_for_more_sees_that_the_client_has_gone() -> None:
    heard = asyncio.get_running_loop().create_future()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        heard.set_result(message)

    async with serving(wait) as served:
        for request in (SECOND, FIRST + HOST + b"Content-Length: 5\r\n\r\nhel"):
            heard = asyncio.get_running_loop().create_future()
            _, writer = await served.open()
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
            assert await heard == {"type": "http.disconnect"}


async def test_an_application_that_fails_is_answered_500_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("oh")

    async with serving(fail) as served:
        said = await served.tell(SECOND)
    assert statuses(said) == [500]
    assert set(json.loads(said.partition(b"\r\n\r\n")[2])) == FORM
    (record,) = of_ours(caplog)
    assert record.message == "answering GET /second failed"
    assert record.exc_info is not None


@pytest.mark.parametrize("raises", [True, False])
async def test_a_truncated_answer_looks_truncated(
    raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        if raises:
            raise LookupError("oh")

    async with serving(fail) as served:
        said = await served.tell(SECOND)
    assert said.endswith(b"\r\n\r\nab")
    assert len(of_ours(caplog)) == 1


async def test_a_header_that_would_end_the_head_is_never_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def inject(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x", b"a\r\nset-cookie: b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async with serving(inject) as served:
        said = await served.tell(SECOND)
    assert statuses(said) == [500]
    assert b"set-cookie" not in said


# ---- how much, and how long ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "more", "status"),
    [
        (b"GET /", b"a" * 1024, 414),
        (FIRST + HOST, b"X: " + b"a" * 1019 + b"\r\n", 431),
        (FIRST + HOST + b"X: ", b"a" * 1024, 431),
    ],
)
async def test_an_endless_head_is_refused_and_not_read_on(
    start: bytes, more: bytes, status: int
) -> None:
    async with serving(Echo()) as served:
        _, writer = await served.open()
        writer.write(start)
        assert await pour(writer, more * 64) < MAX_DISCARDED + HELD_BY_THE_SYSTEMS
        writer.close()
        assert statuses(await served.tell(start + more * 70)) == [status]


async def test_a_body_is_read_only_as_fast_as_the_application_reads() -> None:
    may_read = asyncio.Event()
    lengths = list[int]()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await may_read.wait()
        message: Message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            lengths.append(len(message["body"]))
        await answer(send, b"%d" % sum(lengths))

    size = 64 * 1024 * 1024
    async with serving(slow) as served:
        reader, writer = await served.open()
        writer.write(FIRST + HOST + b"Content-Length: %d\r\n\r\n" % size)
        sent = await pour(writer, b"a" * 65536)
        assert sent < HELD_BY_THE_SYSTEMS
        may_read.set()
        writer.write(b"a" * (size - sent))
        assert (await reader.readuntil(b"%d" % size)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
    assert max(lengths) <= 128 * 1024


async def test_an_answer_is_sent_only_as_fast_as_the_client_reads() -> None:
    sent = 0

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
            sent += 65536
        await send({"type": "http.response.body"})

    async with serving(flood) as served:
        client = socket.create_connection(served.address)
        client.sendall(SECOND)
        await asyncio.sleep(1)
        assert 0 < sent < HELD_BY_THE_SYSTEMS
        client.close()


LATE: dict[str, tuple[bytes, list[int]]] = {
    "nothing": (b"", []),
    "a part of a head": (b"GET /first HTT", [408]),
    "a part of a body": (FIRST + HOST + b"Content-Length: 5\r\n\r\nhel", [408]),
    "a part of a chunk": (FIRST + HOST + CHUNKED + b"\r\n5\r\nhel", [408]),
    "nothing after an answer": (SECOND, [200]),
}


@pytest.mark.parametrize(("bytes_", "expected"), LATE.values(), ids=LATE)
async def test_a_request_that_does_not_arrive_in_time_ends_the_connection(
    bytes_: bytes, expected: list[int]
) -> None:
    async with serving(Echo(), timeouts=SOON) as served:
        said = await served.tell(bytes_)
        assert statuses(said) == expected


async def test_the_application_may_take_its_time_to_answer() -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await body_of(receive)
        await asyncio.sleep(2.5)
        await answer(send)

    async with serving(wait, timeouts=SOON) as served:
        assert statuses(await served.tell(SECOND)) == [200]


async def test_a_slow_but_steady_body_is_read_to_its_end() -> None:
    """It takes three times as long as the timeout allows for 4 KiB."""
    timeouts = ServerTimeouts(body=1.5)
    async with serving(Echo(), timeouts=timeouts) as served:
        reader, writer = await served.open()
        writer.write(FIRST + HOST + b"Content-Length: 46080\r\n\r\n")
        for _ in range(45):
            writer.write(b"a" * 1024)
            await asyncio.sleep(0.1)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_client_that_does_not_read_its_answer_is_disconnected() -> None:
    ended = asyncio.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"a" * 32 * 1024 * 1024)
        ended.set()

    async with serving(flood, timeouts=ServerTimeouts(answer=0)) as served:
        client = socket.create_connection(served.address)
        client.sendall(SECOND)
        await ended.wait()
        client.close()


# ---- stopping ------------------------------------------------------------------------------------


async def test_a_stop_closes_idle_and_half_sent_connections_soon() -> None:
    async with serving(Echo()) as served:
        idle, half, fresh = [await served.open() for _ in range(3)]
        idle[1].write(SECOND)
        await idle[0].readuntil(b"/second ")
        half[1].write(b"GET / HT")
        await half[1].drain()
        await asyncio.sleep(0.05)
        await served.server.stop()
        for reader, writer in (idle, half, fresh):
            assert await reader.read() == b""
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await served.open()


async def test_a_stop_lets_a_request_end_and_then_closes() -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await may_end.wait()
        await answer(send, b"done")

    async with serving(wait) as served:
        reader, writer = await served.open()
        writer.write(SECOND)
        await began.wait()
        stopping = asyncio.create_task(served.server.stop())
        await asyncio.sleep(0.05)
        may_end.set()
        said = await reader.read()
        writer.close()
        await stopping
    assert b"connection: close\r\n" in said
    assert said.endswith(b"done")


async def test_a_stop_answers_requests_on_idle_connections_while_others_are_in_use() -> None:
    async with serving(Echo()) as served:
        with (
            socket.create_connection(served.address) as idle,
            socket.create_connection(served.address) as used,
            idle.makefile("rb") as said,
        ):
            for client in (idle, used):
                client.sendall(SECOND)
            await asyncio.sleep(0.4)
            used.sendall(SECOND)
            await asyncio.sleep(0.05)
            stopping = asyncio.create_task(served.server.stop())
            await asyncio.sleep(0.05)
            idle.sendall(SECOND)
            await stopping
            answers = said.read()
    assert answers.count(b"/second ") == 2
    assert answers.count(b"connection: close") == 1


async def test_a_stop_interrupts_requests_after_a_second() -> None:
    ended = asyncio.Event()

    async def hang(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(hang) as served:
        reader, writer = await served.open()
        writer.write(SECOND)
        await asyncio.sleep(0.05)
        await served.server.stop()
        assert ended.is_set()
        assert await reader.read() == b""
        writer.close()


async def test_a_stop_answers_requests_on_connections_that_were_not_accepted_yet() -> None:
    async with serving(Echo()) as served:
        # Without a step of the event loop, so the system has accepted them, and nobody else.
        clients = [socket.create_connection(served.address) for _ in range(20)]
        for client in clients:
            client.sendall(SECOND)
        await served.server.stop()
        for client in clients:
            with client, client.makefile("rb") as said:
                assert b"/second " in said.read()


async def test_a_stop_answers_requests_that_have_arrived_but_were_not_read() -> None:
    async with serving(Echo()) as served:
        idle, half = [socket.create_connection(served.address) for _ in range(2)]
        with idle, half, idle.makefile("rb") as said, half.makefile("rb") as later:
            half.sendall(SECOND[:9])
            await until(lambda: any(one.is_receiving for one in served.connections))
            await asyncio.sleep(0.4)
            # Without a step of the event loop, so that the server could not read it.
            idle.sendall(SECOND)
            stopping = asyncio.create_task(served.server.stop())
            await asyncio.sleep(0.05)
            half.sendall(SECOND[9:])
            await stopping
            assert b"/second " in said.read()
            assert b"/second " in later.read()


async def test_a_retiring_server_answers_on_old_and_new_connections_and_closes_them() -> None:
    async with serving(Echo()) as served:
        idle, silent = [await served.open() for _ in range(2)]
        await until(lambda: len(served.connections) == 2)
        retiring = asyncio.create_task(served.server.retire(60, accepts=True))
        await asyncio.sleep(0.4)
        for reader, writer in (idle, await served.open()):
            writer.write(SECOND)
            said = await reader.read()
            assert b"/second " in said
            assert b"connection: close\r\n" in said
            writer.close()
        retiring.cancel()
        silent[1].close()


async def test_a_response_that_began_before_is_not_the_last_on_its_connection() -> None:
    may_end = asyncio.Event()

    async def halve(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"cd"})

    async with serving(halve) as served:
        reader, writer = await served.open()
        writer.write(SECOND)
        first = await reader.readuntil(b"ab")
        retiring = asyncio.create_task(served.server.retire(60, accepts=True))
        await asyncio.sleep(0.01)
        may_end.set()
        first += await reader.readuntil(b"cd")
        writer.write(SECOND)
        second = await reader.read()
        writer.close()
        retiring.cancel()
    assert b"connection: close" not in first
    assert b"connection: close" in second
    assert second.endswith(b"abcd")


async def test_a_server_that_leaves_its_socket_to_another_retires_until_no_client_is_left() -> None:
    async with serving(Echo()) as served:
        reader, writer = await served.open()
        await until(lambda: len(served.connections) == 1)
        retiring = asyncio.create_task(served.server.retire(60, accepts=False))
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            await served.open()
        writer.write(SECOND)
        assert b"connection: close\r\n" in await reader.read()
        writer.close()
        await asyncio.wait_for(retiring, 5)


# ---- client addresses ----------------------------------------------------------------------------


async def clients_seen(trusted: Sequence[Network], *headers: bytes) -> list[tuple[str, str]]:
    echo = Echo()
    async with serving(echo, trusted=trusted) as served:
        last = b"Connection: close\r\n\r\n"
        said = await served.tell(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(headers) + last)
        assert statuses(said) == [200]
    return [(scope["client"][0], scope["scheme"]) for scope in echo.scopes]


FORWARDED = (b"X-Forwarded-For: 203.0.113.9\r\n", b"X-Forwarded-Proto: https\r\n")


async def test_the_client_address_from_a_trusted_proxy_is_believed() -> None:
    trusted = [ip_network("127.0.0.0/8")]
    assert await clients_seen(trusted, *FORWARDED) == [("203.0.113.9", "https")]
    several = (b"X-Forwarded-For: 8.8.8.8\r\n", b"X-Forwarded-For: 203.0.113.9, 127.0.0.2\r\n")
    assert await clients_seen(trusted, *several) == [("203.0.113.9", "http")]
    odd = (b"X-Forwarded-For: unknown\r\n", b"X-Forwarded-Proto: gopher\r\n")
    assert await clients_seen(trusted, *odd) == [("127.0.0.1", "http")]
    assert await clients_seen(trusted) == [("127.0.0.1", "http")]


async def test_the_client_address_from_others_is_ignored_and_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    echo = Echo()
    async with serving(echo, trusted=[ip_network("10.0.0.0/8")]) as served:
        for number in range(3):
            forged = b"X-Forwarded-For: 203.0.113.%d\r\nConnection: close\r\n\r\n" % number
            await served.tell(b"GET / HTTP/1.1\r\nHost: a\r\n" + forged)
    assert {scope["client"][0] for scope in echo.scopes} == {"127.0.0.1"}
    (record,) = of_ours(caplog)
    assert "trusted_proxies" in record.message
    assert record.levelname == "WARNING"
