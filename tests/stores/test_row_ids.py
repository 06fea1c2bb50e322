"""Ids of rows: in ascending order, whatever the clock does, and never the same in two processes."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ringback.ports import Transaction
from ringback.stores.row_ids import LEASES, RowIds, ids_in
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import VAULT
from tests.stores.asking import keep, numbers_of, oldest_of, opened
from tests.stores.records import account, callback
from tests.stores.test_group_commit import Bench, Work, break_off, then

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


# ---- leases


def number_in(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT number FROM id_leases").fetchone()
    return row and row[0]


def add(*numbers: int) -> Work:
    def work(tx: Transaction) -> None:
        for number in numbers:
            tx.callbacks.add(callback(number))

    return work


def test_a_process_keeps_its_number_whatever_fails() -> None:
    bench = Bench()
    bench.do(then(add(1), break_off))
    assert number_in(bench.connection) is None
    bench.do(add(1), then(add(2), break_off), add(3))
    leased = number_in(bench.connection)
    assert leased is not None
    bench.do(add(4), then(add(5), break_off), add(6))
    bench.failures(add(7), add(1))
    assert number_in(bench.connection) == leased
    ids = [row_id for (row_id,) in bench.connection.execute("SELECT id FROM callbacks")]
    assert bench.numbers() == [1, 3, 4, 6, 7]
    assert len({row_id // 4096 % LEASES for row_id in ids[1:]}) == 1
    bench.committer.close()


async def test_processes_that_share_a_file_have_numbers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    numbers = list[int | None]()
    async with opened(path) as server:
        await server.transact(lambda tx: tx.accounts.add(account(), []))
        await keep(server, callback(1))
        beside = SqliteStore.beside(path, VAULT)
        for number, store in enumerate((beside, server, beside), 2):
            await keep(store, callback(number))
            with closing(sqlite3.connect(path)) as connection:
                numbers.append(number_in(connection))
        await beside.close()
        assert numbers_of(await oldest_of(server)) == [1, 2, 3, 4]
    async with opened(path) as server:
        await keep(server, callback(5))
        assert numbers_of(await oldest_of(server)) == [1, 2, 3, 4, 5]
    assert numbers == [1, 1, 1]
    with closing(sqlite3.connect(path)) as connection:
        assert number_in(connection) == 2
