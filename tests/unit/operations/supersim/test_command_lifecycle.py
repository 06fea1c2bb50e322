"""The life cycle of SMS and IP Commands, and the callbacks about it, in a store in memory."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import MessageStatus, PayloadType
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    SCENARIOS,
    CarrierFailure,
    CarrierTimeout,
    TaskKind,
)
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SimStatus
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.supersim.commands import (
    NewIpCommand,
    NewSmsCommand,
    send_datagram,
    send_sms,
)
from ringback.operations.supersim.device_actions import transfer_data
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_context, a_fleet, a_sim
from tests.unit.operations.supersim.bench import URL, World
from tests.unit.operations.worlds import DAY, INSTANT

ADDRESS: Final = "100.64.0.123"
FAILURE: Final = CarrierFailure(20500, "it could not be sent")


def world_with(status: SimStatus = SimStatus.ACTIVE, fleet: Fleet | None = None) -> World:
    return World(a_sim(status=status, device_ip=ADDRESS), fleet)


def sms(world: World) -> str:
    return send_sms(
        world.tx, ACCOUNT_SID, NewSmsCommand(SIM_SID, "hello", CallbackTarget(URL)), world.context()
    ).sid


def datagram(world: World) -> str:
    new = NewIpCommand(SIM_SID, "hello", PayloadType.TEXT, 7070, CallbackTarget(URL))
    return send_datagram(world.tx, ACCOUNT_SID, new, world.context()).sid


def sms_in(world: World) -> SmsCommand:
    (command,) = world.tx.supersim.sms_commands.records.values()
    return command


def datagram_in(world: World) -> IpCommand:
    (command,) = world.tx.supersim.ip_commands.records.values()
    return command


def statuses_reported(world: World) -> list[tuple[str, str | None]]:
    return [(told["Status"], told.get("ErrorCode")) for told in world.reported()]


# ---- SMS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [SimStatus.READY, SimStatus.ACTIVE])
def test_an_sms_is_sent_and_then_delivered_and_each_is_reported_once(status: SimStatus) -> None:
    world = world_with(status)
    sid = sms(world)
    world.advance(TAKES - INSTANT)
    assert (sms_in(world).status, world.reported()) == (MessageStatus.QUEUED, [])
    world.advance(INSTANT)
    assert (sms_in(world).status, sms_in(world).date_updated) == (MessageStatus.SENT, NOW + TAKES)
    assert statuses_reported(world) == [("sent", None)]
    assert world.due(TaskKind.CONFIRM_SMS, sid) == NOW + 2 * TAKES
    world.advance(DAY)
    assert sms_in(world).status is MessageStatus.DELIVERED
    assert statuses_reported(world) == [("sent", None), ("delivered", None)]


@pytest.mark.parametrize(
    ("result", "message"),
    [(FAILURE, "it could not be sent"), (CarrierTimeout(), "the network did not answer")],
)
def test_an_sms_that_cannot_be_sent_fails_and_is_reported_once(
    result: CarrierFailure | CarrierTimeout, message: str
) -> None:
    world = world_with()
    world.results[TaskKind.SEND_SMS] = result
    sms(world)
    world.advance(DAY)
    assert sms_in(world).status is MessageStatus.FAILED
    assert statuses_reported(world) == [("failed", "20500")]
    assert world.reported()[0]["ErrorMessage"] == message


def test_a_sent_sms_can_still_fail() -> None:
    world = world_with()
    world.results[TaskKind.CONFIRM_SMS] = FAILURE
    sms(world)
    world.advance(DAY)
    assert sms_in(world).status is MessageStatus.FAILED
    assert statuses_reported(world) == [("sent", None), ("failed", "20500")]


def test_an_unconfirmed_sms_stays_sent_forever() -> None:
    world = world_with()
    world.results[TaskKind.CONFIRM_SMS] = CarrierTimeout()
    sms(world)
    world.advance(30 * DAY)
    assert sms_in(world).status is MessageStatus.SENT
    assert statuses_reported(world) == [("sent", None)]


def test_without_sms_in_the_fleet_an_sms_fails_and_is_reported() -> None:
    world = world_with(fleet=a_fleet(sms_commands_enabled=False))
    sms(world)
    datagram(world)
    world.advance(DAY)
    assert sms_in(world).status is MessageStatus.FAILED
    assert statuses_reported(world) == [("failed", "20500"), ("sent", None)]


# ---- datagrams -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [SimStatus.READY, SimStatus.ACTIVE])
def test_a_datagram_is_sent_to_its_devices_address_and_reported_once(status: SimStatus) -> None:
    world = world_with(status)
    datagram(world)
    world.advance(TAKES)
    command = datagram_in(world)
    assert (command.status, command.device_ip) == (IpStatus.SENT, ADDRESS)
    world.advance(DAY)
    assert statuses_reported(world) == [("sent", None)]
    assert world.reported()[0]["DeviceIp"] == ADDRESS


@pytest.mark.parametrize(
    ("result", "code"), [(CarrierFailure(83401, "gone"), "83401"), (CarrierTimeout(), "83400")]
)
def test_a_datagram_that_cannot_be_sent_fails_and_is_reported_once(
    result: CarrierFailure | CarrierTimeout, code: str
) -> None:
    world = world_with()
    world.results[TaskKind.SEND_IP] = result
    datagram(world)
    world.advance(DAY)
    command = datagram_in(world)
    assert (command.status, command.device_ip) == (IpStatus.FAILED, None)
    assert statuses_reported(world) == [("failed", code)]


def test_without_data_in_the_fleet_a_datagram_fails_and_is_reported() -> None:
    world = world_with(fleet=a_fleet(data_enabled=False))
    datagram(world)
    sms(world)
    world.advance(TAKES)
    assert statuses_reported(world) == [("failed", "83400"), ("sent", None)]


def test_above_the_data_limit_a_datagram_fails_and_is_reported() -> None:
    world = world_with(fleet=a_fleet(data_limit=1))
    transfer_data(world.tx, world.sim, upload=999_999, download=0, context=world.context())
    datagram(world)
    world.advance(TAKES)
    transfer_data(world.tx, world.sim, upload=1, download=0, context=world.context())
    datagram(world)
    world.advance(TAKES)
    assert statuses_reported(world) == [("sent", None), ("failed", "83401")]


# ---- both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [SimStatus.NEW, SimStatus.INACTIVE])
def test_a_command_to_a_sim_that_is_not_connected_fails_and_is_reported(status: SimStatus) -> None:
    world = world_with(status)
    sms(world)
    datagram(world)
    world.advance(DAY)
    assert (sms_in(world).status, datagram_in(world).status) == ("failed", "failed")
    assert statuses_reported(world) == [("failed", "83401"), ("failed", "83401")]
    told = world.reported()[0]["ErrorMessage"]
    assert told == f"the SIM is {status}, so its device is not attached"


def test_a_command_to_a_sim_without_a_fleet_fails() -> None:
    world = world_with()
    world.tx.supersim.sims.save(replace(world.sim, fleet_sid=None))
    sms(world)
    datagram(world)
    world.advance(DAY)
    assert statuses_reported(world) == [("failed", "83401"), ("failed", "83401")]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (SimStatus.NEW, SimStatus.ACTIVE, [("sent", None), ("sent", None), ("delivered", None)]),
        (SimStatus.ACTIVE, SimStatus.INACTIVE, [("failed", "83401")] * 2),
    ],
)
def test_a_command_waits_for_an_earlier_change_however_late_both_are(
    before: SimStatus, after: SimStatus, told: list[tuple[str, str | None]]
) -> None:
    world = world_with(before)
    world.update(after)
    world.now += INSTANT
    sms(world)
    datagram(world)
    # As after a restart: the change and both commands are overdue, and begin together.
    world.now += DAY
    world.step()
    assert (world.sim.status, world.reported()) == (after, [])
    world.advance(TAKES)
    assert statuses_reported(world) == told


def test_a_command_that_waits_for_a_change_waits_until_that_is_due() -> None:
    world = world_with(SimStatus.NEW)
    command = sms(world)
    world.now += INSTANT
    world.update(SimStatus.ACTIVE)
    assert world.due(TaskKind.SEND_SMS, command) == NOW + TAKES
    world.advance(TAKES - INSTANT)
    assert world.due(TaskKind.SEND_SMS, command) == NOW + INSTANT + TAKES


def test_a_waiting_command_is_not_lost_if_the_network_needs_no_time() -> None:
    world = world_with(SimStatus.NEW)
    world.simulation = SimulationSettings(timedelta(0))
    world.update(SimStatus.ACTIVE)
    sms(world)
    datagram(world)
    world.advance(timedelta(0))
    assert statuses_reported(world) == [("sent", None), ("sent", None), ("delivered", None)]


def test_there_is_no_callback_without_a_url() -> None:
    world = world_with()
    send_sms(world.tx, ACCOUNT_SID, NewSmsCommand(SIM_SID, "hello"), world.context())
    new = NewIpCommand(SIM_SID, "hello", PayloadType.TEXT, 7070)
    send_datagram(world.tx, ACCOUNT_SID, new, world.context())
    world.advance(DAY)
    assert (sms_in(world).status, datagram_in(world).status) == ("delivered", "sent")
    assert world.reported() == []


def test_in_the_scenario_slow_everything_takes_twenty_times_as_long() -> None:
    world = world_with()
    slow = SCENARIOS["slow"]
    choose_scenario(world.tx, ACCOUNT_SID, sim=SIM_SID, scenario=slow, context=a_context())
    sid = sms(world)
    assert world.due(TaskKind.SEND_SMS, sid) == NOW + 20 * TAKES
    assert world.due(TaskKind.SEND_IP, datagram(world)) == NOW + 20 * TAKES
    world.advance(20 * TAKES)
    assert world.due(TaskKind.CONFIRM_SMS, sid) == NOW + 40 * TAKES
    world.update(SimStatus.INACTIVE)
    assert world.due(TaskKind.UPDATE_SIM) == NOW + 40 * TAKES


@pytest.mark.parametrize("step", [TaskKind.SEND_SMS, TaskKind.CONFIRM_SMS, TaskKind.SEND_IP])
def test_a_step_of_a_deleted_command_does_nothing(step: TaskKind) -> None:
    world = world_with()
    task = ScheduledTask(step, "HC" + "0" * 32, ACCOUNT_SID, NOW)
    assert world.begin_task(task) is None
    world.end_task(task, CARRIED_OUT)
    assert world.reported() == []
