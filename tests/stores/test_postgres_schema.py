"""The schema of a PostgreSQL database: its upgrades, and what a server refuses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ringback.core.errors import ConfigurationError
from ringback.postgres_database import PostgresDatabase
from ringback.stores.encryption import SecretCipher, new_key
from ringback.stores.postgres import schema
from ringback.stores.postgres.checks import check_database
from ringback.stores.postgres.connections import Dsn, in_postgres
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.sqlite.store import connect
from tests.databases import a_postgres, postgres_programs
from tests.fakes import NOW, VAULT
from tests.stores.asking import claim, keep, numbers_of
from tests.stores.records import account, callback

_numbers = count(1)


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[Dsn]:
    name = f"schema_{next(_numbers)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield Dsn(make_conninfo(postgres_dsn, dbname=name))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_an_empty_database_is_upgraded_once(empty_database: Dsn) -> None:
    assert schema.upgrade(empty_database, VAULT) == (0, schema.newest())
    assert schema.upgrade(empty_database, VAULT) == (schema.newest(), schema.newest())


def test_a_server_refuses_an_empty_database_and_changes_nothing(empty_database: Dsn) -> None:
    wanted = r"schema_\d+ on .* has no tables of Ringback, .* run `ringback db upgrade`"
    with pytest.raises(ConfigurationError, match=wanted):
        PostgresStore.open(empty_database, VAULT)
    with empty_database.connect() as connection:
        assert schema.version_of(connection) == 0


def test_without_tables_no_check_reads_them(empty_database: Dsn) -> None:
    found = [(name, reason) for name, _, reason in check_database(empty_database, VAULT)]
    assert [name for name, _ in found] == ["server", "durability", "schema"]
    assert "has no tables of Ringback" in found[-1][1]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_is_refused(postgres_dsn: str, encoding: str) -> None:
    name = f"schema_{next(_numbers)}"
    here = PostgresDatabase(make_conninfo(postgres_dsn, dbname=name), new_key())
    wanted = f"{name} on .* has the encoding {encoding}, but Ringback needs UTF8; make one with"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'".encode()
        )
        uses = here.upgrade, here.open_beside, here.as_copy_target, here.as_copy_source().__enter__
        for use in uses:
            with pytest.raises(ConfigurationError, match=wanted):
                use()
        found = {one.name: one.found for one in here.check()}
        assert f"has the encoding {encoding}" in found["schema"]
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_newer_schema_is_refused(empty_database: Dsn) -> None:
    schema.upgrade(empty_database, VAULT)
    with empty_database.connect() as connection:
        connection.execute(b"INSERT INTO schema_versions (version) VALUES (99)")
    for use in (schema.upgrade, PostgresStore.open):
        with pytest.raises(ConfigurationError, match="has schema 99, but this Ringback knows only"):
            use(empty_database, VAULT)


def test_an_older_schema_is_refused_by_a_server(empty_database: Dsn) -> None:
    schema.upgrade(empty_database, VAULT)
    with empty_database.connect() as connection:
        connection.execute(b"DELETE FROM schema_versions WHERE version > 1")
    with pytest.raises(ConfigurationError, match="run `ringback db upgrade`"):
        PostgresStore.open(empty_database, VAULT)


def test_another_key_than_that_of_the_secrets_is_refused(empty_database: Dsn) -> None:
    schema.upgrade(empty_database, VAULT)
    other = SecretCipher([new_key()])
    with pytest.raises(ConfigurationError, match="encrypted with the key"):
        PostgresStore.open(empty_database, other)


def test_the_partitions_of_the_next_weeks_exist(empty_database: Dsn) -> None:
    schema.upgrade(empty_database, VAULT)
    with empty_database.connect() as connection:
        rows = connection.execute(
            b"SELECT inhparent::regclass::text, count(*) FROM pg_inherits"
            b" JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r' GROUP BY 1"
        ).fetchall()
    assert len(rows) == 8
    assert {number for _, number in rows} == {9}


def test_the_tables_have_the_columns_of_a_data_file(empty_database: Dsn, tmp_path: Path) -> None:
    schema.upgrade(empty_database, VAULT)
    file = connect(tmp_path / "ringback.db", VAULT)
    tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
    of_file = {
        table: {row["name"] for row in file.execute(f"PRAGMA table_info({table})")}
        for table in tables
        if not table.startswith("sqlite_")
    }
    file.close()
    with empty_database.connect() as connection:
        rows = connection.execute(
            b"SELECT table_name, column_name FROM information_schema.columns"
            b" WHERE table_schema = current_schema()"
        ).fetchall()
    of_database = {table: {c for t, c in rows if t == table} for table, _ in rows}
    # Claims have their own table, and numbers of processes are in `workers`.
    for table in ("sent_at_once", "id_leases"):
        del of_file[table]
    of_file["waiting"].remove("started_us")
    assert {
        (table, column)
        for table, columns in of_file.items()
        for column in columns - of_database.get(table, set())
    } == set()


@pytest.mark.parametrize("place", [0, -1], ids=["oldest", "newest"])
async def test_each_version_of_the_server_claims_callbacks(place: int) -> None:
    """The other tests run on the newest version only."""
    with a_postgres(postgres_programs()[place]) as server:
        schema.upgrade(Dsn(server), VAULT)
        store = PostgresStore.open(Dsn(server), VAULT)
        await store.cluster.renew()
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await keep(store, callback(1), callback(2))
        assert numbers_of(await claim(store, NOW)) == [1, 2]
        await store.close()


@pytest.mark.parametrize(
    ("shared", "translated"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", b"SELECT a FROM t WHERE b = $1 AND c = $2"),
        ("SELECT 1 FROM t INDEXED BY t_of_a WHERE a > 1", b"SELECT 1 FROM t WHERE a > 1"),
        ("SELECT 1 FROM t NOT INDEXED WHERE a > 1", b"SELECT 1 FROM t WHERE a > 1"),
        ("FROM a CROSS JOIN b USING (id)", b"FROM a JOIN b USING (id)"),
        ("coalesce(a, x'')", b"coalesce(a, ''::bytea)"),
    ],
)
def test_shared_statements_are_translated(shared: str, translated: bytes) -> None:
    assert in_postgres(shared) == translated


# ---- the place of the data -----------------------------------------------------------------------


def pause_of(dsn: Dsn) -> tuple[str | None, int | None]:
    """Return why servers are paused, and since when in microseconds."""
    with dsn.connect() as connection:
        row = connection.execute(b"SELECT paused_reason, paused_us FROM installation").fetchone()
    assert row is not None
    return row


def forget_place(dsn: Dsn) -> None:
    with dsn.connect() as connection:
        connection.execute(b"UPDATE installation SET written_in = NULL")


@contextmanager
def copied(dsn: Dsn, postgres_dsn: str) -> Iterator[Dsn]:
    """Copy a database as a whole, as a restore does."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        name = f"schema_{next(_numbers)}"
        source = conninfo_to_dict(dsn.text)["dbname"]
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
        yield Dsn(make_conninfo(postgres_dsn, dbname=name))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_data_that_stays_where_it_is_is_not_paused(empty_database: Dsn) -> None:
    for _ in range(2):
        schema.upgrade(empty_database, VAULT)
        schema.check(empty_database, VAULT)
    assert pause_of(empty_database) == (None, None)


