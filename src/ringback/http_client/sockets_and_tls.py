"""The boundary to the network: all that touches sockets and TLS is behind `NetworkBackend`.

What is connected, and what is said over it, is decided on this side of it; so the sender runs just
as well in a simulated network, on an event loop whose time is simulated as well. Such a network
hands a protocol a transport and calls it as an event loop would.
"""

import asyncio
import errno
import socket
from typing import Any, Final, Protocol, cast

from ringback.http_client.tls import ClientTls, check_name, tls_failure
from ringback.runtime.os_error_messages import shortage_of

# How long a receiver may take to say goodbye when an idle TLS connection is closed, in seconds.
_TLS_GOODBYE: Final = 1.0


class EgressAddressUnavailable(OSError):
    """The address to leave from can't be had on this machine."""


class NetworkBackend(Protocol):
    """Connections to addresses, and TLS on top of them."""

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        """Connect a protocol to an address; its `connection_made` has been called on return.

        The connection leaves from the local address, or from any where that is None; its
        transport's extra info `sockname` begins with the address that was taken.

        Raises EgressAddressUnavailable, or another OSError where there is no connection; its number
        says what this machine lacks, if it does. Where this is cancelled, no connection is left.
        """
        ...

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        *,
        host: str,
        says_name: bool,
    ) -> None:
        """Go on over TLS: verify that the other side is this host, saying its name to it or not.

        On return `protocol.connection_made` has been called with the transport to use from then
        on. Raises TlsFailed; the transport is of no use then.
        """
        ...


class SystemNetwork:
    """The `NetworkBackend` of this machine: its sockets, and OpenSSL."""

    def __init__(self, tls: ClientTls | None = None) -> None:
        self._tls = ClientTls() if tls is None else tls

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        """Connect a protocol to an address."""
        sock = await _connected_socket(address, port, local_address)
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        *,
        host: str,
        says_name: bool,
    ) -> None:
        """Go on over TLS."""
        loop = asyncio.get_running_loop()
        name = host.rstrip(".")
        try:
            secured = await loop.start_tls(
                transport,
                protocol,
                self._tls.context(says_name=says_name),
                server_hostname=name if says_name else None,
                ssl_shutdown_timeout=_TLS_GOODBYE,
            )
        except OSError as error:
            raise tls_failure(error) from error
        if secured is None:
            raise tls_failure(ConnectionAbortedError())
        if not says_name:
            check_name(cast("dict[str, Any]", secured.get_extra_info("peercert")), name)
        protocol.connection_made(secured)


async def _connected_socket(address: str, port: int, local_address: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        if local_address is not None:
            _leave_from(sock, local_address)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException as failure:
        sock.close()
        if isinstance(failure, OSError) and failure.errno == errno.EADDRNOTAVAIL:
            _check_that_a_way_leads_there(family, address, port)
        raise
    return sock


def _check_that_a_way_leads_there(family: int, address: str, port: int) -> None:
    """Raise OSError where this machine has no address that could lead there.

    Linux says `EADDRNOTAVAIL` for that as it does where all ports are taken; but a datagram socket
    has ports of its own.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, port))
        except OSError:
            raise OSError(errno.ENETUNREACH, "no local address leads there") from None


def _leave_from(sock: socket.socket, local_address: str) -> None:
    try:
        sock.bind((local_address, 0))
    except OSError as error:
        # All its ports may be taken; that it is not there at all has a number of its own.
        if error.errno != errno.EADDRNOTAVAIL and shortage_of(error) is not None:
            raise
        raise EgressAddressUnavailable(error.errno, error.strerror) from error
