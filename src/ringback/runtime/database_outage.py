"""Handles outages of the database: loops try again, and the log says when one begins and ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Clock

PAUSE: Final = timedelta(seconds=1)
_SILENT: Final = 5.0
"""Seconds after which a database that answers nothing counts as away."""
_LISTEN_EVERY: Final = 0.5
"""Seconds between two looks at the silence."""

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
    silent_for: Callable[[], float] | None = None
    """Returns the seconds for which the database has answered nothing; None if it can't do so."""

    def __post_init__(self) -> None:
        """Assume that the database can be written to."""
        self._began = 0.0
        self._refused = 0
        self._is_silent = False
        self._has_begun = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """True if no outage of the database is known."""
        return not self._has_begun.is_set()

    @property
    def silence(self) -> str | None:
        """Why the database is taken for silent; None if no outage began by a silence."""
        if self.is_over or not self._is_silent:
            return None
        return f"the database has not answered for {self.stopwatch() - self._began:.0f} s"

    def failed(self, failure: StoreUnavailable) -> None:
        """Note that a commit has failed; the first failure begins an outage and is logged."""
        if self._begin():
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
            await self._outage()
            await self.clock.sleep_until(self.clock.now() + PAUSE)
            if not self.is_over:
                await outlast(self.commit, clock=self.clock)

    async def _outage(self) -> None:
        """Wait until an outage has begun; a silence begins one.

        Two looks have to find it: at the first one after a suspension of this process, answers may
        be there that nobody has read yet.
        """
        was_silent = False
        while self.is_over:
            # By the real time, also if the clock is a virtual one.
            with suppress(TimeoutError):
                pause = None if self.silent_for is None else _LISTEN_EVERY
                await asyncio.wait_for(self._has_begun.wait(), pause)
            silent_for = 0.0 if self.silent_for is None else self.silent_for()
            is_silent = silent_for >= _SILENT
            if is_silent and was_silent and self._begin(silent_for):
                self._is_silent = True
                _log.error("%s; requests wait for it, or are refused with 503", self.silence)
            was_silent = is_silent

    def _begin(self, seconds_ago: float = 0.0) -> bool:
        """Begin an outage, as of some seconds ago; return False if there is one already."""
        if not self.is_over:
            return False
        self._began, self._refused, self._is_silent = self.stopwatch() - seconds_ago, 0, False
        self._has_begun.set()
        return True
