"""Idle connections: the order of reuse, their number, and when they are closed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest

from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.egress_routes import Direct
from ringback.http_client import connection_pool
from ringback.http_client.connection_pool import ConnectionPool, KeepAliveLimits
from ringback.http_client.http_connection import HttpConnection
from tests.networks import MadeUpNetwork, MadeUpTime, in_made_up_time
from tests.receivers import OK, RecordingReceiver
from tests.unit.http_client.parts import a_route, connected, connected_to

HERE = ("127.0.0.1",)
LONG = KeepAliveLimits(seconds=3600)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver


async def kept(
    pool: ConnectionPool, receiver: RecordingReceiver, count: int
) -> list[HttpConnection]:
    connections = [await connected_to(receiver) for _ in range(count)]
    for connection in connections:
        pool.keep(connection, now())
    return connections


async def test_the_most_recently_used_connection_is_used_next(receiver: RecordingReceiver) -> None:
    pool, route = ConnectionPool(LONG), a_route(receiver.port)
    one, other = await kept(pool, receiver, 2)
    assert [pool.take(route.peers_at(HERE)) for _ in range(3)] == [other, one, None]
    pool.keep(one, now())
    pool.keep(other, now())
    await pool.close()


async def test_a_connection_serves_only_its_own_route(receiver: RecordingReceiver) -> None:
    pool, port = ConnectionPool(LONG), receiver.port
    (connection,) = await kept(pool, receiver, 1)
    fixed = Direct(("127.0.0.9",))
    assert pool.take(a_route(port).peers_at(["127.0.0.2"])) is None
    assert pool.take(a_route(port, host="b.example").peers_at(HERE)) is None
    assert pool.take(a_route(port + 1).peers_at(HERE)) is None
    assert pool.take(a_route(port, tls=True).peers_at(HERE)) is None
    assert pool.take(a_route(port, egress=fixed).peers_at(HERE)) is None
    assert pool.take(a_route(port, egress=fixed).peers_at(["::1"])) is None, "no route leads there"
    own = a_route(port)._replace(identity=TlsIdentity("a certificate"))
    assert pool.take(own.peers_at(HERE)) is None
    assert pool.take(a_route(port).peers_at(["127.0.0.2", "127.0.0.1"])) is connection
    connection.close()


@pytest.mark.parametrize(
    ("limits", "closed"),
    [(KeepAliveLimits(3600, per_peer=1), 1), (KeepAliveLimits(3600, in_all=1), 0)],
    ids=["the next one of a peer", "the oldest of all"],
)
async def test_connections_above_the_limit_are_closed(
    receiver: RecordingReceiver, limits: KeepAliveLimits, closed: int
) -> None:
    pool = ConnectionPool(limits)
    connections = await kept(pool, receiver, 2)
    await connections[closed].gone
    assert pool.take(a_route(receiver.port).peers_at(HERE)) is connections[1 - closed]
    connections[1 - closed].close()


def test_each_connection_is_closed_at_the_end_of_its_time() -> None:
    async def story(loop: MadeUpTime) -> list[float]:
        pool, ends = ConnectionPool(KeepAliveLimits(seconds=4)), list[float]()
        network = MadeUpNetwork(lambda _: OK, after=0)
        for _ in range(3):
            connection = await connected(80, network=network)
            connection.gone.add_done_callback(lambda _: ends.append(loop.elapsed))
            pool.keep(connection, loop.elapsed)
            await asyncio.sleep(1)
        used = pool.take(a_route(80).peers_at(HERE))
        await asyncio.sleep(60)
        assert used is not None
        assert not used.gone.done()
        assert pool._idle == {}, "a peer without connections is forgotten"
        return ends

    assert in_made_up_time(story) == pytest.approx([4, 5])


async def test_connections_to_a_peer_that_closed_one_are_checked_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        pool, connections, there = ConnectionPool(LONG), list[HttpConnection](), []
        for _ in range(3):
            connections.append(await connected(port, on_lost=pool.lost))
            there.append(server.accept()[0])
        pool.keep(connections[0], now())
        there[0].close()
        await connections[0].gone
        for connection in connections[1:]:
            pool.keep(connection, now())
        there[2].close()
        # The end has arrived in the socket, but the loop has not read it yet.
        assert pool.take(a_route(port).peers_at(HERE)) is connections[1]
        await connections[2].gone
        connections[1].close()
        there[1].close()


async def test_a_lost_connection_is_not_kept(receiver: RecordingReceiver) -> None:
    pool = ConnectionPool(LONG)
    one, other = await kept(pool, receiver, 2)
    pool.lost(other)
    pool.forget(other)
    assert pool.take(a_route(receiver.port).peers_at(HERE)) is one
    for connection in (one, other):
        connection.close()


async def test_the_connection_idle_for_longest_makes_room(receiver: RecordingReceiver) -> None:
    pool = ConnectionPool(LONG)
    pool.make_room()
    one, other = await kept(pool, receiver, 2)
    pool.make_room()
    await one.gone
    assert pool.take(a_route(receiver.port).peers_at(HERE)) is other
    other.close()


async def test_all_are_closed_if_the_machine_needs_their_descriptors(
    receiver: RecordingReceiver,
) -> None:
    pool = ConnectionPool(LONG)
    connections = await kept(pool, receiver, 3)
    pool.clear()
    await asyncio.gather(*(connection.gone for connection in connections))
    assert pool.take(a_route(receiver.port).peers_at(HERE)) is None


async def test_closing_ends_idle_connections_and_later_ones(receiver: RecordingReceiver) -> None:
    pool = ConnectionPool(LONG)
    later = await connected_to(receiver)
    connections = await kept(pool, receiver, 2)
    await pool.close()
    assert all(connection.gone.done() for connection in connections)
    pool.keep(later, now())
    await later.gone


def test_the_end_of_a_limited_number_of_connections_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass(eq=False)
    class Lost:
        peer: str

    monkeypatch.setattr(connection_pool, "_MOST_CLOSERS", 3)
    pool = ConnectionPool(KeepAliveLimits())
    for peer in "abcbde":
        pool.lost(cast("HttpConnection", Lost(peer)))
    assert "".join(map(str, pool._closers)) == "bde"
