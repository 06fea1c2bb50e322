"""The callback sender: it signs with the present secrets, and returns failures as results."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.destination_state import WELL
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome, failure_of
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.retry_schedule import PERSISTENT
from ringback.core.sources.signature import sign_as_kore
from ringback.core.sources.source_definition import BUILT_IN
from ringback.delivery.callback_sender import CallbackSender, Sent
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.lane_valve import LaneValve
from ringback.http_client.http_sender import HttpTransport
from ringback.ports import DestinationPause, SoleProcess, Transport
from ringback.runtime.system_clock import stopwatch
from tests.destinations import a_rule, set_at_run_time
from tests.fakes import (
    NOW,
    FakeClock,
    RecordingTransport,
    a_callback,
    a_secret,
    an_account,
    signing_with,
)
from tests.receivers import RecordingReceiver
from tests.unit.delivery.parts import HOST, LANE, REFUSED, FunctionTransport, all_has_run, sid
from tests.unit.delivery.test_delivery_workers import claim_of

SECOND = timedelta(seconds=1)
LIMITS = ConnectionOverrides().limits


@dataclass
class Bench:
    """A callback sender and its dependencies."""

    transport: Transport
    clock: FakeClock = field(default_factory=FakeClock)
    signing_keys: CurrentSigningKeys = field(default_factory=CurrentSigningKeys)

    @property
    def sender(self) -> CallbackSender:
        return CallbackSender(
            self.transport, signing_keys=self.signing_keys, clock=self.clock, sources=BUILT_IN
        )

    async def send(
        self, callback: CallbackRecord, account: Account | None = None
    ) -> tuple[AttemptResult, OutgoingRequest | None]:
        return await self.sender.render_and_send(callback, account or an_account(), limits=LIMITS)


def changed(account: Account, value: str) -> Account:
    return replace(account, webhook_secrets=signing_with(value), revision=account.revision + 1)


def signed_by(request: OutgoingRequest | None, secret: str) -> bool:
    assert request is not None
    signature = sign_as_kore("POST", request.url.resource, request.body, secret=secret)
    return dict(request.headers)["Kore-Signature"] == signature


async def test_it_returns_the_result_and_the_request_that_left() -> None:
    transport = RecordingTransport([REFUSED])
    exchange, request = await Bench(transport).send(a_callback())
    assert (exchange, [request]) == (REFUSED, transport.requests)


class Leases(SoleProcess):
    """Leases of which only those with these numbers last."""

    def __init__(self, *lasting: int) -> None:
        self.lasting = set(lasting)

    def may_send(self, destination: str, lease: int) -> bool:
        return lease in self.lasting


@pytest.mark.parametrize("lasting", [(), (1, 3)])
async def test_without_the_lease_of_its_claim_nothing_is_sent(lasting: tuple[int, ...]) -> None:
    transport = RecordingTransport()
    sender = replace(Bench(transport).sender, cluster=Leases(*lasting))
    exchange, request = await sender.render_and_send(
        a_callback(), an_account(), limits=LIMITS, lease=2
    )
    assert failure_of(exchange.outcome) == "lease"
    assert (request, transport.requests) == (None, [])


async def test_a_lease_that_ends_while_the_request_waits_for_a_connection_prevents_it() -> None:
    connecting = asyncio.Event()
    transport, leases = RecordingTransport(connecting=connecting), Leases(2)
    sender = replace(Bench(transport).sender, cluster=leases)
    ended = list[Sent]()
    sending = sender.send(
        claim_of(a_callback())._replace(lease=2), limits=LIMITS, ended=ended.append
    )
    assert sending is not None
    task = asyncio.create_task(sending())
    await all_has_run()
    leases.lasting.clear()
    connecting.set()
    await task
    assert [failure_of(exchange.outcome) for exchange, _ in ended] == ["lease"]
    assert transport.requests == []


async def test_a_claim_that_waited_is_signed_with_the_newest_secret() -> None:
    transport = RecordingTransport()
    bench, account = Bench(transport), an_account()
    bench.signing_keys.learn(changed(account, "the newest"))
    await bench.send(a_callback(), account)
    assert signed_by(transport.requests[0], "the newest")


async def test_a_secret_that_ended_during_connecting_does_not_sign() -> None:
    connected = asyncio.Event()
    transport = RecordingTransport(connecting=connected)
    bench, account = Bench(transport), an_account()
    sending = asyncio.create_task(bench.send(a_callback(), account))
    await all_has_run()
    bench.signing_keys.learn(changed(account, "the newest"))
    connected.set()
    await sending
    assert signed_by(transport.requests[0], "the newest")


async def test_the_returned_request_is_the_sent_one_and_not_the_first_rendered() -> None:
    connected = asyncio.Event()
    transport = RecordingTransport(connecting=connected)
    bench = Bench(transport)
    sending = asyncio.create_task(bench.send(a_callback()))
    await all_has_run()
    bench.clock.advance(SECOND)
    connected.set()
    _, request = await sending
    (left,) = transport.requests
    assert request is left
    assert dict(left.headers)["Date"] == "2024-07-03T14:40:59Z"


async def test_a_callback_whose_secret_is_gone_is_not_sent() -> None:
    transport = RecordingTransport()
    sent = await Bench(transport).send(a_callback(is_test=True, secret_id="whs_gone"))
    why = "the webhook secret whs_gone, which should sign it, no longer exists"
    assert sent == (AttemptResult(NoAnswerOutcome(AttemptFailure.SECRET, why)), None)
    assert transport.requests == []


async def test_a_callback_whose_secret_disappeared_during_connecting_is_not_sent() -> None:
    connected, pending = asyncio.Event(), a_secret("pending", name="second")
    transport = RecordingTransport(connecting=connected)
    bench, account = Bench(transport), an_account()
    with_pending = replace(account, webhook_secrets=account.webhook_secrets.with_new(pending))
    callback = a_callback(is_test=True, secret_id=pending.id)
    sending = asyncio.create_task(bench.send(callback, with_pending))
    await all_has_run()
    bench.signing_keys.learn(changed(account, "another"))
    connected.set()
    exchange, request = await sending
    assert request is None
    assert isinstance(exchange.outcome, NoAnswerOutcome)
    assert exchange.outcome.failure is AttemptFailure.SECRET
    assert transport.requests == []


async def test_a_callback_from_a_removed_source_is_not_sent() -> None:
    transport = RecordingTransport()
    sent = await Bench(transport).send(a_callback()._replace(source="acme"))
    why = "the settings no longer define the source 'acme'"
    assert sent == (AttemptResult(NoAnswerOutcome(AttemptFailure.SOURCE, why)), None)
    assert transport.requests == []


async def test_an_error_raised_by_the_transport_is_a_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def break_down(request: OutgoingRequest) -> AttemptResult:
        raise RuntimeError("a message with a secret in it")

    exchange, request = await Bench(FunctionTransport(break_down)).send(a_callback(sid=sid(7)))
    assert request is not None
    why = "Ringback failed with an internal error: RuntimeError"
    assert exchange.outcome == NoAnswerOutcome(AttemptFailure.INTERNAL, why)
    assert caplog.messages == [
        f"an attempt of callback {sid(7)} failed because of an internal error"
    ]


async def test_a_callback_that_cannot_be_rendered_is_a_failure_of_ours_too() -> None:
    transport = RecordingTransport()
    exchange, request = await Bench(transport).send(a_callback(body="\ud800"))
    assert (request, transport.requests) == (None, [])
    assert isinstance(exchange.outcome, NoAnswerOutcome)
    assert exchange.outcome.failure is AttemptFailure.INTERNAL


# ---- without a task, over a kept connection ------------------------------------------------------


class Connected:
    """A sender with a real HTTP client, and the results of what it sends."""

    def __init__(self, client: HttpTransport) -> None:
        self.bench = Bench(client)
        self.sender = self.bench.sender
        self.ended = asyncio.Queue[Sent]()

    async def send(
        self, callback: CallbackRecord, *, account: Account | None = None, fresh: bool = False
    ) -> bool:
        """Send a callback; return whether that needs a task, as for a new connection."""
        sending = self.sender.send(
            claim_of(callback)._replace(account=account or an_account(), fresh=fresh),
            limits=LIMITS,
            ended=self.ended.put_nowait,
        )
        assert self.ended.empty()
        if sending is not None:
            await sending()
        return sending is not None


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    client = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
    yield Connected(client)
    await client.close()


@pytest.mark.parametrize("method", HttpMethod)
async def test_only_a_new_connection_needs_a_task(connected: Connected, method: HttpMethod) -> None:
    async with RecordingReceiver() as receiver:
        callback = a_callback(url=receiver.url(), method=method)
        tasks, results = list[bool](), list[Sent]()
        for fresh in (False, False, True):
            tasks.append(await connected.send(callback, fresh=fresh))
            results.append(await connected.ended.get())
        assert tasks == [True, False, True]
        assert receiver.connections == 2
        assert {exchange.outcome for exchange, _ in results} == {DeliveredOutcome(200)}
        assert [request.to_bytes() for _, request in results if request is not None] == [
            request.raw for request in receiver.requests
        ]


async def test_a_kept_connection_carries_the_newest_signature(connected: Connected) -> None:
    async with RecordingReceiver() as receiver:
        callback, account = a_callback(url=receiver.url()), an_account()
        await connected.send(callback, account=account)
        await connected.ended.get()
        connected.bench.signing_keys.learn(changed(account, "the newest"))
        assert not await connected.send(callback, account=account)
        _, request = await connected.ended.get()
        assert signed_by(request, "the newest")


async def test_a_callback_that_cannot_be_rendered_is_reported_beside_a_kept_connection(
    connected: Connected,
) -> None:
    async with RecordingReceiver() as receiver:
        await connected.send(a_callback(url=receiver.url()))
        await connected.ended.get()
        gone = a_callback(url=receiver.url(), is_test=True, secret_id="whs_gone")
        assert await connected.send(gone)
        exchange, request = await connected.ended.get()
        assert isinstance(exchange.outcome, NoAnswerOutcome)
        assert (exchange.outcome.failure, request) == (AttemptFailure.SECRET, None)
        assert not await connected.send(a_callback(url=receiver.url()))
        await connected.ended.get()
        assert len(receiver.requests) == 2


class StumblingTransport(RecordingTransport):
    """Fails with an error of its own before it uses a kept connection."""

    def try_send(self, request: OutgoingRequest, **how: object) -> bool:
        raise RuntimeError("an internal error")


async def test_an_internal_error_on_a_kept_connection_leads_to_a_new_connection() -> None:
    bench, results = Bench(StumblingTransport()), list[Sent]()
    sending = bench.sender.send(claim_of(a_callback()), limits=LIMITS, ended=results.append)
    assert sending is not None
    await sending()
    ((result, request),) = results
    assert isinstance(result.outcome, DeliveredOutcome)
    assert request is not None


# ---- the valve of the lane -----------------------------------------------------------------------


class CountedValve(LaneValve):
    """A valve that notes which requests have left."""

    def __init__(self, *rules: DestinationRule) -> None:
        super().__init__(LANE, DestinationBook(rules, PERSISTENT), WELL, NOW)
        self.all_left = list[str]()

    def left(self, callback_sid: str) -> None:
        self.all_left.append(callback_sid)

    def close(self) -> None:
        """Close the valve, as a person does."""
        self._book.learn([set_at_run_time(pause=DestinationPause(NOW, reason="a deployment"))])
        self.set_up(NOW)


def a_held_valve() -> CountedValve:
    """Return an open valve of a lane that has something to remember."""
    valve = CountedValve()
    valve.knows(WELL._replace(no_success_since=NOW))
    return valve


async def test_behind_a_closed_valve_nothing_is_sent() -> None:
    transport, valve = RecordingTransport(), CountedValve()
    valve.close()
    exchange, request = await Bench(transport).sender.render_and_send(
        a_callback(url=HOST), an_account(), limits=LIMITS, valve=valve
    )
    why = "the destination is paused by the account: a deployment"
    assert exchange == AttemptResult(NoAnswerOutcome(AttemptFailure.HELD, why))
    assert (request, transport.requests, valve.all_left) == (None, [], [])


async def test_a_valve_that_closes_while_the_request_waits_for_a_connection_prevents_it() -> None:
    connecting = asyncio.Event()
    transport, valve = RecordingTransport(connecting=connecting), CountedValve()
    sender, ended = Bench(transport).sender, list[Sent]()
    sending = sender.send(
        claim_of(a_callback(url=HOST)), valve=valve, limits=LIMITS, ended=ended.append
    )
    assert sending is not None
    task = asyncio.create_task(sending())
    await all_has_run()
    valve.close()
    connecting.set()
    await task
    assert [failure_of(exchange.outcome) for exchange, _ in ended] == ["held"]
    assert (transport.requests, valve.all_left) == ([], [])


async def test_a_request_without_a_token_is_held() -> None:
    transport, valve = RecordingTransport(), CountedValve(a_rule(rate="5"))
    exchange, _ = await Bench(transport).sender.render_and_send(
        a_callback(url=HOST), an_account(), limits=LIMITS, valve=valve
    )
    why = "the rate of its destination was lowered"
    assert exchange.outcome == NoAnswerOutcome(AttemptFailure.HELD, why)


async def test_a_request_with_a_task_is_counted_once_when_it_leaves() -> None:
    connecting = asyncio.Event()
    transport, valve = RecordingTransport(connecting=connecting), a_held_valve()
    sending = asyncio.create_task(
        Bench(transport).sender.render_and_send(
            a_callback(url=HOST, sid=sid(1)), an_account(), limits=LIMITS, valve=valve
        )
    )
    await all_has_run()
    assert valve.all_left == []
    connecting.set()
    await sending
    assert valve.all_left == [sid(1)]


async def test_a_request_on_a_kept_connection_is_counted_once_too(connected: Connected) -> None:
    valve = a_held_valve()
    async with RecordingReceiver() as receiver:
        for number in (1, 2):
            sending = connected.sender.send(
                claim_of(a_callback(url=receiver.url(), sid=sid(number))),
                valve=valve,
                limits=LIMITS,
                ended=connected.ended.put_nowait,
            )
            assert (sending is None) is (number == 2)
            if sending is not None:
                await sending()
            await connected.ended.get()
        assert valve.all_left == [sid(1), sid(2)]
        valve.close()
        sending = connected.sender.send(
            claim_of(a_callback(url=receiver.url(), sid=sid(3))),
            valve=valve,
            limits=LIMITS,
            ended=connected.ended.put_nowait,
        )
        assert sending is not None
        await sending()
        exchange, _ = await connected.ended.get()
        assert failure_of(exchange.outcome) == "held"
        assert len(receiver.requests) == 2
        assert valve.all_left == [sid(1), sid(2)]


async def test_a_request_has_what_is_set_for_its_destination() -> None:
    transport = RecordingTransport()
    given = DestinationValues(headers=(("X-Team", "meters"),))
    valve = CountedValve(replace(a_rule(), given=given))
    _, request = await Bench(transport).sender.render_and_send(
        a_callback(url=HOST), an_account(), limits=LIMITS, valve=valve
    )
    assert request is not None
    assert dict(request.headers)["X-Team"] == "meters"
    assert request.profile.headers == (("X-Team", "meters"),)
