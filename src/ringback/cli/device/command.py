"""`ringback device`: plays the device of a SIM, over UDP where that is possible."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, NamedTuple

import click

from ringback.cli.base_command import argument, group, option
from ringback.cli.device.receive import receive
from ringback.cli.device.send_datagram import send_datagram
from ringback.cli.options import Option, json_flag, printing, read_by
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.core.errors import ConfigurationError
from ringback.portal_client import PortalClient


class _Way(NamedTuple):
    """A way for a device to send something."""

    name: str
    many: str
    url_field: str
    """The field of a device that has the URL which is called back."""
    parameter: str
    """The API's parameter that sets this URL."""
    of: str = "'s Fleet"
    """The resource that has the parameter, in words that follow `the SIM`."""


_WAYS: Final = {
    "ip": _Way("datagram", "datagrams", "ip_commands_url", "IpCommandsUrl"),
    "sms": _Way("SMS", "SMS", "sms_commands_url", "SmsCommandsUrl"),
    "commands": _Way("Command", "Commands", "commands_callback_url", "CommandsCallbackUrl", ""),
}
_HAS: Final = {"supersim": ("ip", "sms"), "wireless": ("commands",)}
"""The ways that the devices of a product have; the first one is the default."""
_UNITS: Final = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}
_SIZE: Final = re.compile(r"([0-9]{1,12})([A-Za-z]{0,2})")

_sim: Final[Option[Any]] = option(
    "--sim", metavar="SIM", help="Whose device: a SID or a unique name; by default, the notice's."
)
_port: Final[Option[Any]] = option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4000,
    show_default=True,
    help="The device's UDP port.",
)
_JSON: Final = "Print one JSON object instead."
_prints: Final = printing(_JSON)


@group()
def device() -> None:
    """Play the device of a SIM: send and receive, use data, download a profile."""


def _read_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is not pairs of hexadecimal digits") from None


def read_size(text: str) -> int:
    """Return how many bytes `300kB` are; raises ValueError where that is no size.

    >>> read_size("300kB"), read_size("12"), read_size("2 MB".replace(" ", ""))
    (300000, 12, 2000000)
    """
    found = _SIZE.fullmatch(text)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"{text!r} is no size; write 500, 300kB or 2MB")
    return int(found[1]) * _UNITS[found[2].lower()]


@device.command("send")
@argument("text", required=False)
@with_portal
@_sim
@option("--ip", "kind", flag_value="ip", help="Send a datagram; the default of Super SIM.")
@option("--sms", "kind", flag_value="sms", help="Send an SMS, which Super SIM has.")
@option(
    "--command",
    "kind",
    flag_value="commands",
    help="Send a Command; the default of Programmable Wireless.",
)
@option("--hex", "octets", metavar="HEX", callback=read_by(_read_hex), help="Send these bytes.")
@option("--file", type=click.File("rb"), help="Send what this file holds; - is the input.")
@_port
@_prints
def send(
    *,
    text: str | None,
    portal: PortalClient,
    sim: str | None,
    kind: str | None,
    octets: bytes | None,
    file: IO[bytes] | None,
    port: int,
) -> Output:
    """Send TEXT from a SIM's device: a datagram to the gateway, an SMS, or a Command.

    Where this machine doesn't have the device's address, or no gateway runs, the datagram is
    handed over within the API.
    """
    if sum(each is not None for each in (text, octets, file)) != 1:
        raise click.UsageError("give one of TEXT, --hex and --file")
    whose = sim_of(portal, sim)
    shown = portal.get("devices", whose)
    kind = kind or _HAS[shown["product"]][0]
    way = _WAYS[kind]
    if kind == "sms" and text is None:
        raise click.UsageError("an SMS is text; give TEXT")
    payload = _payload(text, octets, file)
    if kind == "ip":
        how, command = send_datagram(portal, whose, shown, payload, port)
    else:
        binary = {"Payload": b64encode(payload).decode(), "PayloadType": "binary"}
        form = binary if text is None else {"Payload": text}
        how, command = way.name, portal.post("devices", whose, kind, form=form)
    return command, _sent_lines(shown, command, how, way)


def _payload(text: str | None, octets: bytes | None, file: IO[bytes] | None) -> bytes:
    if text is not None:
        return text.encode()
    return file.read() if file is not None else octets or b""


def _sent_lines(
    shown: Mapping[str, Any], command: Mapping[str, Any], how: str, way: _Way
) -> Iterator[str]:
    yield f"{command['sid']}  {command['status']}  {how}"
    url = shown[way.url_field]
    target = f"  {_target(url, way)}"
    yield click.style(target, fg="yellow") if url is None else target


@device.command("show")
@with_portal
@_sim
@_prints
def show(*, portal: PortalClient, sim: str | None) -> Output:
    """Show the address of a SIM's device, where it sends to, and what holds for it."""
    shown = portal.get("devices", sim_of(portal, sim))
    return shown, _device_lines(shown)


def _device_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    name = shown["sim_unique_name"] or "(no name)"
    yield f"{shown['sim_sid']}  {name}  {shown['sim_status']}"
    ways = [_WAYS[kind] for kind in _HAS[shown["product"]]]
    for word, value in (
        *_reached(shown),
        *((way.many, _target(shown[way.url_field], way)) for way in ways),
        ("scenario", f"{shown['scenario']}, {shown['scenario_reason']}"),
    ):
        yield f"  {word:10} {value}"


def _reached(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    if shown["product"] == "wireless":
        return [("rate plan", shown["rate_plan_sid"] or "none")]
    no_gateway = "no gateway runs; `ringback device send` uses the API"
    return [("address", shown["device_ip"]), ("sends to", shown["gateway"] or no_gateway)]


def _target(url: str | None, way: _Way) -> str:
    if url is not None:
        return f"told to {url}"
    return f"nobody is told: {way.parameter} of the SIM{way.of} is not set"


@device.command("data")
@with_portal
@_sim
@option("--upload", metavar="SIZE", default="0", callback=read_by(read_size), help="Like 300kB.")
@option("--download", metavar="SIZE", default="0", callback=read_by(read_size), help="Like 2MB.")
@_prints
def data(*, portal: PortalClient, sim: str | None, upload: int, download: int) -> Output:
    """Use data, at once; it counts for usage, limits, and a SIM that is ready."""
    form = {"Upload": str(upload), "Download": str(download)}
    used = portal.post("devices", sim_of(portal, sim), "data", form=form)
    return used, f"{used['sim_sid']}  {used['data_total']} bytes"


@device.command("download")
@argument("sid")
@with_portal
@_prints
def download(*, sid: str, portal: PortalClient) -> Output:
    """Download the eSIM Profile SID (HP…), which then installs itself."""
    profile = portal.post("esim_profiles", sid, "download")
    return profile, f"{profile['sid']}  is being downloaded"


@device.command("receive")
@with_portal
@_sim
@_port
@option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many.")
@json_flag(_JSON)
def receive_(
    *, portal: PortalClient, sim: str | None, port: int, count: int | None, as_json: bool
) -> None:
    """Show the datagrams and the SMS that come to a SIM's device, until Ctrl-C."""
    receive(portal, sim_of(portal, sim), port, count=count, as_json=as_json)


def sim_of(portal: PortalClient, sim: str | None) -> str:
    """Return the SIM that is named, or the one of `ringback dev`.

    Raises ConfigurationError without one.
    """
    named = sim or portal.sim_sid
    if named is None:
        raise ConfigurationError("say whose device it is, by the SIM's SID or unique name: --sim")
    return named
