"""Billing Periods: a month each, from the day a SIM became ready or active."""

from dataclasses import dataclass
from datetime import datetime
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
