"""Limits the rate of requests: no second has more of them than the rate and the burst together.

A bucket fills with tokens at the rate, up to the burst, and a request takes one when it leaves.
Requests that are about to leave have reserved theirs, so that none has to wait once it is ready.
"""

import math
from typing import Final

_ROUNDING: Final = 1e-9
"""What the sum of many small amounts may lack of a whole token."""


class TokenBucket:
    """A bucket of tokens; all times are in seconds by a clock that can't be set."""

    __slots__ = ("_at", "_tokens", "burst", "rate", "reserved")

    def __init__(self, rate: float, burst: int, *, now: float, tokens: float = 0.0) -> None:
        """Begin with an empty bucket, or with these tokens; `rate` is in tokens a second."""
        self.rate = rate
        self.burst = burst
        self.reserved = 0
        """The number of requests that are about to leave."""
        self._tokens = min(tokens, burst)
        self._at = now

    def change(self, rate: float, burst: int, now: float) -> None:
        """Go on with another rate and burst, which apply from the next request on."""
        self._fill(now)
        self.rate, self.burst = rate, burst
        self._tokens = min(self._tokens, burst)

    def wait(self, now: float) -> float:
        """Return the seconds until another request may reserve a token; 0 if it may do so now.

        It is infinite if one has to leave first, since all tokens that fit are reserved.
        """
        if self.reserved + 1 > self.burst:
            return math.inf
        self._fill(now)
        missing = self.reserved + 1 - self._tokens
        return 0.0 if missing <= _ROUNDING else missing / self.rate

    def may_leave(self, now: float) -> bool:
        """Return True if there is a token for a request that leaves now.

        There is one for each that has been reserved, unless the rate has been lowered since.
        """
        self._fill(now)
        return self._tokens >= 1 - _ROUNDING

    def left(self, now: float) -> None:
        """Take the token of a request that leaves now, and has reserved it."""
        self._fill(now)
        self._tokens -= 1
        self.reserved -= 1

    def skip(self, seconds: float) -> None:
        """Fill as if this much more time had passed."""
        self._at -= seconds

    def give_back(self) -> None:
        """Free the token of a request that had reserved it, and does not leave."""
        self.reserved -= 1

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
