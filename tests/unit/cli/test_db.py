"""`ringback db check`: what it looks at, in words and as JSON, and its exit codes."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from shutil import disk_usage
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict

from ringback.cli.main import main
from ringback.core.accounts.account import EVERY
from ringback.core.audit import ActorKind
from ringback.core.retention import DAY, DEFAULTS, SetTimes, TimeSubject
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder
from ringback.ports import AuditFilter, PageWindow
from ringback.stores.encryption import new_key
from ringback.stores.postgres import checks
from ringback.stores.postgres.connections import Dsn
from ringback.stores.sql.data_growth import DataGrowth
from tests.damage.trial import opened
from tests.fakes import NOW
from tests.stores.old_files import NEWEST, write_old_file
from tests.stores.records import account, callback
from tests.stores.rich_data import rich_folder

NAMES = [
    "file",
    "wal",
    "schema",
    "catalogue",
    "age",
    "integrity",
    "foreign_keys",
    "secrets",
    "batches",
    "policy",
    "references",
    "counts",
    "open_attempts",
]


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder with an account."""
    store = DataFolder(tmp_path).open_beside()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.close()
    return tmp_path


def check(folder: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["db", "check", "--data", str(folder), *words])
    return result.exit_code, result.output


def found_in(folder: Path) -> dict[str, Any]:
    code, said = check(folder, "--json")
    document = json.loads(said)
    assert document["ok"] == (code == 0)
    return document


def faults_in(folder: Path) -> dict[str, str]:
    return {one["name"]: one["found"] for one in found_in(folder)["checks"] if not one["ok"]}


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATA_FILE, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_data_in_order_has_a_line_for_each_check(folder: Path) -> None:
    code, said = check(folder)
    assert code == 0
    assert [line.split()[:2] for line in said.splitlines()] == [["ok", name] for name in NAMES]
    assert "2 secrets can be decrypted with the key" in said


async def test_as_json_it_says_the_same(folder: Path) -> None:
    document = found_in(folder)
    assert document["ok"]
    assert [one["name"] for one in document["checks"]] == NAMES


async def test_it_works_beside_a_server_and_says_so(folder: Path) -> None:
    store = opened(folder)
    code, said = check(folder)
    await store.close()
    assert code == 0
    assert "in use by process" in said


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_it_changes_nothing(folder: Path) -> None:
    before = bytes_in(folder)
    check(folder)
    after = bytes_in(folder)
    assert {name: after[name] for name in before} == before


def test_where_there_is_no_data_it_makes_none(tmp_path: Path) -> None:
    assert list(faults_in(tmp_path)) == ["file"]
    assert list(tmp_path.iterdir()) == []


def give_another_key(folder: Path) -> None:
    (folder / KEY_FILE).write_text(new_key())


def lose_the_key(folder: Path) -> None:
    (folder / KEY_FILE).unlink()


def swap_a_secret(folder: Path) -> None:
    change(folder, "UPDATE accounts SET auth_token = (SELECT value FROM webhook_secrets)")


def lose_a_row(folder: Path) -> None:
    change(folder, "PRAGMA foreign_keys = OFF", "DELETE FROM accounts")


def lose_rows_of_an_index(folder: Path) -> None:
    change(
        folder,
        "PRAGMA writable_schema = ON",
        "CREATE INDEX empty ON accounts (name) WHERE name = ''",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX empty ON accounts (name)'"
        " WHERE name = 'empty'",
    )


def damage_a_version(folder: Path) -> None:
    change(
        folder,
        "INSERT INTO policy_versions VALUES (1, '{\"phases\": [], \"holds\": []}', 0, '', NULL)",
    )


def damage_a_batch(folder: Path) -> None:
    change(folder, "INSERT INTO batched_callbacks VALUES (1, '[\"CB')")


