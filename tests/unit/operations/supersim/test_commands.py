"""Commands to SIMs: sent, found and listed, in a store in memory."""

import re
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.sim import SimStatus
from ringback.operations.supersim.commands import (
    NewIpCommand,
    NewSmsCommand,
    fetch_datagram,
    fetch_sms,
    list_datagrams,
    list_sms,
    send_datagram,
    send_sms,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_sim
from tests.unit.core.builders import URL
from tests.unit.operations.supersim.bench import World

CALLBACK: Final = CallbackTarget(URL, HttpMethod.GET)
THEIRS: Final = "AC" + "f" * 32
OTHER_SIM: Final = "HS" + "e" * 32


@pytest.fixture
def world() -> World:
    return World(a_sim())


def sms(world: World, payload: str = "wake up", sim: str = SIM_SID) -> SmsCommand:
    return send_sms(world.tx, ACCOUNT_SID, NewSmsCommand(sim, payload, CALLBACK), world.context())


def datagram(
    world: World, payload: str = "wake up", kind: PayloadType = PayloadType.TEXT, sim: str = SIM_SID
) -> IpCommand:
    new = NewIpCommand(sim, payload, kind, 7070, CALLBACK)
    return send_datagram(world.tx, ACCOUNT_SID, new, world.context())


@pytest.mark.parametrize("sim", [SIM_SID, "my_super_sim"])
def test_an_sms_is_queued_for_its_sim_and_sent_later(world: World, sim: str) -> None:
    command = sms(world, sim=sim)
    assert re.fullmatch("HC[0-9a-f]{32}", command.sid)
    assert command == SmsCommand(
        sid=command.sid,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        payload="wake up",
        status=MessageStatus.QUEUED,
        direction=Direction.TO_SIM,
        date_created=NOW,
        date_updated=NOW,
        callback=CALLBACK,
    )
    assert fetch_sms(world.tx, ACCOUNT_SID, command.sid) == command
    assert world.due(TaskKind.SEND_SMS, command.sid) == NOW + TAKES
    assert world.reported() == []


@pytest.mark.parametrize("sim", [SIM_SID, "my_super_sim"])
def test_a_datagram_is_queued_for_its_sim_and_has_no_address_yet(world: World, sim: str) -> None:
    command = datagram(world, sim=sim)
    assert re.fullmatch("HG[0-9a-f]{32}", command.sid)
    assert command == IpCommand(
        sid=command.sid,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        sim_iccid=world.sim.iccid,
        status=IpStatus.QUEUED,
        direction=Direction.TO_SIM,
        device_ip=None,
        device_port=7070,
        payload_type=PayloadType.TEXT,
        payload="wake up",
        date_created=NOW,
        date_updated=NOW,
        callback=CALLBACK,
    )
    assert fetch_datagram(world.tx, ACCOUNT_SID, command.sid) == command
    assert world.due(TaskKind.SEND_IP, command.sid) == NOW + TAKES


@pytest.mark.parametrize("status", SimStatus)
def test_a_command_is_accepted_whatever_the_status_of_its_sim(status: SimStatus) -> None:
    world = World(a_sim(status=status))
    assert sms(world).status is MessageStatus.QUEUED
    assert datagram(world).status is IpStatus.QUEUED


def test_a_command_to_an_unknown_sim_has_83005(world: World) -> None:
    for send in (sms, datagram):
        with pytest.raises(InvalidParameter) as refused:
            send(world, sim="nobody")
        assert refused.value.code == 83005


@pytest.mark.parametrize("payload", ["", "x" * 160, "\xe9t\xe9 \xff"])
def test_an_sms_has_up_to_160_single_byte_characters(world: World, payload: str) -> None:
    assert sms(world, payload).payload == payload


@pytest.mark.parametrize("payload", ["x" * 161, "ten \u20ac", "\u0100"])
def test_an_impossible_sms_has_83600_and_is_not_stored(world: World, payload: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        sms(world, payload)
    assert refused.value.code == 83600
    assert list_sms(world.tx, ACCOUNT_SID, PageWindow(9)) == []


@pytest.mark.parametrize(
    ("kind", "payload", "size"),
    [
        (PayloadType.TEXT, "", 0),
        (PayloadType.TEXT, "x" * 1300, 1300),
        (PayloadType.TEXT, "\u20ac" * 433, 1299),
        (PayloadType.BINARY, "", 0),
        (PayloadType.BINARY, "/w==", 1),
        (PayloadType.BINARY, "A" * 1732 + "AA==", 1300),
    ],
)
def test_a_datagram_has_up_to_1300_bytes(
    world: World, kind: PayloadType, payload: str, size: int
) -> None:
    assert len(datagram(world, payload, kind).datagram) == size


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (PayloadType.TEXT, "x" * 1301),
        (PayloadType.TEXT, "\u20ac" * 434),
        (PayloadType.BINARY, "A" * 1736),
        (PayloadType.BINARY, "no base 64!"),
        (PayloadType.BINARY, "AAA"),
        (PayloadType.BINARY, "\u20ac"),
    ],
)
def test_an_impossible_datagram_has_83600_and_is_not_stored(
    world: World, kind: PayloadType, payload: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        datagram(world, payload, kind)
    assert refused.value.code == 83600
    assert list_datagrams(world.tx, ACCOUNT_SID, PageWindow(9)) == []


def test_a_command_of_another_account_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        fetch_sms(world.tx, THEIRS, sms(world).sid)
    with pytest.raises(NotFound):
        fetch_datagram(world.tx, THEIRS, datagram(world).sid)


@pytest.mark.parametrize("sim", [SIM_SID, "my_super_sim"])
def test_commands_are_listed_by_their_sim(world: World, sim: str) -> None:
    world.tx.supersim.sims.add(
        a_sim(sid=OTHER_SIM, iccid="8988307000000000002", unique_name="other")
    )
    ours, _ = sms(world), sms(world, sim="other")
    assert list_sms(world.tx, ACCOUNT_SID, PageWindow(9), sim=sim) == [ours]
    mine, _ = datagram(world), datagram(world, sim="other")
    assert list_datagrams(world.tx, ACCOUNT_SID, PageWindow(9), sim=sim) == [mine]


def test_an_unknown_sim_has_no_commands(world: World) -> None:
    sms(world)
    datagram(world)
    assert list_sms(world.tx, ACCOUNT_SID, PageWindow(9), sim="nobody") == []
    assert list_datagrams(world.tx, ACCOUNT_SID, PageWindow(9), sim="nobody") == []


def test_commands_are_listed_by_status_and_direction_and_datagrams_by_card(world: World) -> None:
    text, packet = sms(world), datagram(world)
    page = PageWindow(9)
    queued, to_sim = MessageStatus.QUEUED, Direction.TO_SIM
    assert list_sms(world.tx, ACCOUNT_SID, page, status=queued, direction=to_sim) == [text]
    assert list_sms(world.tx, ACCOUNT_SID, page, status=MessageStatus.SENT) == []
    assert list_sms(world.tx, ACCOUNT_SID, page, direction=Direction.FROM_SIM) == []
    iccid = world.sim.iccid
    assert list_datagrams(world.tx, ACCOUNT_SID, page, sim_iccid=iccid) == [packet]
    assert list_datagrams(world.tx, ACCOUNT_SID, page, sim_iccid="89") == []
    assert list_datagrams(world.tx, ACCOUNT_SID, page, status=IpStatus.FAILED) == []
    assert list_datagrams(world.tx, ACCOUNT_SID, page, direction=Direction.FROM_SIM) == []
