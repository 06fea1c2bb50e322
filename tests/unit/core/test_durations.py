from datetime import timedelta

import pytest

from ringback.core.durations import read_duration


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
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration") as refused:
        read_duration(text)
    assert str(refused.value) == f"{text!r} is no duration; write it like 500ms, 3s, 5m, 2h or 1d"


@pytest.mark.parametrize("text", ["3651d", "3650.000001d", "87601h", "999999999.999999d"])
def test_a_duration_of_more_than_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long") as refused:
        read_duration(text)
    assert str(refused.value) == f"{text!r} is too long; 3650d is the most"
