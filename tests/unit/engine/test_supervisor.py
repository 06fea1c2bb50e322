"""The supervisor: takes up what was left, runs both loops, and ends them without loss."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest

from ringback.carrier.simulated import SimulatedCarrier
from ringback.core.sim import SimStatus
from ringback.core.source import NOTICE, Transition
from ringback.engine.dispatcher import Dispatcher
from ringback.engine.progress import Progress
from ringback.engine.supervisor import Supervisor
from ringback.ports import Carrier, Store, Transaction
from tests.fakes import (
    NOW,
    SIM_SID,
    TOKENS,
    FakeClock,
    RecordingTransport,
    SeededChance,
    a_callback,
    a_sim,
    an_update,
)
from tests.unit.engine.parts import Steps, a_store, add, all_has_run, attempts_in, callback_in

SECOND = timedelta(seconds=1)
T = TypeVar("T")


@dataclass
class Bench:
    """A whole engine."""

    store: Store
    transport: RecordingTransport = field(default_factory=RecordingTransport)
    carrier: Carrier = field(default_factory=lambda: SimulatedCarrier(SECOND))
    clock: FakeClock = field(default_factory=FakeClock)
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            store=self.store, transport=self.transport, clock=self.clock, checkpoint=self.steps
        )
        self.progress = Progress(
            store=self.store,
            carrier=self.carrier,
            transition=Transition(NOTICE),
            clock=self.clock,
            chance=SeededChance(),
            dispatcher=self.dispatcher,
            checkpoint=self.steps,
        )
        self.supervisor = Supervisor(self.progress, self.dispatcher)


class BreakingStore:
    """A store whose first transaction, the start's, is its last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_broken = False

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        if self._is_broken:
            raise RuntimeError("the disk is made of sand")
        self._is_broken = True
        return await self._store.transact(work)


async def begin_update(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.sims.add(a_sim(status=SimStatus.SCHEDULED))
        tx.sims.begin_update(an_update(due=NOW + SECOND))

    await store.transact(work)


async def test_a_change_goes_all_the_way_to_its_receiver() -> None:
    store = await a_store()
    await begin_update(store)
    bench = Bench(store)
    await bench.supervisor.start()
    await all_has_run()
    bench.clock.advance(SECOND)
    await bench.steps.reach("settled")
    await bench.supervisor.stop(within=SECOND)
    assert bench.steps.passed == ["carried_out", "announced", "claimed", "sent", "settled"]
    assert b"SimStatus=inactive" in bench.transport.requests[0].body


async def test_a_start_takes_up_what_a_dead_process_left_open() -> None:
    store = await a_store(a_callback())
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    bench = Bench(store)
    await bench.supervisor.start()
    await bench.steps.reach("settled")
    await bench.supervisor.stop(within=SECOND)
    (request,) = bench.transport.requests
    assert [attempt.result for attempt in await attempts_in(store)] == ["unknown", "delivered"]
    assert TOKENS[a_callback().source] in dict(request.headers).values()


async def test_a_start_has_recovered_before_anything_is_sent() -> None:
    store = await a_store(a_callback())
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    bench = Bench(store)
    await bench.supervisor.start()
    assert bench.transport.requests == []
    assert [attempt.result for attempt in await attempts_in(store)] == ["unknown"]
    await bench.supervisor.stop(within=SECOND)


async def test_a_stop_lets_the_attempts_under_way_end() -> None:
    gate = asyncio.Event()
    store = await a_store(a_callback())
    bench = Bench(store, RecordingTransport(gate=gate))
    await bench.supervisor.start()
    await bench.steps.reach("claimed")
    stopping = asyncio.create_task(bench.supervisor.stop(within=10 * SECOND))
    await all_has_run()
    assert not stopping.done()
    gate.set()
    await stopping
    assert (await callback_in(store)).status == "delivered"


async def test_a_stop_begins_nothing_new() -> None:
    store = await a_store()
    await begin_update(store)
    bench = Bench(store)
    await bench.supervisor.start()
    await bench.supervisor.stop(within=SECOND)
    await add(store, a_callback())
    bench.progress.wake()
    bench.dispatcher.wake()
    bench.clock.advance(SECOND)
    await all_has_run()
    assert bench.steps.passed == []
    assert await store.transact(lambda tx: tx.sims.end_update(SIM_SID)) is not None


async def test_watching_raises_what_ended_a_loop() -> None:
    bench = Bench(BreakingStore(await a_store()))
    await bench.supervisor.start()
    with pytest.raises(RuntimeError, match="made of sand"):
        await bench.supervisor.watch()
    await bench.supervisor.stop(within=SECOND)


async def test_watching_goes_on_while_the_loops_do() -> None:
    bench = Bench(await a_store(a_callback()))
    await bench.supervisor.start()
    watching = asyncio.create_task(bench.supervisor.watch())
    await bench.steps.reach("settled")
    await all_has_run()
    assert not watching.done()
    watching.cancel()
    await bench.supervisor.stop(within=SECOND)
