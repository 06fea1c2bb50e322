"""The Programmable Wireless operations at `/v1/Commands`."""

from typing import Final

from ringback.api.endpoint_group import ApiRequest, Change, WirelessEndpointGroup
from ringback.api.operation_definition import (
    CALLED_BACK,
    ApiOperation,
    OperationParameter,
    filtered,
    required,
)
from ringback.api.schema_pieces import FLAG, TEXT, one_of, sid_of, text
from ringback.api.serializers import ACCOUNT_SID, Serializer, dated_at, field
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.wireless.command import CommandTransport, IncludeSid, WirelessCommand
from ringback.operations.wireless import commands

_PATH: Final = "/wireless/v1/Commands"

COMMAND: Final = Serializer[WirelessCommand](
    "command",
    "commands",
    *(
        field("sid", sid_of(SidKind.COMMAND)),
        ACCOUNT_SID,
        field("sim_sid", sid_of(SidKind.WIRELESS_SIM)),
    ),
    *(field("command"), field("command_mode", one_of(PayloadType))),
    *(field("transport", one_of(CommandTransport)), field("delivery_receipt_requested", FLAG)),
    *(field("status", one_of(MessageStatus)), field("direction", one_of(Direction))),
    *dated_at(_PATH),
)

_NEW: Final = (
    required(
        "Command",
        text(shortest=1),
        "The content: at most 160 single-byte characters, or 140 bytes in Base64.",
    ),
    required("Sim", TEXT, "The SID or unique name of the SIM to send to."),
    *CALLED_BACK,
    OperationParameter(
        "CommandMode",
        one_of(PayloadType),
        "The form of Command (default text); binary means Base64.",
    ),
    OperationParameter(
        "IncludeSid",
        one_of(IncludeSid),
        "Adds the Command's SID at the start or end of a text, which then has at most 128"
        " characters (default none).",
    ),
    OperationParameter(
        "DeliveryReceiptRequested", FLAG, "true to have the delivery confirmed (default true)."
    ),
)
_FILTERS: Final = (
    filtered("Sim", "Only Commands of the SIM with this SID or unique name."),
    filtered("Status", "Only Commands with this status.", MessageStatus),
    filtered("Direction", "Only Commands in this direction.", Direction),
    filtered("Transport", "Only Commands that are sent over this transport.", CommandTransport),
)


class WirelessCommandEndpoints(WirelessEndpointGroup):
    """The operations on Commands."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on Commands."""
        record = self.on(_PATH, "Command", COMMAND)
        return [
            record.creates(
                "Send a Command to a SIM's device.",
                self._send,
                takes=_NEW,
                calls_back="commandToSim",
            ),
            record.lists(
                "List Commands in both directions, newest first.", commands.list_commands, *_FILTERS
            ),
            record.fetches("Fetch a Command.", commands.fetch_command),
            record.deletes("Delete a Command; it is not sent any more.", commands.delete_command),
        ]

    def _send(self, call: ApiRequest) -> Change[WirelessCommand]:
        form = call.given
        new = commands.NewWirelessCommand(
            sim=form.required("Sim"),
            command=form.required("Command"),
            mode=form.choice("CommandMode", PayloadType) or PayloadType.TEXT,
            include_sid=form.choice("IncludeSid", IncludeSid) or IncludeSid.NONE,
            wants_receipt=form.flag("DeliveryReceiptRequested") is not False,
            told=self._called_back(call),
        )
        return lambda tx, context: commands.send_command(tx, call.account_sid, new, context)
