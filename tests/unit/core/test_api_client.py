from datetime import timedelta

import pytest

from ringback.core.api_client import (
    EVERYTHING,
    LIFETIMES,
    OPERATOR,
    PRODUCTS,
    ApiClient,
    Area,
    Caller,
    ClientType,
)
from tests.fakes import ACCOUNT_SID, NOW, an_account, an_api_client


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


def test_an_accounts_own_credentials_are_good_for_everything_and_dont_end() -> None:
    caller = Caller(an_account())
    assert all(map(caller.may, Area))
    assert caller.until is None


def test_a_caller_may_do_what_its_areas_say_and_nothing_else() -> None:
    caller = Caller(an_account(), frozenset({Area.WIRELESS}))
    assert [area for area in Area if caller.may(area)] == [Area.WIRELESS]


def test_the_operator_is_no_account_and_may_do_everything() -> None:
    assert OPERATOR.account is None
    assert all(map(OPERATOR.may, Area))
