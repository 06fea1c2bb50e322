"""Stores callbacks and their attempts in SQLite.

A callback's own row never changes. Most callbacks are sent at once and delivered by their first
attempt: they have only this row and that of the attempt, and one in `sent_at_once` meanwhile. Any
other callback has a row in `waiting`, and one in `outcomes` instead when it has ended. A claim
starts an attempt, and only notes in `waiting` when. The attempt gets its row when it has ended.

One process owns the file. So when it starts, all attempts under way are left over from a process
that has died.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, cast

from ringback.core.accounts.account import EVERY, Account
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    put_back,
)
from ringback.core.callbacks.shards import shard_of
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.newest_entries import NewestEntries
from ringback.core.policy.source_policy import SourceName
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    PageWindow,
    RecordPage,
    Settlement,
    UrlDeliveryTotals,
    lane_of,
)
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.row_ids import RowIds
from ringback.stores.sqlite.accounts import SqliteAccounts
from ringback.stores.sqlite.callback_rows import (
    AT_ONCE_COLUMNS,
    ATTEMPT_COLUMNS,
    BEGUN,
    COLUMNS,
    ENDED_COLUMNS,
    NEW_COLUMNS,
    NUMBERS,
    OUTCOME_COLUMNS,
    RESULT_COLUMNS,
    STATES,
    STATUS,
    TARGET_COLUMNS,
    WAITING,
    WAITING_COLUMNS,
    StoredTarget,
    read_callback,
    read_outcome,
    read_request,
    read_response,
    read_target,
    write_callback,
    write_outcome,
    write_result,
    write_target,
    write_waiting,
)
from ringback.stores.sqlite.field_columns import from_us, maybe_to_us, to_us
from ringback.stores.sqlite.interned_rows import InternedRows
from ringback.stores.sqlite.pagination import (
    Condition,
    PageRange,
    SqliteListQuery,
    read_page,
    read_part,
)
from ringback.stores.sqlite.response_overflow import SqliteResponseOverflows
from ringback.stores.sqlite.write_batch import BulkStatement, Row, WriteBatch

_TARGET: Final = BulkStatement.insert("callback_targets", f"id, account_sid, {TARGET_COLUMNS}")
_HEAD: Final = BulkStatement.insert("request_heads", "id, account_sid, head")
_RESULT: Final = BulkStatement.insert("attempt_results", f"id, account_sid, {RESULT_COLUMNS}")
_BODY: Final = BulkStatement.insert("answer_bodies", "id, body")
_NEW: Final = BulkStatement.insert("callbacks", NEW_COLUMNS)
_WAITS_NO_MORE: Final = BulkStatement.delete("waiting", "account_id, id")
_ENDED_NO_MORE: Final = BulkStatement.delete("outcomes", "id")
_ENDED_AT_ONCE: Final = BulkStatement.delete("sent_at_once", "id")
_SENT_AT_ONCE: Final = BulkStatement.insert("sent_at_once", AT_ONCE_COLUMNS)
_WAITS: Final = BulkStatement.insert("waiting", WAITING_COLUMNS)
_HAS_ENDED: Final = BulkStatement.insert("outcomes", OUTCOME_COLUMNS)
_ATTEMPT: Final = BulkStatement.insert("attempts", ATTEMPT_COLUMNS)

TABLES: Final = (
    *(_TARGET, _HEAD, _RESULT, _BODY, _NEW),
    *(_WAITS_NO_MORE, _ENDED_NO_MORE, _ENDED_AT_ONCE),
    *(_WAITS, _SENT_AT_ONCE, _HAS_ENDED, _ATTEMPT),
)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_LONG: Final = (
    "LEFT JOIN long_responses AS long ON long.sid = ? AND long.number = attempts.number"
    " LEFT JOIN kept_responses AS kept ON kept.sid = ? AND kept.number = attempts.number"
)
_ENDED_ATTEMPTS: Final = f"""
    SELECT attempts.number, {ENDED_COLUMNS.replace("started_us", "attempts.started_us")},
        local_address, proxy, request_heads.head, signature, sent_us,
        response_head, coalesce(answer_bodies.body, x''), response_is_cut,
        headers_left_out, body_left_out, kept.head, kept.body
    FROM attempts
    JOIN attempt_results ON attempt_results.id = result_id
    LEFT JOIN answer_bodies ON answer_bodies.id = result_id
    LEFT JOIN request_heads ON request_heads.id = head_id
    {_LONG}
    WHERE callback_id = ? ORDER BY attempts.number
