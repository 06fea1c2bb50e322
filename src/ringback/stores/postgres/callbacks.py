"""Stores callbacks and their attempts in PostgreSQL, and shares them among processes.

A callback that waits has a row in `waiting`. A claim moves it to `open_attempts`, where it gets a
run: a number that no other claim has. Results are saved only where the run is still the same, so a
process whose callbacks were taken over changes nothing. A callback that is sent at once has its row
in `open_attempts` from the start. The row is deleted with the result of the attempt, and updated if
the next attempt follows at once.

The statements for claims and results are each one round trip, and find rows by index only. They
begin at `LaneQuota.since`, because an old snapshot of somebody else can keep all deleted rows at
the front of a lane, and each claim would walk over them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, cast

from psycopg.rows import tuple_row

from ringback.core.callbacks.callback import (
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    put_back,
)
from ringback.core.callbacks.shards import shard_of
from ringback.ports import (
    BEGINNING,
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    SettledAttempts,
    Settlement,
    lane_of,
)
from ringback.stores.postgres.connections import Bigints, Cursor
from ringback.stores.postgres.leases import WorkerIdentity
from ringback.stores.postgres.order_heads import PostgresOrderHeads
from ringback.stores.postgres.write_batch import PostgresWriteBatch, columns_of
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.accounts import SqlAccounts
from ringback.stores.sql.callback_rows import (
    ATTEMPT_COLUMNS,
    BEGUN,
    BLOCKED,
    BLOCKED_COLUMNS,
    NUMBERS,
    OUTCOME_COLUMNS,
    WAITING,
    UnendedCallbacks,
    read_callback,
    write_outcome,
)
from ringback.stores.sql.callbacks import (
    ENDED_NO_MORE,
    HAS_ENDED,
    NEW_ROWS,
    SqlCallbacks,
    is_delivered_at_once,
    part_of,
)
from ringback.stores.sql.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from ringback.stores.sql.order_heads import OrderedRow
from ringback.stores.sql.response_overflow import SqlResponseOverflows, is_long
from ringback.stores.sql.write_batch import BulkStatement, Row

_PROGRESS: Final = "attempt_count, round_attempts, round_number, round_began_us, updated_us"
_WAITING_COLUMNS: Final = f"id, shard, lane_id, due_us, account_id, is_appointed, {_PROGRESS}"
_OPEN_COLUMNS: Final = (
    f"id, run, shard, lane_id, epoch, due_us, account_id, started_us, {_PROGRESS}"
)
_NEW_OPEN_COLUMNS: Final = f"id, shard, lane_id, account_id, {_PROGRESS}"

_WAITS: Final = BulkStatement.insert("waiting", _WAITING_COLUMNS)
_WAITS_BEHIND: Final = BulkStatement.insert("waiting", f"{_WAITING_COLUMNS}, {BLOCKED_COLUMNS}")
_WAITS_NO_MORE: Final = BulkStatement.delete("waiting", "id")
_KEY: Final = BulkStatement.insert("idempotency", "account_id, key, callback_id")
# If the shard has just been lost, the callbacks wait for the new owner instead. If it was gained
# since a serializable transaction began, which does not see that, `FOR SHARE` fails, and the
# transaction runs again: else the callback would be sent, and wait as well.
_IS_SENT: Final = BulkStatement(
    "open_attempts",
    f"WITH new ({_NEW_OPEN_COLUMNS}, worker) AS (",
    f"{_NEW_OPEN_COLUMNS}, workers.worker",
    f"""), own AS (
        SELECT new.*, epoch FROM new JOIN shard_leases USING (shard, worker)
    ), opened AS (
        INSERT INTO open_attempts ({_OPEN_COLUMNS})
        SELECT id, id, shard, lane_id, epoch, {BEGUN}, account_id, updated_us, {_PROGRESS} FROM own
    )
    INSERT INTO waiting ({_WAITING_COLUMNS})
    SELECT id, shard, lane_id, updated_us, account_id, false, attempt_count - 1, round_attempts - 1,
        round_number, CASE WHEN round_attempts > 1 THEN round_began_us END, updated_us
    FROM new, LATERAL (
        SELECT FROM shard_leases WHERE shard_leases.shard = new.shard FOR SHARE
    ) AS lost
    WHERE id NOT IN (SELECT id FROM own)""",
)

TABLES: Final = (
    *(*NEW_ROWS, _KEY, _WAITS_NO_MORE, ENDED_NO_MORE),
    *(_WAITS, _WAITS_BEHIND, _IS_SENT, HAS_ENDED),
)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_UNENDED_PARTS: Final = "id, due_us, {}, attempt_count, round_attempts, round_number,"
_LIKE_WAITING: Final = " UNION ALL ".join(
    f"SELECT {_UNENDED_PARTS.format(started)} round_began_us, updated_us, {own_due} FROM {table}"
    " WHERE id = callbacks.id"
    for table, started, own_due in (
        ("waiting", "NULL::bigint AS started_us", "own_due_us"),
        ("open_attempts", "started_us", "NULL::bigint"),
    )
)
_UNENDED: Final = UnendedCallbacks(
    joined=f"LEFT JOIN LATERAL ({_LIKE_WAITING}) AS waiting ON true",
    beside="open_attempts",
    is_unended="waiting.id IS NOT NULL",
    begun_at_once="NULL",
    first_attempts=f"attempt_count = CASE WHEN due_us = {BEGUN} THEN 1 ELSE 0 END",
    in_lane="waiting.shard = lanes.shard AND waiting.lane_id = lanes.id",
    waits_in_lane="waiting.shard = lanes.shard AND waiting.lane_id = lanes.id",
)

# Joins in these statements are of one row after the other, by an index: `OFFSET 0` and `FOR UPDATE`
# keep the planner from another order, which it would take for a table that was empty lately.
#
# The values: of each quota the lane, its shard, the limit and the earliest due time; the worker,
# the time, the number of the run, and the time twice. Besides the claimed callbacks, there is a row
# without an id for each lane in which another one waits, with the time when that one is due. It
# leaves out what is due now: that is claimed, or another transaction is changing it.
CLAIM: Final = f"""
    WITH wanted AS (
        SELECT place, lane_id, shard, most, since_us, epoch
        FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]) WITH ORDINALITY
            AS quotas (lane_id, shard, most, since_us, place), LATERAL (
            SELECT epoch FROM shard_leases
            WHERE shard_leases.shard = quotas.shard AND worker = ? OFFSET 0
        ) AS own
    ), picked AS (
        SELECT place, epoch, due.* FROM wanted, LATERAL (
            SELECT ctid AS at, {_WAITING_COLUMNS} FROM waiting
            WHERE waiting.shard = wanted.shard AND waiting.lane_id = wanted.lane_id
                AND due_us >= since_us AND due_us <= ?
            ORDER BY due_us, id LIMIT most FOR UPDATE SKIP LOCKED
        ) AS due
    ), gone AS (
        DELETE FROM waiting WHERE ctid = ANY (ARRAY(SELECT at FROM picked))
    ), opened AS (
        INSERT INTO open_attempts ({_OPEN_COLUMNS})
        SELECT id, ?, shard, lane_id, epoch, due_us, account_id, ?, {_PROGRESS} FROM picked
    )
    SELECT {WAITING.replace("waiting.started_us", "NULL")}, place
    FROM picked AS waiting,
        LATERAL (SELECT * FROM callbacks WHERE id = waiting.id OFFSET 0) AS callbacks
    UNION ALL
    SELECT {"NULL, " * 11} next.due_us, {"NULL, " * 6} place
    FROM wanted, LATERAL (
        SELECT due_us FROM waiting
        WHERE waiting.shard = wanted.shard AND waiting.lane_id = wanted.lane_id
            AND due_us >= greatest(since_us, CASE WHEN most > 0 THEN ?::bigint + 1 END)
            AND due_us < {BLOCKED}
        ORDER BY due_us, id LIMIT 1
    ) AS next
    ORDER BY place, due_us, id
