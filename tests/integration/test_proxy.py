"""Sending through an HTTP proxy: the requests to it, and how its failures are classified."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.egress_routes import Egresses, read_egress
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.runtime.system_clock import stopwatch
from tests.networks import WatchedNetwork
from tests.proxies import ESTABLISHED, RecordingProxy, Refusal
from tests.receivers import OK, RecordingReceiver, reset
from tests.sending import LIMITS, failure_of, post, why_of
from tests.tls import server_side

SHORT = Timeouts(connect=0.05, read=5, total=5)


def sender_through(
    proxy: str, *, network: WatchedNetwork | None = None, tls: ClientTls | None = None
) -> HttpTransport:
    async def resolve(host: str) -> list[str]:
        addresses = {"private.example": ["10.0.0.7"], "two.example": ["127.0.0.9", "127.0.0.1"]}
        return addresses.get(host, ["127.0.0.1"])

    return HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        egresses=Egresses(by_source={Source.KORE: read_egress(proxy)}),
        network=network or SystemNetwork(tls),
        resolve=resolve,
    )


def through(proxy: RecordingProxy) -> HttpTransport:
    return sender_through(f"http://proxy.example:{proxy.port}")


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver


async def never_answer(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


class TestARequest:
    async def test_goes_to_the_looked_up_address_and_not_to_a_name(
        self, receiver: RecordingReceiver
    ) -> None:
        async with RecordingProxy() as proxy:
            sender = through(proxy)
            exchange = await sender.send(
                post(receiver.url("/hook", host="hooks.example")), limits=LIMITS
            )
            assert exchange.outcome == DeliveredOutcome(200)
            assert proxy.heads == [
                b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
                % (receiver.port, receiver.port)
            ]
            assert receiver.requests[0].line == "POST /hook HTTP/1.1"
            assert receiver.requests[0].headers[0] == f"Host: hooks.example:{receiver.port}"
            await sender.close()

    async def test_shares_its_tunnel_with_the_next(self, receiver: RecordingReceiver) -> None:
        async with RecordingProxy() as proxy:
            sender = through(proxy)
            for _ in range(3):
                exchange = await sender.send(post(receiver.url()), limits=LIMITS)
                assert exchange.outcome == DeliveredOutcome(200)
            assert len(proxy.heads) == 1
            assert receiver.connections == 1
            await sender.close()

    async def test_does_not_share_a_connection_with_a_direct_request(
        self, receiver: RecordingReceiver
    ) -> None:
        async with RecordingProxy() as proxy:
            sender = HttpTransport(
                stopwatch=stopwatch,
                guard=SsrfGuard(LOOPBACK),
                egresses=Egresses(named={"p": read_egress(f"http://127.0.0.1:{proxy.port}")}),
            )
            for path in ("/", "/#e=p", "/", "/#e=p"):
                await sender.send(post(receiver.url(path)), limits=LIMITS)
            assert receiver.connections == 2
            await sender.close()

    async def test_is_recorded_with_its_proxy_and_the_steps(
        self, receiver: RecordingReceiver
    ) -> None:
        async with RecordingProxy() as proxy:
            sender = sender_through(f"http://user:hunter2@127.0.0.1:{proxy.port}")
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert exchange.proxy == f"http://127.0.0.1:{proxy.port}"
            assert exchange.local_address == "127.0.0.1"
            assert exchange.timings is not None
            assert exchange.timings.connect is not None
            await sender.close()

    async def test_authenticates_to_the_proxy_only(self, receiver: RecordingReceiver) -> None:
        async with RecordingProxy() as proxy:
            sender = sender_through(f"http://user:hunter2@127.0.0.1:{proxy.port}")
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert b"\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n" in proxy.heads[0]
            assert b"dXNlcjpodW50ZXIy" not in receiver.requests[0].raw
            assert "hunter2" not in repr(exchange)
            await sender.close()

    @pytest.mark.parametrize(
        "established",
        [
            b"HTTP/1.0 200 Connection established\r\n\r\n",
            b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 299 Odd\nX: y\n\n",
        ],
    )
    async def test_accepts_any_success_status(
        self, receiver: RecordingReceiver, established: bytes
    ) -> None:
        async with RecordingProxy(established=established) as proxy:
            sender = through(proxy)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert exchange.outcome == DeliveredOutcome(200)
            await sender.close()


class TestTheGuard:
    @pytest.mark.parametrize("host", ["private.example", "10.0.0.7"])
    async def test_checks_the_receiver_before_the_proxy_gets_its_address(self, host: str) -> None:
        async with RecordingProxy() as proxy:
            sender = HttpTransport(
                stopwatch=stopwatch,
                egresses=Egresses(
                    by_source={Source.KORE: read_egress(f"http://127.0.0.1:{proxy.port}")}
                ),
                resolve=lambda host: _just("10.0.0.7"),
            )
            exchange = await sender.send(post(f"http://{host}/"), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.GUARD
            assert proxy.heads == []

    async def test_trusts_the_address_of_the_proxy(self) -> None:
        network = WatchedNetwork()
        sender = HttpTransport(
            stopwatch=stopwatch,
            egresses=Egresses(by_source={Source.KORE: read_egress("http://10.0.0.1:3128")}),
            resolve=lambda host: _just("10.0.0.1" if host == "10.0.0.1" else "198.0.0.1"),
            network=network,
        )
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.PROXY
        assert network.connected == [("10.0.0.1", 3128)]


async def _just(address: str) -> list[str]:
    return [address]


class TestAProxyThatFails:
    async def test_to_connect_is_proxy(
        self, receiver: RecordingReceiver, unused_tcp_port: int
    ) -> None:
        sender = sender_through(f"http://u:hunter2@127.0.0.1:{unused_tcp_port}")
        exchange = await sender.send(post(receiver.url()), limits=LIMITS)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.PROXY,
            f"no connection to 127.0.0.1 port {receiver.port}: could not connect to the proxy"
            " (Connection refused)",
        )
        assert exchange.proxy == f"http://127.0.0.1:{unused_tcp_port}"

    async def test_to_resolve_is_proxy(self, receiver: RecordingReceiver) -> None:
        async def resolve(host: str) -> list[str]:
            return [] if host == "proxy.example" else ["127.0.0.1"]

        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            egresses=Egresses(by_source={Source.KORE: read_egress("http://proxy.example:3128")}),
            resolve=resolve,
        )
        exchange = await sender.send(post(receiver.url()), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.PROXY
        assert why_of(exchange).endswith("the proxy's name could not be looked up")

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (b"HTTP/1.1 407 Who?\r\n\r\n", "407 Proxy Authentication Required"),
            (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "403 Forbidden"),
            (b"HTTP/1.0 503 Busy\r\n\r\n", "503 Service Unavailable"),
            (b"HTTP/1.1 502\r\n\r\n", "502 Bad Gateway"),
            (b"HTTP/1.1 302 Go\r\nLocation: http://x/\r\n\r\n", "302 Found"),
            (b"HTTP/1.1 599 Odd\r\n\r\n", "599"),
        ],
    )
    async def test_to_permit_it_is_proxy_refused(
        self, receiver: RecordingReceiver, answer: bytes, words: str
    ) -> None:
        async with RecordingProxy(answer) as proxy:
            sender = through(proxy)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert exchange.outcome == NoAnswerOutcome(
                AttemptFailure.PROXY_REFUSED,
                f"no connection to 127.0.0.1 port {receiver.port}: the proxy refused the"
                f" connection: it answered {words}",
            )
            assert receiver.connections == 0
            assert sender.open_connections == 0

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "it is not HTTP/1.1"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "it is not HTTP/1.1"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000, "its head is too long"),
            (ESTABLISHED + OK, "unexpected data came after it"),
        ],
    )
    async def test_to_speak_http_is_proxy(
        self, receiver: RecordingReceiver, answer: bytes, words: str
    ) -> None:
        async with RecordingProxy(answer) as proxy:
            sender = through(proxy)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.PROXY
            assert why_of(exchange).endswith(f"can't be used: {words}")
            assert receiver.connections == 0

    @pytest.mark.parametrize("end", [b"", b"HTTP/1.1 200 OK\r\n", reset])
    async def test_to_answer_before_closing_is_proxy(
        self, receiver: RecordingReceiver, end: Refusal
    ) -> None:
        async with RecordingProxy(end) as proxy:
            sender = through(proxy)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.PROXY
            assert "closed the connection without an answer" in why_of(exchange)

    async def test_to_answer_in_time_is_proxy_timeout(self, receiver: RecordingReceiver) -> None:
        async with RecordingProxy(never_answer) as proxy:
            sender = through(proxy)
            exchange = await sender.send(post(receiver.url()), limits=SHORT)
            assert exchange.outcome == NoAnswerOutcome(
                AttemptFailure.PROXY_TIMEOUT,
                f"no connection to 127.0.0.1 port {receiver.port} by a proxy"
                " within 0.05 s: the proxy did not answer",
            )
            assert sender.open_connections == 0

    async def test_to_reach_one_address_gets_the_next_one(
        self, receiver: RecordingReceiver
    ) -> None:
        async with RecordingProxy(b"HTTP/1.1 502 No\r\n\r\n") as proxy:
            sender = through(proxy)
            url = receiver.url(host="two.example")
            exchange = await sender.send(post(url), limits=LIMITS)
            assert exchange.outcome == DeliveredOutcome(200)
            port = receiver.port
            assert proxy.targets == [f"127.0.0.9:{port}", f"127.0.0.1:{port}"]
            await sender.close()


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def tls(self, authority: trustme.CA, tmp_path: Path) -> ClientTls:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return ClientTls(ca_files=[tmp_path / "ca.pem"])

    async def test_is_with_the_host_although_the_proxy_gets_only_its_address(
        self, authority: trustme.CA, tls: ClientTls
    ) -> None:
        certificate = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=certificate) as receiver, RecordingProxy() as proxy:
            sender = sender_through(f"http://127.0.0.1:{proxy.port}", tls=tls)
            for _ in range(2):
                exchange = await sender.send(
                    post(receiver.url(host="hooks.example")), limits=LIMITS
                )
                assert exchange.outcome == DeliveredOutcome(200)
            assert proxy.targets == [f"127.0.0.1:{receiver.port}"]
            assert receiver.connections == 1
            await sender.close()

    async def test_with_the_wrong_host_is_not_the_proxys_fault(
        self, authority: trustme.CA, tls: ClientTls
    ) -> None:
        certificate = server_side(authority.issue_cert("elsewhere.example"))
        async with RecordingReceiver(tls=certificate) as receiver, RecordingProxy() as proxy:
            sender = sender_through(f"http://127.0.0.1:{proxy.port}", tls=tls)
            url = receiver.url(host="hooks.example")
            exchange = await sender.send(post(url), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.CERTIFICATE_NAME
            assert sender.open_connections == 0

    async def test_that_does_not_begin_is_connect_timeout(
        self, receiver: RecordingReceiver
    ) -> None:
        # The receiver waits for a request, and does not use TLS.
        async with RecordingProxy() as proxy:
            sender = through(proxy)
            url = receiver.url().replace("http:", "https:")
            exchange = await sender.send(post(url), limits=SHORT)
            assert failure_of(exchange) is AttemptFailure.CONNECT_TIMEOUT
            await receiver.wait_for_ended(1)


def test_all_of_it_works_on_uvloop_too(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ClientTls(ca_files=[tmp_path / "ca.pem"])
    certificate = server_side(authority.issue_cert("hooks.example"))

    async def outcomes(begin: Callable[[], RecordingReceiver]) -> list[object]:
        ends = list[object]()
        refusals = (b"HTTP/1.1 403 No\r\n\r\n", ESTABLISHED + OK, b"")
        async with begin() as receiver, RecordingProxy(*refusals) as proxy:
            sender = sender_through(f"http://127.0.0.1:{proxy.port}", tls=tls)
            for _ in range(5):
                url = receiver.url(host="hooks.example")
                exchange = await sender.send(post(url), limits=LIMITS)
                ends.append(failure_of(exchange) or exchange.outcome)
            assert receiver.connections == 1
            await sender.close()
        return ends

    for receiver in (RecordingReceiver, lambda: RecordingReceiver(tls=certificate)):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ends = runner.run(outcomes(receiver))
        failures = [AttemptFailure.PROXY_REFUSED, AttemptFailure.PROXY, AttemptFailure.PROXY]
        assert ends == [*failures, DeliveredOutcome(200), DeliveredOutcome(200)]
