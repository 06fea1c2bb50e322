"""Commands to Programmable Wireless SIMs: sent, found, listed and deleted."""

import copy
import re
from dataclasses import replace
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import SCENARIOS, TaskKind
from ringback.core.wireless.command import CommandTransport, IncludeSid, WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessStatus
from ringback.operations.wireless.commands import (
    NewWirelessCommand,
    delete_command,
    fetch_command,
    list_commands,
    send_command,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.unit.operations.wireless.bench import ASKS, OTHER_SIM, THEIRS, World, sim_that_is
from tests.unit.operations.worlds import DAY
from tests.wireless_fakes import (
    WIRELESS_NAME,
    WIRELESS_SIM_SID,
    a_command,
    a_rate_plan,
    a_target,
    a_wireless_sim,
)

ACTIVE, READY = WirelessStatus.ACTIVE, WirelessStatus.READY
TEXT, BINARY = PayloadType.TEXT, PayloadType.BINARY
TO: Final = a_target("https://told.example", HttpMethod.GET)


@pytest.fixture
def world() -> World:
    return World(sim_that_is(ACTIVE))


def narrowband(plan: RatePlan | None = None) -> World:
    return World(replace(sim_that_is(ACTIVE), is_narrowband=True), plan)


def send(world: World, new: NewWirelessCommand) -> WirelessCommand:
    return send_command(world.tx, ACCOUNT_SID, new, world.context())


def refusal(world: World, new: NewWirelessCommand) -> InvalidParameter:
    """Return the error that refuses a Command, of which nothing is saved."""
    before = copy.deepcopy((world.tx.wireless, world.tx.tasks))
    with pytest.raises(InvalidParameter) as refused:
        send(world, new)
    assert (world.tx.wireless, world.tx.tasks) == before
    return refused.value


# ---- accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, WIRELESS_NAME])
@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_command_is_queued_for_its_sim_and_sent_later(sim: str, status: WirelessStatus) -> None:
    world = World(sim_that_is(status))
    command = send(world, NewWirelessCommand(sim, "wake up", told=TO))
    assert re.fullmatch("DC[0-9a-f]{32}", command.sid)
    assert command == a_command(sid=command.sid, told=TO)
    assert fetch_command(world.tx, ACCOUNT_SID, command.sid) == command
    assert world.due(TaskKind.SEND_COMMAND, command.sid) == NOW + TAKES
    assert world.reported() == []


def test_a_command_has_the_given_values(world: World) -> None:
    new = NewWirelessCommand(
        WIRELESS_SIM_SID, "AP8=", BINARY, IncludeSid.END, wants_receipt=False, told=TO
    )
    command = send(world, new)
    assert command == a_command(
        sid=command.sid,
        command="AP8=",
        command_mode=BINARY,
        include_sid=IncludeSid.END,
        delivery_receipt_requested=False,
        told=TO,
    )


def test_a_command_can_be_read_for_30_days(world: World) -> None:
    command = world.send()
    assert world.due(TaskKind.FORGET_COMMAND, command.sid) == NOW + 30 * DAY


def test_a_command_to_a_sleeping_device_stays_queued_for_a_day(world: World) -> None:
    world.choose(SCENARIOS["asleep"])
    assert world.due(TaskKind.SEND_COMMAND, world.send().sid) == NOW + TAKES + DAY


def test_commands_to_a_narrowband_sim_are_sent_by_ip_and_to_others_by_sms(world: World) -> None:
    assert world.send().transport is CommandTransport.SMS
    assert narrowband().send().transport is CommandTransport.IP


# ---- refused -------------------------------------------------------------------------------------


def test_a_command_to_an_unknown_sim_has_33107(world: World) -> None:
    world.tx.wireless.sims.add(a_wireless_sim(sid=OTHER_SIM, account_sid=THEIRS))
    for sim in ("nobody", OTHER_SIM):
        assert refusal(world, NewWirelessCommand(sim, "wake up")).code == 33107


@pytest.mark.parametrize("status", [one for one in WirelessStatus if one not in (READY, ACTIVE)])
def test_a_command_to_a_disconnected_sim_has_33104(status: WirelessStatus) -> None:
    refused = refusal(World(sim_that_is(status)), NewWirelessCommand(WIRELESS_SIM_SID, "wake up"))
    assert refused.code == 33104
    assert refused.message == (
        f"SIM {WIRELESS_SIM_SID} is {status}; Commands can be sent only to"
        " a SIM that is ready or active"
    )


def test_without_messages_in_the_plan_a_command_has_33203() -> None:
    world = World(sim_that_is(ACTIVE), a_rate_plan(messaging_enabled=False))
    refused = refusal(world, NewWirelessCommand(WIRELESS_SIM_SID, "wake up"))
    assert (refused.code, refused.message) == (
        33203,
        (
            f"the rate plan of SIM {WIRELESS_SIM_SID} allows no Commands; choose"
            " a rate plan with MessagingEnabled"
        ),
    )


def test_a_command_to_a_sim_without_a_plan_has_33203() -> None:
    world = World(replace(sim_that_is(ACTIVE), rate_plan_sid=None))
    assert refusal(world, NewWirelessCommand(WIRELESS_SIM_SID, "wake up")).code == 33203


def test_commands_to_a_narrowband_sim_need_data_and_no_messages() -> None:
    assert narrowband(a_rate_plan(messaging_enabled=False)).send()
    world = narrowband(a_rate_plan(data_enabled=False))
    refused = refusal(world, NewWirelessCommand(WIRELESS_SIM_SID, "wake up"))
    assert refused.code == 33203
    assert refused.message.endswith("choose a rate plan with DataEnabled")


@pytest.mark.parametrize(
    ("new", "code", "message"),
    [
        (
            NewWirelessCommand(WIRELESS_SIM_SID, "x" * 161),
            33111,
            "Command: 161 characters are too many; a Command has at most 160",
        ),
        (
            NewWirelessCommand(WIRELESS_SIM_SID, "x" * 129, TEXT, IncludeSid.START),
            33111,
            "Command: 129 characters are too many; a Command has at most 128 beside its SID",
        ),
        (
            NewWirelessCommand(WIRELESS_SIM_SID, "no base 64!", BINARY),
            33101,
            "Command: it is not valid Base64, which CommandMode=binary requires",
        ),
    ],
)
def test_an_impossible_command_has_its_code(
    world: World, new: NewWirelessCommand, code: int, message: str
) -> None:
    refused = refusal(world, new)
    assert (refused.code, refused.message) == (code, message)


def test_at_most_100_commands_can_wait_for_a_narrowband_sim() -> None:
    world = narrowband()
    for _ in range(100):
        world.send()
    assert refusal(world, NewWirelessCommand(WIRELESS_SIM_SID, "wake up")).code == 33118
    world.advance(TAKES)
    assert world.send().status is MessageStatus.QUEUED


def test_sent_commands_and_those_of_other_sims_do_not_count_as_waiting() -> None:
    world = narrowband()
    for number in range(100):
        to_another = number % 2 == 0
        command = a_command(
            sid=f"DC{number:032}",
            sim_sid=OTHER_SIM if to_another else WIRELESS_SIM_SID,
            status=MessageStatus.QUEUED if to_another else MessageStatus.SENT,
        )
        world.tx.wireless.commands.add(command)
    assert world.send().status is MessageStatus.QUEUED


def test_any_number_of_commands_can_wait_for_another_sim(world: World) -> None:
    for _ in range(101):
        world.send()
    assert len(world.tx.wireless.commands.records) == 101


# ---- found and listed ----------------------------------------------------------------------------


def test_a_command_of_another_account_is_not_found(world: World) -> None:
    command = world.send()
    for account_sid, sid in ((THEIRS, command.sid), (ACCOUNT_SID, "DC" + "0" * 32)):
        with pytest.raises(NotFound) as missed:
            fetch_command(world.tx, account_sid, sid)
        assert missed.value.message == f"there is no Command with the SID {sid!r}"


FROM_DEVICE: Final = a_command(status=MessageStatus.RECEIVED, direction=Direction.FROM_SIM)
TO_OTHER: Final = a_command(
    sid="DC" + "b" * 32, sim_sid=OTHER_SIM, transport=CommandTransport.IP, status=MessageStatus.SENT
)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, [TO_OTHER, FROM_DEVICE]),
        ({"sim": WIRELESS_SIM_SID}, [FROM_DEVICE]),
        ({"sim": "other"}, [TO_OTHER]),
        ({"sim": "nobody"}, []),
        ({"sim": ""}, []),
        ({"status": MessageStatus.SENT}, [TO_OTHER]),
        ({"status": MessageStatus.QUEUED}, []),
        ({"direction": Direction.FROM_SIM}, [FROM_DEVICE]),
        ({"direction": Direction.TO_SIM}, [TO_OTHER]),
        ({"transport": CommandTransport.IP}, [TO_OTHER]),
        ({"transport": CommandTransport.SMS}, [FROM_DEVICE]),
        ({"sim": "other", "direction": Direction.FROM_SIM}, []),
    ],
)
def test_commands_are_listed_by_their_fields_newest_first(
    world: World, which: dict[str, Any], found: list[WirelessCommand]
) -> None:
    world.tx.wireless.sims.add(a_wireless_sim(sid=OTHER_SIM, unique_name="other"))
    world.tx.wireless.commands.add(FROM_DEVICE)
    world.tx.wireless.commands.add(TO_OTHER)
    assert list_commands(world.tx, ACCOUNT_SID, PageWindow(9), **which) == found
    assert list_commands(world.tx, THEIRS, PageWindow(9), **which) == []


# ---- deleted -------------------------------------------------------------------------------------


def test_a_command_deleted_before_it_is_sent_is_not_sent(world: World) -> None:
    command = world.send(told=ASKS)
    delete_command(world.tx, ACCOUNT_SID, command.sid, world.context())
    assert world.tx.wireless.commands.records == {}
    assert {sid for sid, _ in world.tx.tasks.tasks} == {WIRELESS_SIM_SID}
    world.advance(DAY)
    assert (world.reported(), world.tx.wireless.command_uses.uses) == ([], [])


def test_a_command_deleted_before_its_receipt_is_not_reported(world: World) -> None:
    command = world.send(told=ASKS)
    world.advance(TAKES)
    delete_command(world.tx, ACCOUNT_SID, command.sid, world.context())
    assert {sid for sid, _ in world.tx.tasks.tasks} == {WIRELESS_SIM_SID}
    world.advance(DAY)
    assert world.reported() == []
    assert len(world.tx.wireless.command_uses.uses) == 1


def test_a_command_of_another_account_cannot_be_deleted(world: World) -> None:
    command = world.send()
    with pytest.raises(NotFound):
        delete_command(world.tx, THEIRS, command.sid, world.context())
    assert world.command() == command
