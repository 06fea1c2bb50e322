"""Stores callbacks and their attempts in SQLite.

An attempt under way has a row in the table `open_attempts`. A claim starts an attempt, and writes
only this row. The callback's own row changes when the attempt has ended. Only a callback that is
saved and claimed in the same transaction has its new progress at once.

One process owns the file. So when it starts, all rows in `open_attempts` are left over from a
process that has died.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Final

from ringback.core.accounts.account import EVERY, Account
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    begin,
    put_back,
)
from ringback.core.policy.source_policy import source_named
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    Lane,
    LaneDue,
    PageWindow,
    RecordPage,
    Settlement,
    UrlDeliveryTotals,
    lane_of,
)
from ringback.stores.sqlite.accounts import SqliteAccounts
from ringback.stores.sqlite.callback_rows import (
    ATTEMPT_COLUMNS,
    COLUMNS,
    NEW_COLUMNS,
    OUTCOME_COLUMNS,
    PROGRESS_COLUMNS,
    read_attempt,
    read_callback,
    read_outcome,
    write_attempt,
    write_callback,
    write_progress,
    write_request_head,
)
from ringback.stores.sqlite.field_columns import from_us, maybe_to_us, to_us
from ringback.stores.sqlite.pagination import (
    Condition,
    PageRange,
    SqliteListQuery,
    read_page,
    read_part,
    whose,
)
from ringback.stores.sqlite.response_overflow import SqliteResponseOverflows
from ringback.stores.sqlite.write_batch import BulkStatement, WriteBatch

_NEW: Final = BulkStatement.insert("callbacks", NEW_COLUMNS)
_CHANGED: Final = BulkStatement.update("callbacks", PROGRESS_COLUMNS)
_CLOSED: Final = BulkStatement.delete("open_attempts", "callback_sid")
_OPENED: Final = BulkStatement.insert("open_attempts", "callback_sid, number, started_us")
_ENDED: Final = BulkStatement.insert("attempts", f"callback_sid, number, {ATTEMPT_COLUMNS}")

TABLES: Final = (_NEW, _CHANGED, _CLOSED, _OPENED, _ENDED)
"""The SQL statements that write queued rows, in the order that foreign keys require."""

_ENDED_ATTEMPTS: Final = """
    SELECT attempts.*, headers_left_out, body_left_out, kept.head, kept.body
    FROM attempts
    LEFT JOIN long_responses AS long
        ON long.sid = callback_sid AND long.number = attempts.number
    LEFT JOIN kept_responses AS kept
        ON kept.sid = callback_sid AND kept.number = attempts.number
    WHERE callback_sid = ? ORDER BY attempts.number
"""
_FROM: Final = "callbacks LEFT JOIN open_attempts ON callback_sid = sid"
_START: Final = (-1, 0)
_SCHEDULED: Final = frozenset({CallbackStatus.SCHEDULED})
# SIDs begin with their time, so the index of SIDs finds a period; an index by account would have to
# be read as a whole.
_TOTALS: Final = f"""
    SELECT account_sid, url, source, source_asked,
        sum(status = 'delivered'),
        sum(status IN ('failed', 'discarded')),
        sum(status = 'scheduled' AND coalesce(number - 1, attempt_count) > 0),
        sum(status = 'scheduled' AND coalesce(number - 1, attempt_count) = 0)
    FROM {_FROM}
    WHERE sid BETWEEN ? AND ? AND created_us >= ? AND created_us < ?
        AND account_sid = coalesce(?, account_sid) AND replay_of IS NULL AND NOT is_test
    GROUP BY account_sid, url, source, source_asked
    ORDER BY account_sid, url, source, source_asked
