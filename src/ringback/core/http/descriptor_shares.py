"""Divides the file descriptors of the process between incoming and outgoing connections."""

from dataclasses import dataclass
from typing import Final

RESERVE: Final = 384
"""Kept for everything else: up to 256 name lookups, the database, the log, the listeners."""


@dataclass(frozen=True, slots=True)
class DescriptorShares:
    """How many connections each side may have open at once."""

    incoming: int
    """Those of clients."""
    outgoing: int
    """Those to receivers, in use or kept."""


def outgoing_wanted(at_once: int) -> int:
    """Return how many outgoing connections to allow for this many requests at once.

    An eighth more, for kept connections to receivers that are called again and again.
    """
    return at_once + at_once // 8


def divide(limit: int, wanted: DescriptorShares) -> DescriptorShares:
    """Return the shares under a limit on open files: as wanted where it has room for that.

    Otherwise clients get what sending leaves, but a quarter at the least, and sending the rest;
    each gets something, whatever the limit.

    >>> divide(20_000, DescriptorShares(incoming=4096, outgoing=900))
    DescriptorShares(incoming=4096, outgoing=900)
    >>> divide(1024, DescriptorShares(incoming=4096, outgoing=900))
    DescriptorShares(incoming=192, outgoing=576)
    """
    room = max(16, limit - min(RESERVE, limit // 4))
    incoming = min(wanted.incoming, max(room - wanted.outgoing, room // 4))
    return DescriptorShares(incoming, min(wanted.outgoing, room - incoming))


def needed_for(wanted: DescriptorShares) -> int:
    """Return the limit on open files that leaves room for these shares."""
    return RESERVE + wanted.incoming + wanted.outgoing
