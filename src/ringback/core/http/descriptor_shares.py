"""Divides the process's file descriptors between incoming and outgoing connections."""

from dataclasses import dataclass
from typing import Final

RESERVE: Final = 384
"""File descriptors kept free for up to 256 DNS lookups, the database, the log and the listeners."""


@dataclass(frozen=True, slots=True)
class DescriptorShares:
    """The maximum numbers of open incoming and outgoing connections."""

    incoming: int
    """The maximum number of open connections from clients."""
    outgoing: int
    """The maximum number of open connections to receivers, in use or kept alive."""


def outgoing_wanted(at_once: int) -> int:
    """Return the number of outgoing connections to allow for `at_once` concurrent requests.

    It is an eighth higher than `at_once`, so that some idle connections stay open for later
    requests.
    """
    return at_once + at_once // 8


def divide(limit: int, wanted: DescriptorShares) -> DescriptorShares:
    """Return `wanted`, or fewer connections if the limit on open files is too low for that.

    Then outgoing connections get what they want first, but at least a quarter of the room is kept
    for incoming connections. Neither number is ever zero.

    >>> divide(20_000, DescriptorShares(incoming=4096, outgoing=900))
    DescriptorShares(incoming=4096, outgoing=900)
    >>> divide(1024, DescriptorShares(incoming=4096, outgoing=900))
    DescriptorShares(incoming=192, outgoing=576)
    """
    room = max(16, limit - min(RESERVE, limit // 4))
    incoming = min(wanted.incoming, max(room - wanted.outgoing, room // 4))
    return DescriptorShares(incoming, min(wanted.outgoing, room - incoming))


def needed_for(wanted: DescriptorShares) -> int:
    """Return the limit on open files that these numbers of connections require."""
    return RESERVE + wanted.incoming + wanted.outgoing
