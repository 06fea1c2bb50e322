"""Destinations with their own ways: client certificates, authorities and egress routes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import uvloop

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.egress_routes import Direct, Egresses
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.http_client import tls as tls_module
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.runtime.system_clock import stopwatch
from tests.receivers import RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of
from tests.tls import pem_text, server_side

HOST = "hooks.example"
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
EGRESSES = Egresses(
    {Source.KORE: Direct(("127.0.0.2",))},
    {"dublin": Direct(("127.0.0.3",)), "paris": Direct(("127.0.0.4",))},
)


@dataclass(frozen=True)
class World:
    """The certification authority that the sender and its receivers trust."""

    authority: trustme.CA
    folder: Path

    def profile(
        self, name: str, *, issuer: trustme.CA | None = None, kind: trustme.KeyType | None = None
    ) -> ConnectionProfile:
        """Return a profile with a new client certificate for this name."""
        issued = self._issued(name, issuer, kind)
        text = pem_text(*issued.cert_chain_pems, issued.private_key_pem)
        return ConnectionProfile(client_certificate=text)

    def receiver(self, version: ssl.TLSVersion = TLS_1_3) -> RecordingReceiver:
        """Return a receiver that asks for client certificates, and also accepts clients without."""
        context = server_side(self.authority.issue_cert(HOST), version)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.authority.configure_trust(context)
        return RecordingReceiver(tls=context)

    def sender(
        self,
        *,
        own: str | None = None,
        kind: trustme.KeyType | None = None,
        remember_names: float = 5,
    ) -> HttpTransport:
        """Return a sender; the server-wide client certificate is for the name `own`."""
        ca, certificate = self.folder / "ca.pem", self.folder / "own.pem"
        self.authority.cert_pem.write_to_path(str(ca))
        if own is not None:
            both = self._issued(own, None, kind).private_key_and_cert_chain_pem
            both.write_to_path(str(certificate))
        return HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            egresses=EGRESSES,
            network=SystemNetwork(
                ClientTls(ca_files=[ca], client_certificate=None if own is None else certificate)
            ),
            resolve=resolve_to("127.0.0.1"),
            remember_names=remember_names,
        )

    def _issued(
        self, name: str, issuer: trustme.CA | None, kind: trustme.KeyType | None
    ) -> trustme.LeafCert:
        key_type = kind or trustme.KeyType.ECDSA
        return (issuer or self.authority).issue_cert(
            "sender.example", common_name=name, key_type=key_type
        )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def world(authority: trustme.CA, tmp_path: Path) -> World:
    return World(authority, tmp_path)


@pytest.fixture
async def sender(world: World) -> AsyncIterator[HttpTransport]:
    sender = world.sender()
    yield sender
    await sender.close()


async def send(
    sender: HttpTransport, url: str, profile: ConnectionProfile = NO_PROFILE, *, fresh: bool = False
) -> AttemptResult:
    return await sender.send(post(url, profile=profile), limits=LIMITS, fresh=fresh)


async def delivered(
    sender: HttpTransport, url: str, *profiles: ConnectionProfile, fresh: bool = False
) -> None:
    for profile in profiles:
        exchange = await send(sender, url, profile, fresh=fresh)
        assert exchange.outcome == DeliveredOutcome(200)


class TestTheClientCertificate:
    @pytest.mark.parametrize("fragment", ["", "#sni=n"])
    @pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
    @pytest.mark.parametrize(
        "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    def test_is_shown_by_connections_that_no_other_destination_uses(
        self,
        world: World,
        fragment: str,
        version: ssl.TLSVersion,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        meters, lifts = world.profile("meters"), world.profile("lifts")

        async def story() -> list[str | None]:
            sender = world.sender()
            async with world.receiver(version) as receiver:
                url = receiver.url(f"/{fragment}", host=HOST)
                profiles = (meters, NO_PROFILE, lifts)
                await delivered(sender, url, *profiles, *profiles)
                await sender.close()
            assert len(receiver.requests) == 6
            return receiver.client_names

        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(story()) == ["meters", None, "lifts"]

    async def test_is_also_that_of_an_idle_connection(
        self, world: World, sender: HttpTransport
    ) -> None:
        meters, lifts = world.profile("meters"), world.profile("lifts")
        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)
            await delivered(sender, url, meters)
            ended = asyncio.get_running_loop().create_future()
            how = {"limits": LIMITS, "ended": ended.set_result}
            assert not sender.try_send(post(url), **how)
            assert not sender.try_send(post(url, profile=lifts), **how)
            assert sender.try_send(post(url, profile=meters), **how)
            assert (await ended).outcome == DeliveredOutcome(200)
            assert receiver.client_names == ["meters"]

    async def test_is_new_right_after_a_change(self, world: World, sender: HttpTransport) -> None:
        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)
            await delivered(sender, url, *(world.profile(name) for name in ("old", "new", "newer")))
            assert receiver.client_names == ["old", "new", "newer"]

    async def test_is_the_servers_own_without_a_profile(self, world: World) -> None:
        sender = world.sender(own="everybody")
        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)
            only_ca = ConnectionProfile(ca=pem_text(trustme.CA().cert_pem))
            await delivered(sender, url, NO_PROFILE, only_ca, world.profile("meters"))
            await sender.close()
            assert receiver.client_names == ["everybody", "everybody", "meters"]

    @pytest.mark.parametrize("own", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
    @pytest.mark.parametrize("kind", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
    async def test_is_never_the_servers_own_in_its_place(
        self, world: World, own: trustme.KeyType, kind: trustme.KeyType
    ) -> None:
        sender = world.sender(own="everybody", kind=own)
        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)
            await delivered(sender, url, world.profile("meters", kind=kind))
            await sender.close()
            assert receiver.client_names == ["meters"]

    async def test_that_is_unusable_fails_before_anything_is_sent(
        self, world: World, sender: HttpTransport
    ) -> None:
        async with world.receiver() as receiver:
            profile = ConnectionProfile(client_certificate="a secret that is no PEM")
            exchange = await send(sender, receiver.url(host=HOST), profile)
        assert failure_of(exchange) is AttemptFailure.TLS
        assert why_of(exchange) == (
            f"no TLS connection to {HOST} port {receiver.port}: the client certificate of the"
            " destination has no certificate in PEM; give it, too, with its line -----BEGIN …-----"
        )
        assert receiver.requests == []
        assert sender.open_connections == 0


class TestALaterConnection:
    @pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
    async def test_resumes_only_sessions_with_its_own_certificate(
        self, world: World, sender: HttpTransport, version: ssl.TLSVersion
    ) -> None:
        meters, lifts = world.profile("meters"), world.profile("lifts")
        async with world.receiver(version) as receiver:
            url = receiver.url(host=HOST)
            profiles = (meters, lifts, NO_PROFILE)
            await delivered(sender, url, *profiles, *profiles, fresh=True)
            await delivered(sender, url, world.profile("meters"), fresh=True)
        assert receiver.resumed == [False, False, False, True, True, True, False]
        assert receiver.client_names == ["meters", "lifts", None, "meters", "lifts", None, "meters"]

    async def test_does_a_full_handshake_if_its_context_was_made_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls_module, "_MOST_CONTEXTS", 1)
        sender, meters, lifts = world.sender(), world.profile("meters"), world.profile("lifts")
        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)
            await delivered(sender, url, meters, lifts, meters, meters, fresh=True)
            await sender.close()
        assert receiver.resumed == [False, False, False, True]


class TestTheAuthorities:
    async def test_are_trusted_for_this_destination_only(
        self, world: World, sender: HttpTransport
    ) -> None:
        theirs = trustme.CA()
        own = ConnectionProfile(ca=pem_text(theirs.cert_pem))
        other = ConnectionProfile(ca=pem_text(trustme.CA().cert_pem))
        async with RecordingReceiver(tls=server_side(theirs.issue_cert(HOST))) as receiver:
            url = receiver.url(host=HOST)
            await delivered(sender, url, own)
            for profile in (NO_PROFILE, other):
                exchange = await send(sender, url, profile)
                assert failure_of(exchange) is AttemptFailure.CERTIFICATE_UNTRUSTED
            await delivered(sender, url, own)
            assert receiver.connections == 1

    async def test_are_added_to_those_of_the_server(
        self, world: World, sender: HttpTransport
    ) -> None:
        own = ConnectionProfile(ca=pem_text(trustme.CA().cert_pem))
        async with world.receiver() as receiver:
            await delivered(sender, receiver.url(host=HOST), own)


class TestTheEgress:
    @pytest.mark.parametrize(
        ("fragment", "egress", "client"),
        [
            ("", None, "127.0.0.2"),
            ("", "dublin", "127.0.0.3"),
            ("", "gone", "127.0.0.2"),
            ("#e=paris", "dublin", "127.0.0.4"),
            ("#e=gone", "dublin", "127.0.0.3"),
        ],
    )
    async def test_is_the_urls_or_the_profiles_or_the_sources(
        self, sender: HttpTransport, fragment: str, egress: str | None, client: str
    ) -> None:
        async with RecordingReceiver() as receiver:
            url, profile = receiver.url(f"/{fragment}"), ConnectionProfile(egress=egress)
            await delivered(sender, url, profile, profile)
            ended = asyncio.get_running_loop().create_future()
            request = post(url, profile=profile)
            assert sender.try_send(request, limits=LIMITS, ended=ended.set_result)
            assert (await ended).local_address == client
            assert receiver.clients == [client]

    async def test_of_several_destinations_is_not_mixed_up(self, sender: HttpTransport) -> None:
        profiles = [ConnectionProfile(egress=name) for name in ("dublin", "paris", None)]
        async with RecordingReceiver() as receiver:
            await delivered(sender, receiver.url(), *profiles, *profiles)
            assert receiver.clients == ["127.0.0.3", "127.0.0.4", "127.0.0.2"]


class TestAProfileThatChangesWhileItsConnectionIsOpened:
    @pytest.mark.parametrize("changes", [1, 2])
    async def test_gets_another_connection(
        self, world: World, sender: HttpTransport, changes: int
    ) -> None:
        old, *newer = (world.profile(name) for name in ("old", "new", "newest")[: changes + 1])
        upcoming = [*newer, newer[-1]]

        async with world.receiver() as receiver:
            url = receiver.url(host=HOST)

            def anew() -> OutgoingRequest:
                return post(url, profile=upcoming.pop(0))

            exchange = await sender.send(post(url, profile=old), limits=LIMITS, anew=anew)
            assert exchange.outcome == DeliveredOutcome(200)
            assert receiver.client_names == ["old", "new", "newest"][: changes + 1]
            assert len(receiver.requests) == 1
            assert sender.open_connections == 1
            await delivered(sender, url, newer[-1])
            assert len(receiver.client_names) == changes + 1

    async def test_in_its_headers_keeps_its_connection(self, sender: HttpTransport) -> None:
        async with RecordingReceiver() as receiver:
            url = receiver.url()
            other = ConnectionProfile((("X-Team", "meters"),))
            await sender.send(post(url), limits=LIMITS, anew=lambda: post(url, profile=other))
            assert receiver.connections == 1

    async def test_gives_back_a_connection_that_others_can_use(self, world: World) -> None:
        sender, dublin = world.sender(remember_names=0), ConnectionProfile(egress="dublin")
        async with RecordingReceiver() as receiver:
            url = receiver.url()
            await delivered(sender, url, NO_PROFILE)
            # The name is looked up, so the idle connection is found after that.
            await sender.send(post(url), limits=LIMITS, anew=lambda: post(url, profile=dublin))
            await delivered(sender, url, NO_PROFILE, dublin)
            await sender.close()
            assert receiver.clients == ["127.0.0.2", "127.0.0.3"]
