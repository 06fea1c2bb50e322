import pytest

from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
    answered,
    code_of,
    describe,
    failure_of,
    is_refusal,
    status_of,
)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_an_answer_of_2xx_is_a_delivery(status: int) -> None:
    assert answered(status, location="/ignored") == DeliveredOutcome(status)


@pytest.mark.parametrize(
    "status", [100, 199, 300, 301, 302, 304, 400, 404, 410, 500, 503, 599, 600]
)
def test_any_other_answer_is_a_refusal_with_its_redirect_target(status: int) -> None:
    assert answered(status, location="/there") == RefusedOutcome(status, "/there")


@pytest.mark.parametrize(
    ("outcome", "name", "code"),
    [
        (DeliveredOutcome(200), "delivered", None),
        (DeliveredOutcome(299), "delivered", None),
        (RefusedOutcome(199), "refused", 11206),
        (RefusedOutcome(300), "refused", 11215),
        (RefusedOutcome(399), "refused", 11215),
        (RefusedOutcome(400), "refused", 11217),
        (RefusedOutcome(599), "refused", 11217),
        (RefusedOutcome(600), "refused", 11206),
        (NoAnswerOutcome(AttemptFailure.NAME, ""), "unreachable", 11210),
        (NoAnswerOutcome(AttemptFailure.GUARD, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.CONNECT, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.CONNECT_TIMEOUT, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.EGRESS, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.PROXY, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.PROXY_REFUSED, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.PROXY_TIMEOUT, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.TLS, ""), "unreachable", 11220),
        (NoAnswerOutcome(AttemptFailure.CERTIFICATE_NAME, ""), "unreachable", 11235),
        (NoAnswerOutcome(AttemptFailure.CERTIFICATE_EXPIRED, ""), "unreachable", 11236),
        (NoAnswerOutcome(AttemptFailure.CERTIFICATE_UNTRUSTED, ""), "unreachable", 11237),
        (NoAnswerOutcome(AttemptFailure.STALE, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.TOTAL_TIMEOUT, ""), "unreachable", 11205),
        (NoAnswerOutcome(AttemptFailure.CLOSED, ""), "unreachable", 11200),
        (NoAnswerOutcome(AttemptFailure.PROTOCOL, ""), "unreachable", 11206),
        (NoAnswerOutcome(AttemptFailure.INTERNAL, ""), "unreachable", 11200),
        (NoAnswerOutcome(AttemptFailure.KINESIS_CLIENT, ""), "unreachable", 93101),
        (NoAnswerOutcome(AttemptFailure.KINESIS_WRITE, ""), "unreachable", 93101),
        (NoAnswerOutcome(AttemptFailure.KINESIS_ROLE, ""), "unreachable", 93102),
        (NoAnswerOutcome(AttemptFailure.KINESIS_SHARDS, ""), "unreachable", 93103),
        (NoAnswerOutcome(AttemptFailure.KINESIS_STREAM, ""), "unreachable", 93104),
        (UnknownOutcome(), "unknown", 11200),
    ],
)
def test_each_result_has_a_stable_name_and_code(
    outcome: Outcome, name: str, code: int | None
) -> None:
    assert (outcome.label, code_of(outcome)) == (name, code)


def test_every_failure_has_its_own_label() -> None:
    # An enum merges members with equal values; the labels keep these members different.
    assert sorted(failure.label for failure in AttemptFailure) == [
        "certificate_expired",
        "certificate_name",
        "certificate_untrusted",
        "closed",
        "connect",
        "connect_timeout",
        "egress",
        "guard",
        "held",
        "internal",
        "kinesis_client",
        "kinesis_role",
        "kinesis_shards",
        "kinesis_stream",
        "kinesis_write",
        "lease",
        "name",
        "no_local_port",
        "no_time",
        "protocol",
        "proxy",
        "proxy_refused",
        "proxy_timeout",
        "read_timeout",
        "secret",
        "shortage",
        "source",
        "stale",
        "tls",
        "total_timeout",
    ]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (DeliveredOutcome(204), "the receiver answered 204 No Content"),
        (DeliveredOutcome(299), "the receiver answered 299"),
        (RefusedOutcome(503), "the receiver answered 503 Service Unavailable"),
        (RefusedOutcome(799), "the receiver answered 799"),
        (
            RefusedOutcome(301),
            "the receiver answered 301 Moved Permanently; redirects are not followed",
        ),
        (
            RefusedOutcome(302, "https://else.example/"),
            "the receiver answered 302 Found, pointing to https://else.example/;"
            " redirects are not followed",
        ),
        (RefusedOutcome(299, "/unused"), "the receiver answered 299"),
        (
            RefusedOutcome(300),
            "the receiver answered 300 Multiple Choices; redirects are not followed",
        ),
        (RefusedOutcome(399), "the receiver answered 399; redirects are not followed"),
        (RefusedOutcome(400, "/unused"), "the receiver answered 400 Bad Request"),
        (
            NoAnswerOutcome(AttemptFailure.CONNECT, "127.0.0.1:9000 refused"),
            "127.0.0.1:9000 refused",
        ),
        (
            UnknownOutcome(),
            (
                "the process stopped before the attempt's result was known; the request may"
                " have arrived"
            ),
        ),
    ],
)
def test_an_outcome_is_described_in_words(outcome: Outcome, words: str) -> None:
    assert describe(outcome) == words


@pytest.mark.parametrize(
    ("outcome", "status", "failure"),
    [
        (DeliveredOutcome(204), 204, None),
        (RefusedOutcome(503), 503, None),
        (NoAnswerOutcome(AttemptFailure.TLS, "no TLS"), None, "tls"),
        (UnknownOutcome(), None, None),
    ],
)
def test_a_result_has_the_status_of_an_answer_or_the_name_of_a_failure(
    outcome: Outcome, status: int | None, failure: str | None
) -> None:
    assert (status_of(outcome), failure_of(outcome)) == (status, failure)


# ---- refusals ------------------------------------------------------------------------------------

MAYBE_ACTED_ON = {
    AttemptFailure.STALE,
    AttemptFailure.READ_TIMEOUT,
    AttemptFailure.TOTAL_TIMEOUT,
    AttemptFailure.CLOSED,
    AttemptFailure.PROTOCOL,
    AttemptFailure.INTERNAL,
    AttemptFailure.KINESIS_WRITE,
}


def test_a_refusal_is_a_4xx_or_5xx_that_no_proxy_gives_for_a_slow_receiver() -> None:
    refusals = {status for status in range(100, 1000) if is_refusal(status, None)}
    assert refusals == set(range(400, 600)) - {408, 502, 504}


@pytest.mark.parametrize("failure", AttemptFailure)
def test_a_failure_is_a_refusal_if_nothing_of_the_request_was_sent(failure: AttemptFailure) -> None:
    outcome = NoAnswerOutcome(failure, "")
    is_refused = is_refusal(status_of(outcome), failure_of(outcome))
    assert is_refused is (failure not in MAYBE_ACTED_ON)


def test_an_attempt_that_was_cut_off_is_no_refusal() -> None:
    outcome = UnknownOutcome()
    assert not is_refusal(status_of(outcome), failure_of(outcome))
