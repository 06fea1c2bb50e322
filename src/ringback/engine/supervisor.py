"""Starts, watches and drains the loops, in order."""

import asyncio
from datetime import timedelta

from ringback.engine.dispatcher import Dispatcher
from ringback.engine.progress import Progress


class Supervisor:
    """The running engine."""

    def __init__(self, progress: Progress, dispatcher: Dispatcher) -> None:
        self._progress = progress
        self._dispatcher = dispatcher
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
        ]

    async def watch(self) -> None:
        """Return never; raises what ended a loop, should one end."""
        done, _ = await asyncio.wait(self._loops, return_when=asyncio.FIRST_COMPLETED)
        for loop in done:
            loop.result()

    async def stop(self, *, within: timedelta) -> None:
        """Begin nothing new, and let the attempts under way end within this time."""
        progress, dispatcher = self._loops
        progress.cancel()
        await self._dispatcher.stop(within=within)
        # Its last claim may wait for a database that is away.
        dispatcher.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
