"""A store that keeps received callbacks in the memory of one process."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from threading import Lock
from typing import TypeVar

from ringback.core.policy.source_policy import SourceName
from ringback.receiver import system_clock
from ringback.receiver.dedupe.claims import ClaimTableDedupe, DedupeClaimRow, Work, finish, other

T = TypeVar("T")
_Key = tuple[SourceName, str]


class MemoryDedupe(ClaimTableDedupe):
    """A `DedupeStore` in memory, shared by the threads of one process.

    Use it in tests, or if doing a callback's work twice costs little: other processes don't see it,
    and a restart empties it.
    """

    def __init__(self, *, clock: Callable[[], datetime] = system_clock.now) -> None:
        self._clock = clock
        self._lock = Lock()
        self._table = _MemoryTable()

    def _at_once(self, work: Work[T]) -> T:
        with self._lock:
            return finish(work(self._table, self._clock()))

    def __len__(self) -> int:
        """Return the number of stored events, including expired ones not deleted yet."""
        with self._lock:
            return len(self._table)


class _MemoryTable:
    """A `DedupeClaimTable` in memory."""

    def __init__(self) -> None:
        self._rows = OrderedDict[_Key, DedupeClaimRow]()
        self._firsts = dict[_Key, _Key]()
        """For events sent by both sources: maps the second token to the first."""
        self._unpaired = dict[_Key, dict[str, DedupeClaimRow]]()
        """Rows without the other source's token, by source and content, then by token."""

    def __len__(self) -> int:
        return len(self._rows)

    async def find(self, source: SourceName, token: str) -> DedupeClaimRow | None:
        key = (source, token)
        return self._rows.get(self._firsts.get(key, key))

    async def find_unpaired(
        self, source: SourceName, content: str, *, since: datetime, now: datetime
    ) -> DedupeClaimRow | None:
        rows = [
            row
            for row in self._unpaired.get((source, content), {}).values()
            if since <= row.first_claimed and now < row.forget_at
        ]
        return min(rows, key=lambda row: (row.first_claimed, row.token), default=None)

    async def put(self, row: DedupeClaimRow) -> None:
        key = (row.source, row.token)
        if key in self._rows:
            self._leave_unpaired(self._rows[key])
        self._rows[key] = row
        if row.other_token is not None:
            self._firsts[other(row.source), row.other_token] = key
        elif row.content is not None:
            self._unpaired.setdefault((row.source, row.content), {})[row.token] = row

    async def drop(self, row: DedupeClaimRow) -> None:
        del self._rows[row.source, row.token]
        if row.other_token is not None:
            del self._firsts[other(row.source), row.other_token]
        self._leave_unpaired(row)

    async def drop_forgotten(self, now: datetime, *, limit: int) -> None:
        """Delete expired rows among the next `limit` rows; calls go through all rows in turn."""
        for key, row in list(islice(self._rows.items(), limit)):
            if now < row.forget_at:
                self._rows.move_to_end(key)
            else:
                await self.drop(row)

    def _leave_unpaired(self, row: DedupeClaimRow) -> None:
        if row.other_token is None and row.content is not None:
            rows = self._unpaired[row.source, row.content]
            del rows[row.token]
            if not rows:
                del self._unpaired[row.source, row.content]