"""


class SqliteCallbacks:
    """Implements `ports.Callbacks` in SQLite."""

    def __init__(
        self, session: WriteBatch, accounts: SqliteAccounts, responses: SqliteResponseOverflows
    ) -> None:
        self._session = session
        self._accounts = accounts
        self._responses = responses
        self._claimed = dict[Lane, tuple[int, int]]()
        """For each lane, the due time and `seq` of the callback that was claimed last.

        The next claim begins after this callback, because all earlier callbacks are claimed
        already.
        """
        self._keyed = dict[tuple[str, str], CallbackRecord]()
        """The callbacks with an idempotency key that this commit adds, by account and key."""

    def begin_commit(self) -> None:
        """Before a commit, clear the cache of callbacks that the previous commit added."""
        self._keyed.clear()

    def forget(self) -> None:
        """Clear all caches, because a job was undone that may have changed cached rows."""
        self._claimed.clear()
        if self._keyed:
            self._session.flush()
            self._keyed.clear()

    def add(self, callback: CallbackRecord) -> None:
        self._touch(callback)
        if callback.idempotency_key is not None:
            self._keyed[callback.account_sid, callback.idempotency_key] = callback
        self._session.queue(_NEW, write_callback(callback))
        self._rewind(callback, callback.progress)
        if callback.progress.is_under_way:
            self._open(callback.sid, callback.progress)

    def get(self, account_sid: str, sid: str) -> CallbackRecord | None:
        return self._one("account_sid = ? AND sid = ?", account_sid, sid)

    def find(self, sid: str) -> CallbackRecord | None:
        return self._one("sid = ?", sid)

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        added = self._keyed.get((account_sid, idempotency_key))
        if added is not None:
            return added
        # A queued row with this key would have been found above, so this query need not write the
        # queued rows first; `get` does so if the callback is found.
        row = self._session.read(
            "SELECT sid FROM callbacks WHERE account_sid = ? AND idempotency_key = ?",
            (account_sid, idempotency_key),
        ).fetchone()
        return row and self.get(account_sid, row["sid"])

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[CallbackRecord]:
        read, listing = self._session.read_queued, _listing(account_sid, which)
        rows, stopped_at = read_page(read, listing, account_sid=account_sid, window=window)
        return RecordPage(map(read_callback, rows), stopped_at)

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
            "SELECT seq FROM callbacks WHERE account_sid = ? AND sid = ?", (account_sid, after)
        ).fetchone()
        part = PageRange(limit, examining, edge and edge["seq"], is_ascending=True)
        listing = _listing(account_sid, which)
        rows, stopped_at = read_part(self._session.read_queued, listing, part)
        return RecordPage(map(read_callback, rows), stopped_at)

    def attempts(self, callback_sid: str) -> list[Attempt]:
        callback = self._one("sid = ?", callback_sid)
        if callback is None:
            return []
        ended = self._session.read_queued(_ENDED_ATTEMPTS, [callback_sid])
        under_way = self._session.read_queued(
            "SELECT * FROM open_attempts WHERE callback_sid = ?", [callback_sid]
        )
        called, body, of = callback.called, callback.sent_body, (callback.sid, callback.account_sid)
        return [
            *(
                read_attempt(columns, of=(*of, number), called=called, body=body)
                for _, number, *columns in ended
            ),
            *(Attempt(*of, number, from_us(started)) for _, number, started in under_way),
        ]

    def last_attempts(self, callbacks: Sequence[CallbackRecord]) -> dict[str, Attempt]:
        made = [
            (one.sid, one.progress.attempt_count - one.progress.is_under_way) for one in callbacks
        ]
        wanted = [place for place in made if place[1]]
        places = ", ".join(["(?, ?)"] * len(wanted))
        rows = self._session.read_queued(
            f"SELECT callback_sid, number, {OUTCOME_COLUMNS} FROM attempts"
            f" WHERE (callback_sid, number) IN (VALUES {places or '(NULL, NULL)'})",
            [*chain.from_iterable(wanted)],
        )
        owners = {one.sid: one.account_sid for one in callbacks}
        return {
            sid: read_outcome(columns, of=(sid, owners[sid], number))
            for sid, number, *columns in rows
        }

    def change(self, callback: CallbackRecord) -> None:
        self._change(callback, callback.progress)

    def claim(self, lane: Lane, now: datetime, *, limit: int) -> list[DeliveryClaim]:
        rows = self._session.read_queued(
            f"SELECT {COLUMNS}, seq FROM {_FROM}"
            " WHERE account_sid = ? AND destination = ? AND due_us <= ?"
            " AND (due_us, seq) > (?, ?) AND started_us IS NULL"
            " ORDER BY due_us, seq LIMIT ?",
            (*lane, to_us(now), *self._claimed.get(lane, _START), limit),
        ).fetchall()
        if rows:
            self._claimed[lane] = (rows[-1]["due_us"], rows[-1]["seq"])
        return [self._claim(read_callback(row), now) for row in rows]

    def settle(self, settlements: Sequence[Settlement]) -> None:
        queue, write_answer = self._session.queue, self._responses.write
        for callback, attempt, progress in settlements:
            self._change(callback, progress)
            queue(_CLOSED, (callback.sid,))
            goes_on = progress.is_under_way
            if attempt is not None:
                head = attempt.request and write_request_head(attempt.request, callback)
                answer = write_answer(callback.sid, attempt, is_last=not goes_on)
                row = callback.sid, attempt.number, *write_attempt(attempt, head, answer)
                queue(_ENDED, row)
            if goes_on:
                self._open(callback.sid, progress)
        self._responses.keep_within_budget()

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        for callback, progress, *_ in claims:
            self.change(callback.having(put_back(progress, now)))
            self._session.queue(_CLOSED, (callback.sid,))

    def left_open(self) -> list[DeliveryClaim]:
        rows = self._session.read_queued(
            f"SELECT {COLUMNS} FROM open_attempts JOIN callbacks ON sid = callback_sid"
        )
        callbacks = [read_callback(row) for row in rows.fetchall()]
        return [
            DeliveryClaim(callback, callback.progress, self._account_of(callback))
            for callback in callbacks
        ]

    def next_due(self, lane: Lane) -> datetime | None:
        # `due_us IS NOT NULL` follows from the comparison of rows, but SQLite does not see that:
        # without it, SQLite would not use the index of waiting rows and would read all callbacks of
        # the account.
        row = self._session.read_queued(
            f"SELECT due_us FROM {_FROM} WHERE account_sid = ? AND destination = ?"
            " AND due_us IS NOT NULL AND (due_us, seq) > (?, ?) AND started_us IS NULL"
            " ORDER BY due_us, seq LIMIT 1",
            (*lane, *self._claimed.get(lane, _START)),
        ).fetchone()
        return row and from_us(row[0])

    def waiting(self, *, after: Lane | None = None, limit: int | None = None) -> list[LaneDue]:
        if after is None:
            self._claimed.clear()
        found = list[LaneDue]()
        lane = after or Lane("", "")
        while len(found) != limit and (row := self._next_lane(lane)):
            lane = Lane(*row)
            if due := self.next_due(lane):
                found.append(LaneDue(lane, due))
        return found

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        rows = self._session.read_queued(
            f"SELECT {COLUMNS} FROM {_FROM}"
            " WHERE due_us IS NOT NULL AND (updated_us <> created_us OR due_us = created_us)"
            " AND updated_us > ? AND started_us IS NULL ORDER BY updated_us LIMIT ?",
            (to_us(instant), limit),
        )
        return [read_callback(row) for row in rows.fetchall()]

    def unfinished(self) -> dict[str, int]:
        rows = self._session.read_queued(
            "SELECT account_sid, count(*) FROM callbacks INDEXED BY callbacks_scheduled"
            " WHERE status = 'scheduled' GROUP BY account_sid"
        )
        return dict(tuple(row) for row in rows)

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        sums = ", ".join("total(due_us < ?)" for _ in instants)
        values = [to_us(instant) for instant in instants]
        due, under_way = (
            self._session.read_queued(
                f"SELECT {sums} FROM {table} WHERE due_us IS NOT NULL", values
            ).fetchone()
            for table in (
                "callbacks INDEXED BY callbacks_due",
                "open_attempts JOIN callbacks ON sid = callback_sid",
            )
        )
        return [int(all_ - open_) for all_, open_ in zip(due, under_way, strict=True)]

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
        rows = self._session.read_queued(_TOTALS, (*sids, to_us(since), to_us(until), account_sid))
        return [
            UrlDeliveryTotals(
                own, url, source_named(source), asked and source_named(asked), *numbers
            )
            for own, url, source, asked, *numbers in rows
        ]

    def _one(self, condition: str, *values: str) -> CallbackRecord | None:
        row = self._session.read_queued(
            f"SELECT {COLUMNS} FROM {_FROM} WHERE {condition}", values
        ).fetchone()
        return row and read_callback(row)

    def _next_lane(self, lane: Lane) -> sqlite3.Row | None:
        """Return the lane that follows this lane in the index, or None; takes one index look-up."""
        return self._session.read_queued(
            "SELECT account_sid, destination FROM callbacks INDEXED BY callbacks_due"
            " WHERE due_us IS NOT NULL AND (account_sid, destination) > (?, ?)"
            " ORDER BY account_sid, destination LIMIT 1",
            lane,
        ).fetchone()

    def _claim(self, callback: CallbackRecord, now: datetime) -> DeliveryClaim:
        limit = callback.url.connection.total_timeout
        progress = begin(callback.progress, now, total_timeout=limit)
        self._touch(callback)
        self._open(callback.sid, progress)
        return DeliveryClaim(callback, progress, self._account_of(callback))

    def _change(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        self._touch(callback)
        self._session.queue(_CHANGED, (callback.sid, *write_progress(progress)))
        self._rewind(callback, progress)

    def _touch(self, callback: CallbackRecord) -> None:
        """Prepare to queue a change of this callback, and remove the callback from the cache."""
        self._session.touch(callback.sid)
        if callback.idempotency_key is not None:
            self._keyed.pop((callback.account_sid, callback.idempotency_key), None)

    def _rewind(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Make the lane's next claim begin early enough to find this callback."""
        if progress.due is None:
            return
        lane = lane_of(callback)
        if self._claimed.get(lane, _START)[0] >= to_us(progress.due):
            del self._claimed[lane]

    def _open(self, sid: str, progress: DeliveryProgress) -> None:
        started = to_us(progress.date_updated)
        self._session.queue(_OPENED, (sid, progress.attempt_count, started))

    def _account_of(self, callback: CallbackRecord) -> Account:
        account = self._accounts.get(callback.account_sid)
        if account is None:
            raise LookupError(f"callback {callback.sid} belongs to no account")
        return account


