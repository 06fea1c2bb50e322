from datetime import UTC, datetime, timedelta, timezone

import pytest

from ringback.core.calendar import (
    ALWAYS,
    DAY,
    HOUR,
    exact,
    floor,
    in_words,
    iso,
    month_around,
    months_after,
    next_boundary,
    periods_between,
    read_duration,
    read_instant,
)
from tests.fakes import NOW


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2024-07-03", 1, "2024-08-03"),
        ("2024-12-31", 1, "2025-01-31"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2023-01-31", 1, "2023-02-28"),
        ("2000-01-31", 1, "2000-02-29"),
        ("2100-01-31", 1, "2100-02-28"),
        ("2024-02-29", 1, "2024-03-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2024-03-31", 1, "2024-04-30"),
        ("2024-11-30", 3, "2025-02-28"),
        ("2024-01-01", 0, "2024-01-01"),
        ("2024-01-15", -1, "2023-12-15"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2024-07-03", -18, "2023-01-03"),
        ("2025-08-31", -18, "2024-02-29"),
        ("2026-08-31", -18, "2025-02-28"),
        ("0002-03-05", -12, "0001-03-05"),
        ("9998-12-31", 12, "9999-12-31"),
    ],
)
def test_months_are_counted_by_the_calendar(start: str, months: int, end: str) -> None:
    assert months_after(day(start), months=months) == day(end)


def test_the_default_is_one_month() -> None:
    assert months_after(NOW) == months_after(NOW, months=1)


def test_the_time_of_day_stays_to_the_microsecond() -> None:
    late = day("2024-01-31T23:59:59.999999")
    assert months_after(late) == day("2024-02-29T23:59:59.999999")


@pytest.mark.parametrize("months", [1, 12, 10**6])
def test_after_the_last_month_the_result_is_the_end_of_the_calendar(months: int) -> None:
    assert months_after(day("9999-12-01"), months=months) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("months", [-1, -18, -(10**6)])
def test_before_the_first_month_the_result_is_the_start_of_the_calendar(months: int) -> None:
    assert months_after(day("0001-01-31"), months=months) == datetime.min.replace(tzinfo=UTC)


def test_the_zone_is_unchanged() -> None:
    zone = timezone(timedelta(hours=2))
    assert months_after(NOW.astimezone(zone)).tzinfo is zone
    assert months_after(datetime(9999, 12, 1, tzinfo=zone)).tzinfo is zone


# ---- the month around an instant -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("anchor", "now", "begin", "end"),
    [
        pytest.param("2024-07-03", "2024-07-03", "2024-07-03", "2024-08-03", id="at the start"),
        pytest.param("2024-07-03", "2024-08-02", "2024-07-03", "2024-08-03", id="the first"),
        pytest.param("2024-07-03", "2024-08-03", "2024-08-03", "2024-09-03", id="on its day"),
        pytest.param("2024-07-03", "2024-12-31", "2024-12-03", "2025-01-03", id="over new year"),
        pytest.param("2024-07-03", "2026-07-02", "2026-06-03", "2026-07-03", id="years later"),
        pytest.param("2024-01-31", "2024-02-28", "2024-01-31", "2024-02-29", id="a short month"),
        pytest.param("2024-01-31", "2024-02-29", "2024-02-29", "2024-03-31", id="on its last day"),
        pytest.param("2024-01-31", "2024-03-30", "2024-02-29", "2024-03-31", id="no drift"),
        pytest.param("2024-01-31", "2024-04-30", "2024-04-30", "2024-05-31", id="30 days"),
        pytest.param("2024-07-03", "2024-06-10", "2024-06-03", "2024-07-03", id="before it"),
    ],
)
def test_months_begin_on_the_day_from_which_they_are_counted(
    anchor: str, now: str, begin: str, end: str
) -> None:
    assert month_around(day(anchor), day(now)) == (day(begin), day(end))


def test_a_month_ends_at_the_time_of_day_at_which_it_began() -> None:
    anchor, now = day("2024-07-03T14:40:58"), day("2024-08-03T14:40:58")
    assert month_around(anchor, now) == (now, day("2024-09-03T14:40:58"))
    just_before = now - timedelta(microseconds=1)
    assert month_around(anchor, just_before) == (anchor, now)


