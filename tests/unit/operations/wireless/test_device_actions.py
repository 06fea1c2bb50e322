"""Devices of Programmable Wireless SIMs send Commands and use data."""

import copy
import re
from base64 import b64encode
from dataclasses import replace
from typing import Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import BacklogFull, InvalidParameter
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import network_with
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.command import CommandTransport, WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan, RoamingZone, zone_of
from ringback.core.wireless.sim import WirelessStatus
from ringback.core.wireless.usage import MeteredCommand
from ringback.operations.wireless.device_actions import (
    note_use,
    receive_bytes,
    receive_text,
    transfer_data,
)
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, a_context
from tests.unit.operations.wireless.bench import World, a_card_in, sim_that_is
from tests.unit.operations.worlds import DAY, INSTANT
from tests.wireless_fakes import (
    HOME,
    WIRELESS_NAME,
    WIRELESS_SIM_SID,
    a_command,
    a_rate_plan,
    a_target,
)

ACTIVE, READY = WirelessStatus.ACTIVE, WirelessStatus.READY
OTHERS: Final = [status for status in WirelessStatus if status not in (ACTIVE, READY)]
TO: Final = "http://127.0.0.1:9000/commands"


def world_with(
    status: WirelessStatus = ACTIVE, plan: RatePlan | None = None, *, is_narrowband: bool = False
) -> World:
    """Return a world whose SIM has a callback URL for Commands from its device."""
    told = a_target(TO, HttpMethod.GET)
    sim = replace(sim_that_is(status), commands_to=told, is_narrowband=is_narrowband)
    return World(sim, plan)


def text(world: World, sent: str) -> WirelessCommand:
    return receive_text(world.tx, world.sim, sent, world.context())


def binary(world: World, sent: bytes) -> WirelessCommand:
    return receive_bytes(world.tx, world.sim, sent, world.context())


# ---- received ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_text_from_a_device_is_received_and_called_back(status: WirelessStatus) -> None:
    world = world_with(status)
    command = text(world, "ping")
    assert re.fullmatch("DC[0-9a-f]{32}", command.sid)
    assert command == a_command(
        sid=command.sid,
        command="ping",
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        delivery_receipt_requested=False,
    )
    assert world.command() == command
    (callback,) = world.callbacks()
    assert (callback.url.wire, callback.method, callback.progress.due) == (TO, HttpMethod.GET, NOW)
    assert dict(callback.parameters) == {
        "CommandSid": command.sid,
        "SimSid": WIRELESS_SIM_SID,
        "SimUniqueName": WIRELESS_NAME,
        "AccountSid": ACCOUNT_SID,
        "CommandStatus": "received",
        "CommandMode": "text",
        "Command": "ping",
        "ApiVersion": "v1",
    }


def test_bytes_from_a_device_are_received_in_base64_and_called_back() -> None:
    world = world_with()
    command = binary(world, b"\x00\xff")
    assert (command.command, command.command_mode) == ("AP8=", PayloadType.BINARY)
    assert command.message == b"\x00\xff"
    (told,) = world.reported()
    assert (told["Command"], told["CommandMode"]) == ("AP8=", "binary")


def test_a_sim_without_a_callback_url_has_no_callback() -> None:
    world = World(sim_that_is(ACTIVE))
    assert text(world, "ping").status is MessageStatus.RECEIVED
    assert world.reported() == []


@pytest.mark.parametrize(
    ("is_narrowband", "transport"), [(False, CommandTransport.SMS), (True, CommandTransport.IP)]
)
def test_a_narrowband_device_sends_by_ip_and_others_by_sms(
    transport: CommandTransport, *, is_narrowband: bool
) -> None:
    world = world_with(is_narrowband=is_narrowband)
    assert (text(world, "ping").transport, binary(world, b"").transport) == (transport, transport)


def test_a_message_from_a_device_can_be_read_for_30_days() -> None:
    world = world_with()
    sids = [text(world, "ping").sid, binary(world, b"ping").sid]
    assert [world.due(TaskKind.FORGET_COMMAND, sid) for sid in sids] == [NOW + 30 * DAY] * 2
    world.advance(30 * DAY)
    assert world.tx.wireless.commands.records == {}


# ---- truncated, or refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept", "code"),
    [
        ("x" * 160, "x" * 160, None),
        ("x" * 160 + "y", "x" * 160, "33111"),
        ("\xff" * 1000, "\xff" * 160, "33111"),
        ("x" * 160 + "\u20ac", "x" * 160, "33111"),
    ],
)
def test_a_text_that_is_too_long_is_truncated_and_its_callback_says_so(
    sent: str, kept: str, code: str | None
) -> None:
    world = world_with()
    assert text(world, sent).command == kept
    (told,) = world.reported()
    assert (told["Command"], told.get("ErrorCode")) == (kept, code)
    assert told["CommandStatus"] == "received"


@pytest.mark.parametrize(
    ("size", "kept", "code"), [(140, 140, None), (141, 140, "33111"), (5000, 140, "33111")]
)
def test_excess_bytes_are_truncated_and_their_callback_says_so(
    size: int, kept: int, code: str | None
) -> None:
    world = world_with()
    sent = (bytes(range(256)) * 20)[:size]
    assert binary(world, sent).command == b64encode(sent[:kept]).decode()
    assert [told.get("ErrorCode") for told in world.reported()] == [code]


