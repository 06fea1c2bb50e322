"""Too many wrong credentials: after some, the same caller has to wait before more are looked at.

A caller is an address together with the user name given, or the token, so that nobody can lock out
another customer, and one customer's wrong program doesn't lock out those behind the same proxy.
"""

from collections import deque
from datetime import datetime, timedelta
from hashlib import blake2b
from math import ceil
from typing import Final

from ringback.core.errors import TooManyFailures

_WITHIN: Final = timedelta(minutes=1)
_MOST: Final = 20
_CALLERS: Final = 10_000


class Failures:
    """Counts wrong credentials by caller: at most `most` in a minute."""

    def __init__(self, *, most: int = _MOST, callers: int = _CALLERS) -> None:
        self._most = most
        self._callers = callers
        # The oldest first: each is put at the end, and dictionaries keep that order.
        self._failed = dict[bytes, deque[datetime]]()

    def check(self, address: str, username: str, now: datetime) -> None:
        """Raise TooManyFailures where this caller has to wait."""
        failed = self._failed.get(_caller(address, username))
        if failed is None or len(failed) < self._most:
            return
        wait = failed[0] + _WITHIN - now
        if timedelta(0) < wait <= _WITHIN:
            seconds = ceil(wait.total_seconds())
            raise TooManyFailures(
                f"wrong credentials came {self._most} times within a minute; the next are looked at"
                f" in {seconds} s",
                retry_after=seconds,
            )

    def failed(self, address: str, username: str, now: datetime) -> None:
        """Count wrong credentials."""
        caller = _caller(address, username)
        failed = self._failed.pop(caller, None) or deque(maxlen=self._most)
        failed.append(now)
        if len(self._failed) >= self._callers:
            del self._failed[next(iter(self._failed))]
        self._failed[caller] = failed


def _caller(address: str, username: str) -> bytes:
    return blake2b(f"{address} {username}".encode(errors="replace"), digest_size=16).digest()
