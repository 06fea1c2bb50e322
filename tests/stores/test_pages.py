"""Pages of records: by the place of one of them, so that new ones shift nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback.core.errors import Invalid
from ringback.core.supersim.sim import SimStatus
from ringback.ports import Store, Window
from tests.stores.asking import callbacks_on, keep, sims_on
from tests.stores.records import THEIRS, callback, sim


async def test_a_page_is_newest_first_whatever_the_sids_are(store: Store) -> None:
    await keep(store, sim(5), sim(1), sim(9))
    assert await sims_on(store, Window(9)) == [sim(9), sim(1), sim(5)]


async def test_a_page_has_no_more_than_its_size(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2)) == [sim(4), sim(3)]


async def test_the_next_page_follows_the_last_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2, after=sim(3).sid)) == [sim(2), sim(1)]


async def test_the_previous_page_leads_up_to_the_first_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2, before=sim(1).sid)) == [sim(3), sim(2)]


async def test_nothing_follows_the_oldest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, Window(2, after=sim(0).sid)) == []


async def test_nothing_leads_up_to_the_newest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, Window(2, before=sim(1).sid)) == []


async def test_records_added_meanwhile_neither_repeat_nor_hide_one(store: Store) -> None:
    await keep(store, *map(sim, range(10)))
    seen = await sims_on(store, Window(3))
    for number in range(100, 104):
        await keep(store, sim(number))
        seen += await sims_on(store, Window(3, after=seen[-1].sid))
    assert seen == [sim(number) for number in reversed(range(10))]


async def test_going_back_meets_the_records_that_were_added_meanwhile(store: Store) -> None:
    await keep(store, *map(sim, range(6)))
    page = await sims_on(store, Window(3, after=sim(3).sid))
    await keep(store, sim(6), sim(7))
    seen = list(page)
    for _ in range(3):
        seen = [*await sims_on(store, Window(3, before=seen[0].sid)), *seen]
    assert seen == [sim(number) for number in reversed(range(8))]


async def test_a_saved_sim_keeps_its_place(store: Store) -> None:
    await keep(store, *map(sim, range(3)))
    changed = replace(sim(0), unique_name="x")
    await store.transact(lambda tx: tx.supersim.sims.save(changed))
    assert await sims_on(store, Window(9)) == [sim(2), sim(1), changed]


async def test_a_page_has_only_the_accounts_own_records(store: Store) -> None:
    await keep(store, sim(0), sim(1, THEIRS), sim(2))
    assert await sims_on(store, Window(9)) == [sim(2), sim(0)]
    await keep(store, callback(0), callback(1, THEIRS), callback(2))
    assert await callbacks_on(store, Window(9)) == [callback(2), callback(0)]


@pytest.mark.parametrize(
    "window",
    [
        lambda sid: Window(9, after=sid),
        lambda sid: Window(9, before=sid),
    ],
    ids=["after", "before"],
)
async def test_a_window_at_anothers_record_is_refused_like_an_unknown_one(
    store: Store, window: Callable[[str], Window]
) -> None:
    await keep(store, sim(0), sim(1, THEIRS), callback(0), callback(1, THEIRS))
    refusals = list[tuple[int, str]]()
    for number in (1, 2):
        for page, record in ((sims_on, sim(number)), (callbacks_on, callback(number))):
            with pytest.raises(Invalid) as refused:
                await page(store, window(record.sid))
            refusals.append((refused.value.code, refused.value.message.replace(record.sid, "…")))
    assert refusals[0][0] == 83600
    assert len(set(refusals)) == 1


@pytest.mark.parametrize(
    "window", [Window(9, after=""), Window(9, before="")], ids=["after", "before"]
)
async def test_a_window_at_an_empty_sid_is_refused(store: Store, window: Window) -> None:
    with pytest.raises(Invalid):
        await sims_on(store, window)


async def test_a_filtered_list_has_pages_too(store: Store) -> None:
    await keep(store, *(replace(sim(n), status=list(SimStatus)[n % 2]) for n in range(10)))
    first = await sims_on(store, Window(2), status=SimStatus.READY)
    second = await sims_on(store, Window(2, after=first[-1].sid), status=SimStatus.READY)
    back = await sims_on(store, Window(1, before=second[0].sid), status=SimStatus.READY)
    assert [s.sid for s in (*first, *second)] == [sim(n).sid for n in (9, 7, 5, 3)]
    assert back == first[-1:]


async def test_a_record_that_left_the_filter_still_marks_its_page(store: Store) -> None:
    await keep(store, *map(sim, range(3)))
    await store.transact(lambda tx: tx.supersim.sims.save(replace(sim(1), status=SimStatus.READY)))
    assert await sims_on(store, Window(9, after=sim(1).sid), status=SimStatus.NEW) == [sim(0)]
    assert await sims_on(store, Window(9, before=sim(1).sid), status=SimStatus.NEW) == [sim(2)]
