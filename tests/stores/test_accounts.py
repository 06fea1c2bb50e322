"""Accounts and their API keys, in every store."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.schedule import FAITHFUL, PERSISTENT, Schedule
from ringback.core.sids import Kind
from ringback.ports import Store
from tests.stores.records import ODD_INSTANT, OURS, THEIRS, account, api_key, sid


async def test_an_account_comes_back_as_it_was(empty: Store) -> None:
    odd = replace(
        account(),
        name="Zoë's",
        auth_token="tökén",
        kore_secret="",
        uses_static_proxy=True,
        date_created=ODD_INSTANT,
        schedule=Schedule((timedelta(seconds=1.5), timedelta(hours=10), timedelta(0))),
    )
    await empty.transact(lambda tx: tx.accounts.add(odd, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == odd


@pytest.mark.parametrize("schedule", [None, FAITHFUL, PERSISTENT])
async def test_an_account_has_its_own_schedule_or_none(
    empty: Store, schedule: Schedule | None
) -> None:
    ours = replace(account(), schedule=schedule)
    await empty.transact(lambda tx: tx.accounts.add(ours, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == ours


async def test_a_subaccount_knows_its_parent(store: Store) -> None:
    added = replace(account(sid(Kind.ACCOUNT, 3)), parent_sid=OURS)
    await store.transact(lambda tx: tx.accounts.add(added, []))
    assert await store.transact(lambda tx: tx.accounts.get(added.sid)) == added
    moved = replace(added, parent_sid=THEIRS)
    await store.transact(lambda tx: tx.accounts.save(moved))
    assert await store.transact(lambda tx: tx.accounts.all()) == [account(), account(THEIRS), moved]


async def test_all_accounts_come_oldest_first(empty: Store) -> None:
    for account_sid in (THEIRS, OURS):
        added = account(account_sid)
        await empty.transact(lambda tx, added=added: tx.accounts.add(added, []))
    assert await empty.transact(lambda tx: tx.accounts.all()) == [account(THEIRS), account(OURS)]


async def test_a_saved_account_replaces_the_old_state(store: Store) -> None:
    changed = replace(
        account(),
        name="B",
        auth_token="new",
        kore_secret="newer",
        uses_static_proxy=True,
        schedule=PERSISTENT,
    )
    await store.transact(lambda tx: tx.accounts.save(changed))
    assert await store.transact(lambda tx: tx.accounts.get(OURS)) == changed


async def test_saving_one_account_leaves_the_other(store: Store) -> None:
    await store.transact(lambda tx: tx.accounts.save(replace(account(), auth_token="new")))
    assert await store.transact(lambda tx: tx.accounts.get(THEIRS)) == account(THEIRS)


async def test_an_unknown_account_is_none(store: Store) -> None:
    assert await store.transact(lambda tx: tx.accounts.get(sid(Kind.ACCOUNT, 9))) is None


async def test_a_key_is_found_by_its_sid(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(1)]))
    assert await empty.transact(lambda tx: tx.accounts.key(api_key(1).sid)) == api_key(1)
    assert await empty.transact(lambda tx: tx.accounts.key(api_key(2).sid)) is None


async def test_the_keys_of_an_account_are_its_own_oldest_first(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(9), api_key(1)]))
    await empty.transact(lambda tx: tx.accounts.add(account(THEIRS), [api_key(5, THEIRS)]))
    assert await empty.transact(lambda tx: tx.accounts.keys_of(OURS)) == [api_key(9), api_key(1)]
