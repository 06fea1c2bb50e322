"""Handles outages of the database: loops try again, and the log says when one begins and ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Clock

PAUSE: Final = timedelta(seconds=1)

T = TypeVar("T")
_log = logging.getLogger(__name__)


async def outlast(work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """Call `work` again every second while it raises StoreUnavailable, then return its result."""
    while True:
        try:
            return await work()
        except StoreUnavailable as failure:
            # The outage itself was logged when it began.
            _log.debug("%s; trying again in %g s", failure, PAUSE.total_seconds())
            await clock.sleep_until(clock.now() + PAUSE)


@dataclass(eq=False)
class DatabaseOutageMonitor:
    """Knows whether the database can be written to, and logs when an outage begins and ends.

    `try_to_commit` writes something to the database, and raises StoreUnavailable if that fails;
    `stopwatch` returns a time in seconds.
    """

    try_to_commit: Callable[[], Awaitable[object]]
    clock: Clock
    stopwatch: Callable[[], float]

    def __post_init__(self) -> None:
        """Assume that the database can be written to."""
        self._began = 0.0
        self._refused = 0
        self._has_begun = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """True if no outage of the database is known."""
        return not self._has_begun.is_set()

    def failed(self, failure: StoreUnavailable) -> None:
        """Note that a commit has failed; the first failure begins an outage and is logged."""
        if self.is_over:
            self._began, self._refused = self.stopwatch(), 0
            self._has_begun.set()
            _log.error(
                "%s; requests are refused with 503 until the database works again",
                failure.for_operator,
            )

    def refused(self) -> None:
        """Count a request that the server refused with 503 because of an outage."""
        self._refused += 1

    async def commit(self) -> None:
        """Try to write to the database; the result begins or ends an outage.

        Raises StoreUnavailable if it can't be written to.
        """
        try:
            await self.try_to_commit()
        except StoreUnavailable as failure:
            self.failed(failure)
            raise
        if not self.is_over:
            self._has_begun.clear()
            seconds = self.stopwatch() - self._began
            _log.warning(
                "the database is back after %.1f s; %d requests were refused",
                seconds,
                self._refused,
                extra={"seconds": round(seconds, 1), "refused": self._refused},
            )

    async def run(self) -> None:
        """Try to write to the database every second during an outage; this runs for ever."""
        while True:
            await self._has_begun.wait()
            await self.clock.sleep_until(self.clock.now() + PAUSE)
            if not self.is_over:
                await outlast(self.commit, clock=self.clock)
