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
"""How many connections `serve` keeps open."""
_WAITING: Final = 1024
"""How many connections may wait to be taken."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free.

    Raises what `reserve` raises.
    """
    listener = reserve(host, port)
    listen(listener)
    return listener


def reserve(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """Return a socket that is bound, and takes no connection before `listen`.

    Raises ConfigurationError, naming this flag as what to change, where the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own loop looks for this protocol by its number before it sets TCP_NODELAY; without
    # that, each short answer waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A restart gets the address at once, though connections of before are in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise _taken(host, port, flag, failure) from failure
    return listener


def listen(listener: socket.socket, *, flag: str = "--port") -> None:
    """Take connections from now on; again where it does already.

    Raises what `reserve` raises, and closes the socket: of two that reserve an address at once, one
    can listen there.
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
    """Return the URL at which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(app: ASGIApp, listener: socket.socket, *, until: asyncio.Event) -> None:
    """Serve until the event is set; requests under way then get a second to end."""
    server = ApiHttpServer(app, connections=OpenConnections(_MOST_OPEN), now=SystemClock().now)
    server.listen(listener)
    await until.wait()
    await server.stop()
