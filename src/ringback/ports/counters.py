"""The interface of the table of counters: what was counted of callbacks, minute by minute."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from ringback.core.callback_counts import CountedMinute, CountGap, CountSpan, CountSum
from ringback.core.policy.source_policy import SourceName


class CountSplit(StrEnum):
    """What counts can be told apart by, besides time."""

    ACCOUNT = "account"
    DESTINATION = "destination"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class CountFilter:
    """Which counts are summed up; a field that is None matches all."""

    since: datetime
    """Counts from this instant on: the beginning of a span."""
    until: datetime
    """Counts before this instant."""
    account_sid: str | None = None
    destination: str | None = None
    source: SourceName | None = None


class RecoveredCounts(NamedTuple):
    """What a killed process had counted and not written, as the rows of callbacks show it."""

    counted: list[CountedMinute]
    """The counts to write."""
    notes: list[int]
    """The numbers of the notes to delete, with `unmark`, once these counts are written."""
    lost_since: datetime | None = None
    """Since when counts stay incomplete; None if nothing is missing any more."""


class Counters(Protocol):
    """The table of counters.

    Many processes add rows, and none changes those of others, so nobody waits for a row. The counts
    of a span are the sum of all its rows.
    """

    def add(self, counted: Sequence[CountedMinute]) -> None:
        """Save counts; there may be others of the same minute. Their lanes have had callbacks."""
        ...

    def sums(
        self,
        which: CountFilter,
        span: CountSpan,
        *,
        split: Collection[CountSplit] = (),
        is_total: bool = False,
        limit: int,
    ) -> list[CountSum]:
        """Return the sums of counts for each span that has any, and for each part of `split`.

        With `is_total`, they are those of the whole time; `span` then says which counts are read.
        They are in the order of time, account, destination and source. If there are more than
        `limit`, more than `limit` are returned, and the result is not complete.
        """
        ...

    def mark(self, began: datetime, *, instead_of: int | None = None) -> int:
        """Note that a process has counts from this minute on which are not written yet.

        The note replaces an earlier one of the process. Returns the number of the note.
        """
        ...

    def unmark(self, number: int) -> None:
        """Delete a note, since all counts of its process are written."""
        ...

    def begin(self, *, limit: int) -> RecoveredCounts:
        """Note that the only process of these data begins, and count again what another has lost.

        To be called before anything else happens to callbacks. At most about `limit` rows of
        callbacks and attempts are read. If that is not enough, or if the rows don't show all, the
        notes of a killed process become lasting ones.
        """
        ...

    def end(self) -> None:
        """Note that the only process of these data ends, and that all its counts are written."""
        ...

    def note_lost(self, minutes: Collection[datetime]) -> None:
        """Note for ever that counts of these minutes are lost."""
        ...

    def note_unclear(self, minute: datetime) -> None:
        """Note that rows don't show all of a minute: what had ended was replayed or discarded."""
        ...

    def gaps(self, since: datetime, until: datetime, *, now: datetime) -> list[CountGap]:
        """Return the times of which counts are missing, in order, apart from each other.

        They are those of notes that should have been replaced long ago: the process was killed, or
        it can't write. At most `MOST_GAPS` notes are read, and if there are more, all later time
        counts as one gap.
        """
        ...

    def roll_up(self, span: CountSpan, before: datetime, *, at: int = 0, limit: int) -> int | None:
        """Add the sums of the finer counts of spans that ended before this instant.

        At most `limit` counts are summed up, and each only once. `before` has to be the beginning
        of a span. Returns None if no more are left, or else the `at` of the next call.
        """
        ...

    def remove(self, span: CountSpan, before: datetime, *, limit: int) -> int | None:
        """Delete at most `limit` counts of spans that began before this instant, oldest first.

        Returns None if no more are left.
        """
        ...
