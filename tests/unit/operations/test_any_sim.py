"""Finding SIMs of either product, in a store in memory."""

from collections.abc import Callable

import pytest

from ringback.core.errors import ApiError, InvalidParameter, NotFound
from ringback.core.scheduled_task import EitherSim
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.any_sim import (
    any_sim_named,
    fetch_any_sim,
    find_any_sim,
    supersim_of,
    transfer_data,
    wireless_of,
)
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, SIM_SID, UNIQUE_NAME, a_context, a_fleet, a_sim
from tests.memory_store import MemoryTransaction
from tests.wireless_fakes import WIRELESS_NAME, WIRELESS_SIM_SID, a_rate_plan, a_wireless_sim

THEIRS = "AC" + "f" * 32
OURS, WIRELESS = a_sim(), a_wireless_sim()
Find = Callable[[Transaction, str, str], "EitherSim | None"]


@pytest.fixture
def tx() -> MemoryTransaction:
    """The account has a SIM of each product."""
    tx = MemoryTransaction()
    tx.supersim.fleets.add(a_fleet())
    tx.supersim.sims.add(OURS)
    tx.wireless.rate_plans.add(a_rate_plan())
    tx.wireless.sims.add(WIRELESS)
    return tx


@pytest.mark.parametrize(
    ("asked", "sim"),
    [(SIM_SID, OURS), (UNIQUE_NAME, OURS), (WIRELESS_SIM_SID, WIRELESS), (WIRELESS_NAME, WIRELESS)],
)
def test_a_sim_of_either_product_is_found_by_its_sid_or_name(
    tx: MemoryTransaction, asked: str, sim: EitherSim
) -> None:
    assert find_any_sim(tx, ACCOUNT_SID, asked) == sim
    assert fetch_any_sim(tx, ACCOUNT_SID, asked) == sim
    assert any_sim_named(tx, ACCOUNT_SID, asked) == sim


@pytest.mark.parametrize(
    ("account_sid", "asked"),
    [(ACCOUNT_SID, "nobody"), (THEIRS, SIM_SID), (THEIRS, WIRELESS_SIM_SID)],
)
def test_another_accounts_sim_is_not_found(
    tx: MemoryTransaction, account_sid: str, asked: str
) -> None:
    assert find_any_sim(tx, account_sid, asked) is None
    for fetch in (fetch_any_sim, supersim_of, wireless_of):
        with pytest.raises(NotFound) as missed:
            fetch(tx, account_sid, asked)
        assert missed.value.message == f"there is no SIM with the SID or unique name {asked!r}"
    with pytest.raises(InvalidParameter) as refused:
        any_sim_named(tx, account_sid, asked)
    assert refused.value.code == 83005


def test_a_name_of_a_sim_in_each_product_is_ambiguous(tx: MemoryTransaction) -> None:
    tx.wireless.sims.save(a_wireless_sim(unique_name=UNIQUE_NAME))
    finders: list[Find] = [find_any_sim, fetch_any_sim, any_sim_named]
    for find in finders:
        with pytest.raises(InvalidParameter) as refused:
            find(tx, ACCOUNT_SID, UNIQUE_NAME)
        assert (refused.value.code, refused.value.message) == (
            83600,
            f"'my_super_sim' is the unique name of {SIM_SID} and of {WIRELESS_SIM_SID}; name the"
            " SIM by its SID",
        )
    assert find_any_sim(tx, ACCOUNT_SID, WIRELESS_SIM_SID) is not None
    assert supersim_of(tx, ACCOUNT_SID, UNIQUE_NAME).sid == SIM_SID
    assert wireless_of(tx, ACCOUNT_SID, UNIQUE_NAME).sid == WIRELESS_SIM_SID


def test_a_name_that_another_account_uses_for_the_other_product_finds_our_sim(
    tx: MemoryTransaction,
) -> None:
    tx.wireless.sims.save(a_wireless_sim(unique_name=UNIQUE_NAME, account_sid=THEIRS))
    assert find_any_sim(tx, ACCOUNT_SID, UNIQUE_NAME) == OURS


def test_a_sim_of_the_requested_product_is_returned(tx: MemoryTransaction) -> None:
    assert supersim_of(tx, ACCOUNT_SID, UNIQUE_NAME) == OURS
    assert wireless_of(tx, ACCOUNT_SID, WIRELESS_NAME) == WIRELESS


def test_a_sim_of_the_other_product_is_refused(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter) as refused:
        supersim_of(tx, ACCOUNT_SID, WIRELESS_NAME)
    assert (refused.value.code, refused.value.message) == (
        83600,
        (
            f"SIM {WIRELESS_SIM_SID} is a Programmable Wireless SIM, whose devices"
            " send Commands, not SMS or IP Commands"
        ),
    )
    with pytest.raises(InvalidParameter) as refused:
        wireless_of(tx, ACCOUNT_SID, UNIQUE_NAME)
    assert (refused.value.code, refused.value.message) == (
        83600,
        f"SIM {SIM_SID} is a Super SIM, whose devices send only SMS and IP Commands",
    )


def used(tx: MemoryTransaction, sim: EitherSim) -> list[tuple[int, int]]:
    context = a_context()
    flows = [*tx.supersim.sessions.sessions.values(), *tx.wireless.sessions.sessions.values()]
    own = [flow for flow in flows if flow.sim_sid == sim.sid]
    return [flow.bytes_between(flow.date_created, context.now) for flow in own]


@pytest.mark.parametrize("sim", [OURS, WIRELESS], ids=["Super SIM", "Programmable Wireless"])
def test_the_device_of_a_sim_of_either_product_uses_data(
    tx: MemoryTransaction, sim: SuperSim | WirelessSim
) -> None:
    transfer_data(tx, sim, upload=300, download=700, context=a_context())
    assert used(tx, sim) == [(300, 700)]
    assert sum(len(used(tx, each)) for each in (OURS, WIRELESS)) == 1


@pytest.mark.parametrize(("sim_sid", "code"), [(SIM_SID, 83600), (WIRELESS_SIM_SID, 33201)])
def test_data_that_cannot_be_used_is_refused_with_the_code_of_its_product(
    tx: MemoryTransaction, sim_sid: str, code: int
) -> None:
    tx.supersim.fleets.save(a_fleet(data_enabled=False))
    tx.wireless.rate_plans.save(a_rate_plan(data_enabled=False))
    with pytest.raises(ApiError) as refused:
        transfer_data(
            tx,
            fetch_any_sim(tx, ACCOUNT_SID, sim_sid),
            upload=300,
            download=700,
            context=a_context(),
        )
    assert refused.value.code == code
