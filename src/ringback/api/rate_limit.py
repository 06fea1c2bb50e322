"""How much an account may ask of the API in a second: a token bucket for each account.

A request costs one, a batch one for each of its callbacks. A bucket holds what a second allows, or
a whole batch where that is more, and fills up evenly. What is refused costs nothing.

How large a batch is shows only when it has been read. So one that was let in may owe what is not
there any more, and until that is made up, requests are refused by their heads alone. They are
answered after a pause: a client that asks again at once, and does nothing else, asks a few times a
second over each of its connections, and not as often as the server can say no.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from ringback.core.errors import TooManyRequests
from ringback.core.newest_entries import NewestEntries

LEAST_BURST: Final = 1000
"""How much every bucket holds at the least: a batch of the largest size."""
_KEPT: Final = 10_000
_PAUSE: Final = 0.25
"""Seconds: less than the shortest `Retry-After`."""


class _Bucket(NamedTuple):
    left: float
    at: datetime


class AccountRateLimit:
    """The bucket of each account; `per_second` is None for no limit."""

    def __init__(
        self,
        per_second: int | None = None,
        *,
        kept: int = _KEPT,
        pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(_PAUSE),
    ) -> None:
        self.refused = 0
        """How many requests had to wait."""
        self._per_second = per_second
        self._pause = pause
        # Set when something is taken out. A full one need not be known, and the oldest are those
        # that had most time to fill.
        self._buckets = NewestEntries[str, _Bucket](kept)

    @property
    def is_on(self) -> bool:
        """Whether there is a limit."""
        return self._per_second is not None

    async def let_in(self, account_sid: str, now: datetime) -> None:
        """Take what a request costs; raises TooManyRequests, after a pause."""
        try:
            self.take(account_sid, 1, now)
        except TooManyRequests:
            await self._pause()
            raise

    def take(self, account_sid: str, cost: int, now: datetime, *, may_owe: bool = False) -> None:
        """Take so much out of an account's bucket.

        Raises TooManyRequests where that isn't in it, or the account owes something already where
        it may do so; nothing is taken out then.
        """
        if self._per_second is None or cost == 0:
            return
        left = self._left(account_sid, now, self._per_second)
        needed = 0 if may_owe else cost
        # A batch that may owe was read already; its debt refuses only the requests after it.
        if left < needed:
            self.refused += 1
            seconds = max(1, ceil((needed - left) / self._per_second))
            raise TooManyRequests(
                f"this account may ask for {self._per_second} callbacks and other requests in a"
                f" second; nothing was done, ask again in {seconds} s",
                retry_after=seconds,
            )
        self._buckets[account_sid] = _Bucket(left - cost, now)

    def _left(self, account_sid: str, now: datetime, per_second: int) -> float:
        most = max(per_second, LEAST_BURST)
        bucket = self._buckets.get(account_sid)
        if bucket is None:
            return most
        # A clock that was set back fills nothing, and takes nothing out.
        seconds = max(0.0, (now - bucket.at).total_seconds())
        return min(most, bucket.left + seconds * per_second)
