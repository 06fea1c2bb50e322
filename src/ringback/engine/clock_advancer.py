"""Advances a virtual clock, and lets everything that comes due meanwhile happen at its time.

The clock jumps to the next time at which anything is due. Before each jump, it waits until all
loops of the engine are idle, and so until all requests under way have ended.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from ringback.core.errors import ApiError
from ringback.runtime.virtual_clock import VirtualClock

# This polls only during an advance of the clock.
_LOOK_AGAIN_SECONDS: Final = 0.001


class ClockDrivenLoop(Protocol):
    """A loop of the engine that an advance of the clock has to wait for."""

    @property
    def is_still(self) -> bool:
        """True if the loop is idle: it has nothing to do until something comes due or arrives."""
        ...

    async def next_due(self) -> datetime | None:
        """Return when the loop next has something to do, or None if nothing is planned."""
        ...


class AdvanceInterrupted(ApiError):
    """The server stopped during an advance, so the clock advanced less than requested."""

    status = 503

    def __init__(self, now: datetime) -> None:
        super().__init__(
            f"Ringback is stopping; the clock was advanced only to {now:%Y-%m-%dT%H:%M:%SZ}",
            code=20503,
        )


class ClockAdvancer:
    """Advances a clock step by step, so that everything due meanwhile happens at its time."""

    def __init__(self, clock: VirtualClock, loops: Sequence[ClockDrivenLoop]) -> None:
        self.clock = clock
        self._loops = loops
        self._one_at_a_time = asyncio.Lock()
        self._is_broken_off = False

    def break_off(self) -> None:
        """Interrupt a running advance, because the server stops."""
        self._is_broken_off = True

    async def advance(self, by: timedelta) -> datetime:
        """Advance the clock by this much, and return the clock's time after all due work is done.

        The clock also runs on while it is advanced, so the returned time can be a little later than
        expected. Raises AdvanceInterrupted if the server stops before the end.
        """
        async with self._one_at_a_time:
            left = by
            while left > timedelta(0):
                wait = await self._next_wait()
                step = left if wait is None else min(left, wait)
                self.clock.advance(step)
                left -= step
            await self.stillness()
            return self.clock.now()

    async def stillness(self) -> None:
        """Wait until all loops are idle at the clock's current time."""
        while not self._is_still:
            await self._look_again()

    async def _next_wait(self) -> timedelta | None:
        """Wait until all loops are idle; return how long until work is due, or None."""
        while True:
            await self.stillness()
            instants = [await loop.next_due() for loop in self._loops]
            due = min(filter(None, instants), default=None)
            wait = None if due is None else due - self.clock.now()
            # New work may have arrived or come due while the loops were asked.
            if self._is_still and (wait is None or wait > timedelta(0)):
                return wait
            await self._look_again()

    async def _look_again(self) -> None:
        if self._is_broken_off:
            raise AdvanceInterrupted(self.clock.now())
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    @property
    def _is_still(self) -> bool:
        return all(loop.is_still for loop in self._loops)
