"""Instants as requests give them: ISO 8601, always with a zone."""

import re
from datetime import UTC, datetime
from typing import Final

_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)


def read_instant(text: str) -> datetime:
    """Return the instant that a text names, in UTC.

    Raises ValueError, which says what would be right.

    >>> read_instant("2026-11-24T10:00:30+02:00").isoformat()
    '2026-11-24T08:00:30+00:00'
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("an instant is written like 2026-11-24T10:00:00Z")
    if match["zone"] is None:
        raise ValueError("it has no zone; put a Z behind it for UTC, or an offset like +02:00")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("the calendar or the clock has no such instant") from None
