"""Changes of SIMs that are under way: at most one of each SIM."""

from dataclasses import replace

import pytest

from ringback.core.method import Method
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.sim_update import SimUpdate
from ringback.ports import Store
from tests.stores.asking import keep
from tests.stores.records import FLEETS, ODD_URL, OURS, SIMS, sim, update_of


async def change_of(store: Store, number: int) -> SimUpdate | None:
    return await store.transact(lambda tx: tx.supersim.sim_updates.get(sim(number).sid))


async def end(store: Store, number: int) -> None:
    await store.transact(lambda tx: tx.supersim.sim_updates.end(sim(number).sid))


@pytest.mark.parametrize(
    "update",
    [
        SimUpdate(
            SIMS[OURS].sid,
            OURS,
            SimStatus.READY,
            SimStatus.INACTIVE,
            FLEETS[OURS].sid,
            ODD_URL,
            Method.GET,
        ),
        replace(update_of(SIMS[OURS]), callback_url=None),
    ],
    ids=["every field", "nobody to call back"],
)
async def test_a_change_comes_back_as_it_was(furnished: Store, update: SimUpdate) -> None:
    await keep(furnished, update)
    assert (
        await furnished.transact(lambda tx: tx.supersim.sim_updates.get(SIMS[OURS].sid)) == update
    )


async def test_a_sim_that_is_not_being_changed_has_no_change(store: Store) -> None:
    await keep(store, sim(1), sim(2), update_of(sim(1)))
    assert await change_of(store, 2) is None


async def test_looking_at_a_change_leaves_it(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)))
    for _ in range(2):
        assert await change_of(store, 1) == update_of(sim(1))


async def test_a_change_that_ended_is_gone_and_no_other_is(store: Store) -> None:
    await keep(store, sim(1), sim(2), update_of(sim(1)), update_of(sim(2)))
    await end(store, 1)
    assert await change_of(store, 1) is None
    assert await change_of(store, 2) == update_of(sim(2))


async def test_ending_what_is_not_there_changes_nothing(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)))
    await end(store, 2)
    assert await change_of(store, 1) == update_of(sim(1))


async def test_a_sim_may_change_again_after_its_change(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)))
    await end(store, 1)
    again = replace(update_of(sim(1)), to_status=SimStatus.INACTIVE)
    await keep(store, again)
    assert await change_of(store, 1) == again
