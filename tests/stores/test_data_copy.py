"""Copies between data folders and PostgreSQL databases: nothing is lost, whatever happens."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from time import sleep
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ringback.cli.main import main
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.retention import DEFAULT, DEFAULTS, TimeSubject
from ringback.data_folder import DATA_FILE, DataFolder, StoredData, StoreOptions, new_seal_key
from ringback.ports import SendingPause
from ringback.postgres_database import PostgresDatabase, PostgresOptions
from ringback.stores.postgres import copy_side as postgres_side
from ringback.stores.postgres.copy_side import PostgresCopyTarget
from ringback.stores.sql import data_copy
from ringback.stores.sql.copy_records import CopyRole
from ringback.stores.sql.data_copy import IN_NEW_DATA, TABLES
from ringback.stores.sqlite import copy_side as sqlite_side
from ringback.stores.sqlite.copy_side import SqliteCopyTarget
from tests.fakes import NOW, an_account
from tests.stores.old_files import NEWEST, go_back
from tests.stores.records import SECOND, callback, sms_command
from tests.stores.rich_data import KEY, public_records, raw_rows, rich_folder
from tests.stores.schema_10 import write_rich_file

Places = Callable[[str], StoredData]
NOT_IN_SQLITE = {"idempotency", "open_attempts"}
ONLY_THERE = {
    *("schema_versions", "workers", "shard_leases", "held_leases", "changes", "write_checks"),
    *("data_copies", "sealed_with", "server_runs", "this_server_run", "retirement_changes"),
    "commit_marks",
}
"""The tables of PostgreSQL that are about the database and its processes."""
numbers = count(1)


@pytest.fixture(scope="session")
def rich_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich") / "data"
    rich_folder(folder)
    return folder


@pytest.fixture
def rich(rich_source: Path, tmp_path: Path) -> DataFolder:
    """A data folder with rows in every table."""
    shutil.copytree(rich_source, tmp_path / "rich")
    return DataFolder(tmp_path / "rich", KEY)


@contextmanager
def a_database(server: str, template: str) -> Iterator[str]:
    name = f"copied_{os.getpid()}_{next(numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        yield make_conninfo(server, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def dsn(postgres_dsn: str) -> Iterator[str]:
    """A database without tables."""
    with a_database(postgres_dsn, "template0") as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(postgres_dsn: str) -> Iterator[str]:
    """The name of a database with empty tables, of which copies are made more quickly."""
    with a_database(postgres_dsn, "template0") as dsn:
        PostgresDatabase(dsn, KEY).upgrade()
        yield str(conninfo_to_dict(dsn)["dbname"])


@pytest.fixture
def dsn_of_tables(postgres_dsn: str, template: str) -> Iterator[str]:
    """A database with empty tables."""
    with a_database(postgres_dsn, template) as dsn:
        yield dsn


@pytest.fixture
def database(dsn_of_tables: str) -> PostgresDatabase:
    """A database with empty tables."""
    return PostgresDatabase(dsn_of_tables, KEY)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A folder that does not exist yet."""
    return DataFolder(tmp_path / "new", KEY)


@pytest.fixture(params=["database", "folder"])
def empty(request: pytest.FixtureRequest) -> StoredData:
    """An empty place of either kind."""
    return request.getfixturevalue(request.param)


def copy(source: StoredData, target: StoredData) -> int:
    """Copy the data, and return the number of rows that were copied."""
    return source.copy_to(target, lambda _: None).copied


def rows_of(data: DataFolder) -> dict[str, list[tuple[Any, ...]]]:
    return raw_rows(data.folder / DATA_FILE)


def add_callback(number: int) -> Callable[[Any], int]:
    return lambda tx: tx.callbacks.add(callback(number))


# ---- what is copied ------------------------------------------------------------------------------


def test_every_table_and_column_is_copied(rich: DataFolder, dsn: str) -> None:
    PostgresDatabase(dsn, KEY).upgrade()
    with psycopg.connect(dsn) as connection:
        there = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
    copied = {table.name for table in TABLES}
    assert {name for (name,) in there} == copied | ONLY_THERE
    here = rows_of(rich)
    assert here.keys() == copied - NOT_IN_SQLITE | {"sent_at_once"}
    assert [name for name, rows in here.items() if not rows] == []


