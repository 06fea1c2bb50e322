"""Wrong credentials: after so many in a minute, their caller has to wait."""

from datetime import datetime, timedelta

import pytest

from ringback.api.failures import Failures
from ringback.core.errors import TooManyFailures
from tests.fakes import NOW

HERE, THERE = "192.0.2.1", "192.0.2.2"
SECOND = timedelta(seconds=1)


def fail(failures: Failures, times: int, *, at: datetime = NOW, name: str = "AC1") -> None:
    for _ in range(times):
        failures.failed(HERE, name, at)


def has_to_wait(failures: Failures, at: datetime, address: str = HERE, name: str = "AC1") -> int:
    """Return for how many seconds a caller has to wait."""
    try:
        failures.check(address, name, at)
    except TooManyFailures as refused:
        return refused.retry_after
    return 0


def test_the_twentieth_within_a_minute_is_the_last() -> None:
    failures = Failures()
    fail(failures, 19)
    assert has_to_wait(failures, NOW) == 0
    fail(failures, 1)
    with pytest.raises(TooManyFailures) as refused:
        failures.check(HERE, "AC1", NOW)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, 20429, 60)
    assert refused.value.message == (
        "wrong credentials came 20 times within a minute; the next are looked at in 60 s"
    )


def test_nobody_else_has_to_wait() -> None:
    failures = Failures(most=2)
    fail(failures, 2)
    assert has_to_wait(failures, NOW)
    assert not has_to_wait(failures, NOW, name="AC2")
    assert not has_to_wait(failures, NOW, address=THERE)


def test_the_minute_goes_with_the_time() -> None:
    failures = Failures(most=2)
    fail(failures, 1)
    fail(failures, 1, at=NOW + 30 * SECOND)
    assert has_to_wait(failures, NOW + 30 * SECOND) == 30
    assert has_to_wait(failures, NOW + 59.5 * SECOND) == 1
    assert has_to_wait(failures, NOW + 60 * SECOND) == 0
    fail(failures, 1, at=NOW + 60 * SECOND)
    assert has_to_wait(failures, NOW + 60 * SECOND) == 30
    assert has_to_wait(failures, NOW + 90 * SECOND) == 0


def test_what_was_long_ago_doesnt_count() -> None:
    failures = Failures(most=2)
    fail(failures, 1)
    fail(failures, 1, at=NOW + 61 * SECOND)
    assert has_to_wait(failures, NOW + 61 * SECOND) == 0


def test_only_so_many_callers_are_known_the_newest() -> None:
    failures = Failures(most=1, callers=3)
    for name in ("a", "b", "c", "a", "d"):
        fail(failures, 1, name=name)
    waiting = [name for name in "abcd" if has_to_wait(failures, NOW, name=name)]
    assert waiting == ["a", "c", "d"]
    assert len(vars(failures)["_failed"]) == 3


def test_of_each_caller_no_more_is_kept_than_is_needed() -> None:
    failures = Failures(most=3)
    fail(failures, 99)
    (kept,) = vars(failures)["_failed"].values()
    assert len(kept) == 3


@pytest.mark.parametrize("back", [SECOND, timedelta(hours=1)])
def test_a_clock_that_is_set_back_makes_nobody_wait_for_longer_than_a_minute(
    back: timedelta,
) -> None:
    failures = Failures(most=2)
    fail(failures, 2)
    assert has_to_wait(failures, NOW - back) == 0


def test_what_it_keeps_holds_neither_addresses_nor_names() -> None:
    failures = Failures()
    fail(failures, 1, name="a\udc80b")
    kept = repr(vars(failures)["_failed"])
    assert HERE not in kept
    assert "a\\udc80b" not in kept
