"""Super SIMs that move to a subaccount, in a store in memory."""

import copy
from dataclasses import replace
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.supersim.sim import SimStatus
from ringback.operations.supersim.sims import SuperSimUpdateRequest, update_sim
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_context, a_fleet, a_sim, an_account
from tests.memory_store import MemoryTransaction
from tests.unit.operations.supersim.bench import URL

CHILD: Final = "AC" + "c" * 32
STRANGER: Final = "AC" + "f" * 32
CHILDS_FLEET: Final = "HF" + "c" * 32
OTHER_SIM: Final = "HS" + "e" * 32
NEW_SIM: Final = a_sim(status=SimStatus.NEW)
LATER: Final = NOW + TAKES


@pytest.fixture
def tx() -> MemoryTransaction:
    """Our account has a subaccount with a fleet, and a fleet of its own; a stranger has nothing."""
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(replace(an_account(sid=CHILD), parent_sid=ACCOUNT_SID), [])
    tx.accounts.add(an_account(sid=STRANGER), [])
    tx.supersim.fleets.add(a_fleet())
    tx.supersim.fleets.add(a_fleet(sid=CHILDS_FLEET, account_sid=CHILD, unique_name="childs_fleet"))
    tx.supersim.sims.add(NEW_SIM)
    return tx


def ask(tx: MemoryTransaction, asked: SuperSimUpdateRequest) -> None:
    update_sim(tx, ACCOUNT_SID, SIM_SID, asked, a_context(now=LATER))


def test_a_new_sim_is_moved_to_a_subaccount_and_leaves_its_fleet(tx: MemoryTransaction) -> None:
    ask(tx, SuperSimUpdateRequest(account_sid=CHILD))
    moved = a_sim(account_sid=CHILD, status=SimStatus.NEW, fleet_sid=None, date_updated=LATER)
    assert tx.supersim.sims.get(SIM_SID) == moved
    assert tx.supersim.sims.find(ACCOUNT_SID, SIM_SID) is None


def test_a_sim_is_moved_into_a_fleet_of_its_new_account(tx: MemoryTransaction) -> None:
    ask(tx, SuperSimUpdateRequest(account_sid=CHILD, fleet="childs_fleet"))
    moved = tx.supersim.sims.get(SIM_SID)
    assert moved is not None
    assert (moved.account_sid, moved.fleet_sid) == (CHILD, CHILDS_FLEET)


def test_a_sim_is_moved_and_activated_in_one_update(tx: MemoryTransaction) -> None:
    asked = SuperSimUpdateRequest(
        account_sid=CHILD, fleet=CHILDS_FLEET, status=SimStatus.ACTIVE, callback=CallbackTarget(URL)
    )
    ask(tx, asked)
    update = tx.supersim.sim_updates.get(SIM_SID)
    assert update is not None
    assert (update.account_sid, update.to_fleet_sid) == (CHILD, CHILDS_FLEET)


@pytest.mark.parametrize("status", SimStatus)
def test_a_sim_may_be_moved_to_its_own_account(tx: MemoryTransaction, status: SimStatus) -> None:
    tx.supersim.sims.save(a_sim(status=status))
    ask(tx, SuperSimUpdateRequest(account_sid=ACCOUNT_SID))
    assert tx.supersim.sims.get(SIM_SID) == a_sim(status=status)


@pytest.mark.parametrize("account", [STRANGER, "AC" + "0" * 32, ""])
def test_a_sim_can_be_moved_only_to_a_subaccount(tx: MemoryTransaction, account: str) -> None:
    before = copy.deepcopy(tx.supersim.sims)
    with pytest.raises(InvalidParameter) as refused:
        ask(tx, SuperSimUpdateRequest("renamed", account_sid=account))
    assert refused.value.code == 20409
    assert tx.supersim.sims == before


@pytest.mark.parametrize("status", [one for one in SimStatus if one is not SimStatus.NEW])
def test_a_sim_that_is_not_new_is_not_moved(tx: MemoryTransaction, status: SimStatus) -> None:
    tx.supersim.sims.save(a_sim(status=status))
    with pytest.raises(InvalidParameter) as refused:
        ask(tx, SuperSimUpdateRequest(account_sid=CHILD))
    assert refused.value.code == 83010
    assert tx.supersim.sims.get(SIM_SID) == a_sim(status=status)


def test_a_fleet_of_the_old_account_cannot_be_used_in_the_new_one(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter) as refused:
        ask(tx, SuperSimUpdateRequest(account_sid=CHILD, fleet="my_fleet"))
    assert refused.value.code == 83006
    assert tx.supersim.sims.get(SIM_SID) == NEW_SIM


def test_a_sim_whose_name_is_taken_in_the_new_account_needs_another(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM, account_sid=CHILD, iccid="8988307000000000002"))
    with pytest.raises(InvalidParameter) as refused:
        ask(tx, SuperSimUpdateRequest(account_sid=CHILD))
    assert refused.value.code == 83011
    ask(tx, SuperSimUpdateRequest("another", account_sid=CHILD))
    moved = tx.supersim.sims.get(SIM_SID)
    assert moved is not None
    assert (moved.account_sid, moved.unique_name) == (CHILD, "another")
