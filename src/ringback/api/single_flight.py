"""Shares one run of an expensive function among all callers that wait for its result."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs `work` once for all callers that wait for its result, with a pause between two runs.

    A call during a run waits for the next run, since the current run may have read old data.
    """

    def __init__(self, work: Callable[[], Awaitable[T]], *, pause: float) -> None:
        self._work = work
        self._pause = pause
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._not_before = 0.0

    async def __call__(self) -> T:
        """Wait for the next run, which all waiting callers share, and return its result.

        If the run fails, its error is raised.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            # If all callers were cancelled, asyncio would log an error that nobody retrieves.
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
