"""The pictures: what they show where, and the text that says the same."""

import re
from datetime import UTC, datetime, timedelta

from ringback.console.pictures import (
    HeldSpan,
    HistogramBar,
    SourceCounts,
    SourceSpan,
    TimedStep,
    before_and_since,
    histogram,
    shares,
    sparkline,
    stacked,
    timeline,
    timing_bar,
)

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def boxes(picture: str) -> list[tuple[str, float, float, float, float]]:
    """Return the look, place and size of each rectangle."""
    form = (
        r'<rect class="([\w-]*)" x="([\d.]+)%?" y="([\d.-]+)" width="([\d.]+)%?" height="([\d.]+)"'
    )
    return [(look, *map(float, numbers)) for look, *numbers in re.findall(form, picture)]  # type: ignore[misc] (of findall)


def test_a_histogram_has_twilio_above_the_line_and_kore_below_it() -> None:
    bars = [
        HistogramBar(NOON, SourceCounts(4, 0), SourceCounts(0, 2)),
        HistogramBar(NOON + MINUTE, SourceCounts(0, 0), SourceCounts(2, 0)),
    ]
    picture = histogram(bars, names=("twilio", "kore"), span="minute")
    line = next(one for one in boxes(picture) if one[0] == "f-edge")
    above = [one for one in boxes(picture) if one[2] + one[4] <= line[2]]
    below = [one for one in boxes(picture) if one[2] > line[2]]
    assert [one[0] for one in above] == ["f-twilio"]
    assert [one[0] for one in below] == ["o-bad", "f-kore"]
    assert above[0][4] == 34  # the most of all is as high as there is room
    assert "4 from twilio above the line, 0 of them not delivered" in picture
    assert "4 from kore below it, 2 of them not delivered" in picture


def test_an_empty_histogram_is_a_line() -> None:
    picture = histogram([], names=("twilio", "kore"), span="minute")
    assert [one[0] for one in boxes(picture)] == ["f-edge"]


def test_the_timeline_has_a_row_for_each_source_and_marks_today() -> None:
    border, end = NOON + 10 * timedelta(days=1), NOON + 20 * timedelta(days=1)
    rows = [
        ("twilio", [SourceSpan("default", NOON, border), SourceSpan("gone", border, end)]),
        ("kore", [SourceSpan("asked", NOON, border), SourceSpan("default", border, end)]),
    ]
    picture = timeline(
        rows,
        [HeldSpan("https://a.example/", border)],
        borders=[border],
        today=NOON + 5 * timedelta(days=1),
        edges=(NOON, end),
        label="as text",
    )
    found = boxes(picture)
    assert [one[0] for one in found] == ["f-twilio", "f-soft-kore", "f-kore", "o-hold"]
    assert [one[1] for one in found] == [0, 0, 50, 0]
    assert [one[3] for one in found] == [50, 50, 50, 50]
    assert 'x1="25.00%"' in picture
    assert "today, 2 Dec" in picture
    assert 'aria-label="as text"' in picture
    assert (picture.count(">default<"), picture.count(">if asked<")) == (2, 1)


def test_a_short_part_of_the_timeline_has_no_words() -> None:
    days = [NOON + number * timedelta(days=1) for number in (0, 1, 20)]
    spans = [SourceSpan("default", *days[:2]), SourceSpan("gone", *days[1:])]
    picture = timeline(
        [("twilio", spans)], [], borders=[], today=days[0], edges=(days[0], days[2]), label=""
    )
    assert ">ended<" in picture
    assert ">default<" not in picture


def test_parts_of_a_bar_fill_it_in_their_proportion() -> None:
    found = boxes(stacked([("f-muted", 3), ("o-bad", 0), ("f-line", 1)], label="as text"))
    assert [(one[0], one[1]) for one in found] == [("f-muted", 0), ("f-line", 75)]
    found = boxes(shares([("twilio", 1), ("kore", 3)], label="as text"))
    assert [(one[0], one[3]) for one in found] == [("f-twilio", 25), ("f-kore", 75)]


def test_the_steps_of_an_attempt_follow_each_other_on_one_scale() -> None:
    steps = [TimedStep("connect", "f-ink", 10), TimedStep("first byte", "f-muted", 30)]
    found = boxes(timing_bar(steps, scale=80, label="as text"))
    assert found[1:] == [("f-ink", 0, 1, 12.5, 8), ("f-muted", 12.5, 1, 37.5, 8)]


def test_a_sparkline_has_deliveries_above_and_failures_below() -> None:
    found = boxes(sparkline([(2, 0), (0, 1)], label="as text"))
    assert [one[0] for one in found] == ["f-line", "f-muted", "f-bad"]


def test_deliveries_before_and_since_are_a_circle_and_a_square() -> None:
    picture = before_and_since(0.5, 1.0)
    assert 'cx="50.0%"' in picture
    assert '<svg x="100.0%"' in picture
    assert "Delivered: 50% before, 100% since" in picture
    assert "nothing yet" in before_and_since(None, None)


def test_texts_in_pictures_are_escaped() -> None:
    bars = [SourceSpan("default", NOON, NOON + MINUTE)]
    picture = timeline(
        [("<b>", bars)],
        [HeldSpan("<script>", None)],
        borders=[],
        today=NOON,
        edges=(NOON, NOON + MINUTE),
        label='"><script>',
    )
    assert "<script>" not in picture
    assert "<b>" not in picture
