"""The PostgreSQL store: creating its table, and the errors if it can't be used."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from typing import Any

import psycopg
import pytest

from ringback.receiver.dedupe import (
    AsyncPostgresDedupe,
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
        forget_but_refuse_to_delete(connection)
    with pytest.raises(DedupeUnavailable, match="RaiseException"):
        seen.claim(visit("a", token="new"))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT token FROM ringback_seen").fetchall() == [("old",)]


def forget_but_refuse_to_delete(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE ringback_seen SET forget_at = 0")
    connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'nothing is deleted'; END $$"
    )
    connection.execute("CREATE TRIGGER no BEFORE DELETE ON ringback_seen EXECUTE FUNCTION refuse()")


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


@pytest.mark.parametrize("kind", [PostgresDedupe, AsyncPostgresDedupe])
def test_a_dsn_is_not_a_function_that_connects(kind: Any) -> None:
    dsn: Any = "postgresql://me:password@localhost"
    with pytest.raises(
        TypeError, match=r"got a str; .* pip install 'psycopg\[binary\]'$"
    ) as refused:
        kind(dsn)
    assert "password" not in str(refused.value)


# ---- asynchronous connections --------------------------------------------------------------------


async def test_a_connection_of_the_wrong_kind_is_named(dsn: str) -> None:
    waiting: Any = partial(psycopg.AsyncConnection.connect, dsn)
    with psycopg.connect(dsn) as connection:
        blocking: Any = partial(lambda given: given, connection)
        with pytest.raises(TypeError, match="got a Connection, which would block the event loop"):
            await AsyncPostgresDedupe(blocking).claim(visit("a"))
    with pytest.raises(TypeError, match="got an asynchronous connection; use AsyncPostgresDedupe"):
        PostgresDedupe(waiting).claim(visit("a"))


async def test_a_blocking_driver_that_waits_is_named(dsn: str) -> None:
    connection = await psycopg.AsyncConnection.connect(dsn)
    with pytest.raises(TypeError, match="the database client is asynchronous; use AsyncPostgresD"):
        PostgresDedupe(lambda: nullcontext(connection)).claim(visit("a"))
    await connection.close()


async def test_both_kinds_share_a_table(dsn: str) -> None:
    waiting = AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(dsn))
    await waiting.create_table()
    assert await waiting.claim(visit("a")) == ClaimWon(is_retry=False)
    blocking = PostgresDedupe(lambda: psycopg.connect(dsn))
    assert isinstance(blocking.claim(visit("b")), ClaimedByOther)
    assert await waiting.done(visit("a"))
    assert blocking.claim(visit("b")) == WorkAlreadyDone()


async def test_an_asynchronous_failure_half_way_changes_nothing(dsn: str) -> None:
    waiting = AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(dsn))
    await waiting.claim(visit("a", token="old"))
    with psycopg.connect(dsn) as connection:
        forget_but_refuse_to_delete(connection)
    with pytest.raises(DedupeUnavailable, match="RaiseException"):
        await waiting.claim(visit("a", token="new"))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT token FROM ringback_seen").fetchall() == [("old",)]


async def test_a_claim_that_is_cancelled_changes_nothing(dsn: str) -> None:
    waiting = AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(dsn))
    await waiting.create_table()
    with psycopg.connect(dsn) as other, psycopg.connect(dsn, autocommit=True) as watching:
        other.execute("LOCK ringback_seen")
        claiming = asyncio.create_task(waiting.claim(visit("a")))
        await asyncio.to_thread(wait_for_one_who_waits, watching)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    assert await waiting.claim(visit("b")) == ClaimWon(is_retry=False)


async def test_an_unreachable_server_is_reported_in_an_event_loop() -> None:
    dsn = "postgresql://app:s3cret@127.0.0.1:1/app"
    with pytest.raises(DedupeUnavailable, match="OperationalError") as raised:
        await AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(dsn)).claim(visit("a"))
    assert "s3cret" not in str(raised.value)
