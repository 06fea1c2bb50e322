from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ringback.core.calendar import INSTANT
from ringback.core.sims.data_session import (
    MEGABYTE,
    DataSession,
    bytes_of,
    price_of,
    total_between,
    when_used,
)
from tests.fakes import NOW
from tests.unit.core.builders import a_session

AN_HOUR, AN_INSTANT = timedelta(hours=1), INSTANT


@pytest.mark.parametrize(
    ("start", "end", "used"),
    [
        (timedelta(0), AN_HOUR, (1000, 2000)),
        (AN_HOUR, 3 * AN_HOUR, (2000, 4000)),
        (-AN_HOUR, AN_HOUR, (1000, 2000)),
        (-2 * AN_HOUR, -AN_HOUR, (0, 0)),
        (-AN_HOUR, timedelta(0), (0, 0)),
        (AN_HOUR, AN_HOUR, (0, 0)),
        (2 * AN_HOUR, AN_HOUR, (0, 0)),
        (timedelta(0), timedelta(seconds=3.6), (1, 2)),
        (timedelta(0), timedelta(seconds=3.6) - AN_INSTANT, (0, 1)),
        (timedelta(0), timedelta(seconds=1.8), (0, 1)),
        (timedelta(0), timedelta(seconds=1.8) - AN_INSTANT, (0, 0)),
    ],
)
def test_an_open_session_grows_evenly_from_its_start(
    start: timedelta, end: timedelta, used: tuple[int, int]
) -> None:
    assert a_session().bytes_between(NOW + start, NOW + end) == used


@pytest.mark.parametrize(
    ("start", "end", "used"),
    [
        (timedelta(0), AN_HOUR, (1000, 2000)),
        (timedelta(0), 9 * AN_HOUR, (2000, 4000)),
        (AN_HOUR, 9 * AN_HOUR, (1000, 2000)),
        (2 * AN_HOUR, 9 * AN_HOUR, (0, 0)),
        (2 * AN_HOUR - AN_INSTANT, 9 * AN_HOUR, (1, 1)),
    ],
)
def test_a_session_that_ends_grows_until_before_its_end(
    start: timedelta, end: timedelta, used: tuple[int, int]
) -> None:
    session = a_session(ended=NOW + 2 * AN_HOUR)
    assert session.bytes_between(NOW + start, NOW + end) == used


def test_the_total_is_that_of_all_sessions_up_and_down() -> None:
    sessions = [a_session(up=1, down=2), a_session(up=10, down=20, ended=NOW + AN_HOUR)]
    assert total_between(sessions, NOW, NOW + 2 * AN_HOUR) == 2 + 4 + 10 + 20
    assert bytes_of(sessions, NOW, NOW + 2 * AN_HOUR) == (2 + 10, 4 + 20)
    assert total_between([], NOW, NOW + AN_HOUR) == 0


# ---- when an amount has been used ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "up", "down", "after"),
    [
        (0, 1000, 2000, timedelta(0)),
        (-5, 1000, 2000, timedelta(0)),
        (3000, 1000, 2000, AN_HOUR),
        # Together they would reach 1 after 1.2 s, but each is rounded down to 0 until 1.8 s.
        (1, 1000, 2000, timedelta(seconds=1.8)),
        (1, 1, 1, AN_HOUR),
        (2, 1, 1, AN_HOUR),
        (3, 1, 1, 2 * AN_HOUR),
        # A seventh of an hour is not a whole number of microseconds: it is rounded up.
        (1, 7, 0, timedelta(microseconds=514_285_715)),
        (1000 * MEGABYTE, 0, MEGABYTE, 1000 * AN_HOUR),
    ],
)
def test_the_bytes_are_used_at_this_instant_and_not_before_it(
    count: int, up: int, down: int, after: timedelta
) -> None:
    session = a_session(up=up, down=down)
    assert when_used(count, session, since=NOW) == NOW + after
    assert total_between([session], NOW, NOW + after) >= count
    assert after == timedelta(0) or total_between([session], NOW, NOW + after - AN_INSTANT) < count


def test_bytes_are_counted_from_the_instant_that_is_given() -> None:
    assert when_used(3000, a_session(), since=NOW + AN_HOUR) == NOW + 2 * AN_HOUR


def test_before_its_start_a_session_uses_nothing() -> None:
    assert when_used(3000, a_session(), since=NOW - AN_HOUR) == NOW + AN_HOUR


@pytest.mark.parametrize(
    ("count", "session", "since"),
    [
        pytest.param(1, a_session(up=0, down=0), NOW, id="it uses nothing"),
        pytest.param(3001, a_session(ended=NOW + AN_HOUR), NOW, id="it ends before"),
        pytest.param(1, a_session(ended=NOW + AN_HOUR), NOW + AN_HOUR, id="it has ended"),
        pytest.param(0, a_session(ended=NOW + AN_HOUR), NOW + 2 * AN_HOUR, id="long ago"),
        pytest.param(10**12, a_session(up=1, down=0), NOW, id="the calendar ends before"),
    ],
)
def test_a_session_that_never_uses_enough_has_no_such_instant(
    count: int, session: DataSession, since: datetime
) -> None:
    assert when_used(count, session, since=since) is None


def test_an_amount_reached_at_the_end_of_a_session_counts() -> None:
    end = NOW + AN_HOUR
    assert when_used(3000, a_session(ended=end), since=NOW) == end
    assert when_used(0, a_session(ended=end), since=end) == end


# ---- costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "price"),
    [
        (0, "0.00"),
        (49_999, "0.00"),
        (50_001, "0.01"),
        (300_000, "0.03"),
        (3_494_609, "0.35"),
        (10 * MEGABYTE, "1.00"),
        (10**15, "100000000.00"),
    ],
)
def test_a_megabyte_costs_ten_cents_as_in_the_published_samples(count: int, price: str) -> None:
    assert (price_of(count), str(price_of(count))) == (Decimal(price), price)
