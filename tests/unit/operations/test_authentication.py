"""Signing in: the account for valid credentials, and the error for others."""

from dataclasses import replace

import pytest

from ringback.core.accounts.account import AccountStatus
from ringback.core.errors import Forbidden, Unauthorized
from ringback.operations.authentication import sign_in
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, an_account, an_api_key
from tests.memory_store import MemoryTransaction

KEY_SECRET = "made-up-key-secret"
KEY = an_api_key(secret=KEY_SECRET)
OPERATORS = "SK" + "0" * 32
PARENT = "AC" + "e" * 32


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [KEY])
    tx.accounts.add(an_account(sid="AC" + "f" * 32, auth_token="their-token"), [])
    return tx


def refusal_of(tx: MemoryTransaction, username: str, password: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        sign_in(tx, username, password)
    assert (refused.value.status, refused.value.code) == (401, 20003)
    return refused.value.message


def test_an_account_authenticates_with_its_sid_and_auth_token(tx: MemoryTransaction) -> None:
    assert sign_in(tx, ACCOUNT_SID, AUTH_TOKEN).account == an_account()


def test_an_api_key_authenticates_with_its_sid_and_secret(tx: MemoryTransaction) -> None:
    assert sign_in(tx, KEY.sid, KEY_SECRET).account == an_account()


def test_an_api_key_with_the_auth_token_is_refused_with_an_explanation(
    tx: MemoryTransaction,
) -> None:
    assert refusal_of(tx, KEY.sid, AUTH_TOKEN) == (
        "wrong credentials: the user name is an API key SID, so the password"
        " must be that key's secret; to use the Auth Token, sign in with"
        " the Account SID"
    )


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(ACCOUNT_SID, "wrong", id="a wrong token"),
        pytest.param(ACCOUNT_SID, "their-token", id="another account's token"),
        pytest.param(ACCOUNT_SID, "", id="no token"),
        pytest.param(ACCOUNT_SID, KEY_SECRET, id="a key's secret"),
        pytest.param(ACCOUNT_SID, AUTH_TOKEN.upper(), id="another letter case"),
        pytest.param(ACCOUNT_SID, "tökén", id="letters that no token has"),
        pytest.param("AC" + "0" * 32, AUTH_TOKEN, id="an account that isn't there"),
        pytest.param("", "", id="nothing at all"),
    ],
)
def test_wrong_account_credentials_are_refused_with_the_valid_kinds(
    tx: MemoryTransaction, username: str, password: str
) -> None:
    assert refusal_of(tx, username, password) == (
        "wrong credentials: sign in with an Account SID and its Auth Token, or an API key SID"
        " (SK…) and its secret"
    )


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(KEY.sid, "wrong", id="a wrong secret"),
        pytest.param(KEY.sid, "", id="no secret"),
        pytest.param("SK" + "0" * 32, KEY_SECRET, id="a key that isn't there"),
        pytest.param("SK", "", id="the start of a key"),
    ],
)
def test_a_wrong_key_and_a_wrong_secret_get_the_same_answer(
    tx: MemoryTransaction, username: str, password: str
) -> None:
    assert refusal_of(tx, username, password) == (
        "wrong credentials: there is no such API key with this secret"
    )


def test_no_refusal_has_a_secret(tx: MemoryTransaction) -> None:
    for username, password in ((ACCOUNT_SID, "pass"), (KEY.sid, "pass"), (KEY.sid, AUTH_TOKEN)):
        refusal = refusal_of(tx, username, password)
        assert not [s for s in ("'pass'", AUTH_TOKEN, KEY_SECRET) if s in refusal]


def test_both_auth_tokens_are_valid_and_no_other(tx: MemoryTransaction) -> None:
    account = replace(an_account(), secondary_auth_token="the-second")
    tx.accounts.save(account)
    for token in (AUTH_TOKEN, "the-second"):
        assert sign_in(tx, ACCOUNT_SID, token).account == account
    for wrong in ("", "None", "the-secon", "the-secondd"):
        refusal_of(tx, ACCOUNT_SID, wrong)


def test_an_api_key_with_the_secondary_token_is_refused_with_an_explanation(
    tx: MemoryTransaction,
) -> None:
    tx.accounts.save(replace(an_account(), secondary_auth_token="the-second"))
    assert "to use the Auth Token, sign in with the Account SID" in refusal_of(
        tx, KEY.sid, "the-second"
    )


def test_a_key_without_an_account_authenticates_the_operator(tx: MemoryTransaction) -> None:
    tx.accounts.keys.add(an_api_key(OPERATORS, None, "operator's"))
    assert sign_in(tx, OPERATORS, "operator's").account is None
    refusal_of(tx, OPERATORS, AUTH_TOKEN)


def forbidden(tx: MemoryTransaction, username: str, password: str) -> str:
    with pytest.raises(Forbidden) as refused:
        sign_in(tx, username, password)
    assert (refused.value.status, refused.value.code) == (403, 20005)
    return refused.value.message


PAIRS = pytest.mark.parametrize(
    "pair", [(ACCOUNT_SID, AUTH_TOKEN), (KEY.sid, KEY_SECRET)], ids=["an account", "a key"]
)


@PAIRS
def test_nobody_can_authenticate_as_a_suspended_account(
    tx: MemoryTransaction, pair: tuple[str, str]
) -> None:
    tx.accounts.save(replace(an_account(), status=AccountStatus.SUSPENDED))
    assert forbidden(tx, *pair) == (
        f"account {ACCOUNT_SID} is suspended; its operator can activate it again"
    )
    # Without valid credentials, a client learns nothing about the account.
    refusal_of(tx, pair[0], "wrong")
    tx.accounts.save(an_account())
    assert sign_in(tx, *pair).account == an_account()


@PAIRS
def test_nobody_can_authenticate_as_a_subaccount_of_a_suspended_account(
    tx: MemoryTransaction, pair: tuple[str, str]
) -> None:
    tx.accounts.save(replace(an_account(), parent_sid=PARENT))
    assert sign_in(tx, *pair).account is not None
    parent = an_account(sid=PARENT)
    tx.accounts.save(replace(parent, status=AccountStatus.SUSPENDED))
    assert f"account {PARENT} is suspended" in forbidden(tx, *pair)


def test_a_suspended_subaccount_does_not_affect_its_parent(tx: MemoryTransaction) -> None:
    child = an_account(sid=PARENT, parent_sid=ACCOUNT_SID)
    tx.accounts.save(replace(child, status=AccountStatus.SUSPENDED))
    assert sign_in(tx, ACCOUNT_SID, AUTH_TOKEN).account == an_account()


def test_a_key_whose_account_is_gone_is_refused_for_that_reason(tx: MemoryTransaction) -> None:
    tx.accounts.keys.add(an_api_key(OPERATORS, "AC" + "0" * 32, "orphan"))
    assert forbidden(tx, OPERATORS, "orphan") == "the account of these credentials no longer exists"
