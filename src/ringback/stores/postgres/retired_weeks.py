"""Removes what has expired from old weeks, by replacing the partitions of whole weeks.

Once most rows of a week have expired, those that are still kept are copied to a new table, which
then takes the partition's place. This frees the space at once, and takes less work than to delete
rows. This module says which weeks are due, and what is kept of them. The others do the rest:

- `week_exchange` replaces the partitions, so that nobody waits long and no change is lost,
- `week_copy` copies the rows that are kept, so that everybody sees them,
- `week_marks` notes which partitions were looked at, and when that is due again,
- `week_cleanup` removes the replaced tables, and what belongs to their rows,
- `week_work` has what they hand to each other.

Rows that others refer to (`interned_rows`) are used again for a day. So they go when the week after
theirs has gone, except those to which the remaining rows of all older weeks refer.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from time import sleep
from typing import Final

import psycopg

from ringback.core.retention import RetentionPolicy
from ringback.stores.postgres.connections import Connection
from ringback.stores.postgres.failures import unavailable
from ringback.stores.postgres.partitions import ids_of_weeks
from ringback.stores.postgres.week_cleanup import clean_up
from ringback.stores.postgres.week_exchange import MOST_WEEKS, WeekExchange
from ringback.stores.postgres.week_marks import WeekMarks
from ringback.stores.postgres.week_work import (
    ATTEMPTS,
    CALLBACKS,
    OUTCOMES,
    Leaf,
    RetiredWeek,
    WeeklyTable,
    WeeksBusy,
    WeekWork,
)
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.field_columns import to_us

_log = logging.getLogger(__name__)

_WEEK: Final = timedelta(weeks=1)
_DAY: Final = timedelta(days=1)
_IDS_OF_A_DAY: Final = ids_in(hours=24)
_RESULTS: Final = WeeklyTable("attempt_results")
_ANSWERS: Final = WeeklyTable("answer_bodies", is_part=True)
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


def retire_weeks(
    connect: Callable[[], Connection],
    policy: RetentionPolicy,
    now: datetime,
    *,
    pause: Callable[[float], None] = sleep,
) -> Iterator[list[RetiredWeek]]:
    """Replace the partitions of all weeks that are due; yield those of each exchange at its end.

    A week is due when the server's time for it has passed since its end. Accounts with longer times
    keep their rows; those with shorter times keep them until then. `pause` waits for some seconds.

    This takes long, and blocks: call it in a thread. It can be left after each week, and killed at
    any point. If another process does the same, or others hold the tables for long, it ends early.
    Raises StoreUnavailable if the database can't be used.
    """
    try:
        with connect() as connection:
            yield from _Retirement(connection, policy, now, pause).run()
    except WeeksBusy as busy:
        _log.info("old weeks are removed later: %s", busy)
    except psycopg.Error as failure:
        raise unavailable(failure) from None


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
        self._pause = pause
        self._marks = WeekMarks(connection, policy, now)
        self._exchange = WeekExchange(connection, policy, self._marks, pause)

    def run(self) -> Iterator[list[RetiredWeek]]:
        """Look at all weeks that are due; yield those from which something was removed."""
        clean_up(self._connection, self._pause)
        self._marks.read()
        for work in self._works():
            is_done = False
            while not is_done:
                done = self._exchange.do(work)
                clean_up(self._connection, self._pause)
                if done:
                    yield done
                is_done = len(done) < MOST_WEEKS

    # ---- which weeks are due ---------------------------------------------------------------------

    def _works(self) -> Iterator[WeekWork]:
        """Yield what is due; each time, this looks at what the work before has changed."""
        server, marks = self._policy.server, self._marks
        ends = [time for time in (server.delivered, server.undelivered) if time is not None]
        for begins in marks.weeks("callbacks"):
            if marks.is_due("callbacks", begins, min(ends, default=None)):
                yield self._callbacks(begins)
            elif marks.is_due("attempts", begins, server.attempts):
                yield self._attempts(begins)
        if weeks := marks.due_weeks("answer_bodies", server.answers and server.answers + _DAY):
            yield self._answers(weeks)
        # Without a time of their own, these go when nothing refers to them any more.
        if weeks := marks.unused_weeks("attempt_results", "attempts", since=None):
            yield self._results(weeks)
        if weeks := marks.unused_weeks("request_heads", "attempts", since=None):
            yield self._heads(weeks)
        if weeks := marks.unused_weeks("callback_targets", "callbacks", since=-_WEEK):
            yield self._targets(weeks)
        if weeks := marks.unused_weeks("bodies", "callbacks", since=None):
            yield self._bodies(weeks)

    # ---- what is kept ----------------------------------------------------------------------------

    def _callbacks(self, begins: datetime) -> WeekWork:
        keep = f"{self._kept_callbacks(begins)} WHERE coalesce(until > {self._now_us}, true)"
        return WeekWork(CALLBACKS, [begins], keep, is_of_callbacks=True)

    def _attempts(self, begins: datetime) -> WeekWork:
        # A callback that stays needs these partitions, even if they are empty.
        keep = self._kept_callbacks(begins)
        return WeekWork((ATTEMPTS, OUTCOMES), [begins], keep, is_of_callbacks=True, stays=True)

    def _kept_callbacks(self, begins: datetime) -> str:
        leaves = {table.name: Leaf(table, begins).name for table in CALLBACKS}
        has_attempts = f"coalesce(attempts_until > {self._now_us}, true)"
        return (
            f"SELECT id, {has_attempts}, CASE WHEN NOT {has_attempts} THEN at_once_us END"
            f" FROM ({_UNTIL.format(**leaves)}) AS callback"
        )

    def _answers(self, weeks: Sequence[datetime]) -> WeekWork:
        used = self._used_results(weeks)
        keep = f"SELECT result_id, true FROM ({used}) AS used WHERE has_part"
        return WeekWork((_ANSWERS,), weeks, keep)

    def _results(self, weeks: Sequence[datetime]) -> WeekWork:
        return WeekWork((_RESULTS, _ANSWERS), weeks, self._used_results(weeks))

    def _heads(self, weeks: Sequence[datetime]) -> WeekWork:
        first, end = ids_of_weeks(weeks)
        keep = (
            "SELECT DISTINCT head_id, true FROM attempts"
            f" WHERE callback_id < {end + 2 * _IDS_OF_A_DAY}"
            f" AND head_id >= {first} AND head_id < {end}"
        )
        return WeekWork((WeeklyTable("request_heads"),), weeks, keep)

    def _targets(self, weeks: Sequence[datetime]) -> WeekWork:
        first, end = ids_of_weeks(weeks)
        keep = (
            "SELECT DISTINCT target_id, true FROM callbacks"
            f" WHERE id >= {first - _IDS_OF_A_DAY} AND id < {end + 2 * _IDS_OF_A_DAY}"
            f" AND target_id >= {first} AND target_id < {end}"
        )
        return WeekWork((WeeklyTable("callback_targets"),), weeks, keep)

    def _bodies(self, weeks: Sequence[datetime]) -> WeekWork:
        # Nothing writes such rows so far, so only empty partitions go.
        first, end = ids_of_weeks(weeks)
        keep = f"SELECT id, true FROM bodies WHERE id >= {first} AND id < {end}"
        return WeekWork((WeeklyTable("bodies"),), weeks, keep)

    def _used_results(self, weeks: Sequence[datetime]) -> str:
        """Return the query for the results in use, with whether an answer's body is, too."""
        first, end = ids_of_weeks(weeks)
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