def _sid_at(instant: datetime, random_bytes: bytes) -> str:
    """Return a callback SID of this time in which every random byte is the given byte.

    With a zero byte, it is the lowest SID of that time; with 0xff, the highest.
    """
    return make_sid(SidKind.CALLBACK, dated(random_bytes * SID_BYTES, max(instant, from_us(0))))


def _listing(account_sid: str, which: CallbackFilter) -> SqliteListQuery:
    """Return the query for the callbacks of an account that match the filter.

    The query names its index, because SQLite has no statistics here by which to choose an index.
    """
    index, found, looked_at = _by_index(account_sid, which)
    return SqliteListQuery(
        "callbacks",
        found,
        [
            *looked_at,
            ("source = ?", which.source),
            ("destination = ?", which.destination),
            ("instr(url, ?) = 1", which.url_prefix),
            ("created_us >= ?", maybe_to_us(which.since)),
            ("created_us < ?", maybe_to_us(which.until)),
        ],
        COLUMNS,
        index,
        "LEFT JOIN open_attempts ON callback_sid = sid",
    )


def _by_index(
    account_sid: str, which: CallbackFilter
) -> tuple[str, list[Condition], list[Condition]]:
    """Return the index to use, the conditions that it serves, and those to check row by row."""
    owner, statuses = whose(account_sid), which.statuses
    some = [] if statuses is None else [_with_status(statuses)]
    of_all = account_sid == EVERY
    if which.idempotency_token is not None:
        token = "idempotency_token = ?", which.idempotency_token
        return "INDEXED BY callbacks_by_token", [token], [owner, *some]
    if statuses and statuses <= UNDELIVERED:
        index = "callbacks_undelivered_of_all" if of_all else "callbacks_undelivered"
        only = [] if statuses == UNDELIVERED else some
        return f"INDEXED BY {index}", [owner, _with_status(UNDELIVERED)], only
    if of_all:
        return "NOT INDEXED", [], some
    if statuses == _SCHEDULED:
        return "INDEXED BY callbacks_scheduled", [owner, ("status = 'scheduled' AND 1 = ?", 1)], []
    return "INDEXED BY callbacks_of_account", [owner], some


def _with_status(statuses: frozenset[CallbackStatus]) -> Condition:
    """Return the condition that a row has one of these statuses.

    For undelivered statuses, the SQL text is the same as in the definitions of the partial indexes:
    otherwise SQLite wouldn't use them. `1 = ?` is added because every condition needs a value.
    """
    marks = ", ".join(f"'{status}'" for status in sorted(statuses, reverse=True))
    return f"status IN ({marks}) AND 1 = ?", 1
