"""Ids of rows: in ascending order, whatever the clock does, and never the same in two processes."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringback.stores.row_ids import LEASES, RowIds, ids_in

MOMENT = 1_720_000_000_000
"""Some milliseconds since 1970."""
moments = st.integers(MOMENT - 10, MOMENT + 10)
leases = st.integers(0, 3 * LEASES)


class Clock:
    """A clock that shows these milliseconds one after the other, and then the last ones."""

    def __init__(self, *shown: int) -> None:
        self._shown = list(shown)

    def __call__(self) -> int:
        return self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]


def made(count: int, *shown: int, lease: int = 1, after: int = 0) -> list[int]:
    ids = RowIds(lease, milliseconds=Clock(*shown), after=after)
    return [ids.make() for _ in range(count)]


def moment_of(row_id: int) -> int:
    return row_id * 3_600_000 // ids_in(hours=1)


def test_ids_begin_with_the_time_at_which_they_were_made() -> None:
    assert [moment_of(each) for each in made(3, MOMENT, MOMENT, MOMENT + 7)] == [
        MOMENT,
        MOMENT,
        MOMENT + 7,
    ]


def test_ten_thousand_ids_of_one_millisecond_ascend() -> None:
    ids = made(10_000, MOMENT)
    assert ids == sorted(set(ids))
    assert moment_of(ids[-1]) == MOMENT + 2


def test_after_many_ids_of_one_millisecond_the_clock_leads_again() -> None:
    ids = made(10_001, *[MOMENT] * 10_000, MOMENT + 50)
    assert moment_of(ids[-1]) == MOMENT + 50


@given(st.lists(moments, min_size=1), leases, st.none() | moments)
def test_ids_ascend_whatever_the_clock_does(
    shown: list[int], lease: int, newest: int | None
) -> None:
    after = 0 if newest is None else made(1, newest, lease=5)[0]
    ids = made(len(shown) + 9, *shown, lease=lease, after=after)
    assert all(one < other for one, other in pairwise([after, *ids]))


@given(leases, leases, st.lists(moments, min_size=1), st.lists(moments, min_size=1))
def test_processes_with_different_leases_never_make_the_same_id(
    one: int, other: int, ones: list[int], others: list[int]
) -> None:
    is_same_lease = one % LEASES == other % LEASES
    first = made(5_000, *ones, lease=one)
    second = made(5_000, *others, lease=other)
    assert is_same_lease or not set(first) & set(second)


def test_the_last_id_is_known() -> None:
    ids = RowIds(1, milliseconds=Clock(MOMENT), after=77)
    assert ids.last == 77
    assert ids.last < ids.make() == ids.last


def test_ids_fit_into_the_database_until_2109() -> None:
    last = int(datetime(2109, 1, 1, tzinfo=UTC).timestamp()) * 1000
    highest = made(4096, last, lease=LEASES - 1)[-1]
    assert highest < 1 << 63
    assert moment_of(highest) == last
