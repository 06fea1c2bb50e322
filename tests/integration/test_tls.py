"""TLS: which certificates are trusted, what each side sends, and which files are invalid."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import uvloop

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.runtime.system_clock import SystemClock, stopwatch
from tests.fakes import FakeClock
from tests.receivers import (
    Hang,
    ReceivedRequest,
    RecordingReceiver,
    Reply,
    answer_and_close,
    close_without_answer,
    drip_in_parts,
)
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of
from tests.tls import server_side

LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def sender_with(tls: ClientTls, now: Callable[[], datetime] | None = None) -> HttpTransport:
    return HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        network=SystemNetwork(tls, now=now or SystemClock().now),
        resolve=resolve_to("127.0.0.1"),
    )


@pytest.fixture
async def trusting(ca_file: Path) -> AsyncIterator[HttpTransport]:
    sender = sender_with(ClientTls(ca_files=[ca_file]))
    yield sender
    await sender.close()


class TestAConnection:
    async def test_carries_many_requests(
        self, trusting: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            for host in ("hooks.example", "hooks.example", "hooks.example."):
                exchange = await trusting.send(post(receiver.url(host=host)), limits=LIMITS)
                assert exchange.outcome == DeliveredOutcome(200)
            assert receiver.requests[0].headers[0] == f"Host: hooks.example:{receiver.port}"
            assert receiver.connections == 2, "one connection for each spelling of the host"

    async def test_is_timed(self, trusting: HttpTransport, authority: trustme.CA) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            exchange = await trusting.send(post(url), limits=LIMITS)
            assert exchange.timings is not None
            assert exchange.timings.tls is not None
            assert exchange.local_address == "127.0.0.1"

    async def test_of_an_address_is_verified_too(
        self, trusting: HttpTransport, authority: trustme.CA
    ) -> None:
        async with RecordingReceiver(tls=server_side(authority.issue_cert("127.0.0.1"))) as it:
            exchange = await trusting.send(post(it.url()), limits=LIMITS)
        assert exchange.outcome == DeliveredOutcome(200)

    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    @pytest.mark.parametrize("host", ["hooks.example", "127.0.0.1"])
    async def test_with_a_certificate_for_another_name_is_certificate_name(
        self, trusting: HttpTransport, authority: trustme.CA, host: str, fragment: str
    ) -> None:
        tls = server_side(authority.issue_cert("elsewhere.example"))
        exchange = await self.refused(trusting, tls, host, fragment)
        assert failure_of(exchange) is AttemptFailure.CERTIFICATE_NAME

    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    async def test_with_an_expired_certificate_is_certificate_expired(
        self, trusting: HttpTransport, authority: trustme.CA, fragment: str
    ) -> None:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        tls = server_side(authority.issue_cert("hooks.example", not_after=long_ago))
        exchange = await self.refused(trusting, tls, "hooks.example", fragment)
        assert failure_of(exchange) is AttemptFailure.CERTIFICATE_EXPIRED
        assert why_of(exchange).endswith("certificate has expired")

    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    async def test_with_an_unknown_authority_is_certificate_untrusted(
        self, trusting: HttpTransport, fragment: str
    ) -> None:
        tls = server_side(trustme.CA().issue_cert("hooks.example"))
        exchange = await self.refused(trusting, tls, "hooks.example", fragment)
        assert failure_of(exchange) is AttemptFailure.CERTIFICATE_UNTRUSTED

    async def test_with_a_server_without_tls_is_tls(self, trusting: HttpTransport) -> None:
        async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        assert await failure_of_handshake(trusting, speak_plainly) is AttemptFailure.TLS

    async def test_with_a_server_that_hangs_up_is_tls(self, trusting: HttpTransport) -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        assert await failure_of_handshake(trusting, hang_up) is AttemptFailure.TLS

    async def refused(
        self, sender: HttpTransport, tls: ssl.SSLContext, host: str, fragment: str
    ) -> AttemptResult:
        async with RecordingReceiver(tls=tls) as receiver:
            url = receiver.url("/" + fragment, host=host)
            exchange = await sender.send(post(url), limits=LIMITS)
        assert receiver.requests == []
        assert sender.open_connections == 0
        return exchange


class TestTheNameOfTheHost:
    """The host name that TLS sends before anything is encrypted: SNI."""

    @pytest.mark.parametrize(
        ("fragment", "said"), [("", "hooks.example"), ("#sni=y", "hooks.example"), ("#sni=n", None)]
    )
    @pytest.mark.parametrize("new_loop", LOOPS)
    def test_is_sent_unless_the_url_says_otherwise(
        self,
        authority: trustme.CA,
        ca_file: Path,
        fragment: str,
        said: str | None,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        names = list[str | None]()
        tls = server_side(authority.issue_cert("hooks.example"))
        tls.sni_callback = lambda connection, name, context: names.append(name)

        async def story() -> None:
            sender = sender_with(ClientTls(ca_files=[ca_file]))
            async with RecordingReceiver(tls=tls) as receiver:
                url = receiver.url(f"/{fragment}", host="hooks.example.")
                for _ in range(2):
                    exchange = await sender.send(post(url), limits=LIMITS)
                    assert exchange.outcome == DeliveredOutcome(200)
                assert receiver.connections == 1
            await sender.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(story())
        assert names == [said]

    async def test_sent_and_not_sent_use_different_connections(
        self, trusting: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            for fragment in ("", "#sni=n", "#sni=y", "#sni=n"):
                url = receiver.url(f"/{fragment}", host="hooks.example")
                await trusting.send(post(url), limits=LIMITS)
            assert receiver.connections == 2


class TestALaterConnection:
    """A new connection resumes the TLS session of an earlier one."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        # OpenSSL checks certificates by the real time.
        return FakeClock(SystemClock().now())

    @pytest.fixture
    async def sender(self, ca_file: Path, clock: FakeClock) -> AsyncIterator[HttpTransport]:
        sender = sender_with(ClientTls(ca_files=[ca_file]), now=clock.now)
        yield sender
        await sender.close()

    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("new_loop", LOOPS)
    def test_resumes_the_session(
        self,
        authority: trustme.CA,
        ca_file: Path,
        fragment: str,
        version: ssl.TLSVersion,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        async def story() -> list[bool]:
            sender = sender_with(ClientTls(ca_files=[ca_file]))
            tls = server_side(authority.issue_cert("hooks.example"), version)
            async with RecordingReceiver(tls=tls) as receiver:
                url = receiver.url(f"/{fragment}", host="hooks.example")
                for _ in range(3):
                    assert await self.failure(sender, url) is None
                await sender.close()
            return receiver.resumed

        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(story()) == [False, True, True]

    @pytest.mark.parametrize("new_loop", LOOPS)
    def test_resumes_a_session_of_its_own_if_there_are_several_at_once(
        self,
        authority: trustme.CA,
        ca_file: Path,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        async def story() -> list[bool]:
            sender = sender_with(ClientTls(ca_files=[ca_file]))
            tls = server_side(authority.issue_cert("hooks.example"))
            async with RecordingReceiver(*[unanswered := Hang()] * 20, tls=tls) as receiver:
                url = receiver.url(host="hooks.example")
                for number in (20, 40):
                    sends = asyncio.gather(*(self.failure(sender, url) for _ in range(20)))
                    await receiver.wait_for(number)
                    unanswered.release()
                    assert set(await sends) == {None}
                await sender.close()
            return receiver.resumed

        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(story()) == [False] * 20 + [True] * 20

    async def test_gets_no_session_that_another_one_got_of_a_connection_with_many_requests(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            for _ in range(3):
                await sender.send(post(url), limits=LIMITS)
            await asyncio.gather(self.failure(sender, url), self.failure(sender, url))
        assert receiver.resumed[0] is False
        assert sorted(receiver.resumed[1:]) == [False, True]

    async def test_does_not_resume_the_session_of_a_connection_that_never_answered(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(close_without_answer, tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            assert await self.failure(sender, url) is AttemptFailure.CLOSED
            assert await self.failure(sender, url) is None
        assert receiver.resumed == [False, False]

    async def test_resumes_the_session_of_a_connection_that_ended_with_its_answer(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(answer_and_close(answer), tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            for _ in range(2):
                assert await self.failure(sender, url) is None
        assert receiver.resumed == [False, True]

    async def test_with_another_name_or_sni_choice_does_not_resume_it(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example", "other.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            for url in (
                receiver.url(host="hooks.example"),
                receiver.url(host="other.example"),
                receiver.url("/#sni=n", host="hooks.example"),
            ):
                assert await self.failure(sender, url) is None
            assert receiver.resumed == [False, False, False]
            assert await self.failure(sender, receiver.url(host="other.example")) is None
            assert receiver.resumed[3:] == [True]

    async def test_with_another_client_certificate_does_not_resume_it(
        self, sender: HttpTransport, authority: trustme.CA, ca_file: Path, tmp_path: Path
    ) -> None:
        issued = authority.issue_cert("sender.example").private_key_and_cert_chain_pem
        issued.write_to_path(str(tmp_path / "client.pem"))
        tls = server_side(authority.issue_cert("hooks.example"))
        tls.verify_mode = ssl.CERT_OPTIONAL
        authority.configure_trust(tls)
        both = ClientTls(ca_files=[ca_file], client_certificate=tmp_path / "client.pem")
        other = sender_with(both)
        async with RecordingReceiver(tls=tls) as receiver:
            for one in (sender, other, sender, other):
                assert await self.failure(one, receiver.url(host="hooks.example")) is None
            await other.close()
        assert receiver.resumed == [False, False, True, True]

    async def test_does_not_resume_it_after_its_time(
        self, sender: HttpTransport, authority: trustme.CA, clock: FakeClock
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            for minutes in (0, 6, 6, 6):
                clock.advance(timedelta(minutes=minutes))
                assert await self.failure(sender, receiver.url(host="hooks.example")) is None
        assert receiver.resumed == [False, True, False, True]

    async def test_is_made_with_a_full_handshake_if_the_receiver_has_forgotten_it(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        port = 0
        for resumed in ([False, True], [False, True]):
            tls = server_side(authority.issue_cert("hooks.example"))
            async with RecordingReceiver(tls=tls, port=port) as receiver:
                port = receiver.port
                for _ in range(2):
                    assert await self.failure(sender, receiver.url(host="hooks.example")) is None
            assert receiver.resumed == resumed

    async def test_is_refused_if_the_receiver_has_an_untrusted_certificate_meanwhile(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls) as receiver:
            assert await self.failure(sender, receiver.url(host="hooks.example")) is None
        tls = server_side(trustme.CA().issue_cert("hooks.example"))
        async with RecordingReceiver(tls=tls, port=receiver.port) as other:
            failure = await self.failure(sender, receiver.url(host="hooks.example"))
        assert failure is AttemptFailure.CERTIFICATE_UNTRUSTED
        assert other.connections == 0

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_notices_a_changed_certificate_after_its_time_even_if_the_session_is_still_known(
        self,
        sender: HttpTransport,
        authority: trustme.CA,
        clock: FakeClock,
        version: ssl.TLSVersion,
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"), version)
        async with RecordingReceiver(tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            assert await self.failure(sender, url) is None
            trustme.CA().issue_cert("hooks.example").configure_cert(tls)
            clock.advance(timedelta(minutes=9))
            assert await self.failure(sender, url) is None
            clock.advance(timedelta(minutes=1))
            assert await self.failure(sender, url) is AttemptFailure.CERTIFICATE_UNTRUSTED
        assert receiver.resumed == [False, True]

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("new_loop", LOOPS)
    def test_is_made_again_without_it_if_the_receiver_fails(
        self,
        authority: trustme.CA,
        ca_file: Path,
        version: ssl.TLSVersion,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        offers = list[bool | None]()

        def fail_if_resumed(tls: ssl.SSLObject, name: str | None, _: object) -> int | None:
            offers.append(tls.session_reused)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if tls.session_reused else None

        async def story() -> list[bool]:
            sender = sender_with(ClientTls(ca_files=[ca_file]))
            tls = server_side(authority.issue_cert("hooks.example"), version)
            tls.sni_callback = fail_if_resumed
            async with RecordingReceiver(tls=tls) as receiver:
                for _ in range(3):
                    assert await self.failure(sender, receiver.url(host="hooks.example")) is None
                assert sender.open_connections == 3
                await sender.close()
            return receiver.resumed

        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(story()) == [False] * 3
        assert offers == [False, True, False, False]

    async def test_offers_none_if_the_last_handshake_with_an_offer_took_too_long(
        self, sender: HttpTransport, authority: trustme.CA
    ) -> None:
        tls = server_side(authority.issue_cert("hooks.example"))
        async with RecordingReceiver(*[unanswered := Hang()] * 2, tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            sends = asyncio.gather(self.failure(sender, url), self.failure(sender, url))
            await receiver.wait_for(2)
            unanswered.release()
            await sends
        # It waits for a request, and does not answer the handshake.
        async with RecordingReceiver(port=receiver.port):
            failure = await self.failure(sender, url, Timeouts(connect=0.05, read=5, total=10))
            assert failure is AttemptFailure.CONNECT_TIMEOUT
        async with RecordingReceiver(tls=tls, port=receiver.port) as again:
            assert await self.failure(sender, url) is None
        assert again.resumed == [False]

    async def failure(
        self, sender: HttpTransport, url: str, limits: Timeouts = LIMITS
    ) -> AttemptFailure | None:
        return failure_of(await sender.send(post(url), limits=limits, fresh=True))


class TestTheClientCertificate:
    """For receivers that authenticate their clients."""

    @pytest.fixture
    def asking(self, authority: trustme.CA) -> ssl.SSLContext:
        context = server_side(authority.issue_cert("hooks.example"))
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        return context

    @pytest.fixture
    def certificate(self, authority: trustme.CA, tmp_path: Path) -> Path:
        issued = authority.issue_cert("sender.example")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / "client.key"))
        return tmp_path / "client.pem"

    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    async def test_is_sent_to_receivers_that_request_it(
        self, asking: ssl.SSLContext, ca_file: Path, certificate: Path, fragment: str
    ) -> None:
        tls = ClientTls(
            ca_files=[ca_file],
            client_certificate=certificate,
            client_key=certificate.with_suffix(".key"),
        )
        sender = sender_with(tls)
        async with RecordingReceiver(tls=asking) as receiver:
            url = receiver.url(f"/{fragment}", host="hooks.example")
            assert (await sender.send(post(url), limits=LIMITS)).outcome == DeliveredOutcome(200)
            await sender.close()

    @pytest.mark.parametrize("new_loop", LOOPS)
    def test_that_is_missing_is_tls(
        self,
        asking: ssl.SSLContext,
        ca_file: Path,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        is_over = threading.Event()

        # asyncio's servers hang up without an alert if they reject a certificate.
        def serve(server: socket.socket) -> None:
            plain = server.accept()[0]
            with asking.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as it:
                with pytest.raises(ssl.SSLError):
                    it.do_handshake()
                is_over.wait(timeout=10)

        async def story(port: int) -> AttemptResult:
            sender = sender_with(ClientTls(ca_files=[ca_file]))
            url = f"https://hooks.example:{port}/"
            exchange = await sender.send(post(url), limits=LIMITS)
            await sender.close()
            return exchange

        with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as threads:
            served = threads.submit(serve, server)
            with asyncio.Runner(loop_factory=new_loop) as runner:
                exchange = runner.run(story(server.getsockname()[1]))
            is_over.set()
            served.result()
        assert failure_of(exchange) is AttemptFailure.TLS
        assert "the receiver requires a client certificate, and got none" in why_of(exchange)
        assert "certificate required" in why_of(exchange)


class TestAFileOfAuthorities:
    async def test_may_be_one_of_several(
        self, authority: trustme.CA, ca_file: Path, tmp_path: Path
    ) -> None:
        other = trustme.CA()
        other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
        sender = sender_with(ClientTls(ca_files=[ca_file, tmp_path / "other.pem"]))
        for signer in (authority, other):
            tls = server_side(signer.issue_cert("hooks.example"))
            async with RecordingReceiver(tls=tls) as receiver:
                url = receiver.url(host="hooks.example")
                assert (await sender.send(post(url), limits=LIMITS)).outcome == DeliveredOutcome(
                    200
                )
        await sender.close()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_request_after_a_handshake_does_not_wait_for_an_acknowledgement(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    class Silent(asyncio.BufferedProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

    async def story() -> int:
        protocol = Silent()
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            await SystemNetwork().connect(
                protocol, address="127.0.0.1", port=port, local_address=None
            )
            sock = protocol.transport.get_extra_info("socket")
            option = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            protocol.transport.close()
        return option

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(story()) != 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("new_loop", LOOPS)
def test_answers_read_into_one_buffer_do_not_mix(
    authority: trustme.CA,
    ca_file: Path,
    scheme: str,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    tls = server_side(authority.issue_cert("hooks.example")) if scheme == "https" else None
    bodies = [b"%d:" % number + b"x" * (700 * number) for number in range(90)]

    def echo(request: ReceivedRequest) -> Reply:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body)
        return drip_in_parts(head + request.body, of=4000)

    async def story() -> list[bytes | None]:
        sender = sender_with(ClientTls(ca_files=[ca_file]))
        async with RecordingReceiver(answer=echo, tls=tls) as receiver:
            url = receiver.url(host="hooks.example")
            sends = [sender.send(post(url, body), limits=LIMITS) for body in bodies]
            exchanges = await asyncio.gather(*sends)
        await sender.close()
        return [exchange.response and exchange.response.body for exchange in exchanges]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(story()) == bodies


async def failure_of_handshake(
    sender: HttpTransport,
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AttemptFailure | None:
    server = await asyncio.start_server(behave, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    exchange = await sender.send(post(f"https://127.0.0.1:{port}/"), limits=LIMITS)
    server.close()
    return failure_of(exchange)
