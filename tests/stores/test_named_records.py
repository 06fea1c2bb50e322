"""Records that can have a unique name: found by it, or by their SID, within their account."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.ports import Store
from tests.stores.asking import keep, table_of
from tests.stores.records import OURS, THEIRS, fleet, profile, rate_plan, sim, wireless_sim

Make = Callable[..., Any]
KINDS: dict[Make, type] = {
    profile: NetworkAccessProfile,
    fleet: Fleet,
    sim: SuperSim,
    rate_plan: RatePlan,
    wireless_sim: WirelessSim,
}


async def found(store: Store, make: Make, sid_or_name: str, account_sid: str = OURS) -> Any:
    return await store.transact(lambda tx: table_of(tx, KINDS[make]).find(account_sid, sid_or_name))


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    """Return the function that makes records of the kind under test."""
    return request.param


async def test_it_is_found_by_its_sid_and_by_its_name(store: Store, make: Make) -> None:
    named = replace(make(1), unique_name="Zoë's")
    await keep(store, make(2), named, make(3))
    assert await found(store, make, named.sid) == named
    assert await found(store, make, "Zoë's") == named


@pytest.mark.parametrize("name", ["zoë's", "Zoë", "", "None", "%"])
async def test_another_name_finds_nothing(store: Store, make: Make, name: str) -> None:
    await keep(store, replace(make(1), unique_name="Zoë's"), replace(make(2), unique_name=None))
    assert await found(store, make, name) is None


async def test_it_is_not_found_in_another_account(store: Store, make: Make) -> None:
    theirs = replace(make(1, THEIRS), unique_name="x")
    await keep(store, theirs)
    assert await found(store, make, theirs.sid) is None
    assert await found(store, make, "x") is None


async def test_two_accounts_may_use_one_name(store: Store, make: Make) -> None:
    ours, theirs = (
        replace(make(number, account_sid), unique_name="x")
        for number, account_sid in ((1, OURS), (2, THEIRS))
    )
    await keep(store, ours, theirs)
    assert await found(store, make, "x") == ours
    assert await found(store, make, "x", THEIRS) == theirs


async def test_many_may_have_no_name(store: Store, make: Make) -> None:
    nameless = [replace(make(number), unique_name=None) for number in range(3)]
    await keep(store, *nameless)
    assert await found(store, make, nameless[1].sid) == nameless[1]


async def test_its_sid_takes_precedence_over_anothers_equal_name(store: Store, make: Make) -> None:
    await keep(store, replace(make(1), unique_name=make(2).sid), make(2))
    assert await found(store, make, make(2).sid) == make(2)


async def test_a_sid_of_another_account_is_a_name_like_any_other(store: Store, make: Make) -> None:
    theirs = make(2, THEIRS)
    odd = replace(make(1), unique_name=theirs.sid)
    await keep(store, theirs, odd)
    assert await found(store, make, theirs.sid) == odd


async def test_it_is_found_only_by_its_new_name(store: Store, make: Make) -> None:
    await keep(store, replace(make(1), unique_name="old"))
    renamed = replace(make(1), unique_name="new")
    await store.transact(lambda tx: table_of(tx, type(renamed)).save(renamed))
    assert await found(store, make, "new") == renamed
    assert await found(store, make, "old") is None


async def test_a_removed_name_is_free(store: Store, make: Make) -> None:
    await keep(store, replace(make(1), unique_name="x"))
    nameless = replace(make(1), unique_name=None)
    await store.transact(lambda tx: table_of(tx, type(nameless)).save(nameless))
    again = replace(make(2), unique_name="x")
    await keep(store, again)
    assert await found(store, make, "x") == again


async def test_a_removed_record_is_not_found_and_its_name_is_free(store: Store, make: Make) -> None:
    gone = replace(make(1), unique_name="x")
    await keep(store, gone)
    await store.transact(lambda tx: table_of(tx, KINDS[make]).remove(gone.sid))
    assert await found(store, make, gone.sid) is None
    assert await found(store, make, "x") is None
    again = replace(make(2), unique_name="x")
    await keep(store, again)
    assert await found(store, make, "x") == again
