"""Signing keys: callbacks are signed with the newest known state of their account."""

from dataclasses import replace

from ringback.core.accounts.account import Account
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from tests.fakes import an_account


def state(revision: int, sid: str = "AC1") -> Account:
    return replace(an_account(sid=sid, auth_token=f"token {revision}"), revision=revision)


def test_what_a_claim_brings_is_signed_by_where_nothing_newer_is_known() -> None:
    signing_keys = CurrentSigningKeys()
    assert signing_keys.newest(state(3)) == state(3)
    assert signing_keys.newest(state(4)) == state(4)


def test_what_was_learned_holds_for_claims_from_before() -> None:
    signing_keys = CurrentSigningKeys()
    signing_keys.learn(state(5))
    assert signing_keys.newest(state(4)) == state(5)
    assert signing_keys.newest(state(6)) == state(6)


def test_changes_that_are_told_in_another_order_make_no_old_state_come_back() -> None:
    signing_keys = CurrentSigningKeys()
    for revision in (2, 1):
        signing_keys.learn(state(revision))
    assert signing_keys.newest(state(0)) == state(2)


def test_each_account_has_a_state_of_its_own() -> None:
    signing_keys = CurrentSigningKeys()
    signing_keys.learn(state(5))
    assert signing_keys.newest(state(0, "AC2")) == state(0, "AC2")
