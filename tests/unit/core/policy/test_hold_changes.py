from datetime import UTC, datetime

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.hold_changes import HoldEnd, text_diff, with_changed_hold
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy

END = datetime(2024, 12, 1, tzinfo=UTC)
URL = "https://a.example/"
HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1", URL, END),))


def test_a_new_hold() -> None:
    policy = with_changed_hold(NOTICE, "AC1", None, phase="before", until=END)
    assert policy.holds == (PhaseHold("before", "AC1", None, END),)
    assert with_changed_hold(NOTICE, None, URL, phase="after").holds[0].until is None


@pytest.mark.parametrize(
    ("until", "expected"), [(HoldEnd.KEPT, END), (HoldEnd.NEVER, None), (END.replace(day=2),) * 2]
)
def test_an_existing_hold_keeps_what_is_not_given(
    until: datetime | HoldEnd, expected: datetime | None
) -> None:
    assert with_changed_hold(HELD, "AC1", URL, until=until).holds == (
        PhaseHold("before", "AC1", URL, expected),
    )
    assert with_changed_hold(HELD, "AC1", URL, phase="after").holds == (
        PhaseHold("after", "AC1", URL, END),
    )


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="the phases are before, between, after"):
        with_changed_hold(HELD, "AC1", None)
    with pytest.raises(ConfigurationError, match="an account, a URL prefix, or both"):
        with_changed_hold(HELD, None, None, phase="before")
    with pytest.raises(ConfigurationError, match="unknown phase 'later'"):
        with_changed_hold(HELD, "AC1", None, phase="later")


def test_equal_texts_have_no_difference() -> None:
    assert text_diff("a\n", "a\n", "it") == ""


def test_a_last_line_without_its_end_does_not_join_the_next() -> None:
    assert text_diff("a", "b", "it").splitlines()[-2:] == ["-a", "+b"]
