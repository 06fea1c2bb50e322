"""Counts the callbacks and attempts of each minute, and writes the counts once a minute.

Only what is durable is counted: a callback once the commit that adds it has ended, an attempt or an
end once it is saved. So at a quiet moment, the counts equal the rows. A stored note shows since
when a process has counts that are not written. If it is killed, the next process of a data file
counts them again from the rows; in a database that processes share, they stay incomplete.

Counting has to be fast, because every callback is counted: it only adds to numbers in memory.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.errors import StoreUnavailable
from ringback.ports import Clock, Cluster, Settlement, Store, Transaction

MOST_COUNTS: Final = 20_000
"""How many counts may be in memory; beyond that, they are written before the minute is over."""
ROWS: Final = 100
"""How many counts one commit writes, sums up or deletes, so that it delays others only briefly."""
MOST_ROWS: Final = 100_000
"""How many rows the start of a process may read to count again what another has lost."""

_ROLLED_UP_AFTER: Final = {CountSpan.HOUR: timedelta(hours=2), CountSpan.DAY: timedelta(days=2)}
"""How old counts are that are summed up to those of hours and of days."""
_WRITTEN_AFTER: Final = 2.0
"""Seconds after the end of a minute; attempts that have just ended are still added to it."""
_DUTY: Final = "counters"
"""The name of the lease on summing up."""
_PAUSE: Final = 0.05
"""Seconds between two commits that sum up or delete."""

_log = logging.getLogger(__name__)
_Key = tuple[str, str, str]
_Counts = dict[_Key, CallbackCounts]
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class MinuteCounters:
    """The counts of a process that are not written yet, by account, destination and source."""

    def __init__(self) -> None:
        self._minutes = dict[datetime, _Counts]()
        # The minute of the last event, since most events belong to the same one.
        self._counts: _Counts = {}
        self._began = self._until = _NEVER
        self._free = MOST_COUNTS
        self.has_counts = asyncio.Event()
        """Set while there are counts to write."""
        self.is_full = asyncio.Event()
        """Set while there are too many counts."""

    def accepted(self, callback: CallbackRecord) -> None:
        """Count a new callback that is durable."""
        self._at(callback.date_created, callback).accepted += 1

    def settled(self, settlement: Settlement) -> None:
        """Count a durable settlement: the attempt, unless it was put back, and the callback's end.

        The end counts only if the callback has ended.
        """
        claim, progress, result, started, *_ = settlement
        callback, counts = claim.callback, None
        if result is not None:
            counts = self._at(started, callback)
            counts.attempt_ended(callback.progress.attempt_count, result)
        if progress.status is not CallbackStatus.SCHEDULED:
            ended = progress.date_updated
            # Most attempts end in the minute in which they have started.
            if counts is None or not self._began <= ended < self._until:
                counts = self._at(ended, callback)
            counts.ended(progress.status, (ended - callback.date_created).total_seconds())

    def discarded(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Count a callback whose end is durable, without an attempt."""
        seconds = (progress.date_updated - callback.date_created).total_seconds()
        self._at(progress.date_updated, callback).ended(progress.status, seconds)

    def replayed(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Count a callback that had ended, and whose new progress is durable."""
        self._at(progress.date_updated, callback).replayed += 1

    def take(self, *, before: datetime | None = None) -> list[CountedMinute]:
        """Return the counts of all minutes that began before this instant, and forget them.

        They are those of all minutes if it is None.
        """
        minutes = [one for one in sorted(self._minutes) if before is None or one < before]
        taken = [
            CountedMinute(minute, *key, counts)
            for minute in minutes
            for key, counts in self._minutes.pop(minute).items()
        ]
        self._counts, self._began, self._until = {}, _NEVER, _NEVER
        self._free += len(taken)
        if not self._minutes:
            self.has_counts.clear()
        if self._free > 0:
            self.is_full.clear()
        return taken

    @property
    def earliest(self) -> datetime | None:
        """The earliest minute that has counts; None if there are none."""
        return min(self._minutes, default=None)

    def _at(self, instant: datetime, callback: CallbackRecord) -> CallbackCounts:
        """Return the counts to which an event of a callback at this instant belongs."""
        if not self._began <= instant < self._until:
            self._use_minute_of(instant)
        key = (callback.account_sid, callback.destination, callback.source)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = CallbackCounts()
            self._free -= 1
            if self._free <= 0:
                self.is_full.set()
        return counts

    def _use_minute_of(self, instant: datetime) -> None:
        self._began = began = CountSpan.MINUTE.begin_of(instant)
        self._until = began + CountSpan.MINUTE.length
        self._counts = self._minutes.setdefault(began, {})
        self.has_counts.set()


class CounterWriter:
    """Writes the counts of a process once a minute, sums up old ones, and deletes the oldest."""

    def __init__(
        self, counters: MinuteCounters, *, store: Store, clock: Clock, cluster: Cluster
    ) -> None:
        self._counters = counters
        self._store = store
        self._clock = clock
        self._cluster = cluster
        self._unwritten = list[CountedMinute]()
        self._writing = asyncio.Lock()
        self._note: tuple[int, datetime] | None = None
        """The number of the stored note that counts from this minute on are not written."""
        self._dead_notes = list[int]()
        """The numbers of the notes of a killed process whose counts this one writes."""
        self._has_begun = False
        self._kept_at = _NEVER
        """The hour in which old counts were last summed up."""

    async def count_again(self) -> None:
        """Count again, from the rows, what a killed process of the same data file had not written.

        To be called before anything is counted, and before the attempts that it left open are
        settled. Calling it again after a failure is safe. Raises StoreUnavailable.
        """
        if self._has_begun or self._cluster.is_shared:
            return
        try:
            found = await self._store.transact(lambda tx: tx.counters.begin(limit=MOST_ROWS))
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (counters must not stop the server)
            _log.exception("what a killed process had counted can't be counted again")
            return
        self._has_begun = True
        self._unwritten[:0], self._dead_notes = found.counted, found.notes
        if found.lost_since is not None:
            _log.warning(
                "a killed process had not written its counts since %s; they stay incomplete, since"
                " too much has happened to count all of it again",
                found.lost_since.isoformat(timespec="seconds"),
            )

    async def run(self) -> None:
        """Write counts for ever; without callbacks, nothing is written, and nothing wakes up."""
        while True:
            if not self._unwritten and not self._dead_notes:
                await self._counters.has_counts.wait()
            with suppress(StoreUnavailable):
                await self._write(_NEVER)  # Only the note.
            now, minute = self._clock.now(), CountSpan.MINUTE
            ends_in = minute.begin_of(now) + minute.length - now
            with suppress(TimeoutError):
                async with asyncio.timeout(ends_in.total_seconds() + _WRITTEN_AFTER):
                    await self._counters.is_full.wait()
            with suppress(StoreUnavailable):
                if self._counters.is_full.is_set():
                    await self.write_all()
                else:
                    await self.write()
                await self._try_to_keep_few()

    async def write(self) -> None:
        """Write the counts of all minutes that are over.

        If that fails, they are written by the next call. Raises StoreUnavailable.
        """
        await self._write(CountSpan.MINUTE.begin_of(self._clock.now()))

    async def write_all(self) -> None:
        """Write all counts, also those of the minute that is not over; see `write`."""
        await self._write(None)

    async def stop(self) -> None:
        """Write all counts, or log that they are lost; `run` has to be cancelled before."""
        try:
            await self.write_all()
            if self._has_begun:
                await self._store.transact(lambda tx: tx.counters.end())
        except StoreUnavailable as failure:
            lost = self._counters.take() + self._unwritten
            _log.warning("%s; the counts of the last minutes are lost: %d", failure, len(lost))

    async def _write(self, before: datetime | None) -> None:
        # A commit goes on if its caller is cancelled. Without the shield, the next call would write
        # the same counts again.
        failure = await asyncio.shield(asyncio.create_task(self._write_parts(before)))
        if failure is not None:
            raise failure

    async def _write_parts(self, before: datetime | None) -> StoreUnavailable | None:
        """Write counts in several commits; return why the rest could not be written."""
        async with self._writing:
            self._unwritten += self._counters.take(before=before)
            while part := self._unwritten[:ROWS]:
                try:
                    await self._store.transact(
                        lambda tx, part=part: tx.counters.add(part), may_wait=True
                    )
                except StoreUnavailable as failure:
                    return failure
                except Exception:  # noqa: BLE001 (counters must not stop the server)
                    _log.exception("%d counts can't be stored, and are lost", len(part))
                    if (failure := await self._note_lost({one.began for one in part})) is not None:
                        return failure
                del self._unwritten[:ROWS]
            try:
                await self._note_unwritten()
            except StoreUnavailable as failure:
                return failure
            except Exception:  # noqa: BLE001 (counters must not stop the server)
                _log.exception("it can't be stored since when counts are not written")
        return None

    async def _note_lost(self, minutes: set[datetime]) -> StoreUnavailable | None:
        """Store for ever that counts of these minutes are missing."""
        try:
            await self._store.transact(lambda tx: tx.counters.note_lost(minutes), may_wait=True)
        except StoreUnavailable as failure:
            return failure
        except Exception:  # noqa: BLE001 (counters must not stop the server)
            _log.exception("it can't be stored which counts are lost")
        return None

    async def _note_unwritten(self) -> None:
        """Store from which minute on counts are not written, so that a kill leaves a trace."""
        first = self._unwritten[0].began if self._unwritten else self._counters.earliest
        number, noted = self._note or (None, None)
        dead = self._dead_notes
        if first == noted and not dead:
            return

        def work(tx: Transaction) -> int | None:
            for one in dead:
                tx.counters.unmark(one)
            if first == noted:
                return number
            if first is not None:
                return tx.counters.mark(first, instead_of=number)
            if number is not None:
                tx.counters.unmark(number)
            return None

        stored = await self._store.transact(work, may_wait=True)
        self._note = None if stored is None or first is None else (stored, first)
        self._dead_notes = []

    async def _try_to_keep_few(self) -> None:
        try:
            await self._keep_few()
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (counters must not stop the server)
            _log.exception("old counts can't be summed up or deleted; the next try is in a minute")

    async def _keep_few(self) -> None:
        """Once an hour, sum up counts that are old enough, and delete those that were kept longest.

        One process does it for all. Each part is a transaction, so another one would do no harm.
        """
        now = self._clock.now()
        hour = CountSpan.HOUR.begin_of(now)
        if hour == self._kept_at or not await self._cluster.hold(_DUTY):
            return
        for span, age in _ROLLED_UP_AFTER.items():
            await self._in_parts(partial(_roll_up, span, span.begin_of(now - age)))
        for span in CountSpan:
            await self._in_parts(partial(_remove, span, now - span.kept_for))
        self._kept_at = hour

    async def _in_parts(self, do: Callable[[Transaction, int], int | None]) -> None:
        """Call `do` with what it returned, each time in a transaction, until it returns None."""
        at: int | None = 0
        while at is not None:
            at = await self._store.transact(lambda tx, at=at: do(tx, at), may_wait=True)
            if at is not None:
                await asyncio.sleep(_PAUSE)


def _roll_up(span: CountSpan, before: datetime, tx: Transaction, at: int) -> int | None:
    return tx.counters.roll_up(span, before, at=at, limit=ROWS)


def _remove(span: CountSpan, before: datetime, tx: Transaction, _at: int) -> int | None:
    return tx.counters.remove(span, before, limit=ROWS)
