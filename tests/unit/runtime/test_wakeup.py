"""Wake-ups: by a call, or at an instant, and never otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from ringback.runtime.wakeup import Wakeup
from tests.fakes import NOW, FakeClock
from tests.unit.delivery.parts import all_has_run

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def wakeup(clock: FakeClock) -> Wakeup:
    return Wakeup(clock)


@asynccontextmanager
async def waiting(wakeup: Wakeup, until: datetime | None) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(wakeup.wait(until))
    await all_has_run()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("until", [None, NOW + SECOND], ids=["for ever", "until an instant"])
async def test_a_wait_returns_when_it_is_woken(wakeup: Wakeup, until: datetime | None) -> None:
    async with waiting(wakeup, until) as task:
        assert not task.done()
        wakeup.wake()
        await all_has_run()
        assert task.done()


@pytest.mark.parametrize("until", [None, NOW + SECOND], ids=["for ever", "until an instant"])
async def test_if_woken_while_busy_the_next_wait_returns_at_once(
    wakeup: Wakeup, until: datetime | None
) -> None:
    wakeup.wake()
    async with waiting(wakeup, until) as task:
        assert task.done()


async def test_if_woken_often_while_busy_only_one_wait_returns_at_once(wakeup: Wakeup) -> None:
    for _ in range(3):
        wakeup.wake()
    await wakeup.wait(None)
    async with waiting(wakeup, None) as task:
        assert not task.done()


async def test_a_wait_ends_at_the_instant_and_not_before(wakeup: Wakeup, clock: FakeClock) -> None:
    async with waiting(wakeup, NOW + SECOND) as task:
        clock.advance(SECOND - timedelta(microseconds=1))
        await all_has_run()
        assert not task.done()
        clock.advance(timedelta(microseconds=1))
        await all_has_run()
        assert task.done()


@pytest.mark.parametrize("until", [NOW, NOW - SECOND], ids=["now", "past"])
async def test_a_past_instant_lets_the_wait_return_at_once(wakeup: Wakeup, until: datetime) -> None:
    async with waiting(wakeup, until) as task:
        assert task.done()


async def test_the_instant_of_an_earlier_wait_wakes_nobody(
    wakeup: Wakeup, clock: FakeClock
) -> None:
    async with waiting(wakeup, NOW + SECOND):
        wakeup.wake()
        await all_has_run()
    async with waiting(wakeup, NOW + 3 * SECOND) as task:
        clock.advance(2 * SECOND)
        await all_has_run()
        assert not task.done()


async def test_a_cancelled_wait_leaves_nothing_behind(wakeup: Wakeup, clock: FakeClock) -> None:
    async with waiting(wakeup, NOW + SECOND):
        pass
    clock.advance(2 * SECOND)
    async with waiting(wakeup, None) as task:
        assert not task.done()


# ---- being quiet ---------------------------------------------------------------------------------


async def test_it_is_quiet_while_a_wait_is_in_progress(wakeup: Wakeup) -> None:
    assert not wakeup.is_quiet
    async with waiting(wakeup, NOW + SECOND):
        assert wakeup.is_quiet
    assert not wakeup.is_quiet


async def test_it_is_not_quiet_once_it_is_woken(wakeup: Wakeup) -> None:
    async with waiting(wakeup, None):
        wakeup.wake()
        assert not wakeup.is_quiet
        await all_has_run()
        assert not wakeup.is_quiet


async def test_it_is_not_quiet_after_the_instant_even_if_the_wait_has_not_returned_yet(
    wakeup: Wakeup, clock: FakeClock
) -> None:
    async with waiting(wakeup, NOW + SECOND):
        clock.advance(SECOND)
        assert not wakeup.is_quiet


async def test_the_instant_of_an_earlier_wait_does_not_affect_the_next_one(
    wakeup: Wakeup, clock: FakeClock
) -> None:
    async with waiting(wakeup, NOW + SECOND):
        clock.advance(SECOND)
        await all_has_run()
    async with waiting(wakeup, None):
        assert wakeup.is_quiet
