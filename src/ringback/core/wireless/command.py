"""Commands: short messages to and from the devices of Programmable Wireless SIMs.

Source: the documentation of the Command resource, and the vendors' OpenAPI files.
"""

from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.sims.message import (
    LONGEST_SMS,
    Direction,
    MessageStatus,
    PayloadType,
    check_move,
    fault_in_text,
)

LONGEST_BINARY: Final = 140
"""The maximum length of a binary Command, in bytes."""
LONGEST_WITH_SID: Final = 128
"""The maximum length of a text that is sent with the Command's SID, in characters."""
MOST_QUEUED: Final = 100
"""The maximum number of Commands that can wait for one Narrowband SIM."""
KEPT_FOR: Final = timedelta(days=30)
"""The time after which a Command is deleted."""

_INVALID: Final = 33101
_TOO_LONG: Final = 33111


class CommandTransport(StrEnum):
    """The way a Command is sent: by SMS, or by IP for Narrowband SIMs, which have no SMS."""

    SMS = "sms"
    IP = "ip"


class IncludeSid(StrEnum):
    """The place of the Command's SID in the text that the device gets: none, start or end."""

    NONE = "none"
    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class WirelessCommand:
    """A Command: a short message to or from a Programmable Wireless SIM's device."""

    sid: str
    account_sid: str
    sim_sid: str
    command: str
    command_mode: PayloadType
    transport: CommandTransport
    status: MessageStatus
    direction: Direction
    date_created: datetime
    date_updated: datetime
    include_sid: IncludeSid = IncludeSid.NONE
    delivery_receipt_requested: bool = True
    told: CallbackTarget = NO_TARGET
    """The URL that gets a callback when the Command's sending has ended."""
    created_by: str | None = None
    """Whose request created it: an `Actor.id`; None for the server itself."""

    @property
    def message(self) -> bytes:
        """The bytes that the device receives or has sent; text is encoded as UTF-8."""
        if self.command_mode is PayloadType.BINARY:
            return b64decode(self.command)
        texts = {
            IncludeSid.NONE: self.command,
            IncludeSid.START: f"{self.sid} {self.command}",
            IncludeSid.END: f"{self.command} {self.sid}",
        }
        return texts[self.include_sid].encode()

    def moved(self, status: MessageStatus, now: datetime) -> "WirelessCommand":
        """Return the Command with another status.

        Raises ValueError if the life cycle does not allow this change.
        """
        check_move("a Command", self.status, status)
        return replace(self, status=status, date_updated=now)


def check_command(command: str, mode: PayloadType, include_sid: IncludeSid) -> None:
    """Raise InvalidParameter (33101, 33111) if `command` can't be sent to a device.

    >>> check_command("aGk=", PayloadType.BINARY, IncludeSid.NONE)
    """
    if mode is PayloadType.BINARY:
        _check_binary(command)
        return
    with_sid = include_sid is not IncludeSid.NONE
    longest = LONGEST_WITH_SID if with_sid else LONGEST_SMS
    if len(command) > longest:
        beside = " beside its SID" if with_sid else ""
        raise InvalidParameter(
            f"Command: {len(command)} characters are too many; a Command has at most"
            f" {longest}{beside}",
            code=_TOO_LONG,
        )
    fault = fault_in_text(command)
    if fault is not None:
        raise InvalidParameter(f"Command: {fault}", code=_INVALID)


def _check_binary(command: str) -> None:
    try:
        size = len(b64decode(command, validate=True))
    except ValueError:
        raise InvalidParameter(
            "Command: it is not valid Base64, which CommandMode=binary requires", code=_INVALID
        ) from None
    if size > LONGEST_BINARY:
        raise InvalidParameter(
            f"Command: {size} bytes are too many; a binary Command has at most {LONGEST_BINARY}",
            code=_TOO_LONG,
        )
