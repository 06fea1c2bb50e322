"""The portal's operations on simulated devices, such as sending an SMS or using data."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, assert_never

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.network_scenarios import NAME_OF_SCENARIO
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SIM_SID,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.api.supersim.commands import IP_COMMAND, SMS_COMMAND
from ringback.api.supersim.esim_profiles import ESIM_PROFILE
from ringback.api.wireless.commands import COMMAND
from ringback.api.wireless.sims import SIM
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import SUPER_SIM, InvalidParameter
from ringback.core.scheduled_task import EitherSim
from ringback.core.sids import SidKind
from ringback.core.sims.message import PayloadType
from ringback.core.sims.scenario import failure_in
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.connection_event import shown_sid
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.sim import WirelessSim, make_iccid
from ringback.operations.any_sim import (
    fetch_any_sim,
    inbox_of,
    supersim_of,
    transfer_data,
    wireless_of,
)
from ringback.operations.context import OperationContext
from ringback.operations.metering import MOST_AT_ONCE
from ringback.operations.supersim import device_actions as supersim
from ringback.operations.supersim.device_actions import ConnectionReport
from ringback.operations.wireless import device_actions as wireless
from ringback.operations.wireless.sims import SimCardRegistration, register_sim
from ringback.ports import Transaction

_DEVICE: Final = "/portal/v1/devices/{sim}"
_USUAL_PORT: Final = 4000
_HIGHEST_PORT: Final = 65535
_LONGEST: Final = 64
_UNATTACHED: Final = 83401
"""The code if the network never answers a device."""

DEVICE: Final = CustomJsonSerializer(
    "device",
    object_of(
        sim_sid=SIM_SID,
        sim_unique_name=or_null(TEXT),
        sim_status=TEXT,
        product={"type": "string", "enum": ["supersim", "wireless"]},
        device_ip=or_null(TEXT),
        gateway=or_null(TEXT),
        fleet_sid=or_null(sid_of(SidKind.FLEET)),
        rate_plan_sid=or_null(sid_of(SidKind.RATE_PLAN)),
        ip_commands_url=or_null(TEXT),
        sms_commands_url=or_null(TEXT),
        commands_callback_url=or_null(TEXT),
        scenario=NAME_OF_SCENARIO,
        scenario_reason=TEXT,
    ),
)
USED_DATA: Final = CustomJsonSerializer(
    "used_data",
    object_of(
        sim_sid=SIM_SID, data_upload=number(0), data_download=number(0), data_total=number(0)
    ),
)
CONNECTION: Final = CustomJsonSerializer(
    "connection",
    object_of(
        sim_sid=SIM_SID,
        data_session_sid=or_null(TEXT),
        error_code=or_null(number()),
        error_message=or_null(TEXT),
        events=list_of(object_of(event_sid=sid_of(SidKind.STREAM_EVENT), event_type=TEXT)),
    ),
)
_HEX: Final = text(pattern="^([0-9a-f]{2})*$")
INBOX: Final = CustomJsonSerializer(
    "inbox", object_of(messages=list_of(object_of(sid=TEXT, date=INSTANT, hex=_HEX)))
)

_SMS: Final = (required("Payload", text(shortest=1), "The text that the device sends."),)
_KIND: Final = OperationParameter(
    "PayloadType", one_of(PayloadType), "The form of Payload (default text); binary means Base64."
)
_CONTENT: Final = "The message that the device sends: text or Base64, depending on PayloadType."
_DATAGRAM: Final = (
    required("Payload", TEXT, _CONTENT),
    _KIND,
    OperationParameter(
        "DevicePort", number(1, _HIGHEST_PORT), "The device's UDP port (default 4000)."
    ),
)
_COMMAND: Final = (required("Payload", text(shortest=1), _CONTENT), _KIND)
_DATA: Final = (
    OperationParameter("Upload", number(0, MOST_AT_ONCE), "Bytes that the device sends."),
    OperationParameter("Download", number(0, MOST_AT_ONCE), "Bytes that the device receives."),
)
_CARD: Final = (
    OperationParameter(
        "Iccid", text(pattern="^(89[0-9]{16,20})?$"), "The card's number (default: a random one)."
    ),
    OperationParameter(
        "RegistrationCode", text(longest=_LONGEST), "The code that is printed with the card."
    ),
    OperationParameter("EId", text(longest=_LONGEST), "The EID, the number of the card's chip."),
    OperationParameter("Narrowband", FLAG, "true for a Narrowband SIM (default false)."),
)


class DeviceEndpoints(EndpointGroup):
    """The operations on simulated devices; most paths contain the SID of the device's SIM."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on devices and on the SIM cards in them."""
        return [
            self.answers(
                *(_DEVICE, "FetchDevice"),
                "Show the address, the callback URLs and the scenario of a SIM's device.",
                *(DEVICE, self._fetch),
            ),
            self.answers(
                *(f"{_DEVICE}/inbox", "FetchInbox"),
                "List the newest SMS or Commands that a SIM's device has received.",
                *(INBOX, self._inbox),
            ),
            *self._sending(),
            self.changes(
                *(f"{_DEVICE}/data", "UseData", "Make a SIM's device use data now."),
                *(USED_DATA, _use_data),
                takes=_DATA,
            ),
            *self._connecting(),
            self.changes(
                *("/portal/v1/esim_profiles/{sid}/download", "DownloadEsimProfile"),
                "Make a device download an eSIM Profile.",
                *(ESIM_PROFILE, _download),
                statuses=(202,),
                conflicts=True,
            ),
            self.changes(
                *("/portal/v1/wireless_sims", "RegisterWirelessSim"),
                "Register a Programmable Wireless SIM; the product's own API cannot do this.",
                *(SIM, _register),
                takes=_CARD,
                statuses=(201,),
            ),
        ]

    def _sending(self) -> list[ApiOperation]:
        """Return the operations that make a device send an SMS, a datagram or a Command."""
        sms, datagram = "Make a SIM's device send an SMS.", "Make a SIM's device send a datagram."
        command = "Make the device of a Programmable Wireless SIM send a Command."
        sends = partial(self.changes, statuses=(201,))
        return [
            sends(
                *(f"{_DEVICE}/sms", "SendSmsFromDevice", sms, SMS_COMMAND, _send_sms), takes=_SMS
            ),
            sends(
                *(f"{_DEVICE}/ip", "SendDatagramFromDevice", datagram, IP_COMMAND, _send_datagram),
                takes=_DATAGRAM,
            ),
            sends(
                *(f"{_DEVICE}/commands", "SendCommandFromDevice", command, COMMAND, _send_command),
                takes=_COMMAND,
            ),
        ]

    def _connecting(self) -> list[ApiOperation]:
        """Return the operations on the connection of a Super SIM's device."""
        return [
            self.changes(
                *(f"{_DEVICE}/attach", "AttachDevice"),
                "Make a Super SIM's device attach to the network, and begin a data session.",
                *(CONNECTION, partial(_connect, supersim.attach_device)),
            ),
            self.changes(
                *(f"{_DEVICE}/detach", "DetachDevice"),
                "Make a Super SIM's device leave the network, which ends its data session.",
                *(CONNECTION, partial(_connect, supersim.detach_device)),
            ),
            self.changes(
                *(f"{_DEVICE}/report", "ReportDeviceUsage"),
                "Report the usage of a running data session to event streams now.",
                *(CONNECTION, partial(_connect, supersim.report_device_usage)),
            ),
        ]

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        context, gateway = self._dependencies.context(), self._dependencies.gateway
        return await self.read(call.account_sid, lambda tx: _show(tx, call, context, gateway))

    async def _inbox(self, call: ApiRequest) -> dict[str, Any]:
        arrived = await self.read(
            call.account_sid, lambda tx: inbox_of(tx, fetch_any_sim(tx, call.account_sid, call.sid))
        )
        shown = [{"sid": one.sid, "date": one.date, "hex": one.message.hex()} for one in arrived]
        return {"messages": shown}


