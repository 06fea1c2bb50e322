"""Usage Records of Programmable Wireless: data and Commands, by zone and country.

Source: the vendors' OpenAPI files, and the published samples.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from ringback.core.sims.data_session import bytes_of
from ringback.core.sims.message import Direction
from ringback.core.sims.mobile_networks import MobileNetwork, network_with
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.rate_plan import RoamingZone, zone_of

MOST_RECORDS: Final = 10_000
"""The maximum number of periods that one request can ask for, a limit of our choice."""
_INVALID: Final = 33101


class WirelessUsageGranularity(StrEnum):
    """The length of a Usage Record's period: an hour, a day, or all of the time asked for."""

    HOURLY = "hourly"
    DAILY = "daily"
    ALL = "all"


_SPANS: Final[Mapping[WirelessUsageGranularity, timedelta]] = {
    WirelessUsageGranularity.HOURLY: HOUR,
    WirelessUsageGranularity.DAILY: DAY,
}


class UsagePeriod(NamedTuple):
    """A period that one Usage Record covers: an hour, a day, or all of the time asked for."""

    number: int
    """The period's number, counted from 0 at the start of the query."""
    start: datetime
    end: datetime

    @property
    def sid(self) -> str:
        """The identifier of the period's record in its list; it is not the SID of a resource."""
        return f"{self.start:%Y%m%d%H}"


class WirelessUsageQuery(NamedTuple):
    """A request for usage: the time that it covers, and the length of each record's period."""

    start: datetime
    end: datetime
    span: timedelta | None
    """The length of each record's period; None for a single record."""

    def slots(self) -> list[UsagePeriod]:
        """Return the periods of the query's records, the newest first."""
        periods = periods_between(self.start, self.end, self.span)
        return [UsagePeriod(len(periods) - 1 - at, *period) for at, period in enumerate(periods)]


def plan_query(
    start: datetime | None,
    end: datetime | None,
    granularity: WirelessUsageGranularity,
    now: datetime,
) -> WirelessUsageQuery:
    """Return the usage query for a request's parameters; by default it covers the last month.

    With hourly or daily records, each hour or day from `start` to `end` gets a record, even if it
    is included only in part. Raises InvalidParameter (33101) if `start` is after `end`, or there
    would be too many records.
    """
    end = end or now
    start = start or months_after(end, months=-1)
    if start > end:
        raise InvalidParameter(
            f"Start {iso(start)} must not be after End {iso(end)}", code=_INVALID
        )
    span = _SPANS.get(granularity)
    if span is None:
        return WirelessUsageQuery(start, end, None)
    start, end = floor(start, span), next_boundary(end, span)
    count = (end - start) // span
    if count > MOST_RECORDS:
        raise InvalidParameter(
            f"Granularity={granularity} from Start {iso(start)} to End {iso(end)} makes"
            f" {count} records; at most {MOST_RECORDS} are allowed",
            code=_INVALID,
        )
    return WirelessUsageQuery(start, end, span)


class MeteredCommand(NamedTuple):
    """A Command counted as usage; this record stays when the Command itself is deleted."""

    account_sid: str
    sim_sid: str
    network_sid: str
    direction: Direction
    at: datetime


class CommandCount(NamedTuple):
    """The number of Commands in one direction, on one network, in one period."""

    slot: int
    """The number of the period, as in `UsagePeriod`."""
    network_sid: str
    direction: Direction
    messages: int


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """The numbers of Commands and the bytes of data that were used, for example in one country."""

    commands: Mapping[Direction, int] = field(default_factory=dict[Direction, int])
    upload: int = 0
    download: int = 0


@dataclass(frozen=True, slots=True)
class WirelessUsage:
    """A Usage Record: the usage of an account, or of one of its SIMs, in one period."""

    account_sid: str
    sim_sid: str | None
    slot: UsagePeriod
    by_country: Mapping[tuple[RoamingZone, str], UsageTotals]
    """The usage by zone and country (ISO 3166-1 alpha-2); only countries with usage are in it."""

    @property
    def sid(self) -> str:
        """The record's identifier, unique within its list."""
        return self.slot.sid

    def used_in(self, *zones: RoamingZone) -> UsageTotals:
        """Return the total usage in these zones."""
        parts = [used for (zone, _), used in self.by_country.items() if zone in zones]
        return UsageTotals(
            {way: sum(part.commands.get(way, 0) for part in parts) for way in Direction},
            sum(part.upload for part in parts),
            sum(part.download for part in parts),
        )

    def abroad(self) -> list[tuple[str, UsageTotals]]:
        """Return the usage in each foreign country, sorted by its code."""
        abroad = {
            country: used
            for (zone, country), used in self.by_country.items()
            if zone is RoamingZone.INTERNATIONAL
        }
        return [(country, abroad[country]) for country in sorted(abroad)]


def summarize(
    account_sid: str,
    sim_sid: str | None,
    slots: Iterable[UsagePeriod],
    *,
    sessions: Sequence[WirelessDataSession],
    counts: Iterable[CommandCount],
    now: datetime,
) -> list[WirelessUsage]:
    """Return the Usage Records for these periods, in the same order."""
    by_slot = defaultdict[int, list[CommandCount]](list)
    for count in counts:
        by_slot[count.slot].append(count)
    return [
        WirelessUsage(
            account_sid, sim_sid, slot, _by_country(sessions, by_slot[slot.number], slot, now)
        )
        for slot in slots
    ]


def _by_country(
    sessions: Iterable[WirelessDataSession],
    counts: Iterable[CommandCount],
    slot: UsagePeriod,
    now: datetime,
) -> dict[tuple[RoamingZone, str], UsageTotals]:
    by_place = defaultdict[tuple[RoamingZone, str], list[WirelessDataSession]](list)
    for session in sessions:
        by_place[_place_of(session.network)].append(session)
    messages = defaultdict[tuple[RoamingZone, str], dict[Direction, int]](dict)
    for count in counts:
        network = network_with(count.network_sid)
        if network is not None:
            of = messages[_place_of(network)]
            of[count.direction] = of.get(count.direction, 0) + count.messages
    end = min(slot.end, now)
    used = {
        place: UsageTotals(
            messages.get(place, {}), *bytes_of(by_place.get(place, ()), slot.start, end)
        )
        for place in [*by_place, *messages]
    }
    return {place: one for place, one in used.items() if one != UsageTotals()}


def _place_of(network: MobileNetwork) -> tuple[RoamingZone, str]:
    return zone_of(network), network.iso_country
