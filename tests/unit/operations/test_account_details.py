"""What is known about an account: its valid keys, its clients, and the age of its Auth Tokens."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.audit import AUDIT_KEPT
from ringback.operations.account_details import AccountDetails, account_details
from ringback.operations.api_keys import create_key, end_key
from ringback.operations.auth_tokens import create_secondary, delete_secondary, promote_secondary
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account, an_api_client
from tests.memory_store import MemoryTransaction

DAY = timedelta(days=1)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(replace(an_account(), date_created=NOW), [])
    return tx


def details_of(tx: MemoryTransaction, days: int = 0) -> AccountDetails:
    return account_details(tx, tx.accounts.accounts[ACCOUNT_SID], NOW + days * DAY)


def test_keys_that_have_ended_are_left_out(tx: MemoryTransaction) -> None:
    random_source = SeededRandomness()
    one, other = (
        create_key(tx, ACCOUNT_SID, "CI", a_context(random_source=random_source)).key
        for _ in range(2)
    )
    end_key(tx, one.sid, a_context())
    tx.api_clients.add(replace(an_api_client(), account_sid=ACCOUNT_SID))
    found = details_of(tx)
    assert [key.sid for key in found.keys] == [other.sid]
    assert len(found.clients) == 1


def test_the_auth_token_is_as_old_as_its_account_or_its_promotion(tx: MemoryTransaction) -> None:
    assert (details_of(tx).token_since, details_of(tx).secondary_since) == (NOW, None)
    create_secondary(tx, ACCOUNT_SID, a_context(now=NOW + DAY))
    found = details_of(tx)
    assert (found.token_since, found.secondary_since) == (NOW, NOW + DAY)
    promote_secondary(tx, ACCOUNT_SID, a_context(now=NOW + 2 * DAY))
    found = details_of(tx)
    assert (found.token_since, found.secondary_since) == (NOW + 2 * DAY, None)


def test_a_deleted_secondary_token_has_no_age(tx: MemoryTransaction) -> None:
    create_secondary(tx, ACCOUNT_SID, a_context())
    delete_secondary(tx, ACCOUNT_SID, a_context())
    assert details_of(tx).secondary_since is None


def test_the_age_is_unknown_if_the_account_is_older_than_the_audit(tx: MemoryTransaction) -> None:
    assert details_of(tx, AUDIT_KEPT.days - 1).token_since == NOW
    assert details_of(tx, AUDIT_KEPT.days).token_since is None