"""
# How a callback goes on after an attempt.
_IS_DELIVERED, _HAS_ENDED, _WAITS_AGAIN, _GOES_ON = range(4)
_SETTLED_TYPES: Final = (
    *("bigint", "bigint", "bigint"),
    *("bigint", "bigint", "bigint", "bigint", "text", "bigint", "bigint"),
    *("double precision",) * 5,
    *("bigint",) * 7,
    "text",
)
_NO_ATTEMPT: Final = (None,) * 12
_NO_CHANGE: Final = (None,) * 8
_OF_ATTEMPT: Final = ATTEMPT_COLUMNS.removeprefix("callback_id, ")
_SETTLED: Final = f"id, run, kind, {_OF_ATTEMPT}, due_us, {_PROGRESS}, status, status_reason"
_ARRAYS: Final = ", ".join(
    f"unnest(?::{type_}[]) AS {column}"
    for column, type_ in zip(_SETTLED.split(", "), _SETTLED_TYPES, strict=True)
)
# The values are arrays with an item for each claim. Those after the run and the kind are NULL
# unless there is an attempt, and unless the callback is changed. Each claim looks its own row up,
# and nothing is joined to what was found: a join might read all rows of `open_attempts`, dead ones
# too, if the planner has last seen this table when it was empty.
SETTLE: Final = f"""
    WITH claims AS (
        SELECT {_ARRAYS}
    ), open AS (
        SELECT claims.*, found.* FROM claims JOIN LATERAL (
            SELECT ctid AS at, shard, lane_id, account_id FROM open_attempts
            WHERE open_attempts.id = claims.id AND open_attempts.run = claims.run FOR UPDATE
        ) AS found ON true
    ), closed AS (
        DELETE FROM open_attempts
        WHERE ctid = ANY (ARRAY(SELECT at FROM open WHERE kind <> {_GOES_ON}))
    ), went_on AS (
        UPDATE open_attempts SET due_us = {BEGUN}, started_us = open.updated_us,
            {", ".join(f"{column} = open.{column}" for column in _PROGRESS.split(", "))}
        FROM open WHERE open_attempts.ctid = at AND kind = {_GOES_ON}
    ), attempted AS (
        INSERT INTO attempts ({ATTEMPT_COLUMNS})
        SELECT id, {_OF_ATTEMPT} FROM open WHERE number IS NOT NULL
    ), waits AS (
        INSERT INTO waiting ({_WAITING_COLUMNS})
        SELECT {_WAITING_COLUMNS.replace("is_appointed", "false")} FROM open
        WHERE kind = {_WAITS_AGAIN}
    ), ended AS (
        INSERT INTO outcomes ({OUTCOME_COLUMNS})
        SELECT {OUTCOME_COLUMNS} FROM open WHERE kind = {_HAS_ENDED}
    )
    SELECT id FROM claims WHERE id NOT IN (SELECT id FROM open)
