import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.dev_receiver.sender_account import SenderAccount, secrets_of, sent_of
from ringback.receiver.verification import ReceiverSecrets, SenderRecord

ACCOUNT = SenderAccount(
    CallbackUrl.parse("http://127.0.0.1:8080"),
    "AC1",
    auth_token="auth",
    kore_secret="kore",
    api_key_secret="key",
)


def test_without_an_account_only_what_is_given_counts() -> None:
    given = ReceiverSecrets(("given",))
    assert secrets_of(None, given=given) is given


def test_the_accounts_secrets_are_used_where_none_is_given() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets())
    assert (secrets.twilio_auth_tokens, secrets.kore_secrets) == (("auth",), ("kore",))


def test_a_given_secret_replaces_the_accounts_of_its_kind_alone() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets(kore_secrets=("given",)))
    assert (secrets.twilio_auth_tokens, secrets.kore_secrets) == (("auth",), ("given",))


def test_what_is_not_accepted_can_still_explain() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets(("given",), ("given",)))
    assert {value for _, value in secrets.not_accepted} == {"auth", "kore", "key"}


def test_a_record_of_a_post_is_read_without_its_fragment() -> None:
    listed = {"callbacks": [{"url": "http://a.example#cbs=kore", "method": "POST", "body": "a=1"}]}
    assert sent_of(listed) == SenderRecord("POST", "http://a.example", b"a=1")


def test_a_record_of_a_get_has_its_parameters_in_the_url() -> None:
    listed = {"callbacks": [{"url": "http://a.example/p?x=1", "method": "GET", "body": "a=1"}]}
    assert sent_of(listed) == SenderRecord("GET", "http://a.example/p?x=1&a=1")


def test_a_record_of_a_test_event_by_get_has_nothing_in_the_url() -> None:
    record = {"url": "http://a.example/p?x=1", "method": "GET", "body": "[]", "is_test": True}
    assert sent_of({"callbacks": [record]}) == SenderRecord("GET", "http://a.example/p?x=1")


@pytest.mark.parametrize(
    "listed",
    [
        None,
        [],
        {"callbacks": []},
        {"callbacks": [{"url": 1, "method": "GET", "body": ""}]},
        {"callbacks": [{"url": "no URL", "method": "GET", "body": ""}]},
        {"code": 20003},
    ],
)
def test_anything_else_is_no_record(listed: object) -> None:
    assert sent_of(listed) is None