@pytest.mark.parametrize(
    ("harm", "name", "why"),
    [
        (give_another_key, "secrets", "are encrypted with the key"),
        (
            lose_the_key,
            "secrets",
            "does not exist, and the secrets in the data file can't be decrypted",
        ),
        (swap_a_secret, "secrets", "but 1 can't: accounts.auth_token of AC"),
        (lose_a_row, "foreign_keys", "of webhook_secrets has no accounts"),
        (lose_rows_of_an_index, "integrity", "missing from index empty"),
        (damage_a_version, "policy", "version 1 of 1 version can't be read: policy: the first"),
        (damage_a_batch, "batches", "1 of 1 accepted callback not queued yet can't be read"),
    ],
)
async def test_what_is_wrong_is_found(
    harm: Callable[[Path], None], name: str, why: str, folder: Path
) -> None:
    harm(folder)
    faults = faults_in(folder)
    assert list(faults) == [name]
    assert why in faults[name]


def test_the_states_of_callbacks_and_the_open_attempts_are_shown(tmp_path: Path) -> None:
    rich = rich_folder(tmp_path / "rich")
    checks = {one.name: one for one in rich.check()}
    assert all(one.is_ok for one in checks.values())
    with closing(sqlite3.connect(rich.folder / DATA_FILE)) as connection:
        (in_all,) = connection.execute("SELECT count(*) FROM callbacks").fetchone()
    assert checks["counts"].found.startswith(f"{in_all} callbacks: ")
    numbers = [int(word) for word in checks["counts"].found.split() if word.isdigit()]
    assert sum(numbers[1:]) == in_all
    assert checks["open_attempts"].found.startswith("4 attempts under way, the oldest since ")
    assert checks["open_attempts"].found.endswith("the next one settles them as unknown")


async def test_a_schema_that_is_older_is_said_with_what_to_do(folder: Path) -> None:
    change(folder, "PRAGMA user_version = 1")
    assert "run `ringback db upgrade`" in faults_in(folder)["schema"]


async def test_one_that_is_newer_too(folder: Path) -> None:
    change(folder, "PRAGMA user_version = 9999")
    assert "use the newer Ringback" in faults_in(folder)["schema"]


def test_a_letter_is_no_database(tmp_path: Path) -> None:
    (tmp_path / DATA_FILE).write_bytes(b"This is not a database, it is a letter. " * 100)
    assert "file is not a database" in faults_in(tmp_path)["schema"]


# ---- the state -----------------------------------------------------------------------------------


