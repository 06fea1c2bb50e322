"""Puts tables with what is kept of old weeks into the places of their partitions.

- Nobody waits long. The rows are copied without a lock. Only the exchange needs one that keeps all
  others out, for some milliseconds, and gives up if it does not get it soon: then others go on, and
  it is tried again. So a long transaction of somebody else, such as `pg_dump`, delays the exchange,
  and nothing else. PostgreSQL never ends somebody's transaction because of it: the limit on waiting
  is shorter than the time after which it looks for deadlocks.
- What others change meanwhile is not lost. Triggers on the old partition note the callbacks that
  are changed, and these are copied again during the exchange. No transaction is changing others
  then, since it would have a lock on the tables.
- All tables of a week are exchanged by one commit. A process can be killed at any point, and the
  next call goes on. Only the replaced tables (`..._gone`), and what belongs to their rows, are
  removed afterwards (`week_cleanup`); nobody finds them any more.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, Final

from psycopg import errors

from ringback.core.errors import reason_of
from ringback.core.retention import RetentionPolicy, RetentionTimes
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Bigints, Connection, execute, transaction
from ringback.stores.postgres.partitions import ids_of_week, ids_of_weeks
from ringback.stores.postgres.week_copy import WeekCopier
from ringback.stores.postgres.week_marks import WeekMarks
from ringback.stores.postgres.week_work import (
    CALLBACKS,
    OUTCOMES,
    Leaf,
    RetiredWeek,
    WeeksBusy,
    WeekWork,
)

_log = logging.getLogger(__name__)

_WEEK: Final = timedelta(weeks=1)
_TRIES: Final = (*((10, 0.1),) * 10, *((50, 0.5),) * 10, *((200, 2.0),) * 30)
"""How long to wait for a lock, in milliseconds, and how long to leave others alone afterwards.

