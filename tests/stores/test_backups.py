"""Backups of a data file: of one moment, complete or not there, and restored only as a whole."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder, StoreOptions, new_seal_key
from ringback.ports import SendingPause
from ringback.stores.sqlite import backup as backup_module
from ringback.stores.sqlite import restore as restore_module
from ringback.stores.sqlite.backup import BackupNote
from ringback.stores.sqlite.backup_mac import MAC_SIZE, BackupMac, append_mac, is_unused_backup
from ringback.stores.sqlite.durability_mark import number_in, read_mark
from ringback.stores.sqlite.file_lock import FileLock
from ringback.stores.sqlite.schema_upgrade import newest
from tests.fakes import NOW
from tests.stores.rich_data import KEY, public_records, raw_rows, rich_folder, without_mac

MIB = 1 << 20


@pytest.fixture(scope="module")
def rich_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_folder(tmp_path_factory.mktemp("rich") / "data").folder


@pytest.fixture
def rich(rich_files: Path, tmp_path: Path) -> DataFolder:
    """A data folder in which every table has rows."""
    shutil.copytree(rich_files, tmp_path / "live")
    return DataFolder(tmp_path / "live", KEY)


@pytest.fixture
def made(rich: DataFolder, tmp_path: Path) -> Path:
    """A backup of it."""
    return back_up(rich, tmp_path / "made.backup")


def back_up(data: DataFolder, target: Path, *, rate: int = 1 << 40) -> Path:
    data.back_up(target, rate=rate, tell=lambda _: None)
    return target


def restored(
    backup: Path, folder: Path, key: str | None = KEY, *, unverified: bool = False
) -> DataFolder:
    data = DataFolder(folder, key)
    data.restore(backup, tell=lambda _: None, unverified=unverified)
    return data


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        work()
    return str(refused.value)


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# ---- what is in it -------------------------------------------------------------------------------


def test_what_is_restored_is_what_was_there_but_it_is_paused(
    rich: DataFolder, made: Path, tmp_path: Path
) -> None:
    before, rows = rich.use(public_records), raw_rows(rich.folder / DATA_FILE)
    back = restored(made, tmp_path / "back")
    assert all(check.is_ok for check in back.check())
    assert {"backup_note"}.isdisjoint(raw_rows(back.folder / DATA_FILE))
    pause = back.use(public_records).pop("pause")
    assert pause.reason.startswith("restored from made.backup, a backup of 20")
    assert back.use(public_records) | {"pause": before["pause"]} == before
    found = raw_rows(back.folder / DATA_FILE)
    assert found | {"installation": rows["installation"]} == rows


def test_a_backup_is_one_private_file_that_says_what_it_is(rich: DataFolder, made: Path) -> None:
    assert [file.name for file in made.parent.iterdir() if file.is_file()] == [made.name]
    assert made.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(f"{made.as_uri()}?immutable=1", uri=True)) as connection:
        note = BackupNote.read(connection, made.stat().st_size)
        commits = number_in(connection)
    assert note is not None
    assert note.data_folder == str(rich.folder.resolve())
    assert (note.schema, note.commits, note.size) == (newest(), commits, made.stat().st_size)
    assert note.key_id is not None
    assert KEY.encode() not in made.read_bytes()


def test_a_backup_that_is_copied_into_a_folder_by_hand_is_paused_too(
    rich: DataFolder, made: Path, tmp_path: Path
) -> None:
    rich.transact(lambda tx: tx.pause.end())
    by_hand = DataFolder(tmp_path / "by hand", KEY)
    by_hand.folder.mkdir()
    shutil.copy(back_up(rich, tmp_path / "second.backup"), by_hand.folder / DATA_FILE)
    pause = by_hand.transact(lambda tx: tx.pause.get())
    assert pause is not None
    assert pause.reason.startswith("it is a backup of 20")
    assert all(check.is_ok for check in by_hand.check())


def test_a_restored_file_goes_on_numbering_its_commits(made: Path, tmp_path: Path) -> None:
    back = restored(made, tmp_path / "back")
    path = back.folder / DATA_FILE
    with closing(sqlite3.connect(path)) as connection:
        mark = read_mark(path)
        assert mark is not None
        assert mark.number == number_in(connection) > 0
    shutil.copy(path, tmp_path / "older.db")

    async def serve() -> None:
        store = back.open_to_serve(StoreOptions())
        await store.transact(lambda tx: tx.pause.end())
        await store.close()

    asyncio.run(serve())
    shutil.copy(tmp_path / "older.db", path)  # the data loss of today is noticed
    assert "is older than the data that was here" in refusal(back.open_beside)


def test_it_goes_on_while_a_server_writes_and_shows_one_moment(
    rich: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "_PART", 8192)
    path = rich.folder / DATA_FILE
    change(path, "CREATE TABLE filling (number INTEGER, more BLOB)")
    change(
        path,
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)"
        " INSERT INTO filling SELECT -1, zeroblob(2000) FROM numbers",
    )
    steps, progressed = list[int](), threading.Event()
    stop = threading.Event()
    sleep = backup_module.sleep

    def counting(seconds: float) -> None:
        steps.append(1)
        if len(steps) > 5:
            progressed.set()
        sleep(0.001)

    monkeypatch.setattr(backup_module, "sleep", counting)

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            number = 0
            while not stop.is_set():
                # Two rows that are always equal in a moment.
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE filling SET number = -1 WHERE rowid = 1")
                connection.execute(
                    "UPDATE filling SET number = ? WHERE rowid IN (2, 499)", [number]
                )
                connection.execute("COMMIT")
                number += 1
        assert number > 20

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = back_up(rich, tmp_path / "made.backup")
    finally:
        stop.set()
        writer.join()
    assert progressed.is_set()
    # Had it begun again with each commit, there would be many more steps than parts.
    assert len(steps) <= made.stat().st_size // 8192 + 10
    with closing(sqlite3.connect(f"{made.as_uri()}?immutable=1", uri=True)) as connection:
        numbers = connection.execute(
            "SELECT DISTINCT number FROM filling WHERE rowid IN (2, 499)"
        ).fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(numbers) == 1


def test_it_copies_at_the_given_rate(rich: DataFolder, tmp_path: Path) -> None:
    pauses = list[float]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_module, "sleep", pauses.append)
        patch.setattr(backup_module, "perf_counter", lambda: 0.0)
        made = back_up(rich, tmp_path / "made.backup", rate=MIB)
    assert pauses[-1] == pytest.approx(made.stat().st_size / MIB, rel=0.1)


def test_the_log_is_written_back_before_a_commit_of_the_server_has_to(
    rich: DataFolder, tmp_path: Path
) -> None:
    path = rich.folder / DATA_FILE
    lock = FileLock.take(path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("CREATE TABLE filling (more BLOB)")
    started = backup_module._snapshot(path)
    writer.execute("INSERT INTO filling VALUES (zeroblob(5000000))")
    before = path.stat().st_size
    backup_module._end_snapshot(started, path)
    assert path.stat().st_size > before + 4_000_000
    for connection in (started, writer):
        connection.close()
    lock.release()


# ---- what is refused -----------------------------------------------------------------------------


def test_a_file_that_exists_is_not_replaced(rich: DataFolder, made: Path) -> None:
    before = made.read_bytes()
    assert "exists already, and is not replaced" in refusal(lambda: back_up(rich, made))
    assert made.read_bytes() == before
    dangling = made.with_name("dangling")
    dangling.symlink_to(made.with_name("nowhere"))
    assert "exists already" in refusal(lambda: back_up(rich, dangling))


def test_a_place_that_can_not_be_used_is_refused(rich: DataFolder, tmp_path: Path) -> None:
    inside = rich.folder / "made.backup"
    assert "would be in the data folder" in refusal(lambda: back_up(rich, inside))
    nowhere = tmp_path / "no folder" / "made.backup"
    assert "does not exist" in refusal(lambda: back_up(rich, nowhere))
    assert not inside.exists()


def test_a_folder_without_data_or_with_an_older_schema_is_refused(
    rich: DataFolder, tmp_path: Path
) -> None:
    target = tmp_path / "made.backup"
    empty = DataFolder(tmp_path / "empty", KEY)
    assert "there is no data in" in refusal(lambda: back_up(empty, target))
    assert not empty.folder.exists()
    change(rich.folder / DATA_FILE, "PRAGMA user_version = 12")
    assert "has schema 12" in refusal(lambda: back_up(rich, target))
    assert not target.exists()


def test_data_that_is_only_being_made_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    change(data / DATA_FILE, "PRAGMA journal_mode = WAL", "CREATE TABLE a (a)", "DROP TABLE a")
    said = refusal(lambda: back_up(DataFolder(data, KEY), tmp_path / "b.backup"))
    assert "has no data yet: a server is making it, or has died" in said
    assert not (tmp_path / "b.backup").exists()


def test_lost_data_is_refused(rich: DataFolder, tmp_path: Path) -> None:
    change(rich.folder / DATA_FILE, "PRAGMA application_id = 1")
    (rich.folder / "ringback.watermark").write_text("0000000009 \n")
    assert "is older than the data" in refusal(lambda: back_up(rich, tmp_path / "made.backup"))


def test_damaged_data_makes_no_backup(rich: DataFolder, tmp_path: Path) -> None:
    damage(rich.folder / DATA_FILE)
    target = tmp_path / "made.backup"
    assert "the data is damaged" in refusal(lambda: back_up(rich, target))
    assert [*tmp_path.glob("made*")] == []


def damage(file: Path) -> None:
    """Overwrite a page of an index, so that the file can still be opened."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'callbacks_of_account'"
        ).fetchone()
    with file.open("r+b") as written:
        written.seek((page - 1) * 4096)
        written.write(b"\xff" * 4096)


