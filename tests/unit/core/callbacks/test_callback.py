import hashlib
from datetime import datetime, timedelta

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    StreamBatch,
    advance,
    begin,
    discard,
    plan_anew,
    put_back,
    replay,
    settle,
)
from ringback.core.callbacks.retry import (
    AttemptRound,
    Decision,
    GiveUp,
    NoRetryNeeded,
    RetryLater,
    RetryNow,
    RetryRules,
)
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT
from ringback.core.streams.kinesis_stream import url_of_stream
from ringback.core.streams.stream_retries import STREAM_RETRIES
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback

SECOND = timedelta(seconds=1)
LATER = NOW + SECOND
TOTAL = timedelta(seconds=15)
SCHEDULED, DELIVERED = CallbackStatus.SCHEDULED, CallbackStatus.DELIVERED
FAILED, DISCARDED = CallbackStatus.FAILED, CallbackStatus.DISCARDED
UNDER_WAY = DeliveryProgress(
    date_updated=NOW, attempt_count=5, round_attempts=2, round_began=NOW - SECOND, round_number=3
)
"""The second attempt of the fourth round."""


def test_the_destination_of_a_callback_has_its_part_if_there_is_one() -> None:
    callback = a_callback(url="https://A.example/app/hook?x=1")
    assert callback.destination == "https://a.example:443"
    assert callback._replace(part="/app/*").destination == "https://a.example:443/app/*"


def test_the_parameters_of_a_callback_are_decoded_and_in_order() -> None:
    callback = a_callback(body="B=2&A=a+b%26&Empty=")
    assert callback.parameters == [("B", "2"), ("A", "a b&"), ("Empty", "")]


def test_a_callback_carries_the_warnings_of_its_url() -> None:
    callback = a_callback(url="http://a.example/#foo")
    assert callback.warnings == ("the fragment key 'foo' is unknown and has no effect",)


def test_a_new_callback_is_due_and_has_had_no_attempt() -> None:
    callback = CallbackRecord(
        sid=CALLBACK_SID,
        account_sid=ACCOUNT_SID,
        url=CallbackUrl.parse("http://a.example/"),
        method=HttpMethod.POST,
        body="A=1",
        source=Source.KORE,
        source_asked=None,
        source_reason="made up",
        idempotency_token="RQ0",
        date_created=NOW,
        progress=DeliveryProgress(NOW, due=NOW),
    )
    assert (callback.status, callback.progress.attempt_count) == ("scheduled", 0)
    assert (callback.idempotency_key, callback.replay_of) == (None, None)


def test_a_callback_ends_in_one_of_three_ways() -> None:
    assert set(CallbackStatus) == {"scheduled", "delivered", "failed", "discarded"}


def test_two_of_the_endings_are_without_a_delivery() -> None:
    assert {FAILED, DISCARDED} == UNDELIVERED


def test_only_the_progress_changes() -> None:
    progress = DeliveryProgress(LATER, FAILED, "it was late")
    callback = a_callback()
    assert callback.having(progress) == callback._replace(progress=progress)
    assert callback.having(progress).status is FAILED


@pytest.mark.parametrize(
    ("progress", "is_under_way", "is_ended"),
    [
        (DeliveryProgress(NOW, due=LATER), False, False),
        (DeliveryProgress(NOW), True, False),
        (DeliveryProgress(NOW, DELIVERED), False, True),
        (DeliveryProgress(NOW, FAILED), False, True),
        (DeliveryProgress(NOW, DISCARDED), False, True),
    ],
)
def test_a_callback_is_waiting_in_progress_or_ended(
    progress: DeliveryProgress, is_under_way: bool, is_ended: bool
) -> None:
    assert (progress.is_under_way, progress.is_ended) == (is_under_way, is_ended)


def test_a_callback_knows_its_place_in_its_rounds() -> None:
    assert UNDER_WAY.round == AttemptRound(attempts=2, began=NOW - SECOND, number=3)


def test_a_round_without_a_start_began_with_the_last_change() -> None:
    assert DeliveryProgress(NOW, round_attempts=1).round == AttemptRound(1, NOW, 0)


