"""Which of the callbacks with the same order key may be sent, and which one follows it.

Of all callbacks in a lane with the same key that have not ended, one is the *head*: only it may be
sent. Each of the others has a place behind it, and a due time that never comes. When the head ends,
the one with the lowest place becomes the head.

A head has a row in `order_heads`. To change anything about the callbacks of a key, a transaction
first locks this row, if the database can lock rows. So the places are given in the order of the
commits, and nobody joins while somebody finds out who follows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from ringback.core.callbacks.callback import CallbackRecord
from ringback.ports import Lane, LaneDue, lane_of
from ringback.stores.sql.callback_rows import BLOCKED
from ringback.stores.sql.write_batch import WriteBatch

# A head whose `last_place` is 1 is alone: nobody has ever joined it.
JOIN: Final = (
    "INSERT INTO order_heads (lane_id, order_key, callback_id, last_place) VALUES (?, ?, ?, 1)"
    " ON CONFLICT (lane_id, order_key) DO UPDATE SET last_place = order_heads.last_place + 1"
    " RETURNING callback_id, last_place"
)
HEAD: Final = "SELECT callback_id FROM order_heads WHERE lane_id = ? AND order_key = ?"
OWN_PLACE: Final = "SELECT order_place FROM waiting WHERE lane_id = ? AND due_us = ? AND id = ?"
_BEFORE_ALL: Final = 1 - 2**63
"""The place of a replayed callback is its row id and this: negative, and lower if it is older."""


HeadPlace = tuple[int, str]
"""The key of a head's row: a lane and an order key."""


class OrderedRow(NamedTuple):
    """A callback with an order key, and the id of its rows."""

    callback: CallbackRecord
    row_id: int


class OrderHeads(ABC):
    """The table of heads; each database decides how a head is locked, and how others follow it."""

    lock: ClassVar[str] = ""
    """What ends a query that locks the rows that it finds."""

    def __init__(self, session: WriteBatch, lane_id: Callable[[Lane], int]) -> None:
        """Create the table; `lane_id` returns the id of a lane's row."""
        self._session = session
        self._lane_id = lane_id

    def join(self, one: OrderedRow) -> int | None:
        """Let a callback join those with its key.

        Returns its place behind the head, or None if it is the head itself.
        """
        place = self._place_of(one)
        self._before_locks([place])
        head, last = self._session.write(JOIN, (*place, one.row_id)).fetchone()
        return None if head == one.row_id else last

    def join_again(self, one: OrderedRow) -> int | None:
        """Do the same for a callback that is not new: one that is replayed, or that still waits.

        The replayed one comes before all that were never sent, and the waiting one keeps its place.
        """
        if self.join(one) is None:
            return None
        lane_id, _ = self._place_of(one)
        values = lane_id, BLOCKED, one.row_id
        found = self._session.read_queued(OWN_PLACE, values).fetchone()
        return _BEFORE_ALL + one.row_id if found is None else found[0]

    def is_head(self, one: OrderedRow) -> bool:
        """Return True if it is the head; this stays so until the transaction changes it."""
        place = self._place_of(one)
        self._before_locks([place])
        found = self._session.read(f"{HEAD}{self.lock}", place).fetchone()
        return found is not None and found[0] == one.row_id

    @abstractmethod
    def begin_commit(self) -> None:
        """Note that a commit begins, which has no locks yet."""

    @abstractmethod
    def forget(self) -> None:
        """Note that the commit has lost its locks, or some of them."""

    @abstractmethod
    def end(self, ended: Sequence[OrderedRow]) -> list[LaneDue]:
        """Let others follow these callbacks, which have ended, as far as they are heads.

        Returns the lanes of those that followed, and when they are due.
        """

    @abstractmethod
    def restore(self, *, limit: int) -> int:
        """Do what `ports.Callbacks.restore_order` says."""

    @abstractmethod
    def _before_locks(self, places: Sequence[HeadPlace]) -> None:
        """Prepare to lock these heads, in this order."""

    def _place_of(self, one: OrderedRow) -> HeadPlace:
        """Return the key of the head's row."""
        callback = one.callback
        if callback.order_key is None:
            raise ValueError(f"callback {callback.sid} has no order key, so it has no place")
        return self._lane_id(lane_of(callback)), callback.order_key