"""
STILL_OPEN: Final = """
    SELECT claims.id FROM unnest(?::bigint[], ?::bigint[]) AS claims (id, run) JOIN LATERAL (
        SELECT FROM open_attempts
        WHERE open_attempts.id = claims.id AND open_attempts.run = claims.run FOR UPDATE
    ) AS found ON true
"""
_LEFT_OPEN: Final = f"""
    SELECT {_UNENDED.columns}, open.run
    FROM open_attempts AS open JOIN shard_leases USING (shard) JOIN callbacks USING (id)
        {_UNENDED.states}
    WHERE worker = ? AND open.epoch < shard_leases.epoch AND open_until <= clock_timestamp()
    ORDER BY open.id
"""
# The number of lanes that one statement looks at.
_LANES_AT_ONCE: Final = 2500
_WAITING_LANES: Final = f"""
    SELECT id, account_sid, destination, CASE WHEN worker = ? THEN (
        SELECT due_us FROM waiting
        WHERE waiting.shard = part.shard AND waiting.lane_id = part.id
            AND due_us >= ? AND due_us < {BLOCKED}
        ORDER BY due_us, waiting.id LIMIT 1
    ) END AS due_us
    FROM (SELECT * FROM lanes WHERE {{}} id > ? ORDER BY id LIMIT ?) AS part
    JOIN shard_leases USING (shard)
    ORDER BY id
