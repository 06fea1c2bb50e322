"""Determines how long sending pauses after this machine ran out of ports, descriptors or memory.

Such a failure does not count as an attempt, since nothing was sent.
"""

from datetime import datetime, timedelta
from typing import Final

NO_TIME: Final = timedelta(0)
_FIRST: Final = timedelta(milliseconds=250)
_LONGEST: Final = timedelta(seconds=8)


class ShortagePause:
    """A pause after a shortage: twice as long as the last, unless a request has succeeded."""

    def __init__(self) -> None:
        self.until: datetime | None = None
        """When to try again; None if there is no pause."""
        self.length = NO_TIME
        """The length of the last pause; zero if a request has succeeded since."""

    def take(self, now: datetime) -> datetime:
        """Begin a pause, unless one is running, and return its end."""
        if self.until is None or not NO_TIME < self.until - now <= _LONGEST:
            self.length = min(max(2 * self.length, _FIRST), _LONGEST)
            self.until = now + self.length
        return self.until

    def is_over(self, now: datetime) -> bool:
        """Return True if no pause is running; a clock that is set back does not prolong a pause."""
        if self.until is not None and not NO_TIME < self.until - now <= _LONGEST:
            self.until = None
        return self.until is None
