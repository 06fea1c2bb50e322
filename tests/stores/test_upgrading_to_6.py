"""A file from before shadows: its records stay, and its callbacks can have shadows."""

from pathlib import Path

import pytest

from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.core.http.outcome import DeliveredOutcome
from ringback.ports import CallbackFilter, PageWindow, ShadowCallbackFilter
from tests.stores.asking import attempts_of, claim, ended, keep, opened, settle
from tests.stores.old_files import NEWEST, insert_callback, schema_of, upgraded, write_old_file
from tests.stores.records import OURS, callback, shadow
from tests.stores.test_shadows import open_, page, settle_, settled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 5, and an account with a delivered callback."""
    path = write_old_file(tmp_path / "ringback.db", schema=5)
    insert_callback(path, 1, destination=callback(1).url.destination, round_number=0)
    return path


async def test_accounts_and_callbacks_are_unchanged(path: Path) -> None:
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.all()) == [upgraded()]
        found = await store.transact(
            lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))
        )
    assert found == [callback(1)]


async def test_there_are_no_copies_at_first(path: Path) -> None:
    async with opened(path) as store:
        assert await page(store, PageWindow(9), ShadowCallbackFilter()) == []
        assert await store.transact(lambda tx: tx.shadows.left_open()) == []


async def test_its_callbacks_can_be_copied_beside_new_ones(path: Path) -> None:
    async with opened(path) as store:
        await keep(store, callback(2))
        claims = await claim(store)
        await settle(store, *(ended(one, NoRetryNeeded()) for one in claims))
        await open_(store, shadow(1), shadow(2))
        copy = settled(shadow(1), DeliveredOutcome(200))
        await settle_(store, copy)
        assert [one.shadow for one in await page(store, PageWindow(9))] == [shadow(2), copy]
        assert len(await attempts_of(store, 1)) == 1


async def test_a_file_is_upgraded_once(path: Path) -> None:
    assert schema_of(path) == 5
    for _ in range(2):
        async with opened(path) as store:
            assert await store.transact(lambda tx: tx.accounts.get(OURS)) == upgraded()
        assert schema_of(path) == NEWEST
