"""Rate plans: created, found, renamed and deleted, in a store in memory."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ApiError, InvalidParameter, NotFound
from ringback.core.wireless.rate_plan import DataLimitStrategy, RatePlan, RatePlanDataMetering
from ringback.core.wireless.sim import WirelessStatus
from ringback.operations.wireless.rate_plans import (
    RatePlanUpdateRequest,
    create_rate_plan,
    delete_rate_plan,
    fetch_rate_plan,
    list_rate_plans,
    rate_plan_named,
    rename_rate_plan,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, TAKES, a_context
from tests.memory_store import MemoryTransaction
from tests.unit.operations.wireless.bench import OTHER_PLAN, THEIRS, World, sim_that_is
from tests.wireless_fakes import RATE_PLAN_SID, WIRELESS_SIM_SID, a_rate_plan, a_wireless_sim

LATER: Final = NOW + TAKES
URL: Final = "https://usage.example"
PLAN: Final = a_rate_plan(
    friendly_name="A plan", usage_notification_url=URL, usage_notification_method=HttpMethod.GET
)


@pytest.fixture
def tx() -> MemoryTransaction:
    """Make a rate plan, and one of another account."""
    tx = MemoryTransaction()
    tx.wireless.rate_plans.add(PLAN)
    tx.wireless.rate_plans.add(
        a_rate_plan(sid="WP" + "e" * 32, account_sid=THEIRS, unique_name="theirs")
    )
    return tx


def create(
    tx: MemoryTransaction, names: RatePlanUpdateRequest, allowed: Mapping[str, Any] | None = None
) -> RatePlan:
    return create_rate_plan(tx, ACCOUNT_SID, names, dict(allowed or {}), a_context(now=LATER))


# ---- created -------------------------------------------------------------------------------------


def test_a_plan_without_given_values_has_the_defaults(tx: MemoryTransaction) -> None:
    plan = create(tx, RatePlanUpdateRequest())
    assert re.fullmatch("WP[0-9a-f]{32}", plan.sid)
    assert plan == a_rate_plan(
        sid=plan.sid, unique_name=None, date_created=LATER, date_updated=LATER
    )
    assert tx.wireless.rate_plans.get(plan.sid) == plan


def test_a_plan_has_the_given_values(tx: MemoryTransaction) -> None:
    allowed = {
        "data_enabled": False,
        "data_metering": RatePlanDataMetering.QUOTA_10,
        "data_limit": 7,
        "messaging_enabled": False,
        "voice_enabled": True,
        "national_roaming_enabled": True,
        "national_roaming_data_limit": 8,
        "international_roaming": ("data", "messaging"),
        "international_roaming_data_limit": 9,
        "data_limit_strategy": DataLimitStrategy.THROTTLE,
    }
    plan = create(tx, RatePlanUpdateRequest("new", "A new plan", URL, HttpMethod.GET), allowed)
    assert plan == a_rate_plan(
        sid=plan.sid,
        unique_name="new",
        friendly_name="A new plan",
        usage_notification_url=URL,
        usage_notification_method=HttpMethod.GET,
        date_created=LATER,
        date_updated=LATER,
        data_enabled=False,
        data_metering=RatePlanDataMetering.QUOTA_10,
        data_limit=7,
        messaging_enabled=False,
        voice_enabled=True,
        national_roaming_enabled=True,
        national_roaming_data_limit=8,
        international_roaming=("data", "messaging"),
        international_roaming_data_limit=9,
        data_limit_strategy=DataLimitStrategy.THROTTLE,
    )


def test_empty_names_and_an_empty_url_mean_none(tx: MemoryTransaction) -> None:
    plan = create(tx, RatePlanUpdateRequest("", "", ""))
    assert (plan.unique_name, plan.friendly_name, plan.usage_notification_url) == (None, None, None)


@pytest.mark.parametrize("name", ["my_plan", RATE_PLAN_SID])
def test_a_plan_with_a_taken_name_has_33101_and_is_not_created(
    tx: MemoryTransaction, name: str
) -> None:
    before = copy.deepcopy(tx.wireless)
    with pytest.raises(InvalidParameter) as refused:
        create(tx, RatePlanUpdateRequest(name))
    assert refused.value.code == 33101
    assert tx.wireless == before


def test_a_name_that_another_account_uses_is_free(tx: MemoryTransaction) -> None:
    assert create(tx, RatePlanUpdateRequest("theirs")).unique_name == "theirs"


# ---- found ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [RATE_PLAN_SID, "my_plan"])
def test_a_plan_is_found_by_sid_or_name(tx: MemoryTransaction, asked: str) -> None:
    assert fetch_rate_plan(tx, ACCOUNT_SID, asked) == PLAN
    assert rate_plan_named(tx, ACCOUNT_SID, asked) == PLAN


@pytest.mark.parametrize("asked", ["nobody's", "", "theirs", "WP" + "e" * 32])
def test_another_accounts_plan_is_not_found_and_cannot_be_named(
    tx: MemoryTransaction, asked: str
) -> None:
    with pytest.raises(NotFound) as missed:
        fetch_rate_plan(tx, ACCOUNT_SID, asked)
    assert missed.value.message == f"there is no RatePlan with the SID or unique name {asked!r}"
    with pytest.raises(InvalidParameter) as refused:
        rate_plan_named(tx, ACCOUNT_SID, asked)
    assert refused.value.code == 33108
    assert refused.value.message == (
        f"RatePlan={asked!r}: there is no RatePlan with this SID or unique name"
    )


def test_plans_are_listed_newest_first(tx: MemoryTransaction) -> None:
    new = create(tx, RatePlanUpdateRequest("new"))
    assert list_rate_plans(tx, ACCOUNT_SID, PageWindow(9)) == [new, PLAN]
    assert list_rate_plans(tx, ACCOUNT_SID, PageWindow(1)) == [new]


# ---- renamed -------------------------------------------------------------------------------------

CHANGES: Final[Mapping[str, tuple[RatePlanUpdateRequest, RatePlan]]] = {
    "nothing": (RatePlanUpdateRequest(), PLAN),
    "a name": (RatePlanUpdateRequest("new"), replace(PLAN, unique_name="new")),
    "its own name": (RatePlanUpdateRequest("my_plan"), PLAN),
    "no name": (RatePlanUpdateRequest(""), replace(PLAN, unique_name=None)),
    "a friendly name": (
        RatePlanUpdateRequest(friendly_name="Another"),
        replace(PLAN, friendly_name="Another"),
    ),
    "no friendly name": (
        RatePlanUpdateRequest(friendly_name=""),
        replace(PLAN, friendly_name=None),
    ),
    "a URL": (
        RatePlanUpdateRequest(usage_notification_url="https://new.example"),
        replace(PLAN, usage_notification_url="https://new.example"),
    ),
    "no URL": (
        RatePlanUpdateRequest(usage_notification_url=""),
        replace(PLAN, usage_notification_url=None),
    ),
    "a method": (
        RatePlanUpdateRequest(usage_notification_method=HttpMethod.POST),
        replace(PLAN, usage_notification_method=HttpMethod.POST),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_update_changes_only_the_given_values(tx: MemoryTransaction, what: str) -> None:
    names, after = CHANGES[what]
    updated = rename_rate_plan(tx, ACCOUNT_SID, "my_plan", names, a_context(now=LATER))
    assert updated == replace(after, date_updated=LATER)
    assert tx.wireless.rate_plans.get(RATE_PLAN_SID) == updated


@pytest.mark.parametrize(
    ("plan", "names", "kind", "code"),
    [
        ("nobody's", RatePlanUpdateRequest("new"), NotFound, 20404),
        ("theirs", RatePlanUpdateRequest("new"), NotFound, 20404),
        ("my_plan", RatePlanUpdateRequest("taken", "A new name"), InvalidParameter, 33101),
    ],
)
def test_a_refused_update_changes_nothing(
    tx: MemoryTransaction, plan: str, names: RatePlanUpdateRequest, kind: type[ApiError], code: int
) -> None:
    create(tx, RatePlanUpdateRequest("taken"))
    before = copy.deepcopy(tx.wireless)
    with pytest.raises(kind) as refused:
        rename_rate_plan(tx, ACCOUNT_SID, plan, names, a_context(now=LATER))
    assert refused.value.code == code
    assert tx.wireless == before


# ---- deleted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [RATE_PLAN_SID, "my_plan"])
def test_an_unused_plan_can_be_deleted(tx: MemoryTransaction, plan: str) -> None:
    tx.wireless.sims.add(a_wireless_sim(rate_plan_sid=None))
    delete_rate_plan(tx, ACCOUNT_SID, plan, a_context())
    assert tx.wireless.rate_plans.get(RATE_PLAN_SID) is None


@pytest.mark.parametrize("plan", ["nobody's", "theirs"])
def test_another_accounts_plan_cannot_be_deleted(tx: MemoryTransaction, plan: str) -> None:
    with pytest.raises(NotFound):
        delete_rate_plan(tx, ACCOUNT_SID, plan, a_context())
    assert len(tx.wireless.rate_plans.records) == 2


@pytest.mark.parametrize("status", WirelessStatus)
def test_deleting_a_used_plan_has_33201_whatever_the_status_of_its_sim(
    tx: MemoryTransaction, status: WirelessStatus
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    with pytest.raises(InvalidParameter) as refused:
        delete_rate_plan(tx, ACCOUNT_SID, "my_plan", a_context())
    assert (refused.value.code, refused.value.message) == (
        33201,
        (
            f"RatePlan {RATE_PLAN_SID} can't be deleted, because SIMs such as"
            f" {WIRELESS_SIM_SID} use it; give them another plan first"
        ),
    )
    assert tx.wireless.rate_plans.get(RATE_PLAN_SID) == PLAN


@pytest.mark.parametrize("plan", ["my_plan", "other_plan"])
def test_during_a_change_from_one_plan_to_another_neither_can_be_deleted(plan: str) -> None:
    world = World(sim_that_is(WirelessStatus.ACTIVE))
    world.tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other_plan"))
    world.update(rate_plan="other_plan")
    with pytest.raises(InvalidParameter) as refused:
        delete_rate_plan(world.tx, ACCOUNT_SID, plan, world.context())
    assert refused.value.code == 33201
    assert WIRELESS_SIM_SID in refused.value.message


def test_a_plan_can_be_deleted_once_its_sims_have_another() -> None:
    world = World(sim_that_is(WirelessStatus.ACTIVE))
    world.tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other_plan"))
    world.update(rate_plan="other_plan")
    world.advance(TAKES)
    delete_rate_plan(world.tx, ACCOUNT_SID, "my_plan", world.context())
    assert list(world.tx.wireless.rate_plans.records) == [OTHER_PLAN]
