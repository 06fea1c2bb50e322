"""The HTTP server's limits on sizes and times."""

from dataclasses import dataclass
from typing import Final

MAX_HELD: Final = 16 * 1024
"""Maximum bytes that a connection reads ahead: of a body, or of the next request."""
MAX_DISCARDED: Final = 1024 * 1024
"""Maximum bytes of an unwanted body to read and drop, so that the client reads the response."""
PROGRESS: Final = 4 * 1024
"""Bytes of a body that a client must send within `ServerTimeouts.body`."""


@dataclass(frozen=True, slots=True)
class ServerTimeouts:
    """The time limits of a connection, in seconds; they are checked once a second."""

    handshake: float = 10.0
    """Seconds for the TLS handshake."""
    head: float = 30.0
    """Seconds for a request's headers, from its first byte or the start of the connection."""
    body: float = 20.0
    """Seconds in which a client must send each 4 KiB of a body; a whole body may take longer."""
    idle: float = 75.0
    """Seconds between two requests.

    This is longer than load balancers usually wait, so that they close idle connections first.
    Otherwise the server could close a connection just as a load balancer sends a request.
    """
    answer: float = 30.0
    """Seconds in which the client must receive some more of a response."""
    closing: float = 2.0
    """Seconds in which the client must close its side, after the server has closed its own."""
