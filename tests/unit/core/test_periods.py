from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.periods import ALWAYS, DAY, HOUR, floor, iso, next_boundary, periods_between


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "span", "begun", "next_one"),
    [
        ("2024-07-03T14:40:58", HOUR, "2024-07-03T14:00", "2024-07-03T15:00"),
        ("2024-07-03T14:00:00", HOUR, "2024-07-03T14:00", "2024-07-03T14:00"),
        ("2024-07-03T23:59:59.999999", DAY, "2024-07-03T00:00", "2024-07-04T00:00"),
        ("2024-12-31T00:00:00", DAY, "2024-12-31T00:00", "2024-12-31T00:00"),
        ("2024-12-31T23:30:00", HOUR, "2024-12-31T23:00", "2025-01-01T00:00"),
    ],
)
def test_hours_and_days_begin_and_end_in_utc(
    instant: str, span: timedelta, begun: str, next_one: str
) -> None:
    assert floor(at(instant), span) == at(begun)
    assert next_boundary(at(instant), span) == at(next_one)


def test_periods_are_told_the_newest_first_and_lie_side_by_side() -> None:
    start, end = at("2024-07-03T00:00"), at("2024-07-03T03:00")
    assert periods_between(start, end, HOUR) == [
        (at("2024-07-03T02:00"), end),
        (at("2024-07-03T01:00"), at("2024-07-03T02:00")),
        (start, at("2024-07-03T01:00")),
    ]


def test_without_a_span_there_is_one_period_and_of_a_rest_there_is_none() -> None:
    start, end = at("2024-07-03T00:00"), at("2024-07-03T01:30")
    assert periods_between(start, end, None) == [(start, end)]
    assert periods_between(start, end, HOUR) == [(start, at("2024-07-03T01:00"))]
    assert periods_between(start, end, DAY) == []


@pytest.mark.parametrize("span", [HOUR, DAY])
def test_the_last_hour_and_day_of_the_calendar_end_with_it(span: timedelta) -> None:
    last = at("9999-12-31T23:59:59.999999")
    assert next_boundary(at("9999-12-31T23:10"), span) == last
    assert next_boundary(last, span) == last
    assert next_boundary(at("9999-12-30T22:10"), span) < last


def test_always_is_all_of_the_calendar_in_utc() -> None:
    assert (at("0001-01-01"), at("9999-12-31T23:59:59.999999")) == ALWAYS


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("2024-07-03T14:40:58", "2024-07-03T14:40:58Z"),
        ("2024-07-03T14:40:58.999999", "2024-07-03T14:40:58Z"),
        ("0987-01-02T00:00:00", "0987-01-02T00:00:00Z"),
    ],
)
def test_an_instant_is_written_with_four_digits_of_its_year_and_no_fraction(
    instant: str, text: str
) -> None:
    assert iso(at(instant)) == text
