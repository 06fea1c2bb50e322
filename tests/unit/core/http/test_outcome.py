import pytest

from ringback.core.http.outcome import (
    AttemptFailure,
    Delivered,
    Outcome,
    Refused,
    Unknown,
    Unreachable,
    answered,
    code_of,
    describe,
    failure_of,
    name_of,
    status_of,
)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_an_answer_of_2xx_is_a_delivery(status: int) -> None:
    assert answered(status, location="/ignored") == Delivered(status)


@pytest.mark.parametrize(
    "status", [100, 199, 300, 301, 302, 304, 400, 404, 410, 500, 503, 599, 600]
)
def test_any_other_answer_is_a_refusal_that_says_where_it_pointed(status: int) -> None:
    assert answered(status, location="/there") == Refused(status, "/there")


@pytest.mark.parametrize(
    ("outcome", "name", "code"),
    [
        (Delivered(200), "delivered", None),
        (Delivered(299), "delivered", None),
        (Refused(199), "refused", 11206),
        (Refused(300), "refused", 11215),
        (Refused(399), "refused", 11215),
        (Refused(400), "refused", 11217),
        (Refused(599), "refused", 11217),
        (Refused(600), "refused", 11206),
        (Unreachable(AttemptFailure.NAME, ""), "unreachable", 11210),
        (Unreachable(AttemptFailure.GUARD, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.CONNECT, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.CONNECT_TIMEOUT, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.EGRESS, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.PROXY, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.PROXY_REFUSED, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.PROXY_TIMEOUT, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.TLS, ""), "unreachable", 11220),
        (Unreachable(AttemptFailure.CERTIFICATE_NAME, ""), "unreachable", 11235),
        (Unreachable(AttemptFailure.CERTIFICATE_EXPIRED, ""), "unreachable", 11236),
        (Unreachable(AttemptFailure.CERTIFICATE_UNTRUSTED, ""), "unreachable", 11237),
        (Unreachable(AttemptFailure.STALE, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.READ_TIMEOUT, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.TOTAL_TIMEOUT, ""), "unreachable", 11205),
        (Unreachable(AttemptFailure.CLOSED, ""), "unreachable", 11200),
        (Unreachable(AttemptFailure.PROTOCOL, ""), "unreachable", 11206),
        (Unreachable(AttemptFailure.INTERNAL, ""), "unreachable", 11200),
        (Unknown(), "unknown", 11200),
    ],
)
def test_an_ending_has_a_stable_name_and_code(
    outcome: Outcome, name: str, code: int | None
) -> None:
    assert (name_of(outcome), code_of(outcome)) == (name, code)


def test_every_failure_has_its_own_label() -> None:
    # An enum takes members with equal values for one; the labels keep them apart.
    assert sorted(failure.label for failure in AttemptFailure) == [
        "certificate_expired",
        "certificate_name",
        "certificate_untrusted",
        "closed",
        "connect",
        "connect_timeout",
        "egress",
        "guard",
        "internal",
        "name",
        "no_local_port",
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
        (Delivered(204), "the receiver answered 204 No Content"),
        (Delivered(299), "the receiver answered 299"),
        (Refused(503), "the receiver answered 503 Service Unavailable"),
        (Refused(799), "the receiver answered 799"),
        (Refused(301), "the receiver answered 301 Moved Permanently; redirects are not followed"),
        (
            Refused(302, "https://else.example/"),
            "the receiver answered 302 Found, pointing to https://else.example/;"
            " redirects are not followed",
        ),
        (Refused(299, "/unused"), "the receiver answered 299"),
        (Refused(300), "the receiver answered 300 Multiple Choices; redirects are not followed"),
        (Refused(399), "the receiver answered 399; redirects are not followed"),
        (Refused(400, "/unused"), "the receiver answered 400 Bad Request"),
        (Unreachable(AttemptFailure.CONNECT, "127.0.0.1:9000 refused"), "127.0.0.1:9000 refused"),
        (
            Unknown(),
            "the process stopped before the attempt's ending was known; it may have arrived",
        ),
    ],
)
def test_an_outcome_is_described_in_words(outcome: Outcome, words: str) -> None:
    assert describe(outcome) == words


@pytest.mark.parametrize(
    ("outcome", "status", "failure"),
    [
        (Delivered(204), 204, None),
        (Refused(503), 503, None),
        (Unreachable(AttemptFailure.TLS, "no TLS"), None, "tls"),
        (Unknown(), None, None),
    ],
)
def test_an_ending_has_the_status_of_an_answer_or_the_name_of_a_failure(
    outcome: Outcome, status: int | None, failure: str | None
) -> None:
    assert (status_of(outcome), failure_of(outcome)) == (status, failure)
