"""Pending changes of SIMs, in both products: at most one for each SIM."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import FieldFilter, Store
from tests.stores.asking import keep, table_of
from tests.stores.records import (
    FLEETS,
    ODD_URL,
    OURS,
    RATE_PLANS,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    sim,
    update_of,
    wireless_sim,
    wireless_update_of,
)


class Product(NamedTuple):
    """A kind of SIM, and how it is changed."""

    sim: Callable[..., Any]
    update_of: Callable[[Any], Any]
    odd: Any
    """A change with every field, to the account's SIM."""
    quiet: Any
    """A change without a callback."""


SUPER_SIM = Product(
    sim,
    update_of,
    PendingSuperSimUpdate(
        SIMS[OURS].sid,
        OURS,
        SimStatus.READY,
        SimStatus.INACTIVE,
        FLEETS[OURS].sid,
        CallbackTarget(ODD_URL, HttpMethod.GET),
    ),
    replace(update_of(SIMS[OURS]), callback=NO_TARGET),
)
WIRELESS = Product(
    wireless_sim,
    wireless_update_of,
    PendingWirelessSimUpdate(
        WIRELESS_SIMS[OURS].sid,
        OURS,
        WirelessStatus.READY,
        WirelessStatus.SUSPENDED,
        RATE_PLANS[OURS].sid,
        CallbackTarget(ODD_URL, HttpMethod.GET),
    ),
    replace(wireless_update_of(WIRELESS_SIMS[OURS]), told=NO_TARGET),
)


@pytest.fixture(params=[SUPER_SIM, WIRELESS], ids=["Super SIM", "Wireless"])
def product(request: pytest.FixtureRequest) -> Product:
    return request.param


async def change_of(store: Store, product: Product, number: int) -> Any:
    kind, sid = type(product.odd), product.sim(number).sid
    return await store.transact(lambda tx: table_of(tx, kind).get(sid))


async def first(store: Store, product: Product, which: FieldFilter) -> Any:
    return await store.transact(lambda tx: table_of(tx, type(product.odd)).first(which))


async def end(store: Store, product: Product, number: int) -> None:
    kind, sid = type(product.odd), product.sim(number).sid
    await store.transact(lambda tx: table_of(tx, kind).remove(sid))


@pytest.mark.parametrize("which", ["odd", "quiet"])
async def test_a_change_is_read_back_unchanged(
    furnished: Store, product: Product, which: str
) -> None:
    update = getattr(product, which)
    await keep(furnished, update)
    table = type(update)
    assert await furnished.transact(lambda tx: table_of(tx, table).get(update.sim_sid)) == update


async def test_a_sim_without_a_pending_change_has_none(store: Store, product: Product) -> None:
    sims = [product.sim(number) for number in (1, 2)]
    await keep(store, *sims, product.update_of(sims[0]))
    assert await change_of(store, product, 2) is None


async def test_reading_a_change_leaves_it(store: Store, product: Product) -> None:
    update = product.update_of(product.sim(1))
    await keep(store, product.sim(1), update)
    for _ in range(2):
        assert await change_of(store, product, 1) == update
        assert await first(store, product, {"account_sid": OURS}) == update


async def test_only_the_ended_change_is_gone(store: Store, product: Product) -> None:
    sims = [product.sim(number) for number in (1, 2)]
    await keep(store, *sims, *map(product.update_of, sims))
    await end(store, product, 1)
    assert await change_of(store, product, 1) is None
    assert await change_of(store, product, 2) == product.update_of(sims[1])


async def test_ending_a_missing_change_changes_nothing(store: Store, product: Product) -> None:
    update = product.update_of(product.sim(1))
    await keep(store, product.sim(1), update)
    await end(store, product, 2)
    assert await change_of(store, product, 1) == update


async def test_a_sim_may_change_again_after_its_change(store: Store, product: Product) -> None:
    update = product.update_of(product.sim(1))
    await keep(store, product.sim(1), update)
    await end(store, product, 1)
    again = replace(update, to_status=product.odd.to_status)
    await keep(store, again)
    assert await change_of(store, product, 1) == again


async def test_a_change_is_found_by_its_fields(furnished: Store, product: Product) -> None:
    theirs = product.update_of(product.sim(1, THEIRS))
    await keep(furnished, product.sim(1, THEIRS), theirs, product.odd)
    assert await first(furnished, product, {"account_sid": THEIRS}) == theirs
    assert await first(furnished, product, {"to_status": product.odd.to_status}) == product.odd
    both = {"account_sid": THEIRS, "to_status": product.odd.to_status}
    assert await first(furnished, product, both) is None


async def test_a_change_is_found_by_its_target_plan(furnished: Store) -> None:
    other = replace(WIRELESS.odd, sim_sid=wireless_sim(1).sid, to_rate_plan_sid=None)
    await keep(furnished, wireless_sim(1), other, WIRELESS.odd)
    to_ours = {"to_rate_plan_sid": RATE_PLANS[OURS].sid}
    assert await first(furnished, WIRELESS, to_ours) == WIRELESS.odd
    to_theirs = {"to_rate_plan_sid": RATE_PLANS[THEIRS].sid}
    assert await first(furnished, WIRELESS, to_theirs) is None


async def test_an_ended_change_is_not_found(furnished: Store, product: Product) -> None:
    await keep(furnished, product.odd)
    await end(furnished, product, 1001)
    assert await first(furnished, product, {"account_sid": OURS}) is None