"""
WAITING_LANES: Final = _WAITING_LANES.format("")
# Other processes announce their callbacks often, so this reads only the lanes of a few shards.
WAITING_LANES_OF_SHARDS: Final = _WAITING_LANES.format("shard = ANY (?::bigint[]) AND")
_LONG_AGO: Final = -(2**62)


_STREAMS_SINCE: Final = 15
"""The first schema with event streams."""
_UNAWARE_SERVERS: Final = (
    "SELECT name FROM workers WHERE lease_until >= clock_timestamp()"
    f" AND coalesce((details ->> 'schema')::bigint, 1) < {_STREAMS_SINCE} ORDER BY name"
)


class PostgresCallbacks(SqlCallbacks):
    """Implements `ports.Callbacks` in PostgreSQL, for one of the processes that share it."""

    unended = _UNENDED

    def __init__(
        self,
        session: PostgresWriteBatch,
        accounts: SqlAccounts,
        responses: SqlResponseOverflows,
        *,
        own: WorkerIdentity,
        ids: RowIds,
    ) -> None:
        super().__init__(session, accounts, responses)
        self._order = PostgresOrderHeads(session, self.lane_id, own)
        self._batch = session
        self._own = own
        self._row_ids = ids

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        added = self._keyed.get((account_sid, idempotency_key))
        if added is not None:
            return added
        row = self._session.read(
            "SELECT callback_id FROM idempotency WHERE account_id = ? AND key = ?",
            (self._accounts.id_of(account_sid), idempotency_key),
        ).fetchone()
        if row is None:
            return None
        found = self._session.read_queued(
            f"SELECT {_UNENDED.columns} FROM callbacks {_UNENDED.states} WHERE callbacks.id = ?",
            [row[0]],
        ).fetchone()
        if found is None:
            # The callback has gone with its week, and its key goes a little later.
            self._session.write(
                "DELETE FROM idempotency WHERE account_id = ? AND key = ? AND callback_id = ?",
                (self._accounts.id_of(account_sid), idempotency_key, row[0]),
            )
        return found and self._read(found)

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        until, worker = to_us(now), self._own.worker
        lanes = [self._known_lane(quota.lane) for quota in quotas]
        shards = [shard_of(quota.lane.destination) for quota in quotas]
        since = [_since_us(quota.since) for quota in quotas]
        limits = [quota.limit for quota in quotas]
        run = self._ids().make()
        values = *map(Bigints, (lanes, shards, limits, since)), worker, until, run, until, until
        cursor = cast("Cursor[Any]", self._batch.write_queued(CLAIM, values))
        cursor.row_factory = tuple_row  # plain tuples are read faster
        rows: list[Any] = cursor.fetchall()
        if rows:
            self._keyed.clear()  # they are in the database now, and change there
        claims = [list[DeliveryClaim]() for _ in quotas]
        last: list[int | None] = [None] * len(quotas)
        following = last.copy()
        for row in rows:
            place: int = row[18] - 1
            if row[0] is None:
                following[place] = row[11]
                continue
            lane = quotas[place].lane
            target, events = self._target(row[2]), self.stream_events.numbered
            callback = read_callback(row, target, part_of(lane), events, now)
            account = self._account(lane.account_sid)
            due = from_us(row[11])
            claim = DeliveryClaim(callback, account, lane, row_id=row[0], run=run, due=due)
            claims[place].append(claim)
            last[place] = row[11]
        return [
            LaneClaims(own, maybe_from_us(due if len(own) == limit > 0 else next_due))
            for own, limit, due, next_due in zip(claims, limits, last, following, strict=True)
        ]

    def settle(self, settlements: Sequence[Settlement]) -> SettledAttempts:
        ids = self._ids()
        ids.make()  # it shows how old the rows are that are used again
        outdated = self._outdated_of([one for one in settlements if _needs_check(one)])
        rows, in_order = list[Row](), list[OrderedRow]()
        for settlement in settlements:
            claim, after, result, *_ = settlement
            if outdated and settlement in outdated:
                continue
            attempt: Row = _NO_ATTEMPT
            is_at_once = result is not None and is_delivered_at_once(
                after, claim.callback.date_created
            )
            if result is not None:
                delivered = to_us(after.date_updated) if is_at_once else None
                attempt = self._attempt_row(settlement, result, ids, delivered)[1:]
            change = (_IS_DELIVERED, _NO_CHANGE) if is_at_once else _change_to(after)
            rows.append((claim.row_id, claim.run, change[0], *attempt, *change[1]))
            if claim.callback.order_key is not None and after.is_ended:
                in_order.append(OrderedRow(claim.callback, claim.row_id))
        lost = self._settle(rows)
        self._responses.keep_within_budget()
        turns = self._order.end([one for one in in_order if one.row_id not in lost])
        return SettledAttempts(
            [*outdated, *(one for one in settlements if one.claim.row_id in lost)], turns
        )

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        rows = list[Row]()
        for claim in claims:
            kind, change = _change_to(put_back(claim.progress, now))
            rows.append((claim.row_id, claim.run, kind, *_NO_ATTEMPT, *change))
        self._settle(rows)

    def left_open(self) -> list[DeliveryClaim]:
        claims = list[DeliveryClaim]()
        for row in self._session.read_queued(_LEFT_OPEN, [self._own.worker]).fetchall():
            callback = self._read(row)
            account = self._account(callback.account_sid)
            lane, run = lane_of(callback), row["run"]
            claims.append(DeliveryClaim(callback, account, lane, row_id=row[0], run=run))
        return claims

    def waiting(
        self,
        *,
        after: Lane | None = None,
        limit: int | None = None,
        shards: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> list[LaneDue]:
        found, lane_id = list[LaneDue](), 0 if after is None else self._known_lane(after)
        statement = WAITING_LANES if shards is None else WAITING_LANES_OF_SHARDS
        wanted = () if shards is None else (Bigints(shards),)
        own = self._own.worker, _since_us(since or BEGINNING)
        is_over = False
        while not is_over and len(found) != limit:
            rows = self._session.read_queued(
                statement, (*own, *wanted, lane_id, _LANES_AT_ONCE)
            ).fetchall()
            for _, account_sid, destination, due in rows:
                if due is not None and len(found) != limit:
                    found.append(LaneDue(Lane(account_sid, destination), from_us(due)))
            if rows:
                lane_id = rows[-1][0]
            is_over = len(rows) < _LANES_AT_ONCE
        return found

    def may_change(self, lane: Lane) -> bool:
        # The lock keeps others from taking the shard over, and from reading the state, meanwhile.
        row = self._session.write(
            "SELECT 1 FROM shard_leases WHERE shard = ? AND worker = ? FOR SHARE",
            (shard_of(lane.destination), self._own.worker),
        ).fetchone()
        return row is not None

    def oldest_due(self, shards: Collection[int], now: datetime) -> datetime | None:
        row = self._session.read_queued(
            "SELECT min(first.due_us) AS due_us FROM lanes JOIN LATERAL ("
            " SELECT due_us FROM waiting"
            " WHERE waiting.shard = lanes.shard AND waiting.lane_id = lanes.id"
            " ORDER BY due_us LIMIT 1) AS first ON true"
            " WHERE lanes.shard = ANY (?::bigint[]) AND first.due_us <= ?",
            (Bigints(shards), to_us(now)),
        ).fetchone()
        return maybe_from_us(row["due_us"])

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        after = to_us(instant)
        rows = self._session.read_queued(
            f"SELECT {WAITING.replace('waiting.started_us', 'NULL')}"
            " FROM waiting JOIN callbacks USING (id)"
            f" WHERE due_us > ? AND due_us < {BLOCKED} AND waiting.updated_us > ?"
            " AND NOT is_appointed"
            " AND waiting.shard IN (SELECT shard FROM shard_leases WHERE worker = ?) LIMIT ?",
            (after, after, self._own.worker, limit),
        )
        return [self._read(row) for row in rows.fetchall()]

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        counts = ", ".join("count(*) FILTER (WHERE due_us < ?)" for _ in instants)
        row = self._session.read_queued(
            f"SELECT {counts} FROM waiting", [to_us(instant) for instant in instants]
        ).fetchone()
        return [*row]

    def _ids(self) -> RowIds:
        return self._row_ids

    def _unaware_servers(self) -> Sequence[str]:
        rows = self._session.read(_UNAWARE_SERVERS).fetchall()
        return [name for (name,) in map(tuple, rows)]

    def _add_lane(self, lane: Lane) -> int:
        return self._session.write(
            "INSERT INTO lanes (account_sid, destination, shard) VALUES (?, ?, ?) RETURNING id",
            (*lane, shard_of(lane.destination)),
        ).fetchone()[0]

    def _add_progress(
        self,
        callback: CallbackRecord,
        row_id: int,
        account_id: int | None,
        lane_id: int,
        place: int | None,
    ) -> None:
        progress, queue = callback.progress, self._session.queue
        if callback.idempotency_key is not None:
            queue(_KEY, (account_id, callback.idempotency_key, row_id))
        shard = shard_of(callback.url.destination)
        if progress.is_ended:
            queue(HAS_ENDED, write_outcome(progress, row_id, account_id))
        elif progress.due is None:
            where = row_id, shard, lane_id, account_id
            queue(_IS_SENT, (*where, *_counts(progress), self._own.worker))
        else:
            is_appointed = progress.due > callback.date_created
            where, due_us = (row_id, shard, lane_id), to_us(progress.due)
            row = *where, due_us, account_id, is_appointed, *_counts(progress)
            self._wait(row, callback, place)

    def _change(self, callback: CallbackRecord, row_id: int, place: int | None = None) -> None:
        progress, queue = callback.progress, self._session.queue
        account_id = self._accounts.id_of(callback.account_sid)
        queue(_WAITS_NO_MORE, (row_id,))
        queue(ENDED_NO_MORE, (row_id,))
        if progress.is_ended:
            queue(HAS_ENDED, write_outcome(progress, row_id, account_id))
        else:
            lane = lane_of(callback)
            where = row_id, shard_of(lane.destination), self.lane_id(lane)
            due_us = to_us(progress.due or progress.date_updated)
            row = *where, due_us, account_id, False, *_counts(progress)
            self._wait(row, callback, place)

    def _wait(self, row: Row, callback: CallbackRecord, place: int | None) -> None:
        """Queue a callback's row for `waiting`; with a `place`, it waits for its turn."""
        if place is None:
            self._session.queue(_WAITS, row)
        else:
            row_id, shard, lane_id, due_us, *others = row
            behind = row_id, shard, lane_id, BLOCKED, *others, callback.order_key, place, due_us
            self._session.queue(_WAITS_BEHIND, behind)

    def _settle(self, rows: Sequence[Row]) -> set[int]:
        """Save how claimed callbacks go on; return the ids of those that others have taken over."""
        values = columns_of(rows, _SETTLED_TYPES)
        return {row_id for (row_id,) in self._batch.write_queued(SETTLE, values).fetchall()}

    def _outdated_of(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Return those of these settlements whose callbacks others have taken over."""
        if not settlements:
            return []
        claims = [settlement.claim for settlement in settlements]
        places = Bigints(one.row_id for one in claims), Bigints(one.run for one in claims)
        still_open = {
            row_id for (row_id,) in self._batch.write_queued(STILL_OPEN, places).fetchall()
        }
        return [one for one in settlements if one.claim.row_id not in still_open]


def _counts(progress: DeliveryProgress) -> Row:
    """Return the values of `_PROGRESS`."""
    when, _, _, attempts, _, round_attempts, began, number = progress
    return attempts, round_attempts, number, maybe_to_us(began), to_us(when)


def _change_to(after: DeliveryProgress) -> tuple[int, Row]:
    """Return the kind of a change, and its values for `SETTLE`."""
    due, status = after.due, after.status
    if status is not CallbackStatus.SCHEDULED:
        return _HAS_ENDED, (None, *_counts(after), NUMBERS[status], after.status_reason)
    if due is None:
        return _GOES_ON, (None, *_counts(after), None, None)
    return _WAITS_AGAIN, (to_us(due), *_counts(after), None, None)


def _since_us(since: datetime) -> int:
    return _LONG_AGO if since == BEGINNING else to_us(since)


def _needs_check(settlement: Settlement) -> bool:
    """Return True if the settlement also changes rows that are not fenced by the claim's run."""
    result = settlement.result
    if result is None or result.response is None:
        return False
    return settlement.claim.progress.attempt_count > 1 or is_long(result.response)
