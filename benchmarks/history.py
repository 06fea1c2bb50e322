"""Makes a long history of a few callbacks: SQL copies these, and their attempts, into the past.

The copies are as real ones of that time would be: the times in their ids and SIDs are right, too.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

Execute = Callable[[str], Any]
"""Runs a statement in a database, and returns a cursor."""

OWN: Final = ("callbacks", "outcomes", "attempts")
"""The tables with rows for each callback."""
SHARED: Final = ("callback_targets", "request_heads", "attempt_results", "answer_bodies")
"""The tables with what many callbacks share for a day."""
_IDS: Final = ("id", "callback_id", "target_id", "head_id", "result_id")
_SHARED_IDS: Final = ("target_id", "head_id", "result_id")
_TIMES: Final = ("created_us", "updated_us", "started_us", "sent_us", "delivered_us")
_NAMES: Final = ("sid", "idempotency_token")
_NUMBERS: Final = (
    "WITH RECURSIVE copies (copy) AS ("
    "SELECT {first} UNION ALL SELECT copy + 1 FROM copies WHERE copy < {last})"
)
_IDS_OF_A_DAY: Final = 86_400_000 << 21
_IDS_OF_A_US: Final = 2097
_COPIES_AT_ONCE: Final = 200


def copy_into_the_past(
    execute: Execute,
    count: int,
    *,
    days: tuple[float, float],
    is_postgres: bool,
    tables: Sequence[str] = (*SHARED, *OWN),
) -> None:
    """Copy the rows of these tables, until about so many callbacks were added.

    `days` is how long ago the newest and the oldest copies were made. If `tables` does not have the
    shared ones, all copies share what the first callbacks have.
    """
    for table in tables:
        execute(f"CREATE TEMP TABLE new_{table} AS SELECT * FROM {table}")  # noqa: S608 (our names)
    (seeds,) = execute("SELECT count(*) FROM new_callbacks").fetchone()
    copies, (newest, oldest) = count // seeds, days
    span = int((oldest - newest) * _IDS_OF_A_DAY / copies)
    earlier = f"(CAST({int(newest * _IDS_OF_A_DAY)} AS bigint) + copy * CAST({span} AS bigint))"
    changed = _changes(earlier, is_postgres=is_postgres)
    if not set(SHARED) <= set(tables):
        changed = {name: value for name, value in changed.items() if name not in _SHARED_IDS}
    for first in range(0, copies, _COPIES_AT_ONCE):
        numbers = _NUMBERS.format(first=first, last=min(first + _COPIES_AT_ONCE, copies) - 1)
        for table in tables:
            found = execute(f"SELECT * FROM new_{table} LIMIT 0")  # noqa: S608 (our names)
            names: list[str] = [column[0] for column in found.description]
            values = ", ".join(changed.get(name, name) for name in names)
            insert = f"INSERT INTO {table} ({', '.join(names)})"
            rows = f"SELECT {values} FROM copies, new_{table} ORDER BY 1"  # noqa: S608 (our names)
            execute(f"{numbers} {insert} {rows}" if is_postgres else f"{insert} {numbers} {rows}")
    for table in tables:
        execute(f"DROP TABLE new_{table}")


def _changes(earlier: str, *, is_postgres: bool) -> dict[str, str]:
    """Return the columns of copies that differ, each with its value in SQL."""
    place = f"(id - {earlier})"
    digits = (
        f"lpad(to_hex({place} >> 21), 12, '0') || lpad(to_hex({place}), 20, '0')"
        if is_postgres
        else f"printf('%012x%020x', {place} >> 21, {place})"
    )
    return {
        **{name: f"{name} - {earlier}" for name in _IDS},
        **{name: f"{name} - {earlier} / {_IDS_OF_A_US}" for name in _TIMES},
        **{name: f"substr({name}, 1, 2) || {digits}" for name in _NAMES},
    }