def test_months_adjoin_whatever_day_they_are_counted_from() -> None:
    for anchor in (day("2024-01-31"), day("2024-02-29"), day("2023-11-30")):
        edge = anchor
        for _ in range(48):
            begin, end = month_around(anchor, edge)
            assert begin == edge
            edge = end


def test_the_last_month_ends_with_the_calendar() -> None:
    begin, end = month_around(day("2024-07-15"), day("9999-12-20"))
    assert (begin, end) == (day("9999-12-15"), datetime.max.replace(tzinfo=UTC))


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


def test_periods_are_listed_newest_first_and_adjoin() -> None:
    start, end = at("2024-07-03T00:00"), at("2024-07-03T03:00")
    assert periods_between(start, end, HOUR) == [
        (at("2024-07-03T02:00"), end),
        (at("2024-07-03T01:00"), at("2024-07-03T02:00")),
        (start, at("2024-07-03T01:00")),
    ]


def test_without_a_span_there_is_one_period_and_for_an_empty_rest_none() -> None:
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


def test_always_is_the_whole_calendar_in_utc() -> None:
    assert (at("0001-01-01"), at("9999-12-31T23:59:59.999999")) == ALWAYS


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("2024-07-03T14:40:58", "2024-07-03T14:40:58Z"),
        ("2024-07-03T14:40:58.999999", "2024-07-03T14:40:58Z"),
        ("0987-01-02T00:00:00", "0987-01-02T00:00:00Z"),
    ],
)
def test_an_instant_is_written_with_a_four_digit_year_and_no_fraction(
    instant: str, text: str
) -> None:
    assert iso(at(instant)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta(0)),
        ("5", timedelta(seconds=5)),
        ("0.25", timedelta(milliseconds=250)),
        ("500ms", timedelta(milliseconds=500)),
        ("3s", timedelta(seconds=3)),
        ("5m", timedelta(minutes=5)),
        ("1.5m", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, expected: timedelta) -> None:
    assert read_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1s", "+1s", "1 s", " 1s", "1s\n", "1.s", ".5s", "1,5s", "1e3", "5S", "5min", "3w",
     "1h30m", "1234567890s", "inf", "nan", "\u0663s"],
)  # fmt: skip
def test_anything_else_is_refused_with_valid_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid duration") as refused:
        read_duration(text)
    assert (
        str(refused.value)
        == f"{text!r} is not a valid duration; write it like 500ms, 3s, 5m, 2h or 1d"
    )


@pytest.mark.parametrize("text", ["3651d", "3650.000001d", "87601h", "999999999.999999d"])
def test_a_duration_of_more_than_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long") as refused:
        read_duration(text)
    assert str(refused.value) == f"{text!r} is too long; the maximum is 3650d"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-06-01", "2027-06-01T00:00:00Z"),
        ("2027-06-01T12:30", "2027-06-01T12:30:00Z"),
        ("2027-06-01T12:30:01.25+02:00", "2027-06-01T10:30:01.250000Z"),
        ("1970-01-01", "1970-01-01T00:00:00Z"),
        ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59Z"),
    ],
)
def test_a_date_is_read_in_utc_and_written_with_all_its_digits(text: str, instant: str) -> None:
    found = read_instant(text)
    assert found.tzinfo is UTC
    assert exact(found) == instant
    assert read_instant(instant) == found


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert exact(datetime(2027, 6, 1, 1, tzinfo=zone)) == "2027-05-31T23:00:00Z"


@pytest.mark.parametrize("text", ["soon", "2027-02-30", "0001-01-01T00:00:00+12:00", ""])
def test_a_text_that_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date; write it like 2024-10-20"):
        read_instant(text)


@pytest.mark.parametrize("text", ["1969-12-31", "3000-01-01"])
def test_a_date_too_far_away_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be in the years 1970 to 2999"):
        read_instant(text)


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), "31 January 2026"),
        (datetime(2026, 12, 7, tzinfo=UTC), "7 December 2026"),
    ],
)
def test_a_day_is_written_in_words(instant: datetime, words: str) -> None:
    assert in_words(instant) == words
