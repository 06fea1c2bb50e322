"""Lets a loop sleep until it is woken or a given time comes, without polling."""

import asyncio
from datetime import datetime

from ringback.ports import Clock


class Wakeup:
    """Wakes one waiting loop; if the loop is busy, its next wait returns at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._is_waited_for = False
        self._until: datetime | None = None

    @property
    def is_quiet(self) -> bool:
        """True while the loop sleeps: it was not woken, and the time it waits for hasn't come."""
        is_over = self._until is not None and self._until <= self._clock.now()
        return self._is_waited_for and not self._woken.is_set() and not is_over

    def wake(self) -> None:
        """Wake the loop, or let its next wait return at once."""
        self._woken.set()

    async def wait(self, until: datetime | None) -> None:
        """Wait until `wake` is called, or until the time `until` if it is given."""
        alarm = None if until is None else asyncio.create_task(self._wake_at(until))
        self._is_waited_for, self._until = True, until
        try:
            await self._woken.wait()
        finally:
            self._is_waited_for = False
            if alarm is not None:
                alarm.cancel()
        self._woken.clear()

    async def _wake_at(self, instant: datetime) -> None:
        await self._clock.sleep_until(instant)
        self._woken.set()
