"""Devices of Super SIMs send messages and use data, in a store in memory."""

import copy
import re
from base64 import b64encode
from typing import Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import BacklogFull, Conflict, InvalidParameter, NotFound
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.sim import SimStatus
from ringback.operations.supersim.device_actions import (
    download_profile,
    receive_datagram,
    receive_datagram_from,
    receive_sms,
    transfer_data,
)
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_context, a_fleet, a_sim
from tests.memory_store import MemoryTransaction
from tests.unit.core.builders import an_esim_profile
from tests.unit.operations.supersim.bench import TO, World

ADDRESS: Final = "100.64.0.123"
CONNECTED: Final = (SimStatus.READY, SimStatus.ACTIVE)
OTHERS: Final = (SimStatus.NEW, SimStatus.INACTIVE, SimStatus.SCHEDULED)
TELLING: Final = a_fleet(
    sms_commands_url=TO,
    sms_commands_method=HttpMethod.GET,
    ip_commands_url=TO,
    ip_commands_method=HttpMethod.GET,
)


def world_with(status: SimStatus = SimStatus.ACTIVE) -> World:
    return World(a_sim(status=status, device_ip=ADDRESS), TELLING)


def content_of(tx: MemoryTransaction) -> tuple[object, ...]:
    tables = (
        tx.supersim.sims,
        tx.supersim.sms_commands,
        tx.supersim.ip_commands,
        tx.supersim.sessions,
        tx.tasks,
    )
    return copy.deepcopy(tables)


@pytest.mark.parametrize("status", CONNECTED)
def test_an_sms_from_a_device_is_received_and_called_back_to_its_fleet(status: SimStatus) -> None:
    world = world_with(status)
    command = receive_sms(world.tx, world.sim, "hello", world.context())
    assert re.fullmatch("HC[0-9a-f]{32}", command.sid)
    assert command == SmsCommand(
        sid=command.sid,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        payload="hello",
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        date_created=NOW,
        date_updated=NOW,
    )
    assert world.tx.supersim.sms_commands.get(command.sid) == command
    (told,) = world.reported()
    assert (told["Status"], told["Payload"], told["SimUniqueName"]) == (
        "received",
        "hello",
        "my_super_sim",
    )
    (callback,) = world.tx.callbacks.callbacks.values()
    assert (callback.url.wire, callback.method) == (TO, HttpMethod.GET)


@pytest.mark.parametrize("status", CONNECTED)
def test_a_datagram_from_a_device_is_received_in_base_64_and_called_back(status: SimStatus) -> None:
    world = world_with(status)
    command = receive_datagram(world.tx, world.sim, b"\x00\xff", port=7070, context=world.context())
    assert re.fullmatch("HG[0-9a-f]{32}", command.sid)
    assert command == IpCommand(
        sid=command.sid,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        sim_iccid=world.sim.iccid,
        status=IpStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        device_ip=ADDRESS,
        device_port=7070,
        payload_type=PayloadType.BINARY,
        payload="AP8=",
        date_created=NOW,
        date_updated=NOW,
    )
    assert world.tx.supersim.ip_commands.get(command.sid) == command
    (told,) = world.reported()
    assert (told["Status"], told["Payload"], told["DeviceIp"]) == ("received", "AP8=", ADDRESS)
    (callback,) = world.tx.callbacks.callbacks.values()
    assert (callback.url.wire, callback.method) == (TO, HttpMethod.GET)


def test_a_fleet_without_urls_has_no_callbacks() -> None:
    world = World(a_sim())
    receive_sms(world.tx, world.sim, "hello", world.context())
    receive_datagram(world.tx, world.sim, b"hello", port=7070, context=world.context())
    assert world.reported() == []


@pytest.mark.parametrize("size", [0, 1300, 1301, 65507])
def test_a_datagram_that_is_too_long_is_truncated(size: int) -> None:
    world = world_with()
    sent = bytes(range(256)) * 256
    command = receive_datagram(world.tx, world.sim, sent[:size], port=7070, context=world.context())
    assert command.payload == b64encode(sent[: min(size, 1300)]).decode()


def test_a_datagram_belongs_to_the_sim_with_its_address() -> None:
    world = world_with()
    command = receive_datagram_from(world.tx, ADDRESS, b"", port=7070, context=world.context())
    assert (command.sim_sid, command.payload) == (SIM_SID, "")


def test_a_datagram_from_an_unknown_address_is_refused() -> None:
    world = world_with()
    with pytest.raises(NotFound, match=r"no SIM's device has the address 100\.64\.0\.9"):
        receive_datagram_from(world.tx, "100.64.0.9", b"", port=7070, context=world.context())


