"""The task runner: tasks are carried out when due, and each ends in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.policy.source_policy import Source
from ringback.core.scheduled_task import BeginResult, CarrierRequest, ScheduledTask
from ringback.core.sims.scenario import CarrierFailure, CarrierResult, CarrierSucceeded, TaskKind
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.engine.task_runner import PAUSE, ScheduledTaskRunner
from ringback.operations.context import OperationContext
from ringback.operations.supersim.commands import NewSmsCommand, send_sms
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import (
    CallbackFilter,
    Carrier,
    PageWindow,
    RandomSource,
    SendingPause,
    Store,
    TaskHandler,
    Transaction,
)
from ringback.runtime.sending_gate import SendingGate
from tests.callback_queues import RecordingQueue
from tests.fakes import (
    ACCOUNT_SID,
    FLEET_SID,
    NOW,
    SIM_SID,
    FakeClock,
    SeededRandomness,
    a_context,
    a_fleet,
    a_sim,
    an_update,
)
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import FailingStore, Steps, a_store, all_has_run, running

T = TypeVar("T")

SECOND = timedelta(seconds=1)
SCHEDULED = a_sim(status=SimStatus.SCHEDULED)
OTHER_FLEET = "HF" + "d" * 32
FAILURE = CarrierFailure(83004, "the network did not answer")


@dataclass
class FailingCarrier:
    """A network in which each change has the same result."""

    ending: CarrierResult

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        return self.ending


@dataclass
class Bench:
    """A task runner and its dependencies."""

    store: Store
    carrier: Carrier = field(default_factory=SimulatedCarrier)
    random_source: RandomSource = field(default_factory=SeededRandomness)
    clock: FakeClock = field(default_factory=FakeClock)
    callback_queue: RecordingQueue = field(default_factory=RecordingQueue)
    steps: Steps = field(default_factory=Steps)
    checkpoint: Callable[[str], None] | None = None
    gate: SendingGate = field(default_factory=SendingGate)
    handlers: Mapping[TaskKind, TaskHandler[OperationContext]] = field(
        default_factory=lambda: TASK_HANDLERS
    )

    def __post_init__(self) -> None:
        self.task_runner = ScheduledTaskRunner(
            store=self.store,
            carrier=self.carrier,
            handler_of=self.handlers.__getitem__,
            context=self.context,
            clock=self.clock,
            gate=self.gate,
            checkpoint=self.checkpoint or self.steps,
        )

    def context(self) -> OperationContext:
        return a_context(
            now=self.clock.now(), random_source=self.random_source, queue=self.callback_queue
        )


def begin(tx: Transaction, update: PendingSuperSimUpdate, due: datetime = NOW) -> None:
    tx.supersim.sim_updates.add(update)
    tx.tasks.put(ScheduledTask(TaskKind.UPDATE_SIM, update.sim_sid, update.account_sid, due))


async def a_store_with(
    *updates: PendingSuperSimUpdate, sim: SuperSim = SCHEDULED, due: datetime = NOW
) -> MemoryStore:
    store = await a_store()

    def work(tx: Transaction) -> None:
        tx.supersim.fleets.add(a_fleet())
        tx.supersim.fleets.add(a_fleet(sid=OTHER_FLEET, unique_name=None))
        tx.supersim.sims.add(sim)
        for update in updates:
            begin(tx, update, due)

    await store.transact(work)
    return store


async def sim_in(store: Store) -> SuperSim:
    sim = await store.transact(lambda tx: tx.supersim.sims.get(SIM_SID))
    assert sim is not None
    return sim


async def called_back(store: Store) -> list[CallbackRecord]:
    return await store.transact(
        lambda tx: tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(999))
    )


# ---- one change ----------------------------------------------------------------------------------


async def test_a_change_that_is_not_due_is_left_unchanged() -> None:
    store = await a_store_with(an_update(), due=NOW + timedelta(microseconds=1))
    assert await Bench(store).task_runner.step() == 0
    assert await sim_in(store) == SCHEDULED
    assert await called_back(store) == []


async def test_a_due_change_gives_the_sim_its_new_status_and_fleet() -> None:
    store = await a_store_with(an_update(to_status=SimStatus.INACTIVE, to_fleet_sid=OTHER_FLEET))
    bench = Bench(store, clock=FakeClock(NOW + 5 * SECOND))
    assert await bench.task_runner.step() == 1
    assert await sim_in(store) == a_sim(
        status=SimStatus.INACTIVE, fleet_sid=OTHER_FLEET, date_updated=NOW + 5 * SECOND
    )


async def test_a_due_change_calls_back_at_once() -> None:
    store = await a_store_with(an_update(callback_method=HttpMethod.GET))
    bench = Bench(store)
    await bench.task_runner.step()
    (callback,) = await called_back(store)
    assert (callback.progress.due, callback.method) == (NOW, HttpMethod.GET)
    assert callback.source is Source.KORE
    assert callback.parameters == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", "my_super_sim"),
        ("SimSid", SIM_SID),
        ("SimStatus", "inactive"),
        ("AccountSid", ACCOUNT_SID),
    ]
    assert bench.callback_queue.taken == [callback.sid]


async def test_a_change_without_a_url_causes_no_callback() -> None:
    store = await a_store_with(an_update(callback_url=None))
    await Bench(store).task_runner.step()
    assert (await sim_in(store)).status is SimStatus.INACTIVE
    assert await called_back(store) == []


async def test_a_change_that_the_network_fails_restores_status_and_fleet() -> None:
    store = await a_store_with(an_update(from_status=SimStatus.ACTIVE, to_fleet_sid=OTHER_FLEET))
    await Bench(store, FailingCarrier(FAILURE)).task_runner.step()
    assert await sim_in(store) == a_sim(status=SimStatus.ACTIVE, fleet_sid=FLEET_SID)


async def test_a_change_that_the_network_fails_calls_back_with_its_error() -> None:
    store = await a_store_with(an_update(from_status=SimStatus.ACTIVE))
    await Bench(store, FailingCarrier(FAILURE)).task_runner.step()
    (callback,) = await called_back(store)
    assert callback.parameters[3:] == [
        ("SimStatus", "active"),
        ("AccountSid", ACCOUNT_SID),
        ("ErrorCode", "83004"),
        ("ErrorMessage", "the network did not answer"),
    ]


async def test_a_change_is_carried_out_once() -> None:
    store = await a_store_with(an_update())
    bench = Bench(store)
    assert [await bench.task_runner.step() for _ in range(2)] == [1, 0]
    assert len(await called_back(store)) == 1


async def test_a_name_given_meanwhile_stays() -> None:
    store = await a_store_with(an_update())
    renamed = a_sim(status=SimStatus.SCHEDULED, unique_name="renamed")
    await store.transact(lambda tx: tx.supersim.sims.save(renamed))
    await Bench(store).task_runner.step()
    (callback,) = await called_back(store)
    assert (await sim_in(store)).unique_name == "renamed"
    assert ("SimUniqueName", "renamed") in callback.parameters


# ---- one transaction -----------------------------------------------------------------------------


class WatchedStore:
    """A store that records the visible state of a change after each transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen = list[tuple[SimStatus, int, bool]]()

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        result = await self._store.transact(work)
        is_open = (
            await self._store.transact(lambda tx: tx.supersim.sim_updates.get(SIM_SID)) is not None
        )
        status, calls = (await sim_in(self._store)).status, len(await called_back(self._store))
        self.seen.append((status, calls, is_open))
        return result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


