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
    no_success_since=NOW - HOUR,
    failing_since=NOW - MINUTE,
    disabled=NOW,
    disabled_why="it is gone",
    gaps=((NOW, NOW + SECOND), (NOW + MINUTE, NOW + HOUR)),
    seen=NOW + timedelta(microseconds=1),
    told={"destination.opened": NOW},
)
LIMIT = 11 * MINUTE


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
    no_success_since=st.none() | INSTANTS,
    failing_since=st.none() | INSTANTS,
    disabled=st.none() | INSTANTS,
    disabled_why=st.text(),
    gaps=st.lists(st.tuples(INSTANTS, INSTANTS), max_size=3).map(tuple),
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


def test_it_counts_from_the_later_of_its_due_time_and_the_opening() -> None:
    early, late = NOW - HOUR, NOW + HOUR
    assert OPEN.given_up_at(early, early, LIMIT) == NOW + 11 * MINUTE
    assert OPEN.given_up_at(early, late, LIMIT) == late + 11 * MINUTE
    assert OPEN.given_up_at(late, late, LIMIT) == late + 11 * MINUTE
    assert WELL.given_up_at(late, early, LIMIT) == late + 11 * MINUTE


@pytest.mark.parametrize(
    ("since", "until", "adds"),
    [(1, 4, 3), (0, 10, 10), (-9, 2, 2), (10, 70, 60), (11, 70, 0), (-9, -1, 0), (-9, 0, 0)],
)
def test_a_gap_prolongs_the_wait_that_it_interrupts(since: int, until: int, adds: int) -> None:
    state = OPEN._replace(gaps=((*minutes(since, until),),))
    assert state.given_up_at(NOW, NOW, LIMIT) == NOW + (11 + adds) * MINUTE


def test_a_gap_in_the_time_that_another_adds_counts_too() -> None:
    state = OPEN.with_gap(*minutes(5, 10)).with_gap(*minutes(12, 20))
    assert state.given_up_at(NOW, NOW, LIMIT) == NOW + (11 + 5 + 8) * MINUTE


GAPS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 500)), max_size=40)


@given(GAPS, st.integers(-100, 2000), st.integers(0, 500), st.integers(0, 2000))
def test_nothing_is_given_up_before_it_has_waited_so_long(
    gaps: list[tuple[int, int]], since: int, wait: int, limit: int
) -> None:
    state, end_of_last = OPEN, 0
    periods = list[tuple[datetime, datetime]]()
    for pause, length in gaps:
        begin = end_of_last + pause
        end_of_last = begin + length
        periods.append((NOW + begin * MINUTE, NOW + end_of_last * MINUTE))
        state = state.with_gap(*periods[-1])
    begin, due = NOW + since * MINUTE, NOW + (since + wait) * MINUTE
    end = state.given_up_at(begin, due, limit * MINUTE)
    alone = max(due, NOW) + limit * MINUTE
    assert end >= alone
    begin = max(begin, NOW)
    if end > alone or len(periods) <= 20:
        lost = sum(
            (max(timedelta(0), min(until, end) - max(at, begin)) for at, until in periods),
            timedelta(0),
        )
        assert end - lost >= alone
