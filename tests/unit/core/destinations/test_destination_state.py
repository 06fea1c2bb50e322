import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.destinations.destination_state import WELL, DestinationState
from tests.fakes import NOW

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
OPEN = DestinationState(opened=NOW, probe_at=NOW + MINUTE, seen=NOW)
FULL = DestinationState(
    opened=NOW,
    probe_at=NOW + MINUTE,
    failed_probes=3,
    held_until=NOW + SECOND,
    held_since=NOW - SECOND,
    no_success_since=NOW - HOUR,
    failing_since=NOW - MINUTE,
    disabled=NOW,
    disabled_why="it is gone",
    gaps=((NOW, NOW + SECOND), (NOW + MINUTE, NOW + HOUR)),
    waited_before={"CB2": 61.5},
    seen=NOW + timedelta(microseconds=1),
    told={"destination.opened": NOW},
)
SID = "CB1"


def minutes(*numbers: float) -> list[datetime]:
    return [NOW + number * MINUTE for number in numbers]


# ---- as text -------------------------------------------------------------------------------------


def test_a_state_is_read_back_as_it_was_written() -> None:
    for state in (WELL, OPEN, FULL):
        assert DestinationState.read(state.write()) == state


def test_only_what_differs_from_its_default_is_written() -> None:
    assert WELL.write() == "{}"
    assert json.loads(OPEN.write()).keys() == {"opened", "probe_at", "seen"}


def test_what_is_not_known_any_more_is_left_out() -> None:
    assert DestinationState.read('{"failed_probes": 2, "mood": "bad"}') == WELL._replace(
        failed_probes=2
    )


@pytest.mark.parametrize("name", [one for one in DestinationState._fields if one != "seen"])
def test_a_state_with_anything_to_remember_is_not_plain(name: str) -> None:
    assert WELL.is_plain
    assert WELL._replace(seen=NOW).is_plain
    assert not WELL._replace(**{name: getattr(FULL, name)}).is_plain


INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 (made UTC)
    lambda instant: instant.replace(tzinfo=NOW.tzinfo)
)
STATES = st.builds(
    DestinationState,
    opened=st.none() | INSTANTS,
    probe_at=st.none() | INSTANTS,
    failed_probes=st.integers(0, 1000),
    held_until=st.none() | INSTANTS,
    held_since=st.none() | INSTANTS,
    no_success_since=st.none() | INSTANTS,
    failing_since=st.none() | INSTANTS,
    disabled=st.none() | INSTANTS,
    disabled_why=st.text(),
    gaps=st.lists(st.tuples(INSTANTS, INSTANTS), max_size=3).map(tuple),
    waited_before=st.dictionaries(st.text(), st.floats(0, 1e6), max_size=3),
    seen=st.none() | INSTANTS,
    told=st.dictionaries(st.text(), INSTANTS, max_size=3),
)


@given(STATES)
def test_every_state_is_read_back(state: DestinationState) -> None:
    assert DestinationState.read(state.write()) == state


# ---- time that does not count --------------------------------------------------------------------


def test_gaps_are_kept_in_order() -> None:
    first, second, third, fourth = minutes(1, 2, 3, 4)
    state = OPEN.with_gap(third, fourth).with_gap(first, second)
    assert state.gaps == ((first, second), (third, fourth))


@pytest.mark.parametrize("length", [0, -1])
def test_a_gap_without_length_is_none(length: int) -> None:
    assert OPEN.with_gap(NOW, NOW + length * SECOND) is OPEN


def test_of_very_many_gaps_the_oldest_are_joined() -> None:
    state = OPEN
    for number in range(30):
        state = state.with_gap(*minutes(2 * number, 2 * number + 1))
    assert len(state.gaps) == 20
    assert state.gaps[0] == (*minutes(0, 21),)
    assert state.gaps[1:] == tuple((*minutes(2 * n, 2 * n + 1),) for n in range(11, 30))


