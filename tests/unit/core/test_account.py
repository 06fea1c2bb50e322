from ringback.core.account import Account, ApiKey
from ringback.core.schedule import PERSISTENT
from tests.fakes import NOW, an_account


def test_an_account_prints_without_its_secrets() -> None:
    printed = repr(an_account(auth_token="hunter2", kore_secret="swordfish"))
    assert "hunter2" not in printed
    assert "swordfish" not in printed


def test_an_api_key_prints_without_its_secret() -> None:
    assert repr(ApiKey("SK1", "AC1", "hunter2")) == "ApiKey(sid='SK1', account_sid='AC1')"


def test_an_account_goes_by_the_schedule_of_the_server_unless_it_has_its_own() -> None:
    given = Account("AC1", "Test", "", "", uses_static_proxy=False, date_created=NOW)
    assert given.schedule is None
    assert an_account(schedule=PERSISTENT).schedule == PERSISTENT
