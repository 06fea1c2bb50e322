from datetime import timedelta

import pytest

from ringback.core.api_client import EVERYTHING, LIFETIMES, PRODUCTS, ApiClient, Area, ClientType
from tests.fakes import ACCOUNT_SID, NOW, an_api_client


def test_a_standard_client_is_good_for_its_products_alone() -> None:
    client = an_api_client(type=ClientType.STANDARD, products=frozenset({Area.SUPER_SIM}))
    assert client.areas == {Area.SUPER_SIM}


@pytest.mark.parametrize("products", [(), PRODUCTS])
def test_an_admin_client_is_good_for_everything(products: tuple[Area, ...]) -> None:
    client = an_api_client(type=ClientType.ADMIN, products=frozenset(products))
    assert client.areas == EVERYTHING == set(Area)


def test_a_client_knows_its_secret_again() -> None:
    client = an_api_client(secret="hunter2")
    assert client.opens_with("hunter2")
    assert not client.opens_with("Hunter2")


def test_a_client_prints_without_its_secret() -> None:
    client = an_api_client(secret="hunter2")
    assert client.secret_hash not in repr(client)
    assert "hunter2" not in repr(client)


def test_tokens_are_good_for_an_hour_unless_it_is_said_otherwise() -> None:
    client = ApiClient("apiclient_1", ACCOUNT_SID, "", "", ClientType.ADMIN, frozenset(), NOW)
    assert client.lifetime == timedelta(hours=1) == min(LIFETIMES.values())
