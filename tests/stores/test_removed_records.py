"""Removed records are gone, but pages can still begin at their places."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import InvalidParameter, PageNotFound
from ringback.core.job import Job
from ringback.core.sims.message import Direction
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.ports import PageWindow, Store, Transaction
from ringback.stores.sqlite.store import SqliteStore
from tests.stores.asking import keep, numbers_of, opened, page_of, table_of
from tests.stores.old_files import insert
from tests.stores.records import OURS, THEIRS, account, command, job, rate_plan, wireless_sim

MAKERS: dict[type, Callable[..., Any]] = {
    RatePlan: rate_plan,
    WirelessSim: wireless_sim,
    WirelessCommand: command,
    Job: job,
}


@pytest.fixture(params=MAKERS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


def make(kind: type, *numbers: int, account_sid: str = OURS) -> list[Any]:
    return [MAKERS[kind](number, account_sid) for number in numbers]


async def remove(store: Store, *records: Any) -> None:
    def work(tx: Transaction) -> None:
        for record in records:
            table_of(tx, type(record)).remove(record.sid)

    await store.transact(work)


async def commands_on(store: Store, window: PageWindow, **which: object) -> list[int]:
    return numbers_of(await page_of(store, WirelessCommand, window, which))


def after(number: int, size: int = 2) -> PageWindow:
    return PageWindow(size, after=command(number).sid)


def before(number: int, size: int = 2) -> PageWindow:
    return PageWindow(size, before=command(number).sid)


# ---- the removed records


async def test_only_the_removed_record_is_gone(store: Store, kind: type) -> None:
    first, gone, last = make(kind, 1, 2, 3)
    await keep(store, first, gone, last)
    await remove(store, gone)
    sids = [first.sid, gone.sid, last.sid]
    kept = await store.transact(lambda tx: [table_of(tx, kind).get(sid) for sid in sids])
    assert kept == [first, None, last]
    assert await page_of(store, kind, PageWindow(9)) == [last, first]
    found = await store.transact(lambda tx: table_of(tx, kind).first({"account_sid": OURS}))
    assert found == first


async def test_the_first_record_can_be_removed(store: Store, kind: type) -> None:
    first, second = make(kind, 1, 2)
    await keep(store, first, second)
    await remove(store, first)
    found = await store.transact(lambda tx: table_of(tx, kind).first({"account_sid": OURS}))
    assert found == second


async def test_a_removed_sim_card_can_be_registered_again(store: Store) -> None:
    await keep(store, wireless_sim(1))
    await remove(store, wireless_sim(1))
    again = replace(wireless_sim(2), iccid=wireless_sim(1).iccid)
    await keep(store, again)
    which = {"iccid": wireless_sim(1).iccid}
    assert await store.transact(lambda tx: tx.wireless.sims.first(which)) == again


async def test_removing_leaves_the_records_of_other_accounts(store: Store, kind: type) -> None:
    (ours,), (theirs,) = make(kind, 1), make(kind, 2, account_sid=THEIRS)
    await keep(store, ours, theirs)
    await remove(store, ours)
    assert await page_of(store, kind, PageWindow(9), account_sid=THEIRS) == [theirs]


async def test_a_removal_by_work_that_fails_is_undone(store: Store, kind: type) -> None:
    first, second = make(kind, 1, 2)
    await keep(store, first, second)

    def work(tx: Transaction) -> None:
        table_of(tx, kind).remove(second.sid)
        raise InvalidParameter("no", code=33201)

    with pytest.raises(InvalidParameter):
        await store.transact(work)
    assert await page_of(store, kind, PageWindow(9)) == [second, first]
    assert await page_of(store, kind, PageWindow(9, after=second.sid)) == [first]


# ---- pages that begin at a removed record


async def test_a_page_can_begin_after_a_removed_record_or_end_before_it(
    store: Store, kind: type
) -> None:
    first, gone, last = make(kind, 5, 1, 3)
    await keep(store, first, gone, last)
    await remove(store, gone)
    assert await page_of(store, kind, PageWindow(9, after=gone.sid)) == [first]
    assert await page_of(store, kind, PageWindow(9, before=gone.sid)) == [last]


@pytest.mark.parametrize("gone", [(5,), (4,), (5, 4), (4, 5), (9, 6, 5, 4, 3, 0)])
async def test_whatever_is_removed_the_neighbouring_pages_have_the_rest(
    store: Store, gone: tuple[int, ...]
) -> None:
    """The page shown last had the records 5 and 4."""
    await keep(store, *map(command, range(10)))
    await remove(store, *map(command, gone))
    left = [number for number in reversed(range(10)) if number not in gone]
    assert await commands_on(store, after(4)) == [n for n in left if n < 4][:2]
    assert await commands_on(store, before(5)) == [n for n in left if n > 5][-2:]


async def test_nothing_follows_the_oldest_or_precedes_the_newest(store: Store) -> None:
    await keep(store, *map(command, range(3)))
    await remove(store, command(0), command(2))
    assert await commands_on(store, after(0)) == []
    assert await commands_on(store, before(2)) == []
    assert await commands_on(store, after(2)) == [1]
    assert await commands_on(store, before(0)) == [1]


async def test_a_list_whose_records_are_all_removed_has_empty_pages(store: Store) -> None:
    await keep(store, *map(command, range(3)))
    await remove(store, *map(command, range(3)))
    assert await commands_on(store, PageWindow(2)) == []
    for number in range(3):
        assert await commands_on(store, after(number)) == []
        assert await commands_on(store, before(number)) == []


async def test_if_each_page_is_removed_after_reading_none_is_missed(store: Store) -> None:
    await keep(store, *map(command, range(9)))
    seen, window = list[int](), PageWindow(2)
    while page := await commands_on(store, window):
        seen += page
        await remove(store, *map(command, page))
        window = after(page[-1])
    assert seen == list(reversed(range(9)))


async def test_going_back_shows_records_added_since(store: Store) -> None:
    await keep(store, *map(command, range(4)))
    await remove(store, command(3), command(1))
    await keep(store, command(7), command(6))
    assert await commands_on(store, before(3)) == [6, 7]
    assert await commands_on(store, before(1)) == [7, 2]
    assert await commands_on(store, after(3, size=9)) == [2, 0]


async def test_a_filtered_list_can_begin_at_a_removed_record(store: Store) -> None:
    heard = {"direction": Direction.FROM_SIM}
    await keep(store, *(replace(command(n), **(heard if n % 2 else {})) for n in range(8)))
    await remove(store, command(4), command(3))
    assert await commands_on(store, after(4), **heard) == [1]
    assert await commands_on(store, before(3, size=1), **heard) == [5]


async def test_pages_have_only_one_accounts_records(store: Store) -> None:
    await keep(store, command(1, THEIRS), command(2), command(3), command(4), command(5, THEIRS))
    await remove(store, command(3))
    assert await commands_on(store, after(3)) == [2]
    assert await commands_on(store, before(3)) == [4]


# ---- refusals


@pytest.mark.parametrize("window", [after, before])
async def test_a_page_at_another_accounts_removed_record_is_refused_like_an_unknown_one(
    store: Store, window: Callable[[int], PageWindow]
) -> None:
    await keep(store, command(1), command(2, THEIRS))
    await remove(store, command(2, THEIRS))
    refusals = list[str]()
    for number in (2, 3):
        with pytest.raises(PageNotFound) as refused:
            await commands_on(store, window(number))
        refusals.append(refused.value.message.replace(command(number).sid, "…"))
    assert len(set(refusals)) == 1


async def test_a_page_at_a_removed_record_of_another_kind_is_refused(store: Store) -> None:
    await keep(store, rate_plan(1), command(1))
    await remove(store, rate_plan(1))
    with pytest.raises(PageNotFound):
        await commands_on(store, PageWindow(9, after=rate_plan(1).sid))


# ---- the file


async def test_pages_begin_at_removed_records_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        await with_three_commands(store)
        await remove(store, command(1))
    async with opened(path) as store:
        assert await commands_on(store, after(1)) == [0]
        assert await commands_on(store, before(1)) == [2]


async def test_a_record_added_after_the_newest_was_removed_is_newer(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        await with_three_commands(store)
        await remove(store, command(2))
    async with opened(path) as store:
        await keep(store, command(3))
        assert await commands_on(store, before(2)) == [3]
        assert await commands_on(store, after(2)) == [1, 0]


@pytest.mark.parametrize(("gone_since", "is_kept"), [(99_999, True), (100_000, False)])
async def test_the_places_of_the_last_hundred_thousand_removed_records_are_kept(
    tmp_path: Path, gone_since: int, *, is_kept: bool
) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        await with_three_commands(store)
        await remove(store, command(0))
    others = {"table_name": "commands", "account_sid": OURS, "seq": 99}
    # One row can represent all the others: removed records are counted by their numbers.
    insert(path, "removed", number=gone_since, sid="DC of another", **others)
    async with opened(path) as store:
        await remove(store, command(2))
        assert await commands_on(store, before(2)) == []
        if is_kept:
            assert await commands_on(store, before(0)) == [1]
            return
        with pytest.raises(PageNotFound):
            await commands_on(store, before(0))


async def with_three_commands(store: SqliteStore) -> None:
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await keep(store, *map(command, range(3)))
