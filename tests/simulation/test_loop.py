"""The simulation's event loop keeps asyncio's promises, in any order of the ready entries."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from tests.simulation.loop import SimClock, SimLoop
from tests.simulation.scheduler import Order, Scheduler

Main = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(autouse=True)
def leaving_no_loop() -> Iterator[None]:
    """Leave no running loop behind, in which all later tests of the process would fail."""
    yield
    asyncio._set_running_loop(None)


def run(main: Main, *, seed: int = 0, order: Order = Order.ANY) -> tuple[Any, float]:
    """Run a coroutine on a new loop; return its result and how much virtual time it took."""
    scheduler = Scheduler(Random(seed), order=order)
    failures = list[dict[str, Any]]()
    loop = SimLoop(scheduler, on_failure=failures.append)
    asyncio._set_running_loop(loop)
    try:
        task = loop.create_task(main())
        while not task.done() and scheduler.now < 1000:
            scheduler.run(scheduler.now + 1)
    finally:
        asyncio._set_running_loop(None)
    assert failures == []
    return task.result(), loop.time()


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(500)
        return asyncio.get_running_loop().time() - began

    assert run(main)[0] == 500


def test_timers_go_off_in_the_order_of_their_times() -> None:
    async def main() -> list[int]:
        seen = list[int]()
        loop = asyncio.get_running_loop()
        for after in (3, 1, 2):
            loop.call_later(after, seen.append, after)
        await asyncio.sleep(4)
        return seen

    assert run(main)[0] == [1, 2, 3]


def test_a_timeout_ends_what_hangs() -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        run(main)


@pytest.mark.parametrize("seed", range(20))
def test_the_callbacks_of_one_future_keep_their_order(seed: int) -> None:
    async def main() -> list[int]:
        seen = list[int]()
        future = asyncio.get_running_loop().create_future()
        for number in range(5):
            future.add_done_callback(lambda _, number=number: seen.append(number))
        future.set_result(None)
        await asyncio.sleep(1)
        return seen

    assert run(main, seed=seed)[0] == [0, 1, 2, 3, 4]


def test_tasks_that_are_ready_run_in_any_order() -> None:
    async def main() -> tuple[int, ...]:
        seen = list[int]()

        async def note(number: int) -> None:
            seen.append(number)

        await asyncio.gather(*(note(number) for number in range(5)))
        return tuple(seen)

    assert len({run(main, seed=seed)[0] for seed in range(20)}) > 5


def test_in_the_first_order_they_run_in_the_order_they_became_ready() -> None:
    async def main() -> list[int]:
        seen = list[int]()

        async def note(number: int) -> None:
            seen.append(number)

        await asyncio.gather(*(note(number) for number in range(5)))
        return seen

    assert run(main, order=Order.FIRST)[0] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(10))
def test_locks_waits_and_shields_work(seed: int) -> None:
    async def main() -> list[str]:
        seen, room = list[str](), asyncio.Semaphore(1)

        async def enter(name: str, seconds: float) -> None:
            async with room:
                await asyncio.sleep(seconds)
                seen.append(name)

        slow = asyncio.create_task(enter("slow", 10))
        await asyncio.sleep(1)
        quick = asyncio.create_task(enter("quick", 1))
        done, waiting = await asyncio.wait((slow, quick), timeout=5)
        assert (done, waiting) == (set(), {slow, quick})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(slow), 1)
        quick.cancel()
        await asyncio.gather(slow, quick, return_exceptions=True)
        return seen

    assert run(main, seed=seed)[0] == ["slow"]


def test_a_killed_loop_runs_nothing_more() -> None:
    scheduler, seen = Scheduler(Random(0)), list[str]()
    loop = SimLoop(scheduler, on_failure=lambda _: seen.append("failure"))

    async def main() -> None:
        seen.append("begins")
        await asyncio.sleep(1)
        seen.append("goes on")

    asyncio._set_running_loop(loop)
    loop.create_task(main())
    scheduler.run(0.5)
    loop.is_dead = True
    loop.kill()
    scheduler.run(5.0)
    asyncio._set_running_loop(None)

    assert seen == ["begins"]


@pytest.mark.parametrize("seed", range(10))
def test_a_stopped_process_sees_its_input_and_late_timers_when_it_goes_on(seed: int) -> None:
    scheduler, seen = Scheduler(Random(seed), order=Order.ANY), list[str]()
    loop = SimLoop(scheduler, on_failure=lambda _: None)
    loop.call_at(1.0, seen.append, "timer")
    loop.call_at(9.0, seen.append, "timer to come")
    scheduler.do(seen.append, "input", at=2.0, origin=seen, gate=loop.gate, is_input=True)
    scheduler.do(seen.append, "elsewhere", at=3.0, origin=scheduler)
    loop.gate.is_shut = True
    scheduler.run(5.0)
    while_stopped = list(seen)
    scheduler.open(loop.gate)

    assert while_stopped == ["elsewhere"]
    assert sorted(seen[1:]) == ["input", "timer"]


def test_event_loops_differ_in_the_order_of_input_and_timers_after_a_stop() -> None:
    firsts = set[str]()
    for seed in range(20):
        scheduler, seen = Scheduler(Random(seed)), list[str]()
        loop = SimLoop(scheduler, on_failure=lambda _: None)
        loop.call_at(1.0, seen.append, "timer")
        scheduler.do(seen.append, "input", at=2.0, origin=seen, gate=loop.gate, is_input=True)
        loop.gate.is_shut = True
        scheduler.run(5.0)
        scheduler.open(loop.gate)
        firsts.add(seen[0])

    assert firsts == {"input", "timer"}


def test_the_wall_clock_can_be_set_while_time_goes_on() -> None:
    scheduler = Scheduler(Random(0))
    clock = SimClock(scheduler)
    before = clock.now()
    scheduler.run(10.0)
    clock.ahead -= timedelta(seconds=3)

    assert scheduler.now == 10.0
    assert clock.now() - before == timedelta(seconds=7)
