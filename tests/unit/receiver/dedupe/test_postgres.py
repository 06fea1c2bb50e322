"""The PostgreSQL store: creating its table, and the errors if it can't be used."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from typing import Any

import psycopg
import pytest

from ringback.receiver.dedupe import (
    ClaimedByOther,
    ClaimWon,
    DedupeUnavailable,
    PostgresDedupe,
    WorkAlreadyDone,
)
from tests.unit.receiver.dedupe.visits import visit

_SCHEMA = "-c search_path=apart"
_SERIALIZABLE = f"{_SCHEMA} -c default_transaction_isolation=serializable"


@pytest.fixture
def dsn(postgres_dsn: str) -> str:
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute("DROP SCHEMA IF EXISTS apart CASCADE")
        connection.execute("CREATE SCHEMA apart")
    return f"{postgres_dsn} options='{_SCHEMA}'"


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_failure_half_way_changes_nothing(dsn: str, autocommit: bool) -> None:
    seen = PostgresDedupe(lambda: psycopg.connect(dsn, autocommit=autocommit))
    seen.claim(visit("a", token="old"))
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE ringback_seen SET forget_at = 0")
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'nothing is deleted'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER no BEFORE DELETE ON ringback_seen EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(DedupeUnavailable, match="RaiseException"):
        seen.claim(visit("a", token="new"))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT token FROM ringback_seen").fetchall() == [("old",)]


def test_a_caller_that_waited_for_another_sees_its_changes(dsn: str) -> None:
    """The store works even if connections default to the isolation level SERIALIZABLE."""
    seen = PostgresDedupe(lambda: psycopg.connect(dsn, options=_SERIALIZABLE))
    seen.claim(visit("a"))
    with ThreadPoolExecutor(1) as threads, psycopg.connect(dsn) as other:
        other.execute("UPDATE ringback_seen SET lease_ends = NULL")
        answer = threads.submit(seen.claim, visit("b"))
        wait_for_one_who_waits(other)
        other.commit()
        assert answer.result() == WorkAlreadyDone()


def wait_for_one_who_waits(connection: psycopg.Connection) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    until = time.monotonic() + 10
    while connection.execute(waiting).fetchone() == (0,):
        assert time.monotonic() < until, "no connection waits for a lock"
        time.sleep(0.005)


@pytest.mark.parametrize("autocommit", [True, False])
def test_closing_a_connection_without_commit_loses_nothing(dsn: str, autocommit: bool) -> None:
    seen = PostgresDedupe(lambda: closing(psycopg.connect(dsn, autocommit=autocommit)))
    seen.claim(visit("a"))
    assert isinstance(seen.claim(visit("b")), ClaimedByOther)


def test_several_processes_may_create_the_table_at_once(dsn: str) -> None:
    stores = [PostgresDedupe(lambda: psycopg.connect(dsn)) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(PostgresDedupe.create_table, stores))
    assert stores[0].claim(visit("a")) == ClaimWon(is_retry=False)


def test_the_table_may_have_another_name_and_schema(dsn: str) -> None:
    PostgresDedupe(lambda: psycopg.connect(dsn), table="apart.once_only").claim(visit("a"))
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT token FROM apart.once_only").fetchall()
    assert found == [("token-1",)]


def test_two_tables_are_independent(dsn: str) -> None:
    stores = [PostgresDedupe(partial(psycopg.connect, dsn), table=name) for name in ("one", "two")]
    assert [seen.claim(visit("a")) for seen in stores] == [ClaimWon(is_retry=False)] * 2


@pytest.mark.parametrize("name", ["", "Seen", "seen; DROP TABLE x", 'seen"', "a.b.c", "1st"])
def test_a_name_that_needs_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must consist of lower-case letters, digits and"):
        PostgresDedupe(nullcontext, table=name)


def test_a_user_without_the_right_to_create_tables_uses_the_existing_one(dsn: str) -> None:
    PostgresDedupe(lambda: psycopg.connect(dsn)).create_table()
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk")
        connection.execute("CREATE ROLE clerk LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA apart TO clerk")
        connection.execute("GRANT ALL ON ringback_seen TO clerk")
    seen = PostgresDedupe(lambda: psycopg.connect(dsn, user="clerk"))
    assert seen.claim(visit("a")) == ClaimWon(is_retry=False)


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    dsn = "postgresql://app:s3cret@127.0.0.1:1/app"
    with pytest.raises(DedupeUnavailable) as raised:
        PostgresDedupe(lambda: psycopg.connect(dsn)).claim(visit("a"))
    assert str(raised.value) == (
        "table ringback_seen of PostgreSQL can't be used: OperationalError; the exception's"
        " __cause__ has the driver's message"
    )


def test_a_dropped_table_is_reported(dsn: str) -> None:
    seen = PostgresDedupe(lambda: psycopg.connect(dsn))
    seen.claim(visit("a"))
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP TABLE ringback_seen")
    with pytest.raises(DedupeUnavailable, match="can't be used: UndefinedTable"):
        seen.claim(visit("a"))


def test_a_programming_error_is_not_taken_for_a_failure_of_the_database() -> None:
    with pytest.raises(AttributeError):
        PostgresDedupe(lambda: nullcontext(None)).claim(visit("a"))


def test_a_dsn_is_not_a_function_that_connects() -> None:
    dsn: Any = "postgresql://me:password@localhost"
    with pytest.raises(
        TypeError, match=r"got a str; .* pip install 'psycopg\[binary\]'$"
    ) as refused:
        PostgresDedupe(dsn)
    assert "password" not in str(refused.value)