async def test_the_new_status_is_never_visible_without_the_callback() -> None:
    store = WatchedStore(await a_store_with(an_update()))
    await Bench(store).task_runner.step()
    assert list(dict.fromkeys(store.seen)) == [
        (SimStatus.SCHEDULED, 0, True),
        (SimStatus.INACTIVE, 1, False),
    ]


class BrokenRandomness:
    """A random source that fails when a callback needs its token."""

    def bytes(self, count: int) -> bytes:
        raise OSError("no entropy")


async def test_if_the_callback_cannot_be_created_the_sim_is_unchanged() -> None:
    store = await a_store_with(an_update())
    await Bench(store, random_source=BrokenRandomness()).task_runner.step()
    assert await sim_in(store) == SCHEDULED
    assert await store.transact(lambda tx: tx.supersim.sim_updates.get(SIM_SID)) == an_update()


async def test_a_change_that_another_process_ended_meanwhile_is_not_called_back_again() -> None:
    store = await a_store_with(an_update())
    other = Bench(store, random_source=SeededRandomness(1))

    class SlowCarrier:
        async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
            await other.task_runner.step()
            return CarrierSucceeded()

    await Bench(store, SlowCarrier()).task_runner.step()
    assert len(await called_back(store)) == 1


# ---- the loop ------------------------------------------------------------------------------------