def _send_sms(call: ApiRequest) -> Change[SmsCommand]:
    payload = call.given.required("Payload")
    return lambda tx, context: supersim.receive_sms(
        tx, supersim_of(tx, call.account_sid, call.sid), payload, context
    )


def _send_datagram(call: ApiRequest) -> Change[IpCommand]:
    payload = _payload_of(call.given)
    port = call.given.number("DevicePort", 1, _HIGHEST_PORT, default=_USUAL_PORT)
    return lambda tx, context: supersim.receive_datagram(
        tx, supersim_of(tx, call.account_sid, call.sid), payload, port=port, context=context
    )


def _send_command(call: ApiRequest) -> Change[WirelessCommand]:
    text = call.given.required("Payload")
    is_text = call.given.choice("PayloadType", PayloadType) is not PayloadType.BINARY
    payload = b"" if is_text else _payload_of(call.given)

    def send(tx: Transaction, context: OperationContext) -> WirelessCommand:
        sender = wireless_of(tx, call.account_sid, call.sid)
        if is_text:
            return wireless.receive_text(tx, sender, text, context)
        return wireless.receive_bytes(tx, sender, payload, context)

    return send


def _use_data(call: ApiRequest) -> Change[Mapping[str, object]]:
    upload = call.given.number("Upload", 0, MOST_AT_ONCE, default=0)
    download = call.given.number("Download", 0, MOST_AT_ONCE, default=0)
    if not upload + download:
        raise InvalidParameter(
            "give Upload or Download, the number of bytes to use", code=SUPER_SIM.missing
        )

    def use(tx: Transaction, context: OperationContext) -> Mapping[str, object]:
        user = fetch_any_sim(tx, call.account_sid, call.sid)
        transfer_data(tx, user, upload=upload, download=download, context=context)
        used = {"data_upload": upload, "data_download": download}
        context.record(tx, "UseData", user.sid, account_sid=user.account_sid, after=used)
        return {"sim_sid": user.sid, **used, "data_total": upload + download}

    return use


