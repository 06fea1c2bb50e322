"""API clients: created, found by their owners, signed in, deleted."""

from datetime import timedelta

import pytest

from ringback.core.accounts.account import AccountStatus
from ringback.core.accounts.client_credentials import LIFETIMES, ApiClientType, ApiScope
from ringback.core.errors import Forbidden, InvalidParameter, NotFound, Unauthorized
from ringback.core.kore_ids import KoreIdKind, is_kore_id
from ringback.operations.accounts import set_status
from ringback.operations.api_clients import (
    CreatedApiClient,
    create_client,
    delete_client,
    fetch_client,
    sign_in_client,
)
from tests.fakes import ACCOUNT_SID, NOW, a_context, an_account
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    return tx


def create(
    tx: MemoryTransaction, name: str = "Our dashboard", *, lifetime: timedelta = LIFETIMES["1h"]
) -> CreatedApiClient:
    return create_client(
        tx,
        ACCOUNT_SID,
        name,
        type=ApiClientType.STANDARD,
        products=[ApiScope.SUPER_SIM],
        context=a_context(),
        lifetime=lifetime,
        locked=True,
    )


def test_a_new_client_is_stored_with_the_given_values(tx: MemoryTransaction) -> None:
    made = create(tx, lifetime=LIFETIMES["30d"])
    client = made.client
    assert tx.api_clients.of(ACCOUNT_SID) == [client]
    assert is_kore_id(client.sid, KoreIdKind.API_CLIENT)
    assert (client.name, client.date_created, client.locked) == ("Our dashboard", NOW, True)
    assert (client.areas, client.lifetime) == ({ApiScope.SUPER_SIM}, timedelta(days=30))


def test_it_authenticates_with_its_secret(tx: MemoryTransaction) -> None:
    made = create(tx)
    assert sign_in_client(tx, made.client.sid, made.secret) == (made.client, an_account())


def test_its_secret_is_neither_stored_nor_printed(tx: MemoryTransaction) -> None:
    made = create(tx)
    assert made.secret not in repr(made)
    assert made.secret not in str(vars(tx.api_clients))


def test_all_wrong_credentials_get_the_same_answer(tx: MemoryTransaction) -> None:
    made = create(tx)
    for pair in ((made.client.sid, "wrong"), ("apiclient_0", made.secret), ("", "")):
        with pytest.raises(Unauthorized) as refused:
            sign_in_client(tx, *pair)
        assert refused.value.message == "Invalid client or Invalid client credentials"


def test_a_client_of_a_suspended_account_is_refused_for_that_reason(tx: MemoryTransaction) -> None:
    made = create(tx)
    set_status(tx, ACCOUNT_SID, AccountStatus.SUSPENDED, a_context())
    with pytest.raises(Forbidden, match=f"account {ACCOUNT_SID} is suspended"):
        sign_in_client(tx, made.client.sid, made.secret)
    with pytest.raises(Unauthorized):
        sign_in_client(tx, made.client.sid, "wrong")


def test_an_unprintable_name_is_refused(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter, match="a client's name"):
        create(tx, "a\nb")
    assert tx.api_clients.of(ACCOUNT_SID) == []


def test_a_client_is_found_only_among_those_of_its_owners(tx: MemoryTransaction) -> None:
    client = create(tx).client
    assert fetch_client(tx, client.sid, [THEIRS, ACCOUNT_SID]) == client
    for owners in ([], [THEIRS]):
        with pytest.raises(NotFound, match=f"there is no API client '{client.sid}'"):
            fetch_client(tx, client.sid, owners)


def test_a_deleted_client_is_gone(tx: MemoryTransaction) -> None:
    made = create(tx)
    assert delete_client(tx, made.client.sid, a_context()) == made.client
    with pytest.raises(Unauthorized):
        sign_in_client(tx, made.client.sid, made.secret)
    with pytest.raises(NotFound):
        delete_client(tx, made.client.sid, a_context())
