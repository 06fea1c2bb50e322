"""What was counted of callbacks, in a plain dictionary."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count, islice
from typing import Final, NamedTuple

from ringback.core.callback_counts import (
    CallbackCounts,
    CountedMinute,
    CountGap,
    CountSpan,
    CountSum,
    gaps_of,
    noted_between,
)
from ringback.ports import CountFilter, CountSplit, RecoveredCounts

_NUMBERS: Final = count()
"""Numbers of rows; transactions that run at the same time never have the same."""


class _Row(NamedTuple):
    span: CountSpan
    counted: CountedMinute
    is_summed: bool = False


@dataclass
class MemoryCounters:
    """Implements `ports.Counters`."""

    rows: dict[int, _Row] = field(default_factory=dict[int, _Row])
    notes: dict[int, datetime] = field(default_factory=dict[int, datetime])
    unclear: set[datetime] = field(default_factory=set[datetime])

    def add(self, counted: Sequence[CountedMinute]) -> None:
        for one in counted:
            self._add(_Row(CountSpan.MINUTE, one._replace(counts=_copy(one.counts))))

    def sums(
        self,
        which: CountFilter,
        span: CountSpan,
        *,
        split: Collection[CountSplit] = (),
        is_total: bool = False,
        limit: int,
    ) -> list[CountSum]:
        sums = dict[tuple[object, ...], CountSum]()
        for row in self.rows.values():
            if not _is_read_for(row, span) or not _matches(row.counted, which):
                continue
            began, account_sid, destination, source, counts = row.counted
            place = (
                None if is_total else span.begin_of(began),
                account_sid if CountSplit.ACCOUNT in split else None,
                destination if CountSplit.DESTINATION in split else None,
                source if CountSplit.SOURCE in split else None,
            )
            sums.setdefault(place, CountSum(*place, CallbackCounts())).counts.add(counts)
        return sorted(sums.values(), key=lambda one: [str(part) for part in one[:4]])

    def mark(self, began: datetime, *, instead_of: int | None = None) -> int:
        if instead_of is not None:
            self.unmark(instead_of)
        number = next(_NUMBERS)
        self.notes[number] = began
        return number

    def unmark(self, number: int) -> None:
        self.notes.pop(number, None)

    def begin(self, *, limit: int) -> RecoveredCounts:
        return RecoveredCounts([], [])

    def end(self) -> None: ...

    def note_lost(self, minutes: Collection[datetime]) -> None:
        for minute in minutes:
            self.mark(minute)

    def note_unclear(self, minute: datetime) -> None:
        self.unclear.add(minute)

    def gaps(self, since: datetime, until: datetime, *, now: datetime) -> list[CountGap]:
        first, end = noted_between(since, until, now)
        notes = sorted(note for note in self.notes.values() if first <= note < end)
        return gaps_of(notes, since, until)

    def roll_up(self, span: CountSpan, before: datetime, *, at: int = 0, limit: int) -> int | None:
        wanted = (
            (seq, row)
            for seq, row in self.rows.items()
            if row.span is span.finer and not row.is_summed and row.counted.began < before
        )
        found = list(islice(wanted, limit))
        sums = dict[tuple[object, ...], CountedMinute]()
        for seq, row in found:
            self.rows[seq] = row._replace(is_summed=True)
            counted = row.counted
            one = counted._replace(began=span.begin_of(counted.began), counts=CallbackCounts())
            sums.setdefault(one[:4], one).counts.add(counted.counts)
        for one in sums.values():
            self._add(_Row(span, one))
        return 0 if len(found) == limit else None

    def remove(self, span: CountSpan, before: datetime, *, limit: int) -> int | None:
        old = [
            (row.counted.began, seq)
            for seq, row in self.rows.items()
            if row.span is span and row.counted.began < before
        ]
        for _, seq in sorted(old)[:limit]:
            del self.rows[seq]
        return 0 if len(old) >= limit else None

    def _add(self, row: _Row) -> None:
        self.rows[next(_NUMBERS)] = row


def _copy(counts: CallbackCounts) -> CallbackCounts:
    copied = CallbackCounts()
    copied.add(counts)
    return copied


def _is_read_for(row: _Row, span: CountSpan) -> bool:
    """Return True if this row counts for spans of this kind: it, or what it is summed up to."""
    if row.span is span:
        return True
    return row.span.length < span.length and not row.is_summed


def _matches(one: CountedMinute, which: CountFilter) -> bool:
    wanted = (
        (which.account_sid, one.account_sid),
        (which.destination, one.destination),
        (which.source, one.source),
    )
    return which.since <= one.began < which.until and all(
        asked in (None, had) for asked, had in wanted
    )
