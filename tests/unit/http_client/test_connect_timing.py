"""The time that each step of opening a connection takes, without waits for free places."""

import asyncio
from contextlib import suppress

import pytest

from ringback.core.http.http_exchange import RequestTimings
from ringback.http_client.connect_timing import ConnectStep, ConnectTimer
from tests.networks import MadeUpTime, in_made_up_time


def test_each_step_is_timed_and_the_last_one_begun_is_the_present_one() -> None:
    async def story(loop: MadeUpTime) -> tuple[ConnectStep, RequestTimings]:
        timing = ConnectTimer(loop.time)
        for step, seconds in ((ConnectStep.LOOK_UP, 1), (ConnectStep.CONNECT, 2)):
            with timing.taking(step):
                await asyncio.sleep(seconds)
        return timing.at, timing.timings(total=3000, first_byte=7)

    at, timings = in_made_up_time(story)
    assert at is ConnectStep.CONNECT
    assert timings == pytest.approx((3000, 1000, 2000, None, 7))


def test_the_time_of_a_failing_step_counts_too() -> None:
    async def story(loop: MadeUpTime) -> RequestTimings:
        timing = ConnectTimer(loop.time)
        with suppress(ConnectionError), timing.taking(ConnectStep.TLS):
            await asyncio.sleep(1)
            raise ConnectionError
        return timing.timings(total=1000)

    assert in_made_up_time(story) == pytest.approx((1000, None, None, 1000, None))


def test_waiting_for_a_slot_counts_for_no_step_and_not_against_the_limit() -> None:
    async def story(loop: MadeUpTime) -> None:
        timing = ConnectTimer(lambda: loop.time() * 2)  # another clock, which runs twice as fast
        async with asyncio.timeout(5) as timing.limit:
            with timing.taking(ConnectStep.LOOK_UP):
                await asyncio.sleep(1)
                with timing.waiting():
                    await asyncio.sleep(60)
                await asyncio.sleep(1)
            assert timing.until == pytest.approx(65)
        assert (timing.waited, timing.held_up) == pytest.approx((60, 120))
        assert timing.timings(total=0).look_up == pytest.approx(4000)

    in_made_up_time(story)


def test_the_limit_cannot_end_during_a_wait_for_a_slot() -> None:
    async def story(loop: MadeUpTime) -> float:
        timing = ConnectTimer(loop.time)
        with suppress(TimeoutError):
            async with asyncio.timeout(5) as timing.limit:
                with timing.waiting():
                    assert timing.limit.when() is None
                    assert timing.until == loop.time()
                    await asyncio.sleep(60)
                await asyncio.Event().wait()
        return loop.elapsed

    assert in_made_up_time(story) == pytest.approx(65)
