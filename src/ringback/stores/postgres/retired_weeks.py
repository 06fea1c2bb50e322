"""Removes what has expired from old weeks, by replacing the partitions of whole weeks.

Once most rows of a week have expired, those that are still kept are copied to a new table, which
then takes the partition's place. This frees the space at once, and takes less work than to delete
rows. Tables are replaced by these rules:

- Nobody waits long. The rows are copied without a lock. Only the exchange needs one that keeps all
  others out, for some milliseconds, and gives up if it does not get it soon: then others go on, and
  it is tried again. So a long transaction of somebody else, such as `pg_dump`, delays the exchange,
  and nothing else. PostgreSQL never ends somebody's transaction because of it: the limit on waiting
  is shorter than the time after which it looks for deadlocks.
- What others change meanwhile is not lost. Triggers on the old partition note the callbacks that
  are changed, and these are copied again during the exchange. No transaction is changing others
  then, since it would have a lock on the tables.
- Everybody sees the rows that are kept, also transactions that began before the exchange: the rows
  are copied with FREEZE. Those transactions see no expired rows any more, unless they have read
  from the tables before; then the exchange waits for their end.
- A callback without attempts has an outcome, so that everything that reads callbacks goes on as
  before. If its attempt was all that said how it ended, it gets one.
- All tables of a week are exchanged by one commit. A process can be killed at any point, and the
  next call goes on. Only the replaced tables (`..._gone`), and what belongs to their rows in tables
  without partitions (`_CLEAN`), are removed afterwards; nobody finds them any more.

Rows that others refer to (`interned_rows`) are used again for a day. So they go when the week after
theirs has gone, except those to which the remaining rows of all older weeks refer.

A replaced partition has a comment, its *mark*. It is looked at again after a week, or if the times
have changed since, so that the rows that were kept also go.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from time import perf_counter, sleep
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.errors import StoreUnavailable, reason_of
from ringback.core.retention import RetentionPolicy, RetentionTimes
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Bigints, Connection, execute
from ringback.stores.postgres.partitions import PARTITIONED, begin_of, ids_of_week
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.callback_rows import NUMBERS, OUTCOME_COLUMNS
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.write_batch import SqlResult

_log = logging.getLogger(__name__)

_WEEK: Final = timedelta(weeks=1)
_DAY: Final = timedelta(days=1)
_IDS_OF_A_DAY: Final = ids_in(hours=24)
_TRIES: Final = (*((10, 0.1),) * 10, *((50, 0.5),) * 10, *((200, 2.0),) * 30)
"""How long to wait for a lock, in milliseconds, and how long to leave others alone afterwards.

