"""Stores rows that many others refer to, such as the constant parts of requests, only once.

Only the process remembers which row has which values, so no index of them is needed: after a start,
or when too many rows are remembered, a row with the same values is stored again. A row is used
again for a day at most. So a row that is a day older than all rows that may refer to it can be
deleted, without a search for references.
"""

from collections.abc import Hashable
from typing import Final

from ringback.core.newest_entries import NewestEntries
from ringback.stores.row_ids import RowIds, ids_in
from ringback.stores.sql.write_batch import BulkStatement, Row, WriteBatch

_MOST_OF_AN_ACCOUNT: Final = 500
_MOST: Final = 10_000
_USED_FOR: Final = ids_in(hours=24)


class InternedRows:
    """Remembers the newest rows of a table by their values: a limited number for each account."""

    def __init__(self, session: WriteBatch, insert: BulkStatement) -> None:
        """Use `insert`, whose columns are a row's id, its account's SID, and its values."""
        self._session = session
        self._insert = insert
        self._ids = dict[str, NewestEntries[Hashable, int]]()
        self._count = 0

    def forget(self) -> None:
        """Forget all rows, because some of them may not have been stored."""
        self._ids.clear()
        self._count = 0

    def id_of(self, account_sid: str, row: Row, ids: RowIds) -> int:
        """Return the id of the account's row with these values, which is stored if it is new."""
        row_id = self.find(account_sid, row, ids)
        if row_id is None:
            row_id = ids.make()
            self._session.queue(self._insert, (row_id, account_sid, *row))
            self.remember(account_sid, row, row_id)
        return row_id

    def find(self, account_sid: str, key: Hashable, ids: RowIds) -> int | None:
        """Return the id of the account's row with this key; None if it has to be stored."""
        known = self._ids.get(account_sid)
        found = None if known is None else known.get(key)
        return None if found is None or found + _USED_FOR < ids.last else found

    def remember(self, account_sid: str, key: Hashable, row_id: int) -> None:
        """Remember the id of a row that was stored, under a key for its values."""
        if self._count >= _MOST:
            self.forget()
        known = self._ids.get(account_sid)
        if known is None:
            known = self._ids[account_sid] = NewestEntries(_MOST_OF_AN_ACCOUNT)
        known[key] = row_id
        self._count += 1
