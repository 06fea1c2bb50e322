"""Whom a request is from: the address at the other end, or the one that a trusted proxy names."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from ringback.core.http.addresses import Address, Network

_CUSTOMER_PREFIX: Final = 64
"""Bits of an IPv6 address that one customer of a network gets at the least, to choose from."""


def client_of(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the address of the client that a trusted `peer` passes a request on for.

    `forwarded_for` is X-Forwarded-For: each proxy has added on its right whom it was asked by. So
    it is read from the right, as far as those that it names are trusted too: what stands left of a
    stranger is only what that stranger says.

    >>> from ipaddress import ip_network
    >>> client_of("10.0.0.1", "8.8.8.8, 203.0.113.9, 10.0.0.2", [ip_network("10.0.0.0/8")])
    '203.0.113.9'
    """
    client = peer
    for entry in reversed(forwarded_for.split(",")):
        address = _read(entry.strip())
        if address is None:
            break
        client = str(address)
        if not is_in(address, trusted):
            break
    return client


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks.

    >>> from ipaddress import ip_network
    >>> is_in(ip_address("10.1.2.3"), [ip_network("10.0.0.0/8")])
    True
    """
    return any(address in network for network in networks)


def peer_address(host: str) -> Address | None:
    """Return the address that a socket gives of its peer; None where it gives none.

    One socket may take IPv4 and IPv6: the former then look like ::ffff:192.0.2.1.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def holder_of(address: Address | None) -> str:
    """Return what to count the connections of an address under: IPv6 by the network of its /64.

    >>> holder_of(ip_address("2001:db8:1:2:3:4:5:6")), holder_of(ip_address("192.0.2.1"))
    ('2001:db8:1:2::/64', '192.0.2.1')
    """
    if isinstance(address, IPv6Address):
        rest = 128 - _CUSTOMER_PREFIX
        network = IPv6Address(int(address) >> rest << rest)
        return f"{network}/{_CUSTOMER_PREFIX}"
    return str(address)


def _read(entry: str) -> Address | None:
    """Return an entry's address: some proxies put the port behind it."""
    host = entry
    if entry.startswith("["):
        host = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        host = entry.partition(":")[0]
    return peer_address(host)
