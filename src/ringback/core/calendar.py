"""Calculations with months, days and hours in UTC, and durations as text."""

import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Final

INSTANT: Final = timedelta(microseconds=1)
"""The smallest difference that two `datetime` values can have."""
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ALWAYS: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""The first and the last instant that a `datetime` can have, in UTC."""


def month_around(anchor: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the start and end of the month around `now`; months begin on the day of `anchor`.

    >>> [f"{edge:%m-%d}" for edge in month_around(datetime(2024, 1, 31), datetime(2024, 3, 5))]
    ['02-29', '03-31']
    """
    count = (now.year - anchor.year) * 12 + now.month - anchor.month
    if months_after(anchor, months=count) > now:
        count -= 1
    return months_after(anchor, months=count), months_after(anchor, months=count + 1)


def months_after(instant: datetime, *, months: int = 1) -> datetime:
    """Return the same day and time `months` later, or the month's last day if it is too short.

    A negative number gives an earlier month. A result outside the range of `datetime` becomes the
    first or the last instant in that range.

    >>> months_after(datetime(2024, 1, 31)).isoformat()
    '2024-02-29T00:00:00'
    """
    years, month = divmod(instant.month - 1 + months, 12)
    year = instant.year + years
    if not MINYEAR <= year <= MAXYEAR:
        zone = instant.tzinfo
        return (
            datetime.max.replace(tzinfo=zone) if months > 0 else datetime.min.replace(tzinfo=zone)
        )
    day = min(instant.day, monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day)


def iso(instant: datetime) -> str:
    """Return a UTC instant as text, in the only form that both vendors' clients parse.

    >>> iso(datetime(987, 7, 3, 14, 40, 58, 999999, tzinfo=UTC))
    '0987-07-03T14:40:58Z'
    """
    return f"{instant.isoformat(timespec='seconds')[:19]}Z"


def in_words(instant: datetime) -> str:
    """Return the day of an instant as a person writes it.

    >>> in_words(datetime(2026, 12, 7, 14, 40))
    '7 December 2026'
    """
    return f"{instant.day} {_MONTHS[instant.month - 1]} {instant.year}"


def exact(instant: datetime) -> str:
    """Return an instant as text like `iso`, but with all its digits, in UTC.

    >>> exact(datetime(2024, 7, 3, 14, 40, 58, 500000, tzinfo=UTC))
    '2024-07-03T14:40:58.500000Z'
    """
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def floor(instant: datetime, span: timedelta) -> datetime:
    """Return the start of the hour or day that contains an instant; `span` is HOUR or DAY.

    >>> floor(datetime(2024, 7, 3, 14, 40, tzinfo=UTC), HOUR).isoformat()
    '2024-07-03T14:00:00+00:00'
    """
    midnight = datetime(instant.year, instant.month, instant.day, tzinfo=UTC)
    return midnight + (instant - midnight) // span * span


def next_boundary(instant: datetime, span: timedelta) -> datetime:
    """Return the next full hour or the next midnight, or the instant itself if it is one.

    `span` is HOUR or DAY. A result after the range of `datetime` becomes the last instant in it.
    """
    begun = floor(instant, span)
    if begun == instant:
        return begun
    return begun + span if begun <= ALWAYS[1] - span else ALWAYS[1]


def periods_between(
    start: datetime, end: datetime, span: timedelta | None
) -> list[tuple[datetime, datetime]]:
    """Return the periods of length `span` between two instants, the newest first.

    If `span` is None, there is one period: the whole time. A remainder at the end that is shorter
    than `span` is left out.
    """
    if span is None:
        return [(start, end)]
    starts = [start + index * span for index in range((end - start) // span)]
    return [(begin, begin + span) for begin in reversed(starts)]


_EARLIEST: Final = 1970
_LATEST: Final = 2999
"""The bounds of years leave the calendar room to run on from any date."""


def read_instant(text: str) -> datetime:
    """Parse a date, or a date and time, and return it in UTC; without an offset it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
        is_naive = instant.tzinfo is None
        instant = instant.replace(tzinfo=UTC) if is_naive else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a date; write it like 2024-10-20 or 2024-10-20T12:00:00Z"
        ) from None
    if not _EARLIEST <= instant.year <= _LATEST:
        raise ValueError(f"{text!r} must be in the years {_EARLIEST} to {_LATEST}")
    return instant


_FORM: Final = re.compile(r"(?P<count>[0-9]{1,9}(\.[0-9]{1,6})?)(?P<unit>ms|s|m|h|d)?")
_LONGEST: Final = timedelta(days=3650)
_SECONDS: Final = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> timedelta:
    """Return the duration that a text like `500ms`, `3s`, `1.5m`, `2h`, `3d` or `5` gives.

    A number without a unit is in seconds. Raises ValueError for any other text, and for a
    duration of more than ten years.

    >>> read_duration("1.5m")
    datetime.timedelta(seconds=90)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a valid duration; write it like 500ms, 3s, 5m, 2h or 1d")
    duration = timedelta(seconds=float(match["count"]) * _SECONDS[match["unit"]])
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is too long; the maximum is {_LONGEST.days}d")
    return duration
