"""The interface to the network: all use of sockets and TLS is behind `NetworkBackend`.

Tests replace the network by a simulated one, with simulated time. A `NetworkBackend` gives each
protocol a transport, and calls the protocol's methods as an event loop would.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, cast

from ringback.core.http.outcome import AttemptFailure
from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.tls import ClientTls, check_name, tls_failure
from ringback.http_client.tls_sessions import SessionRefused, TlsSessions
from ringback.runtime.open_files import require_room
from ringback.runtime.os_error_messages import shortage_of
from ringback.runtime.system_clock import SystemClock

# Seconds that a receiver may take to answer the close of an idle TLS connection.
_TLS_GOODBYE: Final = 1.0
_NOW: Final = SystemClock().now


class EgressAddressUnavailable(OSError):
    """The local address to connect from is not available on this machine."""


class NetworkBackend(Protocol):
    """The interface to a network: connects to addresses, and adds TLS to connections."""

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        """Connect a protocol to an address, and call its `connection_made` before returning.

        `local_address` is the address to connect from; None means any. The extra info `sockname` of
        the transport must begin with the local address that is used.

        Raises EgressAddressUnavailable if the local address is not available, or another OSError if
        connecting fails. Its `errno` must show if this machine lacks a resource. If the call is
        cancelled, no connection is left open.
        """
        ...

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> Callable[[], None] | None:
        """Start TLS on a connection, and verify that the peer's certificate is for its host.

        With `peer.says_name`, the handshake contains the host's name (SNI). `peer.identity` has
        the client certificate and the authorities of the destination. Before returning, calls
        `protocol.connection_made` with the transport to use from then on. Returns a function to
        call after the first answer, or None.

        Raises TlsFailed if TLS fails, and SessionRefused if the handshake can still succeed
        on another connection; then the transport can't be used any more.
        """
        ...


class SystemNetwork:
    """The `NetworkBackend` of this machine: its sockets, and OpenSSL."""

    def __init__(self, tls: ClientTls | None = None, *, now: Callable[[], datetime] = _NOW) -> None:
        self._tls = ClientTls() if tls is None else tls
        self._sessions = TlsSessions(now)
        self._now = now

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        """Connect a protocol to an address; see `NetworkBackend.connect`."""
        sock = await _connected_socket(address, port, local_address)
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> Callable[[], None]:
        """Start TLS on a connection; see `NetworkBackend.secure`."""
        loop, name, says_name = asyncio.get_running_loop(), peer.host.rstrip("."), peer.says_name
        if peer.identity is None:
            context = self._shared_context(says_name=says_name)
        else:
            context = await self._tls.context_of(peer.identity, says_name=says_name)
            if transport.is_closing():
                raise tls_failure(ConnectionResetError(errno.ECONNRESET, "closed meanwhile"))
        since, session = self._now(), self._sessions.take(peer, context)
        if session is not None:
            context = self._sessions.offering(session, context)
        try:
            secured = await loop.start_tls(
                transport,
                protocol,
                context,
                server_hostname=name if says_name else None,
                ssl_shutdown_timeout=_TLS_GOODBYE,
            )
            if secured is None:
                raise ConnectionAbortedError
        except OSError as error:
            if session is None:
                raise tls_failure(_shortage_behind(error)) from error
            self._sessions.avoid(peer)
            raise SessionRefused from error
        except asyncio.CancelledError:
            if session is not None:
                self._sessions.avoid(peer)  # perhaps it was what took too long
            raise
        if not says_name:
            check_name(cast("dict[str, Any]", secured.get_extra_info("peercert")), name)
        protocol.connection_made(secured)
        tls: ssl.SSLObject = secured.get_extra_info("ssl_object")
        return partial(self._sessions.keep, peer, tls, offered=session, since=since)

    def _shared_context(self, *, says_name: bool) -> ssl.SSLContext:
        try:
            return self._tls.context(says_name=says_name)
        except OSError as error:
            raise tls_failure(error) from error


def _shortage_behind(error: OSError) -> OSError:
    """Return the shortage for which a certificate may not be trusted, or else the error itself.

    OpenSSL reads authorities from files during the handshake, and knows none if it can't.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        try:
            require_room()
        except OSError as shortage:
            return shortage
    return error


async def _connected_socket(address: str, port: int, local_address: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Only if the protocol is given does asyncio set TCP_NODELAY. Without it, a request would wait
    # 40 ms after a resumed TLS 1.2 handshake, until the receiver acknowledges its last bytes.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    """Raise OSError (ENETUNREACH) if this machine has no route to `address`.

    Linux reports `EADDRNOTAVAIL` both without a route and if all TCP ports are in use. A UDP
    socket, which has ports of its own, shows the difference.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, port))
        except OSError as error:
            if shortage_of(error) is AttemptFailure.SHORTAGE:
                raise
            if error.errno == errno.EAGAIN:
                return  # it has no port left either, which it needs only if there is a route
            raise OSError(errno.ENETUNREACH, f"this machine has no route to {address}") from None


def _leave_from(sock: socket.socket, local_address: str) -> None:
    try:
        sock.bind((local_address, 0))
    except OSError as error:
        # All ports of the address may be taken; a missing address has an errno of its own.
        if error.errno != errno.EADDRNOTAVAIL and shortage_of(error) is not None:
            raise
        raise EgressAddressUnavailable(error.errno, error.strerror) from error
