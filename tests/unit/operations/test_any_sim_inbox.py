"""The inboxes of devices: messages that have arrived, in a store in memory."""

from datetime import timedelta

import pytest

from ringback.core.scheduled_task import EitherSim
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.wireless.command import IncludeSid
from ringback.operations.any_sim import MOST, InboxMessage, inbox_of
from tests.fakes import NOW, a_sim
from tests.memory_store import MemoryTransaction
from tests.unit.core.builders import an_sms
from tests.wireless_fakes import COMMAND_SID, a_command, a_wireless_sim

LATER = NOW + timedelta(minutes=1)
SIMS: list[EitherSim] = [a_sim(), a_wireless_sim()]
PRODUCTS = ["Super SIM", "Programmable Wireless"]


def keep(
    tx: MemoryTransaction,
    number: int = 0,
    *,
    text: str = "wake up",
    status: MessageStatus = MessageStatus.DELIVERED,
    direction: Direction = Direction.TO_SIM,
) -> None:
    """Save a message of each product."""
    sms = an_sms(
        sid=f"HC{number:032}", payload=text, status=status, direction=direction, date_updated=LATER
    )
    tx.supersim.sms_commands.add(sms)
    command = a_command(
        sid=f"DC{number:032}", command=text, status=status, direction=direction, date_updated=LATER
    )
    tx.wireless.commands.add(command)


@pytest.mark.parametrize(("sim", "prefix"), [(SIMS[0], "HC"), (SIMS[1], "DC")], ids=PRODUCTS)
def test_messages_to_a_device_are_listed_newest_first(sim: EitherSim, prefix: str) -> None:
    tx = MemoryTransaction()
    keep(tx, 1, text="first")
    keep(tx, 2, text="\xe4", status=MessageStatus.SENT)
    assert inbox_of(tx, sim) == [
        InboxMessage(f"{prefix}{2:032}", LATER, b"\xc3\xa4"),
        InboxMessage(f"{prefix}{1:032}", LATER, b"first"),
    ]


@pytest.mark.parametrize("sim", SIMS, ids=PRODUCTS)
@pytest.mark.parametrize(
    ("status", "direction"),
    [
        (MessageStatus.QUEUED, Direction.TO_SIM),
        (MessageStatus.FAILED, Direction.TO_SIM),
        (MessageStatus.RECEIVED, Direction.FROM_SIM),
    ],
)
def test_messages_that_did_not_reach_a_device_are_not_listed(
    sim: EitherSim, status: MessageStatus, direction: Direction
) -> None:
    tx = MemoryTransaction()
    keep(tx, status=status, direction=direction)
    assert inbox_of(tx, sim) == []


@pytest.mark.parametrize(
    "sim", [a_sim(sid="HS" + "e" * 32), a_wireless_sim(sid="DE" + "e" * 32)], ids=PRODUCTS
)
def test_messages_to_another_device_are_not_listed(sim: EitherSim) -> None:
    tx = MemoryTransaction()
    keep(tx)
    assert inbox_of(tx, sim) == []


@pytest.mark.parametrize("sim", SIMS, ids=PRODUCTS)
def test_only_the_newest_are_listed(sim: EitherSim) -> None:
    tx = MemoryTransaction()
    for number in range(MOST + 1):
        keep(tx, number)
    sids = [message.sid[2:] for message in inbox_of(tx, sim)]
    assert sids == [f"{number:032}" for number in range(MOST, 0, -1)]


def test_a_command_is_listed_as_its_device_got_it() -> None:
    tx = MemoryTransaction()
    sent = MessageStatus.SENT
    tx.wireless.commands.add(a_command(status=sent, include_sid=IncludeSid.START))
    binary = a_command(
        sid="DC" + "b" * 32, status=sent, command="AP8=", command_mode=PayloadType.BINARY
    )
    tx.wireless.commands.add(binary)
    messages = [one.message for one in inbox_of(tx, a_wireless_sim())]
    assert messages == [b"\x00\xff", f"{COMMAND_SID} wake up".encode()]
