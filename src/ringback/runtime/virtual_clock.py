"""A clock that can be advanced: the time of another clock, plus the advance."""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from ringback.ports import Clock

MOST_AHEAD: Final = timedelta(days=365_000)
"""The largest possible advance; it leaves room in Python's calendar for later dates."""


def keep_nowhere(ahead: timedelta) -> None:
    """Do nothing: the default `keep`, which does not save how far ahead a clock is."""


@dataclass(eq=False, slots=True)
class _Sleeper:
    instant: datetime
    woken: asyncio.Future[None]
    alarm: asyncio.Task[None] = field(init=False)


class VirtualClock:
    """Implements `ports.Clock` with the time of a `base` clock, plus `ahead`.

    `keep` saves a new `ahead` before it takes effect, so that a restart never sets the clock back.
    """

    def __init__(
        self,
        base: Clock,
        *,
        ahead: timedelta = timedelta(0),
        keep: Callable[[timedelta], None] = keep_nowhere,
    ) -> None:
        self._base = base
        self._ahead = ahead
        self._keep = keep
        self._sleepers = list[_Sleeper]()
        """The waiting calls of `sleep_until`, in the order of the times that they wait for."""
        self._listeners = list[Callable[[timedelta], None]]()

    @classmethod
    def stopped(cls, at: datetime) -> Self:
        """Return a clock that stands still at this time until it is advanced."""
        return cls(_Standing(at))

    @property
    def ahead(self) -> timedelta:
        """How far the clock is ahead of its base clock."""
        return self._ahead

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return self._base.now() + self._ahead

    async def sleep_until(self, instant: datetime) -> None:
        """Sleep until this time; return at once if it has passed."""
        if instant <= self.now():
            return
        sleeper = _Sleeper(instant, asyncio.get_running_loop().create_future())
        insort(self._sleepers, sleeper, key=lambda one: one.instant)
        self._set_alarm(sleeper)
        try:
            await sleeper.woken
        finally:
            self._sleepers.remove(sleeper)
            sleeper.alarm.cancel()

    def listen(self, advanced: Callable[[timedelta], None]) -> None:
        """Call `advanced` after each advance, for what counts in the time of the event loop."""
        self._listeners.append(advanced)

    def advance(self, by: timedelta) -> None:
        """Advance the clock by this much at once, and wake all sleepers that are due, in order."""
        ahead = self._ahead + by
        self._keep(ahead)
        self._ahead = ahead
        now = self.now()
        for sleeper in self._sleepers:
            sleeper.alarm.cancel()
            if sleeper.instant <= now:
                _wake(sleeper)
            else:
                self._set_alarm(sleeper)
        for advanced in self._listeners:
            advanced(by)

    def _set_alarm(self, sleeper: _Sleeper) -> None:
        sleeper.alarm = asyncio.create_task(self._wake_when_due(sleeper))

    async def _wake_when_due(self, sleeper: _Sleeper) -> None:
        await self._base.sleep_until(sleeper.instant - self._ahead)
        _wake(sleeper)


def _wake(sleeper: _Sleeper) -> None:
    if not sleeper.woken.done():
        sleeper.woken.set_result(None)


class _Standing:
    """Implements `ports.Clock` with a time that always stays the same."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Return the time at which the clock stands still."""
        return self._at

    async def sleep_until(self, instant: datetime) -> None:
        """Return at once if this time has passed; otherwise wait for ever."""
        if instant > self._at:
            await asyncio.get_running_loop().create_future()
