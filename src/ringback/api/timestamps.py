"""Parses the times in requests, in ISO 8601; the vendors' APIs don't require a time zone."""

import re
from datetime import UTC, datetime
from typing import Final

_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_instant(text: str) -> datetime:
    """Parse a date and time with a time zone, and return it in UTC.

    Raises ValueError, which describes the right format, if the text is not in this format.

    >>> read_instant("2026-11-24T10:00:30+02:00").isoformat()
    '2026-11-24T08:00:30+00:00'
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("it must be a date and time like 2026-11-24T10:00:00Z")
    if match["zone"] is None:
        raise ValueError("it has no time zone; append Z for UTC, or an offset like +02:00")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("it is not a real date and time (such as 30 February or 25:00)") from None


def read_instant_or_utc(text: str) -> datetime:
    """Parse a date and time; without a zone it is in UTC, and a date alone means midnight.

    Twilio's client for Java sends times without a zone. Raises ValueError like `read_instant`.

    >>> read_instant_or_utc("2026-11-24T10:00:30").isoformat()
    '2026-11-24T10:00:30+00:00'
    >>> read_instant_or_utc("2026-11-24").isoformat()
    '2026-11-24T00:00:00+00:00'
    """
    if _DATE.fullmatch(text):
        return read_instant(f"{text}T00:00Z")
    match = _FORM.fullmatch(text)
    return read_instant(text if match is None or match["zone"] else f"{text}Z")
