import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.destinations.token_bucket import TokenBucket

SLACK = 1e-6


def a_bucket(rate: float = 2, burst: int = 3, *, tokens: float = 0) -> TokenBucket:
    return TokenBucket(rate, burst, now=0, tokens=tokens)


def take(bucket: TokenBucket, now: float) -> None:
    """Reserve a token that is there, and use it at once."""
    assert bucket.wait(now) == 0
    bucket.reserved += 1
    assert bucket.may_leave(now)
    bucket.left(now)


def test_it_begins_empty() -> None:
    bucket = a_bucket()
    assert bucket.wait(0) == 0.5
    assert not bucket.may_leave(0)


def test_it_can_begin_with_tokens_up_to_the_burst() -> None:
    bucket = a_bucket(tokens=99)
    for _ in range(3):
        take(bucket, 0)
    assert bucket.wait(0) == 0.5


def test_it_fills_at_its_rate_up_to_its_burst() -> None:
    bucket = a_bucket()
    take(bucket, 0.5)
    for _ in range(3):
        take(bucket, 1000)
    assert bucket.wait(1000) == 0.5


def test_what_is_missing_of_a_token_is_waited_for() -> None:
    assert a_bucket().wait(0.3) == pytest.approx(0.2)


def test_many_small_amounts_make_a_whole_token() -> None:
    bucket, now = a_bucket(1, 1), 0.0
    for _ in range(10):
        now += 0.1
        bucket.may_leave(now)
    assert now < 1
    assert bucket.wait(now) == 0
    assert bucket.may_leave(now)


def test_tokens_can_be_reserved_before_requests_leave() -> None:
    bucket = a_bucket(tokens=2)
    for _ in range(2):
        assert bucket.wait(0) == 0
        bucket.reserved += 1
    assert bucket.wait(0) == 0.5
    bucket.left(0)
    assert (bucket.wait(0), bucket.reserved) == (0.5, 1)
    bucket.give_back()
    assert (bucket.wait(0), bucket.reserved) == (0, 0)


def test_while_all_that_fit_are_reserved_one_has_to_leave_first() -> None:
    bucket = a_bucket(2, 1, tokens=1)
    bucket.reserved += 1
    assert bucket.wait(100) == math.inf
    bucket.left(100)
    assert bucket.wait(100) == 0.5


def test_a_lower_rate_counts_from_the_next_request_on() -> None:
    bucket = a_bucket(10, 5, tokens=5)
    for _ in range(3):
        assert bucket.wait(0) == 0
        bucket.reserved += 1
    bucket.change(1, 2, 0)
    for _ in range(2):
        assert bucket.may_leave(0)
        bucket.left(0)
    assert not bucket.may_leave(0.9)
    assert bucket.may_leave(1)


def test_a_higher_rate_counts_from_now_on() -> None:
    bucket = a_bucket(0.1, 1)
    bucket.change(10, 1, 5)
    assert bucket.wait(5) == pytest.approx(0.05)


def test_a_higher_burst_gives_no_tokens_for_the_past() -> None:
    bucket = a_bucket(1, 1)
    bucket.change(1, 10, 100)
    assert bucket.wait(100) == 0
    bucket.reserved += 1
    assert bucket.wait(100) == 1


def test_a_time_that_goes_back_gives_nothing() -> None:
    bucket = a_bucket(1, 5)
    take(bucket, 10)
    assert bucket.wait(0) == 0
    for _ in range(4):
        take(bucket, 0)
    assert bucket.wait(0) == 1
    assert bucket.wait(10) == 1


RATES = st.sampled_from((0.01, 0.5, 1.0, 3.0, 7.0, 100.0))
BURSTS = st.integers(1, 5)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 2),
        st.one_of(st.sampled_from(("reserve", "leave", "give back")), st.tuples(RATES, BURSTS)),
    ),
    max_size=60,
)


@given(RATES, BURSTS, STEPS)
def test_no_second_has_more_than_rate_and_burst_whatever_happens(
    rate: float, burst: int, steps: list[tuple[float, str | tuple[float, int]]]
) -> None:
    bucket, now, changed = TokenBucket(rate, burst, now=0), 0.0, 0.0
    leavings, since_change = list[float](), list[float]()
    most_rate, most_burst = rate, burst
    for wait, what in steps:
        now += wait
        if isinstance(what, tuple):
            bucket.change(*what, now)
            since_change.clear()
            most_rate, most_burst = max(most_rate, what[0]), max(most_burst, what[1])
            changed = now
        elif what == "reserve":
            wait_for = bucket.wait(now)
            assert wait_for >= 0
            assert (wait_for == math.inf) is (bucket.reserved + 1 > bucket.burst)
            if wait_for == 0:
                bucket.reserved += 1
        elif bucket.reserved and what == "give back":
            bucket.give_back()
        elif bucket.reserved and bucket.may_leave(now):
            bucket.left(now)
            leavings.append(now)
            since_change.append(now)
        lately = [one for one in since_change if one > now - 1]
        assert len(lately) <= bucket.rate * min(1, now - changed) + bucket.burst + SLACK
        assert len([one for one in leavings if one > now - 1]) <= most_rate + most_burst + SLACK


@given(RATES, BURSTS, st.lists(st.floats(0, 2), max_size=30))
def test_after_the_wait_there_is_a_token(rate: float, burst: int, quiet: list[float]) -> None:
    bucket, now = TokenBucket(rate, burst, now=0), 0.0
    for time in quiet:
        now += time
        wait = bucket.wait(now)
        assert wait <= 1 / rate + SLACK
        now += wait + SLACK
        take(bucket, now)


def test_it_fills_for_time_that_is_skipped() -> None:
    bucket = a_bucket()
    bucket.skip(1)
    take(bucket, 0)
    take(bucket, 0)
    assert bucket.wait(0) == 0.5
