from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.destinations.circuit_breaker import (
    LONGEST_WAIT,
    BreakerRules,
    CircuitBreaker,
    has_failed,
    next_probe,
)
from ringback.core.http.outcome import (
    SHORTAGES,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
    UnknownOutcome,
)
from tests.fakes import NOW

RULES = BreakerRules(share=0.5, window=timedelta(seconds=100), least=4)
BEGIN = 1_000_000.0


def a_breaker(rules: BreakerRules = RULES) -> CircuitBreaker:
    return CircuitBreaker(rules, BEGIN)


def count(breaker: CircuitBreaker, results: str, at: float = BEGIN) -> CircuitBreaker:
    """Count results at a time: `+` for a request that is well, `-` for one that failed."""
    for one in results:
        (breaker.well if one == "+" else breaker.failed)(at)
    return breaker


# ---- what counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "failed", "failed_strictly"),
    [
        *[(status, False, False) for status in (100, 301, 399)],
        *[(status, False, True) for status in (400, 404, 410, 429, 499)],
        *[(status, True, True) for status in (500, 503, 599)],
    ],
)
def test_answers_5xx_count_as_failed_and_4xx_if_that_is_set(
    status: int, *, failed: bool, failed_strictly: bool
) -> None:
    refused, strict = RefusedOutcome(status), RULES._replace(counts_4xx=True)
    assert (has_failed(refused, RULES), has_failed(refused, strict)) == (failed, failed_strictly)


def test_a_delivery_is_well_and_an_unknown_result_does_not_count() -> None:
    assert has_failed(DeliveredOutcome(204), RULES) is False
    assert has_failed(UnknownOutcome(), RULES) is None


THEIRS = {
    AttemptFailure.NAME,
    AttemptFailure.CONNECT,
    AttemptFailure.CONNECT_TIMEOUT,
    AttemptFailure.PROXY_REFUSED,
    AttemptFailure.PROXY_TIMEOUT,
    AttemptFailure.TLS,
    AttemptFailure.CERTIFICATE_NAME,
    AttemptFailure.CERTIFICATE_EXPIRED,
    AttemptFailure.CERTIFICATE_UNTRUSTED,
    AttemptFailure.READ_TIMEOUT,
    AttemptFailure.TOTAL_TIMEOUT,
    AttemptFailure.CLOSED,
    AttemptFailure.PROTOCOL,
    AttemptFailure.KINESIS_WRITE,
    AttemptFailure.KINESIS_ROLE,
    AttemptFailure.KINESIS_SHARDS,
    AttemptFailure.KINESIS_STREAM,
}
OURS = {
    *SHORTAGES,
    AttemptFailure.GUARD,
    AttemptFailure.EGRESS,
    AttemptFailure.PROXY,
    AttemptFailure.SECRET,
    AttemptFailure.SOURCE,
    AttemptFailure.NO_TIME,
    AttemptFailure.STALE,
    AttemptFailure.HELD,
    AttemptFailure.INTERNAL,
    AttemptFailure.KINESIS_CLIENT,
}


def test_each_failure_is_the_receivers_or_ours() -> None:
    assert set(AttemptFailure) == THEIRS | OURS
    for failure in AttemptFailure:
        failed = has_failed(NoAnswerOutcome(failure, "why"), RULES)
        assert failed is (True if failure in THEIRS else None), failure


# ---- the window ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "trips", "fails"),
    [
        ("", False, False),
        ("-", False, False),
        ("--", False, True),
        ("---", False, True),
        ("----", True, True),
        ("++--", True, True),
        ("+++--", False, False),
        ("+-", False, True),
        ("++-", False, False),
    ],
)
def test_it_trips_at_its_share_of_its_least_number(
    results: str, *, trips: bool, fails: bool
) -> None:
    breaker = count(a_breaker(), results)
    assert (breaker.is_tripped(BEGIN), breaker.is_failing(BEGIN)) == (trips, fails)


def test_with_a_least_number_of_one_a_single_failure_is_enough() -> None:
    breaker = count(a_breaker(RULES._replace(least=1)), "-")
    assert (breaker.is_tripped(BEGIN), breaker.is_failing(BEGIN)) == (True, True)
    assert not a_breaker(RULES._replace(least=1)).is_failing(BEGIN), "nothing has failed yet"


def test_the_default_is_70_percent_of_at_least_10_in_5_minutes() -> None:
    rules = BreakerRules()
    assert rules == (0.7, timedelta(minutes=5), 10, False)
    assert not count(a_breaker(rules), "-" * 9).is_tripped(BEGIN)
    assert count(a_breaker(rules), "-" * 7 + "+" * 3).is_tripped(BEGIN)
    assert not count(a_breaker(rules), "-" * 6 + "+" * 4).is_tripped(BEGIN)


@pytest.mark.parametrize(("later", "trips"), [(0, True), (89.9, True), (100, False), (1e6, False)])
def test_results_count_for_nearly_the_length_of_the_window(later: float, *, trips: bool) -> None:
    assert count(a_breaker(), "----").is_tripped(BEGIN + later) is trips


def test_results_of_all_slices_add_up_and_leave_one_after_the_other() -> None:
    breaker = a_breaker()
    for number in range(10):
        count(breaker, "-" if number < 5 else "+", BEGIN + 10 * number + 5)
    assert breaker.is_tripped(BEGIN + 99)
    assert not breaker.is_tripped(BEGIN + 101), "the first failure is gone: 4 of 9"


def test_after_a_long_silence_the_slices_are_as_long_as_before() -> None:
    breaker, later = a_breaker(), BEGIN + 12_345.6
    count(breaker, "----", later)
    assert breaker.is_tripped(later + 89)
    assert not breaker.is_tripped(later + 100)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    breaker = count(a_breaker(), "--")
    count(breaker, "--", BEGIN - 5000)
    assert breaker.is_tripped(BEGIN - 5000)
    assert breaker.is_tripped(BEGIN)


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=60), st.integers(1, 20))
def test_it_trips_only_if_the_share_failed_and_always_if_all_of_the_last_tenths_did(
    results: list[tuple[float, bool]], least: int
) -> None:
    rules = RULES._replace(least=least)
    breaker, now, seen = CircuitBreaker(rules, BEGIN), BEGIN, list[tuple[float, bool]]()
    for wait, fails in results:
        now += wait
        (breaker.failed if fails else breaker.well)(now)
        seen.append((now, fails))
        # What is older than the window has gone; of its last tenth, some may still be there.
        certain = [failed for at, failed in seen if at > now - 89]
        possible = [failed for at, failed in seen if at > now - 101]
        if len(possible) < least or not any(possible):
            assert not breaker.is_tripped(now)
        if len(certain) >= least and all(possible):
            assert breaker.is_tripped(now)


# ---- probes --------------------------------------------------------------------------------------


def test_the_wait_for_a_probe_doubles_up_to_ten_minutes() -> None:
    waits = [(next_probe(NOW, number, jitter=0.5) - NOW).total_seconds() for number in range(8)]
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]
    assert next_probe(NOW, 10**9, jitter=0.5) == NOW + LONGEST_WAIT


@pytest.mark.parametrize(("jitter", "seconds"), [(0, 24), (0.25, 27), (0.5, 30), (1, 36)])
def test_jitter_spreads_a_wait_by_a_fifth_in_both_directions(jitter: float, seconds: int) -> None:
    assert next_probe(NOW, 0, jitter=jitter) == NOW + timedelta(seconds=seconds)
