"""Stores callbacks and their attempts in SQLite.

Most callbacks are sent at once and delivered by their first attempt: they have only their own row
and that of the attempt, and one in `sent_at_once` meanwhile. Any other callback has a row in
`waiting`, and one in `outcomes` instead when it has ended. A claim starts an attempt, and only
notes in `waiting` when. The attempt gets its row when it has ended.

One process owns the file. So when it starts, all attempts under way are left over from a process
that has died.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, cast

from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, put_back
from ringback.core.callbacks.shards import shard_of
from ringback.ports import (
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    SettledAttempts,
    Settlement,
    lane_of,
)
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.accounts import SqlAccounts
from ringback.stores.sql.callback_rows import (
    BLOCKED,
    BLOCKED_COLUMNS,
    WAITING,
    WAITING_COLUMNS,
    UnendedCallbacks,
    read_callback,
    write_outcome,
    write_waiting,
)
from ringback.stores.sql.callbacks import (
    ATTEMPT,
    ENDED_NO_MORE,
    HAS_ENDED,
    NEW_ROWS,
    SqlCallbacks,
    is_delivered_at_once,
    part_of,
)
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.order_heads import HeadPlace, OrderedRow, OrderHeads
from ringback.stores.sql.response_overflow import SqlResponseOverflows
from ringback.stores.sql.write_batch import BulkStatement, Row
from ringback.stores.sqlite.write_batch import SqliteWriteBatch

_WAITS_NO_MORE: Final = BulkStatement.delete("waiting", "account_id, id")
_ENDED_AT_ONCE: Final = BulkStatement.delete("sent_at_once", "id")
_SENT_AT_ONCE: Final = BulkStatement.insert("sent_at_once", "id, account_id, started_us")
_WAITS: Final = BulkStatement.insert("waiting", WAITING_COLUMNS)
_WAITS_BEHIND: Final = BulkStatement.insert("waiting", f"{WAITING_COLUMNS}, {BLOCKED_COLUMNS}")

TABLES: Final = (
    *NEW_ROWS,
    *(_WAITS_NO_MORE, ENDED_NO_MORE, _ENDED_AT_ONCE),
    *(_WAITS, _WAITS_BEHIND, _SENT_AT_ONCE, HAS_ENDED, ATTEMPT),
)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_UNENDED: Final = UnendedCallbacks(
    joined=(
        "LEFT JOIN waiting"
        " ON waiting.account_id = callbacks.account_id AND waiting.id = callbacks.id"
        " LEFT JOIN sent_at_once ON sent_at_once.id = callbacks.id"
    ),
    beside="sent_at_once",
    is_unended="coalesce(waiting.id, sent_at_once.id) IS NOT NULL",
    begun_at_once="sent_at_once.started_us",
    first_attempts="true",
    in_lane="waiting.lane_id = lanes.id",
    waits_in_lane="waiting.lane_id = lanes.id AND waiting.started_us IS NULL",
)
_WAITING: Final = f"{WAITING} FROM waiting CROSS JOIN callbacks USING (id)"
"""The columns of callbacks in `waiting`, up to a query's WHERE clause.

