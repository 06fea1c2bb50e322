"""Stores what was counted of callbacks, for minutes, and summed up for hours and days.

Rows are only added, summed up once, and deleted in the end. So the counts of hours are those in the
rows of hours, and those in rows of minutes that are not summed up yet.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ringback.core.callback_counts import (
    ATTEMPT_SECONDS,
    DELAY_SECONDS,
    MOST_GAPS,
    PLAIN_COUNTS,
    CallbackCounts,
    CountedMinute,
    CountGap,
    CountSpan,
    CountSum,
    gaps_of,
    noted_between,
)
from ringback.core.policy.source_policy import source_named
from ringback.ports import BEGINNING, CountFilter, CountSplit, Lane, RecoveredCounts
from ringback.stores.sql.counts_of_rows import CountedRows
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.write_batch import BulkStatement, Row, SqlValue, WriteBatch

_ATTEMPT_TIMES: Final = tuple(f"attempt_time_{n}" for n in range(len(ATTEMPT_SECONDS) + 1))
_DELIVERY_TIMES: Final = tuple(f"delivery_time_{n}" for n in range(len(DELAY_SECONDS) + 1))
_PLAIN: Final = len(PLAIN_COUNTS)
_NUMBERS: Final = (*PLAIN_COUNTS, *_ATTEMPT_TIMES, *_DELIVERY_TIMES)
_ROW: Final = "span_s, began_us, lane_id, source, is_summed"
_COUNTED: Final = BulkStatement.insert("counters", f"seq, {_ROW}, {', '.join(_NUMBERS)}, failures")

_REMOVED: Final = BulkStatement.delete("counters", "seq")

TABLES: Final = (_REMOVED, _COUNTED)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_SUMS: Final = ", ".join(
    (*(f"CAST(sum({name}) AS bigint)" for name in _NUMBERS), "group_concat(failures, ',')")
)
_TO_SUM_UP: Final = "WHERE NOT is_summed AND span_s = ? AND lane_id >= ? AND began_us < ?"
ROLL_UP: Final = f"""
    SELECT seq, lane_id, source, began_us, {", ".join(_NUMBERS)}, failures
    FROM counters INDEXED BY counters_to_sum_up {_TO_SUM_UP}
    ORDER BY lane_id, began_us, seq LIMIT ?
"""
SUMMED: Final = f"""
    UPDATE counters INDEXED BY counters_to_sum_up SET is_summed = true {_TO_SUM_UP}
    AND (lane_id, began_us, seq) <= (?, ?, ?)
"""
OLDEST: Final = """
    SELECT seq FROM counters INDEXED BY counters_of_span
    WHERE span_s = ? AND began_us < ? ORDER BY began_us LIMIT ?
"""
# Notes are rows of no lane, and of a span of 0 seconds or less.
NOTES: Final = """
    SELECT began_us FROM counters INDEXED BY counters_of_span
    WHERE span_s = ? AND began_us >= ? AND began_us < ? ORDER BY began_us LIMIT ?
"""
_NOTE, _RUNNING, _UNCLEAR = 0, -1, -2
"""The spans of rows that are notes, and no counts.

They are: since when counts are not written; that the only process of the file has begun, and not
ended; that the rows of callbacks don't show all of a minute.
"""
_LOST: Final = "lost"
"""The source of notes that stay for ever."""
LAST: Final = "SELECT max(began_us) FROM counters INDEXED BY counters_of_span WHERE span_s = ?"
NOTED: Final = """
    SELECT seq, began_us, source FROM counters INDEXED BY counters_of_span
    WHERE span_s = ? AND began_us >= ?
"""
KEEP: Final = """
    UPDATE counters INDEXED BY counters_of_span SET source = ? WHERE span_s = ? AND began_us < ?
