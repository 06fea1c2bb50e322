"""A paused server: it stores what is accepted, sends nothing, and goes on when it is resumed."""

from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import PERSISTENT
from ringback.core.shadows.shadow import ShadowQueryParameter, ShadowRule
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.delivery_service import DeliveryLimits
from ringback.delivery.shadow_sender import ShadowSender
from ringback.ports import SendingPause, Transaction
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import NOW, FakeClock, RecordingTransport, SeededRandomness, a_callback
from tests.unit.delivery.parts import (
    HOST,
    REFUSED,
    Bench,
    GatedTransport,
    a_store,
    all_has_run,
    attempts_in,
    callback_in,
    callbacks_to,
    claim_of,
    results_in,
    running,
    sid,
)

PAUSE = SendingPause(NOW, "maintenance")
SECOND = timedelta(seconds=1)


def paused_bench(store: Any, transport: Any, **more: Any) -> Bench:
    bench = Bench(store, transport, gate=SendingGate(), **more)
    bench.gate.use(PAUSE)
    return bench


async def test_new_callbacks_wait_until_it_is_resumed() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = paused_bench(store, transport)
    async with running(bench.delivery.run):
        await bench.take(*callbacks_to(HOST, range(3)))
        bench.clock.advance(timedelta(hours=1))
        await all_has_run()
        assert transport.requests == []
        assert [(await callback_in(store, sid(n))).progress.attempt_count for n in range(3)] == [
            0,
            0,
            0,
        ]
        assert (bench.delivery.waiting, bench.delivery.is_still) == (3, True)
        assert await bench.delivery.next_due() is None
        bench.gate.use(None)
        await bench.steps.reach("settled", 3)
    assert len(transport.requests) == 3


async def test_callbacks_of_before_the_start_wait_too() -> None:
    store, transport = await a_store(*callbacks_to(HOST, range(3))), RecordingTransport()
    bench = paused_bench(store, transport)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await all_has_run()
        assert transport.requests == []
        bench.gate.use(None)
        await bench.steps.reach("settled", 3)
    assert len(transport.requests) == 3


async def test_attempts_that_a_crash_left_open_are_settled_but_not_repeated() -> None:
    callback = a_callback(sid=sid(1), url=HOST)
    store, transport = await a_store(callback), RecordingTransport()
    await claim_of(store, callback)
    bench = paused_bench(store, transport)
    assert await bench.delivery.recover() == 1
    async with running(bench.delivery.run):
        await all_has_run()
        assert transport.requests == []
        assert await results_in(store, sid(1)) == ["unknown"]
        bench.gate.use(None)
        await bench.steps.reach("settled")
    assert await results_in(store, sid(1)) == ["unknown", "delivered"]


async def test_what_is_under_way_ends_and_what_has_no_connection_yet_goes_back() -> None:
    store, transport = await a_store(), GatedTransport()
    bench = Bench(
        store, transport, gate=SendingGate(), limits=DeliveryLimits(at_once=40, per_destination=2)
    )
    async with running(bench.delivery.run):
        await bench.take(*callbacks_to(HOST, range(6)))
        await all_has_run()
        assert len(transport.requests) == 2  # the others are claimed, and wait for their turn
        bench.gate.use(PAUSE)
        transport.open("a.example")
        await all_has_run()
        assert len(transport.requests) == 2
        attempts = [await attempts_in(store, sid(number)) for number in range(6)]
        assert sorted(map(len, attempts)) == [0, 0, 0, 0, 1, 1]
        states = [(await callback_in(store, sid(number))).progress for number in range(6)]
        assert sum(state.is_under_way for state in states) == 0
        assert bench.delivery.under_way == 0
        bench.gate.use(None)
        await all_has_run()
        bench.clock.advance(10 * SECOND)
        await bench.steps.reach("settled", 10)
    assert len(transport.requests) == 6


async def test_a_claim_whose_commit_ends_after_the_pause_began_is_not_sent() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport, gate=SendingGate())

    def work(tx: Transaction) -> None:
        for callback in callbacks_to(HOST, range(2)):
            bench.delivery.queue.take(tx, callback)
        bench.gate.use(PAUSE)

    async with running(bench.delivery.run):
        await store.transact(work)
        await all_has_run()
        assert transport.requests == []
        bench.gate.use(None)
        await all_has_run()
        bench.clock.advance(SECOND)
        await bench.steps.reach("settled", 4)
    assert len(transport.requests) == 2


@pytest.mark.parametrize("retries", ["#rc=3", ""])
async def test_no_retry_follows_the_attempt_during_which_it_was_paused(retries: str) -> None:
    store, transport = await a_store(), RecordingTransport([REFUSED])
    bench = Bench(store, transport, schedule=PERSISTENT, gate=SendingGate())

    def pause(name: str) -> None:
        if name == "sent":
            bench.gate.use(PAUSE)

    bench.delivery._loop.checkpoint = pause
    async with running(bench.delivery.run):
        await bench.take(a_callback(sid=sid(1), url=f"{HOST}/{retries}"))
        await all_has_run()
        bench.clock.advance(timedelta(hours=1))
        await all_has_run()
        assert len(transport.requests) == 1
        state = (await callback_in(store, sid(1))).progress
        assert (state.status, state.attempt_count) == (CallbackStatus.SCHEDULED, 1)


async def test_copies_wait_while_the_server_is_paused() -> None:
    store, gate = await a_store(), SendingGate()
    transport = RecordingTransport()
    copies = ShadowSender(
        (ShadowRule(Source.TWILIO, ShadowQueryParameter("shadow=1")),),
        store=store,
        transport=transport,
        signing_keys=CurrentSigningKeys(),
        clock=FakeClock(),
        random_source=SeededRandomness(),
        counters=DeliveryCounters(),
        gate=gate,
    )
    gate.use(PAUSE)
    copies.consider(a_callback(sid=sid(1), url=HOST))
    await all_has_run()
    assert (transport.requests, copies.is_still) == ([], True)
    gate.use(None)
    await all_has_run()
    assert len(transport.requests) == 1
    await copies.stop(within=SECOND)
