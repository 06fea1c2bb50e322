"""Queues big batches of new callbacks until they are moved to the callbacks table."""

from collections.abc import Sequence
from itertools import count
from typing import Final

from ringback.stores.sql.write_batch import BulkStatement, WriteBatch

_NEW: Final = BulkStatement.insert("batched_callbacks", "number, callback")
_ADDED: Final = BulkStatement.delete("batched_callbacks", "number")

TABLES: Final = (_NEW, _ADDED)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""


class SqlIncomingBatches:
    """Implements `ports.IncomingCallbackBatches`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session
        self._numbers: count[int] | None = None
        """Counts up the numbers of new rows; the number of a rolled-back row is not used again."""

    def add(self, callbacks: Sequence[str]) -> range:
        if self._numbers is None:
            (last,) = self._session.read(
                "SELECT coalesce(max(number), 0) FROM batched_callbacks"
            ).fetchone()
            self._numbers = count(last + 1)
        rows = [(next(self._numbers), callback) for callback in callbacks]
        for row in rows:
            self._session.queue(_NEW, row)
        return range(rows[0][0], rows[-1][0] + 1)

    def all(self) -> dict[int, str]:
        rows = self._session.read_queued(
            "SELECT number, callback FROM batched_callbacks ORDER BY number"
        )
        return dict(tuple(row) for row in rows.fetchall())

    def is_empty(self) -> bool:
        rows = self._session.read_queued("SELECT number FROM batched_callbacks LIMIT 1")
        return rows.fetchone() is None

    def remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._session.queue(_ADDED, (number,))
