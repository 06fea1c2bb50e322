"""Stores callbacks and their attempts, as far as all databases have it in common.

A callback's own row never changes. Rows in other tables say that it waits or is being sent, or how
it ended; a callback that its first attempt delivered at once needs none, but for the attempt's own
row. Each database decides how it queues, claims and settles callbacks.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, ClassVar, Final

from ringback.core.accounts.account import EVERY, Account
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
)
from ringback.core.callbacks.shards import origin_of
from ringback.core.callbacks.text_search import written_forms
from ringback.core.callbacks.undelivered_groups import (
    GroupIdentity,
    LastAnswer,
    UndeliveredCallback,
)
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.newest_entries import NewestEntries
from ringback.core.policy.source_policy import SourceName, source_named
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.ports import (
    CallbackFilter,
    Callbacks,
    Lane,
    LaneDue,
    PageWindow,
    RecordPage,
    Settlement,
    UrlDeliveryTotals,
    lane_of,
)
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.accounts import SqlAccounts
from ringback.stores.sql.callback_rows import (
    ATTEMPT_COLUMNS,
    BEGUN,
    BODY,
    ENDED_COLUMNS,
    NEW_COLUMNS,
    NUMBERS,
    OUTCOME_COLUMNS,
    RESULT_COLUMNS,
    TARGET_COLUMNS,
    StoredTarget,
    UnendedCallbacks,
    read_callback,
    read_outcome,
    read_request,
    read_response,
    read_target,
    write_callback,
    write_result,
    write_target,
)
from ringback.stores.sql.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from ringback.stores.sql.interned_rows import InternedRows
from ringback.stores.sql.order_heads import OrderedRow, OrderHeads
from ringback.stores.sql.pagination import Condition, PageRange, SqlListQuery, read_page, read_part
from ringback.stores.sql.response_overflow import SqlResponseOverflows
from ringback.stores.sql.streams import SqlStreamEvents
from ringback.stores.sql.write_batch import BulkStatement, Row, SqlRow, WriteBatch

_TARGET: Final = BulkStatement.insert("callback_targets", f"id, account_sid, {TARGET_COLUMNS}")
_HEAD: Final = BulkStatement.insert("request_heads", "id, account_sid, head")
_RESULT: Final = BulkStatement.insert("attempt_results", f"id, account_sid, {RESULT_COLUMNS}")
_BODY: Final = BulkStatement.insert("answer_bodies", "id, body")
_NEW: Final = BulkStatement.insert("callbacks", NEW_COLUMNS)
ENDED_NO_MORE: Final = BulkStatement.delete("outcomes", "id")
HAS_ENDED: Final = BulkStatement.insert("outcomes", OUTCOME_COLUMNS)
ATTEMPT: Final = BulkStatement.insert("attempts", ATTEMPT_COLUMNS)

NEW_ROWS: Final = (_TARGET, _HEAD, _RESULT, _BODY, _NEW)
"""The SQL statements that write rows to which others refer, in the order in which they run."""

_LONG: Final = (
    "LEFT JOIN long_responses AS long ON long.sid = ? AND long.number = attempts.number"
    " LEFT JOIN kept_responses AS kept ON kept.sid = ? AND kept.number = attempts.number"
)
_ENDED_ATTEMPTS: Final = f"""
    SELECT attempts.number, {ENDED_COLUMNS.replace("started_us", "attempts.started_us")},
        local_address, proxy, request_heads.head, signature, sent_us,
        response_head, answer_bodies.body, response_is_cut,
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
    FROM (
        SELECT target_id,
            count(*) FILTER (WHERE {{status}} = {NUMBERS[CallbackStatus.DELIVERED]}) AS delivered,
            count(*) FILTER (WHERE {{status}} > {NUMBERS[CallbackStatus.DELIVERED]}) AS undelivered,
            count(*) FILTER (WHERE {{status}} = 0 AND {{attempts}} > 0) AS retried,
            count(*) FILTER (WHERE {{status}} = 0 AND {{attempts}} = 0) AS untried,
            max(created_us) AS last_us,
            max(created_us) FILTER (WHERE {{status}} = {NUMBERS[CallbackStatus.DELIVERED]})
                AS last_delivered_us
        FROM callbacks {{states}}
        WHERE sid BETWEEN ? AND ? AND created_us >= ? AND created_us < ?
            AND callbacks.account_id = coalesce(?, callbacks.account_id) AND replay_of IS NULL
        GROUP BY target_id
    ) AS counted JOIN callback_targets ON callback_targets.id = target_id
    WHERE NOT is_test AND stream_sid IS NULL
