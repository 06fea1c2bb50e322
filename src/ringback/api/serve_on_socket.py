"""Serves an ASGI application on a socket that is already bound, until an event is set."""

import asyncio
import socket
from typing import Final

from starlette.types import ASGIApp

from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.server import ApiHttpServer
from ringback.core.errors import ConfigurationError
from ringback.runtime.system_clock import SystemClock

_MOST_OPEN: Final = 1024
"""Maximum number of connections that `serve` keeps open."""
_WAITING: Final = 1024
"""Maximum number of connections that the system queues until they are accepted."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on this address; port 0 chooses a free port.

    Raises ConfigurationError if the address is in use or not available.
    """
    listener = reserve(host, port)
    listen(listener)
    return listener


def reserve(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """Return a socket that is bound to this address; it accepts no connections before `listen`.

    Raises ConfigurationError, which suggests changing `flag`, if the address is in use or not
    available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the socket has this protocol number; without TCP_NODELAY,
    # each short response waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # After a restart the address is available at once, despite old connections in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise _taken(host, port, flag, failure) from failure
    return listener


def listen(listener: socket.socket, *, flag: str = "--port") -> None:
    """Start to accept connections on a socket; do nothing if it accepts connections already.

    Raises ConfigurationError, and closes the socket, if another process listens on the address.
    `reserve` does not notice this, since two processes can reserve the same address.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(_WAITING)
    except OSError as failure:
        listener.close()
        raise _taken(host, port, flag, failure) from failure


def _taken(host: str, port: int, flag: str, failure: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"can't listen on {host}:{port}: {failure.strerror}; choose another with {flag} (or --host)"
    )


def base_url_of(listener: socket.socket, *, scheme: str = "http") -> str:
    """Return the base URL at which clients reach a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(app: ASGIApp, listener: socket.socket, *, until: asyncio.Event) -> None:
    """Serve the application until the event is set; running requests then get a second to end."""
    server = ApiHttpServer(app, connections=OpenConnections(_MOST_OPEN), now=SystemClock().now)
    server.listen(listener)
    await until.wait()
    await server.stop()
