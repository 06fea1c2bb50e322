"""The courier: so many to each destination at once, in order, and none holds up another."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.account import Account
from ringback.core.callback import Callback, begin
from ringback.core.connection import Limits as Timeouts
from ringback.core.http_exchange import Exchange, OutgoingRequest
from ringback.core.outcome import Failure, Unreachable
from ringback.core.signature import sign_as_kore
from ringback.engine.courier import Carried, Courier
from ringback.engine.keyring import Keyring
from ringback.ports import Claim, Transport
from tests.fakes import (
    NOW,
    FakeClock,
    RecordingTransport,
    a_callback,
    a_secret,
    an_account,
    signing_with,
)
from tests.unit.engine.parts import (
    DELIVERED,
    HOST,
    OTHER_HOST,
    REFUSED,
    FunctionTransport,
    GatedTransport,
    Steps,
    all_has_run,
    callbacks_to,
    sid,
)

SECOND = timedelta(seconds=1)
A, B = "a.example", "b.example"


class Bench:
    """A courier, and what it carried."""

    def __init__(
        self, transport: Transport, *, per_destination: int = 2, clock: FakeClock | None = None
    ) -> None:
        self.carried = list[Carried]()
        self.steps = Steps()
        self.clock = clock or FakeClock()
        self.keyring = Keyring()
        self.courier = Courier(
            keyring=self.keyring,
            transport=transport,
            clock=self.clock,
            per_destination=per_destination,
            carried=self.carried.append,
            checkpoint=self.steps,
        )

    @property
    def order(self) -> list[str]:
        return [one.claim.callback.sid for one in self.carried]


def claim_of(callback: Callback, *, again: int = 0) -> Claim:
    """Return the claim of a callback's first attempt, or of a retry in the same round."""
    progress = begin(callback.progress, NOW, total_timeout=15 * SECOND)
    return Claim(
        callback,
        progress._replace(attempt_count=1 + again, round_attempts=1 + again),
        an_account(),
    )


def claims_to(url: str, numbers: Sequence[int]) -> list[Claim]:
    return [claim_of(callback) for callback in callbacks_to(url, numbers)]


def sids(*numbers: int) -> list[str]:
    return [sid(number) for number in numbers]


async def test_what_is_handed_over_is_sent_and_told() -> None:
    transport = RecordingTransport([REFUSED])
    bench, claim = Bench(transport), claim_of(a_callback())
    bench.courier.hand(claim)
    await bench.courier.finish()
    assert bench.carried == [Carried(claim, NOW, transport.requests[0], REFUSED)]


async def test_an_attempt_starts_when_its_request_leaves() -> None:
    bench = Bench(RecordingTransport(), clock=FakeClock(NOW + 9 * SECOND))
    bench.courier.hand(claim_of(a_callback()))
    await bench.courier.finish()
    assert [one.started for one in bench.carried] == [NOW + 9 * SECOND]


# ---- the secrets of the moment -------------------------------------------------------------------


def changed(account: Account, value: str) -> Account:
    return replace(account, webhook_secrets=signing_with(value), revision=account.revision + 1)


def signed_by(request: OutgoingRequest | None, secret: str) -> bool:
    assert request is not None
    signature = sign_as_kore("POST", request.url.resource, request.body, secret=secret)
    return dict(request.headers)["Kore-Signature"] == signature


async def test_a_claim_that_waited_is_signed_by_the_newest_secret() -> None:
    transport = RecordingTransport()
    bench, claim = Bench(transport), claim_of(a_callback())
    bench.courier.hand(claim)
    bench.keyring.learn(changed(claim.account, "the newest"))
    await bench.courier.finish()
    assert signed_by(transport.requests[0], "the newest")


async def test_a_secret_that_ended_while_a_connection_was_opened_does_not_sign() -> None:
    connected = asyncio.Event()
    transport = RecordingTransport(connecting=connected)
    bench, claim = Bench(transport), claim_of(a_callback())
    bench.courier.hand(claim)
    await all_has_run()
    bench.keyring.learn(changed(claim.account, "the newest"))
    connected.set()
    await bench.courier.finish()
    assert signed_by(transport.requests[0], "the newest")


