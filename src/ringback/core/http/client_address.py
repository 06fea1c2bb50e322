"""Finds the client of a request: the peer's address, or the one that a trusted proxy reports."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from ringback.core.http.allowed_addresses import Address, Network

_CUSTOMER_PREFIX: Final = 64
"""The prefix length of an IPv6 network of one customer, who can use every address in it."""


def client_of(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the address of the client whose request a trusted `peer` forwards.

    `forwarded_for` is the X-Forwarded-For header, to which each proxy adds the address of its own
    client at the right. It is read from the right while the addresses are trusted proxies, since an
    untrusted client can write anything to the left of its own address.

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
    """Return True if the address is in one of these networks.

    >>> from ipaddress import ip_network
    >>> is_in(ip_address("10.1.2.3"), [ip_network("10.0.0.0/8")])
    True
    """
    return any(address in network for network in networks)


def peer_address(host: str) -> Address | None:
    """Return a socket peer's IP address from its text; None if the text is not an IP address.

    IPv4 addresses in the form ::ffff:192.0.2.1, from a socket for IPv4 and IPv6, are converted.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def holder_of(address: Address | None) -> str:
    """Return the key under which a client's connections are counted: IPv4 address or IPv6 /64.

    >>> holder_of(ip_address("2001:db8:1:2:3:4:5:6")), holder_of(ip_address("192.0.2.1"))
    ('2001:db8:1:2::/64', '192.0.2.1')
    """
    if isinstance(address, IPv6Address):
        rest = 128 - _CUSTOMER_PREFIX
        network = IPv6Address(int(address) >> rest << rest)
        return f"{network}/{_CUSTOMER_PREFIX}"
    return str(address)


def _read(entry: str) -> Address | None:
    """Return the address in an X-Forwarded-For entry, without its port; None if it is not valid."""
    host = entry
    if entry.startswith("["):
        host = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        host = entry.partition(":")[0]
    return peer_address(host)
