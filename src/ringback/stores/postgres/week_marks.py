"""The comments on partitions of old weeks, and what they say of when to look at each.

A replaced partition has a comment, its *mark*. It is looked at again after a week, or if the times
have changed since, so that the rows that were kept also go.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from ringback.core.retention import RetentionPolicy
from ringback.stores.postgres.connections import Connection, execute
from ringback.stores.postgres.partitions import PARTITIONED, begin_of
from ringback.stores.sql.field_columns import to_us

_WEEK: Final = timedelta(weeks=1)
_DAY: Final = timedelta(days=1)
_PARTITIONS: Final = """
    SELECT parent.relname::text, part.relname::text, obj_description(part.oid, 'pg_class')
    FROM pg_inherits
    JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relnamespace = current_schema()::regnamespace
        AND parent.relname = ANY (?::text[])
"""


class _Mark(NamedTuple):
    """What the comment of a partition says."""

    next_us: int
    """When to look at it again."""
    policy: str
    """Identifies the times that were in force."""


class WeekMarks:
    """The partitions of all tables, with their marks, as they were when they were last read."""

    def __init__(self, connection: Connection, policy: RetentionPolicy, now: datetime) -> None:
        self.is_over: Callable[[datetime], bool] = bool
        """Says whether no new rows can come to a week any more, which begins then."""
        self._connection = connection
        self._now_us = to_us(now)
        self._now = now
        shown = repr((policy.server, sorted(policy.accounts.items())))
        self._policy_id = sha256(shown.encode()).hexdigest()[:16]
        self._marks = dict[str, dict[datetime, _Mark | None]]()

    def read(self) -> None:
        """Read which partitions exist now, and their marks."""
        (now,) = execute(self._connection, "SELECT clock_timestamp()", prepare=False).fetchone()
        self.is_over = lambda begins: begins + _WEEK + 2 * _DAY <= now
        self._marks.clear()
        self._marks.update({table: {} for table in PARTITIONED})
        rows = execute(self._connection, _PARTITIONS, [[*PARTITIONED]], prepare=False)
        for table, name, comment in rows:
            self._marks[table][begin_of(name)] = _read_mark(comment)

    def weeks(self, table: str) -> list[datetime]:
        """Return when the weeks begin for which a table has partitions, in order."""
        return sorted(self._marks[table])

    def has(self, table: str, begins: datetime) -> bool:
        """Return True if a table has a partition for this week."""
        return begins in self._marks[table]

    def is_due(self, table: str, begins: datetime, time: timedelta | None) -> bool:
        """Return True if it is time to look at a partition.

        That is as its mark says, or without a mark, after this time since the end of its week.
        """
        if not self.is_over(begins):
            return False
        mark = self._marks[table].get(begins)
        if mark is not None:
            return mark.policy != self._policy_id or mark.next_us <= self._now_us
        return time is not None and begins + _WEEK + time <= self._now

    def due_weeks(self, table: str, time: timedelta | None) -> list[datetime]:
        """Return the weeks of a table that are due, in order."""
        return [week for week in self.weeks(table) if self.is_due(table, week, time)]

    def unused_weeks(self, table: str, users: str, *, since: timedelta | None) -> list[datetime]:
        """Return the weeks of rows that are due because the rows that used them have gone.

        Only rows of the same week, of the day after it, and of earlier weeks can use a row; of
        these, those of weeks that begin at `since` after it, or of all earlier weeks.
        """
        self.read()
        unfinished = [week for week, mark in self._marks[users].items() if mark is None]
        return [
            week
            for week in self.due_weeks(table, timedelta(0))
            if not any(
                one <= week + _WEEK and (since is None or one >= week + since) for one in unfinished
            )
        ]

    def marking(self, name: str) -> str:
        """Return the statement that notes that a partition was looked at."""
        mark = _Mark(self._now_us + _WEEK // timedelta(microseconds=1), self._policy_id)
        return f"COMMENT ON TABLE {name} IS '{json.dumps(mark._asdict())}'"


def _read_mark(comment: str | None) -> _Mark | None:
    if comment is None or not comment.startswith('{"next_us"'):
        return None
    return _Mark(**json.loads(comment))