def test_a_delayed_round_began_later() -> None:
    assert UNDER_WAY.held_up(SECOND).round_began == NOW
    assert DeliveryProgress(NOW).held_up(SECOND) == DeliveryProgress(NOW)


def test_a_schedule_continues_for_all_except_test_events() -> None:
    of_url = a_callback().url.connection
    assert a_callback(source=Source.KORE).retry_rules(PERSISTENT) == RetryRules(
        of_url, Source.KORE, PERSISTENT
    )
    assert a_callback(is_test=True).retry_rules(PERSISTENT).schedule == FAITHFUL


def test_a_new_row_is_open() -> None:
    assert Attempt(CALLBACK_SID, ACCOUNT_SID, 1, NOW).result == "open"


# ---- an attempt begins


def test_the_first_attempt_begins_the_first_round() -> None:
    assert begin(DeliveryProgress(NOW, due=NOW), LATER, total_timeout=TOTAL) == DeliveryProgress(
        date_updated=LATER,
        attempt_count=1,
        due=None,
        round_attempts=1,
        round_began=LATER,
        round_number=0,
    )


def test_a_retry_continues_its_round() -> None:
    assert begin(UNDER_WAY, LATER, total_timeout=TOTAL) == UNDER_WAY._replace(
        date_updated=LATER, attempt_count=6, round_attempts=3
    )


def test_a_new_round_begins_with_its_first_attempt() -> None:
    waiting = DeliveryProgress(NOW, attempt_count=4, due=NOW, round_number=2)
    assert begin(waiting, LATER, total_timeout=TOTAL) == DeliveryProgress(
        date_updated=LATER, attempt_count=5, round_attempts=1, round_began=LATER, round_number=2
    )


@pytest.mark.parametrize(
    ("waited", "began"),
    [
        (timedelta(milliseconds=1999), NOW),
        (timedelta(milliseconds=2000), NOW + timedelta(milliseconds=2000)),
        (timedelta(days=1), NOW + timedelta(days=1)),
    ],
)
def test_a_retry_delayed_beyond_tt_gets_the_time_of_its_round_anew(
    waited: timedelta, began: datetime
) -> None:
    waiting = DeliveryProgress(NOW, attempt_count=1, due=NOW, round_attempts=1, round_began=NOW)
    begun = begin(waiting, NOW + waited, total_timeout=timedelta(seconds=2))
    assert begun.round == AttemptRound(2, began)


# ---- an attempt is undone


def test_an_undone_first_attempt_was_never_begun() -> None:
    waiting = DeliveryProgress(NOW, attempt_count=4, due=NOW, round_number=2)
    begun = begin(waiting, LATER, total_timeout=TOTAL)
    assert put_back(begun, LATER) == waiting._replace(date_updated=LATER, due=LATER)


def test_a_retry_planned_by_a_clock_ahead_waits_as_long_from_now() -> None:
    ahead = LATER + 1_000_000 * SECOND
    planned = DeliveryProgress(ahead, attempt_count=3, due=ahead + 9 * SECOND, round_number=2)
    assert plan_anew(planned, NOW) == planned._replace(date_updated=NOW, due=NOW + 9 * SECOND)


def test_a_round_begun_by_a_clock_ahead_begins_now() -> None:
    planned = DeliveryProgress(LATER, due=LATER, round_attempts=1, round_began=LATER)
    assert plan_anew(planned, NOW).round_began == NOW
    begun = planned._replace(round_began=NOW - SECOND)
    assert plan_anew(begun, NOW).round_began == NOW - SECOND


def test_a_callback_that_is_not_waiting_is_not_planned_anew() -> None:
    assert plan_anew(UNDER_WAY, NOW) == UNDER_WAY


def test_a_requeued_callback_may_be_due_later() -> None:
    assert put_back(UNDER_WAY, LATER, due=LATER + SECOND).due == LATER + SECOND


