from dataclasses import replace

from ringback.core.accounts.account import EVERY, Account, AccountStatus, DamagedSecret, one_account
from ringback.core.accounts.webhook_secret import AccountWebhookSecrets
from ringback.core.kore_ids import id_of_account
from ringback.core.retry_schedule import PERSISTENT
from tests.fakes import ACCOUNT_SID, NOW, a_secret, an_account, an_api_key


def test_every_account_is_no_single_one() -> None:
    assert one_account(EVERY) is None
    assert one_account(ACCOUNT_SID) == ACCOUNT_SID


def test_the_text_of_an_account_has_no_secrets() -> None:
    printed = repr(an_account(auth_token="hunter2", kore_secret="swordfish"))
    assert "hunter2" not in printed
    assert "swordfish" not in printed


def test_the_text_of_an_api_key_has_no_secret() -> None:
    key = an_api_key(secret="hunter2")
    assert key.secret_hash not in repr(key)
    assert "hunter2" not in repr(key)


def test_an_api_key_recognises_its_secret() -> None:
    key = an_api_key(secret="hunter2")
    assert key.opens_with("hunter2")
    assert not key.opens_with("Hunter2")


def test_an_account_uses_the_servers_schedule_unless_it_has_its_own() -> None:
    given = Account("AC1", "Test", "", uses_static_proxy=False, date_created=NOW)
    assert given.schedule is None
    assert an_account(schedule=PERSISTENT).schedule == PERSISTENT


def test_without_webhook_secrets_kores_requests_are_unsigned() -> None:
    assert an_account(kore_secret="").kore_secret == ""


def test_the_active_secret_signs_for_kore() -> None:
    secrets = AccountWebhookSecrets(a_secret("active"), a_secret("pending", name="next"))
    assert replace(an_account(), webhook_secrets=secrets).kore_secret == "active"


def test_the_kore_id_of_an_account_never_changes() -> None:
    account = an_account()
    assert account.kore_id == id_of_account(ACCOUNT_SID, NOW)
    assert replace(account, name="B", revision=7).kore_id == account.kore_id


def test_nobody_can_authenticate_as_a_suspended_account() -> None:
    account = an_account()
    assert not account.is_suspended
    assert replace(account, status=AccountStatus.SUSPENDED).is_suspended


def test_a_secret_is_damaged_until_it_is_replaced() -> None:
    secret = a_secret("")
    unopened = (
        DamagedSecret("auth_token", "sealed token"),
        DamagedSecret("secondary_auth_token", "sealed second"),
        DamagedSecret(secret.id, "sealed secret"),
    )
    secrets = AccountWebhookSecrets(active=secret)
    damaged = replace(
        an_account(auth_token=""),
        webhook_secrets=secrets,
        secondary_auth_token="",
        unopened=unopened,
    )
    assert damaged.damaged_secrets == ["auth_token", "secondary_auth_token", secret.id]
    assert damaged.damaged_signing_secrets == ["auth_token", secret.id]
    assert damaged.kept_seal("auth_token") == "sealed token"
    mended = replace(damaged, auth_token="new", secondary_auth_token=None)
    assert mended.damaged_secrets == [secret.id]
    assert mended.kept_seal("auth_token") is None
    assert an_account().kept_seal("auth_token") is None
