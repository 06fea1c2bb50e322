"""Requests, connections and routes for tests of a single module of the client."""

import asyncio
from collections.abc import Callable
from typing import Any

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.egress_routes import ANY, Egress
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.http.outcome import NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.guarded_resolver import CachingResolver
from ringback.http_client.http_connection import AnswerOutcome, HttpConnection, KnownAnswers
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute
from ringback.http_client.sockets_and_tls import NetworkBackend, SystemNetwork
from ringback.http_client.system_resolver import Resolve
from ringback.runtime.system_clock import stopwatch
from tests.receivers import RecordingReceiver
from tests.sending import resolve_to

Ending = tuple[AnswerOutcome | NoAnswerOutcome, ReceiverResponseRecord | None]
REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
GUARD = SsrfGuard(LOOPBACK)


def a_route(
    port: int, *, host: str = "a.example", tls: bool = False, egress: Egress = ANY, turn: int = 0
) -> RequestRoute:
    return RequestRoute(host, port, tls, True, egress, turn, "AC1")


def a_peer(
    port: int, address: str = "127.0.0.1", *, local_address: str | None = None
) -> ConnectionPoolKey:
    return ConnectionPoolKey("a.example", port, address, False, True, local_address, None)


def a_connection(
    peer: ConnectionPoolKey,
    *,
    known_answers: KnownAnswers | None = None,
    on_lost: Callable[[HttpConnection], None] = lambda _: None,
) -> HttpConnection:
    """Return a connection that is not connected yet."""
    return HttpConnection(
        peer,
        buffer=memoryview(bytearray(64 * 1024)),
        known_answers=KnownAnswers(4) if known_answers is None else known_answers,
        stopwatch=stopwatch,
        on_lost=on_lost,
    )


def begun_exchange(
    connection: HttpConnection, *, request: bytes = REQUEST, read: float = 5, total: float = 5
) -> asyncio.Future[Ending]:
    """Begin an exchange; the result of the future is how it ends."""
    loop = asyncio.get_running_loop()
    ending = loop.create_future()

    def ended(*how: Any) -> None:
        ending.set_result(how)

    connection.exchange(request, read, loop.time() + total, ended)
    return ending


async def exchange(connection: HttpConnection, **how: Any) -> Ending:
    return await begun_exchange(connection, **how)


async def status_over(connection: HttpConnection) -> int | None:
    """Return the status that answers one request."""
    _, response = await exchange(connection)
    return response and response.status


async def connected(
    port: int, *, network: NetworkBackend | None = None, **how: Any
) -> HttpConnection:
    connection = a_connection(a_peer(port), **how)
    network = network or SystemNetwork()
    await network.connect(connection, address="127.0.0.1", port=port, local_address=None)
    return connection


async def connected_to(receiver: RecordingReceiver) -> HttpConnection:
    return await connected(receiver.port)


def a_resolver(*addresses: str, resolve: Resolve | None = None, **how: Any) -> CachingResolver:
    return CachingResolver(guard=GUARD, resolve=resolve or resolve_to(*addresses), **how)
