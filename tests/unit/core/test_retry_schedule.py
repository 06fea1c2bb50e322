from datetime import timedelta

import pytest

from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, SCHEDULES, RetrySchedule

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
THREE = RetrySchedule((10 * SECOND, MINUTE, HOUR))


def test_the_faithful_schedule_has_one_round() -> None:
    assert FAITHFUL.wait_after(0, jitter=0.5) is None


def test_the_persistent_schedule_has_eight_rounds() -> None:
    waits = [PERSISTENT.wait_after(number, jitter=0.5) for number in range(8)]
    assert waits == [
        5 * SECOND,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        10 * HOUR,
        None,
    ]


@pytest.mark.parametrize(
    ("number", "wait"), [(0, 10 * SECOND), (1, MINUTE), (2, HOUR), (3, None), (99, None)]
)
def test_each_round_is_followed_by_its_own_wait(number: int, wait: timedelta | None) -> None:
    assert THREE.wait_after(number, jitter=0.5) == wait


@pytest.mark.parametrize(
    ("jitter", "seconds"), [(0.0, 8.0), (0.25, 9.0), (0.5, 10.0), (0.75, 11.0), (1.0, 12.0)]
)
def test_jitter_spreads_a_wait_by_a_fifth_in_both_directions(jitter: float, seconds: float) -> None:
    assert THREE.wait_after(0, jitter=jitter) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("faithful", ()),
        ("persistent", PERSISTENT.waits),
        ("5s", (5 * SECOND,)),
        ("5s,1m,2h", (5 * SECOND, MINUTE, 2 * HOUR)),
        ("0", (timedelta(0),)),
        ("500ms,500ms", (SECOND / 2, SECOND / 2)),
        (",".join(["1s"] * 50), (SECOND,) * 50),
    ],
)
def test_a_schedule_is_parsed_from_its_name_or_its_waits(
    text: str, waits: tuple[timedelta, ...]
) -> None:
    assert RetrySchedule.parse(text) == RetrySchedule(waits)


@pytest.mark.parametrize(
    ("text", "words"),
    [("persistent", "persistent"), ("faithful", "faithful"), ("1500ms,2h", "1.5s,7200s")],
)
def test_a_schedule_is_shown_by_its_name_or_its_waits(text: str, words: str) -> None:
    schedule = RetrySchedule.parse(text)
    assert schedule.in_words == words
    assert RetrySchedule.parse(words) == schedule


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a valid duration"),
        ("Faithful", "'Faithful' is not a valid duration"),
        ("5s,", "'' is not a valid duration"),
        ("5s, 1m", "' 1m' is not a valid duration"),
        ("-5s", "'-5s' is not a valid duration"),
        ("persistent,5s", "'persistent' is not a valid duration"),
        (",".join(["1s"] * 51), "has 51 waits; the maximum is 50"),
    ],
)
def test_anything_else_is_not_a_schedule(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RetrySchedule.parse(text)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (FAITHFUL, "faithful"),
        (THREE, "10.000000s,60.000000s,3600.000000s"),
        (RetrySchedule((timedelta(microseconds=1),)), "0.000001s"),
    ],
)
def test_a_schedules_text_parses_to_the_same_schedule(schedule: RetrySchedule, text: str) -> None:
    assert str(schedule) == text
    assert RetrySchedule.parse(text) == schedule


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_named_schedule_can_be_chosen_by_name(name: str) -> None:
    assert RetrySchedule.parse(name).waits == SCHEDULES[name]
