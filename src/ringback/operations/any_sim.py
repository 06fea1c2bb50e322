"""Finds SIMs of both products, lets their devices use data, and reads the devices' inboxes."""

from datetime import datetime
from typing import Final, NamedTuple, TypeVar, assert_never

from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.scheduled_task import EitherSim
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.supersim.command import SmsCommand
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.context import OperationContext
from ringback.operations.supersim import device_actions as supersim
from ringback.operations.wireless import device_actions as wireless
from ringback.ports import PageWindow, Records, Transaction

M = TypeVar("M", SmsCommand, WirelessCommand)

MOST: Final = 100
"""The most messages that an inbox shows."""
_EXAMINED: Final = 10_000
"""How many of a SIM's newest messages are searched for messages to its device."""
_ARRIVED: Final = (MessageStatus.SENT, MessageStatus.DELIVERED)


def transfer_data(
    tx: Transaction, sim: EitherSim, *, upload: int, download: int, context: OperationContext
) -> None:
    """Record that the device of a SIM has just used this many bytes of data.

    Raises InvalidParameter if the SIM's status, or its fleet or rate plan, does not allow that.
    """
    match sim:
        case SuperSim():
            supersim.transfer_data(tx, sim, upload=upload, download=download, context=context)
        case WirelessSim():
            wireless.transfer_data(tx, sim, upload=upload, download=download, context=context)
        case _:
            assert_never(sim)


def find_any_sim(tx: Transaction, account_sid: str, sid_or_name: str) -> "EitherSim | None":
    """Return the account's SIM with this SID or unique name, or None if there is none.

    Raises InvalidParameter if a SIM of each product has this name.
    """
    supersim = tx.supersim.sims.find(account_sid, sid_or_name)
    wireless = tx.wireless.sims.find(account_sid, sid_or_name)
    if supersim is not None and wireless is not None:
        raise InvalidParameter(
            f"{sid_or_name!r} is the unique name of {supersim.sid} and of {wireless.sid}; name the"
            " SIM by its SID",
            code=83600,
        )
    return supersim or wireless


def fetch_any_sim(tx: Transaction, account_sid: str, sid_or_name: str) -> EitherSim:
    """Return the account's SIM with this SID or unique name; raises NotFound if there is none."""
    sim = find_any_sim(tx, account_sid, sid_or_name)
    if sim is None:
        raise NotFound(f"there is no SIM with the SID or unique name {sid_or_name!r}")
    return sim


def supersim_of(tx: Transaction, account_sid: str, sid_or_name: str) -> SuperSim:
    """Return the account's Super SIM with this SID or unique name.

    Raises NotFound if there is no such SIM, and InvalidParameter if it is a Programmable Wireless
    SIM.
    """
    sim = tx.supersim.sims.find(account_sid, sid_or_name)
    if sim is None:
        other = fetch_any_sim(tx, account_sid, sid_or_name)
        raise InvalidParameter(
            f"SIM {other.sid} is a Programmable Wireless SIM, whose devices send"
            " Commands, not SMS or IP Commands",
            code=83600,
        )
    return sim


def wireless_of(tx: Transaction, account_sid: str, sid_or_name: str) -> WirelessSim:
    """Return the account's Programmable Wireless SIM with this SID or unique name.

    Raises NotFound if there is no such SIM, and InvalidParameter if it is a Super SIM.
    """
    sim = tx.wireless.sims.find(account_sid, sid_or_name)
    if sim is None:
        other = fetch_any_sim(tx, account_sid, sid_or_name)
        raise InvalidParameter(
            f"SIM {other.sid} is a Super SIM, whose devices send only SMS and IP Commands",
            code=83600,
        )
    return sim


def any_sim_named(tx: Transaction, account_sid: str, sid_or_name: str) -> EitherSim:
    """Return the account's SIM that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is none (83005), or if a SIM of each product has this name.
    """
    sim = find_any_sim(tx, account_sid, sid_or_name)
    if sim is None:
        raise InvalidParameter(
            f"Sim={sid_or_name!r}: there is no SIM with this SID or unique name", code=83005
        )
    return sim


class InboxMessage(NamedTuple):
    """A message that has arrived at a SIM's device."""

    sid: str
    date: datetime
    """When the message's status last changed."""
    message: bytes
    """The text of the message in UTF-8."""


def inbox_of(tx: Transaction, sim: EitherSim) -> list[InboxMessage]:
    """Return the messages that have arrived at a SIM's device: newest first, at most `MOST`."""
    match sim:
        case SuperSim():
            return [
                InboxMessage(one.sid, one.date_updated, one.payload.encode())
                for one in _newest(tx.supersim.sms_commands, sim)
            ]
        case WirelessSim():
            return [
                InboxMessage(one.sid, one.date_updated, one.message)
                for one in _newest(tx.wireless.commands, sim)
            ]
        case _:
            assert_never(sim)


def _newest(messages: Records[M], sim: EitherSim) -> list[M]:
    which = {"sim_sid": sim.sid, "direction": Direction.TO_SIM}
    newest = messages.page(sim.account_sid, which, PageWindow(MOST, examining=_EXAMINED))
    return [one for one in newest if one.status in _ARRIVED]
