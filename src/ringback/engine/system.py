"""The real clock and the real chance; nothing else asks the machine for either."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

stopwatch = time.perf_counter
"""Seconds from some instant on; for how long a thing took, to the microsecond."""


class SystemClock:
    """Answers `ports.Clock` with the machine's own."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Return at this instant, or at once where it has passed."""
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))


class SystemChance:
    """Answers `ports.Chance` with the machine's own."""

    def bytes(self, count: int) -> bytes:
        """Return this many bytes that nobody can foresee."""
        return secrets.token_bytes(count)
