"""A clock that can be put forward: the time of another one, and as much as it has been advanced."""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from ringback.ports import Clock

MOST_AHEAD: Final = timedelta(days=365_000)
"""So that whatever is put off from then on still has its place in the calendar."""


def keep_nowhere(ahead: timedelta) -> None:
    """Let it be forgotten how far ahead a clock is."""


@dataclass(eq=False, slots=True)
class _Sleeper:
    instant: datetime
    woken: asyncio.Future[None]
    alarm: asyncio.Task[None] = field(init=False)


class VirtualClock:
    """Answers `ports.Clock`; it goes as its base goes, and is `ahead` of that.

    `keep` gets the new distance before it takes effect, so that a restart is never behind.
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
        """In the order of their instants."""

    @classmethod
    def stopped(cls, at: datetime) -> Self:
        """Return a clock that stands still at this instant until it is advanced."""
        return cls(_Standing(at))

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of its base."""
        return self._ahead

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return self._base.now() + self._ahead

    async def sleep_until(self, instant: datetime) -> None:
        """Return at this instant, or at once where it has passed."""
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

    def advance(self, by: timedelta) -> None:
        """Let this much time pass at once; who sleeps no longer wakes, in order of the instants."""
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

    def _set_alarm(self, sleeper: _Sleeper) -> None:
        sleeper.alarm = asyncio.create_task(self._wake_when_due(sleeper))

    async def _wake_when_due(self, sleeper: _Sleeper) -> None:
        await self._base.sleep_until(sleeper.instant - self._ahead)
        _wake(sleeper)


def _wake(sleeper: _Sleeper) -> None:
    if not sleeper.woken.done():
        sleeper.woken.set_result(None)


class _Standing:
    """Answers `ports.Clock`: it is always the same instant."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Return that instant."""
        return self._at

    async def sleep_until(self, instant: datetime) -> None:
        """Return at once where this has passed, and never otherwise."""
        if instant > self._at:
            await asyncio.get_running_loop().create_future()
