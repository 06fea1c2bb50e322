"""The database of the simulation has its planned delays, full disks and shortages of files."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from tests.simulation.database import Database
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.seeds import plan_of
from tests.simulation.trace import Trace

_INSERT = "INSERT INTO accounts (sid, name, auth_token, uses_static_proxy, created_us, kore_id)"


def database(**plan: Any) -> Database:
    """Return a database in whose plan nothing else goes wrong."""
    calm = replace(plan_of(0), outages=(), failing_commits=0.0, lacks=(), full_disk=())
    return opened(replace(calm, **plan))


OPENED: Final = list[Database]()


def opened(plan: Plan) -> Database:
    OPENED.append(Database(Scheduler(Random(0)), Random(0), plan, Trace()))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] (a fixture)
    """Close the databases of each test."""
    yield
    while OPENED:
        OPENED.pop().close()


def add_accounts(database: Database, count: int) -> None:
    database.execute("BEGIN IMMEDIATE")
    for number in range(count):
        values = (f"AC{number}", f"id {number}")
        database.execute(f"{_INSERT} VALUES (?, '', '', 0, 0, ?)", values)
    database.execute("COMMIT")
    database.commit()


def seconds_of_a_scan(database: Database) -> float:
    with database.working():
        database.execute("SELECT count(*) FROM accounts WHERE name = 'x'").fetchall()
    return database.took


def test_work_takes_time_by_the_steps_of_sqlite() -> None:
    small, large = database(), database()
    add_accounts(small, 100)
    add_accounts(large, 10_000)

    assert 0 < 50 * seconds_of_a_scan(small) < seconds_of_a_scan(large)


def test_the_same_work_always_takes_the_same_time() -> None:
    times = set[float]()
    for _ in range(3):
        one = database()
        add_accounts(one, 1_000)
        times.add(seconds_of_a_scan(one))

    assert len(times) == 1


def test_endless_work_is_interrupted() -> None:
    called = list[bool]()
    one = database()
    one.on_runaway = lambda: called.append(True)

    with one.working(), pytest.raises(sqlite3.OperationalError, match="interrupted"):
        one.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT count(*) FROM n"
        ).fetchall()
    assert called


def test_a_full_disk_prevents_writes_but_not_reads() -> None:
    full = database(full_disk=((0.0, 10.0),))
    full.is_sound = False

    full.execute("BEGIN IMMEDIATE")
    full.execute("SELECT count(*) FROM accounts")
    full.execute("COMMIT")
    full.commit()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        add_accounts(full, 1)
    full.lose()
    full.scheduler.now = 11.0
    add_accounts(full, 1)

    assert full.read("SELECT count(*) FROM accounts") == [(1,)]


def test_a_copy_of_a_history_differs_from_the_empty_database_only_in_its_rows() -> None:
    plan = replace(plan_of(0), history=1_000)
    first, second = opened(plan), opened(plan)
    first.read("DELETE FROM callbacks WHERE id <= 10")

    assert first.read("SELECT count(*) FROM callbacks") == [(990,)]
    assert second.read("SELECT count(*) FROM callbacks") == [(1_000,)]
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert first.read(schema) == database().read(schema)
