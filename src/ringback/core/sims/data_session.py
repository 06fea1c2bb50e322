"""Data Sessions of SIMs, whose data usage is calculated from the time that has passed.

A session uses a fixed number of bytes per hour, so nothing has to be saved while it runs.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from ringback.core.calendar import HOUR, INSTANT

MEGABYTE: Final = 1_000_000
_PRICE_OF_A_MEGABYTE: Final = Decimal("0.10")
"""The price in USD, from the published samples of both products: 300,000 bytes cost 0.03."""
_CENT: Final = Decimal("0.01")
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSession:
    """A Data Session: a time in which a SIM uses data at a constant rate."""

    sid: str
    account_sid: str
    sim_sid: str
    network_sid: str
    upload_per_hour: int
    """The bytes that the SIM sends per hour."""
    download_per_hour: int
    date_created: datetime
    """When the session began."""
    date_ended: datetime | None = None
    """When the session ends, possibly in the future; None if it has no end yet."""

    def bytes_between(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Return the bytes uploaded and downloaded from `start` until just before `end`.

        They are rounded so that the bytes of adjoining periods add up to those of the whole period.
        """
        start = max(start, self.date_created)
        end = end if self.date_ended is None else min(end, self.date_ended)
        if end <= start:
            return 0, 0
        first, last = start - self.date_created, end - self.date_created
        return (
            _grown(self.upload_per_hour, last) - _grown(self.upload_per_hour, first),
            _grown(self.download_per_hour, last) - _grown(self.download_per_hour, first),
        )


def _grown(per_hour: int, time: timedelta) -> int:
    return per_hour * (time // INSTANT) // (HOUR // INSTANT)


def when_used(count: int, session: DataSession, *, since: datetime) -> datetime | None:
    """Return when a session will have used `count` bytes since `since`, in both directions.

    None if the session uses no data, or ends before that.
    """
    begin = max(since, session.date_created)
    end = session.date_ended or _END_OF_TIME
    if end < begin or sum(session.bytes_between(begin, end)) < count:
        return None
    # Division would be wrong, since upload and download are rounded separately.
    most = (end - begin) // INSTANT
    found = bisect_left(
        range(most + 1),
        count,
        key=lambda time: sum(session.bytes_between(begin, begin + time * INSTANT)),
    )
    return begin + found * INSTANT


def bytes_of(sessions: Iterable[DataSession], start: datetime, end: datetime) -> tuple[int, int]:
    """Return the total bytes that these sessions upload, and download, from `start` to `end`."""
    pairs = [session.bytes_between(start, end) for session in sessions]
    return sum(up for up, _ in pairs), sum(down for _, down in pairs)


def price_of(count: int) -> Decimal:
    """Return the price of this number of bytes in USD, rounded to the cent.

    >>> price_of(3_494_609)
    Decimal('0.35')
    """
    return (count * _PRICE_OF_A_MEGABYTE / MEGABYTE).quantize(_CENT)


def total_between(sessions: Iterable[DataSession], start: datetime, end: datetime) -> int:
    """Return the total bytes that these sessions use from `start` to `end`, in both directions."""
    return sum(bytes_of(sessions, start, end))
