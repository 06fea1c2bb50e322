"""Work that anybody may ask for, without credentials: done once for all who wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs work for all who wait for it together, with a pause of so many seconds between two runs.

    So whoever asks without end has it run no more often than that, and whoever asks now and then
    does not wait. Each run begins after all who share it have asked.
    """

    def __init__(self, work: Callable[[], Awaitable[T]], *, pause: float) -> None:
        self._work = work
        self._pause = pause
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._not_before = 0.0

    async def __call__(self) -> T:
        """Return what the next run returns; raises what it raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            # Nobody may be left to hear of it.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            self._next = None
            try:
                return await self._work()
            finally:
                self._not_before = loop.time() + self._pause