That is in seconds. Those who come while it is waited for wait as well. PostgreSQL looks for
deadlocks only after a second, so it is never another transaction that has to end.
"""
_FIRST_TRIES: Final = _TRIES[:12]
_CHUNK: Final = 2_000
"""The number of rows that are copied, or cleaned up after, at once."""
_MOST_WEEKS: Final = 4
"""The number of weeks of a table that are exchanged at once, by one commit."""


class RetiredWeek(NamedTuple):
    """A week from which everything that had expired was removed."""

    tables: tuple[str, ...]
    """The tables whose partitions were replaced or dropped."""
    begins: datetime
    kept: int
    """The number of rows that were kept, of the first of these tables; 0 if nothing was."""
    freed: int
    """The number of bytes that the partitions now take less."""
    locked: float
    """Seconds for which nobody else could use the tables."""

    def __str__(self) -> str:
        """Say what was done."""
        return (
            f"removed {self.freed / 1e6:.1f} MB from {', '.join(self.tables)} of the week from"
            f" {self.begins:%Y-%m-%d}; {self.kept} rows were kept, and others waited for up to"
            f" {self.locked * 1000:.0f} ms"
        )


def retire_weeks(
    connect: Callable[[], Connection],
    policy: RetentionPolicy,
    now: datetime,
    *,
    pause: Callable[[float], None] = sleep,
) -> Iterator[RetiredWeek]:
    """Replace the partitions of all weeks that are due; yield each when that is done.

    A week is due when the server's time for it has passed since its end. Accounts with longer times
    keep their rows; those with shorter times keep them until then. `pause` waits for some seconds.

    This takes long, and blocks: call it in a thread. It can be left after each week, and killed at
    any point. If another process does the same, or others hold the tables for long, it ends early.
    Raises StoreUnavailable if the database can't be used.
    """
    try:
        with connect() as connection:
            yield from _Retirement(connection, policy, now, pause).run()
    except _Busy as busy:
        _log.info("old weeks are removed later: %s", busy)
    except psycopg.Error as failure:
        raise StoreUnavailable(
            f"the database can't be used just now: {reason_of(failure)}"
        ) from failure


_OF_LOCKS: Final = errors.LockNotAvailable, errors.DeadlockDetected


class _Busy(Exception):
    """Others need the tables, or do the same work."""


class _Table(NamedTuple):
    name: str
    key: str = "id"
    """The column by which `kept` names its rows."""
    is_part: bool = False
    """True if only the rows stay that `kept` names with `has_part`."""
    primary: tuple[str, ...] = ("id",)
    """The columns of its primary key."""


_ATTEMPTS: Final = _Table(
    "attempts", "callback_id", is_part=True, primary=("callback_id", "number")
)
_OUTCOMES: Final = _Table("outcomes")
_CALLBACKS: Final = (_Table("callbacks"), _OUTCOMES, _ATTEMPTS)
_RESULTS: Final = _Table("attempt_results")
_ANSWERS: Final = _Table("answer_bodies", is_part=True)


class _Leaf(NamedTuple):
    """The partition of a table for a week."""

    table: _Table
    begins: datetime

    @property
    def name(self) -> str:
        return f"{self.table.name}_{self.begins:%Y%m%d}"


class _Work(NamedTuple):
    """Weeks to look at, and what to keep of them."""

    tables: tuple[_Table, ...]
    weeks: Sequence[datetime]
    keep: str
    """The query for the ids to keep, each with whether its part is kept as well."""
    is_of_callbacks: bool = False
    """True if others may change the rows: these belong to callbacks."""
    stays: bool = False
    """True if the partition stays even if it is empty."""


class _Mark(NamedTuple):
    """What the comment of a partition says."""

    next_us: int
    """When to look at it again."""
    policy: str
    """Identifies the times that were in force."""


# What belongs to a callback is kept until these times, in microseconds; NULL means forever. If only
# its first attempt says when it was delivered, `at_once_us` says that, too.
_UNTIL: Final = """
    SELECT id, at_once_us, ended + kept_for AS until,
        least(ended + kept_for, ended + attempts) AS attempts_until,
        least(ended + kept_for, ended + attempts, ended + answers) AS answers_until
    FROM (
        SELECT callbacks.id, attempts, answers,
            CASE WHEN live.id IS NULL THEN coalesce(outcomes.updated_us, first.delivered_us) END
                AS ended,
            CASE WHEN live.id IS NULL AND outcomes.id IS NULL THEN first.delivered_us END
                AS at_once_us,
            CASE WHEN outcomes.status > 1 THEN undelivered ELSE delivered END AS kept_for
        FROM {callbacks} AS callbacks
        LEFT JOIN {outcomes} AS outcomes ON outcomes.id = callbacks.id
        LEFT JOIN {attempts} AS first ON first.callback_id = callbacks.id AND first.number = 1
        LEFT JOIN (
            SELECT id FROM waiting UNION ALL SELECT id FROM open_attempts
        ) AS live ON live.id = callbacks.id
        LEFT JOIN times ON times.account_id = callbacks.account_id
    ) AS known
"""
_PARTITIONS: Final = """
    SELECT parent.relname::text, part.relname::text, obj_description(part.oid, 'pg_class')
    FROM pg_inherits
    JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relnamespace = current_schema()::regnamespace
        AND parent.relname = ANY (?::text[])
"""
_TIMES: Final = """
    CREATE TEMP TABLE times (
        account_id bigint PRIMARY KEY, answers bigint, attempts bigint, delivered bigint,
        undelivered bigint
    ) ON COMMIT DROP
"""
_OWN_TIMES: Final = """
    UPDATE times SET answers = own.answers, attempts = own.attempts, delivered = own.delivered,
        undelivered = own.undelivered
    FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
        AS own (sid, answers, attempts, delivered, undelivered)
    JOIN accounts ON accounts.sid = own.sid
    WHERE account_id = accounts.id
"""
# If a callback stays that its first attempt delivered, but the attempt goes, this says how it
# ended.
_NEW_OUTCOMES: Final = f"""
    SELECT kept.id, account_id, {NUMBERS[CallbackStatus.DELIVERED]}::bigint, NULL::text, 1::bigint,
        0::bigint, at_once_us
    FROM kept JOIN {{callbacks}} AS callback ON callback.id = kept.id
    WHERE kept.id > {{after}} AND kept.id <= {{last}} AND at_once_us IS NOT NULL
        AND callback.id > {{after}} AND callback.id <= {{last}}
