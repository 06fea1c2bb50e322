"""Partitions of the tables that grow: one for each week, made for the next weeks in advance.

A row is in the partition of its id, which begins with the time at which it was made. The module
`retired_weeks` removes those of old weeks.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ringback.stores.postgres.connections import Connection, execute
from ringback.stores.row_ids import ids_in

_IDS_OF_A_WEEK: Final = ids_in(hours=7 * 24)
_US_OF_A_WEEK: Final = 7 * 24 * 3_600_000_000
_MOST: Final = 2**63
_AHEAD: Final = 7
"""The number of weeks for which partitions are made in advance."""
OF_CALLBACKS: Final = ("callbacks", "attempts", "outcomes")
"""The tables divided by the ids of callbacks: where one has a partition, each has."""
PARTITIONED: Final = (
    *OF_CALLBACKS,
    *("callback_targets", "bodies", "request_heads", "attempt_results", "answer_bodies"),
)
"""The tables that are divided into partitions, by the first column of their key."""
LAST_ID: Final = (
    "SELECT greatest((SELECT coalesce(max(id), 0) FROM callbacks),"
    " (SELECT coalesce(max(id), 0) FROM attempt_results),"
    " (SELECT coalesce(max(id), 0) FROM stream_events))"
)
"""Finds the highest id of rows that processes have made."""


def make_partitions(connection: Connection) -> None:
    """In a transaction, add the partitions that are missing for this week and the next ones.

    If rows have ids of the future, by a clock that was wrong, the next ids follow them: then this
    also adds partitions for these.
    """
    (now_us,) = execute(
        connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    ).fetchone()
    this_week = now_us // _US_OF_A_WEEK
    weeks = {*range(this_week - 1, this_week + 1 + _AHEAD)}
    (last,) = execute(connection, LAST_ID).fetchone()
    if last // _IDS_OF_A_WEEK > this_week:
        weeks |= {last // _IDS_OF_A_WEEK, last // _IDS_OF_A_WEEK + 1}
    for table in PARTITIONED:
        _add_partitions(connection, table, weeks)


def make_partitions_of(connection: Connection, table: str, ids: Iterable[int]) -> None:
    """In a transaction, add the partitions that are missing for a table's rows with these ids.

    Callbacks also get those for their attempts and outcomes, which may come later.
    """
    weeks = {row_id // _IDS_OF_A_WEEK for row_id in ids}
    for name in OF_CALLBACKS if table == "callbacks" else [table]:
        _add_partitions(connection, name, weeks)


def _add_partitions(connection: Connection, table: str, weeks: Iterable[int]) -> None:
    there = {start for start, _ in partitions_of(connection, table)}
    for week in sorted(week for week in weeks if week * _IDS_OF_A_WEEK < _MOST):
        begins = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(weeks=week)
        if begins in there:
            continue
        start, end = week * _IDS_OF_A_WEEK, (week + 1) * _IDS_OF_A_WEEK
        name = f"{table}_{begins:%Y%m%d}"
        # To attach a table locks others out for a moment less than `PARTITION OF` does.
        connection.execute(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
            f"ALTER TABLE {table} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ({start}) TO ({end if end < _MOST else 'MAXVALUE'})".encode()
        )


def ids_of_week(begins: datetime) -> tuple[int, int]:
    """Return the first id of the week that begins then, and the first one of the next week."""
    week = (begins - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(weeks=1)
    return week * _IDS_OF_A_WEEK, (week + 1) * _IDS_OF_A_WEEK


def ids_of_weeks(weeks: Sequence[datetime]) -> tuple[int, int]:
    """Return the first id of some weeks, and the first id after them."""
    return ids_of_week(min(weeks))[0], ids_of_week(max(weeks))[1]


def partitions_of(connection: Connection, table: str) -> list[tuple[datetime, str]]:
    """Return when the weeks of a table's partitions begin, and their names, in order."""
    rows = execute(
        connection,
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = ?::regclass ORDER BY relname",
        [table],
    )
    return [(begin_of(name), name) for (name,) in rows]


def begin_of(name: str) -> datetime:
    """Return when the week of the partition with this name begins."""
    return datetime.strptime(f"{name[-8:]}+0000", "%Y%m%d%z")


def partitions_end(connection: Connection) -> datetime:
    """Return until when there are partitions for new callbacks, without a gap."""
    (now,) = execute(connection, "SELECT clock_timestamp()").fetchone()
    begins = {start for start, _ in partitions_of(connection, "callbacks")}
    week = timedelta(weeks=1)
    end = datetime(1970, 1, 1, tzinfo=UTC)
    end += (now - end) // week * week
    while end in begins:
        end += week
    return end