def test_a_new_database_begins_with_the_default_times(database: PostgresDatabase) -> None:
    times = database.use(lambda store: store.read(lambda tx: tx.retention.times()))
    assert times == {TimeSubject(DEFAULT, kind): its for kind, its in DEFAULTS._asdict().items()}


def test_a_copy_to_postgresql_and_back_is_equal(
    rich: DataFolder, database: PostgresDatabase, folder: DataFolder
) -> None:
    before, rows = rich.use(public_records), rows_of(rich)
    assert copy(rich, database) == copy_size(rich)
    assert database.use(public_records) == before
    copy(database, folder)
    assert folder.use(public_records) == before
    assert rows_of(folder) == rows  # also the sealed secrets, with this key
    assert all(check.is_ok for check in folder.check())


def copy_size(data: DataFolder) -> int:
    rows = rows_of(data)
    keyed = rows["callbacks"]
    return sum(map(len, rows.values())) + sum(row[7] is not None for row in keyed)


def test_checks_of_the_copy_pass(rich: DataFolder, database: PostgresDatabase) -> None:
    copy(rich, database)
    found = {check.name: check for check in database.check()}
    assert [name for name, check in found.items() if not check.is_ok] == ["durability"]  # no fsync


def test_a_folder_of_an_older_schema_is_equal_after_its_upgrade(
    tmp_path: Path, database: PostgresDatabase
) -> None:
    old, back = DataFolder(tmp_path / "old", KEY), DataFolder(tmp_path / "back", KEY)
    old.folder.mkdir()
    write_rich_file(old.folder / DATA_FILE)
    with pytest.raises(ConfigurationError, match="schema 10"):
        copy(old, database)
    old.upgrade()
    rows = rows_of(old)
    copy(old, database)
    copy(database, back)
    assert rows_of(back) == rows


def test_a_folder_of_an_earlier_version_is_equal_after_its_upgrade(
    rich: DataFolder, database: PostgresDatabase, tmp_path: Path
) -> None:
    before = rows_of(rich)
    go_back(rich.folder / DATA_FILE, schema=13)
    with pytest.raises(ConfigurationError, match="schema 13"):
        copy(rich, database)
    assert rich.upgrade()[:2] == (13, NEWEST)
    rows = rows_of(rich)
    new = {"audit", "counters", "installation", "jobs", "plan_lines", "retention_times"}
    new |= {"receiver_checks"}
    new |= {"waiting", "order_heads", "destination_settings", "destination_states"}
    new |= {"console_sessions", "shared_links"}
    new |= {"stream_sinks", "stream_subscriptions", "stream_events", "stream_pending"}
    new |= {"stream_batches", "callback_targets", "data_sessions"}
    assert {name for name in rows if rows[name] != before[name]} == {"api_keys", *new}
    copy(rich, database)
    back = DataFolder(tmp_path / "back", KEY)
    copy(database, back)
    assert rows_of(back) == rows


def test_new_rows_get_numbers_of_their_own(
    rich: DataFolder, empty: StoredData, tmp_path: Path
) -> None:
    copy(rich, empty)
    _add_more(empty, 1)
    further = DataFolder(tmp_path / "further", KEY)
    copy(empty, further)
    _add_more(further, 2)
    rows = raw_rows(further.folder / DATA_FILE)
    assert len(rows["accounts"]) == len(rows_of(rich)["accounts"]) + 2


def _add_more(data: StoredData, number: int) -> None:
    added = an_account(sid=f"AC{number + 50:032x}")
    data.transact(lambda tx: tx.accounts.add(added, []))
    elsewhere = callback(9000 + number, url=f"http://127.0.0.{number}:9000/")
    data.transact(lambda tx: tx.callbacks.add(elsewhere))
    data.transact(lambda tx: tx.supersim.sms_commands.add(sms_command(50 + number)))
    data.transact(lambda tx: tx.supersim.sms_commands.remove(sms_command(50 + number).sid))


def test_ids_of_any_time_get_their_partition(rich: DataFolder, database: PostgresDatabase) -> None:
    with closing(sqlite3.connect(rich.folder / DATA_FILE)) as connection, connection:
        for number, row_id in enumerate((1, 2**61, 2**63 - 2**50), 7000):
            sid = callback(number).sid
            connection.execute(
                "INSERT INTO callbacks SELECT ?, ?, account_id, lane_id, target_id, created_us,"
                " 'token', NULL, NULL, NULL, NULL, NULL, 'A=1' FROM callbacks LIMIT 1",
                [row_id, sid],
            )
            connection.execute("INSERT INTO outcomes VALUES (?, 1, 2, 'why', 1, 0, 5)", [row_id])
    before = rich.use(public_records)
    copy(rich, database)
    assert database.use(public_records) == before
    # New ids follow the highest one.
    assert database.transact(add_callback(8000)) > 2**63 - 2**50


