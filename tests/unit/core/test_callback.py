from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    Exchange,
    Method,
    RecordedRequest,
    RecordedResponse,
    begin_attempt,
    round_of,
    settle_attempt,
    settle_callback,
)
from ringback.core.callback_url import CallbackUrl
from ringback.core.outcome import Delivered, Failure, Outcome, Refused, Unknown, Unreachable
from ringback.core.retry import Decision, Done, GiveUp, Round, TryAgain
from ringback.core.source import Source
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback

SECOND = timedelta(seconds=1)
LATER = NOW + SECOND
UNDERWAY = a_callback(attempt_count=2, round_attempts=2, round_began=NOW, due=None)


def test_a_callback_tells_its_parameters_decoded_and_in_order() -> None:
    callback = a_callback(body="B=2&A=a+b%26&Empty=")
    assert callback.parameters == [("B", "2"), ("A", "a b&"), ("Empty", "")]


def test_a_callback_carries_the_warnings_of_its_url() -> None:
    callback = a_callback(url="http://a.example/#foo")
    assert callback.warnings == ("the fragment key 'foo' is unknown and has no effect",)


def test_a_new_callback_has_had_no_attempt() -> None:
    callback = Callback(
        sid=CALLBACK_SID,
        account_sid=ACCOUNT_SID,
        url=CallbackUrl.parse("http://a.example/"),
        method=Method.POST,
        body="A=1",
        source=Source.KORE,
        source_asked=None,
        source_reason="made up",
        idempotency_token="RQ0",
        date_created=NOW,
        date_updated=NOW,
    )
    assert (callback.status, callback.attempt_count) == ("scheduled", 0)
    assert (callback.due, callback.round_attempts, callback.round_began) == (None, 0, None)


def test_a_callback_ends_in_one_of_three_ways() -> None:
    assert set(CallbackStatus) == {"scheduled", "delivered", "failed", "discarded"}


def test_a_callback_is_sent_by_one_of_two_methods() -> None:
    assert set(Method) == {"POST", "GET"}


# ---- an attempt begins


def test_the_first_attempt_begins_a_round() -> None:
    begun, attempt = begin_attempt(a_callback(), LATER)
    assert attempt == Attempt(CALLBACK_SID, ACCOUNT_SID, number=1, date_started=LATER)
    assert begun == replace(
        a_callback(),
        attempt_count=1,
        round_attempts=1,
        round_began=LATER,
        due=None,
        date_updated=LATER,
    )


def test_a_new_row_is_open() -> None:
    assert begin_attempt(a_callback(), NOW)[1].result == "open"


def test_a_retry_goes_on_with_its_round() -> None:
    begun, attempt = begin_attempt(replace(UNDERWAY, due=LATER), LATER)
    assert (attempt.number, begun.attempt_count, begun.round_attempts) == (3, 3, 3)
    assert round_of(begun) == Round(3, NOW)


@pytest.mark.parametrize(
    ("waited", "began"),
    [
        (timedelta(milliseconds=1999), NOW),
        (timedelta(milliseconds=2000), NOW + timedelta(milliseconds=2000)),
        (timedelta(days=1), NOW + timedelta(days=1)),
    ],
)
def test_a_retry_that_was_held_up_beyond_tt_gets_the_time_of_its_round_anew(
    waited: timedelta, began: datetime
) -> None:
    callback = a_callback(
        url="http://a.example/#tt=2000", attempt_count=1, round_attempts=1, round_began=NOW
    )
    begun, _ = begin_attempt(callback, NOW + waited)
    assert round_of(begun) == Round(2, began)


def test_attempts_are_numbered_over_all_rounds() -> None:
    begun, attempt = begin_attempt(a_callback(attempt_count=4), LATER)
    assert attempt.number == 5
    assert round_of(begun) == Round(1, LATER)


# ---- an attempt ends


ROW = Attempt(CALLBACK_SID, ACCOUNT_SID, 1, NOW)


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [
        (
            Delivered(204),
            replace(
                ROW,
                result="delivered",
                status_code=204,
                reason="the receiver answered 204 No Content",
            ),
        ),
        (
            Refused(404),
            replace(
                ROW,
                result="refused",
                status_code=404,
                error_code=11217,
                reason="the receiver answered 404 Not Found",
            ),
        ),
        (
            Unreachable(Failure.TLS, "no TLS"),
            replace(ROW, result="unreachable", error_code=11220, failure="tls", reason="no TLS"),
        ),
        (
            Unknown(),
            replace(
                ROW,
                result="unknown",
                error_code=11200,
                reason="the process stopped before the attempt's ending was known;"
                " it may have arrived",
            ),
        ),
    ],
)
def test_a_settled_row_says_how_the_attempt_ended(outcome: Outcome, settled: Attempt) -> None:
    assert settle_attempt(ROW, Exchange(outcome)) == settled


def test_a_settled_row_keeps_what_was_sent_and_answered() -> None:
    request = RecordedRequest("POST", "http://a.example/", (("Host", "a.example"),), "A=1")
    response = RecordedResponse(200, (("Content-Length", "2"),), b"OK")
    row = settle_attempt(
        ROW,
        Exchange(Delivered(200), 12.5, request, response),
    )
    assert (row.duration_ms, row.request, row.response) == (12.5, request, response)


def test_an_answer_is_whole_unless_it_is_said_to_be_cut_and_prints_without_its_body() -> None:
    response = RecordedResponse(200, (), b"a long answer")
    assert repr(response) == "RecordedResponse(status=200, headers=(), is_cut=False)"


@pytest.mark.parametrize(
    ("decision", "changed"),
    [
        (Done(), {"status": CallbackStatus.DELIVERED}),
        (
            GiveUp("it was too late"),
            {"status": CallbackStatus.FAILED, "status_reason": "it was too late"},
        ),
        (TryAgain(LATER), {"due": LATER}),
        (
            TryAgain(LATER, fresh_round=True),
            {"due": LATER, "round_attempts": 0, "round_began": None},
        ),
    ],
)
def test_a_decision_changes_the_callback(decision: Decision, changed: dict[str, object]) -> None:
    settled = settle_callback(UNDERWAY, decision, LATER)
    assert settled == replace(UNDERWAY, date_updated=LATER, **changed)


@pytest.mark.parametrize("decision", [Done(), GiveUp("it was too late")])
def test_an_ended_callback_is_not_due(decision: Decision) -> None:
    assert settle_callback(UNDERWAY, decision, LATER).due is None


def test_a_round_without_a_beginning_began_with_the_last_change() -> None:
    assert round_of(a_callback(round_attempts=1)) == Round(1, NOW)
