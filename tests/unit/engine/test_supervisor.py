"""The supervisor: recovers open work, runs all loops, and stops them without loss."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.errors import RecoveryPending
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.delivery.delivery_service import DeliveryService
from ringback.engine.supervisor import Supervisor
from ringback.engine.task_runner import ScheduledTaskRunner
from ringback.operations.context import OperationContext
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import Carrier, Store, Transaction
from tests.fakes import (
    ACCOUNT_SID,
    NOW,
    SIM_SID,
    FakeClock,
    RecordingTransport,
    SeededRandomness,
    a_callback,
    a_context,
    a_sim,
    an_update,
)
from tests.unit.delivery.parts import (
    FailingStore,
    Steps,
    a_store,
    all_has_run,
    attempts_in,
    callback_in,
    claim_of,
)

SECOND = timedelta(seconds=1)
T = TypeVar("T")


@dataclass
class Bench:
    """A supervisor with its task runner and delivery."""

    store: Store
    transport: RecordingTransport = field(default_factory=RecordingTransport)
    carrier: Carrier = field(default_factory=SimulatedCarrier)
    clock: FakeClock = field(default_factory=FakeClock)
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        self.delivery = DeliveryService(
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            random_source=SeededRandomness(),
            checkpoint=self.steps,
        )
        self.task_runner = ScheduledTaskRunner(
            store=self.store,
            carrier=self.carrier,
            handler_of=TASK_HANDLERS.__getitem__,
            context=self._context,
            clock=self.clock,
            checkpoint=self.steps,
        )
        self.supervisor = Supervisor(self.task_runner, self.delivery, clock=self.clock)

    def _context(self) -> OperationContext:
        return a_context(now=self.clock.now(), queue=self.delivery.queue)


class BreakingStore:
    """A store that fails when a test says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_broken = False

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        if self.is_broken:
            raise RuntimeError("the disk is made of sand")
        return await self._store.transact(work)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


async def begin_update(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.supersim.sims.add(a_sim(status=SimStatus.SCHEDULED))
        tx.supersim.sim_updates.add(an_update())
        tx.tasks.put(ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + SECOND))

    await store.transact(work)


async def test_a_change_is_called_back_to_its_receiver() -> None:
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


async def test_a_start_settles_attempts_that_a_dead_process_left_open() -> None:
    store = await a_store(a_callback())
    await claim_of(store, a_callback())
    bench = Bench(store)
    await bench.supervisor.start()
    await bench.steps.reach("settled")
    await bench.supervisor.stop(within=SECOND)
    (request,) = bench.transport.requests
    assert [attempt.result for attempt in await attempts_in(store)] == ["unknown", "delivered"]
    assert a_callback().idempotency_token in dict(request.headers).values()


async def test_a_start_recovers_before_anything_is_sent() -> None:
    store = await a_store(a_callback())
    await claim_of(store, a_callback())
    bench = Bench(store)
    await bench.supervisor.start()
    assert bench.transport.requests == []
    assert [attempt.result for attempt in await attempts_in(store)] == ["unknown"]
    await bench.supervisor.stop(within=SECOND)


async def test_a_start_with_an_unavailable_database_recovers_when_it_is_back() -> None:
    there = await a_store(a_callback())
    store = FailingStore(there)
    await claim_of(there, a_callback())
    bench = Bench(store)
    store.failures_to_come = 3
    await bench.supervisor.start()
    assert bench.supervisor.is_running
    await all_has_run()
    # A new attempt would look the same as those that were left open.
    with pytest.raises(RecoveryPending, match="takes no new callbacks until"):
        await there.transact(lambda tx: bench.delivery.queue.take(tx, a_callback(sid="CB2")))
    while store.failures_to_come:
        bench.clock.advance(SECOND)
        await all_has_run()
    bench.clock.advance(SECOND)
    await bench.steps.reach("settled")
    await store.transact(lambda tx: bench.delivery.queue.take(tx, a_callback(sid="CB2")))
    await bench.supervisor.stop(within=SECOND)
    attempts = await attempts_in(store)
    assert [attempt.result for attempt in attempts] == ["unknown", "delivered"]


async def test_a_stop_before_the_database_is_back_ends_at_once() -> None:
    store = FailingStore(await a_store(a_callback()))
    bench = Bench(store)
    store.go_away()
    await bench.supervisor.start()
    await all_has_run()
    stopping = asyncio.create_task(bench.supervisor.stop(within=timedelta(0)))
    await all_has_run()
    assert stopping.done()
    assert not bench.supervisor.is_running