That is in seconds. Those who come while it is waited for wait as well. PostgreSQL looks for
deadlocks only after a second, so it is never another transaction that has to end.
"""
_FIRST_TRIES: Final = _TRIES[:12]
MOST_WEEKS: Final = 4
"""The number of weeks of a table that are exchanged at once, by one commit."""
_OF_LOCKS: Final = errors.LockNotAvailable, errors.DeadlockDetected
_SETTINGS: Final = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "max_parallel_workers_per_gather": "0",  # one core at most, since others have work to do, too
}
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


class WeekExchange:
    """Replaces partitions, on the connection of one pass over all weeks."""

    def __init__(
        self,
        connection: Connection,
        policy: RetentionPolicy,
        marks: WeekMarks,
        pause: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._run = partial(execute, connection, prepare=False)
        self._policy = policy
        self._marks = marks
        self._pause = pause

    def do(self, work: WeekWork) -> list[RetiredWeek]:
        """Replace the partitions of which something goes; return the weeks that were changed."""
        if work.is_of_callbacks:
            self._note_changes(work)
        with transaction(self._connection, **_SETTINGS):
            if not schema.hold_for_retirement(self._connection):
                raise WeeksBusy("another process removes old weeks, or copies all data")
            self._marks.read()
            self._refuse_if_others_use(work)
            first, end = ids_of_weeks(work.weeks)
            # Data that was copied to another place refuses this. And what was noted before does
            # not matter, because the rows are copied only now.
            self._run(f"DELETE FROM retirement_changes WHERE id >= {first} AND id < {end}")
            self._list_what_is_kept(work)
            changing = self._leaves_that_change(work)
            if not changing:
                return []
            copier = WeekCopier(self._connection, self._pause)
            for leaf in changing:
                copier.copy(leaf)
            if work.is_of_callbacks:
                self._remove_copies(*work.weeks)
            done = [self._plan(changing, begins, work) for begins in work.weeks]
            locked_at = self._lock(work, changing)
            done = [self._exchange(one, work, copier) for one in done if one.tables]
        locked = perf_counter() - locked_at
        return [one._replace(locked=locked) for one in done]

    def _note_changes(self, work: WeekWork) -> None:
        """Have triggers note the changes of a week's callbacks from now on."""
        (begins,) = work.weeks
        names = [Leaf(table, begins).name for table in work.tables]
        with transaction(self._connection):
            self._lock_tables(", ".join(names), "SHARE ROW EXCLUSIVE")
            for table, name in zip(work.tables, names, strict=True):
                self._run(
                    f"CREATE OR REPLACE TRIGGER note_changes"
                    f" AFTER INSERT OR UPDATE OR DELETE ON {name}"
                    f" FOR EACH ROW EXECUTE FUNCTION note_retirement_change('{table.key}')"
                )

    def _refuse_if_others_use(self, work: WeekWork) -> None:
        """Raise WeeksBusy if the exchange could not be done now, before all the work for it."""
        parents = _parents(work)
        for timeout, wait in _FIRST_TRIES:
            try:
                with self._connection.transaction(force_rollback=True):
                    self._run(f"SET LOCAL lock_timeout = {timeout}")
                    self._run(f"LOCK TABLE {parents} IN ACCESS EXCLUSIVE MODE")
                    return
            except _OF_LOCKS:
                self._pause(wait)
        raise WeeksBusy(f"others have used {parents} all the time, or one of them for long")

    def _list_what_is_kept(self, work: WeekWork) -> None:
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

    def _leaves_that_change(self, work: WeekWork) -> list[Leaf]:
        """Return the partitions that are replaced or dropped, and mark those that are not.

        They are of a limited number of weeks; the others are left for the next call.
        """
        found, weeks = list[Leaf](), 0
        for begins in work.weeks:
            leaves = [Leaf(table, begins) for table in work.tables]
            leaves = [leaf for leaf in leaves if self._marks.has(leaf.table.name, begins)]
            changing = leaves
            if self._stays(begins, work) or self._keeps_some(begins):
                changing = [leaf for leaf in leaves if self._changes(leaf)]
            for leaf in leaves:
                if leaf not in changing:
                    self._run(self._marks.marking(leaf.name))
            found += changing
            weeks += bool(changing)
            if weeks == MOST_WEEKS:
                break
        return found

    def _keeps_some(self, begins: datetime) -> bool:
        first, end = ids_of_week(begins)
        return self._value(f"SELECT EXISTS (SELECT FROM kept WHERE id >= {first} AND id < {end})")

    def _stays(self, begins: datetime, work: WeekWork) -> bool:
        """Return True if a partition stays though it is empty; else it would be made again."""
        return work.stays or not self._marks.is_over(begins + _WEEK)

    def _changes(self, leaf: Leaf) -> bool:
        """Return True if a partition loses rows, or gets outcomes."""
        if leaf.table == OUTCOMES and self._value(
            "SELECT EXISTS (SELECT FROM kept WHERE at_once_us IS NOT NULL)"
        ):
            return True
        part = "AND has_part" if leaf.table.is_part else ""
        return self._value(
            f"SELECT EXISTS (SELECT FROM {leaf.name} AS one WHERE NOT EXISTS"
            f" (SELECT FROM kept WHERE kept.id = one.{leaf.table.key} {part}))"
        )

    def _remove_copies(self, begins: datetime) -> None:
        """Remove the copies from other sources whose callbacks or attempts go."""
        if self._value("SELECT EXISTS (SELECT FROM shadows)"):
            gone = f"shadows_{begins:%Y%m%d}_gone"
            self._run(f"CREATE TABLE {gone} (id bigint PRIMARY KEY, sid text NOT NULL)")
            callbacks = Leaf(CALLBACKS[0], begins).name
            self._run(_REMOVE_COPIES.format(callbacks=callbacks, copies=gone))

    def _lock(self, work: WeekWork, changing: Sequence[Leaf]) -> float:
        """Keep everybody out of the tables; return since when."""
        names = ", ".join([_parents(work), *(f"ONLY {leaf.name}" for leaf in changing)])
        self._lock_tables(names, "ACCESS EXCLUSIVE")
        locked_at = perf_counter()
        old = [leaf.name for leaf in changing]
        if self._value(_DIFFERS, [old, [f"{name}_new" for name in old]]):
            raise WeeksBusy("an upgrade has changed the tables")
        return locked_at

    def _lock_tables(self, names: str, mode: str) -> None:
        """Take locks until the end of the transaction; raises WeeksBusy if others don't let go."""
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
        raise WeeksBusy(f"others have used {names} all the time, or one of them for long")

    def _plan(self, changing: Sequence[Leaf], begins: datetime, work: WeekWork) -> RetiredWeek:
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

    def _is_replaced(self, leaves: Sequence[Leaf], kept: int, work: WeekWork) -> bool:
        """Return True if new partitions take the place of these; else these are dropped."""
        first = leaves[0]
        return kept > 0 or first.table != work.tables[0] or self._stays(first.begins, work)

    def _exchange(self, plan: RetiredWeek, work: WeekWork, copier: WeekCopier) -> RetiredWeek:
        """Under the lock, put the new tables of a week into the places of the old ones."""
        begins, kept = plan.begins, plan.kept
        leaves = [Leaf(one, begins) for one in work.tables if one.name in plan.tables]
        first, end = ids_of_week(begins)
        if work.is_of_callbacks and self._value(_CHANGED.format(first=first, end=end)):
            for leaf in leaves:
                copier.copy_again(leaf)
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
                    self._marks.marking(name),
                ]
            else:
                statements.append(f"DROP TABLE {name}_new")
        self._connection.execute("; ".join(statements).encode())
        return plan._replace(kept=kept)

    def _value(self, query: str, values: Sequence[object] = ()) -> Any:
        (value,) = self._run(query, values).fetchone()
        return value


def _parents(work: WeekWork) -> str:
    return ", ".join(f"ONLY {table.name}" for table in work.tables)


def _in_us(times: RetentionTimes) -> list[int | None]:
    return [None if time is None else time // timedelta(microseconds=1) for time in times]
