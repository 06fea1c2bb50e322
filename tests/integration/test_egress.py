"""How requests leave: from which local address, and in which turn."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ringback.core.http.allowed_addresses import ANYWHERE, LOOPBACK
from ringback.core.http.egress_routes import Direct, Egresses
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpTransport
from ringback.runtime.system_clock import stopwatch
from tests.networks import WatchedNetwork
from tests.receivers import RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of

FIXED = Direct(("127.0.0.9",))
POOL = Direct(("127.0.0.2", "127.0.0.3"))
EGRESSES = Egresses(
    by_source={Source.TWILIO: FIXED, Source.KORE: POOL},
    named={"dublin": Direct(("127.0.0.4",)), "ashburn": Direct(("127.0.0.5",))},
)


@pytest.fixture
async def sender() -> AsyncIterator[HttpTransport]:
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), egresses=EGRESSES)
    yield sender
    await sender.close()


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver


def from_source(source: Source | None, url: str) -> OutgoingRequest:
    return replace(post(url), source=source)


class TestASource:
    async def test_leaves_from_its_own_address(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        request = from_source(Source.TWILIO, receiver.url())
        exchange = await sender.send(request, limits=LIMITS)
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.local_address == "127.0.0.9"
        assert receiver.clients == ["127.0.0.9"]

    async def test_with_a_pool_leaves_from_each_address_in_turn(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        request = from_source(Source.KORE, receiver.url())
        exchanges = [await sender.send(request, limits=LIMITS) for _ in range(6)]
        locals_ = [exchange.local_address for exchange in exchanges]
        assert locals_ == ["127.0.0.2", "127.0.0.3"] * 3
        assert receiver.clients == ["127.0.0.2", "127.0.0.3"], "connections are still kept"

    async def test_does_not_take_part_in_the_turns_of_another(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        for _ in range(2):
            await sender.send(from_source(Source.TWILIO, receiver.url()), limits=LIMITS)
            await sender.send(from_source(Source.KORE, receiver.url()), limits=LIMITS)
        assert receiver.clients == ["127.0.0.9", "127.0.0.2", "127.0.0.3"]

    async def test_without_an_egress_leaves_as_the_machine_chooses(
        self, receiver: RecordingReceiver
    ) -> None:
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
        exchange = await sender.send(from_source(Source.KORE, receiver.url()), limits=LIMITS)
        assert exchange.local_address == "127.0.0.1"
        assert exchange.proxy is None
        await sender.close()


class TestANameInTheUrl:
    async def test_takes_its_turn_with_the_others(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        request = from_source(Source.TWILIO, receiver.url("/#e=dublin,ashburn"))
        for turn in range(3):
            await sender.send(request, limits=LIMITS, turn=turn)
        assert receiver.clients == ["127.0.0.4", "127.0.0.5"]

    async def test_that_is_not_defined_leaves_by_the_sources_own_way(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        request = from_source(Source.TWILIO, receiver.url("/#e=unheard-of"))
        await sender.send(request, limits=LIMITS)
        assert receiver.clients == ["127.0.0.9"]


class TestALocalAddress:
    @staticmethod
    def sender_from(
        *addresses: str, to: tuple[str, ...] = ("127.0.0.1",), network: WatchedNetwork | None = None
    ) -> HttpTransport:
        return HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(ANYWHERE),
            egresses=Egresses(by_source={Source.KORE: Direct(addresses)}),
            resolve=resolve_to(*to),
            network=network,
        )

    async def test_that_this_machine_does_not_have_is_egress(
        self, receiver: RecordingReceiver
    ) -> None:
        sender = self.sender_from("192.0.2.77")
        exchange = await sender.send(post(receiver.url(host="hooks.example")), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.EGRESS
        assert why_of(exchange) == (
            f"could not connect to hooks.example port {receiver.port} (its egress"
            " can't be used: Cannot assign requested address)"
        )
        assert receiver.connections == 0
        assert sender.open_connections == 0

    async def test_is_not_used_for_the_other_family(self) -> None:
        network = WatchedNetwork()
        sender = self.sender_from("127.0.0.2", to=("2001:db8::1",), network=network)
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.EGRESS
        assert why_of(exchange) == (
            "no local address of this egress has a route to hooks.example port 80"
        )
        assert network.connected == []

    async def test_is_used_with_the_next_address_of_its_family(
        self, receiver: RecordingReceiver
    ) -> None:
        sender = self.sender_from("127.0.0.2", to=("2001:db8::1", "127.0.0.1"))
        exchange = await sender.send(post(receiver.url(host="hooks.example")), limits=LIMITS)
        assert exchange.outcome == DeliveredOutcome(200)
        await sender.close()

    async def test_of_each_family_is_used_for_its_own(self) -> None:
        network = WatchedNetwork()
        to = ("2001:db8::1", "198.51.100.1")
        sender = self.sender_from("192.0.2.1", "2001:db8::9", to=to, network=network)
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.CONNECT
        assert network.left_from == ["2001:db8::9", "192.0.2.1"]
