"""SMS and IP Commands, and the life cycle of IP Commands; that of SMS is in `sims/message`.

Source of the moves: the Super SIM documentation. An IP Command has no confirmation.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.sims.message import Direction, MessageStatus, PayloadType, check_move

LONGEST_DATAGRAM: Final = 1300
"""Bytes of an IP Command's payload."""


class IpStatus(StrEnum):
    """The statuses of an IP Command."""

    QUEUED = "queued"
    SENT = "sent"
    RECEIVED = "received"
    FAILED = "failed"


IP_MOVES: Final[Mapping[IpStatus, frozenset[IpStatus]]] = {
    IpStatus.QUEUED: frozenset({IpStatus.SENT, IpStatus.FAILED}),
    IpStatus.SENT: frozenset(),
    IpStatus.RECEIVED: frozenset(),
    IpStatus.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class SmsCommand:
    """A text to or from a SIM's device."""

    sid: str
    account_sid: str
    sim_sid: str
    payload: str
    status: MessageStatus
    direction: Direction
    date_created: datetime
    date_updated: datetime
    callback: CallbackTarget = NO_TARGET
    """Gets a callback for each change of its status."""

    def moved(self, status: MessageStatus, now: datetime) -> "SmsCommand":
        """Return the command in another status.

        Raises ValueError where the life cycle has no such move.
        """
        check_move("an SMS Command", self.status, status)
        return replace(self, status=status, date_updated=now)


@dataclass(frozen=True, slots=True)
class IpCommand:
    """A datagram to or from a SIM's device."""

    sid: str
    account_sid: str
    sim_sid: str
    sim_iccid: str
    status: IpStatus
    direction: Direction
    device_ip: str | None
    """None for a command to the SIM until it has been sent."""
    device_port: int
    """The device's port, as the destination or the origin."""
    payload_type: PayloadType
    payload: str
    date_created: datetime
    date_updated: datetime
    callback: CallbackTarget = NO_TARGET
    """Gets a callback when it was sent or has failed."""

    @property
    def datagram(self) -> bytes:
        """The payload as it is on the wire."""
        if self.payload_type is PayloadType.BINARY:
            return b64decode(self.payload)
        return self.payload.encode()

    def moved(self, status: IpStatus, now: datetime) -> "IpCommand":
        """Return the command in another status.

        Raises ValueError where the life cycle has no such move.
        """
        if status not in IP_MOVES[self.status]:
            raise ValueError(f"an IP Command that is {self.status} can't become {status}")
        return replace(self, status=status, date_updated=now)
