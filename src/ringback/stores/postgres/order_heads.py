"""Which of the callbacks with the same order key may be sent, if several processes share them.

Whoever changes something about the callbacks of a key first locks the row of their head, and only
then looks at the others, with another statement: in READ COMMITTED, this one sees what was
committed while the first one waited for the lock. A serializable transaction that would not see it
fails, and runs again, because whoever joins changes the row of the head.

Nobody waits for a head for long while it has locked others, except in the order of their keys: else
two transactions could wait for each other, and PostgreSQL would notice that only after a second. A
commit that has waited in vain is run again, and then locks the same heads first, in this order.

A server of the version before knows no order. If such a one ends a head, nobody follows; the search
for due callbacks finds that.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from ringback.ports import Lane, LaneDue, lane_of
from ringback.stores.postgres.connections import Bigints
from ringback.stores.postgres.leases import WorkerIdentity
from ringback.stores.postgres.write_batch import PostgresWriteBatch
from ringback.stores.sql.field_columns import from_us
from ringback.stores.sql.order_heads import HeadPlace, OrderedRow, OrderHeads

# Each of these gets an array of lanes, one of order keys and one of the ids of ended callbacks, in
# the order in which all transactions lock the heads. As in `callbacks`, nothing but a look-up is
# left to the planner.
_ENDED: Final = (
    "SELECT * FROM unnest(?::bigint[], ?::text[], ?::bigint[]) AS given (lane_id, order_key, id)"
)
_IS_OF: Final = "heads.lane_id = ended.lane_id AND heads.order_key = ended.order_key"
END_ALONE: Final = f"""
    WITH alone AS (
        SELECT at FROM ({_ENDED}) AS ended, LATERAL (
            SELECT ctid AS at FROM order_heads AS heads
            WHERE {_IS_OF} AND callback_id = ended.id AND last_place = 1 FOR UPDATE
        ) AS found
    )
    DELETE FROM order_heads WHERE ctid = ANY (ARRAY(SELECT at FROM alone)) RETURNING callback_id
"""
LOCK_HEADS: Final = f"""
    SELECT callback_id FROM ({_ENDED}) AS ended, LATERAL (
        SELECT callback_id FROM order_heads AS heads WHERE {_IS_OF} FOR UPDATE
    ) AS found
    WHERE callback_id = ended.id
"""
LOCK_IN_ORDER: Final = """
    SELECT wanted.* FROM unnest(?::bigint[], ?::text[]) AS wanted (lane_id, order_key), LATERAL (
        SELECT FROM order_heads AS heads
        WHERE heads.lane_id = wanted.lane_id AND heads.order_key = wanted.order_key FOR UPDATE
    ) AS found
"""
_IMPATIENT: Final = "SET LOCAL lock_timeout = '20ms'"
FOLLOW: Final = f"""
    WITH following AS (
        SELECT ended.id, head, next.* FROM ({_ENDED}) AS ended, LATERAL (
            SELECT ctid AS head FROM order_heads AS heads WHERE {_IS_OF} OFFSET 0
        ) AS found LEFT JOIN LATERAL (
            SELECT ctid AS at, waiting.id AS next_id, own_due_us FROM waiting
            WHERE waiting.lane_id = ended.lane_id AND waiting.order_key = ended.order_key
            ORDER BY order_place LIMIT 1 FOR UPDATE
        ) AS next ON true
    ), may_go AS (
        UPDATE waiting SET due_us = waiting.own_due_us, order_key = NULL, order_place = NULL,
            own_due_us = NULL
        FROM following WHERE waiting.ctid = at
    ), followed AS (
        UPDATE order_heads SET callback_id = next_id FROM following
        WHERE order_heads.ctid = head AND next_id IS NOT NULL
    ), gone AS (
        DELETE FROM order_heads
        WHERE ctid = ANY (ARRAY(SELECT head FROM following WHERE next_id IS NULL))
    )
    SELECT id, own_due_us FROM following WHERE next_id IS NOT NULL
