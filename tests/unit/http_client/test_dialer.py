"""Connecting to one of several addresses: the order of tries, and the reason if all fail."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from ringback.core.http.egress_routes import ANY, Direct, Egress, Proxy
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.connect_timing import ConnectStep, ConnectTimer
from ringback.http_client.dialer import Dialer
from ringback.http_client.guarded_resolver import CachingResolver
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.sockets_and_tls import SystemNetwork
from tests.networks import MadeUpTime, WatchedNetwork, in_made_up_time
from tests.ports import free_port
from tests.proxies import ESTABLISHED, RecordingProxy
from tests.receivers import OK, RecordingReceiver
from tests.unit.http_client.parts import a_connection, a_resolver, a_route, status_over

NOBODY = "127.0.0.9"
HERE = "127.0.0.1"


class FailingNetwork(WatchedNetwork):
    """A network in which some addresses fail or are slow, and all others connect."""

    def __init__(self, **behaviour: OSError | float) -> None:
        super().__init__(SystemNetwork())
        self._behaviour = behaviour

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        behaviour = self._behaviour.get(address)
        if behaviour is None:
            await super().connect(protocol, address=address, port=port, local_address=local_address)
            return
        self.connected.append((address, port))
        if isinstance(behaviour, OSError):
            raise behaviour
        await asyncio.sleep(behaviour)


def failing(behaviour: dict[str, OSError | float]) -> FailingNetwork:
    return FailingNetwork(**behaviour)


async def dial(
    addresses: Sequence[str],
    port: int,
    *,
    network: WatchedNetwork | None = None,
    egress: Egress = ANY,
    proxies: CachingResolver | None = None,
    seconds: float = 5,
    timing: ConnectTimer | None = None,
) -> HttpConnection | NoAnswerOutcome:
    loop = asyncio.get_running_loop()
    route = a_route(port, egress=egress)
    dialer = Dialer(
        network=network or WatchedNetwork(SystemNetwork()),
        proxies=proxies or a_resolver(HERE),
        new_connection=a_connection,
        buffer=memoryview(bytearray(4096)),
    )
    peers = route.peers_at(addresses)
    timing = timing or ConnectTimer(loop.time)
    async with asyncio.timeout(seconds) as timing.limit:
        return await dialer.first_of(peers, route, timing)


async def exchange_over(connection: HttpConnection | NoAnswerOutcome) -> object:
    assert isinstance(connection, HttpConnection)
    status = await status_over(connection)
    connection.abort()
    await connection.gone
    return status


async def test_the_first_address_that_accepts_is_used() -> None:
    network = WatchedNetwork(SystemNetwork())
    async with RecordingReceiver() as receiver:
        port = receiver.port
        connection = await dial([NOBODY, HERE, "127.0.0.8"], port, network=network)
        assert await exchange_over(connection) == 200
        assert network.connected == [(NOBODY, port), (HERE, port)]
        assert network.left_from == [None, None]


async def test_it_leaves_from_the_address_of_the_peer() -> None:
    async with RecordingReceiver() as receiver:
        connection = await dial([HERE], receiver.port, egress=Direct(("127.0.0.5",)))
        assert await exchange_over(connection) == 200
        assert receiver.clients == ["127.0.0.5"]


async def test_if_all_fail_each_reason_is_reported_once_without_addresses() -> None:
    port = free_port()
    reached = await dial([NOBODY, "127.0.0.8"], port)
    assert reached == NoAnswerOutcome(
        AttemptFailure.CONNECT, f"could not connect to a.example port {port} (Connection refused)"
    )


def test_each_address_delays_the_others_by_its_share_of_the_time() -> None:
    async def story(loop: MadeUpTime) -> tuple[HttpConnection | NoAnswerOutcome, float]:
        silent = {f"192.0.2.{number}": 3600.0 for number in range(3)}
        reached = await dial(
            [*silent, "192.0.2.9"],
            80,
            network=failing(silent | {"192.0.2.9": OSError(errno.ECONNREFUSED, "")}),
            seconds=40,
        )
        return reached, loop.elapsed

    reached, elapsed = in_made_up_time(story)
    assert reached == NoAnswerOutcome(
        AttemptFailure.CONNECT,
        "could not connect to a.example port 80 (no answer; Connection refused)",
    )
    assert elapsed == pytest.approx(30)


@pytest.mark.parametrize(
    ("number", "failure", "tried"),
    [
        (errno.EMFILE, AttemptFailure.SHORTAGE, [NOBODY]),
        (errno.EADDRNOTAVAIL, AttemptFailure.NO_LOCAL_PORT, [NOBODY, "127.0.0.8"]),
    ],
)
async def test_shortages_of_this_machine_are_reported_before_failures_of_receivers(
    number: int, failure: AttemptFailure, tried: list[str]
) -> None:
    network = failing({NOBODY: OSError(number, "")})
    reached = await dial([NOBODY, "127.0.0.8"], free_port(), network=network)
    assert isinstance(reached, NoAnswerOutcome)
    assert reached.failure is failure
    assert [address for address, _ in network.connected] == tried


async def test_a_missing_local_address_is_egress() -> None:
    port = free_port()
    reached = await dial([HERE, NOBODY], port, egress=Direct(("192.0.2.1",)))
    assert reached == NoAnswerOutcome(
        AttemptFailure.EGRESS,
        f"could not connect to a.example port {port} (its egress can't be"
        " used: Cannot assign requested address)",
    )


# ---- through a proxy


async def test_a_proxy_is_asked_for_each_address_until_it_accepts_one() -> None:
    async with RecordingReceiver() as receiver, RecordingProxy(b"HTTP/1.1 502 No\r\n\r\n") as it:
        timing = ConnectTimer(asyncio.get_running_loop().time)
        egress = Proxy("proxy.example", it.port)
        connection = await dial([NOBODY, HERE], receiver.port, egress=egress, timing=timing)
        assert await exchange_over(connection) == 200
        assert it.targets == [f"{NOBODY}:{receiver.port}", f"{HERE}:{receiver.port}"]
        assert timing.at is ConnectStep.PROXY


async def test_a_proxy_with_two_addresses_is_tried_at_both() -> None:
    async with RecordingReceiver() as receiver, RecordingProxy() as it:
        connection = await dial(
            [HERE],
            receiver.port,
            egress=Proxy("proxy.example", it.port),
            proxies=a_resolver(NOBODY, HERE),
        )
        assert await exchange_over(connection) == 200


@pytest.mark.parametrize(
    ("proxies", "why"),
    [
        (a_resolver, "the proxy's name could not be looked up"),
        (
            lambda: a_resolver(NOBODY, "127.0.0.8"),
            "could not connect to the proxy (Connection refused)",
        ),
    ],
)
async def test_an_unreachable_proxy_is_the_operators_fault(
    proxies: Callable[[], CachingResolver], why: str
) -> None:
    port = free_port()
    reached = await dial([HERE], 80, egress=Proxy("proxy.example", port), proxies=proxies())
    assert reached == NoAnswerOutcome(
        AttemptFailure.PROXY, "no connection to a.example port 80: " + why
    )


async def test_a_shortage_when_connecting_to_a_proxy_is_a_shortage() -> None:
    async def resolve(host: str) -> list[str]:
        raise OSError(errno.EMFILE, "")

    egress = Proxy("proxy.example", 3128)
    for proxies, network in (
        (a_resolver(resolve=resolve), None),
        (None, failing({HERE: OSError(errno.EMFILE, "")})),
    ):
        reached = await dial([HERE], 80, egress=egress, proxies=proxies, network=network)
        assert reached == NoAnswerOutcome(AttemptFailure.SHORTAGE, "Too many open files")


@asynccontextmanager
async def a_proxy_that_says(
    answer: bytes,
) -> AsyncIterator[tuple[int, asyncio.Event, asyncio.Event]]:
    """Yield the proxy's port, an event set when asked, and one set when its connection ends."""
    is_asked, is_over = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        is_asked.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        is_over.set()

    async with await asyncio.start_server(serve, HERE, 0) as server, asyncio.timeout(10):
        yield server.sockets[0].getsockname()[1], is_asked, is_over


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 No\r\n\r\n", ESTABLISHED + OK])
async def test_a_proxy_that_refuses_leaves_no_connection(answer: bytes) -> None:
    async with a_proxy_that_says(answer) as (port, _, is_over):
        assert isinstance(await dial([HERE], 80, egress=Proxy(HERE, port)), NoAnswerOutcome)
        await is_over.wait()


async def test_a_caller_cancelled_during_the_proxys_answer_leaves_no_connection() -> None:
    async with a_proxy_that_says(b"") as (port, is_asked, is_over):
        dialling = asyncio.create_task(dial([HERE], 80, egress=Proxy(HERE, port)))
        await is_asked.wait()
        dialling.cancel()
        await is_over.wait()
