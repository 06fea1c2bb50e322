"""The statements for each callback look rows up by index, however much history there is."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.ports import LaneQuota
from ringback.stores.postgres import callbacks, order_heads
from ringback.stores.postgres.connections import Bigints, Connection, in_postgres
from ringback.stores.postgres.group_commit import BEGIN, Isolation
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.postgres.write_batch import statement_of, types_of_columns
from ringback.stores.sql import counters, retention, unused_rows
from ringback.stores.sql import order_heads as sql_order_heads
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.unused_rows import _ENDED, _WAITING
from tests.fakes import NOW
from tests.stores.asking import ended, settle
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OUR_LANE, SECOND, account, callback

_HISTORY = """
WITH made AS (
    INSERT INTO callbacks (id, sid, account_id, lane_id, target_id, created_us, idempotency_token,
        body)
    SELECT id, format('CB%s', id), 1, n % 100, id, n, n::text, 'A=1'
    FROM (
        SELECT n, ((extract(epoch FROM now()) * 1000)::bigint << 21) - n AS id
        FROM generate_series(1, 100000) AS n
    ) AS numbers
    RETURNING id, created_us
), tried AS (
    INSERT INTO attempts (callback_id, number, started_us, result_id)
    SELECT id, 1, created_us, id FROM made
)
INSERT INTO outcomes (id, account_id, status, attempt_count, round_number, updated_us)
SELECT id, 1, 2, 1, 0, created_us FROM made WHERE created_us % 5 = 0
"""
STATEMENTS = [
    in_postgres(statement)
    for statement in (
        callbacks.CLAIM,
        callbacks.SETTLE,
        callbacks.STILL_OPEN,
        callbacks.WAITING_LANES,
        callbacks.WAITING_LANES_OF_SHARDS,
        *(counters.ROLL_UP, counters.SUMMED, counters.OLDEST),
        *(sql_order_heads.JOIN, f"{sql_order_heads.HEAD} FOR UPDATE", sql_order_heads.OWN_PLACE),
        *(order_heads.END_ALONE, order_heads.LOCK_HEADS, order_heads.FOLLOW),
        *(order_heads.LOOK_AT_HEADS, order_heads.LOCK_IN_ORDER),
    )
]


_COME_AND_GONE = """
WITH made AS (
    INSERT INTO waiting (id, shard, lane_id, due_us, account_id, is_appointed, attempt_count,
        round_attempts, round_number, updated_us)
    SELECT n, 1, 1, n, 1, false, 0, 0, 0, n FROM generate_series(1, 1000) AS n
)
INSERT INTO open_attempts (id, run, shard, lane_id, epoch, due_us, account_id, started_us,
    attempt_count, round_attempts, round_number, updated_us)
