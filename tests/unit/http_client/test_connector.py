"""Opening connections: the steps, the time limit, and places freed after failures."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.egress_routes import ANY, Direct, Egress, Proxy
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.connect_timing import ConnectTimer
from ringback.http_client.connection_pool import ConnectionPool, KeepAliveLimits
from ringback.http_client.connector import Connector
from ringback.http_client.dialer import Dialer
from ringback.http_client.guarded_resolver import CachingResolver
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.sockets_and_tls import NetworkBackend, SystemNetwork
from ringback.http_client.tls import TlsFailed
from ringback.runtime.account_fair_semaphore import FairSemaphore
from tests.networks import MadeUpNetwork, MadeUpTime, in_made_up_time
from tests.ports import free_port
from tests.proxies import RecordingProxy
from tests.receivers import OK, RecordingReceiver
from tests.sending import LIMITS
from tests.tls import server_side
from tests.unit.delivery.parts import all_has_run
from tests.unit.http_client.parts import a_connection, a_resolver, a_route, status_over

HERE = "127.0.0.1"


@dataclass
class Bench:
    """A connector with its network, resolver, pool and places."""

    network: NetworkBackend = field(default_factory=SystemNetwork)
    resolver: CachingResolver = field(default_factory=lambda: a_resolver(HERE))
    most: int = 10

    def __post_init__(self) -> None:
        self.pool = ConnectionPool(KeepAliveLimits(seconds=3600))
        self.places = FairSemaphore(self.most, shared=False)
        dialer = Dialer(
            network=self.network,
            proxies=a_resolver(HERE),
            new_connection=lambda peer: a_connection(peer, on_lost=self.pool.lost),
            buffer=memoryview(bytearray(4096)),
        )
        self.connector = Connector(
            network=self.network,
            resolver=self.resolver,
            dialer=dialer,
            pool=self.pool,
            places=self.places,
        )

    async def open(
        self,
        port: int,
        *,
        tls: bool = False,
        egress: Egress = ANY,
        limits: Timeouts = LIMITS,
        fresh: bool = False,
        timing: ConnectTimer | None = None,
    ) -> HttpConnection | NoAnswerOutcome:
        return await self.connector.open(
            a_route(port, tls=tls, egress=egress),
            limits=limits,
            timing=timing or ConnectTimer(asyncio.get_running_loop().time),
            fresh=fresh,
        )


def a_connected(reached: HttpConnection | NoAnswerOutcome) -> HttpConnection:
    assert isinstance(reached, HttpConnection)
    return reached


async def test_a_connection_occupies_a_slot_until_it_is_closed() -> None:
    bench = Bench()
    async with RecordingReceiver() as receiver:
        connection = a_connected(await bench.open(receiver.port))
        assert await status_over(connection) == 200
        assert bench.places.taken == 1
        connection.close()
        await connection.gone
        await all_has_run()
        assert bench.places.taken == 0


@pytest.mark.parametrize(("fresh", "count"), [(False, 1), (True, 2)])
async def test_a_kept_connection_to_a_found_address_is_used_unless_a_new_one_is_required(
    fresh: bool, count: int
) -> None:
    bench = Bench()
    async with RecordingReceiver() as receiver:
        first = a_connected(await bench.open(receiver.port))
        bench.pool.keep(first, asyncio.get_running_loop().time())
        second = a_connected(await bench.open(receiver.port, fresh=fresh))
        assert (second is first) is not fresh
        assert await status_over(second) == 200
        assert bench.places.taken == receiver.connections == count
        second.close()
        await bench.pool.close()


async def test_a_cached_name_is_not_a_step() -> None:
    bench, timing = Bench(), ConnectTimer(asyncio.get_running_loop().time)
    await bench.resolver.look_up("a.example")
    async with RecordingReceiver() as receiver:
        a_connected(await bench.open(receiver.port, timing=timing)).close()
    timings = timing.timings(total=0)
    assert timings.look_up is None
    assert timings.connect is not None


async def test_an_unusable_egress_is_reported_without_an_address() -> None:
    reached = await Bench().open(80, egress=Direct(("2001:db8::1",)))
    assert reached == NoAnswerOutcome(
        AttemptFailure.EGRESS, "no local address of this egress has a route to a.example port 80"
    )


async def test_a_failed_lookup_ends_the_attempt() -> None:
    reached = await Bench(resolver=a_resolver("10.0.0.1")).open(80)
    assert isinstance(reached, NoAnswerOutcome)
    assert reached.failure is AttemptFailure.GUARD


async def test_a_slot_is_free_again_if_connecting_fails() -> None:
    bench = Bench()
    reached = await bench.open(free_port())
    assert isinstance(reached, NoAnswerOutcome)
    assert (reached.failure, bench.places.taken) == (AttemptFailure.CONNECT, 0)


async def test_a_cancelled_caller_leaves_neither_a_connection_nor_a_slot() -> None:
    bench = Bench()
    # The receiver waits for a request, and does not answer the TLS handshake.
    async with RecordingReceiver() as receiver:
        opening = asyncio.create_task(bench.open(receiver.port, tls=True))
        async with asyncio.timeout(10):
            while not receiver.connections:  # noqa: ASYNC110 (no event signals a connection)
                await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await receiver.wait_for_ended(1)
        assert bench.places.taken == 0


async def test_an_idle_connection_makes_room_for_one_to_another_destination() -> None:
    bench = Bench(most=1)
    async with RecordingReceiver() as one, RecordingReceiver() as other:
        first = a_connected(await bench.open(one.port))
        bench.pool.keep(first, asyncio.get_running_loop().time())
        second = a_connected(await bench.open(other.port))
        await one.wait_for_ended(1)
        assert bench.places.taken == 1
        second.close()


def test_waiting_for_a_slot_takes_none_of_the_time_to_connect() -> None:
    async def story(loop: MadeUpTime) -> tuple[float, float]:
        bench = Bench(MadeUpNetwork(lambda _: OK, after=1), most=1)
        first = a_connected(await bench.open(80))
        loop.call_later(3600, first.close)
        timing = ConnectTimer(loop.time)
        limits = Timeouts(connect=5, read=5, total=5)
        a_connected(await bench.open(80, limits=limits, timing=timing)).close()
        return timing.waited, timing.timings(total=0).connect or 0

    assert in_made_up_time(story) == pytest.approx((3600, 1000))


# ---- too slow


async def _never(_: str) -> list[str]:
    await asyncio.Event().wait()
    return []


@pytest.mark.parametrize(
    ("a_bench", "failure", "why"),
    [
        (
            lambda: Bench(resolver=a_resolver(resolve=_never, limit=3600)),
            AttemptFailure.NAME,
            "the name lookup did not finish",
        ),
        (
            lambda: Bench(MadeUpNetwork(lambda _: OK, after=3600)),
            AttemptFailure.CONNECT_TIMEOUT,
            "it did not answer",
        ),
        (
            lambda: Bench(MadeUpNetwork(lambda _: OK, after=1, tls_after=3600)),
            AttemptFailure.CONNECT_TIMEOUT,
            "the TLS handshake did not finish",
        ),
    ],
    ids=["look-up", "connect", "tls"],
)
@pytest.mark.parametrize("total", [60, 5])
def test_a_timeout_is_reported_with_its_step(
    a_bench: Callable[[], Bench], failure: AttemptFailure, why: str, total: float
) -> None:
    async def story(loop: MadeUpTime) -> tuple[Any, float, int]:
        bench = a_bench()
        limits = Timeouts(connect=5, read=5, total=total)
        reached = await bench.open(443, tls=True, limits=limits)
        await bench.resolver.close()
        return reached, loop.elapsed, bench.places.taken

    reached, elapsed, taken = in_made_up_time(story)
    told = failure if total > 5 else AttemptFailure.NO_TIME
    assert reached == NoAnswerOutcome(
        told, f"no connection to a.example port 443 within 5 s: {why}"
    )
    assert (elapsed, taken) == (pytest.approx(5), 0)


async def test_a_proxy_that_is_too_slow_is_named() -> None:
    async def say_nothing(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with RecordingProxy(say_nothing) as it:
        egress = Proxy(HERE, it.port, "user:hunter2")
        reached = await Bench().open(80, egress=egress, limits=Timeouts(0.05, 5, 5))
    assert reached == NoAnswerOutcome(
        AttemptFailure.PROXY_TIMEOUT,
        "no connection to a.example port 80 by a proxy within 0.05 s: the proxy did not answer",
    )


def test_a_process_that_was_stopped_meanwhile_blames_itself() -> None:
    async def story(loop: MadeUpTime) -> Any:
        opening = asyncio.create_task(Bench(MadeUpNetwork(lambda _: OK, after=4)).open(80))
        await all_has_run()
        loop.elapsed += 60
        return await opening

    assert in_made_up_time(story) == NoAnswerOutcome(
        AttemptFailure.SHORTAGE, "the process was suspended, or got no CPU time"
    )


# ---- TLS


async def test_tls_is_a_step_of_its_own(authority: trustme.CA, network: SystemNetwork) -> None:
    bench, timing = Bench(network), ConnectTimer(asyncio.get_running_loop().time)
    async with RecordingReceiver(tls=server_side(authority.issue_cert("a.example"))) as receiver:
        connection = a_connected(await bench.open(receiver.port, tls=True, timing=timing))
        assert await status_over(connection) == 200
        assert timing.timings(total=0).tls is not None
        connection.close()


async def test_a_wrong_certificate_leaves_neither_a_connection_nor_a_slot(
    authority: trustme.CA, network: SystemNetwork
) -> None:
    bench = Bench(network)
    async with RecordingReceiver(tls=server_side(authority.issue_cert("b.example"))) as receiver:
        reached = await bench.open(receiver.port, tls=True)
    assert isinstance(reached, NoAnswerOutcome)
    assert reached.failure is AttemptFailure.CERTIFICATE_NAME
    assert reached.why.startswith(f"no TLS connection to a.example port {receiver.port}: ")
    assert bench.places.taken == 0


def test_a_receiver_that_sends_before_tls_gets_nothing() -> None:
    async def story(loop: MadeUpTime) -> Any:
        network = MadeUpNetwork(lambda _: OK, after=1, greeting=b"220 mail.example ESMTP\r\n")
        reached = await Bench(network).open(443, tls=True)
        return reached, [transport.is_closing() for transport in network.transports]

    reached, closing = in_made_up_time(story)
    assert reached.failure is AttemptFailure.TLS
    assert reached.why.endswith("the receiver sent data before it got a request")
    assert closing == [True]


def test_a_failure_of_tls_closes_the_connection() -> None:
    async def story(loop: MadeUpTime) -> list[bool]:
        old = TlsFailed(AttemptFailure.CERTIFICATE_EXPIRED, "old")
        network = MadeUpNetwork(lambda _: OK, after=1, tls_failure=old)
        await Bench(network).open(443, tls=True)
        return [transport.is_closing() for transport in network.transports]

    assert in_made_up_time(story) == [True]
