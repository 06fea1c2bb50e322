from datetime import timedelta

import pytest

from ringback.core.accounts.client_credentials import (
    EVERYTHING,
    LIFETIMES,
    PRODUCTS,
    ApiClientType,
    ApiScope,
    ClientCredentials,
    Principal,
)
from ringback.core.audit import SERVER, Actor, ActorKind
from tests.fakes import ACCOUNT_SID, NOW, an_account, an_api_client


def test_a_standard_client_may_use_only_its_products() -> None:
    client = an_api_client(type=ApiClientType.STANDARD, products=frozenset({ApiScope.SUPER_SIM}))
    assert client.areas == {ApiScope.SUPER_SIM}


@pytest.mark.parametrize("products", [(), PRODUCTS])
def test_an_admin_client_may_use_everything(products: tuple[ApiScope, ...]) -> None:
    client = an_api_client(type=ApiClientType.ADMIN, products=frozenset(products))
    assert client.areas == EVERYTHING == set(ApiScope)


def test_a_client_recognises_its_secret() -> None:
    client = an_api_client(secret="hunter2")
    assert client.opens_with("hunter2")
    assert not client.opens_with("Hunter2")


def test_the_text_of_a_client_has_no_secret() -> None:
    client = an_api_client(secret="hunter2")
    assert client.secret_hash not in repr(client)
    assert "hunter2" not in repr(client)


def test_tokens_are_valid_for_an_hour_by_default() -> None:
    client = ClientCredentials(
        "apiclient_1", ACCOUNT_SID, "", "", ApiClientType.ADMIN, frozenset(), NOW
    )
    assert client.lifetime == timedelta(hours=1) == min(LIFETIMES.values())


def test_an_accounts_own_credentials_allow_everything_and_do_not_expire() -> None:
    principal = Principal(an_account(), SERVER)
    assert all(map(principal.may, ApiScope))
    assert principal.until is None


def test_a_principal_may_use_its_areas_and_nothing_else() -> None:
    principal = Principal(an_account(), SERVER, frozenset({ApiScope.WIRELESS}))
    assert [area for area in ApiScope if principal.may(area)] == [ApiScope.WIRELESS]


def test_a_client_is_named_by_its_id_and_name_in_audit_entries() -> None:
    client = an_api_client(name="CI")
    assert client.actor == Actor(ActorKind.API_CLIENT, client.sid, "CI")
