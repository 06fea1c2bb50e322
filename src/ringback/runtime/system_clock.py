"""The machine's clock and random numbers; no other module uses them directly."""

import asyncio
import os
import secrets
import time
from datetime import UTC, datetime
from threading import Lock
from typing import Final

_LONGEST_NAP: Final = 60.0
"""The longest sleep, in seconds, before the clock is read again, in case it was set meanwhile."""

_BLOCK: Final = 4096
"""Bytes of random numbers that are fetched at once."""

stopwatch = time.perf_counter
"""A function that returns the seconds since an arbitrary time, to measure durations precisely."""


class SystemClock:
    """Implements `ports.Clock` with the machine's clock."""

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Sleep until this time; return at once if it has passed.

        If the machine's clock is set forward meanwhile, this is noticed within a minute. If the
        clock is set back, the sleep still ends after its original duration, so the caller has to
        check the time.
        """
        left = (instant - self.now()).total_seconds()
        while left > 0:
            nap = min(left, _LONGEST_NAP)
            await asyncio.sleep(nap)
            left = min(left - nap, (instant - self.now()).total_seconds())


class SystemRandomSource:
    """Implements `ports.RandomSource` with the machine's secure random numbers.

    They are fetched in blocks: to ask the system costs as much as to create a callback.
    """

    def __init__(self) -> None:
        self._block = b""
        self._used = 0
        self._lock = Lock()
        # A child process must not use the same numbers as its parent.
        os.register_at_fork(after_in_child=self._drop)

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        with self._lock:
            end = self._used + count
            if end > len(self._block):
                self._block = secrets.token_bytes(max(_BLOCK, count))
                self._used, end = 0, count
            start, self._used = self._used, end
            return self._block[start:end]

    def _drop(self) -> None:
        self._block, self._used, self._lock = b"", 0, Lock()


# Unlike CLOCK_MONOTONIC, it goes on while the machine sleeps.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_OFFSET: Final = time.time_ns() - time.clock_gettime_ns(_STEADY)


def steady_milliseconds() -> int:
    """Return the real time in milliseconds since 1970; a jump of the wall clock changes nothing."""
    return (time.clock_gettime_ns(_STEADY) + _OFFSET) // 1_000_000