"""
_COLUMNS_OF_TOTALS: Final = (
    "account_sid, url, source, source_asked, delivered, undelivered, retried, untried,"
    " last_us, last_delivered_us"
)
_ATTEMPTS: Final = (
    f"coalesce(waiting.attempt_count - CASE WHEN due_us = {BEGUN} THEN 1 ELSE 0 END, 0)"
)
_HAS_DESTINATION: Final = "(SELECT destination FROM lanes WHERE lanes.id = callbacks.lane_id)"
# The body of a batch only names its events.
_SEARCHED_BODY: Final = f"CASE WHEN stream_sid IS NULL OR is_test THEN {BODY} ELSE '' END"
_SEARCHED: Final = (
    "lower(callback_targets.url || '\n' || idempotency_token || '\n' || callbacks.sid || '\n'"
    f" || coalesce(callbacks.sim_sid, '') || '\n' || {_SEARCHED_BODY})"
)
_TARGETS: Final = "JOIN callback_targets ON callback_targets.id = target_id"
_OF_UNDELIVERED: Final = (
    "callbacks.id, callbacks.sid, created_us, reason, target_id, callbacks.lane_id,"
    " attempt_results.result, attempt_results.status_code, attempt_results.failure"
)
_LAST_ATTEMPTS: Final = (
    "LEFT JOIN attempts AS last"
    " ON last.callback_id = callbacks.id AND last.number = outcomes.attempt_count"
    " LEFT JOIN attempt_results ON attempt_results.id = last.result_id"
)
_PLACE: Final = (
    "SELECT accounts.sid AS account_sid, callbacks.id AS seq FROM callbacks"
    " JOIN accounts ON accounts.id = account_id WHERE callbacks.sid = ?"
)
LATE: Final = timedelta(minutes=1)
"""How long after its creation a callback that was delivered at once may have ended."""
_NOBODY: Final = -1
"""An id that no account has."""
_NO_TIMINGS: Final = (None,) * 5
_What = tuple[str, str, SourceName, SourceName | None]
_MOST_TARGETS: Final = 4096
_MOST_LANES: Final = 10_000


class SqlCallbacks(Callbacks):
    """Implements those methods of `ports.Callbacks` that are the same in all databases."""

    unended: ClassVar[UnendedCallbacks]
    """Where the database stores the callbacks that have not ended."""
    _order: OrderHeads

    def __init__(
        self, session: WriteBatch, accounts: SqlAccounts, responses: SqlResponseOverflows
    ) -> None:
        self._session = session
        self._accounts = accounts
        self._responses = responses
        self._targets, self._heads, self._results = (
            InternedRows(session, insert) for insert in (_TARGET, _HEAD, _RESULT)
        )
        self._read_targets = NewestEntries[int, StoredTarget](_MOST_TARGETS)
        """The targets that were read or written last, by their ids."""
        self.stream_events = SqlStreamEvents(
            session, self._ids, self.unended, self._unaware_servers
        )
        self._lane_ids = NewestEntries[Lane, int](_MOST_LANES)
        self._parts = NewestEntries[int, str](_MOST_LANES)
        """The path patterns of the lanes that were read last, by their ids."""
        self._keyed = dict[tuple[str, str], CallbackRecord]()
        """The callbacks with an idempotency key that this commit adds, by account and key."""
        self._unchanged = dict[str, int]()
        """The row ids of callbacks of which no change is queued, by SID: those `oldest` read."""
        self._placed = dict[str, tuple[int, int | None]]()
        """The row ids and places of callbacks that are added next, by SID; None for a head."""

    def begin_commit(self) -> None:
        """Before a commit, clear the caches of callbacks that the previous commit used."""
        self._keyed.clear()
        self._unchanged.clear()
        self._placed.clear()
        self._order.begin_commit()

    def forget(self) -> None:
        """Clear all caches, because a job was undone that may have changed cached rows."""
        for rows in (self._targets, self._heads, self._results):
            rows.forget()
        self._read_targets.clear()
        self.stream_events.forget()
        self._lane_ids.clear()
        self._parts.clear()
        self._unchanged.clear()
        self._order.forget()
        if self._keyed:
            self._session.flush()
            self._keyed.clear()

    def take_place(self, callback: CallbackRecord) -> bool:
        if callback.order_key is None:
            return True
        row_id = self._ids().make()
        place = self._order.join(OrderedRow(callback, row_id))
        self._placed[callback.sid] = row_id, place
        return place is None

    def add(self, callback: CallbackRecord) -> int:
        if callback.idempotency_key is not None:
            self._keyed[callback.account_sid, callback.idempotency_key] = callback
        account_id = self._accounts.id_of(callback.account_sid)
        lane_id, ids = self.lane_id(lane_of(callback)), self._ids()
        place = None
        # Made first, because it shows how old the target's row is.
        if callback.order_key is None or callback.progress.is_ended:
            row_id = ids.make()
        else:
            row_id, place = self._placed_row(callback)
        target = write_target(callback)
        target_id = self._targets.id_of(callback.account_sid, target, ids)
        row = write_callback(callback, row_id, account_id, lane_id, target_id)
        self._session.queue(_NEW, row)
        if callback.stream is not None and callback.stream.references:
            self.stream_events.keep_for(callback)
        self._add_progress(callback, row_id, account_id, lane_id, place)
        return row_id

    def _placed_row(self, callback: CallbackRecord) -> tuple[int, int | None]:
        """Return the row id and the place of a new callback with an order key; None for a head."""
        if callback.sid not in self._placed:
            self.take_place(callback)
        row_id, place = self._placed.pop(callback.sid)
        if place is not None and callback.progress.is_under_way:
            raise ValueError(f"callback {callback.sid} is sent, but others have to end before it")
        return row_id, place

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
        after: str | int | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        edge = self._place_of(account_sid, after) if isinstance(after, str) else after
        part = PageRange(limit, examining, edge, is_ascending=True)
        listing = self._listing(account_sid, which)
        rows, stopped_at = read_part(self._session.read_queued, listing, part)
        if stopped_at is not None:
            last = self._place_of(account_sid, stopped_at)
        else:
            last = rows[-1][0] if rows else None
        page = RecordPage(map(self._read, rows), stopped_at, last)
        self._unchanged = {one.sid: row[0] for one, row in zip(page, rows, strict=True)}
        return page

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
        if not wanted:
            return {}
        places = ", ".join(["(?, ?)"] * len(wanted))
        rows = self._session.read_queued(
            f"WITH wanted (sid, number) AS (VALUES {places})"
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

    def undelivered(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[UndeliveredCallback]:
        listing = self._listing(account_sid, which)
        listing = replace(
            listing, columns=_OF_UNDELIVERED, joined=f"{listing.joined} {_LAST_ATTEMPTS}"
        )
        rows, stopped_at = read_page(
            self._session.read_queued, listing, account_sid=account_sid, window=window
        )
        kinds = dict[tuple[Any, ...], tuple[GroupIdentity, str]]()
        found = list[UndeliveredCallback]()
        for _, sid, created_us, reason, *kind in rows:
            key = tuple(kind)
            group = kinds.get(key)
            if group is None:
                kinds[key] = group = self._group_of(*key)
            found.append(UndeliveredCallback(sid, *group, reason, from_us(created_us)))
        return RecordPage(found, stopped_at)

    def _group_of(
        self, target_id: int, lane_id: int, result: str | None, *answer: Any
    ) -> tuple[GroupIdentity, str]:
        """Return the group of a callback with this last result, and the destination."""
        account_sid, url, _, source, *_ = self._target(target_id)
        last = LastAnswer() if result is None else LastAnswer.from_result(result, *answer)
        identity = GroupIdentity(account_sid, url.shown, source, last)
        return identity, url.destination + self._part(lane_id)

    def change(self, callback: CallbackRecord) -> LaneDue | None:
        row_id = self._unchanged.pop(callback.sid, None)
        if row_id is None:
            # This writes earlier changes of the callback, since they must come before this one. To
            # write the queued rows for each of many callbacks would take ten times as long.
            row = self._session.read_queued(
                "SELECT id FROM callbacks WHERE sid = ?", [callback.sid]
            ).fetchone()
            row_id = row[0]
        turn = None
        if callback.order_key is None:
            self._change(callback, row_id)
        else:
            turn = self._change_in_order(OrderedRow(callback, row_id))
        self._keyed.pop((callback.account_sid, callback.idempotency_key or ""), None)
        return turn

    def _change_in_order(self, one: OrderedRow) -> LaneDue | None:
        """Change a callback with an order key; return what `change` does."""
        if not one.callback.progress.is_ended:
            self._change(*one, self._order.join_again(one))
            return None
        is_head = self._order.is_head(one)
        self._change(*one)
        return next(iter(self._order.end([one])), None) if is_head else None

    def restore_order(self, *, limit: int) -> int:
        return self._order.restore(limit=limit)

    def unfinished(self) -> dict[str, int]:
        counts = Counter[str]()
        for table in ("waiting INDEXED BY waiting_of_account", self.unended.beside):
            rows = self._session.read_queued(
                f"SELECT min(accounts.sid), count(*) FROM {table}"
                " JOIN accounts ON accounts.id = account_id GROUP BY account_id"
            )
            counts.update(dict(tuple(row) for row in rows))
        return dict(counts)

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        row = self._session.read_queued(
            "SELECT created_us FROM callbacks WHERE sid >= ? ORDER BY sid LIMIT 1 OFFSET ?",
            (sid_at(since, b"\0"), nth),
        ).fetchone()
        return row and from_us(row[0])

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        sids = sid_at(since, b"\0"), sid_at(until, b"\xff")
        owner = account_sid and (self._accounts.id_of(account_sid) or _NOBODY)
        unended = self.unended
        query = _TOTALS.format(status=unended.status, attempts=_ATTEMPTS, states=unended.states)
        values = *sids, to_us(since), to_us(until), owner
        sums = dict[_What, UrlDeliveryTotals]()
        for row in self._session.read_at_once(_COLUMNS_OF_TOTALS, query, values):
            account, url, source, asked, *numbers, last_us, last_delivered_us = row
            last, last_delivered = maybe_from_us(last_us), maybe_from_us(last_delivered_us)
            what = account, url, source_named(source), asked and source_named(asked)
            totals = UrlDeliveryTotals(*what, *numbers, last=last, last_delivered=last_delivered)
            sums[what] = totals.with_more(sums[what]) if what in sums else totals
        return [sums[what] for what in sorted(sums, key=lambda what: (*what[:3], what[3] or ""))]

    def _place_of(self, account_sid: str, sid: str) -> int | None:
        row = self._session.read_queued(
            "SELECT id FROM callbacks WHERE account_id = ? AND sid = ?",
            (self._accounts.id_of(account_sid), sid),
        ).fetchone()
        return row and row[0]

    def _one(self, sid: str) -> tuple[int, CallbackRecord] | None:
        row = self._session.read_queued(
            f"SELECT {self.unended.columns} FROM callbacks {self.unended.states} WHERE sid = ?",
            [sid],
        ).fetchone()
        return row and (row[0], self._read(row))

    def _read(self, row: SqlRow) -> CallbackRecord:
        return read_callback(
            row, self._target(row[2]), self._part(row[10]), self.stream_events.numbered
        )

    def _part(self, lane_id: int) -> str:
        """Return the path pattern of a lane; empty if it is for a whole destination."""
        part = self._parts.get(lane_id)
        if part is None:
            row = self._session.read(
                "SELECT account_sid, destination FROM lanes WHERE id = ?", [lane_id]
            ).fetchone()
            self._parts[lane_id] = part = part_of(Lane(*row))
        return part

    def _target(self, target_id: int) -> StoredTarget:
        target = self._read_targets.get(target_id)
        if target is None:
            row = self._session.read(
                f"SELECT account_sid, {TARGET_COLUMNS} FROM callback_targets WHERE id = ?",
                [target_id],
            ).fetchone()
            self._read_targets[target_id] = target = read_target(row)
        return target

    def lane_id(self, lane: Lane) -> int:
        """Return the id of a lane's row, which is added if there is none."""
        lane_id = self._known_lane(lane)
        if lane_id is None:
            self._lane_ids[lane] = lane_id = self._add_lane(lane)
        return lane_id

    def may_change(self, lane: Lane) -> bool:  # noqa: ARG002 (only some databases are shared)
        """Return True if this process may save the state of a lane: no other one owns its shard."""
        return True

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

    def _attempt_row(
        self, settlement: Settlement, result: AttemptResult, ids: RowIds, delivered_us: int | None
    ) -> Row:
        """Return the values of `ATTEMPT_COLUMNS`, and queue the rows to which they refer."""
        claim, progress, _, started, request, _ = settlement
        callback, account_sid = claim.callback, claim.callback.account_sid
        head_id = signature = sent_at = None
        if request is not None and request.template is not None:
            head_id = self._heads.id_of(account_sid, (request.template.recorded.text,), ids)
            signature, sent_at = request.signature, to_us(request.sent_at)
        is_last, number = not progress.is_under_way, callback.progress.attempt_count
        if number > 1 and is_last and result.response is not None:
            self._responses.drop(callback.sid)
        outcome, timings, response, local_address, proxy, _ = result
        is_stream = callback.stream is not None
        key, begun = (outcome, is_stream, response, local_address, proxy), to_us(started)
        result_id = self._results.find(account_sid, key, ids)
        if result_id is None:
            owner = account_sid, number, begun
            first = response and self._responses.keep(
                response, callback.sid, owner, is_last=is_last
            )
            row = write_result(outcome, first, local_address, proxy, is_stream=is_stream)
            result_id = ids.make()
            self._session.queue(_RESULT, (result_id, account_sid, *row))
            if first is not None and first.body:
                self._session.queue(_BODY, (result_id, first.body))
            # The rest of a long answer has a row for each attempt, so its start is not shared.
            if first is response:
                self._results.remember(account_sid, key, result_id)
        own = claim.row_id, number, begun, result_id, head_id, signature, sent_at, delivered_us
        return (*own, *(timings or _NO_TIMINGS))

    def _account(self, sid: str) -> Account:
        account = self._accounts.get(sid)
        if account is None:
            raise LookupError(f"callbacks belong to the account {sid}, which does not exist")
        return account

    def _listing(self, account_sid: str, which: CallbackFilter) -> SqlListQuery:
        """Return the query for the callbacks of an account that match the filter.

        The query names its index, because SQLite has no statistics here by which to choose one.
        """
        owner = None if account_sid == EVERY else self._accounts.id_of(account_sid) or _NOBODY
        table, found, looked_at = _by_index(owner, which, self.unended.status)
        looked_at += [
            ("callback_targets.source = ?", which.source),
            ("callback_targets.event = ?", which.event),
            ("callback_targets.stream_sid = ?", which.stream_sid),
            ("callbacks.sim_sid = ?", which.sim_sid),
            (f"{_HAS_DESTINATION} = ?", which.destination),
            ("instr(callback_targets.url, ?) = 1", which.url_prefix),
            *([] if which.text is None else [_with_text(which.text)]),
            ("created_us >= ?", maybe_to_us(which.since)),
            ("created_us < ?", maybe_to_us(which.until)),
        ]
        name = "listed" if " AS listed" in table else "callbacks"
        joined = "" if name == "callbacks" else "CROSS JOIN callbacks ON callbacks.id = listed.id"
        of_target = which.source, which.event, which.stream_sid, which.url_prefix, which.text
        has_target = any(value is not None for value in of_target)
        return SqlListQuery(
            table,
            found,
            looked_at,
            self.unended.columns,
            f"{joined} {self.unended.states} {_TARGETS if has_target else ''}",
            key=f"{name}.id",
            sid=f"(SELECT sid FROM callbacks AS found WHERE found.id = {name}.id)",
            place=_PLACE,
            beside=f"{self.unended.beside} AS listed" if table.startswith("waiting") else "",
        )

    @abstractmethod
    def _ids(self) -> RowIds:
        """Return the maker of ids for new rows."""

    def _unaware_servers(self) -> Sequence[str]:
        """Return the servers that know no event streams (`ports.StreamEvents`)."""
        return ()

    @abstractmethod
    def _add_lane(self, lane: Lane) -> int:
        """Add the row of a lane that never had a callback, and return its id."""

    @abstractmethod
    def _add_progress(
        self,
        callback: CallbackRecord,
        row_id: int,
        account_id: int | None,
        lane_id: int,
        place: int | None,
    ) -> None:
        """Queue the row that says what has become of a new callback.

        `place` is its place behind the head of its order key; None if it is the head or has no key.
        """

    @abstractmethod
    def _change(self, callback: CallbackRecord, row_id: int, place: int | None = None) -> None:
        """Save the progress of a callback that has no attempt under way, and may have ended.

        `place` is that of `_add_progress`.
        """