def test_a_requeued_retry_keeps_the_start_of_its_round() -> None:
    assert put_back(UNDER_WAY, LATER) == UNDER_WAY._replace(
        date_updated=LATER, attempt_count=4, due=LATER, round_attempts=1
    )


# ---- an attempt ends


ROW = Attempt(CALLBACK_SID, ACCOUNT_SID, 1, NOW)


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [
        (
            DeliveredOutcome(204),
            ROW._replace(
                result="delivered", status_code=204, reason="the receiver answered 204 No Content"
            ),
        ),
        (
            RefusedOutcome(404),
            ROW._replace(
                result="refused",
                status_code=404,
                error_code=11217,
                reason="the receiver answered 404 Not Found",
            ),
        ),
        (
            NoAnswerOutcome(AttemptFailure.TLS, "no TLS"),
            ROW._replace(result="unreachable", error_code=11220, failure="tls", reason="no TLS"),
        ),
        (
            UnknownOutcome(),
            ROW._replace(
                result="unknown",
                error_code=11200,
                reason=(
                    "the process stopped before the attempt's result was known; the request may"
                    " have arrived"
                ),
            ),
        ),
    ],
)
def test_a_settled_row_says_how_the_attempt_ended(outcome: Outcome, settled: Attempt) -> None:
    assert settle(ROW, AttemptResult(outcome), None, started=NOW) == settled


def test_a_settled_row_stores_the_request_and_the_answer() -> None:
    request = SentRequestRecord("POST", "http://a.example/", "POST / HTTP/1.1", "A=1")
    response = ReceiverResponseRecord(200, (("Content-Length", "2"),), b"OK")
    exchange = AttemptResult(
        DeliveredOutcome(200), RequestTimings(12.5), response, "192.0.2.1", "http://proxy:3128"
    )
    row = settle(ROW, exchange, request, started=NOW)
    assert (row.timings, row.request, row.response) == (RequestTimings(12.5), request, response)
    assert (row.local_address, row.proxy) == ("192.0.2.1", "http://proxy:3128")


def test_a_settled_row_has_the_real_start_of_the_attempt() -> None:
    assert (
        settle(ROW, AttemptResult(DeliveredOutcome(200)), None, started=LATER).date_started == LATER
    )


@pytest.mark.parametrize(
    ("decision", "after"),
    [
        (NoRetryNeeded(), DeliveryProgress(LATER, DELIVERED, attempt_count=5, round_number=3)),
        (
            GiveUp("it was too late"),
            DeliveryProgress(LATER, FAILED, "it was too late", attempt_count=5, round_number=3),
        ),
        (RetryNow(), UNDER_WAY._replace(date_updated=LATER, due=LATER)),
        (
            RetryLater(NOW + 60 * SECOND, 4),
            DeliveryProgress(LATER, attempt_count=5, due=NOW + 60 * SECOND, round_number=4),
        ),
    ],
)
def test_a_decision_changes_the_progress(decision: Decision, after: DeliveryProgress) -> None:
    assert advance(UNDER_WAY, decision, LATER) == after


@pytest.mark.parametrize("decision", [NoRetryNeeded(), GiveUp("it was too late")])
def test_an_ended_callback_is_not_due(decision: Decision) -> None:
    assert advance(UNDER_WAY, decision, LATER).due is None


# ---- a person steps in


@pytest.mark.parametrize("status", [DELIVERED, FAILED, DISCARDED])
def test_a_replay_begins_with_the_first_round_and_continues_counting(
    status: CallbackStatus,
) -> None:
    ended = UNDER_WAY._replace(status=status, status_reason="it was too late")
    assert replay(ended, LATER) == DeliveryProgress(
        date_updated=LATER,
        status=SCHEDULED,
        status_reason=None,
        attempt_count=5,
        due=LATER,
        round_attempts=0,
        round_began=None,
        round_number=0,
    )


def test_a_discarded_callback_has_its_reason_and_is_not_due() -> None:
    waiting = DeliveryProgress(NOW, attempt_count=5, due=LATER, round_number=4)
    assert discard(waiting, "a person said so", LATER) == waiting._replace(
        date_updated=LATER, status=DISCARDED, status_reason="a person said so", due=None
    )


