"""A database that is away for a while: loops try again, and one line of the log says so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Clock

PAUSE: Final = timedelta(seconds=1)

T = TypeVar("T")
_log = logging.getLogger(__name__)


async def outlast(work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """Return what the work returns, as soon as the store lets it; it may be done several times."""
    while True:
        try:
            return await work()
        except StoreUnavailable as failure:
            # That it is away was said when it went.
            _log.debug("%s; trying again in %g s", failure, PAUSE.total_seconds())
            await clock.sleep_until(clock.now() + PAUSE)


class DatabaseOutage:
    """Whether the database can be written to; one line of the log says when that ends, and begins.

    `commit` has the store commit something, and raises StoreUnavailable where it can't; `stopwatch`
    returns seconds.
    """

    def __init__(
        self,
        commit: Callable[[], Awaitable[object]],
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
    ) -> None:
        self._commit = commit
        self._clock = clock
        self._stopwatch = stopwatch
        self._began = 0.0
        self._refused = 0
        self._has_begun = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether the database can be written to, as far as is known."""
        return not self._has_begun.is_set()

    def failed(self, reason: str) -> None:
        """Take note that a commit has failed, and why."""
        if self.is_over:
            self._began, self._refused = self._stopwatch(), 0
            self._has_begun.set()
            _log.error("%s; requests are refused with 503 until it can", reason)

    def refused(self) -> None:
        """Count a request that was answered 503."""
        self._refused += 1

    async def commit(self) -> None:
        """Find out whether the database can be written to.

        Raises StoreUnavailable where it can't.
        """
        try:
            await self._commit()
        except StoreUnavailable as failure:
            self.failed(str(failure))
            raise
        if not self.is_over:
            self._has_begun.clear()
            seconds = self._stopwatch() - self._began
            _log.warning(
                "the database is back after %.1f s; %d requests were refused",
                seconds,
                self._refused,
                extra={"seconds": round(seconds, 1), "refused": self._refused},
            )

    async def run(self) -> None:
        """While the database is away, look every second whether it is back; for ever."""
        while True:
            await self._has_begun.wait()
            await self._clock.sleep_until(self._clock.now() + PAUSE)
            if not self.is_over:
                await outlast(self.commit, clock=self._clock)
