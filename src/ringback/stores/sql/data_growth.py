"""How much data there is, how fast it grows, and how long the disk lasts (`ringback db status`).

All of it is read in a moment, however much history there is: the growth is that of the newest
callbacks.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.accounts.account import EVERY
from ringback.core.counted import counted
from ringback.core.retention import KINDS, SetTimes, show_time
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.field_columns import from_us, maybe_from_us
from ringback.stores.sql.retention import read_times
from ringback.stores.sql.sealed_columns import Execute

_NEWEST: Final = 100_000
_HOUR: Final = ids_in(hours=1)
_WEEK: Final = 168 * _HOUR
_A_WEEK: Final = timedelta(weeks=1)
_FIRST_WEEK: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the first week of PostgreSQL's partitions begins."""
_RECENT: Final = f"""
    SELECT count(*), coalesce(min(id), 0) FROM (
        SELECT id FROM callbacks WHERE id > ? ORDER BY id DESC LIMIT {_NEWEST}
    ) AS newest
"""


class DataGrowth(NamedTuple):
    """How many callbacks there are, since when, and how many come in a day."""

    callbacks: int
    oldest: datetime | None
    per_day: int
    times: SetTimes
    """The times of retention that are set at run time; those of the settings are not known here."""
    now: datetime
    in_weeks: bool
    """True if whole weeks go at once, when the last day of a week is past its time."""

    def shown(self, *, used: int, room: int | None) -> dict[str, str | int | None]:
        """Return this in words and numbers.

        `used` is the number of bytes of the data, `room` of those that it can still take; None if
        that is not known.
        """
        size = used // self.callbacks if self.callbacks else 0
        found: dict[str, str | int | None] = {
            "callbacks": self.callbacks,
            "oldest_callback": self.oldest and f"{self.oldest:%Y-%m-%d}",
            "callbacks_per_day": self.per_day,
            "bytes_per_callback": size,
            "bytes_per_day": size * self.per_day,
        }
        if room is not None:
            left = self._days_left(used, size * self.per_day, room)
            found["room_bytes"] = room
            found["disk_lasts"] = (
                "it does not fill up at this rate" if left is None else f"{left} days at this rate"
            )
        return found | {"retention": self._times_in_words(), "goes_next": self._next_in_words()}

    def _days_left(self, used: int, bytes_per_day: int, room: int) -> int | None:
        """Return for how many days the disk lasts; None if retention keeps the data within it."""
        its = self.times.times_of(EVERY)
        kept = None if None in (its.delivered, its.undelivered) else its.delivered
        if not bytes_per_day or (kept and bytes_per_day * kept.days <= used + room):
            return None
        return room // bytes_per_day

    def _next_in_words(self) -> str:
        """Say on which day the first of what there is goes: of the oldest callbacks, if they ended.

        Accounts with times of their own are left out.
        """
        if self.oldest is None:
            return "nothing, since there are no callbacks"
        begins = self.oldest
        if self.in_weeks:
            begins += _A_WEEK - (begins - _FIRST_WEEK) % _A_WEEK
        days = {
            kind: begins + time
            for kind, time in self.times.times_of(EVERY)._asdict().items()
            if time is not None
        }
        texts = (f"{kind} {_day(day, self.now)}" for kind, day in days.items())
        return ", ".join(texts) or "nothing, since no times are set"

    def _times_in_words(self) -> str:
        found = {kind: self.times.time_of(EVERY, kind) for kind in KINDS}
        texts = [f"{kind} {show_time(one.time)} ({one.origin})" for kind, one in found.items()]
        others = len(self.times.in_force().accounts)
        return f"{', '.join(texts)}; {counted(others, 'account')} with times of their own"


def growth_of(execute: Execute, callbacks: int, *, in_weeks: bool = False) -> DataGrowth:
    """Return the growth of data with this number of callbacks; see `DataGrowth.in_weeks`."""
    milliseconds = steady_milliseconds()
    now = int(milliseconds / 3_600_000 * _HOUR)
    count, first = execute(_RECENT, (now - _WEEK,)).fetchone()
    # Over at least an hour, so that a few callbacks don't make a rate of millions.
    days = max((now - first) / _HOUR, 1.0) / 24 if count else 1.0
    (oldest,) = execute(
        "SELECT min(created_us) FROM (SELECT created_us FROM callbacks ORDER BY id LIMIT 1) AS one",
        (),
    ).fetchone()
    times = SetTimes({}, read_times(execute))
    return DataGrowth(
        *(callbacks, maybe_from_us(oldest), round(count / days), times),
        *(from_us(milliseconds * 1000), in_weeks),
    )


def _day(day: datetime, now: datetime) -> str:
    return "now" if day <= now else f"{day:%Y-%m-%d}"
