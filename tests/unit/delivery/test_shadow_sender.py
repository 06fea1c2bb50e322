"""Shadow copies: sent once beside their callbacks, without affecting them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.core.policy.source_policy import BOTH, Source
from ringback.core.shadows.shadow import (
    Mark,
    ShadowCallback,
    ShadowQueryParameter,
    ShadowRule,
    ShadowTargetPath,
    ShadowTargetUrl,
)
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.delivery_service import DeliveryService
from ringback.delivery.shadow_sender import ShadowLimits, ShadowSender
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.ports import Clock, Store, Transaction, Transport
from ringback.receiver.verification import ReceiverSecrets, Rejected, Verified, check
from ringback.runtime.virtual_clock import VirtualClock
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    KORE_SECRET,
    NOW,
    FakeClock,
    RecordingTransport,
    SeededRandomness,
    a_callback,
    an_account,
    signing_with,
)
from tests.memory_store.shadows import MemoryShadows
from tests.senders import received
from tests.unit.delivery.parts import (
    HOST,
    OTHER_ACCOUNT_SID,
    OTHER_HOST,
    FailingStore,
    FunctionTransport,
    GatedTransport,
    PausedStore,
    Steps,
    a_store,
    all_has_run,
    attempts_in,
    callback_in,
    running,
    sid,
)

SECOND = timedelta(seconds=1)
RULE = ShadowRule(Source.TWILIO, ShadowQueryParameter("shadow=1"))
REFUSED = AttemptResult(RefusedOutcome(503))
T = TypeVar("T")


@dataclass
class Bench:
    """A shadow sender, and a delivery whose callbacks it copies."""

    store: Store
    transport: Transport
    rules: Sequence[ShadowRule] = (RULE,)
    limits: ShadowLimits = field(default_factory=ShadowLimits)
    clock: Clock = field(default_factory=FakeClock)
    counters: DeliveryCounters = field(default_factory=DeliveryCounters)
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        self.signing_keys = CurrentSigningKeys()
        self.shadow_sender = ShadowSender(
            self.rules,
            store=self.store,
            transport=self.transport,
            signing_keys=self.signing_keys,
            clock=self.clock,
            random_source=SeededRandomness(1),
            counters=self.counters,
            limits=self.limits,
            checkpoint=self.steps,
        )
        self.delivery = DeliveryService(
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            random_source=SeededRandomness(),
            counters=self.counters,
            signing_keys=self.signing_keys,
            first_settled=self.shadow_sender.consider,
            checkpoint=self.steps,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.delivery.recover()
        async with running(self.delivery.run):
            yield
            await all_has_run()

    async def consider(self, *callbacks: CallbackRecord) -> None:
        """Let callbacks be copied, as if their first attempts had been settled."""
        for callback in callbacks:
            self.shadow_sender.consider(callback)
        await all_has_run()

    @property
    def skipped(self) -> dict[str, int]:
        return self.counters.skipped_copies(ACCOUNT_SID)


def to(url: str, *numbers: int, account_sid: str = ACCOUNT_SID) -> list[CallbackRecord]:
    return [a_callback(sid=sid(one), url=url, account_sid=account_sid) for one in numbers]


async def rows_in(store: Store) -> list[ShadowCallback]:
    """Return the rows of all copies, oldest first; their callbacks need not exist."""
    return await store.transact(_rows)


def _rows(tx: Transaction) -> list[ShadowCallback]:
    assert isinstance(tx.shadows, MemoryShadows)
    return [*tx.shadows.shadows.values()]


async def results_in(store: Store) -> list[str]:
    return [row.attempt.result for row in await rows_in(store)]


def marked(requests: list[OutgoingRequest]) -> list[OutgoingRequest]:
    """Return the copies among these requests."""
    return [one for one in requests if one.url.query and "shadow=1" in one.url.query]


# ---- time and number -----------------------------------------------------------------------------


async def test_a_copy_leaves_once_the_first_attempt_is_settled() -> None:
    store = await a_store(a_callback())
    transport = RecordingTransport()
    bench = Bench(store, transport)
    async with bench.running():
        await bench.steps.reach("shadow_settled")
    assert bench.steps.passed == [
        *("claimed", "sent", "settled"),
        *("shadow_opened", "shadow_sent", "shadow_settled"),
    ]
    first, copy = transport.requests
    assert first.source == Source.KORE
    assert copy.source == Source.TWILIO
    assert copy.url.wire == "http://127.0.0.1:9000/path?foo=bar&shadow=1"
    assert copy.body == first.body
    assert await results_in(store) == ["delivered"]
    assert bench.counters.shadows == {(Source.TWILIO, "delivered"): 1}


@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("source", sorted(BOTH))
@pytest.mark.parametrize(
    ("mark", "url"),
    [
        (ShadowQueryParameter("shadow=1"), "https://a.example/p?x=1&shadow=1"),
        (ShadowTargetPath("/copies"), "https://a.example/copies?x=1"),
        (ShadowTargetUrl(CallbackUrl.parse("http://b.example/in")), "http://b.example/in"),
    ],
)
async def test_a_copy_is_genuine_only_from_the_other_source_at_its_url(
    mark: Mark, url: str, source: Source, method: HttpMethod
) -> None:
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport, rules=[ShadowRule(source, mark)])
    (other,) = set(Source) - {source}
    await bench.consider(a_callback(url="https://a.example/p?x=1", method=method, source=other))
    (request,) = transport.requests
    secrets = {
        Source.TWILIO: ReceiverSecrets(twilio_auth_tokens=(AUTH_TOKEN,)),
        Source.KORE: ReceiverSecrets(kore_secrets=(KORE_SECRET,)),
    }
    called = [request.url.wire]  # a GET has its parameters in the URL
    assert called[0].startswith(url)
    genuine, rejected = (
        check(received(request), urls=called, secrets=secrets[one]) for one in (source, other)
    )
    assert isinstance(genuine, Verified)
    assert isinstance(rejected, Rejected)


async def test_its_row_is_open_before_it_leaves() -> None:
    store = await a_store(a_callback())
    seen = list[list[str]]()

    async def look(_: OutgoingRequest) -> AttemptResult:
        seen.append(await results_in(store))
        return AttemptResult(DeliveredOutcome(200))

    bench = Bench(store, FunctionTransport(look))
    async with bench.running():
        await bench.steps.reach("shadow_settled")
    assert seen == [[], ["open"]]


async def test_without_a_rule_there_are_no_copies() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport(), rules=())
    await bench.consider(*to(HOST, 1, 2, 3))
    assert store.transactions == 0
    assert bench.shadow_sender.is_still


async def test_a_retried_callback_is_copied_once() -> None:
    url = f"{HOST}/#rc=2&rp=5xx"
    store = await a_store(a_callback(url=url))
    transport = RecordingTransport([REFUSED, REFUSED])
    bench = Bench(store, transport)
    async with bench.running():
        await bench.steps.reach("settled", 2)
        await bench.steps.reach("shadow_settled")
    assert len(marked(transport.requests)) == 1
    assert len(await rows_in(store)) == 1


@pytest.mark.parametrize(
    "ending", [REFUSED, AttemptResult(NoAnswerOutcome(AttemptFailure.CONNECT, "no"))]
)
async def test_a_failed_copy_is_not_retried_and_does_not_count(ending: AttemptResult) -> None:
    store = await a_store(a_callback(url=f"{HOST}/#rc=5&rp=all"))
    transport = RecordingTransport([AttemptResult(DeliveredOutcome(200)), ending])
    bench = Bench(store, transport)
    async with bench.running():
        await bench.steps.reach("shadow_settled")
    assert len(transport.requests) == 2
    callback = await callback_in(store)
    assert (callback.status, callback.progress.attempt_count) == (CallbackStatus.DELIVERED, 1)
    assert [attempt.result for attempt in await attempts_in(store)] == ["delivered"]
    assert {key: count for key, count in bench.counters.endings.items() if count} == {
        (Source.KORE, CallbackStatus.DELIVERED): 1
    }
    assert sum(bench.counters.attempts.values()) == 1
    assert bench.delivery.unfinished == bench.delivery.under_way == 0


async def test_an_error_raised_by_the_transport_is_a_result_too() -> None:
    async def break_down(_: OutgoingRequest) -> AttemptResult:
        raise ValueError("made up")

    store = await a_store()
    bench = Bench(store, FunctionTransport(break_down))
    await bench.consider(a_callback())
    (row,) = await rows_in(store)
    assert (row.attempt.result, row.attempt.failure) == ("unreachable", "internal")
    assert row.attempt.request is not None


async def test_the_time_limits_of_the_copys_own_url_apply() -> None:
    url = CallbackUrl.parse(f"{OTHER_HOST}/#ct=300&tt=400")
    other = ShadowRule(Source.TWILIO, ShadowTargetUrl(url))
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport, rules=[other])
    await bench.consider(a_callback(url=f"{HOST}/#ct=900"))
    (limits,) = transport.limits
    assert (limits.connect, limits.total) == (0.3, 0.4)


async def test_a_copy_is_signed_with_the_newest_secrets() -> None:
    transport = RecordingTransport()
    kore = ShadowRule(Source.KORE, ShadowQueryParameter("shadow=1"))
    bench = Bench(await a_store(), transport, rules=[kore])
    callback = a_callback(source=Source.TWILIO)
    await bench.consider(callback)
    bench.signing_keys.learn(
        replace(an_account(), webhook_secrets=signing_with("another"), revision=1)
    )
    await bench.consider(callback)
    before, after = (dict(one.headers)["Kore-Signature"] for one in transport.requests)
    assert before != after


async def test_the_recorded_request_hides_credentials() -> None:
    store = await a_store()
    bench = Bench(store, RecordingTransport())
    await bench.consider(a_callback(url="http://user:made-up@a.example/"))
    (row,) = await rows_in(store)
    assert row.attempt.request is not None
    assert "Authorization: (hidden)" in row.attempt.request.head


# ---- limits --------------------------------------------------------------------------------------


async def test_copies_in_flight_are_limited_by_destination_and_in_total() -> None:
    transport = GatedTransport()
    limits = ShadowLimits(at_once=3, per_destination=2)
    store = await a_store()
    bench = Bench(store, transport, limits=limits)
    await bench.consider(*to(HOST, *range(9)), *to(OTHER_HOST, *range(10, 19)))
    assert transport.under_way == {"a.example": 2, "b.example": 1}
    assert await results_in(store) == ["open"] * 3
    transport.open("a.example")
    transport.open("b.example")
    await bench.steps.reach("shadow_settled", 18)
    assert max(transport.most.values()) == 2
    assert await results_in(store) == ["delivered"] * 18


async def test_a_destination_that_hangs_does_not_delay_the_others() -> None:
    transport = GatedTransport()
    transport.open("b.example")
    bench = Bench(await a_store(), transport)
    await bench.consider(*to(HOST, *range(20)), *to(OTHER_HOST, *range(20, 40)))
    await bench.steps.reach("shadow_settled", 20)
    assert transport.under_way == {"a.example": 2, "b.example": 0}


async def test_destinations_take_turns() -> None:
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport, limits=ShadowLimits(at_once=1))
    await bench.consider(*to(HOST, *range(3)), *to(OTHER_HOST, *range(10, 13)))
    await bench.steps.reach("shadow_settled", 6)
    assert [one.url.host for one in transport.requests] == ["a.example", "b.example"] * 3


async def test_hanging_copies_do_not_delay_the_callbacks() -> None:
    transport = GatedTransport()
    transport.open("a.example")
    rule = ShadowRule(Source.TWILIO, ShadowTargetUrl(CallbackUrl.parse(OTHER_HOST)))
    store = await a_store(*to(HOST, *range(30)))
    bench = Bench(store, transport, rules=[rule])
    async with bench.running():
        await bench.steps.reach("settled", 30)
    assert transport.under_way == {"a.example": 0, "b.example": 2}
    assert bench.counters.endings[Source.KORE, CallbackStatus.DELIVERED] == 30


async def test_copies_beyond_the_limit_on_waiting_ones_are_skipped_and_counted() -> None:
    transport = GatedTransport()
    limits = ShadowLimits(at_once=1, per_destination=1, waiting=5, waiting_per_destination=3)
    store = await a_store()
    bench = Bench(store, transport, limits=limits)
    await bench.consider(*to(HOST, 1))
    await bench.consider(*to(HOST, *range(2, 10)))
    assert bench.skipped == {"full": 5}
    await bench.consider(*to(OTHER_HOST, *range(10, 15)))
    assert bench.skipped == {"full": 8}
    transport.open("a.example")
    transport.open("b.example")
    await bench.steps.reach("shadow_settled", 6)
    assert bench.shadow_sender.is_still
    assert {row.attempt.callback_sid for row in await rows_in(store)} == {
        sid(number) for number in (1, 2, 3, 4, 10, 11)
    }


async def test_rows_of_several_copies_share_a_transaction() -> None:
    store = PausedStore(await a_store())
    transport = RecordingTransport()
    bench = Bench(store, transport, limits=ShadowLimits(per_destination=8))
    store.may_begin.clear()
    await bench.consider(*to(HOST, *range(8)))
    store.may_begin.set()
    await bench.steps.reach("shadow_settled", 8)
    assert store.transactions == 2
    assert len(transport.requests) == 8


# ---- a store that fails --------------------------------------------------------------------------


async def test_an_outage_of_the_database_postpones_copies() -> None:
    clock = FakeClock()
    store = FailingStore(await a_store())
    transport = RecordingTransport()
    bench = Bench(store, transport, clock=clock)
    store.failures_to_come = 1
    await bench.consider(a_callback())
    assert transport.requests == []
    clock.advance(SECOND)
    await bench.steps.reach("shadow_settled")
    assert len(transport.requests) == 1


async def test_a_row_that_cannot_be_stored_does_not_affect_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = await a_store()
    transport = RecordingTransport()
    bench = Bench(store, transport, limits=ShadowLimits(at_once=1))
    stranger = to(HOST, 1, account_sid=OTHER_ACCOUNT_SID)
    await bench.consider(*stranger, *to(HOST, 2))
    assert len(transport.requests) == 1
    assert bench.counters.skipped_copies(OTHER_ACCOUNT_SID) == {"failed": 1}
    assert caplog.messages == [f"no shadow copy of callback {sid(1)} can be stored"]
    await bench.consider(*to(HOST, 3, 4))
    assert len(transport.requests) == 3
    assert bench.shadow_sender.is_still


class ForgetfulStore:
    """A store that can't save the result of a copy, although it is available."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        def checked(tx: Transaction) -> T:
            before = len(tx.shadows.left_open())
            result = work(tx)
            if len(tx.shadows.left_open()) < before:
                raise ValueError("made up")
            return result

        return await self._store.transact(checked)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


