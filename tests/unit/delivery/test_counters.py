"""The counters of callbacks and attempts, and the histograms of their durations."""

import timeit
from datetime import timedelta

import pytest

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.delivery.counters import DeliveryCounters, Histogram
from tests.fakes import a_callback

KORE = a_callback()
DELIVERED = DeliveredOutcome(200)
NOT_TRUSTED = NoAnswerOutcome(AttemptFailure.TLS, "no TLS")


def ended_after(ms: float | None, outcome: Outcome = DELIVERED) -> AttemptResult:
    return AttemptResult(outcome, None if ms is None else RequestTimings(ms))


def test_a_histogram_counts_a_value_under_the_first_bound_that_is_not_smaller() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1):
        histogram.add(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.up_to() == [(1.0, 2), (2.0, 4), (float("inf"), 5)]
    assert histogram.total == pytest.approx(6.6)


def test_accepted_callbacks_are_counted_by_source() -> None:
    counters = DeliveryCounters()
    for _ in range(3):
        counters.accepted(Source.KORE)
    assert counters.acceptances == {"twilio": 0, "kore": 3}


def test_attempts_are_counted_by_source_result_and_failure() -> None:
    counters = DeliveryCounters()
    counters.attempt_ended(KORE, ended_after(4.0), waited=None)
    counters.attempt_ended(KORE, ended_after(6.0), waited=None)
    twilio = a_callback(source=Source.TWILIO)
    counters.attempt_ended(twilio, ended_after(7.0, NOT_TRUSTED), waited=None)
    assert counters.attempts == {("kore", "delivered", ""): 2, ("twilio", "unreachable", "tls"): 1}


def test_the_milliseconds_of_an_attempt_become_seconds_of_its_source() -> None:
    counters = DeliveryCounters()
    counters.attempt_ended(KORE, ended_after(5.0), waited=None)
    counters.attempt_ended(KORE, ended_after(6.0), waited=None)
    seconds = counters.attempt_seconds[Source.KORE]
    assert seconds.up_to()[:2] == [(0.005, 1), (0.01, 2)]
    assert seconds.total == pytest.approx(0.011)
    assert sum(counters.attempt_seconds[Source.TWILIO].counts) == 0


def test_an_attempt_of_unknown_duration_is_counted_and_not_timed() -> None:
    counters = DeliveryCounters()
    counters.attempt_ended(KORE, ended_after(None, UnknownOutcome()), waited=None)
    assert counters.attempts == {("kore", "unknown", ""): 1}
    assert sum(counters.attempt_seconds[Source.KORE].counts) == 0


def test_the_wait_for_the_first_attempt_is_timed() -> None:
    counters = DeliveryCounters()
    counters.attempt_ended(KORE, ended_after(4.0), waited=None)
    assert sum(counters.first_attempt_seconds.counts) == 0
    counters.attempt_ended(KORE, ended_after(4.0), waited=timedelta(seconds=0.02))
    assert counters.first_attempt_seconds.up_to()[1:3] == [(0.01, 0), (0.025, 1)]


def test_of_all_endings_only_deliveries_are_timed() -> None:
    counters = DeliveryCounters()
    counters.ended(CallbackStatus.DELIVERED, Source.KORE, 0.2)
    counters.ended(CallbackStatus.FAILED, Source.KORE, 90_000)
    assert counters.endings["kore", "delivered"] == counters.endings["kore", "failed"] == 1
    assert counters.delivery_seconds[Source.KORE].total == pytest.approx(0.2)
    assert sum(counters.delivery_seconds[Source.KORE].counts) == 1


def test_each_ending_has_a_zero_before_it_happens() -> None:
    endings = DeliveryCounters().endings
    assert set(endings.values()) == {0}
    assert ("twilio", "failed") in endings
    assert ("kore", "delivered") in endings
    assert ("kore", "scheduled") not in endings


def test_counting_an_attempt_costs_little() -> None:
    counters, result, waited = DeliveryCounters(), ended_after(12.3), timedelta(seconds=1)
    seconds = timeit.repeat(
        lambda: counters.attempt_ended(KORE, result, waited=waited), number=10_000, repeat=5
    )
    # It takes less than 1 µs on a laptop; even a busy machine stays below this bound.
    assert min(seconds) / 10_000 < 5e-6
