"""Counts callbacks and attempts again from their rows, for the minutes since an instant.

Only rows that something has happened to since then are read: new callbacks are those with the
highest ids, indexes find those that have ended, and the others still wait.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from ringback.core.callback_counts import CallbackCounts, CountSpan
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.outcome import DeliveredOutcome
from ringback.stores.sql.callback_rows import NUMBERS, STATUSES
from ringback.stores.sql.callbacks import LATE
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.write_batch import WriteBatch

MinutePlace = tuple[datetime, str, str, str]
"""The beginning of a minute, and an account, a destination and a source."""

_PAGE: Final = 500
"""The number of callbacks that one query reads."""
_DELIVERED: Final = NUMBERS[CallbackStatus.DELIVERED]
NEWEST: Final = "SELECT id, created_us FROM callbacks WHERE id < ? ORDER BY id DESC LIMIT ?"
_STATUSES: Final = ", ".join(map(str, NUMBERS.values()))
ENDED: Final = f"""
    SELECT outcomes.id FROM accounts CROSS JOIN outcomes INDEXED BY outcomes_ended
    ON outcomes.account_id = accounts.id AND outcomes.status IN ({_STATUSES})
    WHERE updated_us >= ? LIMIT ?
"""
UNENDED: Final = "SELECT id FROM waiting WHERE updated_us >= ? LIMIT ?"
"""It reads all callbacks that wait: a tenth of a second for a million."""
_CALLBACKS: Final = """
    SELECT callbacks.id, created_us, lanes.account_sid, destination, source,
        waiting.id IS NOT NULL, outcomes.status, outcomes.updated_us
    FROM callbacks
    CROSS JOIN lanes ON lanes.id = callbacks.lane_id
    CROSS JOIN callback_targets ON callback_targets.id = target_id
    LEFT JOIN waiting ON waiting.account_id = callbacks.account_id AND waiting.id = callbacks.id
    LEFT JOIN outcomes ON outcomes.id = callbacks.id
    WHERE callbacks.id IN ({places})
"""
_ATTEMPTS: Final = """
    SELECT callback_id, number, started_us, result, failure, total_ms, delivered_us
    FROM attempts CROSS JOIN attempt_results ON attempt_results.id = result_id
    WHERE callback_id IN ({places}) LIMIT {limit}
"""


class CountedRows:
    """The counts of the minutes since an instant, as the rows show them.

    `replayed` is always 0, and an end is missing if the callback was replayed or discarded later.
    """

    def __init__(self, session: WriteBatch, since: datetime, *, limit: int) -> None:
        """Prepare to read at most about `limit` rows."""
        self._session = session
        self._since = CountSpan.MINUTE.begin_of(since)
        self._left = limit
        self._counts = dict[MinutePlace, CallbackCounts]()

    def count(self) -> dict[MinutePlace, CallbackCounts] | None:
        """Return the counts by place; None if there are more rows than may be read."""
        since_us, ids = to_us(self._since), set[int]()
        for found in (self._new(), self._found(ENDED, since_us), self._found(UNENDED, since_us)):
            ids.update(found)
            if len(ids) > self._left:
                return None
        self._left -= len(ids)
        ordered = sorted(ids)
        for first in range(0, len(ordered), _PAGE):
            self._count(ordered[first : first + _PAGE])
            if self._left < 0:
                return None
        return self._counts

    def _new(self) -> Iterator[int]:
        """Yield the ids of callbacks that can have been delivered at once since then."""
        since_us, below, count = to_us(self._since - LATE), 2**63 - 1, 0
        while count <= self._left:
            rows = self._session.read_queued(NEWEST, (below, _PAGE)).fetchall()
            new = [row_id for row_id, created_us in rows if created_us >= since_us]
            yield from new
            count += len(new)
            # Callbacks of big batches are added later than they are created, so that a page can
            # have some of both.
            if not new:
                return
            below = rows[-1][0]

    def _found(self, statement: str, since_us: int) -> Iterator[int]:
        rows = self._session.read_queued(statement, (since_us, self._left + 1))
        return (row_id for (row_id,) in rows.fetchall())

    def _count(self, ids: Sequence[int]) -> None:
        places = ", ".join("?" * len(ids))
        rows = self._session.read_queued(_CALLBACKS.format(places=places), ids).fetchall()
        callbacks = {
            row_id: (created_us, (account_sid, destination, source))
            for row_id, created_us, account_sid, destination, source, *_ in rows
        }
        delivered_at_once = set[int]()
        for row_id, created_us, *_, waits, status, updated_us in rows:
            if (counts := self._at(created_us, callbacks[row_id][1])) is not None:
                counts.accepted += 1
            if status is not None:
                self._ended(callbacks[row_id], status, updated_us)
            elif not waits:
                delivered_at_once.add(row_id)
        query = _ATTEMPTS.format(places=places, limit=self._left + 1)
        attempts = self._session.read_queued(query, ids).fetchall()
        self._left -= len(attempts)
        for row_id, number, started_us, result, failure, total_ms, delivered_us in attempts:
            counts = self._at(started_us, callbacks[row_id][1])
            if counts is not None:
                why = None if result == DeliveredOutcome.label else failure or result
                counts.count_attempt(number, why, total_ms)
            if delivered_us is not None and row_id in delivered_at_once:
                self._ended(callbacks[row_id], _DELIVERED, delivered_us)

    def _ended(
        self, callback: tuple[int, tuple[str, str, str]], status: int, ended_us: int
    ) -> None:
        created_us, key = callback
        if (counts := self._at(ended_us, key)) is not None:
            counts.ended(STATUSES[status], (ended_us - created_us) / 1_000_000)

    def _at(self, instant_us: int, key: tuple[str, str, str]) -> CallbackCounts | None:
        """Return the counts to which an instant belongs; None if it is too early."""
        began = CountSpan.MINUTE.begin_of(from_us(instant_us))
        if began < self._since:
            return None
        return self._counts.setdefault((began, *key), CallbackCounts())