async def test_what_is_recorded_is_what_left() -> None:
    connected = asyncio.Event()
    transport = RecordingTransport(connecting=connected)
    bench, claim = Bench(transport), claim_of(a_callback())
    bench.courier.hand(claim)
    await all_has_run()
    bench.clock.advance(SECOND)
    bench.keyring.learn(changed(claim.account, "the newest"))
    connected.set()
    await bench.courier.finish()
    (one,), (left,) = bench.carried, transport.requests
    assert one.request is left
    assert dict(left.headers)["Date"] == "2024-07-03T14:40:59Z"


async def test_what_a_secret_that_is_gone_was_to_sign_does_not_leave() -> None:
    transport = RecordingTransport()
    bench = Bench(transport)
    bench.courier.hand(claim_of(a_callback(is_test=True, secret_id="whs_gone")))
    await bench.courier.finish()
    why = "the webhook secret whs_gone that was to sign it is gone"
    (one,) = bench.carried
    assert (one.request, one.exchange) == (None, Exchange(Unreachable(Failure.SECRET, why)))
    assert transport.requests == []


async def test_what_a_source_that_is_gone_was_to_send_does_not_leave() -> None:
    transport = RecordingTransport()
    bench = Bench(transport)
    bench.courier.hand(claim_of(a_callback()._replace(source="acme")))
    await bench.courier.finish()
    why = "there is no source 'acme' in the settings any more"
    (one,) = bench.carried
    assert (one.request, one.exchange) == (None, Exchange(Unreachable(Failure.SOURCE, why)))
    assert transport.requests == []


async def test_nor_does_it_where_the_secret_went_while_a_connection_was_opened() -> None:
    connected, pending = asyncio.Event(), a_secret("pending", name="second")
    transport = RecordingTransport(connecting=connected)
    bench, claim = Bench(transport), claim_of(a_callback(is_test=True, secret_id=pending.id))
    secrets = claim.account.webhook_secrets.with_new(pending)
    bench.courier.hand(claim._replace(account=replace(claim.account, webhook_secrets=secrets)))
    await all_has_run()
    bench.keyring.learn(changed(claim.account, "another"))
    connected.set()
    await bench.courier.finish()
    (one,) = bench.carried
    assert one.request is None
    assert isinstance(one.exchange.outcome, Unreachable)
    assert one.exchange.outcome.failure is Failure.SECRET
    assert transport.requests == []


# ---- many ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_never_more_than_so_many_go_to_one_destination_at_once(most: int) -> None:
    transport = GatedTransport()
    bench = Bench(transport, per_destination=most)
    for claim in claims_to(HOST, range(20)):
        bench.courier.hand(claim)
    await all_has_run()
    assert transport.under_way == {A: most}
    transport.open(A)
    await bench.courier.finish()
    assert transport.most == {A: most}
    assert len(bench.carried) == 20


async def test_retries_and_new_ones_together_are_no_more_than_that_either() -> None:
    transport = GatedTransport()
    bench = Bench(transport, per_destination=3)
    for claim in claims_to(HOST, range(10)):
        bench.courier.hand(claim)
        bench.courier.hand_back(claim)
        await all_has_run()
    transport.open(A)
    await bench.courier.finish()
    assert transport.most == {A: 3}


async def test_all_paths_of_a_destination_share_what_it_may_have() -> None:
    transport = GatedTransport()
    bench = Bench(transport, per_destination=2)
    for number, path in enumerate(["/a", "/b#rc=2", "/c?foo=bar"]):
        bench.courier.hand(claim_of(a_callback(sid=sid(number), url=HOST + path)))
    await all_has_run()
    assert transport.under_way == {A: 2}
    await bench.courier.break_off()


async def test_a_destination_that_hangs_holds_up_no_other() -> None:
    transport = GatedTransport()
    transport.open(B)
    bench = Bench(transport)
    for claim in claims_to(HOST, range(10)):
        bench.courier.hand(claim)
    for claim in claims_to(OTHER_HOST, range(10, 20)):
        bench.courier.hand(claim)
    await all_has_run()
    assert sorted(bench.order) == sids(*range(10, 20))
    assert transport.under_way[A] == 2
    await bench.courier.break_off()


