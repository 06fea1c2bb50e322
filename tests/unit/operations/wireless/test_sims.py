"""Programmable Wireless SIMs: registered, found, updated and deleted."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_target import (
    NO_TARGET,
    CallbackTarget,
    CallbackTargetUpdate,
)
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import ApiError, Conflict, InvalidParameter, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import SCENARIOS, TaskKind
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.operations.wireless.sims import (
    SimCardRegistration,
    WirelessUpdateRequest,
    delete_sim,
    fetch_sim,
    list_sims,
    register_sim,
    sim_named,
    update_sim,
)
from ringback.ports import CallbackFilter, PageWindow
from tests.fakes import ACCOUNT_SID, NOW, TAKES, a_context, an_account
from tests.memory_store import MemoryTransaction
from tests.unit.operations.wireless.bench import (
    ASKS,
    OTHER_PLAN,
    OTHER_SIM,
    THEIRS,
    World,
    sim_that_is,
)
from tests.unit.operations.worlds import DAY
from tests.wireless_fakes import (
    RATE_PLAN_SID,
    WIRELESS_ICCID,
    WIRELESS_NAME,
    WIRELESS_SIM_SID,
    a_rate_plan,
    a_target,
    a_wireless_sim,
    a_wireless_update,
)

NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED, SCHEDULED, UPDATING = WirelessStatus
CHILD: Final = "AC" + "c" * 32
STRANGER: Final = "AC" + "b" * 32
CHILDS_PLAN: Final = "WP" + "c" * 32
ROAMING_PLAN: Final = "WP" + "a" * 32
OTHER_ICCID: Final = "8901340000000000001"
LATER: Final = NOW + DAY
TO: Final = a_target("https://told.example", HttpMethod.GET)


@pytest.fixture
def tx() -> MemoryTransaction:
    """Our account has three plans, one of them roams, and a subaccount with a plan."""
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    tx.accounts.add(an_account(sid=STRANGER), [])
    tx.accounts.add(replace(an_account(sid=CHILD), parent_sid=ACCOUNT_SID), [])
    plans = tx.wireless.rate_plans
    plans.add(a_rate_plan())
    plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other_plan"))
    plans.add(
        a_rate_plan(sid=ROAMING_PLAN, unique_name="roaming_plan", national_roaming_enabled=True)
    )
    plans.add(a_rate_plan(sid=CHILDS_PLAN, account_sid=CHILD, unique_name="childs_plan"))
    return tx


def register(
    tx: MemoryTransaction, card: SimCardRegistration, account_sid: str = ACCOUNT_SID
) -> WirelessSim:
    return register_sim(tx, account_sid, card, a_context(now=LATER))


def update(
    tx: MemoryTransaction, asked: WirelessUpdateRequest, sim: str = WIRELESS_SIM_SID
) -> WirelessSim:
    return update_sim(tx, ACCOUNT_SID, sim, asked, a_context(now=LATER))


def called_back(tx: MemoryTransaction) -> list[CallbackRecord]:
    return tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(9))


def content_of(tx: MemoryTransaction) -> tuple[object, ...]:
    tables = (tx.wireless, tx.tasks, tx.scenarios, tx.callbacks.callbacks)
    return copy.deepcopy(tables)


# ---- registering ---------------------------------------------------------------------------------


def test_a_registered_sim_is_new_and_has_no_plan(tx: MemoryTransaction) -> None:
    card = SimCardRegistration(
        WIRELESS_ICCID, registration_code="H3LL0", eid="8" * 32, is_narrowband=True
    )
    sim = register(tx, card)
    assert re.fullmatch("DE[0-9a-f]{32}", sim.sid)
    assert sim == a_wireless_sim(
        sid=sim.sid,
        status=NEW,
        unique_name=None,
        rate_plan_sid=None,
        date_created=LATER,
        date_updated=LATER,
        registration_code="H3LL0",
        eid="8" * 32,
        is_narrowband=True,
    )
    assert tx.wireless.sims.get(sim.sid) == sim


def test_a_card_is_an_ordinary_one_by_default(tx: MemoryTransaction) -> None:
    sim = register(tx, SimCardRegistration(WIRELESS_ICCID))
    assert (sim.registration_code, sim.eid, sim.is_narrowband) == (None, None, False)


@pytest.mark.parametrize("iccid", ["89" + "0" * 16, "89" + "0" * 20])
def test_a_card_number_has_18_to_22_digits(tx: MemoryTransaction, iccid: str) -> None:
    assert register(tx, SimCardRegistration(iccid)).iccid == iccid


@pytest.mark.parametrize(
    "iccid",
    [
        "",
        "89" + "0" * 15,
        "89" + "0" * 21,
        "12345678901234567890",
        "8901340852295524703X",
        WIRELESS_ICCID + "\n",
        "89" + "٣" * 18,
    ],
)
def test_an_invalid_card_number_has_33101(tx: MemoryTransaction, iccid: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        register(tx, SimCardRegistration(iccid))
    assert (refused.value.code, tx.wireless.sims.records) == (33101, {})


@pytest.mark.parametrize("account_sid", [ACCOUNT_SID, THEIRS])
def test_a_card_can_be_registered_only_once(tx: MemoryTransaction, account_sid: str) -> None:
    register(tx, SimCardRegistration(WIRELESS_ICCID), account_sid)
    with pytest.raises(InvalidParameter) as refused:
        register(tx, SimCardRegistration(WIRELESS_ICCID))
    assert (refused.value.code, refused.value.message) == (
        33101,
        f"Iccid {WIRELESS_ICCID} is registered already",
    )


# ---- finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [WIRELESS_SIM_SID, WIRELESS_NAME])
def test_a_sim_is_found_by_sid_or_name(tx: MemoryTransaction, asked: str) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    assert fetch_sim(tx, ACCOUNT_SID, asked) == a_wireless_sim()
    assert sim_named(tx, ACCOUNT_SID, asked) == a_wireless_sim()


@pytest.mark.parametrize(
    ("account_sid", "asked"),
    [(ACCOUNT_SID, "nobody"), (ACCOUNT_SID, ""), (THEIRS, WIRELESS_SIM_SID), (THEIRS, "meter_1")],
)
def test_another_accounts_sim_is_not_found_and_cannot_be_named(
    tx: MemoryTransaction, account_sid: str, asked: str
) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    with pytest.raises(NotFound) as missed:
        fetch_sim(tx, account_sid, asked)
    assert missed.value.message == f"there is no SIM with the SID or unique name {asked!r}"
    with pytest.raises(InvalidParameter) as refused:
        sim_named(tx, account_sid, asked)
    assert refused.value.code == 33107
    assert refused.value.message == (f"Sim={asked!r}: there is no SIM with this SID or unique name")


ONE: Final = a_wireless_sim(status=NEW, eid="8" * 32, registration_code="H3LL0")
OTHER: Final = a_wireless_sim(
    sid=OTHER_SIM, iccid=OTHER_ICCID, unique_name="other", rate_plan_sid=OTHER_PLAN
)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, [OTHER, ONE]),
        ({"status": NEW}, [ONE]),
        ({"status": CANCELED}, []),
        ({"iccid": OTHER_ICCID}, [OTHER]),
        ({"rate_plan": RATE_PLAN_SID}, [ONE]),
        ({"rate_plan": "other_plan"}, [OTHER]),
        ({"rate_plan": "nobody's"}, []),
        ({"rate_plan": ""}, []),
        ({"rate_plan": "childs_plan"}, []),
        ({"e_id": "8" * 32}, [ONE]),
        ({"sim_registration_code": "H3LL0"}, [ONE]),
        ({"status": NEW, "iccid": OTHER_ICCID}, []),
    ],
)
def test_sims_are_listed_by_their_fields_newest_first(
    tx: MemoryTransaction, which: dict[str, Any], found: list[WirelessSim]
) -> None:
    tx.wireless.sims.add(ONE)
    tx.wireless.sims.add(OTHER)
    assert list_sims(tx, ACCOUNT_SID, PageWindow(9), **which) == found
    assert list_sims(tx, THEIRS, PageWindow(9), **which) == []


# ---- immediate effects of an update --------------------------------------------------------------

SOMEWHERE: Final = CallbackUrl.parse("https://commands.example")
HANDLED: Final = {"sms_url": "https://sms.example", "sms_method": "GET"}
TELLS: Final = a_wireless_sim(
    friendly_name="A meter", commands_to=CallbackTarget(SOMEWHERE, HttpMethod.GET), handlers=HANDLED
)
CHANGES: Final[Mapping[str, tuple[WirelessUpdateRequest, WirelessSim]]] = {
    "nothing": (WirelessUpdateRequest(told=TO), TELLS),
    "a name": (WirelessUpdateRequest("renamed"), replace(TELLS, unique_name="renamed")),
    "its own name": (WirelessUpdateRequest(WIRELESS_NAME), TELLS),
    "no name": (WirelessUpdateRequest(""), replace(TELLS, unique_name=None)),
    "a friendly name": (
        WirelessUpdateRequest(friendly_name="Meter 1"),
        replace(TELLS, friendly_name="Meter 1"),
    ),
    "no friendly name": (
        WirelessUpdateRequest(friendly_name=""),
        replace(TELLS, friendly_name=None),
    ),
    "a URL for Commands": (
        WirelessUpdateRequest(commands_to=CallbackTargetUpdate(TO.url)),
        replace(TELLS, commands_to=CallbackTarget(TO.url, HttpMethod.GET)),
    ),
    "no URL for Commands": (
        WirelessUpdateRequest(commands_to=CallbackTargetUpdate(is_removed=True)),
        replace(TELLS, commands_to=CallbackTarget(None, HttpMethod.GET)),
    ),
    "a method for Commands": (
        WirelessUpdateRequest(commands_to=CallbackTargetUpdate(method=HttpMethod.POST)),
        replace(TELLS, commands_to=CallbackTarget(SOMEWHERE, HttpMethod.POST)),
    ),
    "deprecated URLs": (
        WirelessUpdateRequest(handlers={"sms_url": "", "voice_url": "https://voice.example"}),
        replace(TELLS, handlers={"sms_method": "GET", "voice_url": "https://voice.example"}),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("status", WirelessStatus)
def test_values_that_need_no_network_change_at_once_without_a_callback(
    tx: MemoryTransaction, what: str, status: WirelessStatus
) -> None:
    asked, after = CHANGES[what]
    tx.wireless.sims.add(replace(TELLS, status=status))
    updated = update(tx, asked)
    assert updated == replace(after, status=status, date_updated=LATER)
    assert tx.wireless.sims.get(WIRELESS_SIM_SID) == updated
    assert (called_back(tx), tx.tasks.next_due()) == ([], None)


def test_a_sim_is_updated_by_its_name_too(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    assert update(tx, WirelessUpdateRequest("renamed"), WIRELESS_NAME).unique_name == "renamed"


def test_a_name_that_another_account_uses_is_free(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    tx.wireless.sims.add(a_wireless_sim(sid=OTHER_SIM, account_sid=THEIRS, unique_name="theirs"))
    assert update(tx, WirelessUpdateRequest("theirs")).unique_name == "theirs"


@pytest.mark.parametrize(
    "asked",
    [
        WirelessUpdateRequest(status=ACTIVE, told=TO),
        WirelessUpdateRequest(rate_plan="my_plan", told=TO),
        WirelessUpdateRequest(status=ACTIVE, rate_plan=RATE_PLAN_SID, told=TO),
    ],
)
def test_setting_the_present_status_is_called_back_at_once(
    tx: MemoryTransaction, asked: WirelessUpdateRequest
) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    assert update(tx, asked) == a_wireless_sim(date_updated=LATER)
    (callback,) = called_back(tx)
    assert (callback.url, callback.method, callback.progress.due) == (TO.url, TO.method, LATER)
    assert callback.source is Source.TWILIO
    assert callback.parameters == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", WIRELESS_NAME),
        ("SimSid", WIRELESS_SIM_SID),
        ("SimStatus", "active"),
        ("AccountSid", ACCOUNT_SID),
    ]


def test_without_a_url_there_is_no_callback(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    update(tx, WirelessUpdateRequest(status=ACTIVE))
    assert called_back(tx) == []


@pytest.mark.parametrize(
    ("plan", "sid"), [("my_plan", RATE_PLAN_SID), (OTHER_PLAN, OTHER_PLAN), ("", None)]
)
@pytest.mark.parametrize("status", [NEW, CANCELED])
def test_a_new_or_ended_sim_gets_its_plan_at_once(
    tx: MemoryTransaction, plan: str, sid: str | None, status: WirelessStatus
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    updated = update(tx, WirelessUpdateRequest(rate_plan=plan, told=TO))
    assert (updated.status, updated.rate_plan_sid) == (status, sid)
    assert tx.wireless.sims.get(WIRELESS_SIM_SID) == updated
    assert (len(called_back(tx)), tx.tasks.next_due()) == (1, None)


# ---- changes by the network ----------------------------------------------------------------------


def test_a_pending_change_has_its_target_callback_and_due_time(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    updated = update(tx, WirelessUpdateRequest(status=SUSPENDED, rate_plan="other_plan", told=TO))
    assert updated == a_wireless_sim(status=UPDATING, date_updated=LATER)
    assert tx.wireless.sims.get(WIRELESS_SIM_SID) == updated
    assert tx.wireless.sim_updates.get(WIRELESS_SIM_SID) == a_wireless_update(
        from_status=ACTIVE, to_status=SUSPENDED, to_rate_plan_sid=OTHER_PLAN, told=TO
    )
    task = ScheduledTask(TaskKind.CHANGE_SIM, WIRELESS_SIM_SID, ACCOUNT_SID, LATER + TAKES)
    assert tx.tasks.claim(LATER + DAY, limit=9) == [task]
    assert called_back(tx) == []


def test_a_change_that_the_operator_begins_later_is_scheduled(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(unique_name="meter+operator-busy"))
    assert update(tx, WirelessUpdateRequest(status=SUSPENDED)).status is SCHEDULED
    (task,) = tx.tasks.claim(LATER + DAY, limit=9)
    assert task == ScheduledTask(
        TaskKind.TAKE_ON_CHANGE, WIRELESS_SIM_SID, ACCOUNT_SID, LATER + TAKES + DAY / 24
    )


def test_a_plan_is_removed_with_the_deactivation(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    update(tx, WirelessUpdateRequest(status=DEACTIVATED, rate_plan=""))
    assert tx.wireless.sim_updates.get(WIRELESS_SIM_SID) == a_wireless_update(
        to_status=DEACTIVATED, to_rate_plan_sid=None, told=NO_TARGET
    )


@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_reset_begins_at_once_and_has_its_callback_url(
    tx: MemoryTransaction, status: WirelessStatus
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    updated = update(tx, WirelessUpdateRequest(resets=True, told=TO))
    resetting = a_wireless_sim(status=status, is_resetting=True, reset_to=TO, date_updated=LATER)
    assert updated == tx.wireless.sims.get(WIRELESS_SIM_SID) == resetting
    task = ScheduledTask(TaskKind.RESET_SIM, WIRELESS_SIM_SID, ACCOUNT_SID, LATER + TAKES)
    assert tx.tasks.claim(LATER + DAY, limit=9) == [task]
    assert called_back(tx) == []


def test_a_reset_and_another_plan_can_be_requested_together(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim())
    updated = update(tx, WirelessUpdateRequest(rate_plan="other_plan", resets=True, told=TO))
    assert (updated.status, updated.is_resetting) == (UPDATING, True)
    assert {task.step for task in tx.tasks.claim(LATER + DAY, limit=9)} == {
        TaskKind.CHANGE_SIM,
        TaskKind.RESET_SIM,
    }


# ---- refused updates -----------------------------------------------------------------------------

REFUSED: Final[Mapping[str, tuple[WirelessSim, WirelessUpdateRequest, type[ApiError], int]]] = {
    "a name that is taken": (
        a_wireless_sim(),
        WirelessUpdateRequest("taken"),
        InvalidParameter,
        33101,
    ),
    "the SID of another SIM for a name": (
        a_wireless_sim(),
        WirelessUpdateRequest(OTHER_SIM),
        InvalidParameter,
        33101,
    ),
    "a plan that isn't there": (
        a_wireless_sim(),
        WirelessUpdateRequest(rate_plan="nobody's"),
        InvalidParameter,
        33108,
    ),
    "a plan of another account": (
        a_wireless_sim(),
        WirelessUpdateRequest(rate_plan=CHILDS_PLAN),
        InvalidParameter,
        33108,
    ),
    "active without a plan": (
        a_wireless_sim(status=NEW, rate_plan_sid=None),
        WirelessUpdateRequest(status=ACTIVE),
        InvalidParameter,
        33104,
    ),
    "no plan while active": (
        a_wireless_sim(),
        WirelessUpdateRequest(rate_plan=""),
        InvalidParameter,
        33104,
    ),
    "from active to ready": (
        a_wireless_sim(),
        WirelessUpdateRequest(status=READY),
        InvalidParameter,
        33105,
    ),
    "canceled": (a_wireless_sim(), WirelessUpdateRequest(status=CANCELED), InvalidParameter, 33105),
    "a plan that roams for a Narrowband SIM": (
        a_wireless_sim(is_narrowband=True),
        WirelessUpdateRequest(rate_plan="roaming_plan"),
        InvalidParameter,
        33105,
    ),
    "a status while scheduled": (
        a_wireless_sim(status=SCHEDULED),
        WirelessUpdateRequest(status=SUSPENDED),
        Conflict,
        33010,
    ),
    "a plan while updating": (
        a_wireless_sim(status=UPDATING),
        WirelessUpdateRequest(rate_plan="other_plan"),
        Conflict,
        33010,
    ),
    "suspended and no plan": (
        a_wireless_sim(),
        WirelessUpdateRequest(status=SUSPENDED, rate_plan=""),
        InvalidParameter,
        33121,
    ),
    "a status and a reset": (
        a_wireless_sim(),
        WirelessUpdateRequest(status=ACTIVE, resets=True),
        InvalidParameter,
        33121,
    ),
    "a reset while one runs": (
        a_wireless_sim(is_resetting=True),
        WirelessUpdateRequest(resets=True),
        Conflict,
        33120,
    ),
    **{
        f"a reset while {status}": (
            a_wireless_sim(status=status),
            WirelessUpdateRequest(resets=True),
            InvalidParameter,
            33119,
        )
        for status in (NEW, SUSPENDED, DEACTIVATED, CANCELED, SCHEDULED, UPDATING)
    },
    "a reset and another plan while suspended": (
        a_wireless_sim(status=SUSPENDED),
        WirelessUpdateRequest(rate_plan="other_plan", resets=True),
        InvalidParameter,
        33119,
    ),
    "another account while active": (
        a_wireless_sim(),
        WirelessUpdateRequest(account_sid=CHILD),
        InvalidParameter,
        33201,
    ),
    "an account that is not a subaccount": (
        a_wireless_sim(status=NEW),
        WirelessUpdateRequest(account_sid=STRANGER),
        InvalidParameter,
        33201,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_update_has_its_code_and_changes_nothing(
    tx: MemoryTransaction, what: str
) -> None:
    sim, asked, kind, code = REFUSED[what]
    tx.wireless.sims.add(sim)
    tx.wireless.sims.add(a_wireless_sim(sid=OTHER_SIM, iccid=OTHER_ICCID, unique_name="taken"))
    before = content_of(tx)
    with pytest.raises(kind) as refused:
        update(
            tx,
            asked._replace(
                unique_name=asked.unique_name or "renamed", friendly_name="New", told=TO
            ),
        )
    assert refused.value.code == code
    assert content_of(tx) == before


@pytest.mark.parametrize("sim", ["nobody", ""])
def test_an_unknown_sim_is_not_updated(tx: MemoryTransaction, sim: str) -> None:
    with pytest.raises(NotFound):
        update(tx, WirelessUpdateRequest("renamed"), sim)


@pytest.mark.parametrize("plan", ["my_plan", "other_plan"])
def test_a_narrowband_sim_can_get_a_plan_without_roaming(tx: MemoryTransaction, plan: str) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW, is_narrowband=True))
    assert update(tx, WirelessUpdateRequest(status=ACTIVE, rate_plan=plan)).status is UPDATING


# ---- moving to another account -------------------------------------------------------------------


def test_a_new_sim_is_moved_to_a_subaccount_and_leaves_its_plan(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    update(tx, WirelessUpdateRequest(account_sid=CHILD))
    assert tx.wireless.sims.get(WIRELESS_SIM_SID) == a_wireless_sim(
        account_sid=CHILD, status=NEW, rate_plan_sid=None, date_updated=LATER
    )
    assert tx.wireless.sims.find(ACCOUNT_SID, WIRELESS_SIM_SID) is None


def test_a_sim_is_moved_and_activated_with_a_plan_of_its_new_account(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    update(
        tx,
        WirelessUpdateRequest(account_sid=CHILD, rate_plan="childs_plan", status=ACTIVE, told=TO),
    )
    assert tx.wireless.sim_updates.get(WIRELESS_SIM_SID) == a_wireless_update(
        account_sid=CHILD, from_status=NEW, to_status=ACTIVE, to_rate_plan_sid=CHILDS_PLAN, told=TO
    )


def test_a_plan_of_the_old_account_cannot_be_used_in_the_new_one(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    with pytest.raises(InvalidParameter) as refused:
        update(tx, WirelessUpdateRequest(account_sid=CHILD, rate_plan="my_plan"))
    assert refused.value.code == 33108


def test_a_moved_sim_is_not_activated_without_a_plan(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    with pytest.raises(InvalidParameter) as refused:
        update(tx, WirelessUpdateRequest(account_sid=CHILD, status=ACTIVE))
    assert refused.value.code == 33104


@pytest.mark.parametrize("status", WirelessStatus)
def test_a_sim_may_be_moved_to_its_own_account(
    tx: MemoryTransaction, status: WirelessStatus
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    update(tx, WirelessUpdateRequest(account_sid=ACCOUNT_SID))
    assert tx.wireless.sims.get(WIRELESS_SIM_SID) == a_wireless_sim(
        status=status, date_updated=LATER
    )


def test_a_sim_whose_name_is_taken_in_the_new_account_needs_another(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    tx.wireless.sims.add(a_wireless_sim(sid=OTHER_SIM, account_sid=CHILD, iccid=OTHER_ICCID))
    with pytest.raises(InvalidParameter) as refused:
        update(tx, WirelessUpdateRequest(account_sid=CHILD))
    assert refused.value.code == 33101
    moved = update(tx, WirelessUpdateRequest("another", account_sid=CHILD))
    assert (moved.account_sid, moved.unique_name) == (CHILD, "another")


# ---- deleting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, WIRELESS_NAME])
@pytest.mark.parametrize("status", [NEW, SUSPENDED, DEACTIVATED, CANCELED])
def test_a_disconnected_sim_can_be_deleted(
    tx: MemoryTransaction, status: WirelessStatus, sim: str
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    delete_sim(tx, ACCOUNT_SID, sim, a_context())
    assert tx.wireless.sims.records == {}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (READY, InvalidParameter, 33105),
        (ACTIVE, InvalidParameter, 33105),
        (SCHEDULED, Conflict, 33010),
        (UPDATING, Conflict, 33010),
    ],
)
def test_a_connected_or_changing_sim_cannot_be_deleted(
    tx: MemoryTransaction, status: WirelessStatus, kind: type[ApiError], code: int
) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=status))
    before = content_of(tx)
    with pytest.raises(kind) as refused:
        delete_sim(tx, ACCOUNT_SID, WIRELESS_SIM_SID, a_context())
    assert refused.value.code == code
    assert content_of(tx) == before


def test_a_sim_of_another_account_cannot_be_deleted(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=NEW))
    with pytest.raises(NotFound):
        delete_sim(tx, THEIRS, WIRELESS_SIM_SID, a_context())
    assert list(tx.wireless.sims.records) == [WIRELESS_SIM_SID]


def test_a_deleted_sim_has_no_more_tasks_and_no_callback() -> None:
    world = World(replace(sim_that_is(ACTIVE), is_resetting=True, reset_to=ASKS))
    world.context().put_off(world.tx, TaskKind.RESET_SIM, world.sim, NOW + DAY)
    world.choose(SCENARIOS["slow"])
    world.update(DEACTIVATED, told=ASKS)
    world.advance(20 * TAKES)
    assert {step for _, step in world.tx.tasks.tasks} == {TaskKind.FINALIZE_SIM, TaskKind.RESET_SIM}
    delete_sim(world.tx, ACCOUNT_SID, WIRELESS_SIM_SID, world.context())
    assert (world.tx.tasks.tasks, world.tx.scenarios.names) == ({}, {})
    world.advance(365 * DAY)
    assert [told["SimStatus"] for told in world.reported()] == ["deactivated"]


def test_usage_and_commands_of_a_deleted_sim_stay() -> None:
    world = World(sim_that_is(ACTIVE), data_per_day=1_000_000)
    command = world.send()
    world.advance(DAY)
    world.become(SUSPENDED)
    sessions = copy.deepcopy(world.tx.wireless.sessions)
    delete_sim(world.tx, ACCOUNT_SID, WIRELESS_SIM_SID, world.context())
    world.advance(DAY)
    assert world.tx.wireless.sessions == sessions
    assert world.tx.wireless.commands.get(command.sid) is not None
    assert len(world.tx.wireless.command_uses.uses) == 1


def test_a_card_whose_sim_was_deleted_can_be_registered_again(tx: MemoryTransaction) -> None:
    tx.wireless.sims.add(a_wireless_sim(status=CANCELED))
    delete_sim(tx, ACCOUNT_SID, WIRELESS_SIM_SID, a_context())
    assert register(tx, SimCardRegistration(WIRELESS_ICCID)).status is NEW