def _connect(
    act: Callable[[Transaction, SuperSim, OperationContext], ConnectionReport], call: ApiRequest
) -> Change[Mapping[str, object]]:
    def connect(tx: Transaction, context: OperationContext) -> Mapping[str, object]:
        report = act(tx, supersim_of(tx, call.account_sid, call.sid), context)
        failure = failure_in(report.result, unanswered=_UNATTACHED)
        return {
            "sim_sid": report.sim.sid,
            "data_session_sid": report.session_sid and shown_sid(report.session_sid),
            "error_code": failure and failure.code,
            "error_message": failure and failure.message,
            "events": [{"event_sid": one.sid, "event_type": one.type} for one in report.events],
        }

    return connect


def _download(call: ApiRequest) -> Change[EsimProfile]:
    return lambda tx, context: supersim.download_profile(tx, call.account_sid, call.sid, context)


def _register(call: ApiRequest) -> Change[WirelessSim]:
    """Return the change that registers a SIM card; the ICCID is random if none is given."""
    form = call.given
    iccid, is_narrowband = form.text("Iccid"), form.flag("Narrowband") or False
    code, eid = (form.label(name, longest=_LONGEST) or None for name in ("RegistrationCode", "EId"))

    def register(tx: Transaction, context: OperationContext) -> WirelessSim:
        number = iccid or make_iccid(context.random_source.bytes(8))
        return register_sim(
            tx, call.account_sid, SimCardRegistration(number, code, eid, is_narrowband), context
        )

    return register


def _payload_of(form: RequestParameters) -> bytes:
    payload = form.given("Payload")
    if form.choice("PayloadType", PayloadType) is not PayloadType.BINARY:
        return payload.encode()
    try:
        return b64decode(payload, validate=True)
    except (NotBase64, ValueError):
        raise form.wrong("Payload is not valid Base64, which PayloadType=binary requires") from None


def _show(
    tx: Transaction, call: ApiRequest, context: OperationContext, gateway: str | None
) -> dict[str, Any]:
    card = fetch_any_sim(tx, call.account_sid, call.sid)
    scenario, reason = context.in_force(tx, card.account_sid, card)
    return {
        **dict.fromkeys(DEVICE.schema["properties"]),
        "sim_sid": card.sid,
        "sim_unique_name": card.unique_name,
        "sim_status": card.status,
        **_reached(tx, card, gateway),
        "scenario": scenario.name,
        "scenario_reason": reason,
    }


def _reached(tx: Transaction, card: EitherSim, gateway: str | None) -> dict[str, Any]:
    """Return the fields with a device's address and the URLs for callbacks about its messages."""
    match card:
        case SuperSim():
            fleet = None if card.fleet_sid is None else tx.supersim.fleets.get(card.fleet_sid)
            return {
                "product": "supersim",
                "device_ip": card.device_ip,
                "gateway": gateway,
                "fleet_sid": card.fleet_sid,
                "ip_commands_url": fleet and _shown(fleet.ip_commands.url),
                "sms_commands_url": fleet and _shown(fleet.sms_commands.url),
            }
        case WirelessSim():
            return {
                "product": "wireless",
                "rate_plan_sid": card.rate_plan_sid,
                "commands_callback_url": _shown(card.commands_to.url),
            }
        case _:
            assert_never(card)


def _shown(url: CallbackUrl | None) -> str | None:
    return url and url.shown
