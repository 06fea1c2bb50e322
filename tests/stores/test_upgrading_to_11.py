"""A file from before narrow rows: each record is read as before, byte for byte."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.cli.main import main
from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.errors import ConfigurationError
from ringback.core.http.http_exchange import HeadPlace, HeadTemplate
from ringback.data_folder import DATA_FILE, DataFolder
from ringback.ports import CallbackFilter, PageWindow, Transaction
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sqlite import data_file_upgrade, table_rebuild
from ringback.stores.sqlite.data_file_opener import open_as_owner
from ringback.stores.sqlite.durability_mark import (
    DurableCommitMark,
    number_in,
    read_mark,
    write_mark,
)
from ringback.stores.sqlite.store import SqliteStore, connect
from ringback.stores.sqlite.table_rebuild import template_of
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import keep, opened
from tests.stores.old_files import NEWEST, definitions_of, schema_of
from tests.stores.records import OURS, THEIRS, callback
from tests.stores.schema_10 import NUMBER, read_rich_file, write_rich_file

DAY = ids_in(hours=24)
MADE_ANEW = ("accounts", "callbacks", "attempts", "open_attempts")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 10 and all kinds of rows."""
    return write_rich_file(tmp_path / DATA_FILE)


def everything(tx: Transaction) -> list[tuple[CallbackRecord, list[Attempt]]]:
    """Return all callbacks and their attempts, in the order in which they were added."""
    page = tx.callbacks.page(EVERY, CallbackFilter(), PageWindow(999))
    return [(one, tx.callbacks.attempts(one.sid)) for one in reversed(page)]


