"""The IP address under which a SIM's device is reached: one for each SIM, out of one network."""

from hashlib import blake2b
from ipaddress import IPv4Network


def device_address(iccid: str, network: IPv4Network, *, turn: int = 0) -> str:
    """Return an address for a card; where it is taken, the next turn gives another.

    The same card gets the same addresses everywhere, and in as many turns as there are addresses
    it gets each of them. Those of the network itself and of its broadcast are left out, where it
    is large enough to have them (RFC 3021).

    >>> device_address("89883070000123456789", IPv4Network("127.64.0.0/10"))
    '127.99.188.141'
    """
    first, count = (
        (1, network.num_addresses - 2) if network.prefixlen <= 30 else (0, network.num_addresses)
    )
    lot = int.from_bytes(blake2b(iccid.encode(), digest_size=8).digest())
    return str(network[first + (lot + turn) % count])