def test_data_of_a_clock_that_was_advanced_stays_in_the_future(
    rich: DataFolder, database: PostgresDatabase, folder: DataFolder
) -> None:
    then = NOW + timedelta(days=40_000)
    ahead = callback(7777, created=then, due=then + SECOND)
    rich.transact(lambda tx: tx.callbacks.add(ahead))
    copy(rich, database)
    assert database.transact(lambda tx: tx.callbacks.find(ahead.sid)) == ahead
    copy(database, folder)
    assert folder.transact(lambda tx: tx.callbacks.find(ahead.sid)) == ahead


# ---- where it is refused -------------------------------------------------------------------------


def test_a_place_with_data_is_refused(rich: DataFolder, empty: StoredData) -> None:
    if isinstance(empty, PostgresDatabase):
        empty.upgrade()
    empty.transact(lambda tx: tx.accounts.add(an_account(), []))
    with pytest.raises(ConfigurationError, match="has data, which a copy to there would lose"):
        copy(rich, empty)
    assert len(empty.transact(lambda tx: tx.accounts.all())) == 1
    assert len(rich.transact(lambda tx: tx.accounts.all())) == 2


def test_a_place_is_not_copied_to_itself(rich: DataFolder) -> None:
    with pytest.raises(ConfigurationError, match="in use by process"):
        copy(rich, rich)


def test_a_folder_in_use_is_refused(rich: DataFolder, empty: StoredData) -> None:
    with rich.as_copy_source(), pytest.raises(ConfigurationError, match="in use by process"):
        rich.open_to_serve(StoreOptions())
    store = rich.open_to_serve(StoreOptions())
    with pytest.raises(ConfigurationError, match="in use by process"):
        copy(rich, empty)
    asyncio.run(store.close())
    beside = rich.open_beside()
    with pytest.raises(ConfigurationError, match="locked"):
        copy(rich, empty)
    asyncio.run(beside.close())
    copy(rich, empty)


async def test_a_database_in_use_is_refused(
    rich: DataFolder, database: PostgresDatabase, folder: DataFolder
) -> None:
    copy(rich, database)
    other = await asyncio.to_thread(folder_with_an_account, folder)
    store = database.open_to_serve(PostgresOptions(name="a server"))
    with pytest.raises(ConfigurationError, match="in use by a server: stop"):
        copy(database, folder)
    with pytest.raises(ConfigurationError, match="in use by a server: stop"):
        copy(other, database)
    await store.close()


def folder_with_an_account(data: DataFolder) -> DataFolder:
    other = replace(data, folder=data.folder.with_name("other"))
    other.transact(lambda tx: tx.accounts.add(an_account(), []))
    return other


async def test_a_process_that_was_frozen_can_change_nothing_after_the_copy(
    rich: DataFolder, database: PostgresDatabase, folder: DataFolder, dsn_of_tables: str
) -> None:
    copy(rich, database)
    frozen = database.open_to_serve(PostgresOptions(name="frozen"))
    with psycopg.connect(dsn_of_tables, autocommit=True) as connection:
        connection.execute("UPDATE workers SET lease_until = '-infinity'")
    copy(database, folder)
    works = (
        *(
            lambda quick=quick: frozen.transact(add_callback(8000), is_quick=quick)
            for quick in (True, False)
        ),
        frozen.cluster.renew,
    )
    for work in works:
        with pytest.raises(StoreUnavailable) as refused:
            await work()
        assert "ringback db copy" in refused.value.for_operator
    await frozen.close()


def test_none_can_open_a_database_while_it_is_copied(
    rich: DataFolder, database: PostgresDatabase
) -> None:
    copy(rich, database)
    with database.as_copy_source() as source:
        source.begin(data_copy.CopyNote("id", "elsewhere", NOW))
        with pytest.raises(ConfigurationError, match="in use by `ringback db copy`"):
            database.open_beside()
        with pytest.raises(ConfigurationError, match="another `ringback db copy`"):
            copy(rich, database)
        with pytest.raises(ConfigurationError, match="in use by `ringback db copy`"):
            database.upgrade()
    # A copy that was begun and left can't be continued after this.
    assert len(database.transact(lambda tx: tx.accounts.all())) == 2
    database.transact(add_callback(8000))


