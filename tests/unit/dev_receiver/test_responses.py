import pytest

from ringback.dev_receiver.responses import FailureMode


@pytest.mark.parametrize(
    ("failure_mode", "fails"),
    [
        (FailureMode(500), [True, True, True]),
        (FailureMode(count=2), [True, True, False]),
        (FailureMode(410, 1), [True, False, False]),
    ],
)
def test_the_failure_mode_decides_which_requests_fail(
    failure_mode: FailureMode, fails: list[bool]
) -> None:
    assert [failure_mode.fails(number) for number in (1, 2, 3)] == fails


def test_failure_modes_are_shown_as_their_flags() -> None:
    assert str(FailureMode(500)) == "--fail 500"
    assert str(FailureMode(count=1)) == "--fail-first 1"
    assert str(FailureMode(410, 2)) == "--fail 410 --fail-first 2"
