"""The calendar's months, which bills and limits go by."""

from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, datetime


def month_around(anchor: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the month that an instant is in, where months are counted from another one on.

    >>> [f"{edge:%m-%d}" for edge in month_around(datetime(2024, 1, 31), datetime(2024, 3, 5))]
    ['02-29', '03-31']
    """
    count = (now.year - anchor.year) * 12 + now.month - anchor.month
    if months_after(anchor, months=count) > now:
        count -= 1
    return months_after(anchor, months=count), months_after(anchor, months=count + 1)


def months_after(instant: datetime, *, months: int = 1) -> datetime:
    """Return the same day and time of a later month, or its last day where it is too short.

    With months below zero it is an earlier one. What would be beyond the calendar is its first or
    its last instant.

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
