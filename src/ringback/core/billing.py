"""Billing Periods: a month each, from the day a SIM became ready or active."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from enum import StrEnum


class PeriodType(StrEnum):
    """What is billed: having a SIM ready, or having it active."""

    READY = "ready"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """One period of one SIM."""

    sid: str
    account_sid: str
    sim_sid: str
    period_type: PeriodType
    start_time: datetime
    end_time: datetime
    date_created: datetime
    date_updated: datetime


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