"""
_SCHEDULED: Final = frozenset({CallbackStatus.SCHEDULED})
# SIDs begin with their time, so the index of SIDs finds a period; an index by account would have to
# be read as a whole.
_TOTALS: Final = f"""
    SELECT target_id,
        sum({STATUS} = {NUMBERS[CallbackStatus.DELIVERED]}),
        sum({STATUS} > {NUMBERS[CallbackStatus.DELIVERED]}),
        sum({STATUS} = 0 AND coalesce(waiting.attempt_count - (due_us = {BEGUN}), 0) > 0),
        sum({STATUS} = 0 AND coalesce(waiting.attempt_count - (due_us = {BEGUN}), 0) = 0)
    FROM callbacks {STATES}
    WHERE sid BETWEEN ? AND ? AND created_us >= ? AND created_us < ?
        AND callbacks.account_id = coalesce(?, callbacks.account_id) AND replay_of IS NULL
    GROUP BY target_id
"""
_HAS_DESTINATION: Final = "(SELECT destination FROM lanes WHERE lanes.id = callbacks.lane_id)"
_TARGETS: Final = "JOIN callback_targets ON callback_targets.id = target_id"
_PLACE: Final = (
    "SELECT accounts.sid AS account_sid, callbacks.id AS seq FROM callbacks"
    " JOIN accounts ON accounts.id = account_id WHERE callbacks.sid = ?"
)
_NOBODY: Final = -1
"""An id that no account has."""
_NO_TIMINGS: Final = (None,) * 5
_What = tuple[str, str, SourceName, SourceName | None]
_MOST_TARGETS: Final = 4096
_MOST_LANES: Final = 10_000


class SqliteCallbacks:
    """Implements `ports.Callbacks` in SQLite."""

    def __init__(
        self, session: WriteBatch, accounts: SqliteAccounts, responses: SqliteResponseOverflows
    ) -> None:
        self._session = session
        self._accounts = accounts
        self._responses = responses
        self._new_ids: RowIds | None = None
        self._durable_ids: RowIds | None = None
        """The maker of ids whose number an earlier commit has leased."""
        self._targets, self._heads, self._results = (
            InternedRows(session, insert) for insert in (_TARGET, _HEAD, _RESULT)
        )
        self._read_targets = NewestEntries[int, StoredTarget](_MOST_TARGETS)
        """The targets that were read or written last, by their ids."""
        self._lane_ids = NewestEntries[Lane, int](_MOST_LANES)
        self._keyed = dict[tuple[str, str], CallbackRecord]()
        """The callbacks with an idempotency key that this commit adds, by account and key."""
        self._changed_us: int | None = None
        """No row in `waiting` was changed later than this; None if nobody has asked yet.

        Only the process that owns the file changes these rows.
        """

    def begin_commit(self) -> None:
        """Before a commit, clear the cache of callbacks that the previous commit added."""
        self._keyed.clear()
        self._durable_ids = self._new_ids

    def forget(self) -> None:
        """Clear all caches, because a job was undone that may have changed cached rows."""
        self._new_ids = self._durable_ids
        for rows in (self._targets, self._heads, self._results):
            rows.forget()
        self._read_targets.clear()
        self._lane_ids.clear()
        if self._keyed:
            self._session.flush()
            self._keyed.clear()

    def add(self, callback: CallbackRecord) -> int:
        if callback.idempotency_key is not None:
            self._keyed[callback.account_sid, callback.idempotency_key] = callback
        account_id = self._accounts.id_of(callback.account_sid)
        lane_id, ids = self._lane_id(lane_of(callback)), self._new_ids or self._lease_ids()
        # Made first, because it shows how old the target's row is.
        row_id, target = ids.make(), write_target(callback)
        target_id = self._targets.id_of(callback.account_sid, target, ids)
        row = write_callback(callback, row_id, account_id, lane_id, target_id)
        self._session.queue(_NEW, row)
        progress = callback.progress
        if progress.is_ended:
            self._session.queue(_HAS_ENDED, write_outcome(progress, row_id, account_id))
        elif _is_sent_at_once(progress):
            started = to_us(progress.date_updated)
            self._session.queue(_SENT_AT_ONCE, (row_id, account_id, started))
        else:
            is_appointed = progress.due is not None and progress.due > callback.date_created
            waiting = write_waiting(
                progress, row_id, account_id, lane_id, is_appointed=is_appointed
            )
            self._wait(waiting)
        return row_id

    def get(self, account_sid: str, sid: str) -> CallbackRecord | None:
        callback = self.find(sid)
        return callback if callback is not None and callback.account_sid == account_sid else None

    def find(self, sid: str) -> CallbackRecord | None:
        found = self._one(sid)
        return found and found[1]

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        added = self._keyed.get((account_sid, idempotency_key))
        if added is not None:
            return added
        # A queued row with this key would have been found above, so this query need not write the
        # queued rows first; `get` does so if the callback is found.
        row = self._session.read(
            "SELECT sid FROM callbacks WHERE account_id = ? AND idempotency_key = ?",
            (self._accounts.id_of(account_sid), idempotency_key),
        ).fetchone()
        return row and self.get(account_sid, row["sid"])

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[CallbackRecord]:
        read, listing = self._session.read_queued, self._listing(account_sid, which)
        rows, stopped_at = read_page(read, listing, account_sid=account_sid, window=window)
        return RecordPage(map(self._read, rows), stopped_at)

    def oldest(
        self,
        account_sid: str,
        which: CallbackFilter,
        *,
        after: str | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        edge = self._session.read_queued(
            "SELECT id FROM callbacks WHERE account_id = ? AND sid = ?",
            (self._accounts.id_of(account_sid), after),
        ).fetchone()
        part = PageRange(limit, examining, edge and edge[0], is_ascending=True)
        listing = self._listing(account_sid, which)
        rows, stopped_at = read_part(self._session.read_queued, listing, part)
        return RecordPage(map(self._read, rows), stopped_at)

    def attempts(self, callback_sid: str) -> list[Attempt]:
        found = self._one(callback_sid)
        if found is None:
            return []
        row_id, callback = found
        rows = self._session.read_queued(_ENDED_ATTEMPTS, [callback_sid, callback_sid, row_id])
        of = callback.sid, callback.account_sid
        ended = [
            read_outcome(columns[:11], of=(*of, number))._replace(
                local_address=columns[11],
                proxy=columns[12],
                request=read_request(*columns[13:16], of=callback),
                response=read_response(columns[16:]),
            )
            for number, *columns in rows
        ]
        progress = callback.progress
        if progress.is_under_way:
            ended.append(Attempt(*of, progress.attempt_count, progress.date_updated))
        return ended

    def last_attempts(self, callbacks: Sequence[CallbackRecord]) -> dict[str, Attempt]:
        made = [
            (one.sid, one.progress.attempt_count - one.progress.is_under_way) for one in callbacks
        ]
        wanted = [place for place in made if place[1]]
        places = ", ".join(["(?, ?)"] * len(wanted))
        rows = self._session.read_queued(
            f"WITH wanted (sid, number) AS (VALUES {places or '(NULL, NULL)'})"
            f" SELECT wanted.sid, wanted.number, {ENDED_COLUMNS} FROM wanted"
            " JOIN callbacks USING (sid)"
            " JOIN attempts ON callback_id = callbacks.id AND attempts.number = wanted.number"
            " JOIN attempt_results ON attempt_results.id = result_id",
            [*chain.from_iterable(wanted)],
        )
        owners = {one.sid: one.account_sid for one in callbacks}
        return {
            sid: read_outcome(columns, of=(sid, owners[sid], number))
            for sid, number, *columns in rows
        }

    def change(self, callback: CallbackRecord) -> None:
        row = self._session.read_queued(
            "SELECT id FROM callbacks WHERE sid = ?", [callback.sid]
        ).fetchone()
        self._change(callback, row[0], callback.progress)
        self._session.queue(_ENDED_NO_MORE, (row[0],))
        self._keyed.pop((callback.account_sid, callback.idempotency_key or ""), None)

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        return [self._claim(quota, now) for quota in quotas]

    def _claim(self, quota: LaneQuota, now: datetime) -> LaneClaims:
        lane, limit, _ = quota
        until, lane_id = to_us(now), self._known_lane(lane)
        cursor = self._session.read_queued(
            f"SELECT {WAITING} WHERE waiting.lane_id = ? AND due_us <= ?"
            " AND started_us IS NULL ORDER BY due_us, waiting.id LIMIT ?",
            (lane_id, until, limit),
        )
        cursor.row_factory = None  # plain tuples are read faster
        rows = cursor.fetchall()
        if not rows:
            return LaneClaims([], self._next_due(lane_id))
        self._keyed.clear()  # they are in the file now, and change there
        row_id, due = rows[-1][0], rows[-1][9]
        self._session.write(
            "UPDATE waiting SET started_us = ? WHERE lane_id = ?"
            " AND (due_us, id) <= (?, ?) AND started_us IS NULL",
            (until, lane_id, due, row_id),
        )
        account, target_of = self._account(lane.account_sid), self._target
        claims = [
            DeliveryClaim(read_callback(row, target_of(row[2]), now), account, lane, row_id=row[0])
            for row in rows
        ]
        next_due = from_us(due) if len(claims) == limit else self._next_due(lane_id)
        return LaneClaims(claims, next_due)

    def settle(self, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        ids = self._new_ids or self._lease_ids()
        ids.make()  # it shows how old the rows are that are used again
        for settlement in settlements:
            claim, progress, result, *_ = settlement
            is_delivered_at_once = result is not None and _is_delivered_at_once(progress)
            self._change(
                claim.callback,
                claim.row_id,
                None if is_delivered_at_once else progress,
                is_new=claim.is_new,
            )
            if result is not None:
                delivered = to_us(progress.date_updated) if is_delivered_at_once else None
                self._add_attempt(settlement, result, ids, delivered)
        self._responses.keep_within_budget()
        return []  # no other process can have taken over a callback

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        for claim in claims:
            progress = put_back(claim.progress, now)
            self._change(claim.callback, claim.row_id, progress, is_new=claim.is_new)

    def left_open(self) -> list[DeliveryClaim]:
        return [
            *self._open(f"{WAITING} WHERE started_us IS NOT NULL"),
            *self._open(
                f"{COLUMNS} FROM sent_at_once AS open CROSS JOIN callbacks USING (id) {STATES}",
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
            if shards is None or shard_of(row["destination"]) in shards:
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
            f"SELECT {WAITING} WHERE waiting.lane_id IN (SELECT id FROM lanes) AND due_us > ?"
            " AND waiting.updated_us > ? AND started_us IS NULL AND NOT is_appointed LIMIT ?",
            (after, after, limit),
        ).fetchall()
        if not rows:
            self._changed_us = after
        return [self._read(row) for row in rows]

    def unfinished(self) -> dict[str, int]:
        counts = Counter[str]()
        for table in ("waiting INDEXED BY waiting_of_account", "sent_at_once"):
            rows = self._session.read_queued(
                f"SELECT accounts.sid, count(*) FROM {table}"
                " JOIN accounts ON accounts.id = account_id GROUP BY account_id"
            )
            counts.update(dict(tuple(row) for row in rows))
        return dict(counts)

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

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        row = self._session.read_queued(
            "SELECT created_us FROM callbacks WHERE sid >= ? ORDER BY sid LIMIT 1 OFFSET ?",
            (_sid_at(since, b"\0"), nth),
        ).fetchone()
        return row and from_us(row[0])

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        sids = _sid_at(since, b"\0"), _sid_at(until, b"\xff")
        owner = account_sid and (self._accounts.id_of(account_sid) or _NOBODY)
        rows = self._session.read_queued(_TOTALS, (*sids, to_us(since), to_us(until), owner))
        sums = dict[_What, list[int]]()
        for target_id, *numbers in rows.fetchall():
            target = self._target(target_id)
            if not target.is_test:
                what = target.account_sid, target.url.shown, target.source, target.source_asked
                before = sums.get(what, [0] * len(numbers))
                sums[what] = list(map(int.__add__, before, numbers))
        ordered = sorted(sums, key=lambda what: (*what[:3], what[3] or ""))
        return [UrlDeliveryTotals(*what, *sums[what]) for what in ordered]

    def _lease_ids(self) -> RowIds:
        """Take a number that no other process uses, and make ids above all existing ones."""
        (last,) = self._session.read_queued(
            "SELECT max((SELECT coalesce(max(id), 0) FROM callbacks),"
            " (SELECT coalesce(max(id), 0) FROM attempt_results))"
        ).fetchone()
        row = self._session.read("SELECT number FROM id_leases").fetchone()
        number = 0 if row is None else row[0] + 1
        self._session.write("DELETE FROM id_leases")
        self._session.write("INSERT INTO id_leases VALUES (?)", [number])
        self._new_ids = RowIds(number, milliseconds=steady_milliseconds, after=last)
        return self._new_ids

    def _next_due(self, lane_id: int | None) -> datetime | None:
        row = self._session.read_queued(
            "SELECT due_us FROM waiting WHERE lane_id = ? AND started_us IS NULL"
            " ORDER BY due_us, id LIMIT 1",
            [lane_id],
        ).fetchone()
        return row and from_us(row[0])

    def _one(self, sid: str) -> tuple[int, CallbackRecord] | None:
        row = self._session.read_queued(
            f"SELECT {COLUMNS} FROM callbacks {STATES} WHERE sid = ?", [sid]
        ).fetchone()
        return row and (row[0], self._read(row))

    def _read(self, row: Sequence[Any]) -> CallbackRecord:
        return read_callback(row, self._target(row[2]))

    def _target(self, target_id: int) -> StoredTarget:
        target = self._read_targets.get(target_id)
        if target is None:
            row = self._session.read(
                f"SELECT account_sid, {TARGET_COLUMNS} FROM callback_targets WHERE id = ?",
                [target_id],
            ).fetchone()
            self._read_targets[target_id] = target = read_target(row)
        return target

    def _lane_id(self, lane: Lane) -> int:
        """Return the id of a lane's row, which is added if there is none."""
        lane_id = self._known_lane(lane)
        if lane_id is None:
            added = "INSERT INTO lanes (account_sid, destination) VALUES (?, ?) RETURNING id"
            (lane_id,) = self._session.write(added, tuple(lane)).fetchone()
            self._lane_ids[lane] = lane_id
        return lane_id

    def _known_lane(self, lane: Lane) -> int | None:
        """Return the id of a lane's row; None if it never had a callback."""
        lane_id = self._lane_ids.get(lane)
        if lane_id is None:
            row = self._session.read(
                "SELECT id FROM lanes WHERE account_sid = ? AND destination = ?", tuple(lane)
            ).fetchone()
            if row is not None:
                self._lane_ids[lane] = lane_id = row[0]
        return lane_id

    def _next_lane(self, lane_id: int | None) -> sqlite3.Row | None:
        """Return the next lane with waiting callbacks, and when its first is due, or None."""
        return self._session.read_queued(
            "SELECT lane_id, due_us, account_sid, destination"
            " FROM waiting CROSS JOIN lanes ON lanes.id = lane_id"
            " WHERE lane_id > ? AND started_us IS NULL"
            " ORDER BY lane_id, due_us LIMIT 1",
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

    def _change(
        self,
        callback: CallbackRecord,
        row_id: int,
        progress: DeliveryProgress | None,
        *,
        is_new: bool = False,
    ) -> None:
        """Queue the new progress of a callback; None if its first attempt has delivered it.

        `is_new` is that of the callback's claim.
        """
        queue, account_id = self._session.queue, self._accounts.id_of(callback.account_sid)
        if is_new:
            queue(_ENDED_AT_ONCE, (row_id,))
        else:
            queue(_WAITS_NO_MORE, (account_id, row_id))
        if progress is None:
            return
        if progress.is_ended:
            queue(_HAS_ENDED, write_outcome(progress, row_id, account_id))
        else:
            lane_id = self._lane_id(lane_of(callback))
            self._wait(write_waiting(progress, row_id, account_id, lane_id))

    def _wait(self, row: Row) -> None:
        """Queue a row for `waiting`."""
        self._session.queue(_WAITS, row)
        changed = cast("int", row[-1])
        if self._changed_us is not None and self._changed_us < changed:
            self._changed_us = changed

    def _add_attempt(
        self, settlement: Settlement, result: AttemptResult, ids: RowIds, delivered_us: int | None
    ) -> None:
        claim, progress, _, started, request = settlement
        callback, account_sid = claim.callback, claim.callback.account_sid
        head_id = signature = sent_at = None
        if request is not None and request.template is not None:
            head_id = self._heads.id_of(account_sid, (request.template.recorded.text,), ids)
            signature, sent_at = request.signature, to_us(request.sent_at)
        is_last, number = not progress.is_under_way, callback.progress.attempt_count
        if number > 1 and is_last and result.response is not None:
            self._responses.drop(callback.sid)
        outcome, timings, response, local_address, proxy, _ = result
        key, begun = (outcome, response, local_address, proxy), to_us(started)
        result_id = self._results.find(account_sid, key, ids)
        if result_id is None:
            owner = account_sid, number, begun
            first = response and self._responses.keep(
                response, callback.sid, owner, is_last=is_last
            )
            row, result_id = write_result(outcome, first, local_address, proxy), ids.make()
            self._session.queue(_RESULT, (result_id, account_sid, *row))
            if first is not None and first.body:
                self._session.queue(_BODY, (result_id, first.body))
            # The rest of a long answer has a row for each attempt, so its start is not shared.
            if first is response:
                self._results.remember(account_sid, key, result_id)
        own = claim.row_id, number, begun, result_id, head_id, signature, sent_at, delivered_us
        self._session.queue(_ATTEMPT, (*own, *(timings or _NO_TIMINGS)))

    def _account(self, sid: str) -> Account:
        account = self._accounts.get(sid)
        if account is None:
            raise LookupError(f"callbacks belong to the account {sid}, which does not exist")
        return account

    def _listing(self, account_sid: str, which: CallbackFilter) -> SqliteListQuery:
        """Return the query for the callbacks of an account that match the filter.

        The query names its index, because SQLite has no statistics here by which to choose one.
        """
        owner = None if account_sid == EVERY else self._accounts.id_of(account_sid) or _NOBODY
        table, found, looked_at = _by_index(owner, which)
        looked_at += [
            ("callback_targets.source = ?", which.source),
            ("callback_targets.event = ?", which.event),
            ("callbacks.sim_sid = ?", which.sim_sid),
            (f"{_HAS_DESTINATION} = ?", which.destination),
            ("instr(callback_targets.url, ?) = 1", which.url_prefix),
            ("created_us >= ?", maybe_to_us(which.since)),
            ("created_us < ?", maybe_to_us(which.until)),
        ]
        name = "listed" if " AS listed" in table else "callbacks"
        joined = "" if name == "callbacks" else "CROSS JOIN callbacks ON callbacks.id = listed.id"
        has_target = (which.source, which.event, which.url_prefix) != (None, None, None)
        return SqliteListQuery(
            table,
            found,
            looked_at,
            COLUMNS,
            f"{joined} {STATES} {_TARGETS if has_target else ''}",
            key=f"{name}.id",
            sid=f"(SELECT sid FROM callbacks AS found WHERE found.id = {name}.id)",
            place=_PLACE,
            beside="sent_at_once AS listed" if table.startswith("waiting") else "",
        )


def _is_sent_at_once(progress: DeliveryProgress) -> bool:
    """Return True if this is the state of a callback whose first attempt begins when it is new."""
    first = progress.attempt_count == progress.round_attempts == 1 and not progress.round_number
    return first and progress.is_under_way and progress.round_began == progress.date_updated


def _is_delivered_at_once(progress: DeliveryProgress) -> bool:
    """Return True if this is the state of a callback that its first attempt has delivered."""
    first = progress.attempt_count == 1 and not progress.round_number
    return first and progress.status is CallbackStatus.DELIVERED


def _sid_at(instant: datetime, random_bytes: bytes) -> str:
    """Return a callback SID of this time in which every random byte is the given byte.

    With a zero byte, it is the lowest SID of that time; with 0xff, the highest.
    """
    return make_sid(SidKind.CALLBACK, dated(random_bytes * SID_BYTES, max(instant, from_us(0))))


def _by_index(
    owner: int | None, which: CallbackFilter
) -> tuple[str, list[Condition], list[Condition]]:
    """Return the table and index to use, the conditions that it serves, and those to check.

    `owner` is the id of an account; None for all accounts.
    """
    statuses, mine = which.statuses, ("callbacks.account_id = ?", owner)
    some = [] if statuses is None else [_with_status(statuses)]
    if which.idempotency_token is not None:
        token = "idempotency_token = ?", which.idempotency_token
        return "callbacks INDEXED BY callbacks_by_token", [token], [mine, *some]
    listed = "listed.account_id = ?", owner
    if statuses and statuses <= UNDELIVERED:
        index = "outcomes_undelivered" if owner else "outcomes_undelivered_of_all"
        found: list[Condition] = [listed, ("listed.status > 1 AND 1 = ?", 1)]
        table = f"outcomes AS listed INDEXED BY {index}"
        return table, found, [] if statuses == UNDELIVERED else some
    if statuses == _SCHEDULED and owner:
        return "waiting AS listed INDEXED BY waiting_of_account", [listed], []
    index = "INDEXED BY callbacks_of_account" if owner else "NOT INDEXED"
    return f"callbacks {index}", [mine], some


def _with_status(statuses: frozenset[CallbackStatus]) -> Condition:
    """Return the condition that a callback has one of these statuses.

    `1 = ?` is added because every condition needs a value.
    """
    numbers = ", ".join(str(NUMBERS[status]) for status in sorted(statuses))
    return f"{STATUS} IN ({numbers}) AND 1 = ?", 1
