"""Deletes what has been kept for long enough: callbacks, their attempts, and what they shared.

No index is needed for most callbacks, those that their first attempt delivered. A *walk* along the
callbacks of an account, in the order of their ids, comes to them as they expire. It only ever moves
over what it has dealt with: such a callback is deleted, or gets a row in `outcomes`, by which it is
found later. All others have such a row when they have ended, and `outcomes_ended` finds them.

So an ended callback without attempts always has a row in `outcomes`, and all that reads callbacks
goes on as before.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.retention import (
    RetentionCutoffs,
    RetentionStage,
    StoredTimes,
    TimeSubject,
    stage_of,
)
from ringback.ports import FreeSpace, RetentionCounts, RetentionFinds, UnusedFinds
from ringback.stores.sql.accounts import SqlAccounts
from ringback.stores.sql.callback_rows import NUMBERS, STATUSES, UnendedCallbacks
from ringback.stores.sql.callbacks import ENDED_NO_MORE, HAS_ENDED
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.unused_rows import UNUSED, UnusedRowSearch
from ringback.stores.sql.write_batch import BulkStatement, SqlRow, WriteBatch

_SHADOWS: Final = BulkStatement.delete("shadows", "callback_sid")
_LONG: Final = BulkStatement.delete("long_responses", "sid")
_KEPT: Final = BulkStatement.delete("kept_responses", "sid")
_ATTEMPTS: Final = BulkStatement.delete("attempts", "callback_id")
_CALLBACKS: Final = BulkStatement.delete("callbacks", "id")

TABLES: Final = (_SHADOWS, _LONG, _KEPT, _ATTEMPTS, _CALLBACKS, *UNUSED.values())
"""The SQL statements that write queued rows, in the order that foreign keys require."""

_EXAMINED: Final = 500
"""The number of callbacks that a step of the walk reads."""
_DELIVERED: Final = NUMBERS[CallbackStatus.DELIVERED]
_WALK: Final = """
    SELECT callbacks.id, callbacks.sid, created_us, {status} AS status, outcomes.id AS outcome_id
    FROM callbacks INDEXED BY callbacks_of_account {states}
    WHERE callbacks.account_id = ? AND callbacks.id > ?
    ORDER BY callbacks.id LIMIT ?
"""
_ENDED: Final = """
    SELECT outcomes.id, sid, updated_us,
        EXISTS (SELECT 1 FROM attempts WHERE callback_id = outcomes.id) AS has_attempts
    FROM outcomes INDEXED BY outcomes_ended CROSS JOIN callbacks ON callbacks.id = outcomes.id
    WHERE outcomes.account_id = ? AND status = ? AND updated_us >= ? AND updated_us <= ?
        AND (updated_us, outcomes.id) > (?, ?)
    ORDER BY updated_us, outcomes.id LIMIT ?
"""
_STATES: Final = """
    SELECT callbacks.id, callbacks.sid, callbacks.account_id, idempotency_key, {status} AS status,
        outcomes.id AS outcome_id, coalesce(outcomes.updated_us, first.delivered_us) AS ended_us
    FROM callbacks {states} WHERE callbacks.id IN ({marks})
