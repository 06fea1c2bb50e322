"""Advancing the clock: everything due is done at its own time, and nothing is skipped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery.delivery_service import DeliveryService
from ringback.engine.clock_advancer import AdvanceInterrupted, ClockAdvancer
from ringback.ports import Store, Transaction, Transport
from ringback.runtime.virtual_clock import VirtualClock
from ringback.runtime.wakeup import Wakeup
from tests.fakes import NOW, FakeClock, RecordingTransport, a_callback
from tests.unit.delivery.parts import (
    DELIVERED,
    HOST,
    REFUSED,
    FunctionTransport,
    PausedStore,
    SteadyRandomness,
    Steps,
    a_store,
    add,
    all_has_run,
    callback_in,
    running,
    sid,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class TimedJobs:
    """A loop beside the delivery that does jobs at their times, one after the other."""

    def __init__(self, clock: VirtualClock) -> None:
        self.done = list[tuple[str, datetime]]()
        self.on_each: Callable[[], Awaitable[None]] | None = None
        self._clock = clock
        self._wakeup = Wakeup(clock)
        self._waiting = list[tuple[datetime, str]]()

    @property
    def is_still(self) -> bool:
        return self._wakeup.is_quiet

    def put(self, name: str, due: datetime) -> None:
        self._waiting.append((due, name))
        self._waiting.sort()
        self._wakeup.wake()

    async def next_due(self) -> datetime | None:
        return self._waiting[0][0] if self._waiting else None

    async def run(self) -> None:
        while True:
            due = await self.next_due()
            if due is not None and due <= self._clock.now():
                _, name = self._waiting.pop(0)
                self.done.append((name, self._clock.now()))
                if self.on_each is not None:
                    await self.on_each()
            else:
                await self._wakeup.wait(due)


class Bench:
    """A delivery and a loop of jobs, with a stopped clock, and the times of what they did."""

    def __init__(
        self,
        store: Store,
        transport: Transport | None = None,
        *,
        clock: VirtualClock | None = None,
        schedule: RetrySchedule = FAITHFUL,
    ) -> None:
        self.store = store
        self.clock = clock or VirtualClock.stopped(at=NOW)
        self.sent = list[tuple[str, datetime]]()
        """The path of each request, and the time at which it was sent."""
        self.transport = transport or FunctionTransport(self.note)
        self.steps = Steps()
        self.delivery = DeliveryService(
            store=store,
            transport=self.transport,
            clock=self.clock,
            random_source=SteadyRandomness(),
            schedule=schedule,
            checkpoint=self.steps,
        )
        self.jobs = TimedJobs(self.clock)
        self.clock_advancer = ClockAdvancer(self.clock, (self.jobs, self.delivery))

    async def note(self, request: OutgoingRequest) -> AttemptResult:
        self.sent.append((request.url.path, self.clock.now()))
        return DELIVERED

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.delivery.recover()
        async with running(self.delivery.run), running(self.jobs.run):
            yield

    async def take(self, callback: CallbackRecord) -> None:
        def work(tx: Transaction) -> None:
            self.delivery.queue.take(tx, callback)

        await self.store.transact(work)


def to(path: str, number: int, due: datetime) -> CallbackRecord:
    return a_callback(sid=sid(number), url=f"{HOST}{path}", due=due)


# ---- due work ------------------------------------------------------------------------------------


async def test_without_due_work_only_the_time_changes() -> None:
    bench = Bench(await a_store())
    async with bench.running():
        assert await bench.clock_advancer.advance(3 * DAY) == NOW + 3 * DAY
    assert bench.clock.ahead == 3 * DAY


async def test_each_callback_is_sent_at_its_own_time_in_their_order() -> None:
    times = {"/c": NOW + 2 * DAY, "/a": NOW + SECOND, "/b": NOW + 5 * HOUR}
    bench = Bench(await a_store(*(to(path, n, at) for n, (path, at) in enumerate(times.items()))))
    async with bench.running():
        await bench.clock_advancer.advance(3 * DAY)
    assert bench.sent == [(path, times[path]) for path in ("/a", "/b", "/c")]


async def test_later_work_stays_and_work_due_at_the_end_is_done() -> None:
    bench = Bench(await a_store(to("/end", 1, NOW + DAY), to("/later", 2, NOW + DAY + SECOND)))
    async with bench.running():
        await bench.clock_advancer.advance(DAY)
        assert bench.sent == [("/end", NOW + DAY)]
        assert (await callback_in(bench.store, sid(1))).status == "delivered"
        await bench.clock_advancer.advance(SECOND)
    assert bench.sent[1:] == [("/later", NOW + DAY + SECOND)]


async def test_the_rounds_of_a_schedule_begin_after_its_waits() -> None:
    times = list[datetime]()

    async def refuse(request: OutgoingRequest) -> AttemptResult:
        times.append(bench.clock.now())
        return REFUSED

    store = await a_store(a_callback(url=f"{HOST}/#cbs=kore&rc=0"))
    bench = Bench(store, FunctionTransport(refuse), schedule=PERSISTENT)
    async with bench.running():
        await bench.clock_advancer.advance(2 * DAY)
    a_fifth_less = [wait * 0.8 for wait in PERSISTENT.waits]
    assert [later - earlier for earlier, later in pairwise(times)] == a_fifth_less
    assert (await callback_in(store)).status == "failed"


async def test_loops_take_turns_by_due_time() -> None:
    bench = Bench(await a_store(to("/1h", 1, NOW + HOUR), to("/3h", 2, NOW + 3 * HOUR)))
    both = bench.jobs.done = bench.sent
    async with bench.running():
        bench.jobs.put("2h", NOW + 2 * HOUR)
        bench.jobs.put("4h", NOW + 4 * HOUR)
        await bench.clock_advancer.advance(DAY)
    assert both == [
        ("/1h", NOW + HOUR),
        ("2h", NOW + 2 * HOUR),
        ("/3h", NOW + 3 * HOUR),
        ("4h", NOW + 4 * HOUR),
    ]


async def test_work_that_results_from_due_work_is_done_on_the_way_too() -> None:
    bench = Bench(await a_store())

    async def announce() -> None:
        await bench.take(to("/at-once", 1, bench.clock.now()))
        await bench.take(to("/an-hour-later", 2, bench.clock.now() + HOUR))

    bench.jobs.on_each = announce
    async with bench.running():
        bench.jobs.put("change", NOW + DAY)
        await bench.clock_advancer.advance(2 * DAY)
    assert bench.sent == [("/at-once", NOW + DAY), ("/an-hour-later", NOW + DAY + HOUR)]


async def test_the_minutes_sweep_is_no_reason_to_stop_on_the_way() -> None:
    told = list[timedelta]()
    clock = VirtualClock(FakeClock(), keep=told.append)
    bench = Bench(await a_store(to("/", 1, NOW + DAY)), clock=clock)
    async with bench.running():
        await bench.clock_advancer.advance(7 * DAY)
    assert told == [DAY, 7 * DAY]


async def test_due_callbacks_without_a_wake_up_are_found_after_a_jump() -> None:
    bench = Bench(await a_store())
    async with bench.running():
        await all_has_run()
        await add(bench.store, to("/", 1, NOW + MINUTE))
        await bench.clock_advancer.advance(2 * MINUTE)
    assert bench.sent == [("/", NOW + 2 * MINUTE)]


# ---- waiting -------------------------------------------------------------------------------------


@asynccontextmanager
async def advancing(bench: Bench, by: timedelta) -> AsyncIterator[asyncio.Task[datetime]]:
    task = asyncio.create_task(bench.clock_advancer.advance(by))
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_time_stands_still_during_a_request() -> None:
    gate = asyncio.Event()
    store = await a_store(to("/", 1, NOW + HOUR))
    bench = Bench(store, RecordingTransport(gate=gate))
    async with bench.running(), advancing(bench, DAY) as task:
        await bench.steps.reach("claimed")
        await all_has_run()
        assert (bench.clock.now(), task.done()) == (NOW + HOUR, False)
        gate.set()
    assert bench.clock.now() == NOW + DAY


async def test_time_stands_still_until_a_result_is_durable() -> None:
    store = PausedStore(await a_store(to("/", 1, NOW + HOUR)))
    gate = asyncio.Event()
    bench = Bench(store, RecordingTransport(gate=gate))
    async with bench.running(), advancing(bench, DAY) as task:
        await bench.steps.reach("claimed")
        store.may_tell.clear()
        gate.set()
        await bench.steps.reach("sent")
        await all_has_run()
        assert not bench.delivery.is_still
        assert (bench.clock.now(), task.done()) == (NOW + HOUR, False)
        store.may_tell.set()
    assert bench.clock.now() == NOW + DAY


async def test_time_stands_still_while_another_loop_is_busy() -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    bench = Bench(await a_store())

    async def wait() -> None:
        begun.set()
        await gate.wait()

    bench.jobs.on_each = wait
    async with bench.running():
        bench.jobs.put("change", NOW + HOUR)
        async with advancing(bench, DAY) as task:
            await begun.wait()
            await all_has_run()
            assert (bench.clock.now(), task.done()) == (NOW + HOUR, False)
            gate.set()


async def test_work_due_before_the_advance_is_done_before_time_passes() -> None:
    bench = Bench(await a_store(to("/", 1, NOW)))
    async with bench.running(), advancing(bench, DAY):
        await bench.steps.reach("settled")
    assert bench.sent == [("/", NOW)]


async def test_it_returns_only_when_the_last_callback_is_settled() -> None:
    gate = asyncio.Event()
    bench = Bench(await a_store(to("/", 1, NOW + DAY)), RecordingTransport(gate=gate))
    async with bench.running(), advancing(bench, DAY) as task:
        await bench.steps.reach("claimed")
        await all_has_run()
        assert not task.done()
        gate.set()
        await task
        assert (await callback_in(bench.store, sid(1))).status == "delivered"


class BusyAtFirst:
    """A loop that is busy only at the first look."""

    def __init__(self) -> None:
        self._looks = 0

    @property
    def is_still(self) -> bool:
        self._looks += 1
        return self._looks > 1

    async def next_due(self) -> datetime | None:
        return None


async def test_advances_run_one_after_the_other() -> None:
    clock_advancer = ClockAdvancer(VirtualClock.stopped(at=NOW), (BusyAtFirst(),))
    ends = await asyncio.gather(clock_advancer.advance(DAY), clock_advancer.advance(HOUR))
    assert ends == [NOW + DAY, NOW + DAY + HOUR]


class SurprisingJobs(TimedJobs):
    """A loop that gets new work while it answers for the first time."""

    surprise: Callable[[], Awaitable[None]] | None = None

    async def next_due(self) -> datetime | None:
        surprise, self.surprise = self.surprise, None
        if surprise is not None:
            await surprise()
        return await super().next_due()


async def test_work_that_arrives_during_the_check_is_done_before_time_passes() -> None:
    bench = Bench(await a_store())
    jobs = SurprisingJobs(bench.clock)
    clock_advancer = ClockAdvancer(bench.clock, (jobs, bench.delivery))
    async with bench.running(), running(jobs.run):
        await all_has_run()
        jobs.surprise = lambda: bench.take(to("/", 1, NOW))
        await clock_advancer.advance(DAY)
    assert bench.sent == [("/", NOW)]


# ---- interruptions -------------------------------------------------------------------------------


async def test_a_stop_interrupts_the_advance() -> None:
    gate = asyncio.Event()
    bench = Bench(await a_store(to("/", 1, NOW + HOUR)), RecordingTransport(gate=gate))
    async with bench.running():
        task = asyncio.create_task(bench.clock_advancer.advance(DAY))
        await bench.steps.reach("claimed")
        bench.clock_advancer.break_off()
        with pytest.raises(AdvanceInterrupted, match="advanced only to 2024-07-03T15:40:58Z"):
            await task
    assert bench.clock.ahead == HOUR


async def test_a_stopped_engine_is_not_waited_for() -> None:
    bench = Bench(await a_store())
    bench.clock_advancer.break_off()
    with pytest.raises(AdvanceInterrupted):
        await bench.clock_advancer.advance(DAY)
    assert bench.clock.now() == NOW


async def test_an_interrupted_advance_does_not_affect_the_next() -> None:
    bench = Bench(await a_store())
    tasks = [asyncio.create_task(bench.clock_advancer.advance(DAY)) for _ in range(2)]
    await all_has_run()
    bench.clock_advancer.break_off()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [AdvanceInterrupted, AdvanceInterrupted]


# ---- a running clock -----------------------------------------------------------------------------


async def test_time_that_passes_meanwhile_is_added() -> None:
    base = FakeClock()
    times = list[datetime]()

    async def take_a_second(request: OutgoingRequest) -> AttemptResult:
        times.append(bench.clock.now())
        base.advance(SECOND)
        return DELIVERED

    store = await a_store(to("/1", 1, NOW + HOUR), to("/2", 2, NOW + 2 * HOUR))
    bench = Bench(store, FunctionTransport(take_a_second), clock=VirtualClock(base))
    async with bench.running():
        now = await bench.clock_advancer.advance(DAY)
    assert times == [NOW + HOUR, NOW + 2 * HOUR]
    assert (now, bench.clock.ahead) == (NOW + DAY + 2 * SECOND, DAY)


async def test_work_due_in_the_time_that_passes_meanwhile_is_done_and_no_time_is_lost() -> None:
    base = FakeClock()

    async def take_two_hours(request: OutgoingRequest) -> AttemptResult:
        bench.sent.append((request.url.path, bench.clock.now()))
        base.advance(2 * HOUR)
        return DELIVERED

    store = await a_store(to("/1", 1, NOW + HOUR), to("/2", 2, NOW + 2 * HOUR))
    bench = Bench(store, FunctionTransport(take_two_hours), clock=VirtualClock(base))
    async with bench.running():
        await bench.clock_advancer.advance(DAY)
    assert bench.sent == [("/1", NOW + HOUR), ("/2", NOW + 3 * HOUR)]
    assert bench.clock.ahead == DAY


@pytest.mark.parametrize("by", [timedelta(0), SECOND], ids=["nothing", "a second"])
async def test_the_offset_grows_by_exactly_the_requested_time(by: timedelta) -> None:
    bench = Bench(await a_store(), clock=VirtualClock(FakeClock(), ahead=HOUR))
    async with bench.running():
        await bench.clock_advancer.advance(by)
    assert bench.clock.ahead == HOUR + by