@pytest.mark.parametrize("status", OTHERS)
def test_the_device_of_a_disconnected_sim_can_do_nothing(status: SimStatus) -> None:
    world = world_with(status)
    before = content_of(world.tx)
    for do in (
        lambda: receive_sms(world.tx, world.sim, "hello", world.context()),
        lambda: receive_datagram(world.tx, world.sim, b"", port=7070, context=world.context()),
        lambda: transfer_data(world.tx, world.sim, upload=1, download=1, context=world.context()),
    ):
        with pytest.raises(InvalidParameter) as refused:
            do()
        assert refused.value.code == 83401
    assert content_of(world.tx) == before


def test_without_sms_in_the_fleet_a_device_can_send_datagrams_only() -> None:
    world = World(a_sim(), a_fleet(sms_commands_enabled=False))
    with pytest.raises(InvalidParameter) as refused:
        receive_sms(world.tx, world.sim, "hello", world.context())
    assert refused.value.code == 83600
    receive_datagram(world.tx, world.sim, b"", port=7070, context=world.context())


def test_without_data_in_the_fleet_a_device_can_send_sms_only() -> None:
    world = World(a_sim(), a_fleet(data_enabled=False))
    for do in (
        lambda: receive_datagram(world.tx, world.sim, b"", port=7070, context=world.context()),
        lambda: transfer_data(world.tx, world.sim, upload=1, download=1, context=world.context()),
    ):
        with pytest.raises(InvalidParameter) as refused:
            do()
        assert refused.value.code == 83600
    receive_sms(world.tx, world.sim, "hello", world.context())


def test_a_device_can_send_only_sms_that_it_could_receive() -> None:
    world = world_with()
    with pytest.raises(InvalidParameter) as refused:
        receive_sms(world.tx, world.sim, "x" * 161, world.context())
    assert refused.value.code == 83600


def test_a_device_at_its_data_limit_sends_no_datagrams() -> None:
    world = World(a_sim(), a_fleet(data_limit=1))
    transfer_data(world.tx, world.sim, upload=999_999, download=0, context=world.context())
    receive_datagram(world.tx, world.sim, b"", port=7070, context=world.context())
    transfer_data(world.tx, world.sim, upload=1, download=0, context=world.context())
    with pytest.raises(InvalidParameter, match="has used its Fleet's DataLimit"):
        receive_datagram(world.tx, world.sim, b"", port=7070, context=world.context())


def test_if_too_many_callbacks_wait_a_devices_message_is_refused() -> None:
    world = world_with()
    full = a_context(queue=RecordingQueue(room=0))
    before = content_of(world.tx)
    with pytest.raises(BacklogFull):
        receive_sms(world.tx, world.sim, "hello", full)
    with pytest.raises(BacklogFull):
        receive_datagram(world.tx, world.sim, b"", port=7070, context=full)
    assert content_of(world.tx) == before


def test_a_message_without_a_callback_needs_no_room() -> None:
    world = World(a_sim())
    full = a_context(queue=RecordingQueue(room=0))
    receive_sms(world.tx, world.sim, "hello", full)
    receive_datagram(world.tx, world.sim, b"", port=7070, context=full)


def test_an_available_profile_is_downloaded_after_a_while() -> None:
    world = world_with()
    profile = an_esim_profile(status=EsimStatus.AVAILABLE)
    world.tx.supersim.esim_profiles.add(profile)
    download_profile(world.tx, ACCOUNT_SID, profile.sid, world.context())
    assert world.due(TaskKind.DOWNLOAD_PROFILE, profile.sid) == NOW + TAKES
    assert world.tx.supersim.esim_profiles.get(profile.sid) == profile


@pytest.mark.parametrize("status", [one for one in EsimStatus if one is not EsimStatus.AVAILABLE])
def test_an_unavailable_profile_cannot_be_downloaded(status: EsimStatus) -> None:
    world = world_with()
    profile = an_esim_profile(status=status)
    world.tx.supersim.esim_profiles.add(profile)
    with pytest.raises(Conflict, match=f"is {status};"):
        download_profile(world.tx, ACCOUNT_SID, profile.sid, world.context())
    assert world.due(TaskKind.DOWNLOAD_PROFILE, profile.sid) is None


def test_an_unknown_profile_cannot_be_downloaded() -> None:
    world = world_with()
    with pytest.raises(NotFound):
        download_profile(world.tx, ACCOUNT_SID, "HP" + "0" * 32, world.context())