async def test_a_loop_can_begin_after_the_recovery() -> None:
    store, begun = FailingStore(await a_store()), asyncio.Event()
    bench = Bench(store)

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    supervisor = Supervisor(None, bench.delivery, clock=bench.clock, after_recovery=(run,))
    store.failures_to_come = 2
    await supervisor.start()
    await all_has_run()
    assert not begun.is_set()
    bench.clock.advance(SECOND)
    await all_has_run()
    assert begun.is_set()
    assert supervisor.is_running
    await supervisor.stop(within=SECOND)
    assert not supervisor.is_running


async def test_a_stop_leaves_unrecovered_attempts_to_the_next_start() -> None:
    there = await a_store(a_callback())
    await claim_of(there, a_callback())
    store = FailingStore(there)
    bench = Bench(store)
    store.go_away()
    await bench.supervisor.start()
    store.failures_to_come = 0
    # The supervisor checks only after a second if the database is back.
    await bench.supervisor.stop(within=10 * SECOND)
    assert bench.transport.requests == []
    assert [attempt.result for attempt in await attempts_in(there)] == ["open"]
    next_one = Bench(there)
    await next_one.supervisor.start()
    await next_one.steps.reach("settled")
    await next_one.supervisor.stop(within=SECOND)
    attempts = await attempts_in(there)
    assert [attempt.result for attempt in attempts] == ["unknown", "delivered"]


async def test_a_stop_lets_attempts_in_progress_end() -> None:
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
    await store.transact(lambda tx: bench.delivery.queue.take(tx, a_callback()))
    bench.task_runner.wake()
    bench.clock.advance(SECOND)
    await all_has_run()
    assert bench.steps.passed == []
    assert await store.transact(lambda tx: tx.supersim.sim_updates.get(SIM_SID)) is not None
    assert await callback_in(store) == a_callback()


async def test_an_engine_runs_from_its_start_to_its_stop() -> None:
    bench = Bench(await a_store())
    assert not bench.supervisor.is_running
    await bench.supervisor.start()
    assert bench.supervisor.is_running
    await bench.supervisor.stop(within=SECOND)
    assert not bench.supervisor.is_running


async def test_an_engine_with_a_failed_loop_is_not_running() -> None:
    store = BreakingStore(await a_store())
    bench = Bench(store)
    await bench.supervisor.start()
    store.is_broken = True
    await all_has_run()
    assert not bench.supervisor.is_running


async def test_watch_raises_the_error_that_ended_a_loop() -> None:
    store = BreakingStore(await a_store())
    bench = Bench(store)
    await bench.supervisor.start()
    store.is_broken = True
    with pytest.raises(RuntimeError, match="made of sand"):
        await bench.supervisor.watch()
    store.is_broken = False
    await bench.supervisor.stop(within=SECOND)


async def test_a_stop_with_an_unavailable_database_leaves_open_attempts_to_the_next_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore(await a_store(a_callback()))
    bench = Bench(store, RecordingTransport(gate=asyncio.Event()))
    await bench.supervisor.start()
    await bench.steps.reach("claimed")
    store.failures_to_come = 99
    await bench.supervisor.stop(within=timedelta(0))
    assert "the next start of the server settles the open attempts" in caplog.text
    store.failures_to_come = 0
    assert [attempt.result for attempt in await attempts_in(store)] == ["open"]


async def test_a_stop_ends_a_loop_that_waits_for_an_unavailable_database() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store)
    await bench.supervisor.start()
    await all_has_run()
    store.go_away()
    bench.clock.advance(60 * SECOND)
    await store.steps.reach("failed")
    stopping = asyncio.create_task(bench.supervisor.stop(within=timedelta(0)))
    await all_has_run()
    assert stopping.done()
    assert not bench.supervisor.is_running


async def test_watch_runs_as_long_as_the_loops() -> None:
    bench = Bench(await a_store(a_callback()))
    await bench.supervisor.start()
    watching = asyncio.create_task(bench.supervisor.watch())
    await bench.steps.reach("settled")
    await all_has_run()
    assert not watching.done()
    watching.cancel()
    await bench.supervisor.stop(within=SECOND)
