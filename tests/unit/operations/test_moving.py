"""Whether a SIM can be moved to another account, on plain tables."""

from dataclasses import replace

import pytest

from ringback.core.errors import Invalid
from ringback.operations.moving import check_is_new, check_target
from tests.fakes import ACCOUNT_SID, SIM_SID, an_account
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


@pytest.mark.parametrize(("owner", "target"), [(ACCOUNT_SID, CHILD), (CHILD, GRANDCHILD)])
def test_a_sim_can_be_moved_to_a_subaccount(tx: MemoryTransaction, owner: str, target: str) -> None:
    check_target(tx, owner, target, code=33201)


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
def test_a_sim_can_be_moved_nowhere_else(
    tx: MemoryTransaction, owner: str, target: str, code: int
) -> None:
    with pytest.raises(Invalid) as refused:
        check_target(tx, owner, target, code=code)
    assert (refused.value.code, refused.value.message) == (
        code,
        f"AccountSid={target!r}: a SIM can be moved only to {owner} or one of its subaccounts",
    )


def test_a_sim_that_is_new_can_be_moved() -> None:
    check_is_new(SIM_SID, "new", code=33201)


@pytest.mark.parametrize("status", ["ready", "active", "scheduled", "canceled"])
@pytest.mark.parametrize("code", [83010, 33201])
def test_a_sim_that_was_used_can_not_be_moved(status: str, code: int) -> None:
    with pytest.raises(Invalid) as refused:
        check_is_new(SIM_SID, status, code=code)
    assert (refused.value.code, refused.value.message) == (
        code,
        f"SIM {SIM_SID} is {status}; only one that is new can be moved to another account",
    )
