"""A file from before the budget for answers: its answers stay as they are."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import Attempt
from ringback.core.callbacks.response_storage import MOST_BODY
from ringback.core.callbacks.retry import RetryLater
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.ports import CallbackFilter, PageWindow
from tests.fakes import NOW
from tests.stores.asking import attempts_of, claim, ended, opened, settle
from tests.stores.old_files import (
    NEWEST,
    NOW_US,
    insert,
    insert_callback,
    schema_of,
    upgraded,
    write_old_file,
)
from tests.stores.records import OURS, callback, shadow
from tests.stores.test_shadows import comparison, rows

LONG = bytes(range(256)) * 256
ENDED = {
    "started_us": NOW_US,
    "result": "refused",
    "status_code": 500,
    "response_head": "500\nX: y",
    "response_body": LONG,
    "response_is_cut": 1,
}
WHOLE = ReceiverResponseRecord(500, (("X", "y"),), LONG, is_cut=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 6, a callback with a long answer, and its shadow."""
    path = write_old_file(tmp_path / "ringback.db", schema=6)
    insert_callback(
        path, 1, destination=callback(1).url.destination, round_number=0, attempt_count=1
    )
    insert(path, "attempts", callback_sid=callback(1).sid, number=1, **ENDED)
    copy = {"sid": shadow(1).sid, "callback_sid": callback(1).sid, "account_sid": OURS}
    told = {"source": "twilio", "idempotency_token": "token 1", "url": "http://127.0.0.1:9000/"}
    insert(path, "shadows", **copy, **told, **ENDED)
    return path


async def test_accounts_and_callbacks_are_unchanged(path: Path) -> None:
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.all()) == [upgraded()]
        (found,) = await store.transact(
            lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))
        )
    assert found.having(callback(1).progress) == callback(1)


async def test_long_responses_are_whole_and_compared_as_before(path: Path) -> None:
    async with opened(path) as store:
        assert await attempts_of(store, 1) == [
            Attempt(callback(1).sid, OURS, 1, NOW, "refused", 500, response=WHOLE)
        ]
        assert [one.attempt.response for one in await rows(store)] == [WHOLE]
        assert (await comparison(store)).is_same_body
        assert await store.transact(lambda tx: tx.kept_responses.bytes_of(EVERY)) == 0


async def test_the_next_response_leaves_the_existing_one_whole(path: Path) -> None:
    async with opened(path) as store:
        (taken,) = await claim(store)
        await settle(store, ended(taken, RetryLater(NOW, 1), response=WHOLE))
        first, second = await attempts_of(store, 1)
    assert first.response == second.response == WHOLE
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT length(body) FROM answer_bodies ORDER BY id")
        assert [size for (size,) in found] == [len(LONG), MOST_BODY]


async def test_a_file_is_upgraded_once(path: Path) -> None:
    assert schema_of(path) == 6
    for _ in range(2):
        async with opened(path) as store:
            assert await store.transact(lambda tx: tx.accounts.get(OURS)) == upgraded()
        assert schema_of(path) == NEWEST