def test_a_gap_within_a_joined_one_does_not_shorten_it() -> None:
    state = OPEN.with_gap(*minutes(0, 100))
    for number in range(25):
        state = state.with_gap(*minutes(1 + number, 1.5 + number))
    assert state.gaps[0] == (*minutes(0, 100),)


def test_it_counts_from_the_later_of_its_due_time_and_the_stop() -> None:
    early, late, later = NOW - HOUR, NOW + HOUR, NOW + 2 * HOUR
    assert OPEN.waited(SID, early, late) == HOUR
    assert OPEN.waited(SID, late, later) == HOUR
    assert OPEN.waited(SID, later, late) == timedelta(0)
    assert WELL.waited(SID, early, late) == timedelta(0)


def test_a_hold_and_an_open_breaker_are_one_stop() -> None:
    held = WELL._replace(held_until=NOW + HOUR, held_since=NOW - HOUR)
    assert held.stopped_since == NOW - HOUR
    assert held._replace(opened=NOW).waited(SID, NOW - 2 * HOUR, NOW) == HOUR
    assert held._replace(opened=NOW - 2 * HOUR).stopped_since == NOW - 2 * HOUR


@pytest.mark.parametrize(
    ("since", "until", "lost"),
    [(1, 4, 3), (0, 10, 10), (-9, 2, 2), (10, 70, 50), (60, 70, 0), (-9, -1, 0), (-9, 0, 0)],
)
def test_a_gap_does_not_count(since: int, until: int, lost: int) -> None:
    state = OPEN._replace(gaps=((*minutes(since, until),),))
    assert state.waited(SID, NOW, NOW + HOUR) == (60 - lost) * MINUTE


def test_what_a_callback_has_waited_before_is_added_until_it_ends() -> None:
    state = OPEN.remembering(SID, NOW - HOUR, NOW + 5 * MINUTE)
    again = state.remembering(SID, NOW + 20 * MINUTE, NOW + 22 * MINUTE)
    assert again.waited(SID, NOW + 30 * MINUTE, NOW + 31 * MINUTE) == 8 * MINUTE
    assert again.waited("CB2", NOW + 30 * MINUTE, NOW + 31 * MINUTE) == MINUTE
    assert again.forgetting(SID) == OPEN
    assert OPEN.forgetting(SID) is OPEN


def test_a_short_wait_is_not_remembered() -> None:
    assert OPEN.remembering(SID, NOW, NOW + 59 * SECOND) is OPEN


def test_of_very_many_callbacks_those_that_waited_longest_are_remembered() -> None:
    state = OPEN
    for number in range(1, 1011):
        state = state.remembering(f"CB{number}", NOW, NOW + number * MINUTE)
    assert len(state.waited_before) == 1000
    assert "CB10" not in state.waited_before
    assert state.waited_before["CB11"] == 11 * 60


GAPS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 500)), max_size=40)


@given(GAPS, st.integers(-100, 2000), st.integers(0, 2500))
def test_no_more_is_counted_than_was_waited(
    gaps: list[tuple[int, int]], since: int, wait: int
) -> None:
    state, end_of_last = OPEN, 0
    periods = list[tuple[datetime, datetime]]()
    for pause, length in gaps:
        begin = end_of_last + pause
        end_of_last = begin + length
        periods.append((NOW + begin * MINUTE, NOW + end_of_last * MINUTE))
        state = state.with_gap(*periods[-1])
    due, now = NOW + since * MINUTE, NOW + (since + wait) * MINUTE
    begin = max(due, NOW)
    lost = sum(
        (max(timedelta(0), min(until, now) - max(at, begin)) for at, until in periods), timedelta(0)
    )
    exact = max(now - begin - lost, timedelta(0))
    assert timedelta(0) <= state.waited(SID, due, now) <= exact
    if len(periods) <= 20:
        assert state.waited(SID, due, now) == exact


def test_one_callback_that_has_waited_too_long_is_enough() -> None:
    assert not WELL.waited_too_long(MINUTE)
    state = WELL._replace(waited_before={SID: 60.0, "CB2": 1.0})
    assert state.waited_too_long(MINUTE)
    assert not state.waited_too_long(MINUTE + SECOND)
