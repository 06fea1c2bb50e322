import pytest

from ringback.dev_receiver.responses import (
    AnswerNormally,
    FailAlways,
    FailFirst,
    FailureMode,
    failure_of,
)


@pytest.mark.parametrize(
    ("manners", "answers"),
    [
        (AnswerNormally(), [None, None, None]),
        (FailAlways(500), [500, 500, 500]),
        (FailFirst(2), [503, 503, None]),
        (FailFirst(1, 410), [410, None, None]),
    ],
)
def test_which_requests_fail_is_a_matter_of_manners(
    manners: FailureMode, answers: list[int | None]
) -> None:
    assert [failure_of(manners, number) for number in (1, 2, 3)] == answers


def test_manners_are_shown_as_the_flags_that_ask_for_them() -> None:
    assert str(FailAlways(500)) == "--fail 500"
    assert str(FailFirst(1)) == "--fail-first 1"
    assert str(FailFirst(2, 410)) == "--fail 410 --fail-first 2"
