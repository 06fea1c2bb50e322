"""Usage Records (the data usage of an account's SIMs by group and time) and Billing Periods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.calendar import (
    DAY,
    HOUR,
    floor,
    iso,
    months_after,
    next_boundary,
    periods_between,
)
from ringback.core.errors import InvalidParameter
from ringback.core.sims.data_session import DataSession, bytes_of, price_of

_MONTHS_KEPT: Final = 18
_LONGEST_BY_SIM: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperSimDataSession(DataSession):
    """A Data Session of a Super SIM, with its Fleet and country."""

    fleet_sid: str
    iso_country: str
    reported_until: datetime | None = None
    """Until when event streams have got its usage; None if they don't follow it."""
    reported_upload: int = 0
    """The bytes that they have got in total, with those of bursts while the session was running."""
    reported_download: int = 0


class UsageGrouping(StrEnum):
    """The fields by which Usage Records can be grouped."""

    SIM = "sim"
    FLEET = "fleet"
    NETWORK = "network"
    ISO_COUNTRY = "isoCountry"


class UsageGranularity(StrEnum):
    """The length of a Usage Record's period: an hour, a day, or all of the time asked for."""

    HOUR = "hour"
    DAY = "day"
    ALL = "all"


FIELD_OF: Final[Mapping[UsageGrouping, str]] = {
    UsageGrouping.SIM: "sim_sid",
    UsageGrouping.FLEET: "fleet_sid",
    UsageGrouping.NETWORK: "network_sid",
    UsageGrouping.ISO_COUNTRY: "iso_country",
}
_SPANS: Final = {UsageGranularity.HOUR: HOUR, UsageGranularity.DAY: DAY}
_LONGEST: Final[Mapping[UsageGranularity, timedelta]] = {
    UsageGranularity.HOUR: timedelta(days=31),
    UsageGranularity.DAY: timedelta(days=31 * _MONTHS_KEPT),
}
"""The longest period of a request, by granularity; for days it covers all data that is kept."""


class UsageQuery(NamedTuple):
    """A request for data usage; with hourly or daily records, it covers whole hours or days."""

    start: datetime
    end: datetime
    granularity: UsageGranularity
    group: UsageGrouping | None
    filters: Mapping[str, str]
    """The values that fields of a session must have so that the session is counted."""

    def periods(self) -> list[tuple[datetime, datetime]]:
        """Return the periods of the query's records, the newest first."""
        return periods_between(self.start, self.end, _SPANS.get(self.granularity))


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """A Usage Record: the data used in one period by a group of sessions, such as one SIM's."""

    account_sid: str
    start: datetime
    end: datetime
    of: Mapping[str, str]
    """The values that all counted sessions have in common, by field: the group and the filters."""
    upload: int
    download: int

    @property
    def sid(self) -> str:
        """The record's identifier, unique within its list; it is not the SID of a resource."""
        return "-".join([f"{self.start:%Y%m%d%H}", *self.of.values()])

    @property
    def billed(self) -> str:
        """The price of the usage in USD, as text like in the published samples."""
        cents = price_of(self.upload + self.download)
        return str(cents) if cents else "0"


def plan_query(
    *,
    start: datetime | None,
    end: datetime | None,
    granularity: UsageGranularity,
    group: UsageGrouping | None,
    filters: Mapping[str, str],
    now: datetime,
) -> UsageQuery:
    """Return the usage query for a request's parameters; by default it covers the last month.

    Raises InvalidParameter if the period ends before it begins (83600), is not in whole days or
    hours (83601, 83602), is too long (83603, 83604), or begins too long ago (83605).
    """
    span = _SPANS.get(granularity)
    end = end or (now if span is None else next_boundary(now, span))
    start = start or months_after(end, months=-1)
    if start >= end:
        raise InvalidParameter(
            f"StartTime {iso(start)} must be before EndTime {iso(end)}", code=83600
        )
    if span is not None and (floor(start, span) != start or floor(end, span) != end):
        what, code = (
            ("a UTC day", 83601) if granularity is UsageGranularity.DAY else ("an hour", 83602)
        )
        raise InvalidParameter(
            f"with Granularity={granularity}, StartTime and EndTime must be the start of {what}",
            code=code,
        )
    if group is UsageGrouping.SIM and end - start > _LONGEST_BY_SIM:
        raise _too_long("Group=sim", _LONGEST_BY_SIM, code=83603)
    longest = _LONGEST.get(granularity)
    if longest is not None and end - start > longest:
        raise _too_long(f"Granularity={granularity}", longest, code=83604)
    if start < months_after(now, months=-_MONTHS_KEPT):
        raise InvalidParameter(
            f"StartTime {iso(start)} is more than {_MONTHS_KEPT} months ago; choose a later one",
            code=83605,
        )
    return UsageQuery(start, end, granularity, group, filters)


def summarize(
    account_sid: str, query: UsageQuery, sessions: Iterable[SuperSimDataSession], now: datetime
) -> list[UsageRecord]:
    """Return the Usage Records that answer a query, newest period first.

    Records without usage are left out if the query groups its records.
    """
    groups = _grouped([one for one in sessions if _fits(one, query.filters)], query)
    records = list[UsageRecord]()
    for start, end in query.periods():
        for of, members in groups:
            upload, download = bytes_of(members, start, min(end, now))
            if query.group is None or upload + download:
                records.append(UsageRecord(account_sid, start, end, of, upload, download))
    return records


def _grouped(
    sessions: Sequence[SuperSimDataSession], query: UsageQuery
) -> list[tuple[Mapping[str, str], Sequence[SuperSimDataSession]]]:
    """Return the groups that records are made for, each with its sessions."""
    if query.group is None:
        return [(query.filters, sessions)]
    field = FIELD_OF[query.group]
    groups = dict[str, list[SuperSimDataSession]]()
    for session in sessions:
        groups.setdefault(getattr(session, field), []).append(session)
    return [({**query.filters, field: value}, groups[value]) for value in sorted(groups)]


def _fits(session: SuperSimDataSession, filters: Mapping[str, str]) -> bool:
    return all(getattr(session, name) == value for name, value in filters.items())


def _too_long(what: str, longest: timedelta, *, code: int) -> InvalidParameter:
    return InvalidParameter(
        f"with {what}, StartTime and EndTime can be at most {longest.days} days apart", code=code
    )


class BillingPeriodType(StrEnum):
    """The reason for billing: the SIM is `ready`, or it is `active`."""

    READY = "ready"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """A Billing Period: a time, usually a month, for which one SIM is billed."""

    sid: str
    account_sid: str
    sim_sid: str
    period_type: BillingPeriodType
    start_time: datetime
    end_time: datetime
    date_created: datetime
    date_updated: datetime
