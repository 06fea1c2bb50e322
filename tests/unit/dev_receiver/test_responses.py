import pytest

from ringback.dev_receiver.responses import (
    AnswerNormally,
    FailAlways,
    FailFirst,
    FailureMode,
    failure_of,
)


@pytest.mark.parametrize(
    ("failure_mode", "answers"),
    [
        (AnswerNormally(), [None, None, None]),
        (FailAlways(500), [500, 500, 500]),
        (FailFirst(2), [503, 503, None]),
        (FailFirst(1, 410), [410, None, None]),
    ],
)
def test_the_failure_mode_says_which_requests_fail(
    failure_mode: FailureMode, answers: list[int | None]
) -> None:
    assert [failure_of(failure_mode, number) for number in (1, 2, 3)] == answers


def test_failure_modes_are_shown_as_the_flags_that_ask_for_them() -> None:
    assert str(FailAlways(500)) == "--fail 500"
    assert str(FailFirst(1)) == "--fail-first 1"
    assert str(FailFirst(2, 410)) == "--fail 410 --fail-first 2"
