"""Auth Tokens: the secondary token can sign in, too, and then replaces the primary."""

from collections.abc import Callable

import pytest

from ringback.core.accounts.account import Account
from ringback.core.errors import NotFound, Unauthorized
from ringback.operations.auth_tokens import create_secondary, delete_secondary, promote_secondary
from ringback.operations.authentication import sign_in
from ringback.operations.context import AccountOperationContext
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


def secondary_of(account: Account) -> str:
    assert account.secondary_auth_token is not None
    return account.secondary_auth_token


def signs_in(tx: MemoryTransaction, token: str) -> bool:
    try:
        return sign_in(tx, ACCOUNT_SID, token).account is not None
    except Unauthorized:
        return False


def test_both_are_valid_and_the_primary_one_signs(tx: MemoryTransaction) -> None:
    account = create_secondary(tx, ACCOUNT_SID, a_context())
    assert account.auth_token == AUTH_TOKEN
    assert signs_in(tx, AUTH_TOKEN)
    assert signs_in(tx, secondary_of(account))
    assert tx.accounts.get(ACCOUNT_SID) == account
    assert secondary_of(account) not in repr(account)


def test_a_new_one_replaces_the_secondary_one(tx: MemoryTransaction) -> None:
    random_source = SeededRandomness()
    first, second = (
        secondary_of(create_secondary(tx, ACCOUNT_SID, a_context(random_source=random_source)))
        for _ in range(2)
    )
    assert first != second
    assert not signs_in(tx, first)
    assert signs_in(tx, second)


def test_a_promoted_one_signs_and_the_primary_one_is_gone(tx: MemoryTransaction) -> None:
    made = secondary_of(create_secondary(tx, ACCOUNT_SID, a_context()))
    account = promote_secondary(tx, ACCOUNT_SID, a_context())
    assert (account.auth_token, account.secondary_auth_token) == (made, None)
    assert not signs_in(tx, AUTH_TOKEN)
    assert signs_in(tx, made)


def test_a_deleted_one_is_no_longer_valid(tx: MemoryTransaction) -> None:
    made = secondary_of(create_secondary(tx, ACCOUNT_SID, a_context()))
    account = delete_secondary(tx, ACCOUNT_SID, a_context())
    assert (account.auth_token, account.secondary_auth_token) == (AUTH_TOKEN, None)
    assert not signs_in(tx, made)


def test_each_of_these_changes_makes_a_newer_state_of_the_account(tx: MemoryTransaction) -> None:
    revisions = [
        create_secondary(tx, ACCOUNT_SID, a_context()).revision,
        promote_secondary(tx, ACCOUNT_SID, a_context()).revision,
        create_secondary(tx, ACCOUNT_SID, a_context(random_source=SeededRandomness(1))).revision,
        delete_secondary(tx, ACCOUNT_SID, a_context()).revision,
    ]
    assert revisions == [1, 2, 3, 4]


@pytest.mark.parametrize("change", [promote_secondary, delete_secondary])
def test_without_a_secondary_one_there_is_nothing_to_do(
    tx: MemoryTransaction, change: Callable[[Transaction, str, AccountOperationContext], Account]
) -> None:
    told = f"account {ACCOUNT_SID} has no secondary Auth Token; create one first"
    with pytest.raises(NotFound, match=told):
        change(tx, ACCOUNT_SID, a_context())
    assert tx.accounts.get(ACCOUNT_SID) == an_account()


def test_an_unknown_account_has_none(tx: MemoryTransaction) -> None:
    with pytest.raises(NotFound, match="there is no account 'AC0'"):
        create_secondary(tx, "AC0", a_context())
