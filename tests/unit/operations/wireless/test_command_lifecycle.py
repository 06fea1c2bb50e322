"""The life cycle of Commands, and the callbacks about it, in a store in memory."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    SCENARIOS,
    CarrierFailure,
    CarrierTimeout,
    TaskKind,
)
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.wireless.command import IncludeSid
from ringback.core.wireless.rate_plan import RatePlan, RoamingZone
from ringback.core.wireless.sim import WirelessStatus
from ringback.core.wireless.usage import MeteredCommand
from ringback.operations.wireless.commands import NewWirelessCommand, send_command
from ringback.operations.wireless.device_actions import receive_text
from ringback.operations.wireless.sims import delete_sim
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.unit.operations.wireless.bench import (
    ASKS,
    ASKS_URL,
    OTHER_PLAN,
    World,
    a_card_in,
    sim_that_is,
)
from tests.unit.operations.worlds import DAY, INSTANT
from tests.wireless_fakes import HOME, WIRELESS_NAME, WIRELESS_SIM_SID, a_rate_plan

NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED, SCHEDULED, UPDATING = WirelessStatus
FAILURE: Final = CarrierFailure(33000, "it could not be sent")


@pytest.fixture
def world() -> World:
    return World(sim_that_is(ACTIVE))


def send(world: World, *, wants_receipt: bool) -> str:
    new = NewWirelessCommand(WIRELESS_SIM_SID, "wake up", wants_receipt=wants_receipt, told=ASKS)
    return send_command(world.tx, ACCOUNT_SID, new, world.context()).sid


def statuses_reported(world: World) -> list[tuple[str, str | None]]:
    return [(told["CommandStatus"], told.get("ErrorCode")) for told in world.reported()]


# ---- sent, and confirmed -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_command_is_sent_and_then_delivered_and_reported_once_at_the_end(
    status: WirelessStatus,
) -> None:
    world = World(sim_that_is(status))
    sid = send(world, wants_receipt=True)
    world.advance(TAKES - INSTANT)
    assert world.command().status is MessageStatus.QUEUED
    world.advance(INSTANT)
    assert (world.command().status, world.command().date_updated) == ("sent", NOW + TAKES)
    assert (world.reported(), world.due(TaskKind.CONFIRM_COMMAND, sid)) == ([], NOW + 2 * TAKES)
    world.advance(TAKES)
    assert (world.command().status, world.command().date_updated) == ("delivered", world.now)
    world.advance(DAY)
    (callback,) = world.callbacks()
    assert (callback.url.wire, callback.method) == (ASKS_URL, ASKS.method)
    assert dict(callback.parameters) == {
        "CommandSid": sid,
        "SimSid": WIRELESS_SIM_SID,
        "SimUniqueName": WIRELESS_NAME,
        "AccountSid": ACCOUNT_SID,
        "CommandStatus": "delivered",
        "CommandMode": "text",
        "Command": "wake up",
        "ApiVersion": "v1",
    }


def test_a_command_without_a_receipt_is_finished_once_it_is_sent(world: World) -> None:
    send(world, wants_receipt=False)
    world.advance(TAKES)
    assert statuses_reported(world) == [("sent", None)]
    world.advance(DAY)
    assert (world.command().status, len(world.reported())) == ("sent", 1)


def test_an_unconfirmed_command_stays_sent_and_is_reported_as_sent(world: World) -> None:
    world.results[TaskKind.CONFIRM_COMMAND] = CarrierTimeout()
    send(world, wants_receipt=True)
    world.advance(2 * TAKES)
    assert statuses_reported(world) == [("sent", None)]
    assert (world.command().status, world.command().date_updated) == ("sent", NOW + TAKES)
    world.advance(DAY)
    assert (world.command().status, len(world.reported())) == ("sent", 1)


@pytest.mark.parametrize(
    ("result", "message"),
    [(FAILURE, "it could not be sent"), (CarrierTimeout(), "the network did not answer")],
)
@pytest.mark.parametrize("wants_receipt", [True, False])
def test_a_command_that_cannot_be_sent_fails_and_is_reported_once(
    world: World, result: CarrierFailure | CarrierTimeout, message: str, *, wants_receipt: bool
) -> None:
    world.results[TaskKind.SEND_COMMAND] = result
    send(world, wants_receipt=wants_receipt)
    world.advance(DAY)
    assert world.command().status is MessageStatus.FAILED
    assert statuses_reported(world) == [("failed", "33000")]
    assert world.reported()[0]["ErrorMessage"] == message


def test_a_sent_command_can_still_fail(world: World) -> None:
    world.results[TaskKind.CONFIRM_COMMAND] = FAILURE
    send(world, wants_receipt=True)
    world.advance(DAY)
    assert world.command().status is MessageStatus.FAILED
    assert statuses_reported(world) == [("failed", "33000")]


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        ("normal", ("delivered", None)),
        ("unattached", ("sent", None)),
        ("sms-unconfirmed", ("sent", None)),
        ("sms-fails", ("failed", "33000")),
        ("asleep", ("delivered", None)),
    ],
)
def test_the_result_of_a_command_depends_on_the_scenario(
    world: World, scenario: str, told: tuple[str, str | None]
) -> None:
    world.choose(SCENARIOS[scenario])
    send(world, wants_receipt=True)
    world.advance(2 * DAY)
    assert statuses_reported(world) == [told]


def test_in_the_scenario_slow_a_receipt_comes_later_too(world: World) -> None:
    world.choose(SCENARIOS["slow"])
    sid = send(world, wants_receipt=True)
    world.advance(20 * TAKES)
    assert world.due(TaskKind.CONFIRM_COMMAND, sid) == NOW + 40 * TAKES


def test_there_is_no_callback_without_a_url(world: World) -> None:
    world.send()
    world.advance(DAY)
    assert (world.command().status, world.reported()) == ("delivered", [])


def test_a_device_gets_the_requested_sid_and_the_customer_the_text(world: World) -> None:
    new = NewWirelessCommand(WIRELESS_SIM_SID, "wake up", include_sid=IncludeSid.END, told=ASKS)
    command = send_command(world.tx, ACCOUNT_SID, new, world.context())
    world.advance(DAY)
    assert world.command().message == f"wake up {command.sid}".encode()
    assert world.reported()[0]["Command"] == "wake up"


# ---- failures whatever the network does ----------------------------------------------------------


@pytest.mark.parametrize("status", [SUSPENDED, DEACTIVATED, CANCELED])
def test_a_command_to_a_sim_disconnected_meanwhile_fails_with_33104(
    world: World, status: WirelessStatus
) -> None:
    send(world, wants_receipt=True)
    world.tx.wireless.sims.save(replace(world.sim, status=status))
    world.advance(DAY)
    assert statuses_reported(world) == [("failed", "33104")]
    assert world.reported()[0]["ErrorMessage"] == f"the SIM is {status}"


def test_a_command_to_a_deleted_sim_fails_with_33107_and_has_its_sid(world: World) -> None:
    world.choose(SCENARIOS["asleep"])
    send(world, wants_receipt=True)
    world.become(SUSPENDED)
    delete_sim(world.tx, ACCOUNT_SID, WIRELESS_SIM_SID, world.context())
    world.advance(2 * DAY)
    (told,) = world.reported()
    assert (told["CommandStatus"], told["ErrorCode"]) == ("failed", "33107")
    assert told["SimSid"] == WIRELESS_SIM_SID
    assert "SimUniqueName" not in told


def test_a_command_is_confirmed_although_its_sim_was_deleted_meanwhile(world: World) -> None:
    send(world, wants_receipt=True)
    world.advance(TAKES)
    world.tx.wireless.sims.save(replace(world.sim, status=SUSPENDED))
    delete_sim(world.tx, ACCOUNT_SID, WIRELESS_SIM_SID, world.context())
    world.advance(DAY)
    assert statuses_reported(world) == [("delivered", None)]


def test_a_command_sent_by_the_network_while_its_sim_was_deleted_counts_as_sent(
    world: World,
) -> None:
    sid = send(world, wants_receipt=False)
    world.tx.wireless.sims.remove(WIRELESS_SIM_SID)
    task = ScheduledTask(TaskKind.SEND_COMMAND, sid, ACCOUNT_SID, NOW)
    world.end_task(task, CARRIED_OUT)
    assert statuses_reported(world) == [("sent", None)]
    assert world.tx.wireless.command_uses.uses == []


@pytest.mark.parametrize(
    ("plan", "is_narrowband"),
    [
        pytest.param(a_rate_plan(messaging_enabled=False), False, id="without messages"),
        pytest.param(a_rate_plan(data_enabled=False), True, id="Narrowband without data"),
    ],
)
def test_a_command_that_its_sims_plan_no_longer_allows_fails_with_33203(
    plan: RatePlan, *, is_narrowband: bool
) -> None:
    world = World(replace(sim_that_is(ACTIVE), is_narrowband=is_narrowband))
    send(world, wants_receipt=True)
    world.tx.wireless.rate_plans.save(plan)
    world.advance(DAY)
    assert statuses_reported(world) == [("failed", "33203")]


def test_a_command_to_a_sim_that_has_lost_its_plan_fails_with_33104(world: World) -> None:
    send(world, wants_receipt=True)
    world.tx.wireless.sims.save(replace(world.sim, rate_plan_sid=None))
    world.advance(DAY)
    assert statuses_reported(world) == [("failed", "33104")]


@pytest.mark.parametrize(
    ("roaming", "told"),
    [
        (("data",), ("failed", "33203")),
        (("data", "messaging"), ("delivered", None)),
        (("messaging",), ("delivered", None)),
    ],
)
def test_a_device_abroad_gets_commands_if_its_plan_has_messages_there(
    roaming: tuple[str, ...], told: tuple[str, str | None]
) -> None:
    plan = a_rate_plan(international_roaming=roaming)
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(RoamingZone.INTERNATIONAL, plan)), plan)
    send(world, wants_receipt=True)
    world.advance(DAY)
    assert statuses_reported(world) == [told]


# ---- waiting for a change ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "told"), [(SUSPENDED, ("failed", "33104")), (None, ("delivered", None))]
)
@pytest.mark.parametrize("scenario", ["normal", "operator-busy"])
def test_a_command_waits_for_a_change_that_began_after_it(
    world: World, scenario: str, asked: WirelessStatus | None, told: tuple[str, str | None]
) -> None:
    world.tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other_plan"))
    sid = send(world, wants_receipt=True)
    world.now += INSTANT
    world.choose(SCENARIOS[scenario])
    world.update(asked, rate_plan="other_plan")
    change = world.tx.tasks.due_of(WIRELESS_SIM_SID, TaskKind.CHANGE_SIM) or world.due(
        TaskKind.TAKE_ON_CHANGE
    )
    world.advance(TAKES - INSTANT)
    assert world.command().status is MessageStatus.QUEUED
    assert world.due(TaskKind.SEND_COMMAND, sid) == change
    world.advance(DAY)
    assert statuses_reported(world) == [told]


def test_a_command_waits_for_a_change_however_late_both_are(world: World) -> None:
    send(world, wants_receipt=True)
    world.now += INSTANT
    world.update(SUSPENDED)
    # As after a restart: both are overdue, and begin together.
    world.now += DAY
    world.step()
    assert (world.sim.status, world.reported()) == (SUSPENDED, [])
    world.step()
    assert statuses_reported(world) == [("failed", "33104")]


def test_a_waiting_command_is_not_lost_if_the_network_needs_no_time(world: World) -> None:
    world.simulation = SimulationSettings(timedelta(0))
    send(world, wants_receipt=True)
    world.update(SUSPENDED)
    world.advance(timedelta(0))
    assert statuses_reported(world) == [("failed", "33104")]


# ---- counted usage -------------------------------------------------------------------------------


def test_a_sent_command_counts_as_usage_in_the_last_instant(world: World) -> None:
    send(world, wants_receipt=True)
    world.advance(DAY)
    at = NOW + TAKES - INSTANT
    assert world.tx.wireless.command_uses.uses == [
        MeteredCommand(ACCOUNT_SID, WIRELESS_SIM_SID, HOME.sid, Direction.TO_SIM, at)
    ]


@pytest.mark.parametrize("scenario", ["unattached", "sms-fails"])
def test_only_a_sent_command_counts_as_usage(world: World, scenario: str) -> None:
    world.choose(SCENARIOS[scenario])
    send(world, wants_receipt=True)
    world.advance(DAY)
    count = {"unattached": 1, "sms-fails": 0}[scenario]
    assert len(world.tx.wireless.command_uses.uses) == count


def test_only_for_a_ready_sim_the_commands_to_it_are_counted(world: World) -> None:
    send(world, wants_receipt=True)
    world.advance(DAY)
    assert world.sim.commands_while_ready == 0


# ---- deletion ------------------------------------------------------------------------------------


def test_a_command_is_deleted_after_30_days_and_its_usage_is_not(world: World) -> None:
    send(world, wants_receipt=True)
    received = receive_text(world.tx, world.sim, "ping", world.context())
    world.advance(30 * DAY - INSTANT)
    assert len(world.tx.wireless.commands.records) == 2
    assert world.due(TaskKind.FORGET_COMMAND, received.sid) == NOW + 30 * DAY
    world.advance(INSTANT)
    assert world.tx.wireless.commands.records == {}
    assert {sid for sid, _ in world.tx.tasks.tasks} == {WIRELESS_SIM_SID}
    assert len(world.tx.wireless.command_uses.uses) == 2
    assert statuses_reported(world) == [("delivered", None)]


def test_a_command_is_not_deleted_before_its_end_is_reported(world: World) -> None:
    send(world, wants_receipt=True)
    # As after a month without a process: both its sending and its deletion are due.
    world.now += 31 * DAY
    world.step()
    assert (world.command().status, world.reported()) == ("sent", [])
    world.advance(TAKES)
    assert statuses_reported(world) == [("delivered", None)]
    assert world.tx.wireless.commands.records == {}


@pytest.mark.parametrize(
    "step", [TaskKind.SEND_COMMAND, TaskKind.CONFIRM_COMMAND, TaskKind.FORGET_COMMAND]
)
def test_a_step_of_a_deleted_command_does_nothing(world: World, step: TaskKind) -> None:
    task = ScheduledTask(step, "DC" + "0" * 32, ACCOUNT_SID, NOW)
    assert world.begin_task(task) is None
    world.end_task(task, CARRIED_OUT)
    assert (world.reported(), world.tx.wireless.commands.records) == ([], {})
