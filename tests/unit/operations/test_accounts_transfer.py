"""Checks whether a SIM can be moved to another account, in a store in memory."""

from dataclasses import replace

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.accounts import check_transfer
from tests.fakes import ACCOUNT_SID, SIM_SID, a_sim, an_account
from tests.memory_store import MemoryTransaction

CHILD, GRANDCHILD, STRANGER = ("AC" + letter * 32 for letter in "bcd")


@pytest.fixture
def tx() -> MemoryTransaction:
    """Our account has a subaccount, which has one of its own; a stranger has nothing."""
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(replace(an_account(sid=CHILD), parent_sid=ACCOUNT_SID), [])
    tx.accounts.add(replace(an_account(sid=GRANDCHILD), parent_sid=CHILD), [])
    tx.accounts.add(an_account(sid=STRANGER), [])
    return tx


def sim_of(account_sid: str) -> SuperSim:
    return a_sim(account_sid=account_sid, status=SimStatus.NEW)


@pytest.mark.parametrize(("owner", "target"), [(ACCOUNT_SID, CHILD), (CHILD, GRANDCHILD)])
def test_a_sim_can_be_moved_to_a_subaccount(tx: MemoryTransaction, owner: str, target: str) -> None:
    check_transfer(tx, sim_of(owner), target, not_permitted=33201, not_new=83010)


@pytest.mark.parametrize(
    ("owner", "target"),
    [
        (ACCOUNT_SID, STRANGER),
        (ACCOUNT_SID, GRANDCHILD),
        (CHILD, ACCOUNT_SID),
        (ACCOUNT_SID, "AC" + "0" * 32),
        (ACCOUNT_SID, ""),
    ],
)
@pytest.mark.parametrize("code", [20409, 33201])
def test_a_sim_cannot_be_moved_anywhere_else(
    tx: MemoryTransaction, owner: str, target: str, code: int
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_transfer(tx, sim_of(owner), target, not_permitted=code, not_new=83010)
    assert (refused.value.code, refused.value.message) == (
        code,
        f"AccountSid={target!r}: a SIM can be moved only to {owner} or one of its subaccounts",
    )


@pytest.mark.parametrize("status", ["ready", "active", "scheduled", "inactive"])
@pytest.mark.parametrize("code", [83010, 33201])
def test_a_used_sim_cannot_be_moved(tx: MemoryTransaction, status: str, code: int) -> None:
    sim = a_sim(status=SimStatus(status))
    with pytest.raises(InvalidParameter) as refused:
        check_transfer(tx, sim, CHILD, not_permitted=20409, not_new=code)
    assert (refused.value.code, refused.value.message) == (
        code,
        (f"SIM {SIM_SID} is {status}; only a SIM that is new can be moved to another account"),
    )
