"""Ordinary requests to create callbacks are answered without the application, but all the same."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.app import create_app, direct_handlers
from ringback.api.dependencies import ApiDependencies
from ringback.api.http.asgi_runner import FAILURE, NO_HANDLERS
from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.server import ApiHttpServer
from ringback.api.rate_limit import AccountRateLimit
from ringback.api.serve_on_socket import bind
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.http.allowed_addresses import Network
from tests.callback_queues import RecordingQueue
from tests.counting_store import CountingStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock, SeededRandomness, an_account, an_api_key
from tests.memory_store import MemoryStore
from tests.unit.api.caller import basic
from tests.unit.api.test_bearer_tokens import ADMIN, STANDARD
from tests.unit.api.world import called_back, dependencies_on, fill

Adjust = Callable[[ApiDependencies], ApiDependencies]

TARGET = "/portal/v1/callbacks"
RIGHT = basic(ACCOUNT_SID, AUTH_TOKEN)
TRUSTED = (ip_network("127.0.0.1"),)
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
URL = "https://user:made-up@a.example/p?x=1#cbs=kore&e=nowhere"


def unchanged(dependencies: ApiDependencies) -> ApiDependencies:
    return dependencies


@dataclass
class Noting:
    """Passes requests on to the application, and notes those that no handler began to answer."""

    app: ASGIApp
    usual: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.usual += FAILURE not in scope
        await self.app(scope, receive, send)


@dataclass
class Serving:
    """A running server on a store of its own."""

    app: Noting
    server: ApiHttpServer
    store: CountingStore
    clock: FakeClock
    dependencies: ApiDependencies
    address: tuple[str, int]
    refused: list[None]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def sign_in(self, authorization: str = RIGHT) -> None:
        await self.answers(post(**{"Content-Type": "text/plain", "Authorization": authorization}))
        self.app.usual = 0

    async def answers(self, *requests: bytes, count: int | None = None) -> list[bytes]:
        """Send requests over one connection, and return the responses."""
        reader, writer = await self.open()
        writer.writelines(requests)
        answers = [await read_answer(reader) for _ in range(count or len(requests))]
        writer.close()
        return answers


@asynccontextmanager
async def serving(
    adjust: Adjust, *, is_direct: bool, trusted: Sequence[Network] = TRUSTED
) -> AsyncGenerator[Serving]:
    memory, clock, refused = MemoryStore(), FakeClock(), list[None]()
    await memory.transact(fill)
    await memory.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    store = CountingStore(memory)
    made = dependencies_on(store, clock=clock)
    dependencies = adjust(replace(made, refused=lambda: refused.append(None)))
    app, listener = Noting(create_app(dependencies)), bind("127.0.0.1", 0)
    server = ApiHttpServer(
        app,
        connections=OpenConnections(10),
        now=clock.now,
        trusted=trusted,
        direct=direct_handlers(dependencies) if is_direct else NO_HANDLERS,
    )
    server.listen(listener)
    try:
        yield Serving(app, server, store, clock, dependencies, listener.getsockname(), refused)
    finally:
        async with asyncio.timeout(10):
            await server.stop()


@asynccontextmanager
async def both(adjust: Adjust = unchanged) -> AsyncGenerator[tuple[Serving, Serving]]:
    """Two equal worlds, the first with handlers; an account has just signed in to each."""
    async with serving(adjust, is_direct=True) as direct, serving(adjust, is_direct=False) as usual:
        await direct.sign_in()
        await usual.sign_in()
        yield direct, usual


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length))


def one(**fields: Any) -> dict[str, Any]:
    return {"url": URL, "parameters": {"Zone": "EU & UK", "Id": 7}} | fields


def post(
    document: Any = None, target: str = TARGET, *, version: str = "1.1", **headers: str
) -> bytes:
    """Return a request that creates callbacks; a header without a value is left out."""
    body = document if isinstance(document, bytes) else json.dumps(document or one()).encode()
    given = {
        "Host": "a.example",
        "Authorization": RIGHT,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    } | headers
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([f"POST {target} HTTP/{version}", *lines, "", ""]).encode() + body


def many(count: int, **fields: Any) -> dict[str, Any]:
    return {"callbacks": [one(**fields) for _ in range(count)]}


ORDINARY: dict[str, list[bytes]] = {
    "one": [post()],
    "one after another": [post(), post(one(method="GET")), post(one(parameters={}))],
    "the same key twice": [
        post(one(idempotency_key="k")),
        post(one(idempotency_key="k", parameters={"other": "1"})),
        post(one(idempotency_key="k", url="x:")),
    ],
    "later": [post(one(deliver_at="2024-07-04T00:00:00Z"))],
    "not only ASCII": [post(one(parameters={"ä": "€"}, idempotency_key="ö"))],
    "a batch": [post(many(2)), post({"callbacks": [one(idempotency_key="a")] * 2})],
    "a big batch": [post(many(65))],
    "a charset": [post(**{"Content-Type": "Application/JSON ; charset=utf-8"})],
    "HTTP/1.0": [post(version="1.0")],
    "HTTP/1.0, kept": [post(version="1.0", Connection="keep-alive"), post(version="1.0")],
    "the last": [post(Connection="close")],
    "other headers": [post(Accept="*/*", Origin="https://b.example", **{"X-Forwarded-For": "::1"})],
    "an awaited body that is here": [post(Expect="100-continue")],
    "an account named, which only operators may": [post(**{"Ringback-Account": "AC1"})],
    "a host of KORE": [post(Host="supersim.api.korewireless.com")],
    "an empty body": [post(b"")],
    "not JSON": [post(b"{"), post(b"\xff"), post(Host="a.korewireless.com", document=b"{")],
    "not an object": [post(b"[]"), post(b"1")],
    "a name twice": [post(b'{"url": "https://a.example/", "parameters": {"a": "1", "a": "1"}}')],
    "an unknown field": [post(one(urls="")), post(many(1, urls=""))],
    "a wrong url": [post(one(url="ftp://a.example")), post(many(3, url=None))],
    "a wrong batch": [post({"callbacks": []}), post(many(1) | {"url": URL})],
}
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": ""}
ODD: dict[str, list[bytes]] = {
    "a query": [post(target=f"{TARGET}?a=b")],
    "an escaped path": [post(target="/portal/v1/%63allbacks")],
    "a longer path": [post(target=f"{TARGET}/")],
    "chunks": [post(b"2\r\n{}\r\n0\r\n\r\n", **CHUNKED)],
    "another type": [post(**{"Content-Type": "application/x-www-form-urlencoded"})],
    "no type": [post(**{"Content-Type": ""})],
    "no credentials": [post(Authorization="")],
    "wrong credentials": [post(Authorization=basic(ACCOUNT_SID, "wrong"))],
    "malformed credentials": [post(Authorization="Basic ä")],
    "an operator": [post(Authorization=basic(OPERATORS.sid, "operator's"))] * 2,
}


@pytest.mark.parametrize("requests", ORDINARY.values(), ids=ORDINARY.keys())
async def test_an_ordinary_request_is_answered_without_the_application_to_the_same_byte(
    requests: list[bytes],
) -> None:
    async with both() as (direct, usual):
        assert await direct.answers(*requests) == await usual.answers(*requests)
        assert await called_back(direct.store) == await called_back(usual.store)
        assert (direct.app.usual, usual.app.usual) == (0, len(requests))


@pytest.mark.parametrize("requests", ODD.values(), ids=ODD.keys())
async def test_an_odd_request_goes_to_the_application(requests: list[bytes]) -> None:
    async with both() as (direct, usual):
        assert await direct.answers(*requests) == await usual.answers(*requests)
        assert await called_back(direct.store) == await called_back(usual.store)
        assert direct.app.usual == len(requests)


@pytest.mark.parametrize(("client", "is_usual"), [(ADMIN, False), (STANDARD, True)])
async def test_a_bearer_token_goes_to_the_application_if_it_gives_no_access(
    client: ClientCredentials, is_usual: bool
) -> None:
    async with both() as sides:
        answers = list[list[bytes]]()
        for side in sides:
            await side.store.transact(lambda tx: tx.api_clients.add(client))
            tokens = side.dependencies.authenticator.tokens
            bearer = f"Bearer {await tokens.make(client, an_account(), SeededRandomness())}"
            await side.sign_in(bearer)
            answers.append(await side.answers(post(Authorization=bearer)))
        assert answers[0] == answers[1]
        assert b" 403 " in answers[0][0] if is_usual else b" 201 " in answers[0][0]
        assert sides[0].app.usual == is_usual


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    requests = [post(one(parameters={"n": n}), TARGET + "?" * (n % 2)) for n in range(6)]
    last = post(b"{", Connection="close")
    async with both() as (direct, usual):
        answers = await direct.answers(b"".join(requests) + last, count=7)
        assert answers == await usual.answers(b"".join(requests) + last, count=7)
        assert [b'"n":"%d"' % n in answer for n, answer in enumerate(answers)] == [True] * 6 + [
            False
        ]


async def test_a_body_that_is_not_here_yet_is_left_to_the_application() -> None:
    request = post()
    async with both() as (direct, _):
        reader, writer = await direct.open()
        writer.write(request[:-1])
        await asyncio.sleep(0.05)
        writer.write(request[-1:])
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 201 ")
        assert direct.app.usual == 1
        writer.close()


async def test_a_sign_in_is_remembered_for_no_longer_than_for_the_application() -> None:
    async with both() as (direct, _):
        await direct.answers(post())
        direct.clock.advance(timedelta(seconds=1))
        await direct.answers(post(), post())
        assert direct.app.usual == 1


async def test_the_header_of_an_untrusted_proxy_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(unchanged, is_direct=True, trusted=()) as direct:
        await direct.sign_in()
        answers = await direct.answers(post(**{"X-Forwarded-For": "192.0.2.1"}))
        assert answers[0].startswith(b"HTTP/1.1 201 ")
        assert "127.0.0.1 sends X-Forwarded-For, which is ignored" in caplog.text


# ---- failures ------------------------------------------------------------------------------------


async def test_an_outage_of_the_store_is_answered_and_counted_alike() -> None:
    async with both() as (direct, usual):
        direct.store.is_away = usual.store.is_away = True
        answers = await direct.answers(post(), post(many(2)))
        assert answers == await usual.answers(post(), post(many(2)))
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
        assert (len(direct.refused), len(usual.refused), direct.app.usual) == (2, 2, 0)


async def test_a_bug_is_answered_with_500_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("a message with a secret in it")

    async with both() as (direct, usual):
        direct.store.when_asked = usual.store.when_asked = fail
        answers = await direct.answers(post())
        assert [record.getMessage() for record in caplog.records] == [
            f"answering POST {TARGET} failed"
        ]
        assert answers == await usual.answers(post())
        assert answers[0].startswith(b"HTTP/1.1 500 ")


async def test_a_full_backlog_is_answered_alike() -> None:
    def full(dependencies: ApiDependencies) -> ApiDependencies:
        return replace(dependencies, callback_queue=RecordingQueue(room=1))

    async with both(full) as (direct, usual):
        direct_answers = await direct.answers(post(many(2)), post())
        assert direct_answers == await usual.answers(post(many(2)), post())
        assert [answer[9:12] for answer in direct_answers] == [b"429", b"201"]


async def test_the_rate_limit_counts_alike() -> None:
    async def no_pause() -> None:
        pass

    def limited(dependencies: ApiDependencies) -> ApiDependencies:
        return replace(dependencies, rate_limit=AccountRateLimit(10, pause=no_pause))

    requests = [post(many(990)), *[post(b"{")] * 5, *[post()] * 6]
    async with both(limited) as (direct, usual):
        answers = await direct.answers(*requests)
        assert answers == await usual.answers(*requests)
        statuses = b"201", *[b"400"] * 5, *[b"201"] * 4, *[b"429"] * 2
        assert tuple(answer[9:12] for answer in answers) == statuses
        refusals = direct.dependencies.authenticator.refusals
        assert refusals == usual.dependencies.authenticator.refusals


async def test_a_callback_is_kept_even_if_its_client_disconnects_before_the_answer() -> None:
    async with serving(unchanged, is_direct=True) as direct:
        await direct.sign_in()
        asked = asyncio.Event()
        direct.store.when_asked = asked.set
        _, writer = await direct.open()
        writer.write(post())
        writer.transport.abort()
        await asked.wait()
    assert len(await called_back(direct.store)) == 1


async def test_a_request_under_way_is_answered_when_the_server_stops() -> None:
    async with serving(unchanged, is_direct=True) as direct:
        await direct.sign_in()
        stopping = list[asyncio.Task[None]]()
        direct.store.when_asked = lambda: stopping.append(asyncio.create_task(direct.server.stop()))
        (answer,) = await direct.answers(post())
        assert answer.startswith(b"HTTP/1.1 201 ")
        await stopping[0]


async def test_a_client_that_reads_late_gets_every_answer() -> None:
    big, count = post(one(parameters={"Long": "x" * 2_000})), 1_500
    async with serving(unchanged, is_direct=True) as direct:
        await direct.sign_in()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, direct.address)
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
        writer.writelines([big] * count)
        before = -1
        while direct.store.asked != before:
            before = direct.store.asked
            await asyncio.sleep(0.1)
        assert before < count, "the server waits for the client"
        answers = [await read_answer(reader) for _ in range(count)]
        assert all(answer.startswith(b"HTTP/1.1 201 ") for answer in answers)
        writer.close()


async def test_a_request_that_waits_for_the_store_is_cut_off_when_the_server_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(unchanged, is_direct=True) as direct:
        await direct.sign_in()
        asked = asyncio.Event()
        direct.store.when_asked = asked.set
        direct.store.goes_on.clear()
        reader, writer = await direct.open()
        writer.write(post())
        await asked.wait()
        await direct.server.stop()
        assert await reader.read() == b""
        cut_off = ["1 requests were cut off when the server stopped"]
        assert [record.getMessage() for record in caplog.records] == cut_off
        direct.store.goes_on.set()
        writer.close()
