"""API clients, and the key that signs their tokens, in every store."""

from datetime import timedelta

import pytest

from ringback.core.accounts.client_credentials import (
    PRODUCTS,
    ApiClientType,
    ApiScope,
    ClientCredentials,
)
from ringback.ports import Store, TokenSigningKey, Transaction
from tests.fakes import an_api_client
from tests.stores.records import ODD_INSTANT, OURS, THEIRS


def client(number: int, account_sid: str = OURS) -> ClientCredentials:
    return an_api_client(sid=f"apiclient_{number:026}", account_sid=account_sid)


async def keep_clients(store: Store, *clients: ClientCredentials) -> None:
    def work(tx: Transaction) -> None:
        for one in clients:
            tx.api_clients.add(one)

    await store.transact(work)


@pytest.mark.parametrize("locked", [None, False, True])
@pytest.mark.parametrize("products", [(), (ApiScope.WIRELESS,), PRODUCTS])
async def test_a_client_is_read_back_unchanged(
    store: Store, products: tuple[ApiScope, ...], locked: bool | None
) -> None:
    odd = an_api_client(
        account_sid=OURS,
        name="Zoë's",
        type=ApiClientType.STANDARD,
        products=frozenset(products),
        date_created=ODD_INSTANT,
        lifetime=timedelta(days=730),
        locked=locked,
    )
    await keep_clients(store, odd)
    assert await store.transact(lambda tx: tx.api_clients.get(odd.sid)) == odd


async def test_the_clients_of_an_account_are_its_own_oldest_first(store: Store) -> None:
    await keep_clients(store, client(9), client(5, THEIRS), client(1))
    assert await store.transact(lambda tx: tx.api_clients.of(OURS)) == [client(9), client(1)]


async def test_a_removed_client_is_gone_and_the_others_stay(store: Store) -> None:
    await keep_clients(store, client(1), client(2))
    await store.transact(lambda tx: tx.api_clients.remove(client(1).sid))
    assert await store.transact(lambda tx: tx.api_clients.get(client(1).sid)) is None
    assert await store.transact(lambda tx: tx.api_clients.of(OURS)) == [client(2)]


async def test_there_is_one_key_for_tokens_the_last_one_stored(store: Store) -> None:
    assert await store.transact(lambda tx: tx.api_clients.token_key()) is None
    for key in (TokenSigningKey("1", "one"), TokenSigningKey("2", "two")):
        await store.transact(lambda tx, key=key: tx.api_clients.keep_token_key(key))
        assert await store.transact(lambda tx: tx.api_clients.token_key()) == key


def test_the_key_for_tokens_prints_without_its_secret() -> None:
    assert "hunter2" not in repr(TokenSigningKey("1", "hunter2"))
