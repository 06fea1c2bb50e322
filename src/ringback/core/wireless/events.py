"""The event that causes callbacks about the Commands of Programmable Wireless."""

from dataclasses import dataclass
from typing import ClassVar

from ringback.core.sims.message import MessageStatus, PayloadType
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.wireless.command import WirelessCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandChanged:
    """A Command to a device has finished sending, or a Command from a device has arrived."""

    api_version: ClassVar = "v1"
    account_sid: str
    sim_unique_name: str | None
    error_code: int | None = None
    """The failure's code, or 33111 if a device's text was cut off; None without an error."""
    error_message: str | None = None
    sim_sid: str
    command_sid: str
    command_status: MessageStatus
    command_mode: PayloadType
    command: str

    @classmethod
    def of(
        cls,
        command: WirelessCommand,
        sim_unique_name: str | None,
        failure: CarrierFailure | None = None,
    ) -> "CommandChanged":
        """Return the event with a Command's current state, and its failure or a warning."""
        return cls(
            account_sid=command.account_sid,
            sim_sid=command.sim_sid,
            sim_unique_name=sim_unique_name,
            error_code=failure and failure.code,
            error_message=failure and failure.message,
            command_sid=command.sid,
            command_status=command.status,
            command_mode=command.command_mode,
            command=command.command,
        )
