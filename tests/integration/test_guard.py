"""No URL, however it is written, makes the sender connect to a forbidden address."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.runtime.system_clock import stopwatch
from tests.networks import WatchedNetwork
from tests.receivers import RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of

# Names, and the addresses that an attacker's name server gives for them.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "LocalHost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "hooks.localhost": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "private.example": ["10.0.0.7", "192.168.1.1"],
    "metadata.internal.example": ["169.254.169.254"],
    "metadata6.internal.example": ["fd00:ec2::254"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "zoned.example": ["fe80::1%lo"],
    "not-an-address.example": ["127.0.0.1 ", "localhost"],
}

HOSTILE_HOSTS = [
    # This machine, as inet_aton reads it.
    "127.0.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "017700000001",
    "0177.1",
    "0177.0.0.1",
    "0177.0.0x0.1",
    "0",
    "00",
    "0x0",
    "0.0",
    "0.0.0.0",
    "0.0.0.0.",
    # Private, shared and link-local networks, and metadata services of clouds.
    "10.0.0.1",
    "10.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.257",
    "3232235521",
    "0xc0a80001",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xA9FEA9FE",
    "0251.0376.0251.0376",
    "168.63.129.16",
    "192.0.0.192",
    # Reserved addresses.
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    # The same in IPv6.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[4000::1]",
    # IPv4 in IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo.
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    # Names of those addresses.
    *NAMES,
    "localhost.",
]

HOSTILE_URLS = [
    *(f"http://{host}:{{port}}/" for host in HOSTILE_HOSTS),
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://a.example:80@127.0.0.1:{port}/",
    "http://a.example%2F@127.0.0.1:{port}/",
    "http://user@127.0.0.1:{port}/@a.example/",
    "http://127.0.0.1:{port}?@a.example/",
    "http://127.0.0.1:{port}#@a.example/",
    "http://127.0.0.1:0{port}/",
    "http://127.0.0.1:{port}/#sni=n",
    "http://127.0.0.1:{port}/#e=unheard-of",
]

MANGLED_URLS = [
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://[::1:{port}/",
    "http://::1:{port}/",
    "http://127.0.0.1%00.a.example:{port}/",
    "http://127.0.0.1%2ea.example:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127.0.0.1 .a.example:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\n:{port}/",
    "http://127.0.0.1:{port}\\@a.example/",
    "http://a.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:-{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127..1:{port}/",
    "http://.127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x",
    "javascript://127.0.0.1:{port}/",
]


async def believe(host: str) -> list[str]:
    """Look up a host as the most lenient machine would: any text that can be an address is one."""
    host = host.removesuffix(".")
    if host in NAMES:
        return NAMES[host]
    found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


@pytest.fixture
def network() -> WatchedNetwork:
    return WatchedNetwork(SystemNetwork())


@pytest.fixture
async def sender(network: WatchedNetwork) -> AsyncIterator[HttpTransport]:
    sender = HttpTransport(stopwatch=stopwatch, network=network, resolve=believe)
    yield sender
    await sender.close()


class TestAUrl:
    @pytest.mark.parametrize("url", HOSTILE_URLS)
    async def test_of_a_private_address_is_refused_before_any_connection(
        self, sender: HttpTransport, network: WatchedNetwork, url: str
    ) -> None:
        async with RecordingReceiver() as receiver:
            request = post(url.format(port=receiver.port))
            exchanges = [await sender.send(request, limits=LIMITS) for _ in range(2)]
            assert [failure_of(exchange) for exchange in exchanges] == [AttemptFailure.GUARD] * 2
            assert network.connected == []
            assert receiver.connections == 0

    @pytest.mark.parametrize("url", MANGLED_URLS)
    def test_that_is_malformed_is_refused_when_it_is_given(self, url: str) -> None:
        with pytest.raises(InvalidCallbackUrl):
            CallbackUrl.parse(url.format(port=8080))

    @pytest.mark.parametrize("host", ["8.8.8.8", "hooks.example", "[2606:4700::1111]", "134744072"])
    async def test_of_a_public_address_is_connected_to(self, host: str) -> None:
        network = WatchedNetwork()
        sender = HttpTransport(stopwatch=stopwatch, network=network, resolve=resolve_to("8.8.8.8"))
        exchange = await sender.send(post(f"http://{host}/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.CONNECT
        assert network.connected == [("8.8.8.8", 80)]

    @pytest.mark.parametrize(
        ("guard", "why"),
        [
            (
                SsrfGuard(LOOPBACK, schemes=("https",)),
                "callbacks may not go to http URLs; the settings permit https",
            ),
            (
                SsrfGuard(LOOPBACK, ports=(range(1, 2),)),
                "callbacks may not go to port {port}; the settings permit 1",
            ),
        ],
    )
    async def test_of_a_forbidden_scheme_or_port_is_not_even_looked_up(
        self, guard: SsrfGuard, why: str
    ) -> None:
        async with RecordingReceiver() as receiver:
            # There is no lookup that could fail, so only its text can be the reason.
            sender = HttpTransport(stopwatch=stopwatch, guard=guard, resolve=believe)
            exchange = await sender.send(post(receiver.url(host="unheard.example")), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.GUARD
            assert why_of(exchange) == why.format(port=receiver.port)
            assert receiver.connections == 0


class TestAName:
    async def test_of_private_addresses_is_refused_and_only_the_log_shows_them(
        self, sender: HttpTransport, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "ringback")
        exchange = await sender.send(post("http://private.example/"), limits=LIMITS)
        assert why_of(exchange) == (
            "private.example does not lead to a public address; callbacks are sent only"
            " to public addresses and to networks that the settings allow"
        )
        assert caplog.messages == [
            "refused to send callbacks to private.example: its addresses are 10.0.0.7, 192.168.1.1"
        ]

    @pytest.mark.parametrize("name", NAMES)
    async def test_is_never_reported_with_its_addresses(
        self, sender: HttpTransport, name: str
    ) -> None:
        why = why_of(await sender.send(post(f"http://{name}/"), limits=LIMITS))
        assert [address for address in NAMES[name] if address in why.replace(name, "")] == []

    async def test_that_may_be_private_is_reported_without_its_address_if_nothing_listens(
        self, network: WatchedNetwork, unused_tcp_port: int
    ) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            network=network,
            resolve=resolve_to("127.0.0.9"),
        )
        exchange = await sender.send(post(f"http://a.example:{unused_tcp_port}/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.CONNECT
        assert "127.0.0.9" not in why_of(exchange)

    @pytest.mark.parametrize("answers", [("10.0.0.7", "127.0.0.1"), ("127.0.0.1", "10.0.0.7")])
    async def test_of_mixed_addresses_is_connected_to_only_at_the_permitted_ones(
        self, network: WatchedNetwork, answers: tuple[str, str]
    ) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            network=network,
            resolve=resolve_to(*answers),
        )
        async with RecordingReceiver() as receiver:
            for _ in range(2):
                url = receiver.url(host="hooks.example")
                exchange = await sender.send(post(url), limits=LIMITS)
                assert exchange.outcome == DeliveredOutcome(200)
            assert network.connected == [("127.0.0.1", receiver.port)]
            await sender.close()

    async def test_of_mixed_addresses_does_not_fall_back_to_a_refused_one(
        self, network: WatchedNetwork
    ) -> None:
        # 127.0.0.9 is permitted and nobody listens there; 127.0.0.1 is a receiver, and refused.
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard((ip_network("127.0.0.9/32"),)),
            network=network,
            resolve=resolve_to("127.0.0.9", "127.0.0.1"),
        )
        async with RecordingReceiver() as receiver:
            url = receiver.url(host="hooks.example")
            exchange = await sender.send(post(url), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.CONNECT
            assert network.connected == [("127.0.0.9", receiver.port)]

    async def test_that_changes_between_lookups_gains_nothing(
        self, network: WatchedNetwork
    ) -> None:
        # The first answer is permitted here and the second is not; a sender that looked up again to
        # connect would get the second.
        answers = [["127.0.0.1"], ["127.0.0.2"]]

        async def resolve(host: str) -> list[str]:
            return answers.pop(0)

        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard((ip_network("127.0.0.1/32"),)),
            network=network,
            resolve=resolve,
            remember_names=0,
        )
        async with RecordingReceiver() as receiver:
            request = post(receiver.url(host="hooks.example"))
            first = await sender.send(request, limits=LIMITS)
            second = await sender.send(request, limits=LIMITS)
            assert first.outcome == DeliveredOutcome(200)
            assert failure_of(second) is AttemptFailure.GUARD
            assert len(receiver.requests) == 1, (
                "the kept connection does not evade the guard either"
            )
            assert network.connected == [("127.0.0.1", receiver.port)]
            await sender.close()

    async def test_in_the_cache_does_not_lead_to_a_private_address(
        self, network: WatchedNetwork
    ) -> None:
        answers = [["127.0.0.1"], ["10.0.0.7"]]

        async def resolve(host: str) -> list[str]:
            return answers.pop(0)

        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), network=network, resolve=resolve
        )
        async with RecordingReceiver() as receiver:
            request = post(receiver.url(host="hooks.example"))
            for _ in range(3):
                assert (await sender.send(request, limits=LIMITS)).outcome == DeliveredOutcome(200)
            assert answers == [["10.0.0.7"]], "the result comes from the cache"
            assert network.connected == [("127.0.0.1", receiver.port)]
            await sender.close()

    async def test_that_is_refused_is_looked_up_again(self, network: WatchedNetwork) -> None:
        answers = [["10.0.0.7"], ["127.0.0.1"]]

        async def resolve(host: str) -> list[str]:
            return answers.pop(0)

        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), network=network, resolve=resolve
        )
        async with RecordingReceiver() as receiver:
            request = post(receiver.url(host="hooks.example"))
            refused, sent = [await sender.send(request, limits=LIMITS) for _ in range(2)]
            assert failure_of(refused) is AttemptFailure.GUARD
            assert sent.outcome == DeliveredOutcome(200)
            await sender.close()


async def test_looked_up_by_the_machine_is_guarded_too() -> None:
    network = WatchedNetwork(SystemNetwork())
    sender = HttpTransport(stopwatch=stopwatch, network=network)
    hosts = ["localhost", "0x7f.1", "2130706433", "[::1]"]
    async with RecordingReceiver() as receiver:
        urls = [receiver.url(host=host) for host in hosts]
        ends = await asyncio.gather(*(sender.send(post(url), limits=LIMITS) for url in urls))
        assert [failure_of(exchange) for exchange in ends] == [AttemptFailure.GUARD] * 4
        assert network.connected == []
        assert receiver.connections == 0
    await sender.close()
