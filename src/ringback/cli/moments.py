"""Moments as people write them on a command line: an instant, or how long from now."""

from collections.abc import Callable
from datetime import datetime, timedelta

from ringback.core.calendar import read_duration

Now = Callable[[], datetime]
"""Says what time it is for the server, which is asked only where that matters."""


def ago(text: str | None, now: Now) -> str | None:
    """Return the instant that `2h` was ago; whatever is no duration is the server's to read.

    >>> from datetime import UTC
    >>> ago("2h", lambda: datetime(2026, 11, 24, 10, tzinfo=UTC))
    '2026-11-24T08:00:00.000000Z'
    """
    return _from(text, now, -1)


def ahead(text: str | None, now: Now) -> str | None:
    """Return the instant in `2h` from now; whatever is no duration is the server's to read."""
    return _from(text, now, 1)


def _from(text: str | None, now: Now, direction: int) -> str | None:
    if text is None:
        return None
    try:
        away: timedelta = read_duration(text)
    except ValueError:
        return text
    return f"{now() + direction * away:%Y-%m-%dT%H:%M:%S.%fZ}"
