"""Finding callbacks: an account finds only its own."""

import pytest

from ringback.core.errors import NotFound
from ringback.operations.lookups import fetch_attempts, fetch_callback
from ringback.ports import Lane
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback, an_account, claim_from
from tests.memory_store import MemoryTransaction

LANE = Lane(ACCOUNT_SID, "http://127.0.0.1:9000")


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.callbacks.add(a_callback())
    return tx


def test_a_callback_is_fetched_by_its_sid(tx: MemoryTransaction) -> None:
    assert fetch_callback(tx, ACCOUNT_SID, CALLBACK_SID) == a_callback()


def test_its_attempts_are_listed(tx: MemoryTransaction) -> None:
    (claim,) = claim_from(tx, LANE, NOW, limit=1)
    assert fetch_attempts(tx, ACCOUNT_SID, CALLBACK_SID) == [claim.attempt]


@pytest.mark.parametrize(
    ("account_sid", "sid"),
    [(ACCOUNT_SID, "CB" + "0" * 32), ("AC" + "f" * 32, CALLBACK_SID)],
    ids=["unknown", "another account's"],
)
def test_another_accounts_callback_is_not_found(
    tx: MemoryTransaction, account_sid: str, sid: str
) -> None:
    for fetch in (fetch_callback, fetch_attempts):
        with pytest.raises(NotFound) as refused:
            fetch(tx, account_sid, sid)
        assert refused.value.message == f"there is no callback with the SID {sid!r}"
