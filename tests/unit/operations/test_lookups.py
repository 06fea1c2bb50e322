"""Finding a record of an account."""

import pytest

from ringback.core.errors import InvalidParameter, NotFound
from ringback.operations.lookups import fetch_named, fetch_owned, named_in
from tests.fakes import ACCOUNT_SID, SIM_SID, UNIQUE_NAME, a_sim
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.supersim.sims.add(a_sim())
    return tx


@pytest.mark.parametrize("sid_or_name", [SIM_SID, UNIQUE_NAME])
def test_a_record_is_found_by_its_sid_and_its_name(tx: MemoryTransaction, sid_or_name: str) -> None:
    assert fetch_named(tx.supersim.sims, ACCOUNT_SID, sid_or_name, "SIM") == a_sim()


def test_a_record_is_found_by_its_sid(tx: MemoryTransaction) -> None:
    assert fetch_owned(tx.supersim.sims, ACCOUNT_SID, SIM_SID, "SIM") == a_sim()


@pytest.mark.parametrize(("account_sid", "sid"), [(ACCOUNT_SID, "HS0"), (THEIRS, SIM_SID)])
def test_another_accounts_record_is_not_found(
    tx: MemoryTransaction, account_sid: str, sid: str
) -> None:
    with pytest.raises(NotFound, match=f"there is no SIM with the SID or unique name '{sid}'"):
        fetch_named(tx.supersim.sims, account_sid, sid, "SIM")
    with pytest.raises(NotFound, match=f"there is no SIM with the SID '{sid}'"):
        fetch_owned(tx.supersim.sims, account_sid, sid, "SIM")


@pytest.mark.parametrize("sid_or_name", [SIM_SID, UNIQUE_NAME])
def test_a_record_can_be_named_by_its_sid_and_its_name(
    tx: MemoryTransaction, sid_or_name: str
) -> None:
    given = ("Sim", sid_or_name)
    assert named_in(tx.supersim.sims, ACCOUNT_SID, given, "SIM", code=33107) == a_sim()


@pytest.mark.parametrize(
    ("account_sid", "sid_or_name"), [(ACCOUNT_SID, "nobody"), (THEIRS, SIM_SID), (ACCOUNT_SID, "")]
)
def test_a_parameter_without_a_record_of_the_account_is_refused_with_its_code(
    tx: MemoryTransaction, account_sid: str, sid_or_name: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        named_in(tx.supersim.sims, account_sid, ("Sim", sid_or_name), "SIM", code=33107)
    assert (refused.value.code, refused.value.message) == (
        33107,
        f"Sim={sid_or_name!r}: there is no SIM with this SID or unique name",
    )
