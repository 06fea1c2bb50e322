"""Parsers for the text of a setting; each raises ValueError if the text is invalid."""

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ringback.core.calendar import read_duration
from ringback.core.http.allowed_addresses import LOOPBACK, Network
from ringback.runtime.database_address import parse_database_address

_HIGHEST_PORT: Final = 65535
_HIGHEST_DESCRIPTOR: Final = 2**31 - 1
_BYTES: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def read_port(text: str) -> int:
    """Parse the number of a port to listen on; 0 is any free port."""
    if _is_number(text) and int(text) <= _HIGHEST_PORT:
        return int(text)
    raise ValueError(f"{text!r} is not a port: give a number from 0 to 65535 (0: any free port)")


def read_descriptor(text: str) -> int:
    """Parse the number of a file descriptor."""
    if _is_number(text) and int(text) <= _HIGHEST_DESCRIPTOR:
        return int(text)
    raise ValueError(f"{text!r} is not the number of a file descriptor: give a number like 3")


class HttpsPortSetting(NamedTuple):
    """The port to serve HTTPS on, and what to do if it is taken."""

    port: int
    """The port number; 0 for any free port."""
    else_other: bool = False
    """True if another port may be used if this one isn't available."""


def read_tls_port(text: str) -> HttpsPortSetting:
    """Parse the port of HTTPS; a `+` after it allows another port if it isn't available.

    >>> read_tls_port("443+")
    HttpsPortSetting(port=443, else_other=True)
    """
    return HttpsPortSetting(read_port(text.removesuffix("+")), text.endswith("+"))


def number(*, least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`; underscores may group the digits.

    >>> number(least=1, most=1_000_000)("100_000")
    100000
    """

    def read(text: str) -> int:
        digits = text.replace("_", "")
        if _is_number(digits) and least <= int(digits) <= most:
            return int(digits)
        raise ValueError(f"{text!r} must be a whole number from {least} to {most}")

    return read


def read_size(text: str) -> int:
    """Parse a size, such as `64MiB`, and return the number of bytes.

    >>> read_size("64MiB")
    67108864
    """
    digits = text.rstrip("KMGTiB")
    unit = text[len(digits) :]
    if _is_number(digits) and unit in _BYTES:
        return int(digits) * _BYTES[unit]
    raise ValueError(f"{text!r} is not a size; write it like 512KiB, 64MiB or 1GiB")


def read_device_network(text: str) -> IPv4Network:
    """Parse the IPv4 network that the addresses of devices come from."""
    try:
        return IPv4Network(text)
    except ValueError as problem:
        raise ValueError(f"{problem}; write an IPv4 network like 127.64.0.0/10") from None


class UdpGatewayAddress(NamedTuple):
    """The address where the server receives the datagrams that devices send over UDP."""

    host: str
    port: int
    """The port number; 0 for any free port."""
    else_any: bool = False
    """True if any free port may be used if this one is taken."""


def read_gateway(text: str) -> UdpGatewayAddress | None:
    """Parse the address and port for devices' UDP datagrams; returns None for `none`.

    >>> read_gateway("127.0.0.1:6969+")
    UdpGatewayAddress(host='127.0.0.1', port=6969, else_any=True)
    """
    if text == "none":
        return None
    host, _, port = text.removesuffix("+").rpartition(":")
    try:
        return UdpGatewayAddress(str(IPv4Address(host)), read_port(port), text.endswith("+"))
    except ValueError:
        raise ValueError(
            f"{text!r} is not an IPv4 address with a port, like 127.0.0.1:6969"
        ) from None


def read_database_address(text: str) -> str:
    """Check the address of a PostgreSQL database, and return it unchanged.

    The error has no part of the text.
    """
    parse_database_address(text)
    return text


def read_service_url(text: str) -> str:
    """Check the URL of a service that Ringback itself calls, and return it unchanged."""
    try:
        parts = urlsplit(text)
        is_address = parts.port != 0 and bool(parts.hostname) and parts.username is None
        is_usable = parts.scheme in ("http", "https") and is_address and "?" not in text
    except ValueError:
        is_usable = False
    if not is_usable or "#" in text:
        raise ValueError(
            f"{without_password(text)!r} is not the URL of a service; write it like"
            " http://127.0.0.1:5000, without credentials and parameters"
        )
    return text


def without_password(url: str) -> str:
    """Return a URL with `***` in place of its password.

    >>> without_password("http://user:secret@aws.internal/path")
    'http://user:***@aws.internal/path'
    """
    before, at, rest = url.rpartition("@")
    scheme, slashes, credentials = before.partition("//")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{slashes}{user}{colon}***{at}{rest}" if colon else url


def choice(*names: str) -> Callable[[str], str]:
    """Return a parser that accepts only these names, and returns the text unchanged."""

    def read(text: str) -> str:
        if text in names:
            return text
        raise ValueError(f"{text!r} must be {' or '.join(names)}")

    return read


def read_yes_or_no(text: str) -> bool:
    """Return True for `yes` and False for `no`; raises ValueError for any other text."""
    return choice("yes", "no")(text) == "yes"


def read_networks(text: str) -> tuple[Network, ...]:
    """Parse a comma list of networks, addresses and the word `loopback`; `none` for no network."""
    return tuple(network for name in _listed(text) for network in _networks_of(name))


def read_durations(text: str) -> tuple[timedelta, ...]:
    """Parse a comma list of durations; `none` for an empty list.

    >>> read_durations("7d, 1d")
    (datetime.timedelta(days=7), datetime.timedelta(days=1))
    """
    return tuple(map(read_duration, _listed(text)))


def is_egress_name(name: str) -> bool:
    """Return True if the name of an egress route can be written in a callback URL, as `#e=NAME`."""
    return name.isascii() and name.replace("-", "").isalnum()


def _is_number(text: str) -> bool:
    # No bound here needs more than twelve digits, and `int` is slow on thousands of digits.
    return text.isascii() and text.isdigit() and len(text) <= 12


def _listed(text: str) -> list[str]:
    return [] if text == "none" else [one.strip() for one in text.split(",")]


def _networks_of(name: str) -> tuple[Network, ...]:
    return LOOPBACK if name == "loopback" else (ipaddress.ip_network(name),)
