"""Lists of all accounts' records, for the operator, in the same order and with the same pages."""

from dataclasses import replace
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.errors import PageNotFound
from ringback.ports import CallbackFilter, PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import keep, page_of
from tests.stores.records import (
    OURS,
    THEIRS,
    callback,
    command,
    fleet,
    profile,
    rate_plan,
    sim,
    sms_command,
    wireless_sim,
)

KINDS = [profile, fleet, sim, sms_command, rate_plan, wireless_sim, command]
WINDOWS = [
    pytest.param({}, [4, 3, 2, 1], id="newest"),
    pytest.param({"after": 3}, [2, 1], id="after ours"),
    pytest.param({"after": 2}, [1], id="after theirs"),
    pytest.param({"before": 1}, [4, 3, 2], id="before ours"),
    pytest.param({"before": 2}, [4, 3], id="before theirs"),
]
OWNERS = {1: OURS, 2: THEIRS, 3: OURS, 4: THEIRS}


async def keep_callbacks(store: Store) -> None:
    await keep(store, *(callback(number, owner) for number, owner in OWNERS.items()))


@pytest.mark.parametrize(("edge", "numbers"), WINDOWS)
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
async def test_a_list_has_the_records_of_all_accounts_newest_first(
    furnished: Store, make: Any, edge: dict[str, int], numbers: list[int]
) -> None:
    made = {number: make(number, owner) for number, owner in OWNERS.items()}
    await keep(furnished, *made.values())
    window = replace(PageWindow(9), **{which: made[number].sid for which, number in edge.items()})
    page = await page_of(furnished, type(made[1]), window, account_sid=EVERY)
    ours = [one for one in page if one in made.values()]
    assert ours == [made[number] for number in numbers]


@pytest.mark.parametrize(("edge", "numbers"), WINDOWS)
async def test_the_list_of_callbacks_has_all_accounts_too(
    store: Store, edge: dict[str, int], numbers: list[int]
) -> None:
    await keep_callbacks(store)
    window = replace(
        PageWindow(9), **{which: callback(number).sid for which, number in edge.items()}
    )
    page = await store.transact(lambda tx: tx.callbacks.page(EVERY, CallbackFilter(), window))
    assert page == [callback(number, OWNERS[number]) for number in numbers]


async def test_a_filter_applies_to_all_accounts(furnished: Store) -> None:
    await keep_callbacks(furnished)
    failed = DeliveryProgress(NOW, CallbackStatus.FAILED)
    for number in (1, 2):
        one = callback(number, OWNERS[number]).having(failed)
        await furnished.transact(lambda tx, one=one: tx.callbacks.change(one))
    which = CallbackFilter(statuses=frozenset({CallbackStatus.FAILED}))
    page = await furnished.transact(lambda tx: tx.callbacks.page(EVERY, which, PageWindow(9)))
    assert [one.sid for one in page] == [callback(2).sid, callback(1).sid]
    await keep(furnished, sim(1), sim(2, THEIRS))
    one = {"iccid": sim(2).iccid}
    assert await page_of(furnished, type(sim(1)), PageWindow(9), one, EVERY) == [sim(2, THEIRS)]


@pytest.mark.parametrize("owner", [OURS, THEIRS])
async def test_a_removed_record_of_any_account_marks_its_page(furnished: Store, owner: str) -> None:
    made = [command(1), command(2, owner), command(3, THEIRS)]
    await keep(furnished, *made)
    await furnished.transact(lambda tx: tx.wireless.commands.remove(command(2).sid))
    window = PageWindow(9, after=command(2).sid)
    assert await page_of(furnished, type(made[0]), window, account_sid=EVERY) == [made[0]]


async def test_an_accounts_own_list_still_has_no_page_at_anothers_record(furnished: Store) -> None:
    await keep_callbacks(furnished)
    await keep(furnished, sim(1), sim(2, THEIRS))
    window = PageWindow(9, after=sim(2).sid)
    with pytest.raises(PageNotFound):
        await page_of(furnished, type(sim(1)), window)
    window = PageWindow(9, after=callback(2).sid)
    with pytest.raises(PageNotFound):
        await furnished.transact(lambda tx: tx.callbacks.page(OURS, CallbackFilter(), window))


async def test_an_unknown_record_marks_no_page(furnished: Store) -> None:
    with pytest.raises(PageNotFound):
        await page_of(furnished, type(sim(1)), PageWindow(9, after=sim(9).sid), account_sid=EVERY)


async def test_a_callback_of_any_account_is_found(store: Store) -> None:
    await keep_callbacks(store)
    for number, owner in OWNERS.items():
        sid = callback(number).sid
        found = await store.transact(lambda tx, sid=sid: tx.callbacks.find(sid))
        assert found == callback(number, owner)
    assert await store.transact(lambda tx: tx.callbacks.find(callback(9).sid)) is None
