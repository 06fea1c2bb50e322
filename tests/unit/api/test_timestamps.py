"""Instants in requests."""

from datetime import UTC, datetime

import pytest

from ringback.api.timestamps import read_instant, read_instant_or_utc


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24T10:00Z", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24T10:00:30Z", datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC)),
        ("2026-11-24T10:00:30.25Z", datetime(2026, 11, 24, 10, 0, 30, 250_000, tzinfo=UTC)),
        ("2026-11-24T10:00:00-05:30", datetime(2026, 11, 24, 15, 30, tzinfo=UTC)),
        ("2026-11-24T00:00:00+23:59", datetime(2026, 11, 23, 0, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_its_zone(text: str, instant: datetime) -> None:
    assert read_instant(text) == instant
    assert read_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an instant is written like 2026-11-24T10:00:00Z"),
        ("2026-11-24", "an instant is written like 2026-11-24T10:00:00Z"),
        ("2026-11-24 10:00:00Z", "an instant is written like 2026-11-24T10:00:00Z"),
        ("20261124T100000Z", "an instant is written like 2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00Z\n", "an instant is written like 2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00z", "an instant is written like 2026-11-24T10:00:00Z"),
        ("٢٠٢٦-11-24T10:00:00Z", "an instant is written like 2026-11-24T10:00:00Z"),
        ("1732442400", "an instant is written like 2026-11-24T10:00:00Z"),
        (
            "2026-11-24T10:00:00",
            "it has no zone; put a Z behind it for UTC, or an offset like +02:00",
        ),
        ("2026-02-30T10:00:00Z", "the calendar or the clock has no such instant"),
        ("2026-11-24T24:30:00Z", "the calendar or the clock has no such instant"),
        ("2026-11-24T10:00:60Z", "the calendar or the clock has no such instant"),
        ("2026-11-24T10:00:00+25:00", "the calendar or the clock has no such instant"),
        ("0000-01-01T00:00:00Z", "the calendar or the clock has no such instant"),
        ("0001-01-01T00:00:00+01:00", "the calendar or the clock has no such instant"),
        ("9999-12-31T23:59:59-01:00", "the calendar or the clock has no such instant"),
    ],
)
def test_an_invalid_instant_is_refused_with_a_valid_example(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="^" + problem.replace("+", r"\+") + "$"):
        read_instant(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T10:00", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24T10:00:30.25", datetime(2026, 11, 24, 10, 0, 30, 250_000, tzinfo=UTC)),
        ("2026-11-24T10:00:00-05:30", datetime(2026, 11, 24, 15, 30, tzinfo=UTC)),
        ("2026-11-24T10:00:30Z", datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_can_be_read_as_utc_and_a_date_as_its_midnight(
    text: str, instant: datetime
) -> None:
    assert read_instant_or_utc(text) == instant
    assert read_instant_or_utc(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an instant is written like"),
        ("2026-11-24T", "an instant is written like"),
        ("2026-11-24Z", "an instant is written like"),
        ("2026-11-24T10:00:00[UTC]", "an instant is written like"),
        ("2026-02-30", "the calendar or the clock has no such instant"),
        ("2026-11-24T25:00:00", "the calendar or the clock has no such instant"),
        ("0000-01-01", "the calendar or the clock has no such instant"),
    ],
)
def test_text_that_is_not_a_time_is_refused_with_and_without_a_zone(
    text: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        read_instant_or_utc(text)
