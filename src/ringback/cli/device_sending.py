"""Sends a device's datagram: from its own address where this machine has it, else over the API."""

import socket
import time
from base64 import b64encode
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from ringback.cli.portal import Portal
from ringback.core.errors import Unusable
from ringback.core.supersim.command import LONGEST_DATAGRAM
from ringback.core.supersim.sim import SimStatus

_PATIENCE: Final = 3.0
_PAUSE: Final = 0.05
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 (nobody is bound to it here)

Record = dict[str, Any]


def send_datagram(portal: Portal, sim: str, payload: bytes, port: int) -> tuple[str, Record]:
    """Send it, and return how it went and the IP Command that it is.

    Raises Unusable where the gateway doesn't take it.
    """
    shown = portal.get("devices", sim)
    gateway, device_ip = gateway_near(shown["gateway"], portal), shown["device_ip"]
    # A SIM that is not in the network sends nothing, and the API says so better than silence.
    is_connected = shown["sim_status"] in (SimStatus.READY, SimStatus.ACTIVE)
    if gateway is None or device_ip is None or not is_connected:
        return "over the API", _over_the_api(portal, sim, payload, port)
    known = _newest(portal, sim)
    try:
        with at_address(device_ip, port) as bound:
            bound.sendto(payload, gateway)
    except OSError as failure:
        why = f"over the API: {device_ip}:{port} can't be used here ({failure.strerror})"
        return why, _over_the_api(portal, sim, payload, port)
    way = f"datagram from {device_ip}:{port} to {shown['gateway']}"
    return way, _taken(portal, sim, payload, port, known)


def at_address(address: str, port: int) -> socket.socket:
    """Return a UDP socket with this address; raises OSError where this machine can't have it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def gateway_near(gateway: str | None, portal: Portal) -> tuple[str, int] | None:
    """Return the gateway's address, unless it is the loopback of another machine."""
    if gateway is None:
        return None
    host, _, port = gateway.rpartition(":")
    server = urlsplit(portal.base_url).hostname or ""
    if host == _EVERYWHERE:
        return server, int(port)
    if _is_loopback(host) and not _is_loopback(server):
        return None
    return host, int(port)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _over_the_api(portal: Portal, sim: str, payload: bytes, port: int) -> Record:
    form = {
        "Payload": b64encode(payload).decode(),
        "PayloadType": "binary",
        "DevicePort": str(port),
    }
    return portal.post("devices", sim, "ip", form=form)


def _newest(portal: Portal, sim: str) -> list[Record]:
    api = replace(portal, root="supersim/v1")
    return api.get("IpCommands", query={"Sim": sim, "Direction": "from_sim"})["ip_commands"]


def _taken(portal: Portal, sim: str, payload: bytes, port: int, known: list[Record]) -> Record:
    """Return the IP Command that a datagram has become."""
    said = b64encode(payload[:LONGEST_DATAGRAM]).decode()
    before = {command["sid"] for command in known}
    deadline = time.monotonic() + _PATIENCE
    while True:
        for command in _newest(portal, sim):
            is_ours = (command["device_port"], command["payload"]) == (port, said)
            if is_ours and command["sid"] not in before:
                return command
        if time.monotonic() > deadline:
            raise Unusable(
                "the datagram was sent, but the gateway has not taken it in; the log of"
                " `ringback dev` says why"
            )
        time.sleep(_PAUSE)
