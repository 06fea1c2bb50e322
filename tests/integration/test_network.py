"""The sender in a simulated network and simulated time, with no other input."""

import asyncio

import pytest

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.tls import TlsFailed
from tests.networks import MadeUpNetwork, MadeUpTime, in_made_up_time
from tests.receivers import OK
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of


def send_in(
    loop: MadeUpTime, network: MadeUpNetwork, *urls: str, limits: Timeouts = LIMITS
) -> list[AttemptResult]:
    async def story() -> list[AttemptResult]:
        sender = HttpTransport(
            stopwatch=loop.time, network=network, resolve=resolve_to("198.0.0.1")
        )
        exchanges = [await sender.send(post(url), limits=limits) for url in urls]
        await sender.close()
        return exchanges

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(story())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_steps_take_as_long_as_the_network_says(scheme: str) -> None:
    network = MadeUpNetwork(lambda _: OK, after=1)
    fresh, kept = send_in(MadeUpTime(), network, *[f"{scheme}://hooks.example/"] * 2)
    assert (fresh.outcome, fresh.local_address) == (DeliveredOutcome(200), "192.0.2.1")
    assert (kept.outcome, kept.local_address) == (DeliveredOutcome(200), "192.0.2.1")
    assert fresh.timings is not None
    assert kept.timings is not None
    tls = 1000 if scheme == "https" else None
    assert fresh.timings == pytest.approx((2000 + (tls or 0), 0, 1000, tls, 1000))
    assert kept.timings == pytest.approx((1000, None, None, None, 1000))


def test_limits_are_kept_by_the_time_of_the_loop() -> None:
    loop = MadeUpTime()
    network = MadeUpNetwork(lambda _: None, after=1)
    limits = Timeouts(connect=3600, read=7200, total=86400)
    (exchange,) = send_in(loop, network, "http://hooks.example/", limits=limits)
    assert exchange.outcome == NoAnswerOutcome(
        AttemptFailure.READ_TIMEOUT, "no answer arrived for 7200 s"
    )
    assert loop.elapsed == pytest.approx(7201)


def test_a_connection_that_is_too_slow_is_given_up() -> None:
    loop = MadeUpTime()
    network = MadeUpNetwork(lambda _: OK, after=86400)
    limits = Timeouts(connect=3600, read=7200, total=86400)
    (exchange,) = send_in(loop, network, "http://hooks.example/", limits=limits)
    assert exchange.outcome == NoAnswerOutcome(
        AttemptFailure.CONNECT_TIMEOUT,
        "no connection to hooks.example port 80 within 3600 s: it did not answer",
    )
    assert loop.elapsed == pytest.approx(3600)


def test_a_shorter_limit_than_the_previous_requests_is_kept_too() -> None:
    answers = iter([OK, None])

    async def story(loop: MadeUpTime) -> tuple[AttemptResult, float]:
        network = MadeUpNetwork(lambda _: next(answers), after=1)
        sender = HttpTransport(
            stopwatch=loop.time, network=network, resolve=resolve_to("198.0.0.1")
        )
        request = post("http://hooks.example/")
        await sender.send(request, limits=Timeouts(connect=5, read=3600, total=3600))
        began = loop.elapsed
        exchange = await sender.send(request, limits=Timeouts(connect=5, read=7, total=3600))
        await sender.close()
        return exchange, loop.elapsed - began

    exchange, took = in_made_up_time(story)
    assert failure_of(exchange) is AttemptFailure.READ_TIMEOUT
    assert took == pytest.approx(7)


@pytest.mark.parametrize(
    ("network", "failure"),
    [
        (MadeUpNetwork(lambda _: OK, after=1, tls_after=3600), AttemptFailure.CONNECT_TIMEOUT),
        (
            MadeUpNetwork(
                lambda _: OK,
                after=1,
                tls_failure=TlsFailed(AttemptFailure.CERTIFICATE_EXPIRED, "old"),
            ),
            AttemptFailure.CERTIFICATE_EXPIRED,
        ),
    ],
)
def test_a_failed_tls_handshake_leaves_no_connection(
    network: MadeUpNetwork, failure: AttemptFailure
) -> None:
    (exchange,) = send_in(MadeUpTime(), network, "https://hooks.example/")
    assert failure_of(exchange) is failure
    assert [transport.is_closing() for transport in network.transports] == [True]


@pytest.mark.parametrize(
    ("scheme", "failure"), [("http", AttemptFailure.PROTOCOL), ("https", AttemptFailure.TLS)]
)
def test_a_receiver_that_sends_first_gets_no_request(scheme: str, failure: AttemptFailure) -> None:
    requests = list[bytes]()
    network = MadeUpNetwork(requests.append, after=1, greeting=b"220 mail.example ESMTP\r\n")
    (exchange,) = send_in(MadeUpTime(), network, f"{scheme}://hooks.example/")
    assert failure_of(exchange) is failure
    assert "the receiver sent data before it got a request" in why_of(exchange)
    assert requests == []
    assert [transport.is_closing() for transport in network.transports] == [True]


def test_a_connection_kept_for_a_long_time_can_be_reused() -> None:
    async def story(loop: MadeUpTime) -> list[object]:
        network = MadeUpNetwork(lambda _: OK, after=1)
        sender = HttpTransport(
            stopwatch=loop.time,
            network=network,
            resolve=resolve_to("198.0.0.1"),
            keep_alive=KeepAliveLimits(seconds=86400),
        )
        outcomes = list[object]()
        for _ in range(2):
            exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
            outcomes.append(exchange.outcome)
            await asyncio.sleep(3600)
        assert len(network.transports) == 1
        await sender.close()
        return outcomes

    assert in_made_up_time(story) == [DeliveredOutcome(200)] * 2
