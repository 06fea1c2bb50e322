"""Decides to which IP addresses callbacks may be sent.

The check uses the address of the actual connection, so neither a host name nor an unusual spelling
of an address gets around it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
ANYWHERE: Final[tuple[Network, ...]] = (ip_network("0.0.0.0/0"), ip_network("::/0"))

# All IPv6 addresses assigned to the public network (IANA's IPv6 address space registry). Most forms
# that contain an IPv4 address are outside: compatible, mapped, translated, private NAT64.
_PUBLIC_IPV6: Final = ip_network("2000::/3")

# Addresses that are not public, although is_global of some Python version says so.
_INWARD: Final[tuple[Network, ...]] = (
    ip_network("192.0.0.0/24"),  # RFC 6890; Oracle's cloud keeps its metadata there
    ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 3068, deprecated by RFC 7526
    ip_network("168.63.129.16/32"),  # Azure's own services for its machines
    ip_network("2002::/16"),  # 6to4, RFC 3056, deprecated by RFC 7526
    ip_network("3fff::/20"),  # for documentation, RFC 9637
)

# NAT64, RFC 6052: the last four bytes are an IPv4 address.
_NAT64: Final = ip_network("64:ff9b::/96")


def refusal(text: str, *, allowed: Sequence[Network] = ()) -> str | None:
    """Return why a callback may not be sent to this IP address, or None if it may.

    Raises ValueError if the text is not an IP address.

    >>> refusal("127.0.0.1")
    '127.0.0.1 is not a public address; allow it with `--allow loopback`'
    >>> refusal("93.184.216.34") is None
    True
    """
    outer = ip_address(text.partition("%")[0])
    inner = _embedded(outer)
    if any(address in network for network in allowed for address in (outer, inner)):
        return None
    if all(_is_public(address) for address in (outer, inner)):
        return None
    needed = "loopback" if outer.is_loopback else outer
    return f"{text} is not a public address; allow it with `--allow {needed}`"


def refusal_of_name(host: str) -> str:
    """Return the error message for a forbidden host; it does not show the host's address."""
    return (
        f"{host} does not lead to a public address; callbacks are sent only to public addresses"
        " and to networks that the settings allow"
    )


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return address in _NAT64
    # is_global includes multicast. It excludes 100.64/10, link-local (and with it 169.254.169.254,
    # where clouds keep their metadata), loopback and the private ranges.
    is_inward = any(address in network for network in _INWARD)
    return address.is_global and not address.is_multicast and not is_inward


def _embedded(address: Address) -> Address:
    """Return the IPv4 address embedded in an IPv6 address, or else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
