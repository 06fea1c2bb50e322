"""Limits the rate of warnings, so that clients can't flood the log with what they send."""

import logging
from collections.abc import Callable
from typing import Final

EVERY: Final = 10.0
"""The period, in seconds, in which the same warning is logged only once."""
MOST: Final = 10
"""The most different warnings that are logged in one period."""


class RateLimitedLog:
    """Logs each different warning once per period, at most `MOST` in all, and counts the rest."""

    def __init__(self, log: logging.Logger, *, stopwatch: Callable[[], float]) -> None:
        self._log = log
        self._stopwatch = stopwatch
        self._began = -EVERY
        self._said = set[str]()
        self._left_out = 0

    def warn(self, message: str, *, cause: Exception | None = None) -> None:
        """Log a warning, unless the same one or too many others were logged in this period."""
        now = self._stopwatch()
        if now - self._began >= EVERY:
            self.end()
            self._began = now
        if message in self._said or len(self._said) >= MOST:
            self._left_out += 1
        else:
            self._said.add(message)
            self._log.warning("%s", message, exc_info=cause)

    def end(self) -> None:
        """Log how many warnings were left out, and begin a new period."""
        if self._left_out:
            self._log.warning("%d more such warnings were left out", self._left_out)
        self._said.clear()
        self._left_out = 0