async def test_what_goes_to_one_destination_leaves_in_its_order() -> None:
    bench = Bench(RecordingTransport(), per_destination=1)
    for claim in claims_to(HOST, range(20)):
        bench.courier.hand(claim)
    await bench.courier.finish()
    assert bench.order == sids(*range(20))


async def test_a_round_that_goes_on_comes_before_what_is_ready() -> None:
    transport = GatedTransport()
    bench = Bench(transport, per_destination=1)
    first, second, third = claims_to(HOST, [1, 2, 3])
    bench.courier.hand(first)
    await all_has_run()
    bench.courier.hand(second)
    bench.courier.hand_back(third)
    transport.open(A)
    await bench.courier.finish()
    assert bench.order == sids(1, 3, 2)


async def test_what_comes_after_a_destination_was_idle_is_sent_as_well() -> None:
    bench = Bench(RecordingTransport())
    for claim in claims_to(HOST, range(3)):
        bench.courier.hand(claim)
        await bench.courier.finish()
    assert bench.order == sids(0, 1, 2)


async def test_what_is_told_may_be_handed_back_on_the_spot() -> None:
    carried = list[Carried]()

    def again(one: Carried) -> None:
        carried.append(one)
        if len(carried) < 4:
            courier.hand_back(one.claim)

    courier = Courier(
        keyring=Keyring(),
        transport=RecordingTransport(),
        clock=FakeClock(),
        per_destination=1,
        carried=again,
    )
    courier.hand(claim_of(a_callback()))
    await courier.finish()
    assert len(carried) == 4


async def test_an_idle_destination_is_forgotten() -> None:
    bench = Bench(RecordingTransport())
    for number in range(100):
        bench.courier.hand(claim_of(a_callback(url=f"http://host-{number}.example")))
    await bench.courier.finish()
    assert bench.courier._destinations == {}


# ---- limits --------------------------------------------------------------------------------------

URL = "http://a.example#ct=1000&rt=2000&tt=3000"


@pytest.mark.parametrize("waited", [0, 3600], ids=["at once", "after it waited for its turn"])
async def test_a_first_attempt_has_all_the_time_of_its_round(waited: int) -> None:
    transport = RecordingTransport()
    bench = Bench(transport, clock=FakeClock(NOW + waited * SECOND))
    bench.courier.hand(claim_of(a_callback(url=URL)))
    await bench.courier.finish()
    assert transport.limits == [Timeouts(connect=1.0, read=2.0, total=3.0)]


@pytest.mark.parametrize(
    ("seconds", "left"), [(0, 3.0), (1, 2.0), (-60, 3.0)], ids=["no time", "1 s", "clock set back"]
)
async def test_a_retry_has_what_is_left_and_never_more_than_its_round(
    seconds: int, left: float
) -> None:
    transport = RecordingTransport()
    bench = Bench(transport, clock=FakeClock(NOW + seconds * SECOND))
    bench.courier.hand(claim_of(a_callback(url=URL), again=1))
    await bench.courier.finish()
    assert transport.limits == [Timeouts(connect=1.0, read=2.0, total=left)]


@pytest.mark.parametrize("again", [0, 1, 5])
async def test_the_transport_is_told_how_many_attempts_of_the_round_came_before(again: int) -> None:
    transport = RecordingTransport()
    bench = Bench(transport)
    bench.courier.hand(claim_of(a_callback(), again=again))
    await bench.courier.finish()
    assert transport.turns == [again]


# ---- our own faults ------------------------------------------------------------------------------


async def test_a_transport_that_raises_is_a_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def break_down(request: OutgoingRequest) -> Exchange:
        raise RuntimeError("a message with a secret in it")

    bench = Bench(FunctionTransport(break_down))
    bench.courier.hand(claim_of(a_callback(sid=sid(7))))
    await bench.courier.finish()
    (one,) = bench.carried
    assert one.request is not None
    assert repr(one.exchange.outcome) == (
        "Unreachable(failure=<Failure.INTERNAL: ('internal', 11200, None)>,"
        " why='Ringback itself failed: RuntimeError')"
    )
    assert caplog.messages == [f"an attempt of {sid(7)} failed"]