"""


class _Range(NamedTuple):
    """A search in `outcomes_ended` has come to this row; it and all before it are dealt with."""

    updated_us: int = -(2**62)
    id: int = 0


class _Places(NamedTuple):
    """How far the searches of an account have come."""

    walked: int = 0
    """The walk has dealt with all callbacks up to this id."""
    ranges: tuple[_Range, ...] = (_Range(),) * 6
    """How far each of `_searches` has come."""


class SqlRetention:
    """Implements `ports.Retention`, for a database that takes care of its space itself."""

    def __init__(
        self, session: WriteBatch, accounts: SqlAccounts, unended: UnendedCallbacks
    ) -> None:
        self._session = session
        self._accounts = accounts
        self._unended = unended

    def times(self) -> StoredTimes:
        return read_times(self._session.read)

    def set_times(self, changes: Mapping[TimeSubject, timedelta | None], now: datetime) -> None:
        for key, time in changes.items():
            seconds = None if time is None else int(time.total_seconds())
            self._session.write(
                "INSERT INTO retention_times (subject, kind, seconds, set_us) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject, kind)"
                " DO UPDATE SET seconds = excluded.seconds, set_us = excluded.set_us",
                (*key, seconds, to_us(now)),
            )

    def unset_times(self, times: Sequence[TimeSubject]) -> None:
        for key in times:
            self._session.write(
                "DELETE FROM retention_times WHERE subject = ? AND kind = ?", tuple(key)
            )

    def find_expired(
        self,
        account_sid: str,
        cutoffs: RetentionCutoffs,
        place: object = None,
        *,
        limit: int,
        is_walked: bool = True,
    ) -> RetentionFinds:
        account_id, places = self._accounts.id_of(account_sid), cast("_Places | None", place)
        walked, ranges = places or _Places()
        rows = list[tuple[int, str]]()
        is_over = True
        first = max(filter(None, (cutoffs.attempts, cutoffs.delivered)), default=None)
        if is_walked and first is not None:
            rows, walked, is_over = self._walk(account_id, to_us(first), walked, limit)
        ranges = [*ranges]
        for at, (status, cutoff, is_whole) in enumerate(_searches(cutoffs)):
            if cutoff is None:
                continue
            room = limit - len(rows)
            found = self._ended((account_id, status, to_us(cutoff)), ranges[at], room)
            if found:
                ranges[at] = _Range(found[-1]["updated_us"], found[-1]["id"])
            rows += [(row["id"], row["sid"]) for row in found if is_whole or row["has_attempts"]]
            is_over = is_over and len(found) < room
        return RetentionFinds(rows, _Places(walked, tuple(ranges)), is_over)

    def remove_expired(
        self, rows: Sequence[tuple[int, str]], cutoffs: RetentionCutoffs
    ) -> RetentionCounts:
        queue, whole, stripped = self._session.queue, list[SqlRow](), list[SqlRow]()
        for row in self._states([row_id for row_id, _ in rows]):
            status, ended_us = cast("int", row["status"]), cast("int", row["ended_us"])
            if STATUSES[status] is CallbackStatus.SCHEDULED:
                continue
            stage = stage_of(STATUSES[status], from_us(ended_us), cutoffs)
            if stage is RetentionStage.ALL:
                whole.append(row)
            elif stage is RetentionStage.ATTEMPTS:
                stripped.append(row)
            if row["outcome_id"] is None and stage is not RetentionStage.ALL:
                outcome = row["id"], row["account_id"], _DELIVERED, None, 1, 0, ended_us
                queue(HAS_ENDED, outcome)
        self._remove_attempts([*whole, *stripped])
        for row in whole:
            queue(ENDED_NO_MORE, (row["id"],))
            queue(_CALLBACKS, (row["id"],))
            if row["idempotency_key"] is not None:
                self._forget_key(row["account_id"], row["idempotency_key"])
        return RetentionCounts(len(whole), len(stripped))

    def find_unused(
        self, cutoffs: Mapping[str, RetentionCutoffs], place: object = None, *, limit: int
    ) -> UnusedFinds:
        search = cast("UnusedRowSearch | None", place)
        if search is None:
            ids = {sid: self._accounts.id_of(sid) for sid in cutoffs}
            owned = {sid: row_id for sid, row_id in ids.items() if row_id is not None}
            search = UnusedRowSearch(self._unended, cutoffs, owned, limit)
        rows = search.go_on(self._session.read_queued)
        return UnusedFinds(rows or [], None if rows is None else search)

    def remove_unused(self, rows: Sequence[tuple[str, int]]) -> None:
        for table, key in rows:
            self._session.queue(UNUSED[table], (key,))
            if table == "attempt_results":
                self._session.queue(UNUSED["answer_bodies"], (key,))

    def free_space(self) -> FreeSpace:
        return FreeSpace(0, 0, can_shrink=True)

    def give_back(self, most: int) -> None:
        pass

    def _forget_key(self, account_id: int, key: str) -> None:
        """Delete an idempotency key, if keys have a table of their own."""

    def _walk(
        self, account_id: int | None, until_us: int, after: int, limit: int
    ) -> tuple[list[tuple[int, str]], int, bool]:
        """Return callbacks delivered by their first attempts that were created until an instant.

        Also returns the id up to which the walk has come, and True if it can go no further.
        """
        found = list[tuple[int, str]]()
        query = _WALK.format(status=self._unended.status, states=self._unended.states)
        rows = self._session.read_queued(query, (account_id, after, _EXAMINED)).fetchall()
        for row in rows:
            if row["created_us"] > until_us:
                return found, after, True
            if len(found) == limit:
                return found, after, False
            after = row["id"]
            if row["status"] == _DELIVERED and row["outcome_id"] is None:
                found.append((after, row["sid"]))
        return found, after, len(rows) < _EXAMINED

    def _ended(self, what: tuple[int | None, int, int], after: _Range, limit: int) -> list[Any]:
        """Return callbacks of an account with a status that have ended until an instant."""
        account_id, status, until_us = what
        values = account_id, status, after.updated_us, until_us, *after, limit
        return self._session.read_queued(_ENDED, values).fetchall()

    def _states(self, ids: Sequence[int]) -> list[Any]:
        if not ids:
            return []
        query = _STATES.format(
            status=self._unended.status,
            states=self._unended.states,
            marks=", ".join("?" * len(ids)),
        )
        return self._session.read_queued(query, ids).fetchall()

    def _remove_attempts(self, rows: Sequence[SqlRow]) -> None:
        """Queue the deletion of the attempts and shadow copies of callbacks."""
        if not rows:
            return
        queue, sids = self._session.queue, [row["sid"] for row in rows]
        marks = ", ".join("?" * len(sids))
        copies = self._session.read_queued(
            f"SELECT sid FROM shadows WHERE callback_sid IN ({marks})", sids
        ).fetchall()
        for sid in (*sids, *(sid for (sid,) in copies)):
            queue(_LONG, (sid,))
            queue(_KEPT, (sid,))
        if copies:
            for sid in sids:
                queue(_SHADOWS, (sid,))
        for row in rows:
            queue(_ATTEMPTS, (row["id"],))


def read_times(read: Callable[[str, Sequence[Any]], Any]) -> StoredTimes:
    """Return the times that are stored; `read` runs a query."""
    return {
        TimeSubject(subject, kind): None if seconds is None else timedelta(seconds=seconds)
        for subject, kind, seconds in read("SELECT subject, kind, seconds FROM retention_times", ())
    }


def _searches(cutoffs: RetentionCutoffs) -> list[tuple[int, datetime | None, bool]]:
    """Return the searches for callbacks that have ended, and have a row in `outcomes`.

    Each has the number of a status, the instant until which the callbacks ended, and True if they
    go as a whole, or False if they lose their attempts. Without an instant, there is nothing to
    find.
    """
    searches = list[tuple[int, datetime | None, bool]]()
    for status in CallbackStatus:
        if status is not CallbackStatus.SCHEDULED:
            whole = cutoffs.whole(status)
            is_apart = whole is None or (cutoffs.attempts is not None and whole < cutoffs.attempts)
            searches.append((NUMBERS[status], whole, True))
            searches.append((NUMBERS[status], cutoffs.attempts if is_apart else None, False))
    return searches
