"""The bell: rung, or at an instant, and never by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from ringback.engine.bell import Bell
from tests.fakes import NOW, FakeClock
from tests.unit.engine.parts import all_has_run

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bell(clock: FakeClock) -> Bell:
    return Bell(clock)


@asynccontextmanager
async def waiting(bell: Bell, until: datetime | None) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(bell.wait(until))
    await all_has_run()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("until", [None, NOW + SECOND], ids=["for ever", "until an instant"])
async def test_who_waits_wakes_when_it_is_rung(bell: Bell, until: datetime | None) -> None:
    async with waiting(bell, until) as task:
        assert not task.done()
        bell.wake()
        await all_has_run()
        assert task.done()


@pytest.mark.parametrize("until", [None, NOW + SECOND], ids=["for ever", "until an instant"])
async def test_rung_while_busy_the_next_wait_returns_at_once(
    bell: Bell, until: datetime | None
) -> None:
    bell.wake()
    async with waiting(bell, until) as task:
        assert task.done()


async def test_rung_often_while_busy_only_one_wait_returns_at_once(bell: Bell) -> None:
    for _ in range(3):
        bell.wake()
    await bell.wait(None)
    async with waiting(bell, None) as task:
        assert not task.done()


async def test_who_waits_wakes_at_the_instant_and_not_before(bell: Bell, clock: FakeClock) -> None:
    async with waiting(bell, NOW + SECOND) as task:
        clock.advance(SECOND - timedelta(microseconds=1))
        await all_has_run()
        assert not task.done()
        clock.advance(timedelta(microseconds=1))
        await all_has_run()
        assert task.done()


@pytest.mark.parametrize("until", [NOW, NOW - SECOND], ids=["now", "past"])
async def test_an_instant_that_has_come_lets_the_wait_return_at_once(
    bell: Bell, until: datetime
) -> None:
    async with waiting(bell, until) as task:
        assert task.done()


async def test_the_instant_of_an_earlier_wait_wakes_nobody(bell: Bell, clock: FakeClock) -> None:
    async with waiting(bell, NOW + SECOND):
        bell.wake()
        await all_has_run()
    async with waiting(bell, NOW + 3 * SECOND) as task:
        clock.advance(2 * SECOND)
        await all_has_run()
        assert not task.done()


async def test_a_wait_that_was_cut_short_leaves_nothing_behind(
    bell: Bell, clock: FakeClock
) -> None:
    async with waiting(bell, NOW + SECOND):
        pass
    clock.advance(2 * SECOND)
    async with waiting(bell, None) as task:
        assert not task.done()


# ---- whether it is quiet -------------------------------------------------------------------------


async def test_it_is_quiet_while_somebody_waits(bell: Bell) -> None:
    assert not bell.is_quiet
    async with waiting(bell, NOW + SECOND):
        assert bell.is_quiet
    assert not bell.is_quiet


async def test_it_is_not_quiet_from_the_ring_on(bell: Bell) -> None:
    async with waiting(bell, None):
        bell.wake()
        assert not bell.is_quiet
        await all_has_run()
        assert not bell.is_quiet


async def test_it_is_not_quiet_from_the_instant_on_although_nobody_has_woken_yet(
    bell: Bell, clock: FakeClock
) -> None:
    async with waiting(bell, NOW + SECOND):
        clock.advance(SECOND)
        assert not bell.is_quiet


async def test_the_instant_of_an_earlier_wait_says_nothing_of_the_next_one(
    bell: Bell, clock: FakeClock
) -> None:
    async with waiting(bell, NOW + SECOND):
        clock.advance(SECOND)
        await all_has_run()
    async with waiting(bell, None):
        assert bell.is_quiet
