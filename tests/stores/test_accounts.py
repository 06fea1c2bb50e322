"""Accounts and their API keys, in every store."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import Account, AccountStatus
from ringback.core.accounts.webhook_secret import NO_SECRETS, AccountWebhookSecrets
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.core.sids import SidKind
from ringback.ports import Store, Transaction
from tests.fakes import a_secret, an_api_key
from tests.stores.asking import claim, keep
from tests.stores.records import ODD_INSTANT, OURS, THEIRS, account, api_key, callback, sid


async def test_an_account_is_read_back_unchanged(empty: Store) -> None:
    odd = replace(
        account(),
        name="Zoë's",
        auth_token="tökén",
        webhook_secrets=NO_SECRETS,
        uses_static_proxy=True,
        date_created=ODD_INSTANT,
        schedule=RetrySchedule((timedelta(seconds=1.5), timedelta(hours=10), timedelta(0))),
    )
    await empty.transact(lambda tx: tx.accounts.add(odd, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == odd


@pytest.mark.parametrize("schedule", [None, FAITHFUL, PERSISTENT])
async def test_an_account_has_its_own_schedule_or_none(
    empty: Store, schedule: RetrySchedule | None
) -> None:
    ours = replace(account(), schedule=schedule)
    await empty.transact(lambda tx: tx.accounts.add(ours, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == ours


async def test_a_subaccount_knows_its_parent(store: Store) -> None:
    added = replace(account(sid(SidKind.ACCOUNT, 3)), parent_sid=OURS)
    await store.transact(lambda tx: tx.accounts.add(added, []))
    assert await store.transact(lambda tx: tx.accounts.get(added.sid)) == added
    moved = replace(added, parent_sid=THEIRS)
    await store.transact(lambda tx: tx.accounts.save(moved))
    assert await store.transact(lambda tx: tx.accounts.all()) == [account(), account(THEIRS), moved]


async def test_all_accounts_are_listed_oldest_first(empty: Store) -> None:
    for account_sid in (THEIRS, OURS):
        added = account(account_sid)
        await empty.transact(lambda tx, added=added: tx.accounts.add(added, []))
    assert await empty.transact(lambda tx: tx.accounts.all()) == [account(THEIRS), account(OURS)]


async def test_a_saved_account_replaces_the_old_state(store: Store) -> None:
    changed = replace(
        account(),
        name="B",
        auth_token="new",
        webhook_secrets=AccountWebhookSecrets(a_secret("newer"), a_secret("newest", name="next")),
        secondary_auth_token="second",
        status=AccountStatus.SUSPENDED,
        revision=7,
        uses_static_proxy=True,
        schedule=PERSISTENT,
    )
    await store.transact(lambda tx: tx.accounts.save(changed))
    assert await store.transact(lambda tx: tx.accounts.get(OURS)) == changed


async def test_saving_one_account_leaves_the_other(store: Store) -> None:
    await store.transact(lambda tx: tx.accounts.save(replace(account(), auth_token="new")))
    assert await store.transact(lambda tx: tx.accounts.get(THEIRS)) == account(THEIRS)


async def test_an_unknown_account_is_none(store: Store) -> None:
    assert await store.transact(lambda tx: tx.accounts.get(sid(SidKind.ACCOUNT, 9))) is None


async def test_a_key_is_found_by_its_sid(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(1)]))
    assert await empty.transact(lambda tx: tx.accounts.keys.get(api_key(1).sid)) == api_key(1)
    assert await empty.transact(lambda tx: tx.accounts.keys.get(api_key(2).sid)) is None


async def test_the_keys_of_an_account_are_its_own_oldest_first(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(9), api_key(1)]))
    await empty.transact(lambda tx: tx.accounts.add(account(THEIRS), [api_key(5, THEIRS)]))
    assert await empty.transact(lambda tx: tx.accounts.keys.of(OURS)) == [api_key(9), api_key(1)]


async def test_an_account_is_found_by_its_id_at_kore(store: Store) -> None:
    for one in (account(), account(THEIRS)):
        found = await store.transact(lambda tx, one=one: tx.accounts.with_kore_id(one.kore_id))
        assert found == one
    assert await store.transact(lambda tx: tx.accounts.with_kore_id(OURS)) is None


async def test_the_subaccounts_of_an_account_are_its_own_oldest_first(store: Store) -> None:
    children = [replace(account(sid(SidKind.ACCOUNT, n)), parent_sid=OURS) for n in (9, 5)]
    for one in (*children, replace(account(sid(SidKind.ACCOUNT, 7)), parent_sid=THEIRS)):
        await store.transact(lambda tx, one=one: tx.accounts.add(one, []))
    assert await store.transact(lambda tx: tx.accounts.children_of(OURS)) == children
    assert await store.transact(lambda tx: tx.accounts.children_of(children[0].sid)) == []


async def test_webhook_secrets_change_only_in_their_account(store: Store) -> None:
    secrets = AccountWebhookSecrets(a_secret("one", account_sid=OURS))
    for changed in (
        secrets.with_new(a_secret("two", name="next")),
        secrets.with_new(a_secret("two", name="next")).with_activated(ODD_INSTANT),
        NO_SECRETS,
    ):
        saved = replace(account(), webhook_secrets=changed)
        await store.transact(lambda tx, saved=saved: tx.accounts.save(saved))
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == saved
        assert await store.transact(lambda tx: tx.accounts.get(THEIRS)) == account(THEIRS)


async def test_a_claim_has_the_account_with_its_current_secrets(store: Store) -> None:
    await keep(store, callback(1))
    rotated = replace(
        account(), webhook_secrets=AccountWebhookSecrets(a_secret("new", name="next")), revision=1
    )
    await store.transact(lambda tx: tx.accounts.save(rotated))
    (claimed,) = await claim(store)
    assert claimed.account == rotated


async def test_an_operators_key_belongs_to_no_account(store: Store) -> None:
    operators = an_api_key(sid(SidKind.API_KEY, 7), None)
    for key in (operators, api_key(1)):
        await store.transact(lambda tx, key=key: tx.accounts.keys.add(key))
    assert await store.transact(lambda tx: tx.accounts.keys.get(operators.sid)) == operators
    assert await store.transact(lambda tx: tx.accounts.keys.of(None)) == [operators]
    assert await store.transact(lambda tx: tx.accounts.keys.of(OURS)) == [api_key(1)]


async def test_a_removed_key_is_gone_and_the_others_stay(store: Store) -> None:
    for key in (api_key(1), api_key(2)):
        await store.transact(lambda tx, key=key: tx.accounts.keys.add(key))
    await store.transact(lambda tx: tx.accounts.keys.remove(api_key(1).sid))
    assert await store.transact(lambda tx: tx.accounts.keys.get(api_key(1).sid)) is None
    assert await store.transact(lambda tx: tx.accounts.keys.of(OURS)) == [api_key(2)]


async def test_a_transaction_reads_what_it_saved(store: Store) -> None:
    changed = replace(account(), auth_token="changed", revision=1)

    def work(tx: Transaction) -> list[Account | None]:
        before = tx.accounts.get(OURS)
        tx.accounts.save(changed)
        return [before, tx.accounts.get(OURS)]

    assert await store.transact(work) == [account(), changed]