@pytest.mark.parametrize("step", ["backup", "restore"])
def test_a_full_disk_is_noticed_before(
    step: str, rich: DataFolder, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    for module in (backup_module, restore_module):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: full)
    if step == "backup":
        said = refusal(lambda: back_up(rich, tmp_path / "second.backup"))
    else:
        said = refusal(lambda: restored(made, tmp_path / "back"))
    assert "it needs" in said
    assert "has 0.0 MB left" in said
    assert [*tmp_path.glob("second*"), *tmp_path.glob("back/*.db*"), *leftovers(tmp_path)] == []


def test_two_backups_into_the_same_file_are_refused(rich: DataFolder, tmp_path: Path) -> None:
    target = tmp_path / "made.backup"

    def again(_: str) -> None:
        assert "is making" in refusal(lambda: back_up(rich, target))

    rich.back_up(target, rate=1 << 40, tell=again)
    assert [file.name for file in tmp_path.glob("made*")] == ["made.backup"]
    assert leftovers(tmp_path) == []


def test_a_backup_that_is_being_made_is_no_leftover(rich: DataFolder, tmp_path: Path) -> None:
    def another(_: str) -> None:
        back_up(rich, tmp_path / "second.backup")

    rich.back_up(tmp_path / "first.backup", rate=1 << 40, tell=another)
    for name in ("first", "second"):
        restored(tmp_path / f"{name}.backup", tmp_path / name)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_somebody_has_put_beside_a_backup_is_left_alone(
    planted: str, rich: DataFolder, tmp_path: Path
) -> None:
    own, part = tmp_path / "precious", tmp_path / "made.backup.part"
    own.write_text("mine")
    if planted == "link":
        part.symlink_to(own)
    else:
        part.write_text("theirs")
        part.chmod(0o666)
    folder = tmp_path / ".ringback-backup-a-folder"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "draft").write_text("mine")
    folder.symlink_to(elsewhere)
    made = back_up(rich, tmp_path / "made.backup")
    assert own.read_text() == (elsewhere / "draft").read_text() == "mine"
    assert part.read_text() == ("mine" if planted == "link" else "theirs")
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.stat().st_ino != own.stat().st_ino
    assert folder.is_symlink()


