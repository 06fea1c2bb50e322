"""Removes the tables that new partitions have replaced, and what belongs to their rows.

These tables (`..._gone`) are left when a week has been exchanged. What belongs to their rows is in
tables without partitions (`_CLEAN`); nobody finds it any more, and it is deleted piece by piece.
A process can be killed at any point, and the next call goes on.
"""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final

from psycopg import errors

from ringback.core.errors import reason_of
from ringback.stores.postgres.connections import Connection, execute, transaction
from ringback.stores.postgres.partitions import PARTITIONED

_log = logging.getLogger(__name__)

_CHUNK: Final = 2_000
"""The number of rows that are cleaned up after at once."""
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
_NOT_USED: Final = ("seqscan", "hashjoin", "mergejoin")
_HAS_LONG_ANSWERS: Final = (
    "SELECT EXISTS (SELECT FROM long_responses) OR EXISTS (SELECT FROM kept_responses)"
)
_HAS_KEYS: Final = f"{_HAS_LONG_ANSWERS} OR EXISTS (SELECT FROM idempotency)"


def clean_up(connection: Connection, pause: Callable[[float], None]) -> None:
    """Remove the replaced tables, and what belongs to their rows; `pause` waits for seconds."""
    tables = "|".join([*PARTITIONED, "shadows"])
    found = execute(
        connection,
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind = 'r' AND NOT relispartition AND relname ~ ? ORDER BY relname DESC",
        [rf"^({tables})_[0-9]{{8}}_gone$"],
        prepare=False,
    )
    for (name,) in found.fetchall():
        table = name.removesuffix("_gone")[:-9]
        has_more = _HAS_KEYS if table == "callbacks" else _HAS_LONG_ANSWERS
        if table in _CLEAN and _value(connection, has_more):
            _clean_up_after(connection, pause, name, _CLEAN[table].format(gone=name))
        execute(connection, f"DROP TABLE IF EXISTS {name}", prepare=False)


def _clean_up_after(
    connection: Connection, pause: Callable[[float], None], gone: str, statement: str
) -> None:
    after: int | None = -1
    while after is not None:
        began = perf_counter()
        try:
            # The planner knows nothing of the pieces, and little of the tables.
            with transaction(connection, **{f"enable_{kind}": "off" for kind in _NOT_USED}):
                after = _value(connection, statement, [after, _CHUNK])
        except (errors.LockNotAvailable, errors.DeadlockDetected) as failure:
            _log.debug("what belongs to %s is removed again: %s", gone, reason_of(failure))
        pause(perf_counter() - began)


def _value(connection: Connection, query: str, values: Sequence[object] = ()) -> Any:
    (value,) = execute(connection, query, values, prepare=False).fetchone()
    return value