"""
# Which callbacks of a week may have changed since its rows were copied. One that was delivered
# at once is replayed without a change of the partitions; then it waits, and is not appointed.
_CHANGED: Final = """
    WITH found AS (INSERT INTO changed
    SELECT id FROM retirement_changes WHERE id >= {first} AND id < {end}
    UNION SELECT id FROM waiting
        WHERE id >= {first} AND id < {end} AND NOT is_appointed
            AND NOT EXISTS (SELECT FROM kept WHERE kept.id = waiting.id AND has_part)
    UNION SELECT id FROM open_attempts
        WHERE id >= {first} AND id < {end}
            AND NOT EXISTS (SELECT FROM kept WHERE kept.id = open_attempts.id AND has_part)
    RETURNING id) SELECT count(*) FROM found
"""
# Whether one of the new tables has other columns or indexes than the old one.
_DIFFERS: Final = """
    SELECT count(*) > count(*) FILTER (WHERE of_old = of_new) FROM (
        SELECT (
            SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
            WHERE attrelid = old::regclass AND attnum > 0 AND NOT attisdropped
        ) || (SELECT count(*)::text FROM pg_index WHERE indrelid = old::regclass) AS of_old, (
            SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
            WHERE attrelid = new::regclass AND attnum > 0 AND NOT attisdropped
        ) || (SELECT count(*)::text FROM pg_index WHERE indrelid = new::regclass) AS of_new
        FROM unnest(?::text[], ?::text[]) AS pair (old, new)
    ) AS shapes
"""
# A transaction with an older snapshot sees the row as it was then, and never both.
_CHANGE: Final = """
    WITH gone AS (
        DELETE FROM {new} AS new USING changed
        WHERE new.{key} = changed.id AND NOT EXISTS (
            SELECT FROM {old} AS old
            WHERE {is_same} AND ({old_columns}) IS NOT DISTINCT FROM ({new_columns})
        ) RETURNING {deleted}
    )
    INSERT INTO {new} ({columns}) SELECT {old_columns} FROM {old} AS old JOIN gone USING ({primary})
"""
# Copies from other sources go together with the attempts of their callbacks.
_REMOVE_COPIES: Final = """
    WITH gone AS (
        DELETE FROM shadows USING {callbacks} AS callback
        WHERE callback_sid = callback.sid COLLATE "default" AND NOT EXISTS (
            SELECT FROM kept WHERE kept.id = callback.id AND has_part
        ) RETURNING seq, shadows.sid
    )
    INSERT INTO {copies} SELECT * FROM gone
