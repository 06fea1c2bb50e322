"""Limits the requests per second of each account, with a token bucket for each account.

A request costs 1, and a batch costs 1 for each of its callbacks. A refused request costs nothing.

The size of a batch is known only after its body was read. Such a batch is accepted even if its
account has too little left: the account goes into debt, and its next requests are refused until the
debt is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from ringback.core.errors import TooManyRequests
from ringback.core.newest_entries import NewestEntries

LEAST_BURST: Final = 1000
"""The minimum size of a bucket, so that an account can send the largest batch at once."""
_KEPT: Final = 10_000
_PAUSE: Final = 0.25
"""Seconds before a refusal is sent, so that a client can't repeat requests at once."""


class _Bucket(NamedTuple):
    """The number of requests that an account had left at the time `at`; negative for a debt."""

    left: float
    at: datetime


class AccountRateLimit:
    """Limits each account to `per_second` requests; None means no limit."""

    def __init__(
        self,
        per_second: int | None = None,
        *,
        kept: int = _KEPT,
        pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(_PAUSE),
    ) -> None:
        self.refused = 0
        """The number of requests refused since the start."""
        self._per_second = per_second
        self._pause = pause
        # Updated when something is taken out. Full buckets need not be kept, and the oldest
        # buckets had most time to fill up.
        self._buckets = NewestEntries[str, _Bucket](kept)

    @property
    def per_second(self) -> int | None:
        """The limit of each account, in requests per second; None if there is none."""
        return self._per_second

    @property
    def is_on(self) -> bool:
        """True if there is a limit."""
        return self._per_second is not None

    async def let_in(self, account_sid: str, now: datetime) -> None:
        """Take the cost of one request from the account's bucket.

        Raises TooManyRequests, after a pause, if the bucket is empty.
        """
        try:
            self.take(account_sid, 1, now)
        except TooManyRequests:
            await self._pause()
            raise

    def take(self, account_sid: str, cost: int, now: datetime, *, may_owe: bool = False) -> None:
        """Take this cost out of an account's bucket.

        Raises TooManyRequests, and takes nothing, if the bucket holds less. With `may_owe`, the
        account may go into debt; TooManyRequests is raised only if it is in debt already.
        """
        if self._per_second is None or cost == 0:
            return
        left = self._left(account_sid, now, self._per_second)
        needed = 0 if may_owe else cost
        # A batch with `may_owe` was read already; its debt delays only later requests.
        if left < needed:
            self.refused += 1
            seconds = max(1, ceil((needed - left) / self._per_second))
            raise TooManyRequests(
                f"the account is limited to {self._per_second} callbacks and other requests"
                f" per second; nothing was done, try again in {seconds} s",
                retry_after=seconds,
            )
        self._buckets[account_sid] = _Bucket(left - cost, now)

    def _left(self, account_sid: str, now: datetime, per_second: int) -> float:
        most = max(per_second, LEAST_BURST)
        bucket = self._buckets.get(account_sid)
        if bucket is None:
            return most
        # After the clock was set back, the bucket stays as it is.
        seconds = max(0.0, (now - bucket.at).total_seconds())
        return min(most, bucket.left + seconds * per_second)