CROSS JOIN makes SQLite begin with the few rows that wait.
"""


class SqliteOrderHeads(OrderHeads):
    """Implements `OrderHeads` in SQLite, where one transaction follows the other."""

    def __init__(
        self,
        session: SqliteWriteBatch,
        lane_id: Callable[[Lane], int],
        *,
        followed: Callable[[int], None],
    ) -> None:
        """Create the table; `followed` gets the time of the last change of each that follows."""
        super().__init__(session, lane_id)
        self._followed = followed

    def begin_commit(self) -> None:
        """Do nothing: no other transaction runs at the same time."""

    def forget(self) -> None:
        """Do nothing, likewise."""

    def _before_locks(self, places: Sequence[HeadPlace]) -> None:
        """Do nothing, likewise."""

    def end(self, ended: Sequence[OrderedRow]) -> list[LaneDue]:
        return [turn for one in ended for turn in self._end(one)]

    def restore(self, *, limit: int) -> int:  # noqa: ARG002 (the method of all databases)
        return 0  # no other process can have ended a callback

    def _end(self, one: OrderedRow) -> list[LaneDue]:
        place = self._place_of(one)
        alone = self._session.write(
            "DELETE FROM order_heads WHERE lane_id = ? AND order_key = ? AND callback_id = ?"
            " AND last_place = 1",
            (*place, one.row_id),
        )
        if alone.rowcount or not self.is_head(one):
            return []
        row = self._session.read_queued(
            "SELECT id, own_due_us, updated_us FROM waiting"
            " WHERE lane_id = ? AND order_key = ? ORDER BY order_place LIMIT 1",
            place,
        ).fetchone()
        if row is None:
            self._session.write(
                "DELETE FROM order_heads WHERE lane_id = ? AND order_key = ?", place
            )
            return []
        next_id, due, updated = row
        self._session.write(
            "UPDATE order_heads SET callback_id = ? WHERE lane_id = ? AND order_key = ?",
            (next_id, *place),
        )
        self._session.write(
            "UPDATE waiting SET due_us = own_due_us, order_key = NULL, order_place = NULL,"
            " own_due_us = NULL WHERE lane_id = ? AND due_us = ? AND id = ?",
            (place[0], BLOCKED, next_id),
        )
        self._followed(updated)
        return [LaneDue(lane_of(one.callback), from_us(due))]


class SqliteCallbacks(SqlCallbacks):
    """Implements `ports.Callbacks` in SQLite."""

    unended = _UNENDED

    def __init__(
        self, session: SqliteWriteBatch, accounts: SqlAccounts, responses: SqlResponseOverflows
    ) -> None:
        super().__init__(session, accounts, responses)
        self._order = SqliteOrderHeads(session, self.lane_id, followed=self._note_change)
        self._batch = session
        self._new_ids: RowIds | None = None
        self._durable_ids: RowIds | None = None
        """The maker of ids whose number an earlier commit has leased."""
        self._changed_us: int | None = None
        """No row in `waiting` was changed later than this; None if nobody has asked yet.

        Only the process that owns the file changes these rows.
        """

    def begin_commit(self) -> None:
        super().begin_commit()
        self._durable_ids = self._new_ids

    def forget(self) -> None:
        self._new_ids = self._durable_ids
        super().forget()

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        return [self._claim(quota, now) for quota in quotas]

    def _claim(self, quota: LaneQuota, now: datetime) -> LaneClaims:
        lane, limit, _ = quota
        until, lane_id = to_us(now), self._known_lane(lane)
        cursor = self._batch.read_queued(
            f"SELECT {_WAITING} WHERE waiting.lane_id = ? AND due_us <= ?"
            " AND started_us IS NULL ORDER BY due_us, waiting.id LIMIT ?",
            (lane_id, until, limit),
        )
        cursor.row_factory = None  # plain tuples are read faster
        rows = cursor.fetchall()
        if not rows:
            return LaneClaims([], self._next_due(lane_id))
        self._keyed.clear()  # they are in the file now, and change there
        row_id, due = rows[-1][0], rows[-1][11]
        self._session.write(
            "UPDATE waiting SET started_us = ? WHERE lane_id = ?"
            " AND (due_us, id) <= (?, ?) AND started_us IS NULL",
            (until, lane_id, due, row_id),
        )
        account, target_of, part = self._account(lane.account_sid), self._target, part_of(lane)
        events = self.stream_events.numbered
        claims = [
            DeliveryClaim(
                read_callback(row, target_of(row[2]), part, events, now),
                account,
                lane,
                row_id=row[0],
                due=from_us(row[11]),
            )
            for row in rows
        ]
        next_due = from_us(due) if len(claims) == limit else self._next_due(lane_id)
        return LaneClaims(claims, next_due)

    def settle(self, settlements: Sequence[Settlement]) -> SettledAttempts:
        ids, in_order = self._ids(), list[OrderedRow]()
        ids.make()  # it shows how old the rows are that are used again
        for settlement in settlements:
            claim, progress, result, *_ = settlement
            is_at_once = result is not None and is_delivered_at_once(
                progress, claim.callback.date_created
            )
            self._settle(
                claim.callback, claim.row_id, None if is_at_once else progress, is_new=claim.is_new
            )
            if result is not None:
                delivered = to_us(progress.date_updated) if is_at_once else None
                row = self._attempt_row(settlement, result, ids, delivered)
                self._session.queue(ATTEMPT, row)
            if claim.callback.order_key is not None and progress.is_ended:
                in_order.append(OrderedRow(claim.callback, claim.row_id))
        self._responses.keep_within_budget()
        # No other process can have taken over a callback.
        return SettledAttempts([], self._order.end(in_order))

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        for claim in claims:
            progress = put_back(claim.progress, now)
            self._settle(claim.callback, claim.row_id, progress, is_new=claim.is_new)

    def left_open(self) -> list[DeliveryClaim]:
        return [
            *self._open(f"{_WAITING} WHERE started_us IS NOT NULL"),
            *self._open(
                f"{_UNENDED.columns} FROM sent_at_once AS open CROSS JOIN callbacks USING (id)"
                f" {_UNENDED.states}",
                is_new=True,
            ),
        ]

    def waiting(
        self,
        *,
        after: Lane | None = None,
        limit: int | None = None,
        shards: Collection[int] | None = None,
        since: datetime | None = None,  # noqa: ARG002 (it would not make this quicker)
    ) -> list[LaneDue]:
        found = list[LaneDue]()
        lane_id = 0 if after is None else self._known_lane(after)
        while len(found) != limit and (row := self._next_lane(lane_id)):
            lane_id, due, *lane = row
            if due is not None and (shards is None or shard_of(row["destination"]) in shards):
                found.append(LaneDue(Lane(*lane), from_us(due)))
        return found

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        after = to_us(instant)
        # Reading all rows takes a tenth of a second for a million, and is needed only after a start
        # and after a change by a clock ahead.
        changed = self._changed_us
        if changed is None:
            (changed,) = self._session.read_queued(
                "SELECT coalesce(max(updated_us), 0) FROM waiting"
            ).fetchone()
            self._changed_us = changed
        if changed <= after:
            return []
        rows = self._session.read_queued(
            f"SELECT {_WAITING} WHERE waiting.lane_id IN (SELECT id FROM lanes) AND due_us > ?"
            f" AND due_us < {BLOCKED} AND waiting.updated_us > ? AND started_us IS NULL"
            " AND NOT is_appointed LIMIT ?",
            (after, after, limit),
        ).fetchall()
        if not rows:
            self._changed_us = after
        return [self._read(row) for row in rows]

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        sums = ", ".join("total(due_us < ?)" for _ in instants)
        row = self._session.read_queued(
            f"SELECT {sums} FROM waiting WHERE started_us IS NULL",
            [to_us(instant) for instant in instants],
        ).fetchone()
        return [int(number) for number in row]

    def oldest_due(self, shards: Collection[int], now: datetime) -> datetime | None:
        firsts = self.waiting(shards=shards)
        return min((due for _, due in firsts if due <= now), default=None)

    def _ids(self) -> RowIds:
        return self._new_ids or self._lease_ids()

    def _lease_ids(self) -> RowIds:
        """Take a number that no other process uses, and make ids above all existing ones."""
        (last,) = self._session.read_queued(
            "SELECT max((SELECT coalesce(max(id), 0) FROM callbacks),"
            " (SELECT coalesce(max(id), 0) FROM attempt_results),"
            " (SELECT coalesce(max(id), 0) FROM stream_events))"
        ).fetchone()
        row = self._session.read("SELECT number FROM id_leases").fetchone()
        number = 0 if row is None else row[0] + 1
        self._session.write("DELETE FROM id_leases")
        self._session.write("INSERT INTO id_leases VALUES (?)", [number])
        self._new_ids = RowIds(number, milliseconds=steady_milliseconds, after=last)
        return self._new_ids

    def _add_lane(self, lane: Lane) -> int:
        added = "INSERT INTO lanes (account_sid, destination) VALUES (?, ?) RETURNING id"
        return self._session.write(added, tuple(lane)).fetchone()[0]

    def _next_due(self, lane_id: int | None) -> datetime | None:
        row = self._session.read_queued(
            "SELECT due_us FROM waiting WHERE lane_id = ? AND started_us IS NULL"
            f" AND due_us < {BLOCKED} ORDER BY due_us, id LIMIT 1",
            [lane_id],
        ).fetchone()
        return row and from_us(row[0])

    def _next_lane(self, lane_id: int | None) -> sqlite3.Row | None:
        """Return the next lane with unended callbacks, and when its first is due, or None.

        The time is None if all of them are being sent, or wait for one that is.
        """
        return self._session.read_queued(
            "SELECT lanes.id, (SELECT due_us FROM waiting WHERE waiting.lane_id = lanes.id"
            f" AND started_us IS NULL AND due_us < {BLOCKED} ORDER BY due_us LIMIT 1) AS due_us,"
            " account_sid, destination FROM lanes WHERE lanes.id ="
            " (SELECT lane_id FROM waiting WHERE lane_id > ? ORDER BY lane_id LIMIT 1)",
            [lane_id],
        ).fetchone()

    def _open(self, query: str, *, is_new: bool = False) -> list[DeliveryClaim]:
        """Return the attempts under way that a query of the columns of callbacks finds."""
        claims = list[DeliveryClaim]()
        for row in self._session.read_queued(f"SELECT {query}").fetchall():
            callback = self._read(row)
            account = self._account(callback.account_sid)
            lane, row_id = lane_of(callback), row[0]
            claims.append(DeliveryClaim(callback, account, lane, row_id=row_id, is_new=is_new))
        return claims

    def _add_progress(
        self,
        callback: CallbackRecord,
        row_id: int,
        account_id: int | None,
        lane_id: int,
        place: int | None,
    ) -> None:
        progress = callback.progress
        if progress.is_ended:
            self._session.queue(HAS_ENDED, write_outcome(progress, row_id, account_id))
        elif _is_sent_at_once(progress):
            started = to_us(progress.date_updated)
            self._session.queue(_SENT_AT_ONCE, (row_id, account_id, started))
        else:
            is_appointed = progress.due is not None and progress.due > callback.date_created
            waiting = write_waiting(
                progress, row_id, account_id, lane_id, is_appointed=is_appointed
            )
            self._wait(waiting, callback, place)

    def _change(self, callback: CallbackRecord, row_id: int, place: int | None = None) -> None:
        self._settle(callback, row_id, callback.progress, place=place)
        self._session.queue(ENDED_NO_MORE, (row_id,))

    def _settle(
        self,
        callback: CallbackRecord,
        row_id: int,
        progress: DeliveryProgress | None,
        *,
        is_new: bool = False,
        place: int | None = None,
    ) -> None:
        """Queue the new progress of a callback; None if its first attempt has delivered it.

        `is_new` is that of the callback's claim; `place` is its place behind the head of its key.
        """
        queue, account_id = self._session.queue, self._accounts.id_of(callback.account_sid)
        self._unchanged.pop(callback.sid, None)
        if is_new:
            queue(_ENDED_AT_ONCE, (row_id,))
        else:
            queue(_WAITS_NO_MORE, (account_id, row_id))
        if progress is None:
            return
        if progress.is_ended:
            queue(HAS_ENDED, write_outcome(progress, row_id, account_id))
        else:
            lane_id = self.lane_id(lane_of(callback))
            self._wait(write_waiting(progress, row_id, account_id, lane_id), callback, place)

    def _wait(self, row: Row, callback: CallbackRecord, place: int | None) -> None:
        """Queue a callback's row for `waiting`; with a `place`, it waits for its turn."""
        if place is None:
            self._session.queue(_WAITS, row)
        else:
            lane_id, due, *others = row
            behind = lane_id, BLOCKED, *others, callback.order_key, place, due
            self._session.queue(_WAITS_BEHIND, behind)
        self._note_change(cast("int", row[-1]))

    def _note_change(self, changed_us: int) -> None:
        """Note that a row in `waiting` that can be claimed has this time of its last change."""
        if self._changed_us is not None and self._changed_us < changed_us:
            self._changed_us = changed_us


def _is_sent_at_once(progress: DeliveryProgress) -> bool:
    """Return True if this is the state of a callback whose first attempt begins when it is new."""
    first = progress.attempt_count == progress.round_attempts == 1 and not progress.round_number
    return first and progress.is_under_way and progress.round_began == progress.date_updated
