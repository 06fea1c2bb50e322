"""Finding the account that owns a record of any kind."""

from collections.abc import Callable
from typing import Any

import pytest

from ringback.operations.lookups import owner_of
from tests.fakes import a_callback
from tests.memory_store import MemoryTransaction
from tests.stores.asking import add
from tests.stores.records import (
    OURS,
    THEIRS,
    billing_period,
    command,
    esim_profile,
    fleet,
    ip_command,
    profile,
    rate_plan,
    settings_update,
    sim,
    sms_command,
    wireless_session,
    wireless_sim,
)

KINDS: list[Callable[..., Any]] = [
    profile,
    fleet,
    sim,
    sms_command,
    ip_command,
    esim_profile,
    settings_update,
    billing_period,
    rate_plan,
    wireless_sim,
    command,
    wireless_session,
    lambda number, owner: a_callback(sid=f"CB{number:032x}", account_sid=owner),
]


@pytest.mark.parametrize(
    "make", KINDS, ids=[make.__name__.replace("<lambda>", "callback") for make in KINDS]
)
def test_the_owner_of_a_record_is_its_account(make: Callable[[int, str], Any]) -> None:
    tx = MemoryTransaction()
    records = {1: make(1, OURS), 2: make(2, THEIRS)}
    for record in records.values():
        add(tx, record)
    assert [owner_of(tx, records[number].sid) for number in (1, 2)] == [OURS, THEIRS]
    assert owner_of(tx, make(3, OURS).sid) is None


@pytest.mark.parametrize("sid", ["", "H", "XX" + "0" * 32, "my_super_sim", OURS])
def test_a_sid_of_no_record_has_no_owner(sid: str) -> None:
    assert owner_of(MemoryTransaction(), sid) is None
