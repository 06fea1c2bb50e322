"""Signing in: which credentials lead to which account, and what the others are told."""

import pytest

from ringback.core.account import ApiKey
from ringback.core.errors import NotSignedIn
from ringback.operations.sign_in import sign_in
from ringback.stores.memory import MemoryTransaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, an_account

KEY = ApiKey("SK" + "a" * 32, ACCOUNT_SID, "made-up-key-secret")


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [KEY])
    tx.accounts.add(an_account(sid="AC" + "f" * 32, auth_token="their-token"), [])
    return tx


def refusal_of(tx: MemoryTransaction, username: str, password: str) -> str:
    with pytest.raises(NotSignedIn) as refused:
        sign_in(tx, username, password)
    assert (refused.value.status, refused.value.code) == (401, 20003)
    return refused.value.message


def test_an_account_signs_in_with_its_sid_and_auth_token(tx: MemoryTransaction) -> None:
    assert sign_in(tx, ACCOUNT_SID, AUTH_TOKEN) == an_account()


def test_an_api_key_signs_in_with_its_sid_and_secret(tx: MemoryTransaction) -> None:
    assert sign_in(tx, KEY.sid, KEY.secret) == an_account()


def test_an_api_key_with_the_auth_token_is_told_what_goes_with_what(tx: MemoryTransaction) -> None:
    assert refusal_of(tx, KEY.sid, AUTH_TOKEN) == (
        "wrong credentials: the user name is an API key SID, so the password has to be that key's"
        " secret; the Auth Token goes with the Account SID"
    )


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(ACCOUNT_SID, "wrong", id="a wrong token"),
        pytest.param(ACCOUNT_SID, "their-token", id="another account's token"),
        pytest.param(ACCOUNT_SID, "", id="no token"),
        pytest.param(ACCOUNT_SID, KEY.secret, id="a key's secret"),
        pytest.param(ACCOUNT_SID, AUTH_TOKEN.upper(), id="another letter case"),
        pytest.param(ACCOUNT_SID, "tökén", id="letters that no token has"),
        pytest.param("AC" + "0" * 32, AUTH_TOKEN, id="an account that isn't there"),
        pytest.param("", "", id="nothing at all"),
    ],
)
def test_wrong_account_credentials_are_told_which_ones_there_are(
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
        pytest.param("SK" + "0" * 32, KEY.secret, id="a key that isn't there"),
        pytest.param("SK", "", id="the start of a key"),
    ],
)
def test_a_wrong_key_and_a_wrong_secret_are_told_the_same(
    tx: MemoryTransaction, username: str, password: str
) -> None:
    assert refusal_of(tx, username, password) == (
        "wrong credentials: there is no such API key with this secret"
    )


def test_a_refusal_holds_no_secret(tx: MemoryTransaction) -> None:
    for username, password in ((ACCOUNT_SID, "pass"), (KEY.sid, "pass"), (KEY.sid, AUTH_TOKEN)):
        refusal = refusal_of(tx, username, password)
        assert not [s for s in ("'pass'", AUTH_TOKEN, KEY.secret) if s in refusal]
