"""The real clock and real randomness; nothing else asks the machine for either."""

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Final

_LONGEST_NAP: Final = 60.0
"""Seconds."""

stopwatch = time.perf_counter
"""Seconds from some instant on; for how long a thing took, to the microsecond."""


# In seconds; Python's own 5 ms are as long as a whole commit.
_TURN: Final = 0.0005


def let_threads_take_turns() -> None:
    """Have threads hand the interpreter on often: the store's waits for it beside the loop's."""
    sys.setswitchinterval(_TURN)


class SystemClock:
    """Answers `ports.Clock` with the machine's own."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Return at this instant, or at once where it has passed.

        Where the clock is put forward meanwhile that is found within a minute; where it is set
        back, it returns after as much time as it took to be, and whoever asked looks again.
        """
        left = (instant - self.now()).total_seconds()
        while left > 0:
            nap = min(left, _LONGEST_NAP)
            await asyncio.sleep(nap)
            left = min(left - nap, (instant - self.now()).total_seconds())


class SystemRandomSource:
    """Answers `ports.RandomSource` with the machine's own."""

    def bytes(self, count: int) -> bytes:
        """Return this many bytes that nobody can foresee."""
        return secrets.token_bytes(count)