# ---- the mark ------------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "database"])
def copied(request: pytest.FixtureRequest, rich: DataFolder) -> tuple[StoredData, StoredData]:
    """Data of either kind that was copied, and the copy."""
    other = request.getfixturevalue("database")
    copy(rich, other)
    if request.param == "folder":
        return rich, other
    further = request.getfixturevalue("folder")
    copy(other, further)
    return other, further


def serve_again(data: StoredData) -> None:
    """Open the data once as `ringback serve --serve-copied` does."""
    if isinstance(data, PostgresDatabase):
        asyncio.run(data.open_to_serve(PostgresOptions(serve_copied=True)).close())
    else:
        assert isinstance(data, DataFolder)
        asyncio.run(data.open_to_serve(StoreOptions(), serve_copied=True).close())


def test_copied_data_needs_a_flag_to_be_used_again(
    copied: tuple[StoredData, StoredData], tmp_path: Path
) -> None:
    source, target = copied
    with pytest.raises(ConfigurationError, match=r"was copied to .* --serve-copied"):
        source.open_beside()
    with pytest.raises(ConfigurationError, match=r"was copied to .* before"):
        copy(source, DataFolder(tmp_path / "third", KEY))
    assert copy(source, target) == 0  # it is complete
    source.upgrade()
    serve_again(source)
    source.transact(add_callback(8000))
    with pytest.raises(ConfigurationError, match="has data"):
        copy(source, target)
    copy(source, DataFolder(tmp_path / "third", KEY))


def test_the_way_back_brings_what_came_meanwhile(copied: tuple[StoredData, StoredData]) -> None:
    source, target = copied
    target.transact(add_callback(8000))
    there = target.use(public_records)
    copy(target, source)
    assert source.use(public_records) == there
    with pytest.raises(ConfigurationError, match="was copied to"):
        target.open_beside()
    # And once more in the first direction.
    source.transact(add_callback(8001))
    there = source.use(public_records)
    copy(source, target)
    assert target.use(public_records) == there


def test_the_way_back_is_refused_if_something_came_there(
    copied: tuple[StoredData, StoredData],
) -> None:
    source, target = copied
    serve_again(source)
    here, there = source.use(public_records), target.use(public_records)
    with pytest.raises(ConfigurationError, match="has data, which a copy to there would lose"):
        copy(target, source)
    assert source.use(public_records) == here
    assert target.use(public_records) == there


def test_the_replaced_data_file_is_kept(rich: DataFolder, database: PostgresDatabase) -> None:
    rows = rows_of(rich)
    copy(rich, database)
    copy(database, rich)
    assert raw_rows(rich.folder / f"{DATA_FILE}.before-copy") == rows
    assert not (rich.folder / f"{DATA_FILE}.copy").exists()


# ---- interruptions -------------------------------------------------------------------------------

STEPS = ("begin", "write", "end")