def test_a_device_cannot_send_an_impossible_text() -> None:
    world = world_with()
    with pytest.raises(InvalidParameter) as refused:
        text(world, "5 \u20ac")
    assert refused.value.code == 33101
    assert (world.tx.wireless.commands.records, world.reported()) == ({}, [])


@pytest.mark.parametrize("status", OTHERS)
def test_the_device_of_a_disconnected_sim_can_do_nothing(status: WirelessStatus) -> None:
    world = world_with(status)
    before = copy.deepcopy((world.tx.wireless, world.tx.tasks))
    for do in (
        lambda: text(world, "ping"),
        lambda: binary(world, b"ping"),
        lambda: transfer_data(world.tx, world.sim, upload=1, download=1, context=world.context()),
    ):
        with pytest.raises(InvalidParameter) as refused:
            do()
        assert (refused.value.code, refused.value.message) == (
            33104,
            f"SIM {WIRELESS_SIM_SID} is {status}; its device can send while it is ready or active",
        )
    assert (world.tx.wireless, world.tx.tasks) == before


def test_the_device_of_a_sim_without_a_plan_can_do_nothing() -> None:
    world = World(replace(sim_that_is(ACTIVE), rate_plan_sid=None))
    with pytest.raises(InvalidParameter) as refused:
        text(world, "ping")
    assert refused.value.code == 33203
    with pytest.raises(InvalidParameter) as refused:
        world.use(1)
    assert refused.value.code == 33201


@pytest.mark.parametrize(
    ("plan", "is_narrowband", "is_heard"),
    [
        (a_rate_plan(), False, True),
        (a_rate_plan(messaging_enabled=False), False, False),
        (a_rate_plan(data_enabled=False), False, True),
        (a_rate_plan(messaging_enabled=False), True, True),
        (a_rate_plan(data_enabled=False), True, False),
    ],
)
def test_a_device_can_send_commands_if_its_plan_has_their_transport(
    plan: RatePlan, *, is_narrowband: bool, is_heard: bool
) -> None:
    world = world_with(plan=plan, is_narrowband=is_narrowband)
    if is_heard:
        assert text(world, "ping").status is MessageStatus.RECEIVED
    else:
        with pytest.raises(InvalidParameter) as refused:
            text(world, "ping")
        assert (refused.value.code, world.reported()) == (33203, [])


@pytest.mark.parametrize(
    ("roaming", "is_heard"),
    [(("data",), False), (("messaging",), True), (("data", "messaging"), True)],
)
def test_a_device_abroad_can_send_commands_if_its_plan_has_messages_there(
    roaming: tuple[str, ...], *, is_heard: bool
) -> None:
    plan = a_rate_plan(international_roaming=roaming)
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(RoamingZone.INTERNATIONAL, plan)), plan)
    if is_heard:
        assert text(world, "ping").status is MessageStatus.RECEIVED
    else:
        with pytest.raises(InvalidParameter) as refused:
            text(world, "ping")
        assert refused.value.code == 33203


def test_if_too_many_callbacks_wait_a_devices_message_is_refused() -> None:
    world = world_with()
    full = a_context(queue=RecordingQueue(room=0))
    before = copy.deepcopy((world.tx.wireless, world.tx.tasks))
    with pytest.raises(BacklogFull):
        receive_text(world.tx, world.sim, "ping", full)
    with pytest.raises(BacklogFull):
        receive_bytes(world.tx, world.sim, b"ping", full)
    assert (world.tx.wireless, world.tx.tasks) == before


def test_a_sim_without_a_callback_needs_no_room() -> None:
    world = World(sim_that_is(ACTIVE))
    receive_text(world.tx, world.sim, "ping", a_context(queue=RecordingQueue(room=0)))
    assert world.command().status is MessageStatus.RECEIVED


# ---- counted -------------------------------------------------------------------------------------


def test_a_message_from_a_device_counts_as_usage_in_the_last_instant() -> None:
    world = world_with()
    text(world, "ping")
    assert world.tx.wireless.command_uses.uses == [
        MeteredCommand(ACCOUNT_SID, WIRELESS_SIM_SID, HOME.sid, Direction.FROM_SIM, NOW - INSTANT)
    ]


def test_a_refused_message_does_not_count() -> None:
    world = world_with(plan=a_rate_plan(messaging_enabled=False))
    with pytest.raises(InvalidParameter):
        text(world, "ping")
    assert world.tx.wireless.command_uses.uses == []


def test_usage_counts_on_the_present_network_of_a_sim() -> None:
    plan = a_rate_plan(international_roaming=("messaging",))
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(RoamingZone.INTERNATIONAL, plan)), plan)
    text(world, "ping")
    (use,) = world.tx.wireless.command_uses.uses
    network = network_with(use.network_sid)
    assert network is not None
    assert zone_of(network) is RoamingZone.INTERNATIONAL
    assert network == world.simulation.network_for(world.sim.iccid, plan.networks)


def test_usage_of_a_sim_without_a_plan_is_on_no_network() -> None:
    world = World(replace(sim_that_is(ACTIVE), rate_plan_sid=None))
    note_use(world.tx, world.sim, Direction.TO_SIM, world.context())
    assert world.tx.wireless.command_uses.uses == []
