"""API keys: their secret is shown once, and a deleted key is invalid at once."""

import pytest

from ringback.core.accounts.client_credentials import OPERATOR
from ringback.core.errors import InvalidParameter, NotFound, Unauthorized
from ringback.operations.api_keys import create_key, delete_key
from ringback.operations.authentication import sign_in
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


def test_a_new_key_authenticates_its_account(tx: MemoryTransaction) -> None:
    made = create_key(tx, ACCOUNT_SID, "CI", a_context())
    assert sign_in(tx, made.key.sid, made.secret).account == an_account()
    assert (made.key.name, made.key.date_created) == ("CI", NOW)
    assert tx.accounts.keys.of(ACCOUNT_SID) == [made.key]


def test_a_key_without_an_account_is_the_operators(tx: MemoryTransaction) -> None:
    made = create_key(tx, None, "backup", a_context())
    assert sign_in(tx, made.key.sid, made.secret) == OPERATOR
    assert tx.accounts.keys.of(ACCOUNT_SID) == []


def test_its_secret_is_neither_stored_nor_printed(tx: MemoryTransaction) -> None:
    made = create_key(tx, ACCOUNT_SID, "CI", a_context())
    assert made.secret not in repr(made)
    assert made.secret not in str(vars(tx.accounts))
    assert made.secret not in made.key.secret_hash


def test_two_keys_have_different_sids_and_secrets(tx: MemoryTransaction) -> None:
    random_source = SeededRandomness()
    one, other = (
        create_key(tx, ACCOUNT_SID, "CI", a_context(random_source=random_source)) for _ in range(2)
    )
    assert one.key.sid != other.key.sid
    assert one.secret != other.secret


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65])
def test_an_unprintable_name_is_refused(tx: MemoryTransaction, name: str) -> None:
    with pytest.raises(InvalidParameter, match="a key's name"):
        create_key(tx, ACCOUNT_SID, name, a_context())
    assert tx.accounts.keys.of(ACCOUNT_SID) == []


def test_a_deleted_key_is_no_longer_valid(tx: MemoryTransaction) -> None:
    made = create_key(tx, ACCOUNT_SID, "CI", a_context())
    assert delete_key(tx, made.key.sid) == made.key
    with pytest.raises(Unauthorized):
        sign_in(tx, made.key.sid, made.secret)
    with pytest.raises(NotFound, match=f"there is no API key '{made.key.sid}'"):
        delete_key(tx, made.key.sid)
