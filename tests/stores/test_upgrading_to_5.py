"""A file with one secret per account: clients can still sign in, and signatures stay the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringback.core.accounts.account import Account, AccountStatus
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.errors import Unauthorized
from ringback.core.kore_ids import KoreIdKind, is_kore_id
from ringback.operations.authentication import sign_in
from ringback.operations.webhook_secrets import change_secret, create_secret
from ringback.ports import CallbackFilter, PageWindow, Transaction
from tests.fakes import AUTH_TOKEN, KORE_SECRET, a_context
from tests.stores.asking import keep, opened
from tests.stores.old_files import (
    NEWEST,
    insert,
    insert_account,
    insert_callback,
    schema_of,
    upgraded,
    write_old_file,
)
from tests.stores.records import OURS, THEIRS, api_key, callback


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 4, two accounts with their keys, and a callback."""
    path = write_old_file(tmp_path / "ringback.db", schema=4)
    insert_account(path, THEIRS)
    for number, account_sid in ((9, OURS), (1, OURS), (5, THEIRS)):
        key = api_key(number, account_sid)
        insert(path, "api_keys", sid=key.sid, account_sid=account_sid, secret=f"secret {number}")
    insert_callback(path, 1, destination=callback(1).url.destination, round_number=0)
    return path


async def test_accounts_are_unchanged(path: Path) -> None:
    async with opened(path) as store:
        found = await store.transact(lambda tx: tx.accounts.all())
    assert found == [upgraded(), upgraded(THEIRS)]
    assert [one.status for one in found] == [AccountStatus.ACTIVE] * 2
    assert [one.kore_secret for one in found] == [KORE_SECRET] * 2


async def test_accounts_are_found_by_their_new_kore_ids(path: Path) -> None:
    async with opened(path) as store:
        for account_sid in (OURS, THEIRS):
            one = upgraded(account_sid)
            assert is_kore_id(one.kore_id, KoreIdKind.ACCOUNT)
            found = await store.transact(lambda tx, one=one: tx.accounts.with_kore_id(one.kore_id))
            assert found == one


async def test_clients_continue_with_the_same_secrets(path: Path) -> None:
    async with opened(path) as store:
        for number, account_sid in ((9, OURS), (1, OURS), (5, THEIRS)):
            pair = (api_key(number).sid, f"secret {number}")
            caller = await store.transact(lambda tx, pair=pair: sign_in(tx, *pair))
            assert caller.account == upgraded(account_sid)
        caller = await store.transact(lambda tx: sign_in(tx, OURS, AUTH_TOKEN))
        assert caller.account == upgraded()
        with pytest.raises(Unauthorized):
            await store.transact(lambda tx: sign_in(tx, api_key(1).sid, "secret 9"))


async def test_keys_keep_their_order(path: Path) -> None:
    async with opened(path) as store:
        found = await store.transact(lambda tx: tx.accounts.keys.of(OURS))
    assert found == [api_key(9), api_key(1)]


async def test_its_secret_can_be_rotated_like_any_other(path: Path) -> None:
    def rotate(tx: Transaction) -> list[str]:
        """Return the secret that the account signed with in the old file."""
        signed_with = list[str]()
        _, made = create_secret(tx, account_in(tx), "next", a_context())
        signed_with.append(account_in(tx).kore_secret)
        change_secret(
            tx,
            account_in(tx),
            made.id,
            name=None,
            status=WebhookSecretStatus.ACTIVE,
            context=a_context(),
        )
        return [*signed_with, account_in(tx).kore_secret, made.value]

    async with opened(path) as store:
        before, after, value = await store.transact(rotate)
        assert (before, after) == (KORE_SECRET, value)
        assert await store.transact(lambda tx: account_in(tx).kore_secret) == value


def account_in(tx: Transaction) -> Account:
    account = tx.accounts.get(OURS)
    assert account is not None
    return account


async def test_an_account_without_a_webhook_secret_has_none(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE accounts SET kore_secret = '' WHERE sid = ?", [THEIRS])
    async with opened(path) as store:
        found = await store.transact(lambda tx: tx.accounts.get(THEIRS))
    assert found is not None
    assert found.webhook_secrets.all == []


async def test_callbacks_are_unchanged_and_new_ones_follow_them(path: Path) -> None:
    async with opened(path) as store:
        await keep(store, callback(2))
        page = await store.transact(
            lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))
        )
    assert page == [callback(2), callback(1)]


async def test_a_file_is_upgraded_once(path: Path) -> None:
    assert schema_of(path) == 4
    for _ in range(2):
        async with opened(path) as store:
            assert await store.transact(lambda tx: tx.accounts.get(OURS)) == upgraded()
        assert schema_of(path) == NEWEST