"""
# Only those who own a shard look for its heads: they have to learn that others can be claimed.
LOOK_AT_HEADS: Final = """
    SELECT lane_id, order_key, callback_id, worker = ?
        AND NOT EXISTS (SELECT FROM waiting WHERE waiting.id = callback_id)
        AND NOT EXISTS (SELECT FROM open_attempts WHERE open_attempts.id = callback_id) AS has_ended
    FROM (
        SELECT * FROM order_heads WHERE (lane_id, order_key) > (?, ?)
        ORDER BY lane_id, order_key LIMIT ?
    ) AS heads, LATERAL (
        SELECT shard FROM lanes WHERE lanes.id = lane_id OFFSET 0
    ) AS place, LATERAL (
        SELECT worker FROM shard_leases WHERE shard_leases.shard = place.shard OFFSET 0
    ) AS own
    ORDER BY lane_id, order_key
"""
_START: Final = (0, "")
_Ended = tuple[int, str, int]
"""A head that has ended: its lane, its order key, and the id of its rows."""


class PostgresOrderHeads(OrderHeads):
    """Implements `OrderHeads` in PostgreSQL."""

    lock: ClassVar = " FOR UPDATE"

    def __init__(
        self, session: PostgresWriteBatch, lane_id: Callable[[Lane], int], own: WorkerIdentity
    ) -> None:
        super().__init__(session, lane_id)
        self._postgres = session
        self._own = own
        self._looked_up_to = _START
        """The last head that `restore` has looked at."""
        self._locked = set[HeadPlace]()
        """The heads that the commit has locked, or tries to."""
        self._wanted = list[HeadPlace]()
        """Those that a commit locks first, because it could not have all of them before."""

    def begin_commit(self) -> None:
        self._locked.clear()
        if self._wanted:
            lanes, keys = zip(*self._wanted, strict=True)
            self._wanted = []
            found = self._session.read(LOCK_IN_ORDER, [Bigints(lanes), [*keys]]).fetchall()
            # Those that are not there yet can't be locked.
            self._locked.update((lane_id, key) for lane_id, key in found)

    def forget(self) -> None:
        self._wanted = sorted(self._locked)

    def _before_locks(self, places: Sequence[HeadPlace]) -> None:
        if self._locked and not self._locked.issuperset(places):
            self._postgres.send_with_next(_IMPATIENT)
        self._locked.update(places)

    def end(self, ended: Sequence[OrderedRow]) -> list[LaneDue]:
        if not ended:
            return []
        lanes = {one.row_id: lane_of(one.callback) for one in ended}
        left = sorted((*self._place_of(one), one.row_id) for one in ended)
        self._before_locks([one[:2] for one in left])
        gone = {row_id for (row_id,) in self._session.write(END_ALONE, _arrays(left)).fetchall()}
        left = [one for one in left if one[2] not in gone]
        if not left:
            return []
        if gone:
            self._postgres.send_with_next(_IMPATIENT)
        heads = {row_id for (row_id,) in self._session.write(LOCK_HEADS, _arrays(left)).fetchall()}
        return [
            LaneDue(lanes[row_id], from_us(due))
            for row_id, due in self._follow([one for one in left if one[2] in heads])
        ]

    def restore(self, *, limit: int) -> int:
        rows = self._session.read_queued(
            LOOK_AT_HEADS, (self._own.worker, *self._looked_up_to, limit)
        ).fetchall()
        is_last = len(rows) < limit
        self._looked_up_to = _START if is_last else (rows[-1]["lane_id"], rows[-1]["order_key"])
        ended: list[_Ended] = [row[:3] for row in rows if row["has_ended"]]
        # The transaction is serializable, so nobody has changed one of these heads meanwhile.
        self._follow(ended)
        return len(ended)

    def _follow(self, heads: Sequence[_Ended]) -> list[Any]:
        """Let others follow these heads; return the ids of the heads, and when those are due."""
        if not heads:
            return []
        return self._postgres.write_queued(FOLLOW, _arrays(heads)).fetchall()


def _arrays(ended: Sequence[_Ended]) -> list[Any]:
    lanes, keys, ids = zip(*ended, strict=True)
    return [Bigints(lanes), [*keys], Bigints(ids)]
