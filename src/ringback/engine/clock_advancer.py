"""Lets much time pass within moments: all that comes due meanwhile is done, in its order.

Time jumps from one instant at which something is due to the next one, and only while the engine is
still. Requests under way are made in real time, and waited for.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from ringback.core.errors import ApiError
from ringback.runtime.virtual_clock import VirtualClock

# It runs only during an advance, and costs the engine nothing otherwise.
_LOOK_AGAIN_SECONDS: Final = 0.001


class ClockDrivenLoop(Protocol):
    """A loop of the engine, as far as time's passing has to wait for it."""

    @property
    def is_still(self) -> bool:
        """Whether it has nothing to do until something is due, or it is woken."""
        ...

    async def next_due(self) -> datetime | None:
        """Return the first instant at which it has something to do, or None where it has none."""
        ...


class AdvanceInterrupted(ApiError):
    """The engine stops, and less time has passed than was asked for."""

    status = 503

    def __init__(self, now: datetime) -> None:
        super().__init__(
            f"Ringback stops; the clock has been advanced to {now:%Y-%m-%dT%H:%M:%SZ} only",
            code=20503,
        )


class ClockAdvancer:
    """Advances a clock through all that is due."""

    def __init__(self, clock: VirtualClock, loops: Sequence[ClockDrivenLoop]) -> None:
        self.clock = clock
        self._loops = loops
        self._one_at_a_time = asyncio.Lock()
        self._is_broken_off = False

    def break_off(self) -> None:
        """Let no more time pass: the engine stops."""
        self._is_broken_off = True

    async def advance(self, by: timedelta) -> datetime:
        """Let this much time pass, and return the instant that it is when all due is done.

        What the base of the clock goes on by itself meanwhile comes on top. Raises
        AdvanceInterrupted where the engine stops before that.
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
        """Wait until nothing more happens by itself at this instant."""
        while not self._is_still:
            await self._look_again()

    async def _next_wait(self) -> timedelta | None:
        """Return how long it is until anything is due, or None; the engine is still."""
        while True:
            await self.stillness()
            instants = [await loop.next_due() for loop in self._loops]
            due = min(filter(None, instants), default=None)
            wait = None if due is None else due - self.clock.now()
            # Something may have come, or come due, while the loops were asked.
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
