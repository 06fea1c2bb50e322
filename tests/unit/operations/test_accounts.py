"""Creating accounts: a printable name, and new random secrets."""

import re
from dataclasses import replace

import pytest

from ringback.core.accounts.account import AccountStatus
from ringback.core.accounts.webhook_secret import NO_SECRETS
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.retry_schedule import PERSISTENT, RetrySchedule
from ringback.operations.accounts import (
    CreatedAccount,
    add_credentials,
    create_account,
    fetch_account,
    list_accounts,
    set_status,
)
from ringback.operations.authentication import sign_in
from ringback.ports import RandomSource
from tests.fakes import NOW, SeededRandomness, a_context
from tests.memory_store import MemoryTransaction

RANDOM_SOURCE = SeededRandomness()


def create(
    tx: MemoryTransaction,
    name: str = "Acme",
    *,
    schedule: RetrySchedule | None = None,
    random_source: RandomSource = RANDOM_SOURCE,
    parent_sid: str | None = None,
) -> CreatedAccount:
    context = a_context(random_source=random_source)
    bare = create_account(tx, name=name, schedule=schedule, context=context, parent_sid=parent_sid)
    return add_credentials(tx, bare, context)


def test_a_new_account_is_stored_with_its_key() -> None:
    tx = MemoryTransaction()
    made = create(tx, schedule=PERSISTENT)
    assert tx.accounts.get(made.account.sid) == made.account
    assert tx.accounts.keys.of(made.account.sid) == [made.api_key.key]
    assert (made.account.name, made.account.date_created) == ("Acme", NOW)
    assert made.account.schedule is PERSISTENT


def test_its_sids_and_secrets_have_the_vendors_forms() -> None:
    made = create(MemoryTransaction())
    for text, form in (
        (made.account.sid, "AC[0-9a-f]{32}"),
        (made.account.auth_token, "[0-9a-f]{32}"),
        (made.account.kore_secret, "[0-9a-f]{18}"),
        (made.api_key.key.sid, "SK[0-9a-f]{32}"),
        (made.api_key.secret, "[0-9a-f]{32}"),
    ):
        assert re.fullmatch(form, text)


def test_both_pairs_of_credentials_are_valid() -> None:
    tx = MemoryTransaction()
    made = create(tx)
    assert sign_in(tx, made.account.sid, made.account.auth_token).account == made.account
    assert sign_in(tx, made.api_key.key.sid, made.api_key.secret).account == made.account


def test_two_accounts_have_only_the_name_in_common() -> None:
    tx = MemoryTransaction()
    one, other = create(tx), create(tx)
    assert one.account.name == other.account.name
    secrets = [
        (made.account.sid, made.account.auth_token, made.account.kore_secret, made.api_key.secret)
        for made in (one, other)
    ]
    assert not set(secrets[0]) & set(secrets[1])


def test_without_its_own_schedule_it_uses_the_servers() -> None:
    assert create(MemoryTransaction()).account.schedule is None


def test_accounts_are_listed_in_the_order_of_their_creation() -> None:
    tx = MemoryTransaction()
    made = [create(tx, name).account for name in ("Zeta", "Acme", "Mid")]
    assert list_accounts(tx) == made


@pytest.mark.parametrize("name", ["A", "x" * 64, "Ümläut & Söhne", "日本", "a b", "'; DROP TABLE"])
def test_a_name_may_be_any_printable_text(name: str) -> None:
    assert create(MemoryTransaction(), name).account.name == name


@pytest.mark.parametrize(
    "name", ["", " ", "x" * 65, "x" * 9999, "a\nb", "a\tb", "\x1b[31m", "a\u202eb", "\udc80"]
)
def test_an_unprintable_name_is_refused_and_nothing_is_created(name: str) -> None:
    tx = MemoryTransaction()
    with pytest.raises(InvalidParameter) as refused:
        create(tx, name)
    assert "1 to 64 printable characters" in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 150
    assert list_accounts(tx) == []


def test_a_subaccount_knows_its_parent() -> None:
    tx = MemoryTransaction()
    parent = create(tx).account
    child = create(tx, parent_sid=parent.sid).account
    assert (parent.parent_sid, child.parent_sid) == (None, parent.sid)


def test_an_unknown_parent_is_refused() -> None:
    with pytest.raises(
        InvalidParameter, match="there is no account 'AC0'; the parent must be an existing account"
    ):
        create(MemoryTransaction(), parent_sid="AC0")


def test_a_subaccount_has_no_subaccounts() -> None:
    tx = MemoryTransaction()
    parent = create(tx).account
    child = create(tx, parent_sid=parent.sid).account
    with pytest.raises(InvalidParameter, match=f"{child.sid} is a subaccount of {parent.sid}"):
        create(tx, parent_sid=child.sid)
    assert len(list_accounts(tx)) == 2


def test_an_account_created_as_at_kore_has_no_webhook_secret_and_no_key() -> None:
    tx = MemoryTransaction()
    parent = create(tx).account
    made = create_account(
        tx, name="Acme", context=a_context(random_source=RANDOM_SOURCE), parent_sid=parent.sid
    )
    assert tx.accounts.get(made.sid) == made
    assert made.webhook_secrets == NO_SECRETS
    assert tx.accounts.keys.of(made.sid) == []
    assert sign_in(tx, made.sid, made.auth_token).account == made


def test_an_account_created_as_at_kore_is_refused_for_the_same_reasons() -> None:
    tx = MemoryTransaction()
    with pytest.raises(InvalidParameter, match="1 to 64 printable characters"):
        create_account(tx, name="", context=a_context())
    with pytest.raises(
        InvalidParameter, match="there is no account 'AC0'; the parent must be an existing account"
    ):
        create_account(
            tx, name="Acme", context=a_context(random_source=RANDOM_SOURCE), parent_sid="AC0"
        )
    assert list_accounts(tx) == []


def test_the_text_of_a_new_account_with_its_key_has_no_secrets() -> None:
    made = create(MemoryTransaction())
    for secret in (made.account.auth_token, made.account.kore_secret, made.api_key.secret):
        assert secret not in repr(made)


def test_an_account_is_fetched_by_its_sid_or_by_its_id_at_kore() -> None:
    tx = MemoryTransaction()
    create(tx)
    account = create(tx).account
    assert fetch_account(tx, account.sid) == fetch_account(tx, account.kore_id) == account


@pytest.mark.parametrize("unknown", ["AC0", "acct_0", "", "*"])
def test_an_unknown_account_is_not_found(unknown: str) -> None:
    tx = MemoryTransaction()
    create(tx)
    with pytest.raises(NotFound, match="there is no account"):
        fetch_account(tx, unknown)


def test_suspending_and_resuming_an_account_each_make_a_newer_state() -> None:
    tx = MemoryTransaction()
    account = create(tx).account
    for revision, status in enumerate((AccountStatus.SUSPENDED, AccountStatus.ACTIVE), start=1):
        changed = set_status(tx, account.kore_id, status, a_context())
        assert changed == replace(account, status=status, revision=revision)
        assert tx.accounts.get(account.sid) == changed


def test_an_unknown_account_cannot_be_suspended() -> None:
    with pytest.raises(NotFound):
        set_status(MemoryTransaction(), "AC0", AccountStatus.SUSPENDED, a_context())