@pytest.mark.parametrize(
    ("method", "is_test", "url", "sent"),
    [
        (HttpMethod.POST, False, "https://a.example/hook?x=1", "A=1"),
        (HttpMethod.GET, False, "https://a.example/hook?x=1&A=1", ""),
        (HttpMethod.POST, True, "https://a.example/hook?x=1", "A=1"),
        (HttpMethod.GET, True, "https://a.example/hook?x=1", ""),
    ],
)
def test_parameters_go_into_the_body_or_the_url(
    method: HttpMethod, is_test: bool, url: str, sent: str
) -> None:
    callback = a_callback(
        url="https://a.example/hook?x=1", method=method, body="A=1", is_test=is_test
    )
    assert callback.called.wire == url
    assert callback.sent_body == sent


@pytest.mark.parametrize("method", HttpMethod)
def test_a_batch_has_its_events_in_the_body_whatever_the_method(method: HttpMethod) -> None:
    batch = a_callback(source=Source.KORE, url="https://a.example/e?x=1")._replace(
        body="[{}]", method=method, stream=StreamBatch("DF1", "[2:1")
    )
    assert batch.has_events
    assert batch.parameters == []
    assert (batch.sent_body, batch.called.wire) == ("[{}]", "https://a.example/e?x=1")


def test_a_batch_from_twilio_has_the_hash_of_its_body_at_the_end_of_the_query() -> None:
    batch = a_callback(source=Source.TWILIO, url="https://u:p@a.example/e?x=1#f")._replace(
        body="[{}]", stream=StreamBatch("DF1", "[2:1")
    )
    digest = hashlib.sha256(b"[{}]").hexdigest()
    assert batch.called.wire == f"https://a.example/e?x=1&bodySHA256={digest}"


def test_a_batch_is_retried_as_its_source_does() -> None:
    batch = a_callback(source=Source.KORE)._replace(stream=StreamBatch("DF1", "[2:1"))
    assert batch.retry_rules(FAITHFUL).stream is STREAM_RETRIES[Source.KORE]
    assert batch.retry_rules(PERSISTENT).schedule == PERSISTENT
    assert a_callback().retry_rules(FAITHFUL).stream is None


def test_a_later_retry_of_the_same_round_waits() -> None:
    later = NOW + timedelta(seconds=8)
    progress = begin(DeliveryProgress(NOW, due=NOW), NOW, total_timeout=timedelta(hours=1))
    after = advance(progress, RetryNow(later), NOW)
    assert (after.due, after.round_attempts, after.round_began) == (later, 1, NOW)


def test_an_attempt_of_a_batch_has_the_codes_of_event_streams() -> None:
    attempt, refused = Attempt("CB1", "AC1", 1, NOW), AttemptResult(RefusedOutcome(404))
    codes = [
        settle(attempt, refused, None, started=NOW, is_stream=is_stream).error_code
        for is_stream in (False, True)
    ]
    assert codes == [11217, 91305]


@pytest.mark.parametrize("source", Source)
def test_the_url_of_a_record_has_its_partition_key(source: Source) -> None:
    stream = url_of_stream("arn:aws:kinesis:us-east-1:111111111111:stream/events")
    record = a_callback()._replace(url=stream, source=source, stream=StreamBatch("DF1", "{1:1"))
    of_a_sim = record._replace(sim_sid="HS1")
    assert of_a_sim.called.wire == f"{stream.wire}?PartitionKey=HS1"
    assert record._replace(sim_sid=None).called.wire == f"{stream.wire}?PartitionKey={ACCOUNT_SID}"
    assert of_a_sim.sent_body == of_a_sim.body


def test_an_account_does_not_see_the_address_of_a_proxy() -> None:
    attempt = Attempt(CALLBACK_SID, ACCOUNT_SID, 1, NOW, "delivered")
    assert attempt.for_account is attempt
    through = attempt._replace(proxy="http://proxy.internal:3128")
    assert through.for_account == attempt._replace(proxy="the operator's proxy")