async def test_a_result_that_cannot_be_stored_leaves_the_row_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = await a_store()
    bench = Bench(ForgetfulStore(memory), RecordingTransport())
    await bench.consider(*to(HOST, 1, 2))
    assert await results_in(memory) == ["open", "open"]
    sids = [row.sid for row in await rows_in(memory)]
    assert caplog.messages == [
        f"the result of shadow copy {one} can't be stored; it stays open until the next start of"
        " the server"
        for one in sids
    ]
    assert bench.shadow_sender.is_still


# ---- stopping, and starting ----------------------------------------------------------------------


async def test_a_stop_drops_waiting_copies_and_lets_those_in_flight_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = GatedTransport()
    store = await a_store()
    bench = Bench(store, transport)
    await bench.consider(*to(HOST, *range(5)))
    stopping = asyncio.create_task(bench.shadow_sender.stop(within=timedelta(seconds=10)))
    await all_has_run()
    assert not stopping.done()
    await bench.consider(*to(HOST, 9))
    transport.open("a.example")
    await stopping
    assert await results_in(store) == ["delivered", "delivered"]
    assert bench.skipped == {"stopped": 4}
    assert caplog.messages == ["3 shadow copies were not sent, since Ringback is stopping"]


async def test_a_copy_not_answered_in_time_is_unknown_after_the_next_start() -> None:
    transport = GatedTransport()
    store = await a_store()
    await Bench(store, transport).shadow_sender.stop(within=SECOND)
    bench = Bench(store, transport)
    await bench.consider(*to(HOST, 1, 2, 3))
    await bench.shadow_sender.stop(within=timedelta(0))
    assert bench.shadow_sender.is_still
    assert await results_in(store) == ["open", "open"]

    again = Bench(store, transport)
    assert await again.shadow_sender.recover() == 2
    assert await results_in(store) == ["unknown", "unknown"]
    assert await again.shadow_sender.recover() == 0
    assert len(transport.requests) == 2


async def test_a_stop_interrupts_waiting_for_an_unavailable_database() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport())
    store.go_away()
    await bench.consider(a_callback())
    await bench.shadow_sender.stop(within=timedelta(0))
    assert bench.shadow_sender.is_still


# ---- virtual time --------------------------------------------------------------------------------


async def test_time_passes_only_while_no_copy_is_in_flight() -> None:
    transport = GatedTransport()
    clock = VirtualClock.stopped(at=NOW)
    store = PausedStore(await a_store())
    bench = Bench(store, transport, clock=clock)
    clock_advancer = ClockAdvancer(clock, [bench.shadow_sender])
    await bench.consider(a_callback(url=HOST))
    advancing = asyncio.create_task(clock_advancer.advance(SECOND))
    await all_has_run()
    assert clock.now() == NOW
    store.may_begin.clear()
    transport.open("a.example")
    await bench.steps.reach("shadow_sent")
    await asyncio.sleep(0.005)
    assert clock.now() == NOW
    store.may_begin.set()
    assert await advancing == NOW + SECOND
    assert bench.steps.passed[-1] == "shadow_settled"
