"""The life cycle of Programmable Wireless SIMs: changes that come due."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import NO_TARGET
from ringback.core.errors import Conflict
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    SCENARIOS,
    CarrierFailure,
    CarrierTimeout,
    TaskKind,
)
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.wireless.sim import WirelessStatus
from ringback.operations.wireless.device_actions import receive_text
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.unit.operations.wireless.bench import ASKS, ASKS_URL, OTHER_PLAN, World, sim_that_is
from tests.unit.operations.worlds import DAY, INSTANT
from tests.wireless_fakes import (
    RATE_PLAN_SID,
    WIRELESS_SIM_SID,
    a_rate_plan,
    a_target,
    a_wireless_sim,
)

NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED, SCHEDULED, UPDATING = WirelessStatus
FAILURE: Final = CarrierFailure(33000, "the SIM could not be updated")
HOUR: Final = timedelta(hours=1)
IN_72_HOURS: Final = timedelta(hours=72)
IN_3_MONTHS: Final = datetime(2024, 10, 3, 14, 40, 58, tzinfo=UTC)
LATER_URL: Final = "http://127.0.0.1:9000/later"
LATER_ASKS: Final = a_target(LATER_URL)


def world_with(status: WirelessStatus, *, data_per_day: int = 0) -> World:
    world = World(sim_that_is(status), data_per_day=data_per_day)
    world.tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other_plan"))
    return world


def promised(status: WirelessStatus) -> World:
    """Return a world whose SIM has a callback URL for its final status."""
    world = world_with(status)
    world.tx.wireless.sims.save(replace(world.sim, final_to=ASKS))
    return world


def send_five(world: World) -> None:
    for _ in range(5):
        world.send()
    world.advance(TAKES)


# ---- changes -------------------------------------------------------------------------------------


def test_a_completed_change_has_all_its_consequences() -> None:
    world = world_with(NEW, data_per_day=1_000_000)
    world.update(READY, rate_plan="other_plan", told=ASKS)
    assert (world.sim.status, world.sim.rate_plan_sid) == (UPDATING, RATE_PLAN_SID)
    world.advance(TAKES)
    done = NOW + TAKES
    assert world.sim == a_wireless_sim(
        status=READY,
        rate_plan_sid=OTHER_PLAN,
        date_updated=done,
        status_since=done,
        metered_since=done,
        final_to=ASKS,
    )
    assert world.reported_where() == [(ASKS_URL, "ready")]
    (session,) = world.tx.wireless.sessions.sessions.values()
    assert (session.date_created, session.rate_plan_sid) == (done, OTHER_PLAN)
    assert world.due(TaskKind.FINALIZE_SIM) is not None
    assert world.tx.wireless.sim_updates.get(WIRELESS_SIM_SID) is None


@pytest.mark.parametrize("result", [FAILURE, CarrierTimeout()])
def test_a_failed_change_leaves_everything_unchanged_and_reports_why(
    result: CarrierFailure | CarrierTimeout,
) -> None:
    world = world_with(NEW, data_per_day=1_000_000)
    world.results[TaskKind.CHANGE_SIM] = result
    world.update(ACTIVE, rate_plan="other_plan", told=ASKS)
    world.advance(TAKES)
    assert world.sim == a_wireless_sim(status=NEW, date_updated=NOW + TAKES)
    (told,) = world.reported()
    assert (told["SimStatus"], told["ErrorCode"]) == ("new", "33000")
    assert world.tx.wireless.sessions.sessions == {}
    assert world.tx.tasks.tasks == {}


def test_in_the_scenario_update_fails_a_change_fails() -> None:
    world = world_with(ACTIVE)
    world.choose(SCENARIOS["update-fails"])
    world.update(SUSPENDED, told=ASKS)
    world.advance(DAY)
    assert world.sim.status is ACTIVE
    assert [(told["SimStatus"], told["ErrorCode"]) for told in world.reported()] == [
        ("active", "33000")
    ]


def test_changing_only_the_plan_is_called_back_once() -> None:
    world = world_with(ACTIVE, data_per_day=1_000_000)
    world.update(rate_plan="other_plan", told=ASKS)
    assert world.sim.status is UPDATING
    world.advance(DAY)
    assert (world.sim.status, world.sim.rate_plan_sid) == (ACTIVE, OTHER_PLAN)
    assert world.reported_where() == [(ASKS_URL, "active")]
    plans = [session.rate_plan_sid for session in world.tx.wireless.sessions.sessions.values()]
    assert plans == [RATE_PLAN_SID, OTHER_PLAN]


# ---- a change that the operator begins later -----------------------------------------------------


def test_a_change_that_must_wait_for_the_operator_is_scheduled_and_reported_when_done() -> None:
    world = world_with(ACTIVE)
    world.choose(SCENARIOS["operator-busy"])
    world.update(SUSPENDED, told=ASKS)
    assert world.sim.status is SCHEDULED
    world.advance(HOUR + TAKES - INSTANT)
    assert world.sim.status is SCHEDULED
    world.advance(INSTANT)
    assert (world.sim.status, world.sim.date_updated) == (UPDATING, NOW + HOUR + TAKES)
    world.advance(TAKES - INSTANT)
    assert (world.sim.status, world.reported()) == (UPDATING, [])
    world.advance(INSTANT)
    assert (world.sim.status, world.sim.date_updated) == (SUSPENDED, NOW + HOUR + 2 * TAKES)
    world.advance(DAY)
    assert world.reported_where() == [(ASKS_URL, "suspended")]


def test_a_scheduled_change_can_fail() -> None:
    world = world_with(ACTIVE)
    world.choose(SCENARIOS["operator-busy"])
    world.update(SUSPENDED, told=ASKS)
    world.results[TaskKind.CHANGE_SIM] = FAILURE
    world.advance(DAY)
    assert world.sim.status is ACTIVE
    assert world.reported()[0]["ErrorCode"] == "33000"


@pytest.mark.parametrize("wait", [timedelta(0), HOUR + TAKES])
def test_during_a_scheduled_or_running_change_there_is_no_other(wait: timedelta) -> None:
    world = world_with(ACTIVE)
    world.choose(SCENARIOS["operator-busy"])
    world.update(SUSPENDED)
    world.advance(wait)
    with pytest.raises(Conflict) as refused:
        world.update(DEACTIVATED)
    assert refused.value.code == 33010
    world.advance(DAY)
    assert world.sim.status is SUSPENDED


def test_only_a_scheduled_change_is_begun() -> None:
    world = world_with(ACTIVE)
    world.tx.tasks.put(ScheduledTask(TaskKind.TAKE_ON_CHANGE, WIRELESS_SIM_SID, ACCOUNT_SID, NOW))
    world.step()
    assert world.sim == sim_that_is(ACTIVE)


# ---- from new through ready to active ------------------------------------------------------------

WAYS: Final[Mapping[str, Callable[[World], None]]] = {
    "three months": lambda world: world.advance(IN_3_MONTHS - NOW),
    "five Commands to it": send_five,
    "250 KB": lambda world: world.use(200_000, 50_000),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_sim_that_becomes_ready_is_called_back_again_when_it_is_active(way: str) -> None:
    world = world_with(NEW)
    world.update(READY, told=ASKS)
    world.advance(TAKES)
    assert world.reported_where() == [(ASKS_URL, "ready")]
    WAYS[way](world)
    world.step()
    assert world.sim == a_wireless_sim(
        status=ACTIVE, date_updated=world.now, metered_since=NOW + TAKES
    )
    world.advance(365 * DAY)
    assert world.reported_where() == [(ASKS_URL, "ready"), (ASKS_URL, "active")]


def test_an_unused_sim_is_ready_until_three_months_are_over() -> None:
    world = promised(READY)
    world.advance(IN_3_MONTHS - NOW - INSTANT)
    assert (world.sim.status, world.reported()) == (READY, [])
    world.advance(INSTANT)
    assert (world.sim.status, world.sim.date_updated) == (ACTIVE, IN_3_MONTHS)
    assert world.reported_where() == [(ASKS_URL, "active")]


def test_a_sim_is_ready_until_its_fifth_command() -> None:
    world = world_with(READY)
    for number in range(1, 5):
        world.send()
        world.advance(TAKES)
        assert (world.sim.status, world.sim.commands_while_ready) == (READY, number)
    world.send()
    world.advance(TAKES)
    assert (world.sim.status, world.sim.commands_while_ready) == (ACTIVE, 0)


def test_commands_from_a_device_do_not_activate_its_sim() -> None:
    world = world_with(READY)
    for _ in range(9):
        receive_text(world.tx, world.sim, "ping", world.context())
    world.advance(DAY)
    assert (world.sim.status, world.sim.commands_while_ready) == (READY, 0)


def test_commands_that_fail_do_not_activate_a_sim() -> None:
    world = world_with(READY)
    world.results[TaskKind.SEND_COMMAND] = CarrierFailure(33000, "it could not be sent")
    send_five(world)
    assert (world.sim.status, world.sim.commands_while_ready) == (READY, 0)


def test_a_sim_is_ready_until_its_250_000th_byte() -> None:
    world = world_with(READY)
    world.use(249_999)
    world.step()
    assert world.sim.status is READY
    world.use(0, 1)
    world.step()
    assert world.sim.status is ACTIVE


def test_a_sim_is_ready_until_its_automatic_usage_has_grown() -> None:
    world = world_with(READY, data_per_day=1_000_000)
    due = world.due(TaskKind.FINALIZE_SIM)
    assert due is not None
    assert DAY / 6 < due - NOW < DAY / 2
    sessions = world.tx.wireless.sessions.of_sim(WIRELESS_SIM_SID, since=NOW)
    assert sum(sum(one.bytes_between(NOW, due)) for one in sessions) == 250_000
    world.advance(due - NOW - INSTANT)
    assert world.sim.status is READY
    world.advance(INSTANT)
    assert world.sim.status is ACTIVE


# ---- from any status through deactivated to canceled ---------------------------------------------


@pytest.mark.parametrize("status", [NEW, READY, ACTIVE, SUSPENDED])
def test_a_sim_that_is_deactivated_is_called_back_again_when_it_is_canceled(
    status: WirelessStatus,
) -> None:
    world = world_with(status)
    world.update(DEACTIVATED, told=ASKS)
    world.advance(TAKES)
    assert world.sim.status is DEACTIVATED
    assert world.reported_where() == [(ASKS_URL, "deactivated")]
    world.advance(IN_72_HOURS - INSTANT)
    assert world.sim.status is DEACTIVATED
    world.advance(INSTANT)
    assert (world.sim.status, world.sim.date_updated) == (CANCELED, NOW + TAKES + IN_72_HOURS)
    world.advance(365 * DAY)
    assert world.sim.status is CANCELED
    assert world.reported_where() == [(ASKS_URL, "deactivated"), (ASKS_URL, "canceled")]


def test_a_sim_reactivated_in_time_is_not_canceled() -> None:
    world = world_with(ACTIVE)
    world.update(DEACTIVATED, told=ASKS)
    world.advance(IN_72_HOURS)
    world.update(ACTIVE, told=LATER_ASKS)
    world.advance(365 * DAY)
    assert world.sim.status is ACTIVE
    assert world.reported_where() == [(ASKS_URL, "deactivated"), (LATER_URL, "active")]


# ---- receivers of the callback about the final status --------------------------------------------


@pytest.mark.parametrize(
    ("status", "asked", "final"), [(NEW, READY, ACTIVE), (ACTIVE, DEACTIVATED, CANCELED)]
)
def test_without_a_url_neither_status_has_a_callback(
    status: WirelessStatus, asked: WirelessStatus, final: WirelessStatus
) -> None:
    world = world_with(status)
    world.update(asked)
    world.advance(365 * DAY)
    assert (world.sim.status, world.reported()) == (final, [])


def test_the_last_request_decides_the_receiver_of_the_final_status() -> None:
    world = world_with(NEW)
    world.update(READY, told=ASKS)
    world.advance(DAY)
    world.update(DEACTIVATED, told=LATER_ASKS)
    world.advance(DAY + IN_72_HOURS)
    assert world.reported_where() == [
        (ASKS_URL, "ready"),
        (LATER_URL, "deactivated"),
        (LATER_URL, "canceled"),
    ]


def test_a_later_request_without_a_url_cancels_the_final_callback() -> None:
    world = promised(READY)
    world.update(DEACTIVATED)
    world.advance(DAY + IN_72_HOURS)
    assert (world.sim.status, world.reported()) == (CANCELED, [])


@pytest.mark.parametrize("asked", [ACTIVE, SUSPENDED])
def test_a_final_status_caused_by_another_request_has_only_that_ones_callback(
    asked: WirelessStatus,
) -> None:
    world = promised(READY)
    world.update(asked, told=LATER_ASKS)
    world.advance(TAKES)
    assert (world.sim.final_to, world.due(TaskKind.FINALIZE_SIM)) == (NO_TARGET, None)
    world.advance(365 * DAY)
    assert world.reported_where() == [(LATER_URL, asked)]


@pytest.mark.parametrize(("status", "final"), [(READY, ACTIVE), (DEACTIVATED, CANCELED)])
def test_changing_the_plan_leaves_the_final_callback_and_its_time_unchanged(
    status: WirelessStatus, final: WirelessStatus
) -> None:
    world = promised(status)
    due = world.due(TaskKind.FINALIZE_SIM)
    world.update(rate_plan="other_plan", told=LATER_ASKS)
    world.advance(DAY)
    assert world.due(TaskKind.FINALIZE_SIM) == due
    world.advance(365 * DAY)
    assert world.reported_where() == [(LATER_URL, status), (ASKS_URL, final)]


@pytest.mark.parametrize(
    ("status", "asked", "final"), [(READY, DEACTIVATED, ACTIVE), (DEACTIVATED, ACTIVE, CANCELED)]
)
def test_a_failed_change_leaves_the_final_callback_and_its_time_unchanged(
    status: WirelessStatus, asked: WirelessStatus, final: WirelessStatus
) -> None:
    world = promised(status)
    due = world.due(TaskKind.FINALIZE_SIM)
    world.results[TaskKind.CHANGE_SIM] = FAILURE
    world.update(asked, told=LATER_ASKS)
    world.advance(DAY)
    assert (world.sim.status, world.due(TaskKind.FINALIZE_SIM)) == (status, due)
    world.advance(365 * DAY)
    assert world.reported_where() == [(LATER_URL, status), (ASKS_URL, final)]


def test_setting_the_present_status_is_reported_at_once_and_leaves_the_final_callback() -> None:
    world = promised(DEACTIVATED)
    world.update(DEACTIVATED, told=LATER_ASKS)
    assert world.reported_where() == [(LATER_URL, "deactivated")]
    world.advance(IN_72_HOURS)
    assert world.reported_where() == [(LATER_URL, "deactivated"), (ASKS_URL, "canceled")]


# ---- a change that overlaps the final step -------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "asked", "time", "final"),
    [(READY, DEACTIVATED, IN_3_MONTHS - NOW, ACTIVE), (DEACTIVATED, ACTIVE, IN_72_HOURS, CANCELED)],
)
def test_a_final_status_that_came_due_during_a_failing_change_follows_at_once(
    status: WirelessStatus, asked: WirelessStatus, time: timedelta, final: WirelessStatus
) -> None:
    world = promised(status)
    world.results[TaskKind.CHANGE_SIM] = FAILURE
    world.advance(time - INSTANT)
    world.update(asked, told=LATER_ASKS)
    world.advance(INSTANT)
    assert (world.sim.status, world.reported()) == (UPDATING, [])
    world.advance(TAKES - INSTANT)
    assert (world.sim.status, world.sim.date_updated) == (final, NOW + time - INSTANT + TAKES)
    assert world.reported_where() == [(LATER_URL, status), (ASKS_URL, final)]


@pytest.mark.parametrize(
    ("status", "asked", "time"),
    [(READY, SUSPENDED, IN_3_MONTHS - NOW), (DEACTIVATED, ACTIVE, IN_72_HOURS)],
)
def test_a_final_status_that_came_due_during_a_change_to_another_does_not_follow(
    status: WirelessStatus, asked: WirelessStatus, time: timedelta
) -> None:
    world = promised(status)
    world.advance(time - INSTANT)
    world.update(asked, told=LATER_ASKS)
    world.advance(DAY)
    assert (world.sim.status, world.reported_where()) == (asked, [(LATER_URL, asked)])


def test_72_hours_that_end_during_a_change_of_plan_cancel_the_sim_after_that() -> None:
    world = promised(DEACTIVATED)
    world.advance(IN_72_HOURS - INSTANT)
    world.update(rate_plan="other_plan", told=LATER_ASKS)
    world.advance(TAKES)
    assert (world.sim.status, world.sim.rate_plan_sid) == (CANCELED, OTHER_PLAN)
    assert world.reported_where() == [(LATER_URL, "deactivated"), (ASKS_URL, "canceled")]


@pytest.mark.parametrize("status", [NEW, ACTIVE, SUSPENDED, CANCELED])
def test_a_sim_without_a_pending_final_status_is_unchanged(status: WirelessStatus) -> None:
    world = world_with(status)
    assert world.due(TaskKind.FINALIZE_SIM) is None
    world.tx.tasks.put(ScheduledTask(TaskKind.FINALIZE_SIM, WIRELESS_SIM_SID, ACCOUNT_SID, NOW))
    world.step()
    assert world.sim == sim_that_is(status)


# ---- resets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_reset_ends_after_a_while_and_is_reported_with_the_sims_status(
    status: WirelessStatus,
) -> None:
    world = world_with(status)
    world.update(resets=True, told=ASKS)
    assert (world.sim.is_resetting, world.sim.reset_to) == (True, ASKS)
    world.advance(TAKES - INSTANT)
    assert (world.sim.is_resetting, world.reported()) == (True, [])
    world.advance(INSTANT)
    assert world.sim == replace(sim_that_is(status), date_updated=NOW + TAKES)
    assert world.reported_where() == [(ASKS_URL, status)]
    assert "ErrorCode" not in world.reported()[0]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (CarrierFailure(33000, "it could not be reset"), "it could not be reset"),
        (CarrierTimeout(), "the network did not answer"),
    ],
)
def test_a_failing_reset_ends_too_and_is_reported_with_its_error(
    result: CarrierFailure | CarrierTimeout, message: str
) -> None:
    world = world_with(ACTIVE)
    world.results[TaskKind.RESET_SIM] = result
    world.update(resets=True, told=ASKS)
    world.advance(TAKES)
    assert not world.sim.is_resetting
    (told,) = world.reported()
    assert (told["SimStatus"], told["ErrorCode"], told["ErrorMessage"]) == (
        "active",
        "33000",
        message,
    )


def test_in_the_scenario_reset_fails_a_reset_fails() -> None:
    world = world_with(ACTIVE)
    world.choose(SCENARIOS["reset-fails"])
    world.update(resets=True, told=ASKS)
    world.advance(DAY)
    assert [told["ErrorCode"] for told in world.reported()] == ["33000"]


def test_a_reset_without_a_url_has_no_callback() -> None:
    world = world_with(ACTIVE)
    world.update(resets=True)
    world.advance(DAY)
    assert (world.sim.is_resetting, world.reported()) == (False, [])


def test_an_overlapping_reset_and_change_are_both_carried_out_and_reported() -> None:
    world = world_with(ACTIVE)
    world.update(resets=True, told=ASKS)
    world.advance(TAKES / 2)
    world.update(SUSPENDED, told=LATER_ASKS)
    world.advance(TAKES)
    assert (world.sim.status, world.sim.is_resetting) == (SUSPENDED, False)
    assert world.reported_where() == [(ASKS_URL, "updating"), (LATER_URL, "suspended")]


# ---- deleted SIMs, and a network that needs no time ----------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        TaskKind.TAKE_ON_CHANGE,
        TaskKind.CHANGE_SIM,
        TaskKind.FINALIZE_SIM,
        TaskKind.RESET_SIM,
        TaskKind.METER_SIM,
    ],
)
def test_a_step_of_a_deleted_sim_does_nothing(step: TaskKind) -> None:
    world = World()
    task = ScheduledTask(step, "DE" + "0" * 32, ACCOUNT_SID, NOW)
    assert world.begin_task(task) in (None, CARRIED_OUT)
    world.end_task(task, FAILURE)
    assert list(world.tx.wireless.sims.records) == [WIRELESS_SIM_SID]
    assert (world.tx.tasks.tasks, world.reported()) == ({}, [])


def test_if_the_network_needs_no_time_a_change_is_done_at_the_same_instant() -> None:
    world = world_with(NEW)
    world.simulation = SimulationSettings(timedelta(0))
    world.update(READY, told=ASKS)
    world.advance(timedelta(0))
    assert (world.sim.status, world.reported_where()) == (READY, [(ASKS_URL, "ready")])
