"""Sends a device's datagram: from its own address if this machine has it, or else over the API."""

import socket
import time
from base64 import b64encode
from typing import Final
from urllib.parse import urlsplit

from ringback.core.errors import ConfigurationError
from ringback.core.supersim.command import LONGEST_DATAGRAM
from ringback.core.supersim.sim import SimStatus
from ringback.portal_client import JsonObject, PortalClient, poll

_PATIENCE: Final = 3.0
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 (compared, and never bound)


def send_datagram(
    portal: PortalClient, sim: str, shown: JsonObject, payload: bytes, port: int
) -> tuple[str, JsonObject]:
    """Send a datagram; return the words for the way it was sent, and the resulting IP Command.

    `shown` is the portal's record of the device. Raises ConfigurationError if the gateway does not
    accept the datagram.
    """
    gateway, device_ip = gateway_near(shown["gateway"], portal), shown["device_ip"]
    # The gateway silently ignores a SIM that is not in the network; the API returns an error.
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
    """Return a UDP socket with this address; raises OSError if this machine does not have it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def gateway_near(gateway: str | None, portal: PortalClient) -> tuple[str, int] | None:
    """Return the gateway's address; None if it is the loopback address of another machine."""
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


def _over_the_api(portal: PortalClient, sim: str, payload: bytes, port: int) -> JsonObject:
    form = {
        "Payload": b64encode(payload).decode(),
        "PayloadType": "binary",
        "DevicePort": str(port),
    }
    return portal.post("devices", sim, "ip", form=form)


def _newest(portal: PortalClient, sim: str) -> list[JsonObject]:
    query = {"Sim": sim, "Direction": "from_sim"}
    return portal.for_api("supersim/v1").get("IpCommands", query=query)["ip_commands"]


def _taken(
    portal: PortalClient, sim: str, payload: bytes, port: int, known: list[JsonObject]
) -> JsonObject:
    """Wait for the IP Command that the server makes of a datagram, and return it.

    UDP has no answer, so only this record confirms that the datagram arrived.
    """
    said = b64encode(payload[:LONGEST_DATAGRAM]).decode()
    before = {command["sid"] for command in known}

    def is_ours(command: JsonObject) -> bool:
        its_own = (command["device_port"], command["payload"])
        return its_own == (port, said) and command["sid"] not in before

    found = poll(
        lambda: next(filter(is_ours, _newest(portal, sim)), None),
        lambda command: command is not None,
        until=time.monotonic() + _PATIENCE,
    )
    if found is None:
        raise ConfigurationError(
            "the datagram was sent, but the gateway did not accept it; the log of `ringback dev`"
            " has the reason"
        )
    return found