def is_delivered_at_once(progress: DeliveryProgress, created: datetime) -> bool:
    """Return True if a callback's first attempt has delivered it, within a minute.

    Such a callback needs no row in `outcomes`; retention relies on the minute.
    """
    first = progress.attempt_count == 1 and not progress.round_number
    is_delivered = first and progress.status is CallbackStatus.DELIVERED
    return is_delivered and progress.date_updated - created <= LATE


def part_of(lane: Lane) -> str:
    """Return the path pattern of a lane; empty if it is for a whole destination."""
    return lane.destination.removeprefix(origin_of(lane.destination))


def sid_at(instant: datetime, random_bytes: bytes) -> str:
    """Return a callback SID of this time in which every random byte is the given byte.

    With a zero byte, it is the lowest SID of that time; with 0xff, the highest.
    """
    return make_sid(SidKind.CALLBACK, dated(random_bytes * SID_BYTES, max(instant, from_us(0))))


def _by_index(
    owner: int | None, which: CallbackFilter, status: str
) -> tuple[str, list[Condition], list[Condition]]:
    """Return the table and index to use, the conditions that it serves, and those to check.

    `owner` is the id of an account; None for all accounts. `status` is the SQL expression for the
    number of a callback's status.
    """
    statuses, mine = which.statuses, ("callbacks.account_id = ?", owner)
    some = [] if statuses is None else [_with_status(statuses, status)]
    if which.idempotency_token is not None:
        token = "idempotency_token = ?", which.idempotency_token
        return "callbacks INDEXED BY callbacks_by_token", [token], [mine, *some]
    listed = "listed.account_id = ?", owner
    if statuses and statuses <= UNDELIVERED:
        index = "outcomes_undelivered" if owner else "outcomes_undelivered_of_all"
        found: list[Condition] = [listed, ("listed.status > 1 AND 1 = ?", 1)]
        table = f"outcomes AS listed INDEXED BY {index}"
        own = _with_status(statuses, "listed.status")
        return table, found, [] if statuses == UNDELIVERED else [own]
    if statuses == _SCHEDULED and owner:
        return "waiting AS listed INDEXED BY waiting_of_account", [listed], []
    index = "INDEXED BY callbacks_of_account" if owner else "NOT INDEXED"
    return f"callbacks {index}", [mine], some


def _with_text(text: str) -> Condition:
    """Return the condition that a callback contains a text, in one of its written forms."""
    forms = written_forms(text)
    found = " OR ".join([f"instr({_SEARCHED}, lower(?)) > 0"] * len(forms))
    return f"({found})", forms


def _with_status(statuses: frozenset[CallbackStatus], status: str) -> Condition:
    """Return the condition that a callback has one of these statuses.

    `1 = ?` is added because every condition needs a value.
    """
    numbers = ", ".join(str(NUMBERS[one]) for one in sorted(statuses))
    return f"{status} IN ({numbers or 'NULL'}) AND 1 = ?", 1
