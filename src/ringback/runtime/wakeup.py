"""How a loop sleeps until there is something to do: rung, or at an instant. It never polls."""

import asyncio
from datetime import datetime

from ringback.ports import Clock


class Wakeup:
    """Wakes one waiting loop; rung while that is busy, it lets its next wait return at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self._is_waited_for = False
        self._until: datetime | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether somebody waits, and is neither rung for nor due to go on."""
        is_over = self._until is not None and self._until <= self._clock.now()
        return self._is_waited_for and not self._rung.is_set() and not is_over

    def wake(self) -> None:
        """Let the loop look again."""
        self._rung.set()

    async def wait(self, until: datetime | None) -> None:
        """Return when the bell is rung, or at this instant where there is one."""
        alarm = None if until is None else asyncio.create_task(self._ring_at(until))
        self._is_waited_for, self._until = True, until
        try:
            await self._rung.wait()
        finally:
            self._is_waited_for = False
            if alarm is not None:
                alarm.cancel()
        self._rung.clear()

    async def _ring_at(self, instant: datetime) -> None:
        await self._clock.sleep_until(instant)
        self._rung.set()
