"""How PostgreSQL finds the rows of claims and results: by an index, whatever state its tables have.

Each statement that claims callbacks or saves results is explained as it is run, on the same
connection and in the same transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from ringback.core.callbacks.retry import GiveUp, NoRetryNeeded, RetryLater, RetryNow
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.ports import BEGINNING, Lane, LaneClaims, LaneQuota, Settlement
from ringback.stores.postgres.connections import in_postgres
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.postgres.write_batch import PostgresWriteBatch
from ringback.stores.sql.write_batch import SqlResult
from tests.fakes import NOW
from tests.stores.asking import ended, keep
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, SECOND, account, callback

LANES: Final = [Lane(OURS, f"http://h{number}.example:80") for number in range(4)]
QUEUES: Final = ("waiting", "open_attempts")
DAY: Final = timedelta(days=1)

Plan = dict[str, Any]


class Explained:
    """The plans of the statements that a store has run, with what they touched."""

    def __init__(self) -> None:
        self.plans = list[Plan]()

    @property
    def steps(self) -> Iterator[Plan]:
        """All steps of all plans."""
        for plan in self.plans:
            yield from _steps(plan)

    @property
    def pages(self) -> int:
        """The number of times that the statements looked at a page of 8 KiB."""
        return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in self.plans)


def _steps(plan: Plan) -> Iterator[Plan]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _steps(part)


@contextmanager
def explained(monkeypatch: pytest.MonkeyPatch) -> Iterator[Explained]:
    """Explain the statements of claims and results, before they are run."""
    found, read = Explained(), PostgresWriteBatch.read

    def explain(batch: PostgresWriteBatch, statement: str, values: Sequence[Any] = ()) -> SqlResult:
        if "open_attempts" in statement:
            found.plans.append(_explain(batch, statement, values))
        return read(batch, statement, values)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresWriteBatch, "read", explain)
        yield found


def _explain(batch: PostgresWriteBatch, statement: str, values: Sequence[Any]) -> Plan:
    """Return the plan that the server has for a statement; it is run, and then undone."""
    run = batch.connection.execute
    given = [Literal([*value] if isinstance(value, list) else value) for value in values]
    batch.read("SELECT 1")  # first sends what is delayed
    run(b"SAVEPOINT explained")
    run(b"PREPARE explained AS " + in_postgres(statement))
    query = SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained ({})")
    ((plans,),) = run(query.format(SQL(", ").join(given)).as_bytes(None), prepare=False)
    run(b"ROLLBACK TO SAVEPOINT explained; DEALLOCATE explained")
    return plans[0]["Plan"]


async def claim(
    store: PostgresStore, limit: int, since: Sequence[datetime] = (BEGINNING,) * len(LANES)
) -> list[LaneClaims]:
    """Claim so many callbacks from each lane, from these times on."""
    quotas = [LaneQuota(lane, limit, mark) for lane, mark in zip(LANES, since, strict=True)]
    return await store.transact(lambda tx: tx.callbacks.claim(quotas, NOW), is_quick=True)


async def settle(store: PostgresStore, results: Sequence[Settlement]) -> None:
    assert not await store.transact(lambda tx: tx.callbacks.settle(results), is_quick=True)


async def keep_in_lanes(store: PostgresStore, numbers: range) -> None:
    """Add callbacks that are due, each a second later than the one before; lanes take turns."""
    await keep(
        store,
        *(
            callback(n, due=NOW - DAY + n * SECOND, url=f"http://h{n % len(LANES)}.example/")
            for n in numbers
        ),
    )


@pytest.mark.parametrize("is_seen", ["never", "while full", "while all was deleted"])
async def test_rows_are_found_by_index_whatever_the_planner_has_seen_of_the_tables(
    is_seen: str,
    postgres: PostgresStore,
    postgres_bench: PostgresBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await postgres.transact(lambda tx: tx.accounts.add(account(), []))
    if is_seen == "while all was deleted":
        with a_snapshot(postgres_bench):
            await keep_in_lanes(postgres, range(1000, 2000))
            gone = [one for each in await claim(postgres, 250) for one in each.claims]
            await settle(postgres, [ended(one, NoRetryNeeded()) for one in gone])
            look_at(postgres_bench)
    await keep_in_lanes(postgres, range(400))
    first = [one for each in await claim(postgres, 50) for one in each.claims]
    if is_seen == "while full":
        look_at(postgres_bench)
    with explained(monkeypatch) as found:
        await claim(postgres, 5)
        decisions = (
            NoRetryNeeded(),
            GiveUp("it was enough"),
            RetryLater(NOW + SECOND, 1),
            RetryNow(),
        )
        answer = ReceiverResponseRecord(200, (), bytes(9999))
        await settle(
            postgres,
            [
                ended(one, decision, response=answer)
                for one, decision in zip(first, cycle(decisions), strict=False)
            ],
        )

    statements = [" ".join(sorted({*_queues_in(plan)})) for plan in found.plans]
    assert statements == ["open_attempts waiting", "open_attempts", "open_attempts waiting"]
    read = [step for step in found.steps if "Relation Name" in step and _reads(step)]
    assert {step["Node Type"] for step in read} <= {"Index Scan", "Index Only Scan", "Tid Scan"}
    assert all("Index Cond" in step or "TID Cond" in step for step in read)
    assert not [step for step in found.steps if "Join Filter" in step]
    lanes = {step["Index Cond"].count("=") for step in read if _is_of_lanes(step)}
    assert lanes <= {3, 4}  # shard, lane, and the due time from the mark, or from it to now


async def test_an_old_snapshot_does_not_make_claims_slower(
    postgres: PostgresStore, postgres_bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others can hold a snapshot, so that deleted rows stay; a claim from the mark skips them."""
    await postgres.transact(lambda tx: tx.accounts.add(account(), []))
    marks, pages = [BEGINNING] * len(LANES), list[tuple[int, int]]()
    with a_snapshot(postgres_bench):
        for number in range(16):
            await keep_in_lanes(postgres, range(200 * number, 200 * (number + 1)))
            with explained(monkeypatch) as claimed:
                first = await claim(postgres, 1, marks)
            rest = await claim(postgres, 49, [one.next_due or BEGINNING for one in first])
            marks = [each.next_due or BEGINNING for each in rest]
            claims = [one for each in (*first, *rest) for one in each.claims]
            with explained(monkeypatch) as settled:
                await settle(postgres, [ended(one, NoRetryNeeded()) for one in claims])
            pages.append((claimed.pages, settled.pages))
        await keep_in_lanes(postgres, range(9_999, 10_003))
        with explained(monkeypatch) as unmarked:
            await claim(postgres, 1)

    early, late = (list(map(sum, zip(*some, strict=True))) for some in (pages[1:5], pages[-4:]))
    assert late[0] < 1.5 * early[0]
    assert late[1] < 1.5 * early[1]
    assert unmarked.pages > 3 * pages[-1][0]


@contextmanager
def a_snapshot(bench: PostgresBench) -> Iterator[None]:
    """Hold a snapshot: a view of the database, whose rows are kept although others delete them."""
    with psycopg.connect(bench.dsn.text) as report:
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT FROM lanes")
        yield


def look_at(bench: PostgresBench) -> None:
    """Have the planner look at the tables."""
    bench.connection.execute("VACUUM (ANALYZE) waiting, open_attempts, callbacks, shard_leases")


def _queues_in(plan: Plan) -> Iterator[str]:
    return (step["Relation Name"] for step in _steps(plan) if step.get("Relation Name") in QUEUES)


def _reads(step: Plan) -> bool:
    return step["Node Type"] not in ("ModifyTable", "LockRows")


def _is_of_lanes(step: Plan) -> bool:
    return step.get("Index Name") == "waiting_in_lane"
