"""Makes the ids of rows: 64-bit integers that sort by the time at which they were made.

An id has 42 bits with the milliseconds since 1970, 9 bits with a number that only this process has,
and 12 bits with a counter. So several processes can make ids, and a copy of the data keeps them.
"""

from collections.abc import Callable
from typing import Final

LEASES: Final = 512
"""The number of processes that can make ids at the same time."""
_COUNTS: Final = 4096
_IN_A_MILLISECOND: Final = LEASES * _COUNTS


class RowIds:
    """Makes ids in ascending order, from a number that this process has leased.

    `milliseconds` returns the real time, since 1970, by a clock that never goes back. `after` is
    the highest id in the data: all new ids are higher.
    """

    def __init__(self, lease: int, *, milliseconds: Callable[[], int], after: int = 0) -> None:
        self.lease = lease
        """The number that this process has leased; its remainder by `LEASES` counts."""
        self._milliseconds = milliseconds
        self._at = after // _IN_A_MILLISECOND
        self._count = _COUNTS - 1
        self.last = after
        """The last id that was made."""

    def make(self) -> int:
        """Return a new id, which is higher than all earlier ones."""
        now = self._milliseconds()
        if now > self._at:
            self._at, self._count = now, 0
        elif self._count + 1 < _COUNTS:
            self._count += 1
        else:
            # More ids than this in a millisecond take those of the next milliseconds.
            self._at, self._count = self._at + 1, 0
        self.last = (self._at * LEASES + self.lease % LEASES) * _COUNTS + self._count
        return self.last


def ids_in(*, hours: int) -> int:
    """Return the difference between two ids that were made this number of hours apart.

    >>> ids_in(hours=1) == 3_600_000 << 21
    True
    """
    return hours * 3_600_000 * _IN_A_MILLISECOND
