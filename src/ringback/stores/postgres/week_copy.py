"""Copies the rows that are kept of a week to new tables, and copies changed ones again.

- Everybody sees the rows that are kept, also transactions that began before the exchange: the rows
  are copied with FREEZE. Those transactions see no expired rows any more, unless they have read
  from the tables before; then the exchange waits for their end.
- A callback without attempts has an outcome, so that everything that reads callbacks goes on as
  before. If its attempt was all that said how it ended, it gets one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ringback.core.callbacks.callback import CallbackStatus
from ringback.stores.postgres.connections import Connection, execute
from ringback.stores.postgres.partitions import ids_of_week
from ringback.stores.postgres.week_work import CALLBACKS, OUTCOMES, Leaf, WeeksBusy
from ringback.stores.sql.callback_rows import NUMBERS, OUTCOME_COLUMNS

_CHUNK: Final = 2_000
"""The number of rows that are copied at once."""
# If a callback stays that its first attempt delivered, but the attempt goes, this says how it
# ended.
_NEW_OUTCOMES: Final = f"""
    SELECT kept.id, account_id, {NUMBERS[CallbackStatus.DELIVERED]}::bigint, NULL::text, 1::bigint,
        0::bigint, at_once_us
    FROM kept JOIN {{callbacks}} AS callback ON callback.id = kept.id
    WHERE kept.id > {{after}} AND kept.id <= {{last}} AND at_once_us IS NOT NULL
        AND callback.id > {{after}} AND callback.id <= {{last}}
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


class WeekCopier:
    """Copies rows in a transaction of `WeekExchange`, which lists them in `kept` and `changed`."""

    def __init__(self, connection: Connection, pause: Callable[[float], None]) -> None:
        self._connection = connection
        self._run = partial(execute, connection, prepare=False)
        self._pause = pause
        self._columns_of = dict[str, Sequence[str]]()

    def copy(self, leaf: Leaf) -> None:
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
            (last,) = self._run(
                f"SELECT max(id) FROM (SELECT id FROM kept WHERE id > {after} AND id < {end} {part}"
                f" ORDER BY id LIMIT {_CHUNK}) AS next"
            ).fetchone()
            if last is None:
                break
            self._copy_rows(
                leaf,
                f"JOIN kept ON kept.id = one.{key}"
                # Both ranges, since the planner does not conclude one from the other.
                f" WHERE kept.id > {after} AND kept.id <= {last} {part}"
                f" AND one.{key} > {after} AND one.{key} <= {last} ORDER BY one.{key}",
            )
            if leaf.table == OUTCOMES:
                self._copy_into(
                    leaf,
                    OUTCOME_COLUMNS,
                    _NEW_OUTCOMES.format(
                        callbacks=Leaf(CALLBACKS[0], leaf.begins).name, after=after, last=last
                    ),
                )
            after = last
            (has_others,) = self._run(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
            ).fetchone()
            if has_others:
                raise WeeksBusy(f"others wait for {leaf.name}")
            self._pause(0)
        self._run("SET LOCAL enable_seqscan TO DEFAULT")
        self._run(f"ANALYZE {new}")

    def copy_again(self, leaf: Leaf) -> None:
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

    def _copy_rows(self, leaf: Leaf, which: str) -> None:
        """Copy some rows to the new table."""
        columns = self._columns(leaf.table.name)
        ours = ", ".join(f"one.{name}" for name in columns)
        query = f"SELECT {ours} FROM {leaf.name} AS one {which}"
        self._copy_into(leaf, ", ".join(columns), query)

    def _copy_into(self, leaf: Leaf, columns: str, query: str) -> None:
        """Add the rows that a query finds to the new table, so that all transactions see them."""
        cursor = self._connection.cursor()
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode()) as copy:
            blocks = [bytes(block) for block in copy]
        into = f"COPY {leaf.name}_new ({columns}) FROM STDIN (FORMAT BINARY, FREEZE)"
        with cursor.copy(into.encode()) as copy:
            for block in blocks:
                copy.write(block)

    def _columns(self, table: str) -> Sequence[str]:
        if table not in self._columns_of:
            rows = self._run(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = ?::regclass AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum",
                [table],
            )
            self._columns_of[table] = [name for (name,) in rows]
        return self._columns_of[table]