@pytest.mark.parametrize("first", [schema.check, schema.upgrade])
def test_data_found_in_another_database_is_paused_once(
    empty_database: Dsn, postgres_dsn: str, first: Callable[[Dsn, SecretCipher], object]
) -> None:
    schema.upgrade(empty_database, VAULT)
    with copied(empty_database, postgres_dsn) as copy:
        first(copy, VAULT)
        reason, since = pause_of(copy)
        assert reason is not None
        assert reason.startswith("the data is in another PostgreSQL database")
        assert since is not None
        with copy.connect() as connection:  # an operator resumes it
            connection.execute(b"UPDATE installation SET paused_us = NULL, paused_reason = NULL")
        first(copy, VAULT)
        assert pause_of(copy) == (None, None)
    assert pause_of(empty_database) == (None, None)


def test_an_earlier_pause_goes_with_the_data(empty_database: Dsn, postgres_dsn: str) -> None:
    schema.upgrade(empty_database, VAULT)
    with empty_database.connect() as connection:
        connection.execute(b"UPDATE installation SET paused_us = 5, paused_reason = 'maintenance'")
    with copied(empty_database, postgres_dsn) as copy:
        schema.check(copy, VAULT)
        assert pause_of(copy) == ("maintenance", 5)


def test_data_of_a_version_that_noted_no_place_is_not_paused(empty_database: Dsn) -> None:
    schema.upgrade(empty_database, VAULT)
    forget_place(empty_database)
    schema.check(empty_database, VAULT)
    assert pause_of(empty_database) == (None, None)
    with empty_database.connect() as connection:
        row = connection.execute(b"SELECT written_in = own_place() FROM installation").fetchone()
    assert row == (True,)