def asked(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    return asked(path, f"SELECT * FROM {table} NOT INDEXED")  # noqa: S608 (the name is ours)


def upgrade(path: Path) -> None:
    open_as_owner(path, VAULT).connection.close()


def upgrade_until(path: Path, copied: str) -> None:
    """Upgrade the file, and interrupt that as soon as so many callbacks are copied."""

    def tell(text: str) -> None:
        if text.startswith(f"copied {copied} "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_as_owner(path, VAULT, tell=tell)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make upgrades commit and report every 10 callbacks."""
    monkeypatch.setattr(table_rebuild, "CHUNK", 10)
    monkeypatch.setattr(table_rebuild, "TOLD", 10)


# ---- records -------------------------------------------------------------------------------------


def test_the_old_file_has_all_kinds_of_callbacks(path: Path) -> None:
    found = read_rich_file(path)
    assert len(found) > 70
    assert {one.status for one, _ in found} == set(CallbackStatus)
    assert {len(attempts) for _, attempts in found} == {0, 1, 2}


async def test_every_callback_and_attempt_is_unchanged(path: Path) -> None:
    before = read_rich_file(path)
    async with opened(path) as store:
        after = await store.transact(everything)
    for old, new in zip(before, after, strict=True):
        assert new == old


async def test_callbacks_wait_and_are_under_way_as_before(path: Path) -> None:
    before = [one for one, _ in read_rich_file(path)]
    is_open = {one.sid for one in before if one.progress.is_under_way}
    is_due = {one.sid for one in before if one.progress.due}
    async with opened(path) as store:
        left_open = await store.transact(lambda tx: tx.callbacks.left_open())
        lanes = await store.transact(lambda tx: tx.callbacks.waiting())
        late = NOW + timedelta(days=1)
        claims = [
            claim
            for lane, _ in lanes
            for claim in await store.transact(
                lambda tx, lane=lane: claim_from(tx, lane, late, limit=99)
            )
        ]
    assert {claim.callback.sid for claim in left_open} == is_open
    assert {claim.callback.sid for claim in claims} == is_due
    assert len(is_open) == 2


def test_only_callbacks_that_are_due_as_their_sender_asked_are_appointed(path: Path) -> None:
    wanted = asked(
        path,
        "SELECT sid FROM callbacks WHERE status = 'scheduled' AND due_us > created_us"
        " AND attempt_count = 0 AND updated_us = created_us",
    )
    upgrade(path)
    assert asked(path, "SELECT sid FROM waiting JOIN callbacks USING (id) WHERE is_appointed") == (
        wanted
    )
    assert len(wanted) == 1


async def test_new_callbacks_come_after_the_old_ones(path: Path) -> None:
    before = [one.sid for one, _ in read_rich_file(path)]
    async with opened(path) as store:
        await keep(store, callback(9000))
        after = await store.transact(everything)
    assert [one.sid for one, _ in after] == [*before, callback(9000).sid]


def test_other_tables_are_unchanged(path: Path) -> None:
    names = [name for (name,) in asked(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    same = [name for name in names if name not in MADE_ANEW and name != "sealed_with"]
    before = {name: rows_of(path, name) for name in same}
    assert sum(map(bool, before.values())) >= 10
    upgrade(path)
    secrets = {"webhook_secrets", "token_keys"}
    before["sqlite_sequence"] = [one for one in before["sqlite_sequence"] if one[0] != "callbacks"]
    for name in before.keys() - secrets:
        # Later schemas added columns, which are empty.
        added = [
            (None,) * (len(now) - len(row))
            for now, row in zip(rows_of(path, name), before[name], strict=True)
        ]
        assert rows_of(path, name) == [
            row + more for row, more in zip(before[name], added, strict=True)
        ]


def test_accounts_are_numbered_in_order(path: Path) -> None:
    upgrade(path)
    assert asked(path, "SELECT id, sid FROM accounts ORDER BY id") == [(1, OURS), (2, THEIRS)]


# ---- rows ----------------------------------------------------------------------------------------


def test_ids_are_in_order_and_have_the_time_of_creation_but_none_of_the_future(path: Path) -> None:
    upgrade(path)
    rows = asked(path, "SELECT id, created_us FROM callbacks ORDER BY rowid")
    milliseconds = [row_id >> 21 for row_id, _ in rows]
    first = to_us(NOW) // 1000 + 9000
    assert milliseconds[:2] == [first, first]
    assert first < milliseconds[2] <= steady_milliseconds()
    assert all(one < two for (one, _), (two, _) in pairwise(rows))
    sids = [one.sid for one, _ in read_rich_file(path.with_name(f"{DATA_FILE}.before-10"))]
    assert [sid for (sid,) in asked(path, "SELECT sid FROM callbacks ORDER BY id")] == sids


def test_a_shared_row_is_used_for_a_day_at_most(path: Path) -> None:
    upgrade(path)
    ages = "max(id - target_id), max(id - head_id), max(id - result_id)"
    joined = "callbacks LEFT JOIN attempts ON callback_id = id"
    (found,) = asked(path, f"SELECT {ages} FROM {joined}")  # noqa: S608 (the names are ours)
    assert max(found) <= DAY


def test_requests_of_both_sources_share_their_heads(path: Path) -> None:
    upgrade(path)
    heads = [head for (head,) in asked(path, "SELECT head FROM request_heads")]
    sent = [head for head in heads if "Proxy/1.1" in head]
    # Two sources, two methods, three hosts; those of an account with a static proxy; a test event.
    assert len(sent) == 2 * 2 * 3 + 2 + 1
    assert all(HeadPlace.SIGNATURE in head and HeadPlace.TOKEN in head for head in sent)
    assert all(HeadPlace.DATE in head for head in sent if "Kore" in head)


@given(
    st.text(), st.text(), st.integers(0, 99), st.text(), st.sampled_from(["", "X-Twilio-", "Kore-"])
)
@example("POST / HTTP/1.1\r\nContent-Length: 7\r\nDate: 2024-07-03T14:40:58Z", "/", 7, "a", "Kore-")
@example("GET  HTTP/1.1\r\nDate: 2024-07-03", "/?a=1", 0, "", "X-Twilio-")
@example("GET / HTTP/1.1\r\nX: GET  HTTP/1.1", "/another", 0, "", "Kore-")
@example("\x01\x02\x03\x04\x05\x06", "\x02", 0, "\x06", "")
def test_a_template_gives_the_same_head(
    head: str, target: str, length: int, token: str, scheme: str
) -> None:
    head += f"\r\n{scheme}Signature: {token}"
    text, signature, sent_us = template_of(head, target, length, token)
    filled = HeadTemplate(text).fill(target, length, token, signature, from_us(sent_us or 0))
    method = head.partition(" ")[0]
    without = f"{method}  HTTP/1.1"
    is_long = head.startswith(without)
    assert filled == (head.replace(without, f"{method} {target} HTTP/1.1", 1) if is_long else head)


# ---- the file ------------------------------------------------------------------------------------


def test_the_new_file_is_like_one_that_was_never_older(path: Path, tmp_path: Path) -> None:
    upgrade(path)
    with (
        closing(connect(tmp_path / "fresh.db", VAULT)) as fresh,
        closing(sqlite3.connect(path)) as connection,
    ):
        assert definitions_of(connection) == definitions_of(fresh)
    for pragma in ("page_size", "auto_vacuum", "journal_mode", "user_version"):
        assert asked(path, f"PRAGMA {pragma}") == asked(tmp_path / "fresh.db", f"PRAGMA {pragma}")
    assert asked(path, "PRAGMA auto_vacuum") == [(2,)]
    assert asked(path, "PRAGMA integrity_check") == [("ok",)]
    assert asked(path, "PRAGMA foreign_key_check") == []


def test_the_old_file_stays_as_it_was(path: Path) -> None:
    before, inode = read_rich_file(path), path.stat().st_ino
    upgrade(path)
    old = path.with_name(f"{DATA_FILE}.before-10")
    assert (schema_of(old), old.stat().st_ino, read_rich_file(old)) == (10, inode, before)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        *(DATA_FILE, old.name, "ringback.watermark")
    ]


def test_the_number_of_the_last_commit_goes_on(path: Path) -> None:
    with closing(open_as_owner(path, VAULT).connection) as connection:
        assert number_in(connection) == NUMBER
    mark = read_mark(path)
    assert mark is not None
    assert mark.number == NUMBER


def test_a_file_that_has_lost_data_is_not_upgraded(path: Path) -> None:
    write_mark(path, DurableCommitMark(NUMBER + 1))
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is older than the data that was here"):
        open_as_owner(path, VAULT)
    assert path.read_bytes() == before
    upgraded = open_as_owner(path, VAULT, accept_data_loss=True)
    upgraded.connection.close()
    assert upgraded.upgrade is not None


# ---- interruptions -------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
async def test_an_interrupted_upgrade_goes_on_where_it_was(path: Path) -> None:
    before, told = read_rich_file(path), list[str]()
    upgrade_until(path, "30")
    upgrade_until(path, "50")
    assert schema_of(path) == 10
    open_as_owner(path, VAULT, tell=told.append).connection.close()
    assert told[0] == f"copied 60 of {len(before)} callbacks to the new data file"
    async with opened(path) as store:
        assert await store.transact(everything) == before


@pytest.mark.usefixtures("small_chunks")
async def test_after_a_change_of_the_old_file_it_begins_anew(path: Path) -> None:
    upgrade_until(path, "30")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE callbacks SET source_reason = 'changed'")
    before, told = read_rich_file(path), list[str]()
    open_as_owner(path, VAULT, tell=told.append).connection.close()
    assert told[0].startswith("copied 10 ")
    async with opened(path) as store:
        assert await store.transact(everything) == before


@pytest.mark.usefixtures("small_chunks")
def test_the_command_says_how_far_it_is(path: Path) -> None:
    count = len(read_rich_file(path))
    result = CliRunner().invoke(main, ["db", "upgrade", "--data", str(path.parent), "--json"])
    assert result.stderr.splitlines()[0] == f"copied 10 of {count} callbacks to the new data file"
    assert result.stdout.startswith(f'{{"before": 10, "after": {NEWEST}, "copy": "')


@pytest.mark.usefixtures("small_chunks")
async def test_a_server_logs_how_far_it_is(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await SqliteStore.open(path, VAULT).close()
    assert "copied 20 of" in caplog.text
    assert f"upgraded from schema 10 to {NEWEST}" in caplog.text


def test_rows_that_are_missing_in_the_copy_stop_the_upgrade(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_rich_file(path)
    monkeypatch.setattr(data_file_upgrade, "fill", lambda *_: None)
    with pytest.raises(ConfigurationError, match="the copy has 0 of"):
        DataFolder(path.parent).upgrade()
    assert read_rich_file(path) == before
    assert [file.name for file in path.parent.iterdir() if "db." in file.name] == []
