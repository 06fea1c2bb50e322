from ringback.core.account import ApiKey
from tests.fakes import an_account


def test_an_account_prints_without_its_secrets() -> None:
    printed = repr(an_account(auth_token="hunter2", kore_secret="swordfish"))
    assert "hunter2" not in printed
    assert "swordfish" not in printed


def test_an_api_key_prints_without_its_secret() -> None:
    assert repr(ApiKey("SK1", "AC1", "hunter2")) == "ApiKey(sid='SK1', account_sid='AC1')"
