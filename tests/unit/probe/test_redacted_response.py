from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.http_exchange import (
    AttemptResult,
    OutgoingRequest,
    ReceiverResponseRecord,
    RequestTimings,
)
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.probe.redacted_response import ProbeResponse, hiding, shown

PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)
HIDE = hiding(["s3cret/", ""])


def answer_to(body: bytes, headers: tuple[tuple[str, str], ...] = PLAIN) -> ProbeResponse:
    response = ReceiverResponseRecord(403, headers, body)
    return ProbeResponse.of(AttemptResult(RefusedOutcome(403), None, response), hide=HIDE)


def test_plain_text_of_a_receiver_is_shown() -> None:
    assert answer_to(b"url_differs").words == "the receiver answered 403 Forbidden: url_differs"


def test_a_page_is_not_shown() -> None:
    page = answer_to(b"<h1>no</h1>", (("content-type", "text/html"),))
    assert page.words == "the receiver answered 403 Forbidden"


def test_secrets_are_hidden_before_a_text_is_truncated() -> None:
    words = answer_to(b"x" * 95 + b"s3cret/ s3cret%2F").words
    assert "s3c" not in words


def test_a_response_cannot_control_a_terminal() -> None:
    assert "\x1b" not in answer_to(b"\x1b[2J").words


def test_the_time_to_connect_does_not_count() -> None:
    exchange = AttemptResult(DeliveredOutcome(200), RequestTimings(1000, 100, 200, 300, 350))
    assert ProbeResponse.of(exchange, hide=HIDE).seconds == 0.4


def test_only_a_missing_answer_counts_as_silence() -> None:
    def ended(failure: AttemptFailure) -> ProbeResponse:
        return ProbeResponse.of(AttemptResult(NoAnswerOutcome(failure, "why")), hide=HIDE)

    assert ended(AttemptFailure.READ_TIMEOUT).is_silence
    assert not ended(AttemptFailure.CLOSED).is_silence
    assert ended(AttemptFailure.CLOSED).asks_for_another_try


def test_a_request_is_shown_without_confidential_parts() -> None:
    url = CallbackUrl.parse("http://user:pass-word@a.example/p?x=s3cret/")
    headers = (
        ("Host", "a.example"),
        ("Authorization", url.authorization or ""),
        ("Kore-Signature", "0123456789abcdef"),
    )
    request = OutgoingRequest.with_headers("POST", url, headers, b"a=s3cret%2F")
    text = shown(request, HIDE, {"Kore-Signature"})
    assert text == (
        "POST /p?x=(hidden) HTTP/1.1\nHost: a.example\nAuthorization: (hidden)\n"
        "Kore-Signature: 0123… (16 characters)\n\na=(hidden)"
    )
