"""What has come to the device of a SIM by SMS, or as a Command."""

from datetime import datetime
from typing import Final, NamedTuple, TypeVar, assert_never

from ringback.core.message import Direction, MessageStatus
from ringback.core.supersim.command import SmsCommand
from ringback.core.supersim.sim import Sim
from ringback.core.wireless.command import Command
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.cards import Card
from ringback.ports import Records, Transaction, Window

M = TypeVar("M", SmsCommand, Command)

MOST: Final = 100
_EXAMINED: Final = 10_000
"""Among how many of a SIM's newest messages those to its device are looked for."""
_CAME: Final = (MessageStatus.SENT, MessageStatus.DELIVERED)


class Arrival(NamedTuple):
    """A message that came to a device."""

    sid: str
    date: datetime
    """When it was sent off, or last heard of."""
    message: bytes
    """A text in UTF-8."""


def arrivals_at(tx: Transaction, card: Card) -> list[Arrival]:
    """Return the newest messages that came to a SIM's device, the newest first."""
    match card:
        case Sim():
            return [
                Arrival(one.sid, one.date_updated, one.payload.encode())
                for one in _newest(tx.supersim.sms_commands, card)
            ]
        case WirelessSim():
            return [
                Arrival(one.sid, one.date_updated, one.message)
                for one in _newest(tx.wireless.commands, card)
            ]
        case _:
            assert_never(card)


def _newest(messages: Records[M], card: Card) -> list[M]:
    which = {"sim_sid": card.sid, "direction": Direction.TO_SIM}
    newest = messages.page(card.account_sid, which, Window(MOST, examining=_EXAMINED))
    return [one for one in newest if one.status in _CAME]
