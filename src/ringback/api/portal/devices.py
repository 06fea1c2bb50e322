"""Playing a SIM's device, over HTTP: what it sends, uses and downloads."""

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.changes import change
from ringback.api.forms import Parameters, read_form
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.api.supersim.commands import IP_COMMAND, SMS_COMMAND
from ringback.api.supersim.esim_profiles import ESIM_PROFILE
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid
from ringback.core.message import PayloadType
from ringback.operations.moment import Moment
from ringback.operations.supersim.data import MOST_AT_ONCE
from ringback.operations.supersim.devices import (
    download_profile,
    receive_datagram,
    receive_sms,
    transfer_data,
)
from ringback.operations.supersim.sims import fetch_sim
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
            await self._services.store.transact(
                lambda tx: _show(tx, account.sid, sim, moment, gateway)
            )
        )

    async def send_sms(self, request: Request) -> Response:
        """Send an SMS: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Payload",))
        sim, payload = request.path_params["sim"], form.required("Payload")
        command = await change(
            self._services,
            lambda tx, moment: receive_sms(tx, fetch_sim(tx, account.sid, sim), payload, moment),
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
            lambda tx, moment: receive_datagram(
                tx, fetch_sim(tx, account.sid, sim), payload, port=port, moment=moment
            ),
        )
        return with_unknown(form, json_answer(IP_COMMAND.at(request)(command), 201))

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
            user = fetch_sim(tx, account.sid, sim)
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
            self._services, lambda tx, moment: download_profile(tx, account.sid, sid, moment)
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
    sim = fetch_sim(tx, account_sid, sid_or_name)
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    scenario, reason = moment.in_force_for_sim(tx, sim)
    return {
        "sim_sid": sim.sid,
        "sim_unique_name": sim.unique_name,
        "sim_status": sim.status,
        "device_ip": sim.device_ip,
        "gateway": gateway,
        "fleet_sid": sim.fleet_sid,
        "ip_commands_url": fleet and _shown(fleet.ip_commands_url),
        "sms_commands_url": fleet and _shown(fleet.sms_commands_url),
        "scenario": scenario.name,
        "scenario_reason": reason,
    }


def _shown(url: CallbackUrl | None) -> str | None:
    return url and url.shown
