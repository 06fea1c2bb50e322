"""Rounds beyond the first: how long a callback waits before it is tried again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from ringback.core.calendar import read_duration

LONGEST_WAIT: Final = timedelta(hours=10)
"""The most that a receiver can ask for with Retry-After."""

_JITTER: Final = 0.2
_MOST_ROUNDS: Final = 50
_FAITHFUL: Final = "faithful"
_PERSISTENT: Final = "persistent"


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits between rounds of attempts; without any there is only one round.

    >>> RetrySchedule.parse("5s,1m").wait_after(1, jitter=0.5)
    datetime.timedelta(seconds=60)
    """

    waits: tuple[timedelta, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `faithful`, `persistent`, or waits of one's own like `5s,5m,2h`.

        Raises ValueError for anything else.
        """
        if text in SCHEDULES:
            return cls(SCHEDULES[text])
        waits = tuple(read_duration(wait) for wait in text.split(","))
        if len(waits) > _MOST_ROUNDS:
            raise ValueError(f"{text!r} has {len(waits)} waits; there may be {_MOST_ROUNDS}")
        return cls(waits)

    def __str__(self) -> str:
        """Write the schedule as `parse` reads it."""
        return ",".join(f"{wait.total_seconds():.6f}s" for wait in self.waits) or _FAITHFUL

    def wait_after(self, round_number: int, *, jitter: float) -> timedelta | None:
        """Return the wait after this round (from 0), or None where it is the last.

        `jitter`, from 0 to 1, spreads it over ±20 %, so that callbacks that failed together are not
        retried together.
        """
        if round_number >= len(self.waits):
            return None
        return self.waits[round_number] * (1 + _JITTER * (2 * jitter - 1))


# The real systems have one round; the rounds after it are our addition.
SCHEDULES: Final = {
    _FAITHFUL: (),
    _PERSISTENT: (
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=10),
    ),
}
"""The schedules that have a name."""

FAITHFUL: Final = RetrySchedule(SCHEDULES[_FAITHFUL])
PERSISTENT: Final = RetrySchedule(SCHEDULES[_PERSISTENT])
