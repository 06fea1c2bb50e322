"""Retry schedules: how long a callback waits after a failed round before the next round."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from ringback.core.calendar import read_duration

LONGEST_WAIT: Final = timedelta(hours=10)
"""The longest wait that a receiver can ask for with Retry-After."""

_JITTER: Final = 0.2
_MOST_ROUNDS: Final = 50
_FAITHFUL: Final = "faithful"
_PERSISTENT: Final = "persistent"


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits between rounds of attempts; if there are none, there is only one round.

    >>> RetrySchedule.parse("5s,1m").waits
    (datetime.timedelta(seconds=5), datetime.timedelta(seconds=60))
    """

    waits: tuple[timedelta, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a schedule: `faithful`, `persistent`, or a comma list of waits like `5s,5m,2h`.

        Raises ValueError for other text, and for more than 50 waits.
        """
        if text in SCHEDULES:
            return cls(SCHEDULES[text])
        waits = tuple(read_duration(wait) for wait in text.split(","))
        if len(waits) > _MOST_ROUNDS:
            raise ValueError(f"{text!r} has {len(waits)} waits; the maximum is {_MOST_ROUNDS}")
        return cls(waits)

    def __str__(self) -> str:
        """Return the schedule as text that `parse` accepts."""
        return ",".join(f"{wait.total_seconds():.6f}s" for wait in self.waits) or _FAITHFUL

    @property
    def in_words(self) -> str:
        """The name of the schedule; if it has none, its waits, as a person writes them.

        >>> parse = RetrySchedule.parse
        >>> parse("persistent").in_words, parse("5s,1m").in_words
        ('persistent', '5s,60s')
        """
        names = (name for name, waits in SCHEDULES.items() if waits == self.waits)
        return next(names, ",".join(f"{wait.total_seconds():g}s" for wait in self.waits))

    def wait_after(self, round_number: int, *, jitter: float) -> timedelta | None:
        """Return the wait after this round (counted from 0), or None if it is the last round.

        `jitter`, a random number from 0 to 1, changes the wait by up to ±20 %, so that callbacks
        that failed together are not retried together; 0.5 changes nothing.

        >>> RetrySchedule.parse("5s,1m").wait_after(0, jitter=0.5)
        datetime.timedelta(seconds=5)
        """
        if round_number >= len(self.waits):
            return None
        return self.waits[round_number] * (1 + _JITTER * (2 * jitter - 1))


# The real systems have only one round; Ringback adds further rounds.
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
"""The schedules that have a name, with their waits."""

FAITHFUL: Final = RetrySchedule(SCHEDULES[_FAITHFUL])
PERSISTENT: Final = RetrySchedule(SCHEDULES[_PERSISTENT])
