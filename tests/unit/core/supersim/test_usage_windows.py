"""The windows of a session adjoin, and their sums are its usage, whatever the times are."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.calendar import HOUR, INSTANT
from ringback.core.sims.data_session import bytes_of
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.core.supersim.usage_windows import (
    UPDATE_INTERVAL,
    UsageWindow,
    burst_window,
    follow,
    last_window,
    next_report,
    reported,
    skip_windows,
    whole_windows,
    window_until,
)
from tests.fakes import NOW
from tests.unit.core.builders import a_session

BEGAN = NOW + timedelta(microseconds=654_321)


def a_burst(at: datetime, up: int = 0, down: int = 0) -> SuperSimDataSession:
    factor = HOUR // INSTANT
    return a_session(up=up * factor, down=down * factor, began=at - INSTANT, ended=at)


def followed(session: SuperSimDataSession) -> SuperSimDataSession:
    return replace(session, reported_until=session.date_created)


def minutes(count: float) -> datetime:
    return BEGAN + timedelta(minutes=count)


STEADY = followed(a_session(up=100, down=600, began=BEGAN))


def test_a_session_is_reported_every_six_minutes() -> None:
    assert timedelta(minutes=6) == UPDATE_INTERVAL
    assert next_report(STEADY) == minutes(6)


def test_a_window_has_the_bytes_of_its_time_and_those_since_the_beginning() -> None:
    first, second = whole_windows(STEADY, [], minutes(12), most=9)
    assert first == UsageWindow(minutes(0), minutes(6), 10, 60, 10, 60)
    assert second == UsageWindow(minutes(6), minutes(12), 10, 60, 20, 120)


@pytest.mark.parametrize(("until", "count"), [(5.9, 0), (6, 1), (11.9, 1), (12, 2), (-5, 0)])
def test_only_windows_that_have_ended_are_whole(until: float, count: int) -> None:
    assert len(whole_windows(STEADY, [], minutes(until), most=9)) == count


def test_at_most_so_many_windows_are_returned_and_the_next_ones_go_on() -> None:
    windows = whole_windows(STEADY, [], minutes(60), most=4)
    rest = whole_windows(reported(STEADY, windows[-1]), [], minutes(60), most=99)
    assert [*windows, *rest] == whole_windows(STEADY, [], minutes(60), most=99)
    assert (len(windows), len(rest)) == (4, 6)


def test_a_burst_counts_in_the_window_in_which_it_was() -> None:
    bursts = [a_burst(minutes(1), up=5), a_burst(minutes(7), down=7)]
    first, second = whole_windows(STEADY, bursts, minutes(12), most=9)
    assert (first.upload, first.download) == (15, 60)
    assert (second.upload, second.download) == (10, 67)
    assert (second.session_upload, second.session_download) == (25, 127)


def test_a_burst_at_the_border_counts_in_the_later_window_and_at_the_end_in_the_last_one() -> None:
    bursts = [a_burst(minutes(6), up=5)]
    first, second = whole_windows(STEADY, bursts, minutes(12), most=9)
    assert (first.upload, second.upload) == (10, 15)
    assert window_until(STEADY, bursts, minutes(6)).upload == 10
    assert last_window(STEADY, bursts, minutes(6)).upload == 15


def test_the_last_window_has_the_rest() -> None:
    reported_once = reported(STEADY, whole_windows(STEADY, [], minutes(6), most=1)[0])
    rest = last_window(reported_once, [], minutes(9))
    assert rest == UsageWindow(minutes(6), minutes(9), 5, 30, 15, 90)


def test_skipped_windows_leave_the_sums_as_if_they_had_been_reported() -> None:
    bursts = [a_burst(minutes(1), up=5), a_burst(minutes(6), up=9)]
    windows = whole_windows(STEADY, bursts, minutes(17), most=9)
    assert skip_windows(STEADY, bursts, minutes(17)) == reported(STEADY, windows[-1])
    assert skip_windows(STEADY, bursts, minutes(5)) == STEADY


def test_a_session_followed_later_is_as_if_it_had_been_followed_from_the_beginning() -> None:
    bursts = [a_burst(minutes(1), up=5), a_burst(minutes(13), up=9)]
    late = follow(a_session(up=100, down=600, began=BEGAN), bursts, minutes(17))
    assert late == skip_windows(STEADY, bursts, minutes(17))
    assert late.reported_until == minutes(12)
    assert (late.reported_upload, late.reported_download) == (25, 120)


def test_a_burst_alone_is_in_a_window_without_length() -> None:
    burst = a_burst(minutes(1), up=5, down=6)
    assert burst_window(burst) == UsageWindow(minutes(1), minutes(1), 5, 6, 5, 6)


def test_a_session_that_is_not_followed_has_no_windows() -> None:
    with pytest.raises(ValueError, match=r"WN5+ is not followed"):
        window_until(a_session(), [], NOW)


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.timedeltas(timedelta(0), timedelta(hours=2)),
    st.lists(
        st.tuples(
            st.timedeltas(timedelta(0), timedelta(hours=2))
            | st.integers(0, 20).map(lambda count: count * UPDATE_INTERVAL),
            st.integers(0, 10**9),
        )
    ),
    st.integers(1, 5),
)
def test_all_windows_adjoin_and_add_up_to_the_usage(
    up: int, down: int, lasted: timedelta, bursts: list[tuple[timedelta, int]], most: int
) -> None:
    session = followed(a_session(up=up, down=down, began=BEGAN))
    end = BEGAN + lasted
    at_once = [a_burst(BEGAN + when, up=count) for when, count in bursts if when <= lasted]
    windows = list[UsageWindow]()
    while some := whole_windows(session, at_once, end, most=most):
        windows += some
        session = reported(session, some[-1])
    windows.append(last_window(session, at_once, end))
    assert windows[0].start == BEGAN
    assert windows[-1].end == end
    assert all(one.end == next_.start for one, next_ in pairwise(windows))
    upload, download = bytes_of([session, *at_once], BEGAN - INSTANT, end)
    assert sum(one.upload for one in windows) == windows[-1].session_upload == upload
    assert sum(one.download for one in windows) == windows[-1].session_download == download
