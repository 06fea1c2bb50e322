"""Pages of records begin at a given record, so that new records don't shift them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import UNDELIVERED, CallbackStatus
from ringback.core.errors import InvalidParameter
from ringback.core.policy.source_policy import Source
from ringback.core.supersim.sim import SimStatus
from ringback.ports import CallbackFilter, PageWindow, RecordPage, Store, Transaction
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.stores.asking import callbacks_on, keep, numbers_of, sims_on
from tests.stores.records import OURS, SECOND, SIMS, THEIRS, callback, session, sim


async def test_a_page_is_newest_first_whatever_the_sids_are(store: Store) -> None:
    await keep(store, sim(5), sim(1), sim(9))
    assert await sims_on(store, PageWindow(9)) == [sim(9), sim(1), sim(5)]


async def test_a_page_has_no_more_than_its_size(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, PageWindow(2)) == [sim(4), sim(3)]


async def test_the_next_page_follows_the_last_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, PageWindow(2, after=sim(3).sid)) == [sim(2), sim(1)]


async def test_the_previous_page_ends_at_the_first_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, PageWindow(2, before=sim(1).sid)) == [sim(3), sim(2)]


async def test_nothing_follows_the_oldest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, PageWindow(2, after=sim(0).sid)) == []


async def test_nothing_precedes_the_newest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, PageWindow(2, before=sim(1).sid)) == []


async def test_records_added_meanwhile_neither_repeat_nor_hide_one(store: Store) -> None:
    await keep(store, *map(sim, range(10)))
    seen = await sims_on(store, PageWindow(3))
    for number in range(100, 104):
        await keep(store, sim(number))
        seen += await sims_on(store, PageWindow(3, after=seen[-1].sid))
    assert seen == [sim(number) for number in reversed(range(10))]


async def test_going_back_shows_records_added_meanwhile(store: Store) -> None:
    await keep(store, *map(sim, range(6)))
    page = await sims_on(store, PageWindow(3, after=sim(3).sid))
    await keep(store, sim(6), sim(7))
    seen = list(page)
    for _ in range(3):
        seen = [*await sims_on(store, PageWindow(3, before=seen[0].sid)), *seen]
    assert seen == [sim(number) for number in reversed(range(8))]


async def test_a_saved_sim_keeps_its_place(store: Store) -> None:
    await keep(store, *map(sim, range(3)))
    changed = replace(sim(0), unique_name="x")
    await store.transact(lambda tx: tx.supersim.sims.save(changed))
    assert await sims_on(store, PageWindow(9)) == [sim(2), sim(1), changed]


async def test_a_page_has_only_the_accounts_own_records(store: Store) -> None:
    await keep(store, sim(0), sim(1, THEIRS), sim(2))
    assert await sims_on(store, PageWindow(9)) == [sim(2), sim(0)]
    await keep(store, callback(0), callback(1, THEIRS), callback(2))
    assert await callbacks_on(store, PageWindow(9)) == [callback(2), callback(0)]


@pytest.mark.parametrize(
    "window",
    [lambda sid: PageWindow(9, after=sid), lambda sid: PageWindow(9, before=sid)],
    ids=["after", "before"],
)
async def test_a_window_at_anothers_record_is_refused_like_an_unknown_one(
    store: Store, window: Callable[[str], PageWindow]
) -> None:
    await keep(store, sim(0), sim(1, THEIRS), callback(0), callback(1, THEIRS))
    refusals = list[tuple[int, str]]()
    for number in (1, 2):
        for page, record in ((sims_on, sim(number)), (callbacks_on, callback(number))):
            with pytest.raises(InvalidParameter) as refused:
                await page(store, window(record.sid))
            refusals.append((refused.value.code, refused.value.message.replace(record.sid, "…")))
    assert refusals[0][0] == 83600
    assert len(set(refusals)) == 1


@pytest.mark.parametrize(
    "window", [PageWindow(9, after=""), PageWindow(9, before="")], ids=["after", "before"]
)
async def test_a_window_at_an_empty_sid_is_refused(store: Store, window: PageWindow) -> None:
    with pytest.raises(InvalidParameter):
        await sims_on(store, window)


async def test_a_filtered_list_has_pages_too(store: Store) -> None:
    await keep(store, *(replace(sim(n), status=list(SimStatus)[n % 2]) for n in range(10)))
    first = await sims_on(store, PageWindow(2), status=SimStatus.READY)
    second = await sims_on(store, PageWindow(2, after=first[-1].sid), status=SimStatus.READY)
    back = await sims_on(store, PageWindow(1, before=second[0].sid), status=SimStatus.READY)
    assert [s.sid for s in (*first, *second)] == [sim(n).sid for n in (9, 7, 5, 3)]
    assert back == first[-1:]


async def test_a_record_that_left_the_filter_still_marks_its_page(store: Store) -> None:
    await keep(store, *map(sim, range(3)))
    await store.transact(lambda tx: tx.supersim.sims.save(replace(sim(1), status=SimStatus.READY)))
    assert await sims_on(store, PageWindow(9, after=sim(1).sid), status=SimStatus.NEW) == [sim(0)]
    assert await sims_on(store, PageWindow(9, before=sim(1).sid), status=SimStatus.NEW) == [sim(2)]


# ---- pages that examine a limited number of records ----------------------------------------------


Page = RecordPage[Any]
KINDS: dict[str, Callable[[Transaction, str, PageWindow], Page]] = {
    "callbacks by source": lambda tx, whose, window: tx.callbacks.page(
        whose, CallbackFilter(source=Source.TWILIO), window
    ),
    "failed callbacks": lambda tx, whose, window: tx.callbacks.page(
        whose, CallbackFilter(frozenset({CallbackStatus.FAILED})), window
    ),
    "undelivered callbacks": lambda tx, whose, window: tx.callbacks.page(
        whose, CallbackFilter(UNDELIVERED), window
    ),
    "callbacks of a token": lambda tx, whose, window: tx.callbacks.page(
        whose, CallbackFilter(idempotency_token="token 7"), window
    ),
    "SIMs by status": lambda tx, whose, window: tx.supersim.sims.page(
        whose, {"status": SimStatus.READY}, window
    ),
    "SIMs by two things": lambda tx, whose, window: tx.supersim.sims.page(
        whose, {"status": SimStatus.READY, "iccid": sim(3).iccid}, window
    ),
    "sessions": lambda tx, whose, window: tx.supersim.sessions.between(
        whose, {}, NOW + 3 * SECOND, NOW + 4 * SECOND, window
    ),
}


async def keep_some(store: Store) -> None:
    """Add thirty records of each kind, of which few match the filter, far apart."""
    ended = (CallbackStatus.FAILED, CallbackStatus.DISCARDED, CallbackStatus.DELIVERED)
    for number in range(30):
        source = Source.TWILIO if number in (4, 5, 22) else Source.KORE
        status = ended[0] if number in (3, 19) else ended[1 + (number % 2 or not number)]
        one = callback(number)._replace(source=source)
        flow = replace(session(number), date_created=NOW + number * SECOND / 8)
        await keep(
            store,
            one.having(one.progress._replace(status=status, due=None)),
            replace(
                sim(number),
                status=SimStatus.READY if number % 9 == 3 or number == 4 else SimStatus.NEW,
            ),
            replace(flow, date_ended=NOW + (number % 10) * SECOND / 2),
        )


@pytest.mark.parametrize("whose", [OURS, EVERY])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 50])
async def test_pages_that_examine_few_records_add_up_to_the_list(
    furnished: Store, kind: str, whose: str, size: int
) -> None:
    await keep_some(furnished)

    async def page(**edge: str | None) -> Page:
        window = PageWindow(size, examining=4, **edge)
        return await furnished.transact(lambda tx: KINDS[kind](tx, whose, window))

    whole = await furnished.transact(lambda tx: KINDS[kind](tx, whose, PageWindow(99)))
    assert whole
    assert whole.stopped_at is None
    sids = [one.sid for one in whole]
    assert await _walked(page, "after", size) == sids
    assert (await _walked(page, "before", size, start=callback_or(kind)))[::-1] == sids


def callback_or(kind: str) -> str:
    """Return the SID of the oldest record of a kind, which does not match the filter."""
    oldest = {"SIMs": SIMS[OURS], "sess": session(0)}
    return oldest.get(kind[:4], callback(0)).sid


async def _walked(
    page: Callable[..., Awaitable[Page]], direction: str, size: int, start: str | None = None
) -> list[str]:
    """Return the SIDs of a whole list, in the order that paging in this direction shows them."""
    found, edge = list[str](), start
    for _ in range(60):
        some = await page(**{direction: edge})
        assert len(some) <= size
        sids = [one.sid for one in some]
        found += sids if direction == "after" else sids[::-1]
        last = sids and sids[-1 if direction == "after" else 0]
        edge = some.stopped_at or last
        if some.stopped_at is None and len(some) < size:
            return found
    raise AssertionError("there is no end of it")


async def test_a_full_page_has_not_stopped_anywhere(furnished: Store) -> None:
    await keep_some(furnished)
    which, window = CallbackFilter(source=Source.KORE), PageWindow(3, examining=4)
    page = await furnished.transact(lambda tx: tx.callbacks.page(OURS, which, window))
    assert (numbers_of(page), page.stopped_at) == ([29, 28, 27], None)


async def test_a_page_says_where_it_stopped_examining(furnished: Store) -> None:
    await keep_some(furnished)
    which, window = CallbackFilter(source=Source.TWILIO), PageWindow(9, examining=8)
    page = await furnished.transact(lambda tx: tx.callbacks.page(OURS, which, window))
    assert (numbers_of(page), page.stopped_at) == ([22], callback(22).sid)


async def test_records_found_by_an_index_need_no_examining(furnished: Store) -> None:
    await keep_some(furnished)
    if isinstance(furnished, MemoryStore):
        return
    for kind in ("undelivered callbacks", "callbacks of a token", "SIMs by status"):
        window = PageWindow(9, examining=2)
        work = KINDS[kind]
        page = await furnished.transact(lambda tx, work=work, window=window: work(tx, OURS, window))
        assert (len(page) > 0, page.stopped_at) == (True, None)


async def test_the_search_for_the_oldest_examines_a_limited_number(furnished: Store) -> None:
    await keep_some(furnished)
    which, after, found = CallbackFilter(source=Source.TWILIO), None, list[int]()
    for _ in range(9):
        page = await furnished.transact(
            lambda tx, after=after: tx.callbacks.oldest(
                OURS, which, after=after, limit=2, examining=5
            )
        )
        found += numbers_of(page)
        after = page.stopped_at or (page[-1].sid if page else None)
        if page.stopped_at is None and len(page) < 2:
            break
    assert found == [4, 5, 22]
