"""How long sending pauses after this machine ran out of ports, descriptors or memory.

The receiver is not at fault, and nothing was sent: the callback is put back without an attempt.
"""

from datetime import datetime, timedelta
from typing import Final

NO_TIME: Final = timedelta(0)
_FIRST: Final = timedelta(milliseconds=250)
_LONGEST: Final = timedelta(seconds=8)


class ShortagePause:
    """A rest after a shortage, twice as long as the last one until something gets through."""

    def __init__(self) -> None:
        self.until: datetime | None = None
        """When to try again; None where there is no pause."""
        self.length = NO_TIME
        """How long the last one was; none, where something got through since."""

    def take(self, now: datetime) -> datetime:
        """Return until when to rest; all that fail during one rest wait for its end together."""
        if self.until is None or not NO_TIME < self.until - now <= _LONGEST:
            self.length = min(max(2 * self.length, _FIRST), _LONGEST)
            self.until = now + self.length
        return self.until

    def is_over(self, now: datetime) -> bool:
        """Whether there is none now; a clock that was set back does not prolong one."""
        if self.until is not None and not NO_TIME < self.until - now <= _LONGEST:
            self.until = None
        return self.until is None
