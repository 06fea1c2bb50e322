"""The machine's clock, which may be set while a loop sleeps."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from ringback.runtime.system_clock import SystemClock, SystemRandomSource
from tests.fakes import NOW
from tests.networks import MadeUpTime, in_made_up_time

HOUR = timedelta(hours=1)


class SetClock(SystemClock):
    """A system clock that follows the event loop's time, and that tests can set."""

    def __init__(self, loop: MadeUpTime) -> None:
        self.ahead = timedelta(0)
        self._loop = loop

    def now(self) -> datetime:
        return NOW + self.ahead + timedelta(seconds=self._loop.time())

    async def jump(self, by: timedelta, *, after: float) -> None:
        await asyncio.sleep(after)
        self.ahead += by


def slept(until: timedelta, jump: Callable[[SetClock], Coroutine[Any, Any, None]]) -> float:
    """Return how many seconds really pass until the sleep to this instant ends."""

    async def story(loop: MadeUpTime) -> float:
        clock = SetClock(loop)
        jumping = asyncio.create_task(jump(clock))
        await clock.sleep_until(NOW + until)
        took = loop.time()
        await jumping
        return took

    return in_made_up_time(story)


async def nothing(clock: SetClock) -> None:
    pass


@pytest.mark.parametrize("seconds", [0.0, 0.5, 59.0, 61.0, 7200.0])
def test_a_sleep_lasts_until_its_instant(seconds: float) -> None:
    assert slept(timedelta(seconds=seconds), nothing) == pytest.approx(seconds)


def test_a_sleep_into_the_past_takes_no_time() -> None:
    assert slept(-HOUR, nothing) == 0


def test_a_clock_set_forward_is_noticed_within_a_minute() -> None:
    assert slept(10 * HOUR, lambda clock: clock.jump(20 * HOUR, after=90)) == pytest.approx(120)


def test_a_clock_set_back_does_not_prolong_a_sleep() -> None:
    assert slept(HOUR, lambda clock: clock.jump(-20 * HOUR, after=90)) == pytest.approx(3600)


def test_random_bytes_never_repeat_within_or_beyond_a_block() -> None:
    source = SystemRandomSource()
    given = [source.bytes(count) for count in (16, 48, 4000, 5000, 16) * 20]
    assert [len(each) for each in given] == [16, 48, 4000, 5000, 16] * 20
    assert len({each[-16:] for each in given}) == len(given)


def test_several_threads_never_get_the_same_random_bytes() -> None:
    source = SystemRandomSource()
    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(lambda _: source.bytes(16), range(20_000)))
    assert len(set(given)) == len(given)


def test_a_forked_process_gets_other_random_bytes_than_its_parent() -> None:
    source = SystemRandomSource()
    source.bytes(16)
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writes, source.bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 16) != source.bytes(16)
    os.close(reads)
    os.close(writes)
