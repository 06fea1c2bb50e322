"""The virtual clock: the time that it shows, and when and in which order sleepers wake."""

import asyncio
from datetime import datetime, timedelta

import pytest

from ringback.runtime.virtual_clock import VirtualClock
from tests.fakes import NOW, FakeClock
from tests.unit.delivery.parts import all_has_run

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class Sleepers:
    """Sleepers of one clock, and the order in which they woke."""

    def __init__(self, clock: VirtualClock) -> None:
        self.woken = list[str]()
        self._clock = clock
        self._tasks = list[asyncio.Task[None]]()

    async def add(self, name: str, until: datetime) -> asyncio.Task[None]:
        task = asyncio.create_task(self._sleep(name, until))
        self._tasks.append(task)
        await all_has_run()
        return task

    async def _sleep(self, name: str, until: datetime) -> None:
        await self._clock.sleep_until(until)
        self.woken.append(name)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def test_it_runs_like_its_base() -> None:
    base = FakeClock()
    clock = VirtualClock(base)
    base.advance(SECOND)
    assert (clock.now(), clock.ahead) == (NOW + SECOND, timedelta(0))


async def test_an_advance_is_added_to_the_time_of_the_base() -> None:
    base = FakeClock()
    clock = VirtualClock(base)
    clock.advance(DAY)
    base.advance(SECOND)
    clock.advance(DAY)
    assert (clock.now(), clock.ahead) == (NOW + 2 * DAY + SECOND, 2 * DAY)


def test_it_may_be_ahead_from_the_start() -> None:
    assert VirtualClock(FakeClock(), ahead=DAY).now() == NOW + DAY


async def test_a_stopped_clock_stands_still_until_it_is_advanced() -> None:
    clock = VirtualClock.stopped(at=NOW)
    sleepers = Sleepers(clock)
    await sleepers.add("a second", NOW + SECOND)
    assert (clock.now(), sleepers.woken) == (NOW, [])
    clock.advance(SECOND)
    await all_has_run()
    assert (clock.now(), sleepers.woken) == (NOW + SECOND, ["a second"])


@pytest.mark.parametrize("until", [NOW, NOW - SECOND], ids=["now", "past"])
async def test_a_sleep_until_a_past_instant_returns_at_once(until: datetime) -> None:
    sleepers = Sleepers(VirtualClock.stopped(at=NOW))
    await sleepers.add("at once", until)
    assert sleepers.woken == ["at once"]


async def test_a_sleeper_wakes_when_the_base_reaches_the_instant() -> None:
    base = FakeClock()
    sleepers = Sleepers(VirtualClock(base, ahead=DAY))
    await sleepers.add("a second", NOW + DAY + SECOND)
    base.advance(SECOND - timedelta(microseconds=1))
    await all_has_run()
    assert sleepers.woken == []
    base.advance(timedelta(microseconds=1))
    await all_has_run()
    assert sleepers.woken == ["a second"]


async def test_an_advance_that_falls_short_leaves_the_rest_to_the_base() -> None:
    base = FakeClock()
    clock = VirtualClock(base)
    sleepers = Sleepers(clock)
    await sleepers.add("two days", NOW + 2 * DAY)
    clock.advance(DAY)
    await all_has_run()
    assert sleepers.woken == []
    base.advance(DAY)
    await all_has_run()
    assert sleepers.woken == ["two days"]


async def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    clock = VirtualClock(FakeClock())
    sleepers = Sleepers(clock)
    for days in (3, 1, 4, 2):
        await sleepers.add(f"{days}", NOW + days * DAY)
    clock.advance(3 * DAY)
    await all_has_run()
    assert sleepers.woken == ["1", "2", "3"]
    await sleepers.end()


async def test_sleepers_until_the_same_instant_wake_in_the_order_of_their_calls() -> None:
    clock = VirtualClock(FakeClock())
    sleepers = Sleepers(clock)
    for name in ("first", "second", "third"):
        await sleepers.add(name, NOW + DAY)
    clock.advance(DAY)
    await all_has_run()
    assert sleepers.woken == ["first", "second", "third"]


async def test_a_cancelled_sleeper_is_not_woken() -> None:
    clock = VirtualClock(FakeClock())
    sleepers = Sleepers(clock)
    given_up = await sleepers.add("given up", NOW + SECOND)
    await sleepers.add("patient", NOW + SECOND)
    given_up.cancel()
    await all_has_run()
    clock.advance(SECOND)
    await all_has_run()
    assert sleepers.woken == ["patient"]


async def test_a_sleeper_cancelled_while_waking_does_not_harm_the_others() -> None:
    clock = VirtualClock(FakeClock())
    sleepers = Sleepers(clock)
    cut_short = await sleepers.add("cut short", NOW + SECOND)
    await sleepers.add("later", NOW + 2 * SECOND)
    clock.advance(SECOND)
    cut_short.cancel()
    clock.advance(SECOND)
    await all_has_run()
    assert sleepers.woken == ["later"]


async def test_the_new_time_is_saved_before_the_clock_advances() -> None:
    told = list[tuple[timedelta, datetime]]()
    clock = VirtualClock(FakeClock(), ahead=DAY, keep=lambda ahead: told.append((ahead, now())))
    now = clock.now
    clock.advance(SECOND)
    assert told == [(DAY + SECOND, NOW + DAY)]


async def test_if_saving_fails_the_clock_does_not_advance() -> None:
    def fail(ahead: timedelta) -> None:
        raise OSError("the disk is full")

    clock = VirtualClock(FakeClock(), keep=fail)
    sleepers = Sleepers(clock)
    await sleepers.add("a second", NOW + SECOND)
    with pytest.raises(OSError, match="disk is full"):
        clock.advance(DAY)
    await all_has_run()
    assert (clock.now(), clock.ahead, sleepers.woken) == (NOW, timedelta(0), [])
    await sleepers.end()
