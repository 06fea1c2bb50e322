"""`ringback device`: plays the device of a SIM, over UDP if possible."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.options import Option, json_lines_option, prints_record, read_by
from ringback.cli.output import Output, style
from ringback.cli.portal_commands import with_portal
from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.core.sims.device_messages import KINDS_OF_PRODUCT, MESSAGE_KINDS, DeviceMessageKind

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient

_UNITS: Final = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}
_SIZE: Final = re.compile(r"([0-9]{1,12})([A-Za-z]{0,2})")

_sim: Final[Option[Any]] = option(
    "--sim",
    metavar="SIM",
    help="SID or unique name of the device's SIM. Default: the Super SIM of `ringback dev`.",
)
_port: Final[Option[Any]] = option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    default=4000,
    show_default=True,
    help="UDP port of the device: it sends and receives datagrams on this port.",
)


@group()
def device() -> None:
    """Act as the device of a SIM: messages, data, eSIM Profiles.

    `ringback dev` simulates a device for each SIM. These commands make a device send and receive
    messages, use data, or download an eSIM Profile.
    """


def _read_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not hexadecimal; write two digits for each byte, like 00ff"
        ) from None


def read_size(text: str) -> int:
    """Return the number of bytes of a size such as `300kB`; raises ValueError if it is not valid.

    >>> read_size("300kB"), read_size("12"), read_size("2 MB".replace(" ", ""))
    (300000, 12, 2000000)
    """
    found = _SIZE.fullmatch(text)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"{text!r} is not a valid size; write 500, 300kB or 2MB")
    return int(found[1]) * _UNITS[found[2].lower()]


@device.command(
    "send",
    examples={
        "ringback device send 'hello'": "Send a datagram from the device of the Super SIM:",
        "ringback device send 'hello' --sms": "Send an SMS from the device of the Super SIM:",
        "ringback device send --hex 00ff": (
            "Send a datagram of the two bytes 00 and ff (hexadecimal):"
        ),
        "ringback device send 'hello' --sim \"$WIRELESS_SIM_SID\"": (
            "Send a Command from the device of the Programmable Wireless SIM:"
        ),
    },
)
@argument(
    "text", required=False, help="Text of the message to send; --hex or --file sends bytes instead."
)
@option_group(
    "What to send",
    option(
        "--hex",
        "octets",
        metavar="HEX",
        callback=read_by(_read_hex),
        help="Send these bytes, two hexadecimal digits each, for example 00ff.",
    ),
    option(
        "--file",
        type=click.File("rb"),
        metavar="FILE",
        help="Send the content of this file as the message; - reads standard input.",
    ),
)
@option_group(
    "How to send it",
    option(
        "--ip",
        "kind",
        flag_value="ip",
        help="Send the message as a datagram (the default for a Super SIM).",
    ),
    option(
        "--sms",
        "kind",
        flag_value="sms",
        help="Send the message as an SMS (possible for a Super SIM).",
    ),
    option(
        "--command",
        "kind",
        flag_value="commands",
        help="Send the message as a Command (the default for a Programmable Wireless SIM).",
    ),
    _sim,
    _port,
)
@prints_record
@with_portal
def send(
    *,
    text: str | None,
    portal: "PortalClient",
    sim: str | None,
    kind: str | None,
    octets: bytes | None,
    file: IO[bytes] | None,
    port: int,
) -> Output:
    """Send a message from a SIM's device.

    A datagram goes from the device's own IP address to the UDP gateway of the server. If there is
    no gateway, or this machine does not have the device's address, the command sends the datagram
    over the API instead.
    """
    if sum(each is not None for each in (text, octets, file)) != 1:
        raise click.UsageError("give either TEXT, --hex or --file")
    whose = sim_of(portal, sim)
    shown = portal.get("devices", whose)
    kind = kind or KINDS_OF_PRODUCT[shown["product"]][0]
    way = MESSAGE_KINDS[kind]
    if kind == "sms" and text is None:
        raise click.UsageError("an SMS is text; give TEXT")
    payload = _payload(text, octets, file)
    if kind == "ip":
        from ringback.cli.device.send_datagram import send_datagram

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
    shown: Mapping[str, Any], command: Mapping[str, Any], how: str, way: DeviceMessageKind
) -> Iterator[str]:
    yield f"{command['sid']}  {command['status']}  {how}"
    target = f"  {way.target_of(shown)}"
    yield style(target, fg="yellow") if shown[way.url_field] is None else target


@device.command(
    "show",
    examples={
        "ringback device show": "Show the device of the Super SIM:",
        'ringback device show --sim "$WIRELESS_SIM_SID"': (
            "Show the device of the Programmable Wireless SIM:"
        ),
    },
)
@_sim
@prints_record
@with_portal
def show(*, portal: "PortalClient", sim: str | None) -> Output:
    """Show a SIM's device: address, gateway, callback URLs.

    When the device sends a message, a callback goes to one of these URLs. The scenario that is
    shown says how the simulated network behaves for this SIM.
    """
    shown = portal.get("devices", sim_of(portal, sim))
    return shown, _device_lines(shown)


def _device_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    name = shown["sim_unique_name"] or "(no name)"
    yield f"{shown['sim_sid']}  {name}  {shown['sim_status']}"
    ways = [MESSAGE_KINDS[kind] for kind in KINDS_OF_PRODUCT[shown["product"]]]
    for word, value in (
        *_reached(shown),
        *((way.many, way.target_of(shown)) for way in ways),
        ("scenario", f"{shown['scenario']}, {shown['scenario_reason']}"),
    ):
        yield f"  {word:10} {value}"


def _reached(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    if shown["product"] == "wireless":
        return [("rate plan", shown["rate_plan_sid"] or "none")]
    no_gateway = "no gateway: `ringback device send` uses the API"
    return [("address", shown["device_ip"]), ("sends to", shown["gateway"] or no_gateway)]


@device.command(
    "data",
    examples={
        "ringback device data --upload 300kB --download 2MB": (
            "Make the device send 300 kB and receive 2 MB:"
        ),
        "ringback device data --upload 1MB --json": (
            "Make the device send 1 MB, and print the data use as JSON:"
        ),
    },
)
@option_group(
    "How much",
    option(
        "--upload",
        metavar="SIZE",
        default="0",
        callback=read_by(read_size),
        help="Amount of data that the device sends, for example 300kB. Default: 0.",
    ),
    option(
        "--download",
        metavar="SIZE",
        default="0",
        callback=read_by(read_size),
        help="Amount of data that the device receives, for example 2MB. Default: 0.",
    ),
)
@_sim
@prints_record
@with_portal
def data(*, portal: "PortalClient", sim: str | None, upload: int, download: int) -> Output:
    """Make a SIM's device use data.

    The data counts towards the SIM's usage records and data limits. A SIM with the status `ready`
    becomes `active` when its device has used enough data.
    """
    form = {"Upload": str(upload), "Download": str(download)}
    used = portal.post("devices", sim_of(portal, sim), "data", form=form)
    return used, f"{used['sim_sid']}  {counted(used['data_total'], 'byte')}"


@device.command(
    "download",
    examples={
        "ringback trigger esim.downloaded": "Order a new eSIM Profile and download it, in one step:"
    },
)
@argument("sid", help="SID of the eSIM Profile to download, for example HP0123abc.")
@prints_record
@with_portal
def download(*, sid: str, portal: "PortalClient") -> Output:
    """Make a device download an eSIM Profile and install it."""
    profile = portal.post("esim_profiles", sid, "download")
    return profile, f"{profile['sid']}  download started"


@device.command(
    "receive",
    examples={
        "ringback device receive": (
            "Show the messages that the device of the Super SIM receives, until Ctrl-C:"
        ),
        "ringback device receive --count 1 --json": "Wait for one message, and print it as JSON:",
    },
)
@option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N messages. Without it, run until Ctrl-C.",
)
@_sim
@_port
@json_lines_option
@with_portal
def receive_(
    *, portal: "PortalClient", sim: str | None, port: int, count: int | None, as_json: bool
) -> None:
    """Show messages that a SIM's device receives.

    The device of a Super SIM receives datagrams and SMS, the device of a Programmable Wireless SIM
    receives Commands. The command runs until Ctrl-C.
    """
    from ringback.cli.device.receive import receive

    receive(portal, sim_of(portal, sim), port, count=count, as_json=as_json)


def sim_of(portal: "PortalClient", sim: str | None) -> str:
    """Return the given SIM, or the Super SIM of `ringback dev` if none is given.

    Raises ConfigurationError if there is neither.
    """
    named = sim or portal.sim_sid
    if named is None:
        raise ConfigurationError("name the SIM of the device by its SID or unique name: --sim")
    return named
