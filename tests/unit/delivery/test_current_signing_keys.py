"""Signing keys: callbacks are signed with the newest known state of their account."""

from dataclasses import replace

from ringback.core.accounts.account import Account
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from tests.fakes import an_account
from tests.memory_store import MemoryStore


def state(revision: int, sid: str = "AC1") -> Account:
    return replace(an_account(sid=sid, auth_token=f"token {revision}"), revision=revision)


def test_a_claims_account_signs_if_no_newer_one_is_known() -> None:
    signing_keys = CurrentSigningKeys()
    assert signing_keys.newest(state(3)) == state(3)
    assert signing_keys.newest(state(4)) == state(4)


def test_a_newer_account_also_applies_to_earlier_claims() -> None:
    signing_keys = CurrentSigningKeys()
    signing_keys.learn(state(5))
    assert signing_keys.newest(state(4)) == state(5)
    assert signing_keys.newest(state(6)) == state(6)


def test_changes_reported_in_another_order_do_not_restore_an_old_state() -> None:
    signing_keys = CurrentSigningKeys()
    for revision in (2, 1):
        signing_keys.learn(state(revision))
    assert signing_keys.newest(state(0)) == state(2)


def test_each_account_has_a_state_of_its_own() -> None:
    signing_keys = CurrentSigningKeys()
    signing_keys.learn(state(5))
    assert signing_keys.newest(state(0, "AC2")) == state(0, "AC2")


async def test_what_another_process_changed_is_read_from_the_store() -> None:
    store, signing_keys = MemoryStore(), CurrentSigningKeys()
    signing_keys.learn(state(1))
    signing_keys.newest(state(1, "AC2"))
    await store.transact(lambda tx: tx.accounts.add(state(2), []))
    await signing_keys.refresh(store)
    assert signing_keys.newest(state(0)) == state(2)
    assert signing_keys.newest(state(0, "AC2")) == state(1, "AC2")


async def test_only_changes_of_this_process_are_announced() -> None:
    store, signing_keys, announced = MemoryStore(), CurrentSigningKeys(), list[str]()
    signing_keys.announce = lambda: announced.append("changed")
    signing_keys.newest(state(1))
    await store.transact(lambda tx: tx.accounts.add(state(2), []))
    await signing_keys.refresh(store)
    assert announced == []
    signing_keys.learn(state(3))
    assert announced == ["changed"]
