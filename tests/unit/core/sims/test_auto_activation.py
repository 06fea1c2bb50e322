from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.calendar import INSTANT
from ringback.core.sims.auto_activation import READY_DATA, READY_MESSAGES, READY_MONTHS, when_active
from tests.fakes import NOW
from tests.unit.core.builders import a_session

AN_HOUR = timedelta(hours=1)
IN_3_MONTHS = datetime(2024, 10, 3, 14, 40, 58, tzinfo=UTC)


def test_the_activation_limits_are_those_of_the_documentation() -> None:
    assert (READY_DATA, READY_MESSAGES, READY_MONTHS) == (250_000, 5, 3)


def test_an_unused_sim_becomes_active_three_months_after_it_became_ready() -> None:
    for now in (NOW, NOW + AN_HOUR, IN_3_MONTHS + AN_HOUR):
        assert when_active(NOW, now, used=0, messages=0, sessions=[]) == IN_3_MONTHS


@pytest.mark.parametrize(
    ("used", "messages"), [(250_000, 0), (250_001, 0), (0, 5), (0, 6), (250_000, 5)]
)
def test_a_sim_with_enough_usage_becomes_active_now(used: int, messages: int) -> None:
    now = NOW + AN_HOUR
    for sessions in ([], [a_session()]):
        assert when_active(NOW, now, used=used, messages=messages, sessions=sessions) == now


def test_a_sim_with_slightly_too_little_usage_stays_ready() -> None:
    assert when_active(NOW, NOW, used=249_999, messages=4, sessions=[]) == IN_3_MONTHS


def test_a_sim_becomes_active_when_its_usage_has_grown_enough() -> None:
    sessions = [a_session(up=100_000, down=0)]
    due = when_active(NOW, NOW + AN_HOUR, used=150_000, messages=0, sessions=sessions)
    assert due == NOW + 2 * AN_HOUR


def test_of_several_sessions_the_first_to_grow_enough_decides() -> None:
    sessions = [
        a_session(up=100_000, down=0),
        a_session(up=500_000, down=0),
        a_session(up=0, down=0),
    ]
    assert when_active(NOW, NOW, used=0, messages=0, sessions=sessions) == NOW + AN_HOUR / 2


def test_growth_later_than_in_three_months_does_not_count() -> None:
    hours = (IN_3_MONTHS - NOW) // AN_HOUR
    sessions = [a_session(up=250_000 // (hours + 24), down=0)]
    assert when_active(NOW, NOW, used=0, messages=0, sessions=sessions) == IN_3_MONTHS


def test_a_session_that_ends_before_it_has_grown_enough_does_not_count() -> None:
    ends = NOW + AN_HOUR - INSTANT
    sessions = [a_session(up=250_000, down=0, ended=ends)]
    assert when_active(NOW, NOW, used=0, messages=0, sessions=sessions) == IN_3_MONTHS