"""
_LONGEST: Final = timedelta(minutes=55)
"""If counts were written this long after the minute of a note, rows of attempts may be gone."""
_BEFORE: Final = timedelta(minutes=3)
"""Attempts and batches that began this long before the minute of a note may be counted after it."""
_END: Final = datetime.max.replace(tzinfo=BEGINNING.tzinfo)
_SPLIT: Final = {
    CountSplit.ACCOUNT: "account_sid",
    CountSplit.DESTINATION: "destination",
    CountSplit.SOURCE: "source",
}
_Place = tuple[Any, ...]
"""The values of the columns by which counts are grouped."""


class SqlCounters:
    """Implements `ports.Counters`; `lane_id` returns the id of a lane's row."""

    def __init__(self, session: WriteBatch, lane_id: Callable[[Lane], int]) -> None:
        self._session = session
        self._lane_id = lane_id

    def add(self, counted: Sequence[CountedMinute]) -> None:
        for began, account_sid, destination, source, counts in counted:
            lane_id = self._lane_id(Lane(account_sid, destination))
            self._add(CountSpan.MINUTE, to_us(began), lane_id, source, counts)

    def sums(
        self,
        which: CountFilter,
        span: CountSpan,
        *,
        split: Collection[CountSplit] = (),
        is_total: bool = False,
        limit: int,
    ) -> list[CountSum]:
        places = [_SPLIT[one] for one in CountSplit if one in split]
        if not is_total:
            places.insert(0, f"began_us / {_us(span)} * {_us(span)}")
        sums = dict[tuple[Any, ...], CallbackCounts]()
        for statement, values in _statements_of_sums(which, span, places):
            for row in self._session.read_queued(statement, (*values, limit + 1)):
                place, numbers = tuple(row)[: len(places)], tuple(row)[len(places) :]
                _add_up(sums, place, _read(numbers))
        return [
            _sum_at(place, counts, split, is_total=is_total)
            for place, counts in sorted(sums.items())
        ]

    def mark(self, began: datetime, *, instead_of: int | None = None) -> int:
        if instead_of is not None:
            self.unmark(instead_of)
        number = self._session.new_seq()
        if number is None:
            # The only process of a file; the file itself makes no negative numbers.
            lowest = self._session.read_queued("SELECT min(seq) FROM counters", ()).fetchone()
            number = min(0, (lowest and lowest[0]) or 0) - 1
        self._note(_NOTE, began, number=number)
        return number

    def _note(
        self, span: int, began: datetime, source: str = "", *, number: int | None = None
    ) -> None:
        row = (span, to_us(began), 0, source, True, *_write(CallbackCounts()))
        self._session.queue(_COUNTED, (number or self._session.new_seq(), *row))

    def unmark(self, number: int) -> None:
        self._session.queue(_REMOVED, (number,))

    def begin(self, *, limit: int) -> RecoveredCounts:
        since, notes = self._unwritten_since()
        if not self._noted(_RUNNING):
            self._note(_RUNNING, from_us(0))
        if since is None:
            return RecoveredCounts([], [])
        begin = CountSpan.MINUTE.begin_of(since - _BEFORE)
        rows = CountedRows(self._session, begin, limit=limit).count()
        is_clear = not self._noted(_UNCLEAR, to_us(begin))
        missing = [] if rows is None else self._missing(rows, begin, is_clear=is_clear)
        if rows is not None and (is_clear or not (notes or missing)):
            return RecoveredCounts(missing, notes)
        if notes:
            self._session.write(KEEP, (_LOST, _NOTE, to_us(_END)))
        else:
            self._note(_NOTE, since, _LOST)
        return RecoveredCounts(missing, [], since)

    def _unwritten_since(self) -> tuple[datetime | None, list[int]]:
        """Return since when a killed process may not have written counts, and its notes.

        It is None if no process was killed.
        """
        (last_minute,) = self._session.read_queued(LAST, (_seconds(CountSpan.MINUTE),)).fetchone()
        if last_minute is not None:
            before = from_us(last_minute) - _LONGEST
            self._session.write(KEEP, (_LOST, _NOTE, to_us(before)))
        notes = {seq: began for seq, began, source in self._noted(_NOTE) if source != _LOST}
        if notes:
            return from_us(min(notes.values())), list(notes)
        if not self._noted(_RUNNING):
            return None, []
        # It was killed before it had stored a note: nearly all is written.
        if last_minute is not None:
            return from_us(last_minute), []
        for span in (CountSpan.HOUR, CountSpan.DAY):
            (last,) = self._session.read_queued(LAST, (_seconds(span),)).fetchone()
            if last is not None:
                return from_us(last) + span.length, []
        return from_us(0), []

    def _missing(
        self,
        rows: dict[tuple[datetime, str, str, str], CallbackCounts],
        since: datetime,
        *,
        is_clear: bool,
    ) -> list[CountedMinute]:
        """Return by how much rows exceed the stored counts of minutes."""
        sums = self.sums(CountFilter(since, _END), CountSpan.MINUTE, split=CountSplit, limit=2**62)
        stored = {one[:4]: one.counts for one in sums}
        missing = list[CountedMinute]()
        for place, counts in sorted(rows.items()):
            more = counts.beyond(stored.get(place, CallbackCounts()))
            if not is_clear:
                more.discarded = 0  # it may have failed before, and count as that
            if more != CallbackCounts():
                began, account_sid, destination, source = place
                missing.append(
                    CountedMinute(began, account_sid, destination, source_named(source), more)
                )
        return missing

    def end(self) -> None:
        for seq, *_ in self._noted(_RUNNING):
            self.unmark(seq)

    def note_lost(self, minutes: Collection[datetime]) -> None:
        for minute in minutes:
            self._note(_NOTE, minute, _LOST)

    def note_unclear(self, minute: datetime) -> None:
        self._note(_UNCLEAR, minute)

    def _noted(self, span: int, since_us: int = 0) -> list[tuple[int, int, str]]:
        """Return the numbers, minutes and sources of notes."""
        rows = self._session.read_queued(NOTED, (span, since_us)).fetchall()
        return [(seq, began_us, source) for seq, began_us, source in rows]

    def gaps(self, since: datetime, until: datetime, *, now: datetime) -> list[CountGap]:
        period = map(to_us, noted_between(since, until, now))
        rows = self._session.read_queued(NOTES, (_NOTE, *period, MOST_GAPS + 1))
        return gaps_of([from_us(began_us) for (began_us,) in rows], since, until)

    def roll_up(self, span: CountSpan, before: datetime, *, at: int = 0, limit: int) -> int | None:
        finer = span.finer
        if finer is None:
            return None
        about, length = (_seconds(finer), at, to_us(before)), _us(span)
        rows = self._session.read_queued(ROLL_UP, (*about, limit)).fetchall()
        if not rows:
            return None
        sums = dict[tuple[int, int, str], CallbackCounts]()
        for _, lane_id, source, began_us, *numbers in rows:
            place = (began_us // length * length, lane_id, source)
            _add_up(sums, place, _read(numbers))
        for place, counts in sums.items():
            self._add(span, *place, counts)
        seq, lane_id, _, began_us, *_ = rows[-1]
        self._session.write(SUMMED, (*about, lane_id, began_us, seq))
        return lane_id if len(rows) == limit else None

    def remove(self, span: CountSpan, before: datetime, *, limit: int) -> int | None:
        about = _seconds(span), to_us(before), limit
        old = self._session.read_queued(OLDEST, about).fetchall()
        if span is CountSpan.DAY and not old:
            old = self._session.read_queued(OLDEST, (_NOTE, *about[1:])).fetchall()
        if span is CountSpan.MINUTE and not old:
            old = self._session.read_queued(OLDEST, (_UNCLEAR, *about[1:])).fetchall()
        for (seq,) in old:
            self._session.queue(_REMOVED, (seq,))
        return 0 if len(old) == limit else None

    def _add(
        self, span: CountSpan, began_us: int, lane_id: int, source: str, counts: CallbackCounts
    ) -> None:
        row = (_seconds(span), began_us, lane_id, source, False, *_write(counts))
        self._session.queue(_COUNTED, (self._session.new_seq(), *row))


def _statements_of_sums(
    which: CountFilter, span: CountSpan, places: Sequence[str]
) -> Iterator[tuple[str, tuple[SqlValue, ...]]]:
    """Yield the queries of sums by these columns, with all values but the limit.

    The first one reads the rows of the span, the others finer ones that are not summed up yet.
    """
    period, grouped = (to_us(which.since), to_us(which.until)), "HAVING count(*) > 0"
    if places:
        grouped = f"GROUP BY {', '.join(places)}"
    wanted = {
        "account_sid": which.account_sid,
        "destination": which.destination,
        "source": which.source,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    condition = "".join(f" AND {name} = ?" for name in given)
    read: CountSpan | None = span
    while read is not None:
        index, only = "counters_of_span", ""
        if read is not span:
            index, only = "counters_to_sum_up", " AND NOT is_summed"
        elif which.account_sid is not None:
            index = "counters_of_lane"
        # First the lanes of the account, or else the counts of all.
        joined = f"counters INDEXED BY {index} CROSS JOIN lanes ON lanes.id = lane_id"
        if which.account_sid is not None:
            joined = f"lanes CROSS JOIN counters INDEXED BY {index} ON lane_id = lanes.id"
        yield (
            f"SELECT {', '.join([*places, _SUMS])} FROM {joined}"
            f" WHERE span_s = ? AND began_us >= ? AND began_us < ?{only}{condition}"
            f" {grouped} LIMIT ?",
            (_seconds(read), *period, *given.values()),
        )
        read = read.finer


def _add_up(sums: dict[_Place, CallbackCounts], place: _Place, counts: CallbackCounts) -> None:
    """Add counts to those of the same place; they may be kept as the first ones."""
    found = sums.get(place)
    if found is None:
        sums[place] = counts
    else:
        found.add(counts)


def _write(counts: CallbackCounts) -> Row:
    """Return the values of the numbers and of `failures`."""
    plain = (getattr(counts, name) for name in PLAIN_COUNTS)
    numbers = (*plain, *counts.attempt_seconds, *counts.delivery_seconds)
    failures = json.dumps(counts.failures) if counts.failures else None
    return (*(number or None for number in numbers), failures)


def _read(values: Sequence[int | str | None]) -> CallbackCounts:
    """Return the counts of a row, or of several whose failures are joined by commas."""
    *given, texts = values
    numbers = [int(number or 0) for number in given]
    failures = dict[str, int]()
    if texts:
        for one in json.loads(f"[{texts}]"):
            for reason, count in one.items():
                failures[reason] = failures.get(reason, 0) + count
    return CallbackCounts(
        *numbers[:_PLAIN],
        failures=failures,
        attempt_seconds=numbers[_PLAIN : _PLAIN + len(_ATTEMPT_TIMES)],
        delivery_seconds=numbers[_PLAIN + len(_ATTEMPT_TIMES) :],
    )


def _sum_at(
    place: tuple[Any, ...], counts: CallbackCounts, split: Collection[CountSplit], *, is_total: bool
) -> CountSum:
    """Return the sum of counts that have these values of the columns by which they are grouped."""
    values = iter(place)
    began = None if is_total else from_us(next(values))
    account_sid, destination, source = (
        next(values) if one in split else None for one in CountSplit
    )
    return CountSum(began, account_sid, destination, source, counts)


def _seconds(span: CountSpan) -> int:
    return int(span.length.total_seconds())


def _us(span: CountSpan) -> int:
    return 1_000_000 * _seconds(span)
