"""Only its owner upgrades a data file, and keeps the old one; commands say so and stop."""

import asyncio
import errno
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringback.cli.main import main
from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, DataFolder
from ringback.stores.sqlite import data_file_upgrade, schema_upgrade
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.schema_upgrade import SchemaMigration, pending_migrations
from tests.damage.trial import opened
from tests.stores.old_files import NEWEST, insert_callback, schema_of, write_old_file
from tests.stores.records import OURS, account

OLD = 5
COPY = f"{DATA_FILE}.before-{OLD}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder of an older version, with encrypted secrets."""
    write_old_file(tmp_path / DATA_FILE, schema=OLD)
    insert_callback(tmp_path / DATA_FILE, 1, destination="http://127.0.0.1:9000", round_number=0)
    return tmp_path


@pytest.fixture
def held(folder: Path) -> Iterator[Path]:
    """A data folder of an older version, in use by a server of that version."""
    lock = FileLock.take(folder / DATA_FILE)
    yield folder
    lock.release()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows_of(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT sid FROM callbacks").fetchall()


def run(*words: str, folder: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*words, "--data", str(folder)])
    return result.exit_code, result.output


# ---- commands ------------------------------------------------------------------------------------

COMMANDS = [
    ("accounts", "list"),
    ("accounts", "create", "Acme"),
    ("policy", "simulate", "--at", "2027-01-01"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_leaves_an_older_file_as_it_is(words: tuple[str, ...], folder: Path) -> None:
    before = names_in(folder)
    code, said = run(*words, folder=folder)
    assert code == 1
    assert f"ringback.db has schema {OLD}, but this Ringback needs {NEWEST}." in said
    assert "no server is using it: run `ringback db upgrade --data" in said
    assert schema_of(folder / DATA_FILE) == OLD
    assert names_in(folder) == before


def test_a_command_beside_a_server_names_the_process_to_stop(held: Path) -> None:
    code, said = run("accounts", "list", folder=held)
    assert code == 1
    pid = (held / "ringback.lock").read_text().strip()
    assert f"process {pid} is using it: stop that server, then run `ringback db upgrade" in said
    assert schema_of(held / DATA_FILE) == OLD


def test_an_upgrade_beside_a_server_is_refused(held: Path) -> None:
    code, said = run("db", "upgrade", folder=held)
    assert code == 1
    assert "is in use by process" in said
    assert schema_of(held / DATA_FILE) == OLD
    assert not (held / COPY).exists()


async def test_a_command_works_on_a_folder_with_no_data_yet(tmp_path: Path) -> None:
    store = DataFolder(tmp_path / "new").open_beside()
    assert await store.transact(lambda tx: tx.accounts.all()) == []
    await store.close()


# ---- upgrades ------------------------------------------------------------------------------------


def test_an_upgrade_leaves_a_copy_of_the_data_as_it_was(folder: Path) -> None:
    before = rows_of(folder / DATA_FILE)
    assert run("db", "upgrade", folder=folder) == (
        0,
        f"schema {OLD} is now {NEWEST}; {folder / COPY} is a backup of the data before\n",
    )
    assert schema_of(folder / DATA_FILE) == NEWEST
    assert schema_of(folder / COPY) == OLD
    assert rows_of(folder / COPY) == before
    assert stat.S_IMODE((folder / COPY).stat().st_mode) == 0o600
    assert not [name for name in names_in(folder) if name.startswith(f"{COPY}.")]


async def test_the_start_of_a_server_does_the_same(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(folder)
    assert (await store.transact(lambda tx: tx.accounts.get(OURS))) is not None
    await store.close()
    assert f"{folder / COPY} is a backup of the old one" in caplog.text
    assert schema_of(folder / COPY) == OLD


def test_an_up_to_date_file_is_not_copied(folder: Path) -> None:
    run("db", "upgrade", folder=folder)
    before = names_in(folder)
    code, said = run("db", "upgrade", folder=folder)
    assert (code, said) == (0, f"schema {NEWEST} is the newest: nothing to do\n")
    assert names_in(folder) == before


def test_an_upgrade_without_data_is_refused(tmp_path: Path) -> None:
    code, said = run("db", "upgrade", folder=tmp_path)
    assert code == 1
    assert "there is no data in" in said
    assert names_in(tmp_path) == []


def test_data_that_is_only_in_the_wal_is_in_the_copy(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATA_FILE)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE accounts SET name = 'renamed'")
        connection.commit()
        left = Path(shutil.copytree(folder, folder.with_name("left")))
    DataFolder(left).upgrade()
    with closing(sqlite3.connect(left / COPY)) as connection:
        assert connection.execute("SELECT name FROM accounts").fetchall() == [("renamed",)]


def test_the_copy_is_the_way_back_to_the_older_version(folder: Path) -> None:
    before = rows_of(folder / DATA_FILE)
    DataFolder(folder).upgrade()
    asyncio.run(opened(folder).close())
    for name in (DATA_FILE, "ringback.watermark"):
        (folder / name).unlink()
    (folder / COPY).rename(folder / DATA_FILE)
    # The older version can use the copy again; this version can too, later.
    assert schema_of(folder / DATA_FILE) == OLD
    assert rows_of(folder / DATA_FILE) == before
    DataFolder(folder).upgrade()
    assert rows_of(folder / COPY) == before


def test_an_existing_copy_stays(folder: Path) -> None:
    (folder / COPY).write_text("precious")
    assert DataFolder(folder).upgrade().copy == folder / f"{COPY}-2"
    assert (folder / COPY).read_text() == "precious"
    assert schema_of(folder / f"{COPY}-2") == OLD


async def test_a_file_of_a_newer_schema_is_copied_and_then_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.close()
    steps = [*pending_migrations(0), SchemaMigration(NEWEST + 1, "CREATE TABLE newer (one)")]
    monkeypatch.setattr(schema_upgrade, "_migrations", lambda: iter(steps))
    assert DataFolder(tmp_path).upgrade() == (
        *(NEWEST, NEWEST + 1),
        tmp_path / f"{DATA_FILE}.before-{NEWEST}",
    )


# ---- no room -------------------------------------------------------------------------------------


def assert_nothing_was_changed(folder: Path, said: str) -> None:
    assert f"ringback.db has schema {OLD} and needs {NEWEST}, but can't be upgraded" in said
    assert re.search(r"Nothing was changed\. The upgrade takes up to \d\.\d MB in ", said)
    assert schema_of(folder / DATA_FILE) == OLD
    assert not [name for name in names_in(folder) if "before" in name or "new" in name]


def test_without_room_for_the_new_file_nothing_is_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(folder)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigurationError) as refused:
        DataFolder(folder).upgrade()
    assert "the disk has 1.0 MB left" in str(refused.value)
    assert_nothing_was_changed(folder, str(refused.value))


def test_running_out_of_room_leaves_no_other_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data_file_upgrade, "sync", fail)
    with pytest.raises(ConfigurationError) as refused:
        DataFolder(folder).upgrade()
    assert "No space left on device" in str(refused.value)
    assert_nothing_was_changed(folder, str(refused.value))


def test_what_a_crash_left_of_a_new_file_is_made_anew(folder: Path) -> None:
    for name in (f"{DATA_FILE}.new", f"{DATA_FILE}.new-step", f"{DATA_FILE}.new-journal"):
        (folder / name).write_text("half of it")
    before = rows_of(folder / DATA_FILE)
    DataFolder(folder).upgrade()
    assert rows_of(folder / DATA_FILE) == before
    assert not [name for name in names_in(folder) if "new" in name]


def test_on_a_disk_without_second_names_the_old_file_is_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    before = rows_of(folder / DATA_FILE)
    monkeypatch.setattr(Path, "hardlink_to", fail)
    DataFolder(folder).upgrade()
    assert rows_of(folder / COPY) == before
    assert schema_of(folder / COPY) == OLD
    assert stat.S_IMODE((folder / COPY).stat().st_mode) == 0o600
