"""Unique names: one for each record of a kind, within an account."""

import pytest

from ringback.core.errors import WIRELESS, InvalidParameter
from ringback.operations.unique_names import check_name_is_free
from tests.fakes import ACCOUNT_SID, FLEET_SID, a_fleet, a_sim
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32
OTHER_SID = "HF" + "d" * 32


@pytest.fixture
def tx() -> MemoryTransaction:
    """Make one fleet, `my_fleet`."""
    tx = MemoryTransaction()
    tx.supersim.fleets.add(a_fleet())
    return tx


@pytest.mark.parametrize("name", ["another", "My_Fleet", "", None])
def test_an_unused_name_is_free(tx: MemoryTransaction, name: str | None) -> None:
    check_name_is_free(tx.supersim.fleets, ACCOUNT_SID, name)


@pytest.mark.parametrize("name", ["my_fleet", FLEET_SID])
def test_the_name_or_sid_of_another_record_is_taken(tx: MemoryTransaction, name: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_name_is_free(tx.supersim.fleets, ACCOUNT_SID, name, OTHER_SID)
    assert (refused.value.code, refused.value.message) == (
        83011,
        f"UniqueName {name!r} already belongs to {FLEET_SID}",
    )


def test_a_taken_name_is_refused_with_the_code_of_its_api(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_name_is_free(tx.supersim.fleets, ACCOUNT_SID, "my_fleet", codes=WIRELESS)
    assert refused.value.code == 33101


def test_a_record_keeps_its_own_name(tx: MemoryTransaction) -> None:
    check_name_is_free(tx.supersim.fleets, ACCOUNT_SID, "my_fleet", FLEET_SID)


def test_a_name_of_another_account_is_free(tx: MemoryTransaction) -> None:
    check_name_is_free(tx.supersim.fleets, THEIRS, "my_fleet")


def test_a_name_of_another_kind_of_record_is_free(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(unique_name="meter"))
    check_name_is_free(tx.supersim.fleets, ACCOUNT_SID, "meter")
