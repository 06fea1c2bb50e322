"""A flood of warnings becomes a few log lines, and a count of the others."""

import logging

import pytest

from ringback.carrier.rate_limited_log import EVERY, MOST, RateLimitedLog


class Watch:
    """A stopwatch that a test advances."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def log(watch: Watch) -> RateLimitedLog:
    return RateLimitedLog(logging.getLogger("tests.sparing"), stopwatch=watch)


def test_equal_warnings_are_logged_once_in_a_while(
    log: RateLimitedLog, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        log.warn("a stranger")
    assert caplog.messages == ["a stranger"]
    watch.seconds = EVERY
    log.warn("a stranger")
    assert caplog.messages[1:] == ["999 more such warnings were left out", "a stranger"]


def test_different_warnings_are_logged_until_there_are_too_many(
    log: RateLimitedLog, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MOST + 5):
        log.warn(f"stranger {number}")
    assert caplog.messages == [f"stranger {number}" for number in range(MOST)]
    log.end()
    assert caplog.messages[MOST:] == ["5 more such warnings were left out"]


def test_at_the_end_nothing_is_logged_if_nothing_was_suppressed(
    log: RateLimitedLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.warn("a stranger")
    log.end()
    assert caplog.messages == ["a stranger"]


def test_a_warning_may_have_a_cause(log: RateLimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    log.warn("it failed", cause=ValueError("why"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "why"