def status_of(folder: Path) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["db", "status", "--data", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


async def test_the_status_says_how_much_there_is_and_how_fast_it_grows(folder: Path) -> None:
    before = status_of(folder)
    assert (before["callbacks"], before["oldest_callback"]) == (0, None)
    assert before["disk_lasts"] == "it does not fill up at this rate"
    assert before["goes_next"] == "nothing, since there are no callbacks"
    store = DataFolder(folder).open_beside()
    made = [callback(number) for number in range(48)]
    await store.transact(lambda tx: [tx.callbacks.add(one) for one in made])
    await store.close()
    after = status_of(folder)
    assert after["callbacks"] == 48
    assert after["oldest_callback"] == f"{NOW:%Y-%m-%d}"
    # They are of the last hour.
    assert after["callbacks_per_day"] == 48 * 24
    assert after["bytes_per_day"] == after["bytes_per_callback"] * 48 * 24 > 0
    assert after["room_bytes"] > after["free_bytes"] >= 0
    assert after["can_shrink"] == "yes"


async def test_the_status_has_units_and_plain_words(folder: Path) -> None:
    done = CliRunner().invoke(main, ["db", "status", "--data", str(folder)])
    size = (folder / "ringback.db").stat().st_size
    assert f"size             {size:,} bytes ({size / 1e6:,.1f} MB)" in done.output.splitlines()
    assert "for ever" not in done.output
    assert "oldest callback  none" in done.output.splitlines()


@pytest.mark.parametrize("given", [{}, {"RINGBACK_SEAL_KEY": new_key()}])
async def test_a_backup_says_where_the_key_is_that_opens_it(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, given: dict[str, str]
) -> None:
    words = [
        "backup",
        str(tmp_path_factory.mktemp("elsewhere") / "a.backup"),
        "--data",
        str(folder),
        "--json",
    ]
    done = CliRunner(env=given).invoke(main, words)
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["key_in"] == str(folder / "ringback.key")


async def test_the_status_says_what_is_kept_how_long(folder: Path) -> None:
    assert "undelivered 90d (the default of new data)" in status_of(folder)["retention"]
    forever = {TimeSubject("*", "delivered"): None, TimeSubject(account().sid, "answers"): None}
    store = DataFolder(folder).open_beside()
    await store.transact(lambda tx: tx.retention.set_times(forever, NOW))
    await store.transact(lambda tx: tx.callbacks.add(callback(1)))
    await store.close()
    found = status_of(folder)
    assert "delivered forever (set for the server)" in found["retention"]
    assert found["retention"].endswith("1 account with times of their own")
    assert found["disk_lasts"].endswith(" days at this rate")


@pytest.mark.parametrize(
    ("in_weeks", "now", "expected"),
    [
        # The oldest callback is of a Wednesday; weeks begin on Thursdays, as 1970 did.
        (False, NOW, "answers 2024-07-10, attempts 2024-08-02, undelivered 2024-10-01"),
        (True, NOW, "answers 2024-07-11, attempts 2024-08-03, undelivered 2024-10-02"),
        (False, NOW + 40 * DAY, "answers now, attempts now, undelivered 2024-10-01"),
        (True, NOW + 7 * DAY, "answers 2024-07-11, attempts 2024-08-03, undelivered 2024-10-02"),
        (True, NOW + 8 * DAY, "answers now, attempts 2024-08-03, undelivered 2024-10-02"),
    ],
)
def test_the_status_says_when_the_first_of_it_goes(
    in_weeks: bool, now: datetime, expected: str
) -> None:
    times = DEFAULTS._replace(delivered=None)
    subjects = {TimeSubject("*", kind): time for kind, time in times._asdict().items()}
    growth = DataGrowth(1, NOW, 1, SetTimes({}, subjects), now, in_weeks)
    assert growth.shown(used=1, room=None)["goes_next"] == expected


def test_the_status_says_that_everything_is_kept() -> None:
    growth = DataGrowth(1, NOW, 1, SetTimes({}, {}), NOW, in_weeks=False)
    shown = growth.shown(used=1, room=None)
    assert shown["goes_next"] == "nothing, since no times are set"


def test_the_room_of_a_postgresql_on_this_machine_is_known(postgres_dsn: str) -> None:
    dsn = Dsn(postgres_dsn)
    folder = Path(str(conninfo_to_dict(dsn.text)["host"])) / "data"
    room = checks.status_of(dsn).room
    assert room is not None
    assert abs(room - disk_usage(folder).free) < 2**30
    elsewhere: Any = SimpleNamespace(info=SimpleNamespace(host="db.example"))
    assert checks._room(elsewhere) is None


async def test_the_status_of_an_older_file_has_no_growth(folder: Path) -> None:
    change(folder, "PRAGMA user_version = 11")
    assert list(status_of(folder)) == ["where", "schema", "newest_schema", "bytes"]


def test_an_upgrade_leaves_an_audit_entry(tmp_path: Path) -> None:
    write_old_file(tmp_path / DATA_FILE, schema=NEWEST - 1)
    run = ["db", "upgrade", "--data", str(tmp_path)]
    for _ in range(2):
        assert CliRunner().invoke(main, run).exit_code == 0
    (entry,) = DataFolder(tmp_path).transact(
        lambda tx: tx.audit.page(EVERY, AuditFilter(), PageWindow(9))
    )
    assert (entry.action, entry.subject) == ("UpgradeSchema", "schema")
    assert (entry.before, entry.after) == ({"schema": NEWEST - 1}, {"schema": NEWEST})
    assert entry.actor_kind is ActorKind.COMMAND_LINE
