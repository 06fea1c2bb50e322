import json

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import DeliveredOutcome
from ringback.dev_receiver.sender_lookup import ListenAccount, look_up, secrets_of, sent_of
from ringback.receiver.verification import ReceiverSecrets, SenderCallbackRecord
from tests.fakes import RecordingTransport

HASH = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
"""The SHA-256 of an empty array."""
ACCOUNT = ListenAccount(
    CallbackUrl.parse("http://127.0.0.1:8080"),
    "AC1",
    auth_token="auth",
    kore_secret="kore",
    api_key_secret="key",
)


def test_without_an_account_only_given_secrets_count() -> None:
    given = ReceiverSecrets(("given",))
    assert secrets_of(None, given=given) is given


def test_the_accounts_secrets_are_used_if_none_is_given() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets())
    assert (secrets.twilio_auth_tokens, secrets.kore_secrets) == (("auth",), ("kore",))


def test_a_given_secret_replaces_only_the_accounts_secret_of_its_kind() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets(kore_secrets=("given",)))
    assert (secrets.twilio_auth_tokens, secrets.kore_secrets) == (("auth",), ("given",))


def test_secrets_that_are_not_accepted_can_still_explain_a_failure() -> None:
    secrets = secrets_of(ACCOUNT, given=ReceiverSecrets(("given",), ("given",)))
    assert {value for _, value in secrets.not_accepted} == {"auth", "kore", "key"}


def test_a_record_of_a_post_is_read_without_its_fragment() -> None:
    listed = {"callbacks": [{"url": "http://a.example#cbs=kore", "method": "POST", "body": "a=1"}]}
    assert sent_of(listed) == SenderCallbackRecord("POST", "http://a.example", b"a=1")


def test_a_record_of_a_get_has_its_parameters_in_the_url() -> None:
    listed = {"callbacks": [{"url": "http://a.example/p?x=1", "method": "GET", "body": "a=1"}]}
    assert sent_of(listed) == SenderCallbackRecord("GET", "http://a.example/p?x=1&a=1")


def test_a_record_of_a_test_event_by_get_has_nothing_in_the_url() -> None:
    record = {"url": "http://a.example/p?x=1", "method": "GET", "body": "[]", "is_test": True}
    assert sent_of({"callbacks": [record]}) == SenderCallbackRecord("GET", "http://a.example/p?x=1")


@pytest.mark.parametrize(
    ("source", "url"),
    [("kore", "http://a.example/p?x=1"), ("twilio", f"http://a.example/p?x=1&bodySHA256={HASH}")],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_record_of_a_batch_has_its_body_by_get_and_at_twilio_the_hash_of_it(
    source: str, url: str, method: str
) -> None:
    record = {
        "url": "http://a.example/p?x=1#odd",
        "method": method,
        "body": "[]",
        "is_test": False,
        "stream_sid": "DF1",
        "source": source,
    }
    assert sent_of({"callbacks": [record]}) == SenderCallbackRecord(method, url, b"[]")
    assert sent_of({"callbacks": [{**record, "url": "nowhere"}]}) is None


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
def test_any_other_answer_is_not_a_record(listed: object) -> None:
    assert sent_of(listed) is None


def portal_that_answers(body: bytes) -> RecordingTransport:
    return RecordingTransport(
        [AttemptResult(DeliveredOutcome(200), None, ReceiverResponseRecord(200, (), body))]
    )


async def test_a_sent_request_is_looked_up_by_its_token_with_the_accounts_credentials() -> None:
    listed = {"callbacks": [{"url": "http://a.example", "method": "POST", "body": "a=1"}]}
    portal = portal_that_answers(json.dumps(listed).encode())
    found = await look_up("a token", of=ACCOUNT, transport=portal)
    assert found == SenderCallbackRecord("POST", "http://a.example", b"a=1")
    (request,) = portal.requests
    assert request.url.wire == (
        "http://127.0.0.1:8080/portal/v1/callbacks?IdempotencyToken=a+token"
    )
    assert request.headers == (("Host", "127.0.0.1:8080"), ("Authorization", "Basic QUMxOmF1dGg="))


@pytest.mark.parametrize("transport", [portal_that_answers(b"<html>"), RecordingTransport()])
async def test_a_sender_without_a_record_causes_no_error(transport: RecordingTransport) -> None:
    assert await look_up("a token", of=ACCOUNT, transport=transport) is None