SELECT n, 1, 1, 1, 1, n, 1, n, 1, 1, 0, n FROM generate_series(1, 1000) AS n;
INSERT INTO order_heads SELECT 1, n::text, n, 1 FROM generate_series(1, 1000) AS n;
DELETE FROM order_heads;
DELETE FROM waiting;
DELETE FROM open_attempts;
"""


@pytest.fixture(params=["after a long history", "when all was sent, beside an old snapshot"])
def quick(
    request: pytest.FixtureRequest, postgres: PostgresStore, postgres_bench: PostgresBench
) -> Iterator[Connection]:
    """A connection for quick work to a database whose tables the planner has just looked at."""
    run, dsn = postgres_bench.connection.execute, postgres_bench.dsn
    with dsn.connect() as holder:
        holder.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM lanes")
        run(_HISTORY if "history" in request.param else _COME_AND_GONE)
        seen = (
            "waiting, open_attempts, callbacks, attempts, outcomes, lanes, shard_leases,"
            " order_heads"
        )
        run(f"VACUUM (ANALYZE, TRUNCATE false) {seen}")
    with dsn.connect() as connection:
        connection.execute(BEGIN[Isolation.READ_COMMITTED])
        yield connection


def nodes_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_in(child)


def faults_of(connection: Connection, statement: bytes) -> list[str]:
    """Return the steps of a plan that read whole tables."""
    values = dict.fromkeys(re.findall(rb"\$\d+", statement), "NULL")
    given = f"({', '.join(values.values())})" if values else ""
    connection.execute(b"PREPARE explained AS " + statement)
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE explained{given}".encode()).fetchone()
    connection.execute(b"DEALLOCATE explained")
    assert row is not None
    (explained,) = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return [
        f"{node['Node Type']} {node.get('Relation Name')}"
        for node in nodes_in(explained["Plan"])
        if node["Node Type"] in ("Seq Scan", "Hash Join", "Merge Join")
        or ("Index" in node["Node Type"] and "Index Cond" not in node)
    ]


def test_quick_statements_look_rows_up_by_index(quick: Connection) -> None:
    types = types_of_columns(quick)
    statements = [*STATEMENTS, *(statement_of(table, types) for table in callbacks.TABLES)]
    found = {statement: faults_of(quick, statement) for statement in statements}
    assert {statement: faults for statement, faults in found.items() if faults} == {}


def test_retention_reads_no_whole_table_of_history(
    quick: Connection, postgres_bench: PostgresBench
) -> None:
    unended = callbacks.PostgresCallbacks.unended
    parts = {"status": unended.status, "states": unended.states, "marks": "?, ?"}
    statements = [
        *(retention._WALK, retention._ENDED, retention._STATES),
        *(unused_rows._FIRST_AFTER, unused_rows._KEPT, unused_rows._COPIED, unused_rows._TARGETS),
        *(unused_rows._USED.format(listed=listed) for listed in (_WAITING, _ENDED)),
        unused_rows._BODIES,
        unused_rows._SHARED.format(table="attempt_results"),
    ]
    with postgres_bench.dsn.connect() as reader:
        reader.execute(b"SET plan_cache_mode = force_generic_plan")
        # Of tables without rows, the planner reads the whole.
        rows = reader.execute(b"SELECT relname FROM pg_class WHERE reltuples > 1000").fetchall()
        found = {
            statement: [
                fault
                for fault in faults_of(reader, in_postgres(statement.format(**parts)))
                if fault in {f"Seq Scan {name}" for (name,) in rows}
            ]
            for statement in statements
        }
    assert {statement: faults for statement, faults in found.items() if faults} == {}


async def test_an_old_snapshot_does_not_slow_claims_down(
    postgres: PostgresStore, postgres_bench: PostgresBench
) -> None:
    """Deleted rows stay while somebody may still see them; a claim must not walk over them all."""
    await postgres.transact(lambda tx: tx.accounts.add(account(), []))

    async def cycle(first: int) -> None:
        due = NOW + first * SECOND
        made = [callback(first + n, created=due, due=due) for n in range(100)]
        await postgres.transact(lambda tx: [tx.callbacks.add(one) for one in made], is_quick=True)
        quota = LaneQuota(OUR_LANE, 100, since=due)
        ((taken, _),) = await postgres.transact(
            lambda tx: tx.callbacks.claim([quota], due), is_quick=True
        )
        assert len(taken) == 100
        await settle(postgres, *(ended(one, NoRetryNeeded()) for one in taken))

    def blocks_of_a_claim(since: datetime) -> int:
        lanes = connection.execute(b"SELECT id, shard FROM lanes").fetchall()
        (lane_id, shard), until = lanes[0], to_us(NOW + 10**6 * SECOND)
        quota = ([lane_id], [shard], [100], [to_us(since)])
        values = *map(Bigints, quota), postgres.cluster.worker, until, 1, until, until
        explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
        row = connection.execute(explain + in_postgres(callbacks.CLAIM), values).fetchone()
        assert row is not None
        return row[0][0]["Plan"]["Shared Hit Blocks"]

    dsn = postgres_bench.dsn
    with dsn.connect() as holder, dsn.connect() as connection:
        holder.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM lanes")
        for number in range(40):
            await cycle(1000 * number)
        assert blocks_of_a_claim(NOW) > 3 * blocks_of_a_claim(NOW + 39_500 * SECOND)
