"""API keys: their secret is shown once, and an ended key is invalid at once."""

from datetime import timedelta

import pytest

from ringback.core.accounts.account import ApiKeyRole
from ringback.core.audit import Actor, ActorKind
from ringback.core.errors import InvalidParameter, NotFound, Unauthorized
from ringback.operations.api_keys import create_key, end_key
from ringback.operations.authentication import sign_in
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction

LATER = NOW + timedelta(days=1)


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
    principal = sign_in(tx, made.key.sid, made.secret)
    assert principal.account is None
    assert principal.actor == Actor(ActorKind.OPERATOR_KEY, made.key.sid, "backup")
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


def test_an_ended_key_can_not_sign_in_and_stays_listed_without_its_hash(
    tx: MemoryTransaction,
) -> None:
    made = create_key(tx, ACCOUNT_SID, "CI", a_context())
    ended = end_key(tx, made.key.sid, a_context(now=LATER))
    assert (ended.date_ended, ended.name) == (LATER, "CI")
    (kept,) = tx.accounts.keys.of(ACCOUNT_SID)
    assert (kept.date_ended, kept.secret_hash) == (LATER, "")
    for secret in (made.secret, ""):
        with pytest.raises(Unauthorized):
            sign_in(tx, made.key.sid, secret)


def test_only_a_valid_key_can_be_ended(tx: MemoryTransaction) -> None:
    made = create_key(tx, ACCOUNT_SID, "CI", a_context())
    end_key(tx, made.key.sid, a_context())
    with pytest.raises(NotFound, match=f"{made.key.sid} ended at 2024.* already"):
        end_key(tx, made.key.sid, a_context(now=LATER))
    with pytest.raises(NotFound, match="there is no API key 'SK0'"):
        end_key(tx, "SK0", a_context())
    assert len(tx.audit.entries) == 2


@pytest.mark.parametrize("account_sid", [ACCOUNT_SID, None])
def test_a_key_has_a_role(tx: MemoryTransaction, account_sid: str | None) -> None:
    for role, is_read_only in ((ApiKeyRole.FULL, False), (ApiKeyRole.READ_ONLY, True)):
        made = create_key(tx, account_sid, "CI", a_context(), role=role)
        assert sign_in(tx, made.key.sid, made.secret).is_read_only is is_read_only
