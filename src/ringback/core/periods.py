"""Hours and days in UTC, and the periods that a list of usage is told by."""

from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
ALWAYS: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""From the beginning to the end of the calendar."""


def iso(instant: datetime) -> str:
    """Return an instant, in UTC, in the form that both vendors' clients parse, and no other.

    >>> iso(datetime(987, 7, 3, 14, 40, 58, 999999, tzinfo=UTC))
    '0987-07-03T14:40:58Z'
    """
    return f"{instant.isoformat(timespec='seconds')[:19]}Z"


def floor(instant: datetime, span: timedelta) -> datetime:
    """Return the beginning of the hour or the day that an instant is in.

    >>> floor(datetime(2024, 7, 3, 14, 40, tzinfo=UTC), HOUR).isoformat()
    '2024-07-03T14:00:00+00:00'
    """
    midnight = datetime(instant.year, instant.month, instant.day, tzinfo=UTC)
    return midnight + (instant - midnight) // span * span


def next_boundary(instant: datetime, span: timedelta) -> datetime:
    """Return the end of the hour or the day that an instant is in; on a boundary, itself.

    The last of the calendar ends with it.
    """
    begun = floor(instant, span)
    if begun == instant:
        return begun
    return begun + span if begun <= ALWAYS[1] - span else ALWAYS[1]


def periods_between(
    start: datetime, end: datetime, span: timedelta | None
) -> list[tuple[datetime, datetime]]:
    """Return the periods of so long from one instant to another, the newest first.

    Without a span it is the whole; what is left over at the end is left out.
    """
    if span is None:
        return [(start, end)]
    starts = [start + index * span for index in range((end - start) // span)]
    return [(begin, begin + span) for begin in reversed(starts)]
