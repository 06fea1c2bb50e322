"""Roles of processes that share the work, and the shards into which destinations are divided.

A process owns a shard as a whole, and with it all lanes to its destinations. So the limits of a
destination, and the order of its callbacks, hold however many processes there are.
"""

from enum import StrEnum
from typing import Final
from zlib import crc32

SHARDS: Final = 256
"""The number of shards. It is stored with each lane, so it can't be changed later."""
_AFTER_SCHEME: Final = len("http://") + 1
"""The place from which on a slash begins a path: `http://` and `https://` have theirs before."""


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    API = "api"
    """It accepts requests and stores callbacks, but sends none."""
    WORKER = "worker"
    """It sends callbacks, and carries out the tasks of SIMs."""


def shard_of(destination: str) -> int:
    """Return the number of the shard, from 0, that a destination (scheme, host and port) is in.

    A part of a destination, which ends with a path pattern, is in the same shard.

    >>> shard_of("https://example.com:443"), shard_of("https://example.com:443/app/*")
    (94, 94)
    """
    return crc32(origin_of(destination).encode()) % SHARDS


def origin_of(destination: str) -> str:
    """Return the scheme, host and port of a destination or a part of one.

    >>> origin_of("https://example.com:443/app/*")
    'https://example.com:443'
    """
    end = destination.find("/", _AFTER_SCHEME)
    return destination if end < 0 else destination[:end]


def share_of(processes: int) -> int:
    """Return the most shards that each of some processes owns if they share all shards evenly.

    >>> share_of(3)
    86
    """
    return -(-SHARDS // processes)
