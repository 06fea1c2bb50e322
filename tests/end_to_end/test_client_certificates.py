"""A receiver that requires client certificates: nginx with `ssl_verify_client on`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, RefusedOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.runtime.system_clock import stopwatch
from tests.end_to_end.nginx import an_asking_nginx
from tests.end_to_end.test_sending import ringback, settled
from tests.end_to_end.test_sending import send as create
from tests.sending import LIMITS, failure_of, post
from tests.served import Served, served
from tests.tls import pem_text


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
async def url(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path
) -> AsyncIterator[str]:
    async with an_asking_nginx(tmp_path, authority, protocol=request.param) as base:
        yield f"{base}/callbacks"


@pytest.fixture
async def sender() -> AsyncIterator[HttpTransport]:
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
    yield sender
    await sender.close()


def a_profile(
    name: str | None, receivers: trustme.CA, *, issuer: trustme.CA | None = None
) -> ConnectionProfile:
    """Return a profile that trusts `receivers`, with a certificate for this name, if there is one.

    The certificate is of `issuer`, or by default of `receivers`.
    """
    ca = pem_text(receivers.cert_pem)
    if name is None:
        return ConnectionProfile(ca=ca)
    issued = (issuer or receivers).issue_cert("sender.example", common_name=name)
    both = pem_text(*issued.cert_chain_pems, issued.private_key_pem)
    return ConnectionProfile(client_certificate=both, ca=ca)


async def send(sender: HttpTransport, url: str, profile: ConnectionProfile) -> AttemptResult:
    return await sender.send(post(url, profile=profile), limits=LIMITS)


def body_of(exchange: AttemptResult) -> str:
    assert exchange.response is not None
    return exchange.response.body.decode()


async def test_the_right_certificate_is_accepted(
    sender: HttpTransport, url: str, authority: trustme.CA
) -> None:
    profile = a_profile("meters", authority)
    for _ in range(2):
        exchange = await send(sender, url, profile)
        assert exchange.outcome == DeliveredOutcome(200)
        assert "CN=meters" in body_of(exchange)


async def test_after_a_change_the_next_request_shows_the_new_certificate(
    sender: HttpTransport, url: str, authority: trustme.CA
) -> None:
    for name in ("old", "new", "newest"):
        assert f"CN={name}" in body_of(await send(sender, url, a_profile(name, authority)))


async def test_no_certificate_is_refused(
    sender: HttpTransport, url: str, authority: trustme.CA
) -> None:
    exchange = await send(sender, url, a_profile(None, authority))
    assert exchange.outcome == RefusedOutcome(400)
    assert "No required SSL certificate was sent" in body_of(exchange)


async def test_a_certificate_of_another_authority_is_refused(
    sender: HttpTransport, url: str, authority: trustme.CA
) -> None:
    exchange = await send(sender, url, a_profile("meters", authority, issuer=trustme.CA()))
    assert exchange.outcome == RefusedOutcome(400)
    assert "The SSL certificate error" in body_of(exchange)


async def test_one_destinations_certificate_is_not_shown_for_another(
    sender: HttpTransport, url: str, authority: trustme.CA
) -> None:
    meters, without = a_profile("meters", authority), a_profile(None, authority)
    lifts = a_profile("lifts", authority)
    bodies = [body_of(await send(sender, url, each)) for each in (meters, without, lifts, meters)]
    assert ["CN=meters" in body for body in bodies] == [True, False, False, True]
    assert ["CN=lifts" in body for body in bodies] == [False, False, True, False]


async def test_without_the_destinations_authority_the_receiver_is_not_trusted(
    sender: HttpTransport, url: str
) -> None:
    exchange = await send(sender, url, NO_PROFILE)
    assert failure_of(exchange) is AttemptFailure.CERTIFICATE_UNTRUSTED


# ---- set for a running server --------------------------------------------------------------------


async def set_certificate(server: Path, url: str, folder: Path, profile: ConnectionProfile) -> str:
    """Set what a profile has, from files; return what the command writes."""
    flags = list[str]()
    for flag, text in (("--client-certificate", profile.client_certificate), ("--ca", profile.ca)):
        file = folder / f"{flag[2:]}.pem"
        file.write_text(text or "")
        flags += [flag, str(file)]
    return await ringback("destinations", "set", url, *flags, data=server)


async def answers_to(server: Served, url: str) -> list[str]:
    """Send a callback without retries; return its status, and the receiver's answer."""
    created = await create(server, {"url": f"{url}#rc=0", "parameters": {"a": "b"}})
    callback = await settled(server, created.body["sid"])
    (attempt,) = await server.attempts(callback)
    return [callback["status"], attempt["response"]["body"]]


async def test_a_certificate_that_is_set_is_shown_and_renewed_while_the_server_runs(
    url: str, authority: trustme.CA, tmp_path: Path
) -> None:
    data, set_ = tmp_path / "data", (url.removesuffix("/callbacks"), tmp_path)
    async with served(data, "--schedule", "faithful") as dev:
        for name in ("old", "new"):
            told = await set_certificate(data, *set_, a_profile(name, authority))
            assert f"CN={name}" in told
            assert "PRIVATE KEY" not in told
            status, body = await answers_to(dev, url)
            assert (status, f"CN={name}" in body) == ("delivered", True)
        assert await dev.stop() == 0
    async with served(data, "--schedule", "faithful") as dev:
        assert "CN=new" in (await answers_to(dev, url))[1]
        await ringback("destinations", "unset", set_[0], "client-certificate", data=data)
        status, body = await answers_to(dev, url)
        assert (status, "No required SSL certificate was sent" in body) == ("failed", True)
