"""The Super SIM operations at `/v1/SmsCommands` and `/v1/IpCommands`."""

from typing import Final

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import (
    CALLED_BACK,
    ApiOperation,
    OperationParameter,
    filtered,
    required,
)
from ringback.api.schema_pieces import TEXT, number, one_of, sid_of, text
from ringback.api.serializers import ACCOUNT_SID, Serializer, dated_at, field, maybe
from ringback.core.sids import SidKind
from ringback.core.sims.message import LONGEST_SMS, Direction, MessageStatus, PayloadType
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.operations.supersim import commands

_SMS_PATH: Final = "/supersim/v1/SmsCommands"
_IP_PATH: Final = "/supersim/v1/IpCommands"
_HIGHEST_PORT: Final = 65535

SMS_COMMAND: Final = Serializer[SmsCommand](
    "sms_command",
    "sms_commands",
    field("sid", sid_of(SidKind.SMS_COMMAND)),
    ACCOUNT_SID,
    field("sim_sid", sid_of(SidKind.SIM)),
    field("payload"),
    field("status", one_of(MessageStatus)),
    field("direction", one_of(Direction)),
    *dated_at(_SMS_PATH),
)

IP_COMMAND: Final = Serializer[IpCommand](
    "ip_command",
    "ip_commands",
    field("sid", sid_of(SidKind.IP_COMMAND)),
    ACCOUNT_SID,
    field("sim_sid", sid_of(SidKind.SIM)),
    field("sim_iccid"),
    field("status", one_of(IpStatus)),
    field("direction", one_of(Direction)),
    maybe("device_ip"),
    field("device_port", number(0, _HIGHEST_PORT)),
    field("payload_type", one_of(PayloadType)),
    field("payload"),
    *dated_at(_IP_PATH),
)

_SIM: Final = required("Sim", TEXT, "The SID or unique name of the SIM to send to.")
_OF_SIM: Final = filtered("Sim", "Only Commands of the SIM with this SID or unique name.")
_DIRECTION: Final = filtered("Direction", "Only Commands in this direction.", Direction)
_NEW_SMS: Final = (
    _SIM,
    required(
        "Payload", text(shortest=1, longest=LONGEST_SMS), "The text, in single-byte characters."
    ),
    *CALLED_BACK,
)
_SMS_FILTERS: Final = (
    _OF_SIM,
    filtered("Status", "Only Commands with this status.", MessageStatus),
    _DIRECTION,
)
_NEW_DATAGRAM: Final = (
    _SIM,
    required("Payload", TEXT, "At most 1300 bytes: text or Base64, depending on PayloadType."),
    required("DevicePort", number(1, _HIGHEST_PORT), "The device's UDP port."),
    OperationParameter(
        "PayloadType",
        one_of(PayloadType),
        "The form of Payload (default text); binary means Base64.",
    ),
    *CALLED_BACK,
)
_IP_FILTERS: Final = (
    _OF_SIM,
    filtered("SimIccid", "Only Commands of the SIM with this ICCID."),
    filtered("Status", "Only Commands with this status.", IpStatus),
    _DIRECTION,
)


class SmsCommandEndpoints(EndpointGroup):
    """The operations on SMS Commands."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on SMS Commands."""
        record, callback = self.on(_SMS_PATH, "SmsCommand", SMS_COMMAND), "smsCommandToSim"
        sends, lists = (
            "Send an SMS to a SIM's device.",
            "List SMS Commands in both directions, newest first.",
        )
        return [
            record.creates(sends, self._send, takes=_NEW_SMS, calls_back=callback),
            record.lists(lists, commands.list_sms, *_SMS_FILTERS),
            record.fetches("Fetch an SMS Command.", commands.fetch_sms),
        ]

    def _send(self, call: ApiRequest) -> Change[SmsCommand]:
        sim, payload = call.given.required("Sim"), call.given.required("Payload")
        new = commands.NewSmsCommand(sim, payload, self._called_back(call))
        return lambda tx, context: commands.send_sms(tx, call.account_sid, new, context)


class IpCommandEndpoints(EndpointGroup):
    """The operations on IP Commands."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on IP Commands."""
        record, callback = self.on(_IP_PATH, "IpCommand", IP_COMMAND), "ipCommandToSim"
        sends, lists = (
            "Send a datagram to a SIM's device.",
            "List IP Commands in both directions, newest first.",
        )
        return [
            record.creates(sends, self._send, takes=_NEW_DATAGRAM, calls_back=callback),
            record.lists(lists, commands.list_datagrams, *_IP_FILTERS),
            record.fetches("Fetch an IP Command.", commands.fetch_datagram),
        ]

    def _send(self, call: ApiRequest) -> Change[IpCommand]:
        form = call.given
        sim, payload = form.required("Sim"), form.given("Payload")
        form.required("DevicePort")
        port = form.number("DevicePort", 1, _HIGHEST_PORT, default=0)
        kind = form.choice("PayloadType", PayloadType) or PayloadType.TEXT
        new = commands.NewIpCommand(sim, payload, kind, port, self._called_back(call))
        return lambda tx, context: commands.send_datagram(tx, call.account_sid, new, context)
