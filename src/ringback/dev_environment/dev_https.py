"""The HTTPS listener of `ringback dev`: its port, its certificate and its URL."""

import socket
import ssl
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ringback.api.host_routing import EVENT_HOSTS, KORE_HOSTS, LOCAL_HOSTS, OTHER_HOSTS, SIM_HOSTS
from ringback.api.serve_on_socket import reserve
from ringback.core.errors import ConfigurationError
from ringback.runtime.system_clock import SystemClock
from ringback.settings.settings import Settings

USUAL_PORT: Final = 443
# 443 often needs root or is in use: then try the usual alternative, then any free port.
_ELSE: Final = (8443, 0)


@dataclass(frozen=True, slots=True)
class DevHttps:
    """The socket, TLS context and CA file of the HTTPS listener."""

    listener: socket.socket
    """The bound socket, which begins to listen only after `dev.json` is written."""
    context: ssl.SSLContext
    ca_file: Path

    @property
    def url(self) -> str:
        """The HTTPS URL of the server on this machine."""
        address = address_of(self.listener)
        host = f"[{address}]" if ":" in address else address
        port = self.listener.getsockname()[1]
        return f"https://{host}" if port == USUAL_PORT else f"https://{host}:{port}"


@contextmanager
def https_of(settings: Settings) -> Generator[DevHttps | None]:
    """Yield the HTTPS listener with its port and certificate, or None if TLS is off.

    The socket is bound, but doesn't listen yet. Raises ConfigurationError if no port is free, or
    the CA can't be used.
    """
    if not settings.tls:
        yield None
        return
    # Imported late: making certificates needs a large package, and most starts don't use HTTPS.
    from ringback.dev_environment.dev_ca import ca_file_in, find_or_make_ca, server_side  # noqa: PLC0415 (see above)

    port, else_other = settings.tls_port
    with reserve_first(settings.host, (port, *_ELSE) if else_other else (port,)) as listener:
        now = SystemClock().now()
        ca = find_or_make_ca(settings.data, now=now)
        context = server_side(ca, names_for(address_of(listener)), now=now)
        yield DevHttps(listener, context, ca_file_in(settings.data).absolute())


def reserve_first(host: str, ports: Sequence[int]) -> socket.socket:
    """Return a socket that is bound to the first free one of these ports.

    Raises ConfigurationError, with the flag to change, if none is free.
    """
    port, *others = ports
    try:
        return reserve(host, port, flag="--tls-port")
    except ConfigurationError:
        if not others:
            raise
        return reserve_first(host, others)


def address_of(listener: socket.socket) -> str:
    """Return the IP address at which this machine reaches a listening socket."""
    address = ip_address(listener.getsockname()[0])
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"


def names_for(address: str) -> Sequence[str]:
    """Return the host names and addresses for the certificate of a server at this address."""
    names = (*SIM_HOSTS, *EVENT_HOSTS, *KORE_HOSTS, *OTHER_HOSTS, *LOCAL_HOSTS)
    return [*dict.fromkeys((*names, "127.0.0.1", "::1", address))]
