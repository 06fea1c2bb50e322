from datetime import timedelta

import pytest

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.streams.stream_retries import STREAM_RETRIES, stream_code_of

TWILIO, KORE = STREAM_RETRIES[Source.TWILIO], STREAM_RETRIES[Source.KORE]
SECOND = timedelta(seconds=1)


def test_twilio_doubles_its_waits_up_to_ten_minutes_with_full_jitter() -> None:
    waits = [TWILIO.wait_after(attempts, jitter=1.0) for attempts in range(1, 14)]
    doubled = [2**n * SECOND for n in range(10)]
    assert waits == [*doubled, *[600 * SECOND] * 3]
    assert TWILIO.wait_after(5, jitter=0.25) == 4 * SECOND
    assert TWILIO.wait_after(99, jitter=0.0) == 0 * SECOND


def test_kore_sends_three_times_again() -> None:
    assert [KORE.wait_after(n, jitter=0.5) for n in (1, 2, 3, 4)] == [
        *(2 * SECOND, 10 * SECOND, 50 * SECOND),
        None,
    ]
    assert KORE.wait_after(3, jitter=0.0) == 40 * SECOND
    assert KORE.wait_after(3, jitter=1.0) == 60 * SECOND


@pytest.mark.parametrize("retries", [TWILIO, KORE])
def test_an_attempt_may_take_five_seconds(retries: object) -> None:
    connection = TWILIO.connection if retries is TWILIO else KORE.connection
    assert connection.limits == Timeouts(5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("status", "ends"), [(400, True), (404, True), (429, False), (500, False), (302, False)]
)
def test_a_4xx_but_429_ends_a_batch_from_twilio(status: int, ends: bool) -> None:
    assert (TWILIO.why_ended(RefusedOutcome(status)) is not None) is ends
    assert KORE.why_ended(RefusedOutcome(status)) is None


def test_no_answer_does_not_end_a_batch() -> None:
    failure = NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens there")
    assert TWILIO.why_ended(failure) is KORE.why_ended(failure) is None


def test_a_wrong_stream_ends_the_batch_of_an_event() -> None:
    failure = NoAnswerOutcome(AttemptFailure.KINESIS_STREAM, "no such stream")
    for retries in (TWILIO, KORE):
        assert "the stream's ARN is wrong" in (retries.why_ended(failure) or "")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (DeliveredOutcome(204), None),
        (RefusedOutcome(400), 91305),
        (RefusedOutcome(429), 91305),
        (RefusedOutcome(500), 91306),
        (RefusedOutcome(302), 91300),
        (NoAnswerOutcome(AttemptFailure.CONNECT, ""), 91307),
        (NoAnswerOutcome(AttemptFailure.GUARD, ""), 91307),
        (NoAnswerOutcome(AttemptFailure.TLS, ""), 91307),
        (NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, ""), 91308),
        (NoAnswerOutcome(AttemptFailure.TOTAL_TIMEOUT, ""), 91308),
        (UnknownOutcome(), 91300),
    ],
)
def test_attempts_have_the_codes_of_event_streams(outcome: Outcome, code: int | None) -> None:
    assert stream_code_of(outcome) == code