def test_what_killed_backups_of_another_user_have_left_is_left_alone(
    rich: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / ".ringback-backup-theirs"
    theirs.mkdir()
    (theirs / "draft").touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
        back_up(rich, tmp_path / "first.backup")
    assert leftovers(tmp_path) == [theirs, theirs / "draft"]
    back_up(rich, tmp_path / "second.backup")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("disk", ["usual", "without second names"])
def test_a_file_that_comes_meanwhile_is_not_replaced(
    disk: str, rich: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # as FAT says it

    if disk != "usual":
        monkeypatch.setattr(Path, "hardlink_to", refused)
    target = tmp_path / "made.backup"

    def intrude(_: str) -> None:
        target.write_text("mine")

    said = refusal(lambda: rich.back_up(target, rate=1 << 40, tell=intrude))
    assert "was made by another program meanwhile" in said
    assert target.read_text() == "mine"
    assert restored(back_up(rich, tmp_path / "other.backup"), tmp_path / "back").check()
    assert leftovers(tmp_path) == []


# ---- killed --------------------------------------------------------------------------------------


def _killed_at(work: Callable[[], object], line: int) -> None:
    """Do the work in this process, and kill it after so many lines of its modules."""
    left = line

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(("sqlite/backup.py", "sqlite/restore.py")):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work()


def killed_at_random(work: Callable[[], object], seed: int) -> bool:
    """Do the work in another process, which is killed somewhere; return False if it got ready."""
    line = random.Random(seed).randrange(1, 100)
    process = get_context("fork").Process(target=_killed_at, args=(work, line))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_backup_is_complete_or_not_there(
    kills: int, rich: DataFolder, tmp_path: Path
) -> None:
    before = raw_rows(rich.folder / DATA_FILE)
    target = tmp_path / "made.backup"
    killed = left = 0
    for seed in seeds(kills, target, rich, before):
        killed += killed_at_random(lambda: back_up(rich, target), seed)
        folders = [*tmp_path.glob(".ringback-backup-*")]
        assert len(folders) <= 1  # each backup removes what the one before has left
        left += len(folders)
    assert killed >= kills // 3
    assert left
    target = back_up(rich, tmp_path / "next.backup")  # it removes what was left behind
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["next.backup"]
    assert leftovers(tmp_path) == []


def leftovers(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if ".ringback-backup-" in str(file)]


def seeds(kills: int, target: Path, rich: DataFolder, before: Any) -> Iterator[int]:
    """Yield numbers; after each, check the backup if it is there, and remove it."""
    for seed in range(kills):
        yield seed
        assert raw_rows(rich.folder / DATA_FILE) == before
        if target.exists():
            back = restored(target, target.parent / f"back {seed}")
            assert all(check.is_ok for check in back.check())
            target.unlink()


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_restore_is_complete_or_can_be_made_again(
    kills: int, made: Path, tmp_path: Path
) -> None:
    killed = 0
    for seed in range(kills):
        back = DataFolder(tmp_path / f"back {seed}", KEY)
        killed += killed_at_random(lambda back=back: restored(made, back.folder), seed)
        if not (back.folder / DATA_FILE).exists():
            restored(made, back.folder)
        assert back.transact(lambda tx: tx.pause.get()) is not None
        assert all(check.is_ok for check in back.check())
        shutil.rmtree(back.folder)
    assert killed >= kills // 3


# ---- restoring -----------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 15, 99, 100, 4096, 0.5, -4096, -1])
def test_a_backup_that_was_cut_off_is_refused(made: Path, tmp_path: Path, left: float) -> None:
    size = made.stat().st_size
    kept = int(size * left) if left == 0.5 else left % size if left else 0
    os.truncate(made, int(kept))
    said = refusal(lambda: restored(made, tmp_path / "back"))
    assert "it was cut off, so get it again" in said if not left else "is cut off" in said
    assert not (tmp_path / "back").exists()


def test_a_backup_that_is_too_long_is_refused(made: Path, tmp_path: Path) -> None:
    with made.open("ab") as file:
        file.write(b"\0")
    assert "belong to it: it was changed" in refusal(lambda: restored(made, tmp_path / "back"))


def test_a_newer_backup_is_refused(made: Path, tmp_path: Path) -> None:
    change(made, f"PRAGMA user_version = {newest() + 1}", "UPDATE backup_note SET ringback = '9.9'")
    said = refusal(lambda: restored(made, tmp_path / "back"))
    assert (
        f"was made by Ringback 9.9 and has schema {newest() + 1}, but this Ringback knows" in said
    )


@pytest.mark.parametrize("kind", ["text", "another database", "live data", "copied live data"])
def test_what_is_no_backup_is_refused(kind: str, rich: DataFolder, tmp_path: Path) -> None:
    file = tmp_path / "given"
    if kind == "text":
        file.write_text("to be restored\n" * 100)
    elif kind == "another database":
        change(file, "CREATE TABLE own (number INTEGER)")
    else:
        shutil.copy(rich.folder / DATA_FILE, file)
        if kind == "copied live data":
            change(file, "PRAGMA journal_mode = DELETE")
    said = refusal(lambda: restored(file, tmp_path / "back"))
    assert "was not made by `ringback backup`" in said
    assert not (tmp_path / "back").exists()


def test_a_missing_backup_is_refused(tmp_path: Path) -> None:
    said = refusal(lambda: restored(tmp_path / "none", tmp_path / "back"))
    assert "can't be read: No such file or directory" in said


def test_a_damaged_backup_leaves_an_empty_folder(made: Path, tmp_path: Path) -> None:
    damage(made)
    assert "was changed or damaged" in refusal(lambda: restored(made, tmp_path / "other"))
    without_mac(made)
    said = refusal(lambda: restored(made, tmp_path / "back", unverified=True))
    assert "is damaged: " in said
    assert [file.name for file in (tmp_path / "back").iterdir()] == ["ringback.lock"]


def test_only_a_folder_without_data_is_used(rich: DataFolder, made: Path, tmp_path: Path) -> None:
    before = raw_rows(rich.folder / DATA_FILE)
    assert "is not empty: it has ringback.db" in refusal(lambda: restored(made, rich.folder))
    assert raw_rows(rich.folder / DATA_FILE) == before
    other = tmp_path / "other"
    other.mkdir()
    for number in range(9):
        (other / f"file{number}").touch()
    said = refusal(lambda: restored(made, other))
    assert "it has file0, file1, file2, file3, file4, …." in said


def test_the_key_may_be_in_the_folder_already(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "back"
    folder.mkdir()
    (folder / KEY_FILE).write_text(f"{KEY}\n")
    back = DataFolder(folder)
    assert back.restore(made, tell=lambda _: None).has_key
    assert all(check.is_ok for check in back.check())


def test_without_the_key_the_data_is_restored_but_can_not_be_used_yet(
    made: Path, tmp_path: Path
) -> None:
    back = DataFolder(tmp_path / "back")
    assert not back.restore(made, tell=lambda _: None, unverified=True).has_key
    assert "key file" in refusal(back.open_beside)
    (back.folder / KEY_FILE).write_text(f"{KEY}\n")
    assert all(check.is_ok for check in back.check())


def test_another_key_is_refused(made: Path, tmp_path: Path) -> None:
    other = new_seal_key()
    said = refusal(lambda: restored(made, tmp_path / "back", other))
    assert "can only be seen with the key" in said
    said = refusal(lambda: restored(made, tmp_path / "back", other, unverified=True))
    assert "encrypted with the key" in said
    assert not (tmp_path / "back" / DATA_FILE).exists()


def test_a_pause_of_before_the_backup_gets_the_reason_of_the_restore(
    rich: DataFolder, tmp_path: Path
) -> None:
    rich.transact(lambda tx: tx.pause.begin(SendingPause(NOW, "maintenance")))
    back = restored(back_up(rich, tmp_path / "made.backup"), tmp_path / "back")
    pause = back.transact(lambda tx: tx.pause.get())
    assert pause is not None
    assert pause.reason.startswith("restored from made.backup")
    assert pause.since > NOW


# ---- changed by somebody -------------------------------------------------------------------------

REPOINTED = "UPDATE callback_targets SET url = 'https://attacker.example/'"


def urls_in(data: DataFolder) -> set[str]:
    with closing(sqlite3.connect(data.folder / DATA_FILE)) as connection:
        return {url for (url,) in connection.execute("SELECT DISTINCT url FROM callback_targets")}


def placed_by_hand(backup: Path, folder: Path, key: str | None = KEY) -> DataFolder:
    folder.mkdir()
    shutil.copy(backup, folder / DATA_FILE)
    return DataFolder(folder, key)


def flipped(backup: Path, at: int) -> None:
    with backup.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def name_another_key(backup: Path) -> None:
    with backup.open("r+b") as file:
        file.seek(16 - MAC_SIZE, os.SEEK_END)
        file.write(b"0123456789abcdef")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a value": (lambda file: change(file, REPOINTED), "was changed or damaged"),
    "a bit of the last page": (lambda file: flipped(file, -1 - MAC_SIZE), "was changed or damaged"),
    "a bit of the MAC": (lambda file: flipped(file, -1), "was changed or damaged"),
    "the name of the key": (name_another_key, "can only be seen with the key"),
    "the MAC is cut off": (
        lambda file: os.truncate(file, file.stat().st_size - MAC_SIZE),
        "has no MAC at its end",
    ),
    "a value, and the MAC is cut off": (
        lambda file: change(without_mac(file), REPOINTED),
        "has no MAC at its end",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_backup_that_somebody_has_changed_is_refused(
    name: str, made: Path, tmp_path: Path
) -> None:
    changed, said = CHANGES[name]
    changed(made)
    assert said in refusal(lambda: restored(made, tmp_path / "back"))
    assert not (tmp_path / "back" / DATA_FILE).exists()
    before = made.read_bytes()
    by_hand = placed_by_hand(made, tmp_path / "by hand")
    for use in (
        lambda: by_hand.open_to_serve(StoreOptions()),
        lambda: by_hand.open_to_serve(StoreOptions(), accept_data_loss=True),
        by_hand.open_beside,
        by_hand.upgrade,
        lambda: back_up(by_hand, tmp_path / "laundered.backup"),
        lambda: by_hand.copy_to(DataFolder(tmp_path / "copied", KEY), lambda _: None),
    ):
        assert said in refusal(use)
    assert any(said in check.found for check in by_hand.check() if not check.is_ok)
    assert (by_hand.folder / DATA_FILE).read_bytes() == before


@pytest.mark.parametrize("missing", ["MAC", "key"])
def test_the_refusal_names_the_flag_that_restores_it_all_the_same(
    missing: str, made: Path, tmp_path: Path
) -> None:
    if missing == "MAC":
        without_mac(made)
    key = None if missing == "key" else KEY
    by_hand = placed_by_hand(made, tmp_path / "by hand", key)
    for work in (lambda: restored(made, tmp_path / "back", key), by_hand.open_beside):
        assert "--unverified" in refusal(work)
    back = DataFolder(tmp_path / "back", key)
    assert not back.restore(made, tell=lambda _: None, unverified=True).is_verified
    assert "https://attacker.example/" not in urls_in(back)


def test_a_wrong_mac_is_refused_even_unverified(made: Path, tmp_path: Path) -> None:
    flipped(made, -1)
    said = refusal(lambda: restored(made, tmp_path / "back", unverified=True))
    assert "was changed or damaged" in said


def test_any_key_that_is_given_checks_a_backup(
    rich: DataFolder, made: Path, tmp_path: Path
) -> None:
    newer = new_seal_key()
    keys = f"{newer},{KEY}"
    assert DataFolder(tmp_path / "old", keys).restore(made, tell=lambda _: None).is_verified
    rotated = DataFolder(rich.folder, keys)
    rotated.open_beside()  # its secrets are sealed with the newer key from now on
    again = back_up(rotated, tmp_path / "again.backup")
    assert DataFolder(tmp_path / "new", newer).restore(again, tell=lambda _: None).is_verified


def test_a_backup_names_the_place_of_the_key_that_it_needs(
    rich: DataFolder, tmp_path: Path
) -> None:
    def place(key: str | None, file: Path | None = None) -> str:
        data, target = DataFolder(rich.folder, key, file), tmp_path / "made.backup"
        target.unlink(missing_ok=True)
        return data.back_up(target, rate=1 << 40, tell=lambda _: None).key_in

    given = tmp_path / "given.key"
    given.write_text(KEY)
    assert place(KEY, given) == "RINGBACK_SEAL_KEY"
    assert place(new_seal_key(), given) == str(given)
    assert place(new_seal_key()).startswith("none of the places")
    (rich.folder / "ringback.key").write_text(KEY)
    assert place(new_seal_key()) == str(rich.folder / "ringback.key")


def test_without_the_key_a_backup_is_made_that_has_no_mac(rich: DataFolder, tmp_path: Path) -> None:
    keyless = DataFolder(rich.folder)
    target = tmp_path / "made.backup"
    made = keyless.back_up(target, rate=1 << 40, tell=lambda _: None)
    assert not made.has_mac
    assert "has no MAC at its end" in refusal(lambda: restored(target, tmp_path / "back"))


def test_what_is_checked_is_what_is_used(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes the backup while it is copied, or as soon as it was checked."""
    changed = tmp_path / "changed"
    shutil.copy(made, changed)
    change(changed, REPOINTED)
    read_note = restore_module.read_note

    def swap_then(_: str) -> None:
        changed.replace(made)

    back = DataFolder(tmp_path / "back", KEY)
    back.restore(made, tell=swap_then)  # the copy was made by then
    assert "https://attacker.example/" not in urls_in(back)

    def swap_before(*given: Any, **more: Any) -> BackupNote:
        note = read_note(*given, **more)
        change(made, REPOINTED)
        return note

    monkeypatch.setattr(restore_module, "read_note", swap_before)
    said = refusal(lambda: restored(made, tmp_path / "second"))
    assert "was changed or damaged" in said


def test_a_backup_of_any_size_is_checked_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.touch()
    os.truncate(file, 64 * MIB)
    tracemalloc.start()
    append_mac(file, "0123456789abcdef", b"key", lambda: None)
    mac = read_mac(file)
    assert mac.is_right(file, b"key")
    assert not mac.is_right(file, b"another")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * MIB


def read_mac(file: Path) -> BackupMac:
    with file.open("rb") as opened:
        opened.seek(-MAC_SIZE, os.SEEK_END)
        mac = BackupMac.read(opened.read())
    assert mac is not None
    return mac


def test_sqlite_reads_a_backup_as_if_it_had_no_mac(made: Path) -> None:
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    assert made.stat().st_size == pages * size + MAC_SIZE


# ---- put in by hand ------------------------------------------------------------------------------


def test_a_backup_whose_note_somebody_has_removed_is_no_data_file(
    made: Path, tmp_path: Path
) -> None:
    change(made, REPOINTED, "DROP TABLE backup_note")
    by_hand = placed_by_hand(made, tmp_path / "by hand")
    for use in (by_hand.open_beside, lambda: by_hand.open_to_serve(StoreOptions())):
        assert "its MAC is not that of its content" in refusal(use)


def test_a_backup_put_in_by_hand_is_checked_once(made: Path, tmp_path: Path) -> None:
    by_hand = placed_by_hand(made, tmp_path / "by hand")
    assert [one.found for one in by_hand.check() if one.name == "backup" and one.is_ok]
    store = by_hand.open_to_serve(StoreOptions())
    asyncio.run(store.close())
    file = by_hand.folder / DATA_FILE
    assert not is_unused_backup(file)
    assert "backup_note" not in raw_rows(file)
    change(file, "PRAGMA journal_mode = DELETE")  # as a tool or a copy leaves it
    assert by_hand.transact(lambda tx: tx.pause.get()) is not None
    assert restored(back_up(by_hand, tmp_path / "second.backup"), tmp_path / "back").check()
    assert [one for one in by_hand.folder.iterdir() if "restored" in one.name] == []


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_backup_is_not_mixed_with_the_log_of_other_data(
    end: str, made: Path, tmp_path: Path
) -> None:
    by_hand = placed_by_hand(made, tmp_path / "by hand")
    (by_hand.folder / f"{DATA_FILE}{end}").write_bytes(b"x" * 5000)
    said = refusal(lambda: by_hand.open_to_serve(StoreOptions(), accept_data_loss=True))
    assert f"{end} is of other data" in said
    assert (by_hand.folder / DATA_FILE).read_bytes() == made.read_bytes()


def test_a_used_backup_of_an_earlier_version_can_be_backed_up(
    rich: DataFolder, tmp_path: Path
) -> None:
    change(rich.folder / DATA_FILE, "CREATE TABLE backup_note (made_us INTEGER)")
    assert restored(back_up(rich, tmp_path / "made.backup"), tmp_path / "back").check()


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_a_start_with_a_backup_that_is_killed_can_be_made_again(
    kills: int, made: Path, tmp_path: Path
) -> None:
    killed = 0
    for seed in range(kills):
        by_hand = placed_by_hand(made, tmp_path / f"by hand {seed}")
        killed += killed_at_random(by_hand.open_beside, seed)
        assert by_hand.transact(lambda tx: tx.pause.get()) is not None
        assert all(check.is_ok for check in by_hand.check())
        assert "backup_note" not in raw_rows(by_hand.folder / DATA_FILE)
        shutil.rmtree(by_hand.folder)
    assert killed >= kills // 3