async def test_what_cant_be_rendered_is_told_without_a_request() -> None:
    transport = RecordingTransport()
    bench = Bench(transport, per_destination=1)
    bench.courier.hand(claim_of(a_callback(sid=sid(1), body="\ud800", url=HOST)))
    bench.courier.hand(claim_of(a_callback(sid=sid(2), url=HOST)))
    await bench.courier.finish()
    assert [one.request is None for one in bench.carried] == [True, False]
    assert bench.order == sids(1, 2)


# ---- the end -------------------------------------------------------------------------------------


async def test_once_closed_nothing_more_leaves_and_what_is_unsent_can_be_taken() -> None:
    transport = GatedTransport()
    bench = Bench(transport)
    claims = claims_to(HOST, range(5))
    for claim in claims[:4]:
        bench.courier.hand(claim)
    await all_has_run()
    bench.courier.close()
    bench.courier.hand(claims[4])
    transport.open(A)
    await bench.courier.finish()
    assert bench.order == sids(0, 1)
    assert len(transport.requests) == 2
    assert bench.courier.take_unsent() == claims[2:]
    assert bench.courier.take_unsent() == []


async def test_what_was_handed_over_the_moment_before_it_is_closed_is_unsent() -> None:
    transport = RecordingTransport()
    bench = Bench(transport)
    (claim,) = claims_to(HOST, [1])
    bench.courier.hand(claim)
    bench.courier.close()
    await bench.courier.finish()
    assert transport.requests == []
    assert bench.courier.take_unsent() == [claim]


async def test_what_is_unsent_is_taken_from_all_destinations_retries_first() -> None:
    bench = Bench(RecordingTransport())
    bench.courier.close()
    first, retry, other = (*claims_to(HOST, [1, 2]), *claims_to(OTHER_HOST, [3]))
    bench.courier.hand(first)
    bench.courier.hand_back(retry)
    bench.courier.hand(other)
    assert bench.courier.take_unsent() == [retry, first, other]


async def test_it_is_finished_when_the_last_one_under_way_is_answered() -> None:
    transport = GatedTransport()
    bench = Bench(transport)
    for claim in (*claims_to(HOST, [1]), *claims_to(OTHER_HOST, [2])):
        bench.courier.hand(claim)
    finishing = asyncio.create_task(bench.courier.finish())
    await all_has_run()
    transport.open(A)
    await all_has_run()
    assert not finishing.done()
    transport.open(B)
    await finishing
    assert bench.order == sids(1, 2)


async def test_with_nothing_under_way_it_is_finished_at_once() -> None:
    bench = Bench(RecordingTransport())
    await bench.courier.finish()
    await bench.courier.break_off()
    assert bench.carried == []


async def test_what_is_broken_off_is_not_told_as_answered() -> None:
    transport = GatedTransport()
    bench = Bench(transport)
    for claim in claims_to(HOST, range(5)):
        bench.courier.hand(claim)
    await all_has_run()
    bench.courier.close()
    await bench.courier.break_off()
    assert bench.carried == []
    assert transport.under_way == {A: 0}
    assert [one.callback.sid for one in bench.courier.take_unsent()] == sids(2, 3, 4)


async def test_the_steps_are_passed_around_the_request() -> None:
    steps = Steps()

    async def note(request: OutgoingRequest) -> Exchange:
        steps("under way")
        return DELIVERED

    def tell(_: Carried) -> None:
        steps("told")

    courier = Courier(
        keyring=Keyring(),
        transport=FunctionTransport(note),
        clock=FakeClock(),
        per_destination=1,
        carried=tell,
        checkpoint=steps,
    )
    courier.hand(claim_of(a_callback()))
    await courier.finish()
    assert steps.passed == ["claimed", "under way", "sent", "told"]
