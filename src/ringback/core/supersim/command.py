"""SMS Commands and IP Commands, and the life cycle of IP Commands.

The allowed changes of status are from the Super SIM documentation; `sims/message` has those of SMS
Commands. The delivery of an IP Command is never confirmed.
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
"""The maximum length of an IP Command's payload, in bytes."""


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
    """An SMS Command: a text to or from a SIM's device."""

    sid: str
    account_sid: str
    sim_sid: str
    payload: str
    status: MessageStatus
    direction: Direction
    date_created: datetime
    date_updated: datetime
    callback: CallbackTarget = NO_TARGET
    """The URL that gets a callback for each change of the command's status."""
    created_by: str | None = None
    """Whose request created it: an `Actor.id`; None for the server itself."""

    def moved(self, status: MessageStatus, now: datetime) -> "SmsCommand":
        """Return the command with another status.

        Raises ValueError if the life cycle does not allow this change.
        """
        check_move("an SMS Command", self.status, status)
        return replace(self, status=status, date_updated=now)


@dataclass(frozen=True, slots=True)
class IpCommand:
    """An IP Command: a datagram to or from a SIM's device."""

    sid: str
    account_sid: str
    sim_sid: str
    sim_iccid: str
    status: IpStatus
    direction: Direction
    device_ip: str | None
    """The device's IP address; None for a command to the SIM until it has been sent."""
    device_port: int
    """The device's port: where a datagram is sent to, or where it comes from."""
    payload_type: PayloadType
    payload: str
    date_created: datetime
    date_updated: datetime
    callback: CallbackTarget = NO_TARGET
    """The URL that gets a callback when the command was sent or has failed."""
    created_by: str | None = None
    """Whose request created it: an `Actor.id`; None for the server itself."""

    @property
    def datagram(self) -> bytes:
        """The bytes of the payload that are sent or received."""
        if self.payload_type is PayloadType.BINARY:
            return b64decode(self.payload)
        return self.payload.encode()

    def moved(self, status: IpStatus, now: datetime) -> "IpCommand":
        """Return the command with another status.

        Raises ValueError if the life cycle does not allow this change.
        """
        if status not in IP_MOVES[self.status]:
            raise ValueError(f"an IP Command that is {self.status} can't become {status}")
        return replace(self, status=status, date_updated=now)
