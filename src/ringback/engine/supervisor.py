"""Starts, watches and stops the loops of a server: tasks, delivery and others."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from ringback.core.errors import StoreUnavailable
from ringback.delivery.delivery_service import DeliveryService
from ringback.engine.task_runner import ScheduledTaskRunner
from ringback.ports import Clock
from ringback.runtime.database_outage import outlast


@dataclass(eq=False)
class Supervisor:
    """Starts, watches and stops the task runner, the delivery and all other loops of a server."""

    task_runner: ScheduledTaskRunner[Any] | None
    """Carries out scheduled tasks; None if this process carries out none."""
    delivery: DeliveryService
    _: KW_ONLY
    clock: Clock
    before_recovery: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Called before anything of a dead process is changed; again if that failed."""
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """The functions that run the other loops; they are cancelled at the stop."""
    after_recovery: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Further ones, which begin when the work of a dead process is recovered."""

    def __post_init__(self) -> None:
        """Begin without any running loop."""
        self._has_recovered = asyncio.Event()
        self._loops = list[asyncio.Task[None]]()

    @property
    def is_running(self) -> bool:
        """True if all loops are running."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    async def start(self) -> None:
        """Recover the work that a dead process left open, and start the loops.

        If the database can't be written to, the recovery waits until it can. Until then, no new
        callbacks are accepted, because the recovery would mistake them for work of the dead
        process.
        """
        try:
            await self._recover()
        except StoreUnavailable:
            self.delivery.queue.is_paused = True
        later = [*self.after_recovery]
        if self.task_runner is not None:
            later.append(self.task_runner.run)
        beside = [*self.beside, *(partial(self._run_later, run) for run in later)]
        self._loops = [
            asyncio.create_task(self._deliver(), name="delivery"),
            *(asyncio.create_task(run()) for run in beside),
        ]

    async def _recover(self) -> None:
        if self.before_recovery is not None:
            await self.before_recovery()
        await self.delivery.recover()
        self._has_recovered.set()

    async def _deliver(self) -> None:
        if not self._has_recovered.is_set():
            await outlast(self._recover, clock=self.clock)
            self.delivery.queue.is_paused = False
        await self.delivery.run()

    async def _run_later(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self._has_recovered.wait()
        await run()

    async def watch(self) -> None:
        """Wait until a loop ends, and raise its error; a loop ends only if something is wrong."""
        done, _ = await asyncio.wait(self._loops, return_when=asyncio.FIRST_COMPLETED)
        for loop in done:
            loop.result()

    async def stop(self, *, within: timedelta) -> None:
        """Stop all loops; attempts under way may still end within this time."""
        delivery, *beside = self._loops
        for loop in beside:
            loop.cancel()
        await self.delivery.stop(within=within)
        # Its last claim may wait for a database that is unavailable.
        delivery.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
