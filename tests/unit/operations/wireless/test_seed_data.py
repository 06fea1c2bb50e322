"""The Programmable Wireless rate plan and SIM that a seeded account starts with."""

from dataclasses import replace

import pytest

from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.sim import WirelessStatus
from ringback.operations.wireless.rate_plans import fetch_rate_plan
from ringback.operations.wireless.seed_data import SIM_NAME, SIM_SID, seed_where_missing
from ringback.operations.wireless.sims import fetch_sim
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, a_context, an_account
from tests.memory_store import MemoryTransaction
from tests.wireless_fakes import RATE_PLAN_SID, a_rate_plan, a_wireless_sim


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


def plant(tx: MemoryTransaction) -> None:
    seed_where_missing(tx, ACCOUNT_SID, a_context())


def test_the_sim_is_active_with_a_plan_and_metered_from_the_start(tx: MemoryTransaction) -> None:
    plant(tx)
    plan = fetch_rate_plan(tx, ACCOUNT_SID, "my_rate_plan")
    assert plan == a_rate_plan(sid=plan.sid, unique_name="my_rate_plan")
    assert fetch_sim(tx, ACCOUNT_SID, SIM_NAME) == a_wireless_sim(
        sid=SIM_SID,
        iccid="8901340000000000019",
        unique_name="my_wireless_sim",
        status=WirelessStatus.ACTIVE,
        rate_plan_sid=plan.sid,
        metered_since=NOW,
    )
    assert {(task.subject_sid, task.step) for task in tx.tasks.tasks.values()} == {
        (SIM_SID, TaskKind.METER_SIM)
    }


def test_an_existing_sim_is_unchanged(tx: MemoryTransaction) -> None:
    plant(tx)
    changed = replace(fetch_sim(tx, ACCOUNT_SID, SIM_SID), unique_name="renamed")
    tx.wireless.sims.save(changed)
    plant(tx)
    assert tx.wireless.sims.page(ACCOUNT_SID, {}, PageWindow(9)) == [changed]
    assert len(tx.wireless.rate_plans.records) == 1


def test_an_existing_plan_with_the_name_is_used(tx: MemoryTransaction) -> None:
    tx.wireless.rate_plans.add(a_rate_plan(unique_name="my_rate_plan"))
    plant(tx)
    assert fetch_sim(tx, ACCOUNT_SID, SIM_SID).rate_plan_sid == RATE_PLAN_SID
    assert list(tx.wireless.rate_plans.records) == [RATE_PLAN_SID]


def test_if_another_sim_has_the_name_it_gets_none(tx: MemoryTransaction) -> None:
    other = a_wireless_sim(unique_name=SIM_NAME)
    tx.wireless.sims.add(other)
    plant(tx)
    assert fetch_sim(tx, ACCOUNT_SID, SIM_SID).unique_name is None
    assert fetch_sim(tx, ACCOUNT_SID, SIM_NAME) == other
