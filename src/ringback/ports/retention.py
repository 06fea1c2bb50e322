"""The interface for what retention deletes, and for the times that say when."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from ringback.core.retention import RetentionCutoffs, StoredTimes, TimeSubject


class RetentionFinds(NamedTuple):
    """A part of a search for callbacks that lose something."""

    rows: Sequence[tuple[int, str]]
    """The callbacks found: the number of their rows, and their SIDs."""
    place: object
    """Where the next search of this account goes on; its form is the store's own."""
    is_over: bool
    """True if the search has come to its end, for now."""


class RetentionCounts(NamedTuple):
    """What a part of the work has deleted."""

    callbacks: int = 0
    attempts: int = 0
    """The number of callbacks that have lost their attempts, and stay themselves."""


class UnusedFinds(NamedTuple):
    """A part of a search for rows that are shared by callbacks, and that no callback needs now."""

    rows: Sequence[tuple[str, int]]
    """The rows found: their tables, and their ids or numbers."""
    place: object
    """Where the search goes on; None at its end. Its form is the store's own."""


class FreeSpace(NamedTuple):
    """The size of the file of the data, and how much of it is free."""

    bytes: int
    free: int
    can_shrink: bool


class Retention(Protocol):
    """Finds what has been kept for long enough, and deletes it.

    A search only reads, and its parts take a few milliseconds each. What it finds is checked again
    in the transaction that deletes it, since a callback may have been replayed meanwhile.
    """

    def times(self) -> StoredTimes:
        """Return the times that are set at run time, and those that the data began with."""
        ...

    def set_times(self, changes: Mapping[TimeSubject, timedelta | None], now: datetime) -> None:
        """Set times; None for ever."""
        ...

    def unset_times(self, times: Sequence[TimeSubject]) -> None:
        """Unset times, so that others are in force instead."""
        ...

    def find_expired(
        self,
        account_sid: str,
        cutoffs: RetentionCutoffs,
        place: object = None,
        *,
        limit: int,
        is_walked: bool = True,
    ) -> RetentionFinds:
        """Return callbacks of an account that lose their attempts, or go as a whole.

        At most `limit` callbacks are returned, and several times as many examined. `place` is that
        of the last search, which may have had other cutoffs; None searches from the beginning. It
        can't be used any more if the clock is set back. Unless `is_walked`, callbacks that their
        first attempt delivered at once are left out.
        """
        ...

    def remove_expired(
        self, rows: Sequence[tuple[int, str]], cutoffs: RetentionCutoffs
    ) -> RetentionCounts:
        """Delete what goes of these callbacks, which belong to one account: all of it at once."""
        ...

    def find_unused(
        self, cutoffs: Mapping[str, RetentionCutoffs], place: object = None, *, limit: int
    ) -> UnusedFinds:
        """Return rows that are not needed any more: bodies of answers, and what callbacks share.

        `cutoffs` has the accounts whose rows to look at. It must be the same in all parts of a
        search, and a search must begin after all expired callbacks of these cutoffs are deleted.

        A row that several callbacks share stays until none of them needs it, and up to a day
        longer. The answer that a shadow copy is compared with stays as long as the copy.
        """
        ...

    def remove_unused(self, rows: Sequence[tuple[str, int]]) -> None:
        """Delete rows that `find_unused` has found."""
        ...

    def free_space(self) -> FreeSpace:
        """Return how large the data file is; zeros if the database takes care of its space."""
        ...

    def give_back(self, most: int) -> None:
        """Make the file smaller, by at most this number of free bytes."""
        ...