async def test_the_loop_carries_out_a_change_at_its_instant_and_not_before() -> None:
    store = await a_store_with(an_update(), due=NOW + SECOND)
    bench = Bench(store)
    async with running(bench.task_runner.run):
        bench.clock.advance(SECOND - timedelta(microseconds=1))
        await all_has_run()
        assert await sim_in(store) == SCHEDULED
        bench.clock.advance(timedelta(microseconds=1))
        await bench.steps.reach("announced")
    assert (await sim_in(store)).status is SimStatus.INACTIVE


async def test_the_loop_sees_a_new_change_when_it_is_woken() -> None:
    store = await a_store_with()
    bench = Bench(store)
    async with running(bench.task_runner.run):
        await all_has_run()
        await store.transact(lambda tx: begin(tx, an_update(), NOW + SECOND))
        bench.task_runner.wake()
        await all_has_run()
        bench.clock.advance(SECOND)
        await bench.steps.reach("announced")
    assert len(await called_back(store)) == 1


async def test_a_restart_continues_open_changes() -> None:
    store = await a_store_with(an_update(), due=NOW + SECOND)
    first = Bench(store)
    async with running(first.task_runner.run):
        await all_has_run()
    second = Bench(store, clock=FakeClock(NOW + timedelta(days=1)))
    async with running(second.task_runner.run):
        await second.steps.reach("announced")
    assert (await sim_in(store)).status is SimStatus.INACTIVE
    assert len(await called_back(store)) == 1


async def test_a_crash_between_the_network_and_the_store_repeats_the_change() -> None:
    def die(name: str) -> None:
        raise SystemExit(name)

    store = await a_store_with(an_update())
    with pytest.raises(SystemExit, match="carried_out"):
        await Bench(store, checkpoint=die).task_runner.step()
    assert await sim_in(store) == SCHEDULED
    assert await Bench(store).task_runner.step() == 1
    assert len(await called_back(store)) == 1


async def test_an_idle_loop_does_not_use_the_store() -> None:
    store = FailingStore(await a_store_with())
    bench = Bench(store)
    async with running(bench.task_runner.run):
        await all_has_run()
        before = store.transactions
        bench.clock.advance(timedelta(days=1))
        await all_has_run()
    assert store.transactions == before


async def test_more_changes_than_one_step_takes_are_all_carried_out() -> None:
    store = await a_store()
    sids = [f"HS{number:032}" for number in range(250)]

    def work(tx: Transaction) -> None:
        for number, sid in enumerate(sids):
            iccid = f"8988307{number:013}"
            tx.supersim.sims.add(
                a_sim(sid=sid, iccid=iccid, unique_name=None, status=SimStatus.SCHEDULED)
            )
            begin(tx, an_update(sim_sid=sid))

    await store.transact(work)
    bench = Bench(store)
    async with running(bench.task_runner.run):
        await bench.steps.reach("announced", 3)
    assert len(await called_back(store)) == 250
    assert await store.transact(lambda tx: tx.tasks.claim(NOW, limit=1)) == []


async def test_an_unavailable_store_is_tried_again() -> None:
    store = FailingStore(await a_store_with(an_update()))
    store.failures_to_come = 1
    bench = Bench(store)
    async with running(bench.task_runner.run):
        await all_has_run()
        bench.clock.advance(SECOND)
        await all_has_run()
    assert "announced" in bench.steps.passed


