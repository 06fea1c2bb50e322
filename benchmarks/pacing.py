"""Calls a function at a steady rate, however long each call takes."""

import asyncio
import time
from collections.abc import Callable


async def paced(fire: Callable[[int, int], None], *, rate: float, count: int) -> None:
    """Call `fire(number, due)` in the event loop, `rate` times a second.

    `due` is when the call should start, in ns of CLOCK_MONOTONIC: a latency counted from it
    includes our own lateness, so a stall counts for every request that was due meanwhile. A thread
    keeps the time, because a loop's timers are only accurate to a millisecond.
    """
    loop = asyncio.get_running_loop()
    began = time.monotonic_ns() + 20_000_000

    def keep_time() -> None:
        for number in range(count):
            due = began + int(number * 1e9 / rate)
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            loop.call_soon_threadsafe(fire, number, due)

    await asyncio.to_thread(keep_time)