def copy_until(source: StoredData, target: StoredData, fatal: int, *, is_after: bool) -> None:
    """Copy; kill this process before or after step number `fatal` that changes something."""
    step = count()

    def deadly(original: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            is_fatal = next(step) == fatal
            if is_fatal and not is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            original(*args)
            if is_fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        return run

    for kind in (
        *(postgres_side.PostgresCopySource, PostgresCopyTarget),
        *(sqlite_side.SqliteCopySource, SqliteCopyTarget),
    ):
        for name in STEPS:
            if hasattr(kind, name):
                setattr(kind, name, deadly(getattr(kind, name)))
    copy(source, target)


def is_killed(source: StoredData, target: StoredData, fatal: int, *, is_after: bool) -> bool:
    process = get_context("fork").Process(
        target=copy_until, args=(source, target, fatal), kwargs={"is_after": is_after}
    )
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    for place in (source, target):
        if isinstance(place, PostgresDatabase):
            until_alone(place)
    return process.exitcode != 0


def until_alone(database: PostgresDatabase) -> None:
    """Wait until the server has noticed that a killed process is gone, and released its locks."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(database.url, autocommit=True) as connection:
        while connection.execute(others).fetchone() != (0,):
            sleep(0.01)


def is_usable(data: StoredData) -> bool:
    """Return True if there is data that could be served without a flag; it is not opened."""
    try:
        with data.as_copy_source() as source:
            made, left = (source.noted(role) for role in (CopyRole.TARGET, CopyRole.SOURCE))
            is_made = made is None or made.ended is not None
            counted = [table for table in TABLES if table.name not in IN_NEW_DATA]
            has_data = any(map(source.count, counted))
            return has_data and is_made and (left is None or left.ended is None)
    except ConfigurationError:
        return False


@pytest.mark.parametrize(
    "way", ["there", *(pytest.param(way, marks=pytest.mark.long) for way in ("back", "new folder"))]
)
def test_a_copy_that_is_killed_goes_on(
    way: str,
    rich: DataFolder,
    database: PostgresDatabase,
    folder: DataFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_copy, "CHUNK", 20)
    for module in (sqlite_side, postgres_side):
        monkeypatch.setattr(module, "CHUNK", 20)
    source, target = rich, database
    if way != "there":
        copy(rich, database)
        database.transact(add_callback(8000))
        source, target = database, rich if way == "back" else folder
    before = source.use(public_records)
    kills = 0
    # Before and after the first steps, then at a step that each call reaches, until it is done.
    for fatal, is_after in ((0, False), (0, True), (1, False), (1, True), *((7, True),) * 99):
        if not is_killed(source, target, fatal, is_after=is_after):
            break
        kills += 1
        assert [is_usable(source), is_usable(target)].count(True) <= 1
    assert kills > 8
    assert target.use(public_records) == before
    assert not is_usable(source)


@pytest.mark.parametrize("way", ["there", pytest.param("back", marks=pytest.mark.long)])
@pytest.mark.parametrize("step", [-2, -1])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_kill_at_the_end_leaves_one_place_that_can_be_used_at_most(
    *, way: str, step: int, is_after: bool, rich: DataFolder, database: PostgresDatabase
) -> None:
    source, target = rich, database
    if way == "back":
        copy(rich, database)
        source, target = database, rich
    before = source.use(public_records)
    steps = 2 + copied_parts(source) + 2
    assert is_killed(source, target, steps + step, is_after=is_after)
    is_done = (step, is_after) == (-1, True)
    assert (is_usable(source), is_usable(target)) == ((step, is_after) == (-2, False), is_done)
    copy(source, target)
    assert target.use(public_records) == before


def copied_parts(source: StoredData) -> int:
    """Return how often a copy writes: for each part of a table, and for its end."""
    with source.as_copy_source() as opened:
        return len(TABLES) + sum(opened.count(table) > 0 for table in TABLES)


def test_an_unfinished_copy_can_not_be_used(rich: DataFolder, empty: StoredData) -> None:
    assert is_killed(rich, empty, 9, is_after=True)
    with pytest.raises(ConfigurationError, match="unfinished copy"):
        empty.open_beside()
    other = folder_with_an_account(rich)
    with pytest.raises(ConfigurationError, match="has an unfinished copy of"):
        copy(other, empty)


def test_a_copy_begins_again_if_its_source_was_used_meanwhile(
    rich: DataFolder, empty: StoredData
) -> None:
    assert is_killed(rich, empty, 70, is_after=True)
    rich.transact(add_callback(8000))
    before = rich.use(public_records)
    assert copy(rich, empty) == copy_size(rich)
    assert empty.use(public_records) == before


@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_copy_that_differs_is_an_error(
    fault: str, rich: DataFolder, empty: StoredData, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = PostgresCopyTarget if isinstance(empty, PostgresDatabase) else SqliteCopyTarget
    original = kind.write

    def write(self: Any, table: Any, columns: Any, rows: Any, progress: Any) -> None:
        if table.name == "lanes" and rows:
            first = list(rows[0])
            first[list(columns).index("destination")] += "x"
            rows = [tuple(first), *rows[1:]] if fault == "changed" else rows[1:]
        original(self, table, columns, rows, progress)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "write", write)
        where = "row id 1: destination" if fault == "changed" else "a row is missing at id 1"
        # The shard is made from the destination.
        with pytest.raises(ConfigurationError, match=f"the table lanes.*{where}"):
            copy(rich, empty)
    with pytest.raises(ConfigurationError, match="unfinished copy"):
        empty.open_beside()
    before = rich.use(public_records)
    copy(rich, empty)
    assert empty.use(public_records) == before


# ---- keys ----------------------------------------------------------------------------------------


def test_another_key_seals_the_secrets_anew(rich: DataFolder, empty: StoredData) -> None:
    new = new_seal_key()
    target = replace(empty, seal_key=new)  # type: ignore[type-var] (both kinds are dataclasses)
    before, rows = rich.use(public_records), rows_of(rich)
    copy(rich, target)
    assert target.use(public_records) == before
    with pytest.raises(ConfigurationError, match="encrypted with"):
        empty.open_beside()
    if isinstance(target, DataFolder):
        assert rows_of(target)["accounts"] != rows["accounts"]


def test_a_wrong_key_is_refused(rich: DataFolder, empty: StoredData) -> None:
    with pytest.raises(ConfigurationError, match="encrypted with"):
        copy(replace(rich, seal_key=new_seal_key()), empty)
    assert copy(rich, empty) == copy_size(rich)


# ---- the command ---------------------------------------------------------------------------------


def run(*words: object, key: str | None = KEY, url: str | None = None) -> Any:
    env = {"RINGBACK_SEAL_KEY": key, "RINGBACK_DATABASE": url}
    return CliRunner(env=env).invoke(main, ["db", "copy", *map(str, words)])


def url_of(dsn: str) -> str:
    given = conninfo_to_dict(dsn)
    return f"postgresql:///{given['dbname']}?host={given['host']}&user={given['user']}"


def test_the_command_copies_there_and_back(rich: DataFolder, dsn: str, tmp_path: Path) -> None:
    url, rows = url_of(dsn), rows_of(rich)
    there = run(rich.folder, "RINGBACK_DATABASE", url=url)
    assert (there.exit_code, there.stdout[:6]) == (0, "copied"), there.output
    assert "compared all" in there.stderr
    again = run(rich.folder, url)
    assert "nothing to do" in again.stdout
    back = run(url, tmp_path / "new", "--json")
    assert back.exit_code == 0, back.output
    assert f'"copied": {copy_size(rich)}' in back.stdout
    assert raw_rows(tmp_path / "new" / DATA_FILE) == rows


def test_the_command_finds_the_keys(rich: DataFolder, tmp_path: Path) -> None:
    (rich.folder / "ringback.key").write_text(KEY)
    nothing = run(rich.folder, tmp_path / "a", key=None)
    assert "needs a key that encrypts" in nothing.output
    own = run(
        rich.folder, tmp_path / "a", "--seal-key-file", rich.folder / "ringback.key", key=None
    )
    assert own.exit_code == 0, own.output
    (tmp_path / "key").write_text(new_seal_key())
    other = run(tmp_path / "a", tmp_path / "b", "--to-seal-key-file", tmp_path / "key")
    assert other.exit_code == 0, other.output
    assert DataFolder(tmp_path / "b", None, tmp_path / "key").check()[4].is_ok


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/name", "postgresql://me@host/name?password=secret"]
)
def test_the_command_refuses_a_password_as_an_argument(url: str, tmp_path: Path) -> None:
    refused = run(tmp_path, url)
    assert refused.exit_code == 2
    assert "give the address in RINGBACK_DATABASE" in " ".join(refused.output.split())
    assert "secret" not in refused.output


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    assert "RINGBACK_DATABASE is not set" in run(tmp_path, "RINGBACK_DATABASE").output
    assert "there is no data in" in run(tmp_path / "none", tmp_path / "new").output
    assert not (tmp_path / "none").exists()


# ---- the pause -----------------------------------------------------------------------------------


def is_paused(data: StoredData) -> bool:
    return data.transact(lambda tx: tx.pause.get()) is not None


def test_a_copy_is_paused_only_if_its_source_is(
    rich: DataFolder, database: PostgresDatabase, folder: DataFolder
) -> None:
    rich.transact(lambda tx: tx.pause.end())
    copy(rich, database)
    assert not is_paused(database)  # although the data is in another place than before
    database.transact(lambda tx: tx.pause.begin(SendingPause(NOW, "maintenance")))
    copy(database, folder)
    assert is_paused(folder)
    with psycopg.connect(database.url) as connection:
        place = connection.execute("SELECT written_in = own_place() FROM installation").fetchone()
    assert place == (True,)
