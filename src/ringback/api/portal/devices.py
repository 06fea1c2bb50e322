"""Playing a SIM's device, over HTTP: what it sends, uses and downloads, and what has come to it."""

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final, assert_never

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.changes import change
from ringback.api.forms import Parameters, read_form
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.api.supersim.commands import IP_COMMAND, SMS_COMMAND
from ringback.api.supersim.esim_profiles import ESIM_PROFILE
from ringback.api.wireless.commands import COMMAND
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid
from ringback.core.message import PayloadType
from ringback.core.supersim.sim import Sim
from ringback.core.wireless.command import Command
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.any_sim import (
    EitherSim,
    arrivals_at,
    fetch_any_sim,
    supersim_of,
    transfer_data,
    wireless_of,
)
from ringback.operations.metering import MOST_AT_ONCE
from ringback.operations.moment import Moment
from ringback.operations.supersim import devices as supersim
from ringback.operations.wireless import devices as wireless
from ringback.ports import Transaction

_USUAL_PORT: Final = 4000
_HIGHEST_PORT: Final = 65535


class DeviceResource:
    """What the device of a SIM does; each path names the SIM by its SID or unique name."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def fetch(self, request: Request) -> Response:
        """Show how a device is reached, and what holds for it: 200."""
        account = await account_of(request, self._services.sign_ins)
        sim, moment = request.path_params["sim"], self._services.moment()
        gateway = self._services.gateway
        return json_answer(
            await self._services.store.read(
                lambda tx: _show(tx, account.sid, sim, moment, gateway), asked_by=account.sid
            )
        )

    async def send_sms(self, request: Request) -> Response:
        """Send an SMS: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Payload",))
        sim, payload = request.path_params["sim"], form.required("Payload")
        command = await change(
            self._services,
            lambda tx, moment: supersim.receive_sms(
                tx, supersim_of(tx, account.sid, sim), payload, moment
            ),
        )
        return with_unknown(form, json_answer(SMS_COMMAND.at(request)(command), 201))

    async def send_datagram(self, request: Request) -> Response:
        """Send a datagram, with no socket of its own: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Payload", "PayloadType", "DevicePort"))
        sim, payload = request.path_params["sim"], _payload_of(form)
        port = form.number("DevicePort", low=1, high=_HIGHEST_PORT, default=_USUAL_PORT)
        command = await change(
            self._services,
            lambda tx, moment: supersim.receive_datagram(
                tx, supersim_of(tx, account.sid, sim), payload, port=port, moment=moment
            ),
        )
        return with_unknown(form, json_answer(IP_COMMAND.at(request)(command), 201))

    async def send_command(self, request: Request) -> Response:
        """Send a Command: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Payload", "PayloadType"))
        sim, text = request.path_params["sim"], form.required("Payload")
        is_text = form.choice("PayloadType", PayloadType) is not PayloadType.BINARY
        payload = b"" if is_text else _payload_of(form)

        def send(tx: Transaction, moment: Moment) -> Command:
            sender = wireless_of(tx, account.sid, sim)
            if is_text:
                return wireless.receive_text(tx, sender, text, moment)
            return wireless.receive_bytes(tx, sender, payload, moment)

        command = await change(self._services, send)
        return with_unknown(form, json_answer(COMMAND.at(request)(command), 201))

    async def inbox(self, request: Request) -> Response:
        """Show the newest SMS and Commands that have come to the device: 200."""
        account = await account_of(request, self._services.sign_ins)
        sim = request.path_params["sim"]
        arrived = await self._services.store.read(
            lambda tx: arrivals_at(tx, fetch_any_sim(tx, account.sid, sim)), asked_by=account.sid
        )
        shown = [{"sid": one.sid, "date": one.date, "hex": one.message.hex()} for one in arrived]
        return json_answer({"messages": shown})

    async def use_data(self, request: Request) -> Response:
        """Use data, at once: 200."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Upload", "Download"))
        sim = request.path_params["sim"]
        upload = form.number("Upload", low=0, high=MOST_AT_ONCE, default=0)
        download = form.number("Download", low=0, high=MOST_AT_ONCE, default=0)
        if not upload + download:
            raise Invalid("give Upload or Download: how many bytes are used", code=20002)

        def use(tx: Transaction, moment: Moment) -> str:
            user = fetch_any_sim(tx, account.sid, sim)
            transfer_data(tx, user, upload=upload, download=download, moment=moment)
            return user.sid

        sid = await change(self._services, use)
        used = {"sim_sid": sid, "data_upload": upload, "data_download": download}
        return with_unknown(form, json_answer({**used, "data_total": upload + download}))

    async def download_profile(self, request: Request) -> Response:
        """Download an eSIM Profile, which takes its time: 202."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ())
        sid = request.path_params["sid"]
        profile = await change(
            self._services,
            lambda tx, moment: supersim.download_profile(tx, account.sid, sid, moment),
        )
        return with_unknown(form, json_answer(ESIM_PROFILE.at(request)(profile), 202))


def _payload_of(form: Parameters) -> bytes:
    payload = form.given("Payload")
    if form.choice("PayloadType", PayloadType) is not PayloadType.BINARY:
        return payload.encode()
    try:
        return b64decode(payload, validate=True)
    except (NotBase64, ValueError):
        raise Invalid(
            "Payload is not Base64, which PayloadType=binary asks for", code=83600
        ) from None


def _show(
    tx: Transaction, account_sid: str, sid_or_name: str, moment: Moment, gateway: str | None
) -> dict[str, Any]:
    card = fetch_any_sim(tx, account_sid, sid_or_name)
    scenario, reason = moment.in_force_for_sim(tx, card)
    return {
        "sim_sid": card.sid,
        "sim_unique_name": card.unique_name,
        "sim_status": card.status,
        **_reached(tx, card, gateway),
        "scenario": scenario.name,
        "scenario_reason": reason,
    }


def _reached(tx: Transaction, card: EitherSim, gateway: str | None) -> dict[str, Any]:
    """Return how a device is reached, and who is told of what it sends."""
    match card:
        case Sim():
            fleet = None if card.fleet_sid is None else tx.supersim.fleets.get(card.fleet_sid)
            return {
                "product": "supersim",
                "device_ip": card.device_ip,
                "gateway": gateway,
                "fleet_sid": card.fleet_sid,
                "rate_plan_sid": None,
                "ip_commands_url": fleet and _shown(fleet.ip_commands_url),
                "sms_commands_url": fleet and _shown(fleet.sms_commands_url),
                "commands_callback_url": None,
            }
        case WirelessSim():
            return {
                "product": "wireless",
                "device_ip": None,
                "gateway": None,
                "fleet_sid": None,
                "rate_plan_sid": card.rate_plan_sid,
                "ip_commands_url": None,
                "sms_commands_url": None,
                "commands_callback_url": _shown(card.commands_to.url),
            }
        case _:
            assert_never(card)


def _shown(url: CallbackUrl | None) -> str | None:
    return url and url.shown
