"""One attempt over HTTP: every ending is an Outcome.

Laws of this file. A call of `send` puts at most one request on the wire, byte for byte as it was
rendered. It connects to the address that the guard looked at, and to no other. Certificates are
always verified. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ringback.core.addresses import Network
from ringback.core.callback import Exchange
from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Limits
from ringback.core.outcome import Failure, Unreachable
from ringback.core.rendering import OutgoingRequest
from ringback.engine.connection import Ending, HttpConnection, Peer, in_words
from ringback.engine.pool import KeepAlive, Pool
from ringback.engine.resolver import Resolve, Resolver, system_resolve

_CERTIFICATE_FAILURES: Final[Mapping[int, Failure]] = {
    # OpenSSL's X509_V_ERR_... numbers.
    10: Failure.CERTIFICATE_EXPIRED,
    18: Failure.CERTIFICATE_UNTRUSTED,  # signed by itself
    19: Failure.CERTIFICATE_UNTRUSTED,  # signed by itself, further up its chain
    20: Failure.CERTIFICATE_UNTRUSTED,  # its issuer is unknown
    21: Failure.CERTIFICATE_UNTRUSTED,  # it came without its chain
    62: Failure.CERTIFICATE_NAME,
    64: Failure.CERTIFICATE_NAME,  # the same, where the host is an address
}
_KEEP_ALIVE: Final = KeepAlive()
# How long a receiver may take to say goodbye when an idle TLS connection is closed, in seconds.
_TLS_GOODBYE: Final = 1.0


class Sender:
    """Sends finished requests over HTTP/1.1 and TLS, keeping connections open in between.

    The stopwatch says how long an exchange took: seconds, finer than the loop's own clock.
    """

    def __init__(
        self,
        *,
        stopwatch: Callable[[], float],
        allowed: Sequence[Network] = (),
        extra_ca_file: Path | None = None,
        resolve: Resolve = system_resolve,
        remember_names: float = 5.0,
        keep_alive: KeepAlive = _KEEP_ALIVE,
    ) -> None:
        self._stopwatch = stopwatch
        self._resolver = Resolver(allowed=allowed, resolve=resolve, remember=remember_names)
        self._pool = Pool(keep_alive)
        self._tls = ssl.create_default_context()
        if extra_ca_file is not None:
            self._tls.load_verify_locations(extra_ca_file)

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Exchange:
        """Send it once and return how that ended; never raises for what the receiver does."""
        began = self._stopwatch()
        until = asyncio.get_running_loop().time() + limits.total
        ending = await self._attempt(request, limits, until=until)
        duration_ms = (self._stopwatch() - began) * 1000
        return Exchange(ending.outcome, duration_ms, request.recorded(), ending.response)

    async def close(self) -> None:
        """Close idle connections; for when nothing is being sent any more."""
        await self._resolver.close()
        await self._pool.close()

    async def _attempt(self, request: OutgoingRequest, limits: Limits, *, until: float) -> Ending:
        if limits.total <= 0:
            return Ending(Unreachable(Failure.TOTAL_TIMEOUT, "no time was left for this attempt"))
        url, data = request.url, request.to_bytes()
        addresses = self._resolver.remembered(url.hostname)
        connection = self._kept(url, addresses) or await self._connect_in_time(url, limits)
        if isinstance(connection, Unreachable):
            return Ending(connection)
        ending = await connection.exchange(data, read=limits.read, until=until)
        if connection.is_reusable:
            self._pool.keep(connection)
        return ending

    def _kept(self, url: CallbackUrl, addresses: Sequence[str]) -> HttpConnection | None:
        for address in addresses:
            if connection := self._pool.take(_peer(url, address)):
                return connection
        return None

    async def _connect_in_time(
        self, url: CallbackUrl, limits: Limits
    ) -> HttpConnection | Unreachable:
        seconds = min(limits.connect, limits.total)
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                return await self._connect(url, until)
        except TimeoutError:
            is_total = limits.total <= limits.connect
            failure = Failure.TOTAL_TIMEOUT if is_total else Failure.CONNECT_TIMEOUT
            return Unreachable(failure, f"no connection to {_place(url)} within {seconds:g} s")

    async def _connect(self, url: CallbackUrl, until: float) -> HttpConnection | Unreachable:
        addresses = await self._resolver.look_up(url.hostname)
        if isinstance(addresses, Unreachable):
            return addresses
        if connection := self._kept(url, addresses):
            return connection
        reached = await _reach(url, addresses, until)
        if isinstance(reached, Unreachable):
            return reached
        return await self._open(*reached)

    async def _open(self, sock: socket.socket, peer: Peer) -> HttpConnection | Unreachable:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: HttpConnection(peer, on_lost=self._pool.forget),
                sock=sock,
                ssl=self._tls if peer.uses_tls else None,
                server_hostname=peer.host.rstrip(".") if peer.uses_tls else None,
                ssl_shutdown_timeout=_TLS_GOODBYE if peer.uses_tls else None,
            )
        except OSError as error:
            return _tls_failure(error, peer)
        return connection


def _peer(url: CallbackUrl, address: str) -> Peer:
    return Peer(url.uses_tls, url.hostname, url.port, address)


def _place(url: CallbackUrl) -> str:
    return f"{url.host} port {url.port}"


async def _reach(
    url: CallbackUrl, addresses: Sequence[str], until: float
) -> tuple[socket.socket, Peer] | Unreachable:
    """Return a socket connected to the first address that lets us, or why none did."""
    errors = list[str]()
    for index, address in enumerate(addresses):
        try:
            async with asyncio.timeout(_share(until, among=len(addresses) - index)):
                return await _connected_socket(address, url.port), _peer(url, address)
        except OSError as error:
            errors.append(f"{address}: {in_words(error)}")
    why = f"could not connect to {_place(url)} ({'; '.join(errors)})"
    return Unreachable(Failure.CONNECT, why)


def _share(until: float, *, among: int) -> float | None:
    """Return how long one of so many addresses may keep the others waiting.

    The last may take all that is left, and the limit on connecting as a whole ends that.
    """
    return None if among == 1 else (until - asyncio.get_running_loop().time()) / among


async def _connected_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _tls_failure(error: OSError, peer: Peer) -> Unreachable:
    why = f"no TLS connection to {peer.host} port {peer.port}: {in_words(error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(_CERTIFICATE_FAILURES.get(error.verify_code, Failure.TLS), why)
    return Unreachable(Failure.TLS, why)
