"""The server's limits on sizes and times."""

from dataclasses import dataclass
from typing import Final

MAX_HELD: Final = 16 * 1024
"""Bytes that are read ahead of who reads a body, or of the request before."""
MAX_DISCARDED: Final = 1024 * 1024
"""Bytes of an unwanted body that are read, so that its sender gets to read the answer."""
PROGRESS: Final = 4 * 1024
"""Bytes of a body that count as progress."""


@dataclass(frozen=True, slots=True)
class ServerTimeouts:
    """Seconds; each is looked at once a second."""

    handshake: float = 10.0
    """For TLS to be set up."""
    head: float = 30.0
    """From the first byte of a request, or from the connection's beginning, to the end of its
    headers."""
    body: float = 20.0
    """For every 4 KiB of a body, so that a slow client may take as long as it needs."""
    idle: float = 75.0
    """Between two requests. Longer than common load balancers keep a connection: so that not we
    close it, just when they send the next request over it."""
    answer: float = 30.0
    """For the client to take some more of an answer."""
    closing: float = 2.0
    """For the client to close too."""
