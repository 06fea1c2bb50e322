"""Opens listening sockets or takes them over, and serves an ASGI application on one."""

import asyncio
import errno
import os
import socket
from collections.abc import MutableMapping
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
_TCP: Final = (socket.AF_INET, socket.AF_INET6)
_OF_SYSTEMD: Final = 3
"""The file descriptor of the first socket that systemd passes to a service."""
_VARIABLES_OF_SYSTEMD: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


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


def passed_descriptor(environment: MutableMapping[str, str], fd: int | None) -> int | None:
    """Return the descriptor of the listening socket that this process was started with, or None.

    It is `fd` if given, or that of the socket that systemd passes; then `LISTEN_PID` is this
    process. The variables of systemd are removed, so that they confuse no other process.

    Raises ConfigurationError if there are several sockets.
    """
    pid, sockets, *_ = [environment.pop(name, "") for name in _VARIABLES_OF_SYSTEMD]
    if pid != str(os.getpid()) or sockets in ("", "0"):
        return fd
    if fd is not None:
        raise ConfigurationError(
            f"the setting fd is {fd}, but systemd passes a socket, too (LISTEN_FDS={sockets});"
            " leave the setting out, or start the server without the socket unit"
        )
    if sockets != "1":
        raise ConfigurationError(
            f"systemd passes several sockets (LISTEN_FDS={sockets}), but the server needs one;"
            " leave one ListenStream= in the socket unit"
        )
    return _OF_SYSTEMD


def take_over(descriptor: int) -> socket.socket:
    """Return the listening TCP socket with this file descriptor, which this process now owns.

    Closing it only closes this process's copy, so connections wait for the next process.
    Raises ConfigurationError if the descriptor isn't such a socket.
    """
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as failure:
        is_closed = failure.errno == errno.EBADF
        raise _not_usable(
            descriptor, "it is not open" if is_closed else "it is not a socket"
        ) from failure
    if listener.type != socket.SOCK_STREAM or listener.family not in _TCP:
        raise _not_usable(listener.detach(), "it is not a TCP socket")
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise _not_usable(listener.detach(), "the socket does not listen")
    # Another program that this process starts must not get it as well.
    listener.set_inheritable(False)
    return listener


def _not_usable(descriptor: int, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"the server can't use file descriptor {descriptor}: {problem}; pass a TCP socket that"
        " listens, or leave --fd out to use --host and --port"
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
