"""Checks of `ringback db check` that compare rows of several tables; the same for each database.

No foreign key is declared for the rows of callbacks and attempts, since each would cost as much as
the row. Each check is one statement, so it sees one moment while a server goes on, and its time is
linear in the number of rows.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ringback.core.counted import counted
from ringback.stores.sql.field_columns import from_us
from ringback.stores.sql.sealed_columns import Execute


class RowCheck(NamedTuple):
    """A check that finds rows which must not exist."""

    what: str
    """What is wrong with the rows that it finds."""
    query: str
    """Returns the number of these rows, and the key of the first."""

    def fault(self, execute: Execute) -> str | None:
        """Return a text with the number of rows found and the first one; None if there are none."""
        count, first = execute(self.query, ()).fetchone()
        return f"{self.what}: {count}, the first has the key {first}" if count else None


def _orphans(table: str, key: str, owner: str, match: str, *, of: str = "") -> RowCheck:
    """Return the check that each row of a table, under the condition `of`, has its owner."""
    condition = f"{of} AND " if of else ""
    return RowCheck(
        f"rows of {table} without their row of {owner}",
        f"SELECT count(*), min({table}.{key}) FROM {table} WHERE {condition}"
        f"NOT EXISTS (SELECT 1 FROM {owner} WHERE {match})",
    )


def _answers_of(table: str) -> RowCheck:
    """Return the check that each row about a long answer belongs to an attempt or a copy."""
    return RowCheck(
        f"rows of {table} without their attempt",
        f"SELECT count(*), min({table}.sid) FROM {table} WHERE NOT EXISTS (SELECT 1 FROM callbacks"
        " JOIN attempts ON attempts.callback_id = callbacks.id"
        f" WHERE callbacks.sid = {table}.sid AND attempts.number = {table}.number)"
        f" AND NOT EXISTS (SELECT 1 FROM shadows WHERE shadows.sid = {table}.sid)",
    )


def references(begun: str) -> tuple[RowCheck, ...]:
    """Return the checks for rows whose owner's row is missing.

    `begun` is the table of callbacks that are being sent: `sent_at_once` or `open_attempts`.
    """
    return (
        _orphans("attempts", "callback_id", "callbacks", "callbacks.id = attempts.callback_id"),
        _orphans(
            "attempts", "callback_id", "attempt_results", "attempt_results.id = attempts.result_id"
        ),
        _orphans(
            *("attempts", "callback_id", "request_heads", "request_heads.id = attempts.head_id"),
            of="attempts.head_id IS NOT NULL",
        ),
        _orphans("outcomes", "id", "callbacks", "callbacks.id = outcomes.id"),
        _orphans("waiting", "id", "callbacks", "callbacks.id = waiting.id"),
        _orphans("waiting", "id", "lanes", "lanes.id = waiting.lane_id"),
        _orphans(begun, "id", "callbacks", f"callbacks.id = {begun}.id"),
        _orphans("callbacks", "id", "accounts", "accounts.id = callbacks.account_id"),
        _orphans("callbacks", "id", "lanes", "lanes.id = callbacks.lane_id"),
        _orphans(
            "callbacks", "id", "callback_targets", "callback_targets.id = callbacks.target_id"
        ),
        _orphans(
            *("callbacks", "id", "bodies", "bodies.id = callbacks.body_id"),
            of="callbacks.body_id IS NOT NULL",
        ),
        _orphans("answer_bodies", "id", "attempt_results", "attempt_results.id = answer_bodies.id"),
        _answers_of("long_responses"),
        _answers_of("kept_responses"),
    )


def _both(one: str, other: str) -> RowCheck:
    """Return the check that no callback has rows in both tables."""
    return RowCheck(
        f"callbacks in {one} and also in {other}",
        f"SELECT count(*), min({one}.id) FROM {one} JOIN {other} ON {other}.id = {one}.id",
    )


_KEPT_BYTES: Final = RowCheck(
    "sums in kept_bytes that differ from the rows of kept_responses",
    "SELECT count(*), min(account_sid) FROM ("
    "SELECT account_sid, sum(bytes) AS difference FROM ("
    "SELECT account_sid, bytes FROM kept_bytes"
    " UNION ALL SELECT account_sid, -size FROM kept_responses"
    " UNION ALL SELECT '*', -size FROM kept_responses"
    ") AS added GROUP BY account_sid) AS sums WHERE difference <> 0",
)


def _orders(begun: str) -> tuple[RowCheck, ...]:
    """Return the checks that one callback of each order key can be sent, and others wait for it."""
    return (
        RowCheck(
            "rows of order_heads whose callback has ended",
            "SELECT count(*), min(callback_id) FROM order_heads WHERE NOT EXISTS (SELECT 1"
            " FROM callbacks JOIN waiting"
            " ON waiting.account_id = callbacks.account_id AND waiting.id = callbacks.id"
            " WHERE callbacks.id = callback_id)"
            f" AND NOT EXISTS (SELECT 1 FROM {begun} WHERE {begun}.id = callback_id)",
        ),
        RowCheck(
            "callbacks that wait for their turn without a row of order_heads",
            "SELECT count(*), min(waiting.id) FROM waiting WHERE order_key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM order_heads WHERE"
            " order_heads.lane_id = waiting.lane_id AND order_heads.order_key = waiting.order_key)",
        ),
        RowCheck(
            "callbacks that can be sent although it is not their turn",
            "SELECT count(*), min(callbacks.id) FROM (SELECT id FROM waiting"
            f" WHERE order_key IS NULL UNION ALL SELECT id FROM {begun}) AS free"
            " JOIN callbacks ON callbacks.id = free.id WHERE callbacks.order_key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM order_heads WHERE"
            " order_heads.lane_id = callbacks.lane_id"
            " AND order_heads.order_key = callbacks.order_key"
            " AND order_heads.callback_id = callbacks.id)",
        ),
    )


def counts(begun: str) -> tuple[RowCheck, ...]:
    """Return the checks that each callback has one state and its turn, and that sums are right.

    `begun` is the table of callbacks that are being sent, as for `references`.
    """
    return (
        RowCheck(
            "callbacks that neither wait nor are being sent nor have ended",
            "SELECT count(*), min(callbacks.id) FROM callbacks WHERE NOT EXISTS (SELECT 1"
            " FROM attempts WHERE attempts.callback_id = callbacks.id AND attempts.number = 1"
            " AND attempts.delivered_us IS NOT NULL)"
            " AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.id = callbacks.id)"
            " AND NOT EXISTS (SELECT 1 FROM waiting WHERE"
            " waiting.account_id = callbacks.account_id AND waiting.id = callbacks.id)"
            f" AND NOT EXISTS (SELECT 1 FROM {begun} WHERE {begun}.id = callbacks.id)",
        ),
        _both(begun, "outcomes"),
        _both("waiting", "outcomes"),
        RowCheck(
            f"callbacks in {begun} and also in waiting",
            f"SELECT count(*), min({begun}.id) FROM {begun} JOIN waiting"
            f" ON waiting.account_id = {begun}.account_id AND waiting.id = {begun}.id",
        ),
        *_orders(begun),
        _KEPT_BYTES,
    )


def found_by(execute: Execute, checks: Iterable[RowCheck]) -> str:
    """Run checks, and return a text with all faults; it is empty if there are none."""
    return "; ".join(filter(None, (check.fault(execute) for check in checks)))


def states(execute: Execute, begun: str) -> str:
    """Return how many callbacks are in each state, in words."""
    in_all, waiting, sent, failed, discarded = execute(
        "SELECT (SELECT count(*) FROM callbacks), (SELECT count(*) FROM waiting),"
        f" (SELECT count(*) FROM {begun}), (SELECT count(*) FROM outcomes WHERE status = 2),"
        " (SELECT count(*) FROM outcomes WHERE status = 3)",
        (),
    ).fetchone()
    delivered = in_all - waiting - sent - failed - discarded
    return (
        f"{counted(in_all, 'callback')}: {waiting + sent} not ended, {delivered} delivered,"
        f" {failed} failed, {discarded} discarded"
    )


def open_attempts(execute: Execute, query: str) -> tuple[int, str]:
    """Return the number of attempts under way, and a text with when the oldest began.

    The query returns both, the time in microseconds.
    """
    count, began_us = execute(query, ()).fetchone()
    since = f", the oldest since {from_us(began_us):%Y-%m-%d %H:%M:%S} UTC" if count else ""
    return count, f"{counted(count, 'attempt')} under way{since}"
