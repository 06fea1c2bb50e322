"""Starts, watches and drains the loops, in order."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from ringback.core.errors import StoreUnavailable
from ringback.delivery.delivery_service import DeliveryService
from ringback.engine.task_runner import TaskRunner
from ringback.ports import Clock
from ringback.runtime.database_outage import outlast


class Supervisor:
    """The running engine, and what else is to run for as long as it does."""

    def __init__(
        self,
        task_runner: TaskRunner[Any],
        delivery: DeliveryService,
        *,
        clock: Clock,
        recover: Callable[[], Awaitable[object]] | None = None,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        """Have an engine run; `recover` is done at the start beside its own recovery."""
        self._clock = clock
        self._recover_more = recover
        self._has_recovered = asyncio.Event()
        self._task_runner = task_runner
        self._delivery = delivery
        self._beside = beside
        self._loops = list[asyncio.Task[None]]()

    @property
    def is_running(self) -> bool:
        """Whether all loops are going."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    async def start(self) -> None:
        """Take up what a dead process left open, and start the loops.

        Where the database can't be written to, that is done as soon as it can. Until then nothing
        new is taken in: it could not be told from what the dead process left.
        """
        try:
            await self._recover()
        except StoreUnavailable:
            self._delivery.queue.pause()
        self._loops = [
            asyncio.create_task(self._run_tasks(), name="tasks"),
            asyncio.create_task(self._deliver(), name="delivery"),
            *(asyncio.create_task(run()) for run in self._beside),
        ]

    async def _recover(self) -> None:
        if self._recover_more is not None:
            await self._recover_more()
        await self._delivery.recover()
        self._has_recovered.set()

    async def _deliver(self) -> None:
        if not self._has_recovered.is_set():
            await outlast(self._recover, clock=self._clock)
            self._delivery.queue.resume()
        await self._delivery.run()

    async def _run_tasks(self) -> None:
        await self._has_recovered.wait()
        await self._task_runner.run()

    async def watch(self) -> None:
        """Return never; raises what ended a loop, should one end."""
        done, _ = await asyncio.wait(self._loops, return_when=asyncio.FIRST_COMPLETED)
        for loop in done:
            loop.result()

    async def stop(self, *, within: timedelta) -> None:
        """Begin nothing new, and let the attempts under way end within this time."""
        tasks, delivery, *beside = self._loops
        for loop in (tasks, *beside):
            loop.cancel()
        await self._delivery.stop(within=within)
        # Its last claim may wait for a database that is away.
        delivery.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
