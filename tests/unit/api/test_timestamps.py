"""Instants in requests."""

import re
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
        ("", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("2026-11-24", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("2026-11-24 10:00:00Z", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("20261124T100000Z", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00Z\n", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00z", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("٢٠٢٦-11-24T10:00:00Z", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("1732442400", "it must be a date and time like 2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00", "it has no time zone; append Z for UTC, or an offset like +02:00"),
        ("2026-02-30T10:00:00Z", "it is not a real date and time (such as 30 February or 25:00)"),
        ("2026-11-24T24:30:00Z", "it is not a real date and time (such as 30 February or 25:00)"),
        ("2026-11-24T10:00:60Z", "it is not a real date and time (such as 30 February or 25:00)"),
        (
            "2026-11-24T10:00:00+25:00",
            "it is not a real date and time (such as 30 February or 25:00)",
        ),
        ("0000-01-01T00:00:00Z", "it is not a real date and time (such as 30 February or 25:00)"),
        (
            "0001-01-01T00:00:00+01:00",
            "it is not a real date and time (such as 30 February or 25:00)",
        ),
        (
            "9999-12-31T23:59:59-01:00",
            "it is not a real date and time (such as 30 February or 25:00)",
        ),
    ],
)
def test_an_invalid_instant_is_refused_with_a_valid_example(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
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
        ("", "it must be a date and time like"),
        ("2026-11-24T", "it must be a date and time like"),
        ("2026-11-24Z", "it must be a date and time like"),
        ("2026-11-24T10:00:00[UTC]", "it must be a date and time like"),
        ("2026-02-30", "it is not a real date and time (such as 30 February or 25:00)"),
        ("2026-11-24T25:00:00", "it is not a real date and time (such as 30 February or 25:00)"),
        ("0000-01-01", "it is not a real date and time (such as 30 February or 25:00)"),
    ],
)
def test_text_that_is_not_a_time_is_refused_with_and_without_a_zone(
    text: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_instant_or_utc(text)