class BrokenCarrier:
    """A network that breaks its contract: it raises an error."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        raise RuntimeError("the network is made of sand")


async def test_a_carrier_that_raises_an_error_fails_the_update_and_not_the_server() -> None:
    store = await a_store_with(an_update())
    bench = Bench(store, carrier=BrokenCarrier())
    await bench.task_runner.step()
    (callback,) = await called_back(store)
    told = dict(callback.parameters)
    assert (told["SimStatus"], told["ErrorCode"]) == ("active", "83004")


# ---- one task and the others ---------------------------------------------------------------------


class FailingUpdates:
    """Handlers that fail for one SIM."""

    def __init__(self, sore_sid: str, *, where: str) -> None:
        self.sore_sid: str | None = sore_sid
        self._where = where
        self._real = TASK_HANDLERS[TaskKind.UPDATE_SIM]
        self.table = {TaskKind.UPDATE_SIM: TaskHandler(self._begin, self._end)}

    def _begin(
        self, tx: Transaction, task: ScheduledTask, context: OperationContext
    ) -> BeginResult:
        self._wince("begin", task)
        return self._real.begin(tx, task, context)

    def _end(
        self, tx: Transaction, task: ScheduledTask, ending: CarrierResult, context: OperationContext
    ) -> None:
        self._real.end(tx, task, ending, context)
        self._wince("end", task)

    def _wince(self, where: str, task: ScheduledTask) -> None:
        if (where, task.subject_sid) == (self._where, self.sore_sid):
            raise ValueError("that can't become this")


async def a_store_with_two() -> tuple[MemoryStore, SuperSim]:
    store = await a_store_with(an_update())
    other = a_sim(
        sid="HS" + "e" * 32,
        iccid="8988307000000000002",
        unique_name=None,
        status=SimStatus.SCHEDULED,
    )
    await store.transact(lambda tx: tx.supersim.sims.add(other))
    await store.transact(lambda tx: begin(tx, an_update(sim_sid=other.sid)))
    return store, other


@pytest.mark.parametrize("where", ["begin", "end"])
async def test_a_task_that_cannot_continue_is_postponed_and_stops_no_other(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, other = await a_store_with_two()
    sore = Bench(store, handlers=FailingUpdates(SIM_SID, where=where).table)
    await sore.task_runner.step()
    assert await sim_in(store) == SCHEDULED
    assert await store.transact(lambda tx: tx.supersim.sim_updates.get(other.sid)) is None
    assert [dict(one.parameters)["SimSid"] for one in await called_back(store)] == [other.sid]
    assert f"update_sim of {SIM_SID} failed" in caplog.text
    task = ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + PAUSE)
    assert await store.transact(lambda tx: tx.tasks.claim(NOW + PAUSE, limit=9)) == [task]


async def test_a_postponed_task_continues_when_it_can() -> None:
    store, _ = await a_store_with_two()
    updates = FailingUpdates(SIM_SID, where="end")
    sore = Bench(store, handlers=updates.table)
    async with running(sore.task_runner.run):
        await sore.steps.reach("announced")
        updates.sore_sid = None
        sore.clock.advance(PAUSE)
        await sore.steps.reach("announced", 2)
    assert (await sim_in(store)).status is SimStatus.INACTIVE
    assert len(await called_back(store)) == 2


class CountingCarrier(SimulatedCarrier):
    """A network that counts its requests, and makes the store unavailable."""

    def __init__(self, store: FailingStore) -> None:
        self.times = 0
        self._store = store

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        self.times += 1
        self._store.failures_to_come = 2
        return await super().carry_out(carrier_request)


async def test_work_of_the_network_is_not_repeated_because_of_an_unavailable_store() -> None:
    store = FailingStore(await a_store_with(an_update()))
    carrier = CountingCarrier(store)
    bench = Bench(store, carrier)
    async with running(bench.task_runner.run):
        for _ in range(3):
            await all_has_run()
            bench.clock.advance(SECOND)
        await bench.steps.reach("announced")
    assert carrier.times == 1
    assert len(await called_back(store)) == 1


async def test_a_task_that_waits_for_another_follows_it_at_the_same_instant() -> None:
    store = await a_store_with(an_update(to_status=SimStatus.INACTIVE))
    at_once = a_context(simulation=SimulationSettings(timedelta(0)))
    sms = await store.transact(
        lambda tx: send_sms(tx, ACCOUNT_SID, NewSmsCommand(SIM_SID, "hello"), at_once)
    )
    runner = Bench(store).task_runner
    assert [await runner.step() for _ in range(3)] == [2, 1, 0]
    told = await store.transact(lambda tx: tx.supersim.sms_commands.get(sms.sid))
    # The SIM is inactive by then; before its change, the SMS would have been sent.
    assert told is not None
    assert told.status == "failed"


# ---- while the server is paused ------------------------------------------------------------------


async def test_no_task_is_begun_while_the_server_is_paused() -> None:
    bench = Bench(await a_store_with(an_update()))
    bench.gate.use(SendingPause(NOW, "maintenance"))
    async with running(bench.task_runner.run):
        bench.task_runner.wake()
        await all_has_run()
        assert bench.steps.passed == []
        assert bench.task_runner.is_still
        assert await bench.task_runner.next_due() is None
        bench.gate.use(None)
        await bench.steps.reach("announced")
    assert (await sim_in(bench.store)).status is SimStatus.INACTIVE
