"""Starts, watches and drains the loops, in order."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from ringback.engine.dispatcher import Dispatcher
from ringback.engine.progress import Progress


class Supervisor:
    """The running engine, and what else is to run for as long as it does."""

    def __init__(
        self,
        progress: Progress,
        dispatcher: Dispatcher,
        *,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._progress = progress
        self._dispatcher = dispatcher
        self._beside = beside
        self._loops = list[asyncio.Task[None]]()

    @property
    def is_running(self) -> bool:
        """Whether all loops are going."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    async def start(self) -> None:
        """Take up what a dead process left open, and start the loops."""
        await self._dispatcher.recover()
        self._loops = [
            asyncio.create_task(self._progress.run(), name="progress"),
            asyncio.create_task(self._dispatcher.run(), name="dispatcher"),
            *(asyncio.create_task(run()) for run in self._beside),
        ]

    async def watch(self) -> None:
        """Return never; raises what ended a loop, should one end."""
        done, _ = await asyncio.wait(self._loops, return_when=asyncio.FIRST_COMPLETED)
        for loop in done:
            loop.result()

    async def stop(self, *, within: timedelta) -> None:
        """Begin nothing new, and let the attempts under way end within this time."""
        progress, dispatcher, *beside = self._loops
        for loop in (progress, *beside):
            loop.cancel()
        await self._dispatcher.stop(within=within)
        # Its last claim may wait for a database that is away.
        dispatcher.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
