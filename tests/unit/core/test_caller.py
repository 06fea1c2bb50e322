from ringback.core.api_client import Area
from ringback.core.caller import OPERATOR, Caller
from tests.fakes import an_account


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
