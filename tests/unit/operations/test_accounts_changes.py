"""A changed account signs callbacks with its new secrets after the commit."""

from dataclasses import replace

import pytest

from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.operations.accounts import keep_changed
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, a_context, an_account
from tests.memory_store import MemoryStore

CHANGED = replace(an_account(), auth_token="changed")


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    return store


async def test_a_change_is_stored_as_a_newer_state(store: MemoryStore) -> None:
    for revision in (1, 2):
        known = await store.transact(lambda tx: tx.accounts.get(ACCOUNT_SID))
        assert known is not None
        kept = await store.transact(lambda tx, a=known: keep_changed(tx, a, a_context()))
        assert kept == replace(known, revision=revision)
        assert await store.transact(lambda tx: tx.accounts.get(ACCOUNT_SID)) == kept


async def test_callbacks_are_signed_with_it_from_then_on(store: MemoryStore) -> None:
    signing_keys = CurrentSigningKeys()
    kept = await store.transact(
        lambda tx: keep_changed(tx, CHANGED, a_context(signing_keys=signing_keys))
    )
    assert signing_keys.newest(an_account()) == kept


async def test_a_change_that_is_not_durable_signs_nothing(store: MemoryStore) -> None:
    signing_keys = CurrentSigningKeys()

    def break_off(tx: Transaction) -> None:
        keep_changed(tx, CHANGED, a_context(signing_keys=signing_keys))
        assert signing_keys.newest(an_account()) == an_account()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.transact(break_off)
    assert signing_keys.newest(an_account()) == an_account()
