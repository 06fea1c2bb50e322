"""The cost of reading a policy: a file may have a hold for each of thousands of accounts."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from ringback.core.errors import ConfigurationError
from ringback.settings.file import SettingsFile
from ringback.settings.load import policy_in


def file_with_holds(count: int, last: str = "") -> SettingsFile:
    holds = (f'[[holds]]\nphase = "before"\naccount_sid = "AC{i}"\n' for i in range(count))
    return SettingsFile.of("ringback.toml", "".join(holds) + last)


def steps_of(work: Callable[[], object]) -> int:
    """Return the number of this project's lines that are run for some work."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "ringback" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_ten_times_as_many_holds_take_ten_times_as_many_steps() -> None:
    few, many = (file_with_holds(count) for count in (1_000, 10_000))
    assert len(policy_in(many).holds) == 10_000
    assert steps_of(lambda: policy_in(many)) < 11 * steps_of(lambda: policy_in(few))


def test_the_line_of_an_unusable_hold_is_found_in_as_many_steps() -> None:
    wrong = '[[holds]]\nphase = "later"\n'

    def refuse(file: SettingsFile) -> None:
        with pytest.raises(
            ConfigurationError, match=f"ringback.toml:{file.text.count(chr(10)) - 1}: "
        ):
            policy_in(file)

    few, many = (file_with_holds(count, wrong) for count in (200, 2_000))
    assert steps_of(lambda: refuse(many)) < 11 * steps_of(lambda: refuse(few))