"""
# Nobody finds these rows: the callback, attempt or copy to which they belong has gone. The SIDs of
# callbacks have another collation, with which the indexes of the others can't be used.
_CLEAN: Final = {
    "callbacks": """
        WITH piece AS MATERIALIZED (
            SELECT * FROM {gone} WHERE id > ? ORDER BY id LIMIT ?
        ), callback AS MATERIALIZED (
            SELECT id, account_id, idempotency_key, sid COLLATE "default" AS sid FROM piece
            WHERE NOT EXISTS (SELECT FROM callbacks WHERE callbacks.id = piece.id)
        ), keys AS (
            DELETE FROM idempotency USING callback
            WHERE idempotency.account_id = callback.account_id AND key = callback.idempotency_key
                AND callback_id = callback.id
        ), long AS (
            DELETE FROM long_responses USING callback WHERE long_responses.sid = callback.sid
        ), rest AS (
            DELETE FROM kept_responses USING callback WHERE kept_responses.sid = callback.sid
        )
        SELECT max(id) FROM piece
    """,
    "attempts": """
        WITH piece AS MATERIALIZED (
            SELECT callback_id, number FROM {gone} WHERE callback_id > ?
            ORDER BY callback_id FETCH FIRST (?) ROWS WITH TIES
        ), attempt AS MATERIALIZED (
            SELECT sid COLLATE "default" AS sid, number
            FROM piece JOIN callbacks ON callbacks.id = callback_id
            WHERE NOT EXISTS (
                SELECT FROM attempts
                WHERE attempts.callback_id = piece.callback_id AND attempts.number = piece.number
            )
        ), long AS (
            DELETE FROM long_responses USING attempt
            WHERE long_responses.sid = attempt.sid AND long_responses.number = attempt.number
        ), rest AS (
            DELETE FROM kept_responses USING attempt
            WHERE kept_responses.sid = attempt.sid AND kept_responses.number = attempt.number
        )
        SELECT max(callback_id) FROM piece
    """,
    "shadows": """
        WITH piece AS MATERIALIZED (
            SELECT * FROM {gone} WHERE id > ? ORDER BY id LIMIT ?
        ), long AS (
            DELETE FROM long_responses USING piece WHERE long_responses.sid = piece.sid
        ), rest AS (
            DELETE FROM kept_responses USING piece WHERE kept_responses.sid = piece.sid
        )
        SELECT max(id) FROM piece
    """,
}
_HAS_LONG_ANSWERS: Final = (
    "SELECT EXISTS (SELECT FROM long_responses) OR EXISTS (SELECT FROM kept_responses)"
)
_HAS_KEYS: Final = f"{_HAS_LONG_ANSWERS} OR EXISTS (SELECT FROM idempotency)"


class _Retirement:
    """One pass over all weeks, on a connection of its own."""

    def __init__(
        self,
        connection: Connection,
        policy: RetentionPolicy,
        now: datetime,
        pause: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._now_us = to_us(now)
        self._now = now
        self._pause = pause
        shown = repr((policy.server, sorted(policy.accounts.items())))
        self._policy_id = sha256(shown.encode()).hexdigest()[:16]
        self._marks = dict[str, dict[datetime, _Mark | None]]()
        """The partitions of each table, with their marks."""
        self._columns_of = dict[str, Sequence[str]]()
        self._is_over: Callable[[datetime], bool] = bool
        """Says whether no new rows can come to a week any more, which begins then."""

    def run(self) -> Iterator[RetiredWeek]:
        """Look at all weeks that are due; yield those from which something was removed."""
        self._clean_up()
        self._read_marks()
        for work in self._works():
            is_done = False
            while not is_done:
                done = self._do(work)
                self._clean_up()
                yield from done
                is_done = len(done) < _MOST_WEEKS

    # ---- which weeks are due ---------------------------------------------------------------------

    def _works(self) -> Iterator[_Work]:
        """Yield what is due; each time, this looks at what the work before has changed."""
        server = self._policy.server
        ends = [time for time in (server.delivered, server.undelivered) if time is not None]
        for begins in sorted(self._marks["callbacks"]):
            if self._is_due("callbacks", begins, min(ends, default=None)):
                yield self._callbacks(begins)
            elif self._is_due("attempts", begins, server.attempts):
                yield self._attempts(begins)
        if weeks := self._due_weeks("answer_bodies", server.answers and server.answers + _DAY):
            yield self._answers(weeks)
        # Without a time of their own, these go when nothing refers to them any more.
        if weeks := self._unused_weeks("attempt_results", "attempts", since=None):
            yield self._results(weeks)
        if weeks := self._unused_weeks("request_heads", "attempts", since=None):
            yield self._heads(weeks)
        if weeks := self._unused_weeks("callback_targets", "callbacks", since=-_WEEK):
            yield self._targets(weeks)
        if weeks := self._unused_weeks("bodies", "callbacks", since=None):
            yield self._bodies(weeks)

    def _is_due(self, table: str, begins: datetime, time: timedelta | None) -> bool:
        if not self._is_over(begins):
            return False
        mark = self._marks[table].get(begins)
        if mark is not None:
            return mark.policy != self._policy_id or mark.next_us <= self._now_us
        return time is not None and begins + _WEEK + time <= self._now

    def _due_weeks(self, table: str, time: timedelta | None) -> list[datetime]:
        return [week for week in sorted(self._marks[table]) if self._is_due(table, week, time)]

    def _unused_weeks(self, table: str, users: str, *, since: timedelta | None) -> list[datetime]:
        """Return the weeks of rows that are due because the rows that used them have gone.

        Only rows of the same week, of the day after it, and of earlier weeks can use a row; of
        these, those of weeks that begin at `since` after it, or of all earlier weeks.
        """
        self._read_marks()
        unfinished = [week for week, mark in self._marks[users].items() if mark is None]
        return [
            week
            for week in self._due_weeks(table, timedelta(0))
            if not any(
                one <= week + _WEEK and (since is None or one >= week + since) for one in unfinished
            )
        ]

    def _read_marks(self) -> None:
        (now,) = self._run("SELECT clock_timestamp()").fetchone()
        self._is_over = lambda begins: begins + _WEEK + 2 * _DAY <= now
        self._marks.clear()
        self._marks.update({table: {} for table in PARTITIONED})
        for table, name, comment in self._run(_PARTITIONS, [[*PARTITIONED]]):
            self._marks[table][begin_of(name)] = _read_mark(comment)

    # ---- what is kept ----------------------------------------------------------------------------

    def _callbacks(self, begins: datetime) -> _Work:
        keep = f"{self._kept_callbacks(begins)} WHERE coalesce(until > {self._now_us}, true)"
        return _Work(_CALLBACKS, [begins], keep, is_of_callbacks=True)

    def _attempts(self, begins: datetime) -> _Work:
        # A callback that stays needs these partitions, even if they are empty.
        keep = self._kept_callbacks(begins)
        return _Work((_ATTEMPTS, _OUTCOMES), [begins], keep, is_of_callbacks=True, stays=True)

    def _kept_callbacks(self, begins: datetime) -> str:
        leaves = {table.name: _Leaf(table, begins).name for table in _CALLBACKS}
        has_attempts = f"coalesce(attempts_until > {self._now_us}, true)"
        return (
            f"SELECT id, {has_attempts}, CASE WHEN NOT {has_attempts} THEN at_once_us END"
            f" FROM ({_UNTIL.format(**leaves)}) AS callback"
        )

    def _answers(self, weeks: Sequence[datetime]) -> _Work:
        used = self._used_results(weeks)
        keep = f"SELECT result_id, true FROM ({used}) AS used WHERE has_part"
        return _Work((_ANSWERS,), weeks, keep)

    def _results(self, weeks: Sequence[datetime]) -> _Work:
        return _Work((_RESULTS, _ANSWERS), weeks, self._used_results(weeks))

    def _heads(self, weeks: Sequence[datetime]) -> _Work:
        first, end = _ids_of(weeks)
        keep = (
            "SELECT DISTINCT head_id, true FROM attempts"
            f" WHERE callback_id < {end + 2 * _IDS_OF_A_DAY}"
            f" AND head_id >= {first} AND head_id < {end}"
        )
        return _Work((_Table("request_heads"),), weeks, keep)

    def _targets(self, weeks: Sequence[datetime]) -> _Work:
        first, end = _ids_of(weeks)
        keep = (
            "SELECT DISTINCT target_id, true FROM callbacks"
            f" WHERE id >= {first - _IDS_OF_A_DAY} AND id < {end + 2 * _IDS_OF_A_DAY}"
            f" AND target_id >= {first} AND target_id < {end}"
        )
        return _Work((_Table("callback_targets"),), weeks, keep)

    def _bodies(self, weeks: Sequence[datetime]) -> _Work:
        # Nothing writes such rows so far, so only empty partitions go.
        first, end = _ids_of(weeks)
        keep = f"SELECT id, true FROM bodies WHERE id >= {first} AND id < {end}"
        return _Work((_Table("bodies"),), weeks, keep)

    def _used_results(self, weeks: Sequence[datetime]) -> str:
        """Return the query for the results in use, with whether an answer's body is, too."""
        first, end = _ids_of(weeks)
        last = end + 2 * _IDS_OF_A_DAY
        until = _UNTIL.format(
            callbacks=f"(SELECT * FROM callbacks WHERE id < {last})",
            outcomes=f"(SELECT * FROM outcomes WHERE id < {last})",
            attempts=f"(SELECT * FROM attempts WHERE callback_id < {last})",
        )
        return (
            "SELECT result_id, coalesce(bool_or(coalesce(answers_until > "
            f"{self._now_us}, true)), false) AS has_part"
            f" FROM attempts JOIN ({until}) AS callback ON callback.id = callback_id"
            f" WHERE callback_id < {last} AND result_id >= {first} AND result_id < {end}"
            " GROUP BY result_id"
        )

    # ---- replacing ------------------------------------------------------------------------------

    def _do(self, work: _Work) -> list[RetiredWeek]:
        """Replace the partitions of which something goes; return the weeks that were changed."""
        if work.is_of_callbacks:
            self._note_changes(work)
        with self._connection.transaction():
            self._run("SET LOCAL statement_timeout = 0")
            self._run("SET LOCAL idle_in_transaction_session_timeout = 0")
            if not schema.hold_for_retirement(self._connection):
                raise _Busy("another process removes old weeks, or copies all data")
            self._read_marks()
            self._columns_of.clear()
            self._refuse_if_others_use(work)
            first, end = _ids_of(work.weeks)
            # Data that was copied to another place refuses this. And what was noted before does
            # not matter, because the rows are copied only now.
            self._run(f"DELETE FROM retirement_changes WHERE id >= {first} AND id < {end}")
            self._list_what_is_kept(work)
            changing = self._leaves_that_change(work)
            if not changing:
                return []
            for leaf in changing:
                self._copy(leaf)
            if work.is_of_callbacks:
                self._remove_copies(*work.weeks)
            done = [self._plan(changing, begins, work) for begins in work.weeks]
            locked_at = self._lock(work, changing)
            done = [self._exchange(one, work) for one in done if one.tables]
        locked = perf_counter() - locked_at
        return [one._replace(locked=locked) for one in done]

    def _note_changes(self, work: _Work) -> None:
        """Have triggers note the changes of a week's callbacks from now on."""
        (begins,) = work.weeks
        names = [_Leaf(table, begins).name for table in work.tables]
        with self._connection.transaction():
            self._lock_tables(", ".join(names), "SHARE ROW EXCLUSIVE")
            for table, name in zip(work.tables, names, strict=True):
                self._run(
                    f"CREATE OR REPLACE TRIGGER note_changes"
                    f" AFTER INSERT OR UPDATE OR DELETE ON {name}"
                    f" FOR EACH ROW EXECUTE FUNCTION note_retirement_change('{table.key}')"
                )

    def _refuse_if_others_use(self, work: _Work) -> None:
        """Raise _Busy if the exchange could not be done now, before all the work for it."""
        parents = _parents(work)
        for timeout, wait in _FIRST_TRIES:
            try:
                with self._connection.transaction(force_rollback=True):
                    self._run(f"SET LOCAL lock_timeout = {timeout}")
                    self._run(f"LOCK TABLE {parents} IN ACCESS EXCLUSIVE MODE")
                    return
            except _OF_LOCKS:
                self._pause(wait)
        raise _Busy(f"others have used {parents} all the time, or one of them for long")

    def _list_what_is_kept(self, work: _Work) -> None:
        """Make the table `kept`."""
        self._run(_TIMES)
        server, own = self._policy.server, self._policy.accounts
        self._run(
            "INSERT INTO times SELECT id, ?::bigint, ?::bigint, ?::bigint, ?::bigint FROM accounts",
            _in_us(server),
        )
        columns = zip(*map(_in_us, own.values()), strict=True) if own else ((),) * 4
        self._run(_OWN_TIMES, [[*own], *map(Bigints, columns)])
        self._run(
            "CREATE TEMP TABLE kept (id bigint PRIMARY KEY, has_part boolean, at_once_us bigint)"
            " ON COMMIT DROP"
        )
        self._run("CREATE TEMP TABLE changed (id bigint PRIMARY KEY) ON COMMIT DROP")
        self._run("ANALYZE times")
        self._run(f"INSERT INTO kept {work.keep}")
        self._run("ANALYZE kept")

    def _leaves_that_change(self, work: _Work) -> list[_Leaf]:
        """Return the partitions that are replaced or dropped, and mark those that are not.

        They are of a limited number of weeks; the others are left for the next call.
        """
        found, weeks = list[_Leaf](), 0
        for begins in work.weeks:
            leaves = [_Leaf(table, begins) for table in work.tables]
            leaves = [leaf for leaf in leaves if begins in self._marks[leaf.table.name]]
            changing = leaves
            if self._stays(begins, work) or self._keeps_some(begins):
                changing = [leaf for leaf in leaves if self._changes(leaf)]
            for leaf in leaves:
                if leaf not in changing:
                    self._run(self._marking(leaf.name))
            found += changing
            weeks += bool(changing)
            if weeks == _MOST_WEEKS:
                break
        return found

    def _keeps_some(self, begins: datetime) -> bool:
        first, end = ids_of_week(begins)
        return self._value(f"SELECT EXISTS (SELECT FROM kept WHERE id >= {first} AND id < {end})")

    def _stays(self, begins: datetime, work: _Work) -> bool:
        """Return True if a partition stays though it is empty; else it would be made again."""
        return work.stays or not self._is_over(begins + _WEEK)

    def _changes(self, leaf: _Leaf) -> bool:
        """Return True if a partition loses rows, or gets outcomes."""
        if leaf.table == _OUTCOMES and self._value(
            "SELECT EXISTS (SELECT FROM kept WHERE at_once_us IS NOT NULL)"
        ):
            return True
        part = "AND has_part" if leaf.table.is_part else ""
        return self._value(
            f"SELECT EXISTS (SELECT FROM {leaf.name} AS one WHERE NOT EXISTS"
            f" (SELECT FROM kept WHERE kept.id = one.{leaf.table.key} {part}))"
        )

    def _copy(self, leaf: _Leaf) -> None:
        """Copy the rows that are kept to a new table, without a lock."""
        first, end = ids_of_week(leaf.begins)
        new, key = f"{leaf.name}_new", leaf.table.key
        self._run(f"CREATE TABLE {new} (LIKE {leaf.table.name} INCLUDING ALL)")
        # With it, nobody has to wait until the rows are checked when the table is attached.
        self._run(
            f"ALTER TABLE {new} ADD CONSTRAINT of_week CHECK ({key} >= {first} AND {key} < {end})"
        )
        self._run("SET LOCAL enable_seqscan = off")
        part = "AND has_part" if leaf.table.is_part else ""
        after = first - 1
        while True:
            last = self._value(
                f"SELECT max(id) FROM (SELECT id FROM kept WHERE id > {after} AND id < {end} {part}"
                f" ORDER BY id LIMIT {_CHUNK}) AS next"
            )
            if last is None:
                break
            self._copy_rows(
                leaf,
                f"JOIN kept ON kept.id = one.{key}"
                # Both ranges, since the planner does not conclude one from the other.
                f" WHERE kept.id > {after} AND kept.id <= {last} {part}"
                f" AND one.{key} > {after} AND one.{key} <= {last} ORDER BY one.{key}",
            )
            if leaf.table == _OUTCOMES:
                self._copy_into(
                    leaf,
                    OUTCOME_COLUMNS,
                    _NEW_OUTCOMES.format(
                        callbacks=_Leaf(_CALLBACKS[0], leaf.begins).name, after=after, last=last
                    ),
                )
            after = last
            if self._value(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
            ):
                raise _Busy(f"others wait for {leaf.name}")
            self._pause(0)
        self._run("SET LOCAL enable_seqscan TO DEFAULT")
        self._run(f"ANALYZE {new}")

    def _copy_rows(self, leaf: _Leaf, which: str) -> None:
        """Copy some rows to the new table."""
        columns = self._columns(leaf.table.name)
        ours = ", ".join(f"one.{name}" for name in columns)
        query = f"SELECT {ours} FROM {leaf.name} AS one {which}"
        self._copy_into(leaf, ", ".join(columns), query)

    def _copy_into(self, leaf: _Leaf, columns: str, query: str) -> None:
        """Add the rows that a query finds to the new table, so that all transactions see them."""
        cursor = self._connection.cursor()
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode()) as copy:
            blocks = [bytes(block) for block in copy]
        into = f"COPY {leaf.name}_new ({columns}) FROM STDIN (FORMAT BINARY, FREEZE)"
        with cursor.copy(into.encode()) as copy:
            for block in blocks:
                copy.write(block)

    def _remove_copies(self, begins: datetime) -> None:
        """Remove the copies from other sources whose callbacks or attempts go."""
        if self._value("SELECT EXISTS (SELECT FROM shadows)"):
            gone = f"shadows_{begins:%Y%m%d}_gone"
            self._run(f"CREATE TABLE {gone} (id bigint PRIMARY KEY, sid text NOT NULL)")
            callbacks = _Leaf(_CALLBACKS[0], begins).name
            self._run(_REMOVE_COPIES.format(callbacks=callbacks, copies=gone))

    def _lock(self, work: _Work, changing: Sequence[_Leaf]) -> float:
        """Keep everybody out of the tables; return since when."""
        names = ", ".join([_parents(work), *(f"ONLY {leaf.name}" for leaf in changing)])
        self._lock_tables(names, "ACCESS EXCLUSIVE")
        locked_at = perf_counter()
        old = [leaf.name for leaf in changing]
        if self._value(_DIFFERS, [old, [f"{name}_new" for name in old]]):
            raise _Busy("an upgrade has changed the tables")
        return locked_at

    def _lock_tables(self, names: str, mode: str) -> None:
        """Take locks until the end of the transaction; raises _Busy if others don't let go."""
        for timeout, wait in _TRIES:
            try:
                with self._connection.transaction():
                    self._run(f"SET LOCAL lock_timeout = {timeout}")
                    # In this order, as all others who change tables.
                    if schema.hold_schema(self._connection):
                        self._run(f"LOCK TABLE {names} IN {mode} MODE")
                        return
            except _OF_LOCKS as failure:
                _log.debug("no lock on %s yet: %s", names, reason_of(failure))
            self._pause(wait)
        raise _Busy(f"others have used {names} all the time, or one of them for long")

    def _plan(self, changing: Sequence[_Leaf], begins: datetime, work: _Work) -> RetiredWeek:
        """Return the result for a week; a few more rows can be kept in the end."""
        leaves = [leaf for leaf in changing if leaf.begins == begins]
        if not leaves:
            return RetiredWeek((), begins, 0, 0, 0.0)
        names = [leaf.name for leaf in leaves]
        before, after = (
            self._value(
                "SELECT sum(pg_total_relation_size(name::regclass))::bigint"
                " FROM unnest(?::text[]) AS name",
                [[f"{name}{end}" for name in names]],
            )
            for end in ("", "_new")
        )
        kept = self._value(f"SELECT count(*) FROM {names[0]}_new")
        tables = tuple(leaf.table.name for leaf in leaves)
        freed = before - after if self._is_replaced(leaves, kept, work) else before
        return RetiredWeek(tables, begins, kept, freed, 0.0)

    def _is_replaced(self, leaves: Sequence[_Leaf], kept: int, work: _Work) -> bool:
        """Return True if new partitions take the place of these; else these are dropped."""
        first = leaves[0]
        return kept > 0 or first.table != work.tables[0] or self._stays(first.begins, work)

    def _exchange(self, plan: RetiredWeek, work: _Work) -> RetiredWeek:
        """Under the lock, put the new tables of a week into the places of the old ones."""
        begins, kept = plan.begins, plan.kept
        leaves = [_Leaf(one, begins) for one in work.tables if one.name in plan.tables]
        first, end = ids_of_week(begins)
        if work.is_of_callbacks and self._value(_CHANGED.format(first=first, end=end)):
            for leaf in leaves:
                self._copy_again(leaf)
            kept = self._value(f"SELECT count(*) FROM {leaves[0].name}_new")
        is_replaced = self._is_replaced(leaves, kept, work)
        statements = list[str]()
        for leaf in leaves:
            table, name = leaf.table.name, leaf.name
            statements += [
                f"ALTER TABLE {table} DETACH PARTITION {name}",
                f"ALTER TABLE {name} RENAME TO {name}_gone",
            ]
            if is_replaced:
                statements += [
                    f"ALTER TABLE {name}_new RENAME TO {name}",
                    f"ALTER TABLE {table} ATTACH PARTITION {name}"
                    f" FOR VALUES FROM ({first}) TO ({end})",
                    f"ALTER TABLE {name} DROP CONSTRAINT of_week",
                    self._marking(name),
                ]
            else:
                statements.append(f"DROP TABLE {name}_new")
        self._connection.execute("; ".join(statements).encode())
        return plan._replace(kept=kept)

    def _copy_again(self, leaf: _Leaf) -> None:
        """Bring the rows of callbacks up to date that others have changed since the copy."""
        table, new, old = leaf.table, f"{leaf.name}_new", leaf.name
        columns, primary = self._columns(table.name), table.primary
        is_same = " AND ".join(f"old.{name} = new.{name}" for name in primary)
        self._run(
            _CHANGE.format(
                new=new,
                old=old,
                key=table.key,
                is_same=is_same,
                primary=", ".join(primary),
                deleted=", ".join(f"new.{name}" for name in primary),
                columns=", ".join(columns),
                old_columns=", ".join(f"old.{name}" for name in columns),
                new_columns=", ".join(f"new.{name}" for name in columns),
            )
        )
        here = is_same.replace("old.", "one.")
        self._copy_rows(
            leaf,
            f"JOIN changed ON changed.id = one.{table.key}"
            f" WHERE NOT EXISTS (SELECT FROM {new} AS new WHERE {here})",
        )

    def _marking(self, name: str) -> str:
        """Return the statement that notes that a partition was looked at."""
        mark = _Mark(self._now_us + _WEEK // timedelta(microseconds=1), self._policy_id)
        return f"COMMENT ON TABLE {name} IS '{json.dumps(mark._asdict())}'"

    # ---- cleaning up ----------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """Remove the replaced tables, and what belongs to their rows."""
        tables = "|".join([*PARTITIONED, "shadows"])
        found = self._run(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            " AND relkind = 'r' AND NOT relispartition AND relname ~ ? ORDER BY relname DESC",
            [rf"^({tables})_[0-9]{{8}}_gone$"],
        )
        for (name,) in found.fetchall():
            table = name.removesuffix("_gone")[:-9]
            has_more = _HAS_KEYS if table == "callbacks" else _HAS_LONG_ANSWERS
            if table in _CLEAN and self._value(has_more):
                self._clean_up_after(name, _CLEAN[table].format(gone=name))
            self._run(f"DROP TABLE IF EXISTS {name}")

    def _clean_up_after(self, gone: str, statement: str) -> None:
        after: int | None = -1
        while after is not None:
            began = perf_counter()
            try:
                with self._connection.transaction():
                    # The planner knows nothing of the pieces, and little of the tables.
                    for kind in ("seqscan", "hashjoin", "mergejoin"):
                        self._run(f"SET LOCAL enable_{kind} = off")
                    after = self._value(statement, [after, _CHUNK])
            except _OF_LOCKS as failure:
                _log.debug("what belongs to %s is removed again: %s", gone, reason_of(failure))
            self._pause(perf_counter() - began)

    # ---- statements -----------------------------------------------------------------------------

    def _columns(self, table: str) -> Sequence[str]:
        if table not in self._columns_of:
            rows = self._run(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = ?::regclass AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum",
                [table],
            )
            self._columns_of[table] = [name for (name,) in rows]
        return self._columns_of[table]

    def _run(self, statement: str, values: Sequence[object] = ()) -> SqlResult:
        return execute(self._connection, statement, values, prepare=False)

    def _value(self, query: str, values: Sequence[object] = ()) -> Any:
        (value,) = self._run(query, values).fetchone()
        return value


def _parents(work: _Work) -> str:
    return ", ".join(f"ONLY {table.name}" for table in work.tables)


def _ids_of(weeks: Sequence[datetime]) -> tuple[int, int]:
    """Return the first id of some weeks, and the first id after them."""
    return ids_of_week(min(weeks))[0], ids_of_week(max(weeks))[1]


def _in_us(times: RetentionTimes) -> list[int | None]:
    return [None if time is None else time // timedelta(microseconds=1) for time in times]


def _read_mark(comment: str | None) -> _Mark | None:
    if comment is None or not comment.startswith('{"next_us"'):
        return None
    return _Mark(**json.loads(comment))
