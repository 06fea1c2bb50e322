"""`ringback db check` finds rows that do not fit together, on either database."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ringback.data_folder import DATA_FILE, DataFolder, IntegrityCheckResult
from ringback.postgres_database import PostgresDatabase
from ringback.stores.postgres import checks
from ringback.stores.postgres.connections import Dsn
from ringback.stores.sql.consistency_checks import counts, references
from tests.fakes import VAULT
from tests.stores.rich_data import KEY, rich_folder

FIRST_OF = "DELETE FROM callbacks WHERE id = (SELECT min(id) FROM "
REFERENCES = {
    "attempts without their row of callbacks": (
        "DELETE FROM callbacks WHERE id = (SELECT min(callback_id) FROM attempts)"
    ),
    "attempts without their row of attempt_results": "DELETE FROM attempt_results",
    "attempts without their row of request_heads": "DELETE FROM request_heads",
    "outcomes without their row of callbacks": FIRST_OF + "outcomes)",
    "waiting without their row of callbacks": FIRST_OF + "waiting)",
    "waiting without their row of lanes": "DELETE FROM lanes",
    "{begun} without their row of callbacks": (FIRST_OF + "{begun})"),
    "callbacks without their row of accounts": (
        "UPDATE callbacks SET account_id = 99 WHERE id = (SELECT min(id) FROM callbacks)"
    ),
    "callbacks without their row of lanes": "UPDATE callbacks SET lane_id = 99999",
    "callbacks without their row of callback_targets": "DELETE FROM callback_targets",
    "callbacks without their row of bodies": "DELETE FROM bodies",
    "answer_bodies without their row of attempt_results": "DELETE FROM attempt_results",
    "long_responses without their attempt": "DELETE FROM attempts",
    "kept_responses without their attempt": "UPDATE kept_responses SET number = 99",
}
COUNTS = {
    "callbacks that neither wait nor are being sent nor have ended": (
        "DELETE FROM waiting WHERE id = (SELECT min(id) FROM waiting)"
    ),
    "callbacks in {begun} and also in outcomes": (
        "INSERT INTO outcomes SELECT id, account_id, 1, NULL, 1, 0, started_us FROM {begun}"
    ),
    "callbacks in waiting and also in outcomes": (
        "INSERT INTO outcomes SELECT id, account_id, 1, NULL, 1, 0, updated_us FROM waiting"
    ),
    "callbacks in {begun} and also in waiting": "{both}",
    "rows of order_heads whose callback has ended": "UPDATE order_heads SET callback_id = 1",
    "callbacks that wait for their turn without a row of order_heads": "DELETE FROM order_heads",
    "callbacks that can be sent although it is not their turn": (
        "UPDATE waiting SET order_key = NULL WHERE order_key IS NOT NULL"
    ),
    "sums in kept_bytes that differ": "UPDATE kept_bytes SET bytes = bytes + 1",
}
BOTH = {
    "sent_at_once": (
        "INSERT INTO sent_at_once SELECT id, account_id, updated_us FROM waiting"
        " WHERE id NOT IN (SELECT id FROM sent_at_once) LIMIT 1"
    ),
    "open_attempts": (
        "INSERT INTO open_attempts SELECT id, 0, shard, lane_id, 0, due_us, account_id, updated_us,"
        " 1, 1, 0, updated_us, updated_us FROM waiting LIMIT 1"
    ),
}
FAULTS = [
    *(("references", what, statement) for what, statement in REFERENCES.items()),
    *(("counts", what, statement) for what, statement in COUNTS.items()),
]


def faults_in(results: Any) -> dict[str, str]:
    return {one.name: one.found for one in results if not one.is_ok}


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return rich_folder(tmp_path_factory.mktemp("checks") / "data")


@pytest.fixture(scope="module")
def database(rich: DataFolder, postgres_dsn: str) -> Iterator[PostgresDatabase]:
    """A PostgreSQL database with the same data."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE checked TEMPLATE template0")
        database = PostgresDatabase(make_conninfo(postgres_dsn, dbname="checked"), KEY)
        shutil.copytree(rich.folder, copied := rich.folder.with_name("copied"))
        DataFolder(copied, KEY).copy_to(database, lambda _: None)
        yield database
        connection.execute("DROP DATABASE checked WITH (FORCE)")


def test_what_fits_together_passes(rich: DataFolder, database: PostgresDatabase) -> None:
    for data in (rich, database):
        results = {one.name: one for one in data.check()}
        assert faults_in(results.values()).keys() <= {"durability"}  # tests have no fsync
    assert shown(rich, "counts") == shown(database, "counts")
    assert shown(rich, "open_attempts").startswith(shown(database, "open_attempts"))


def shown(data: DataFolder | PostgresDatabase, name: str) -> str:
    found: IntegrityCheckResult = next(one for one in data.check() if one.name == name)
    return found.found


def test_each_check_has_a_fault_here() -> None:
    for begun in ("sent_at_once", "open_attempts"):
        for name, made in (("references", references(begun)), ("counts", counts(begun))):
            wanted = [what.format(begun=begun) for kind, what, _ in FAULTS if kind == name]
            assert len(wanted) == len(made)
            for check in made:
                assert any(what in check.what for what in wanted)


@pytest.mark.parametrize(("name", "what", "statement"), FAULTS, ids=[one[1] for one in FAULTS])
def test_a_fault_in_a_data_file_is_found(
    name: str, what: str, statement: str, rich: DataFolder, tmp_path: Path
) -> None:
    path = tmp_path / DATA_FILE
    shutil.copy(rich.folder / DATA_FILE, path)
    begun = "sent_at_once"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement.format(begun=begun, both=BOTH[begun]))
    found = faults_in(DataFolder(tmp_path, KEY).check())
    assert what.format(begun=begun) in found[name]
    assert "the first has the key" in found[name]


def test_a_fault_in_a_database_is_found(database: PostgresDatabase) -> None:
    begun = "open_attempts"
    idempotency = (
        "rows of idempotency without their row of callbacks",
        "DELETE FROM callbacks WHERE id = (SELECT min(callback_id) FROM idempotency)",
    )
    with Dsn(database.url).connect() as connection:
        for name, what, statement in (*FAULTS, ("references", *idempotency)):
            connection.execute(b"BEGIN")
            # For rows of weeks that have none so far.
            connection.execute(b"CREATE TABLE other_outcomes PARTITION OF outcomes DEFAULT")
            connection.execute(statement.format(begun=begun, both=BOTH[begun]).encode())
            is_ok, found = checks._CHECKS[name](connection, VAULT)
            connection.execute(b"ROLLBACK")
            assert not is_ok
            assert what.format(begun=begun) in found
