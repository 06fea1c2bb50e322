"""Tries several addresses in turn until one accepts a connection, directly or through a proxy.

If no address accepts, no connection is left open. The author of the URL sees the reason, so it
contains no address of the host, of this machine or of a proxy; these are only logged.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ringback.core.http.egress_routes import Proxy
from ringback.core.http.outcome import SHORTAGES, AttemptFailure, NoAnswerOutcome
from ringback.http_client.connect_timing import ConnectStep, ConnectTimer
from ringback.http_client.guarded_resolver import CachingResolver
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.proxy_tunnel import ProxyTunnel
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute
from ringback.http_client.sockets_and_tls import EgressAddressUnavailable, NetworkBackend
from ringback.runtime.os_error_messages import error_text, shortage_of

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class Dialer:
    """Connects to one of several addresses, without TLS.

    `proxies` looks up the names of proxies. It doesn't use the SSRF guard, because the operator
    chooses the proxies.
    """

    network: NetworkBackend
    proxies: CachingResolver
    new_connection: Callable[[ConnectionPoolKey], HttpConnection]
    buffer: memoryview

    async def first_of(
        self, peers: Sequence[ConnectionPoolKey], route: RequestRoute, timing: ConnectTimer
    ) -> HttpConnection | NoAnswerOutcome:
        """Return a connection to the first peer that accepts, or an outcome saying why none did.

        Peers are tried one after the other; each gets an equal share of the time left.
        """
        failures = list[NoAnswerOutcome]()
        for index, peer in enumerate(peers):
            try:
                async with asyncio.timeout(_share(timing.until, among=len(peers) - index)):
                    reached = await self._reach(peer, timing)
            except TimeoutError:
                reached = NoAnswerOutcome(AttemptFailure.CONNECT, "no answer")
            if not isinstance(reached, NoAnswerOutcome):
                return reached
            _log.debug("no connection to %s at %s: %s", route.place, peer.address, reached.why)
            if reached.failure is AttemptFailure.SHORTAGE:
                # The next address would meet the same shortage, so don't try it. (A lack of ports
                # is not a SHORTAGE: ports may still be free towards another address.)
                return reached
            failures.append(reached)
        return _none_reached(failures, route)

    async def _reach(
        self, peer: ConnectionPoolKey, timing: ConnectTimer
    ) -> HttpConnection | NoAnswerOutcome:
        if peer.proxy is None:
            return await self._straight(peer)
        timing.at = ConnectStep.PROXY
        return await self._through(peer.proxy, peer)

    async def _straight(self, peer: ConnectionPoolKey) -> HttpConnection | NoAnswerOutcome:
        connection = self.new_connection(peer)
        try:
            await self.network.connect(
                connection, address=peer.address, port=peer.port, local_address=peer.local_address
            )
        except EgressAddressUnavailable as error:
            _log.debug(
                "can't send from local address %s: %s", peer.local_address, error_text(error)
            )
            return NoAnswerOutcome(
                AttemptFailure.EGRESS, f"its egress can't be used: {error_text(error)}"
            )
        except OSError as error:
            return NoAnswerOutcome(shortage_of(error) or AttemptFailure.CONNECT, error_text(error))
        return connection

    async def _through(
        self, proxy: Proxy, peer: ConnectionPoolKey
    ) -> HttpConnection | NoAnswerOutcome:
        tunnel = ProxyTunnel(proxy, buffer=self.buffer)
        if failed := await self._connect_to_proxy(tunnel, proxy):
            return failed
        try:
            refused = await tunnel.open(peer.address, peer.port)
        except BaseException:
            tunnel.transport.abort()
            raise
        if refused is not None:
            tunnel.transport.abort()
            return refused
        connection = self.new_connection(peer)
        # Nothing may be awaited since the tunnel opened: bytes that arrived would go to the tunnel.
        tunnel.transport.set_protocol(connection)
        connection.connection_made(tunnel.transport)
        return connection

    async def _connect_to_proxy(self, tunnel: ProxyTunnel, proxy: Proxy) -> NoAnswerOutcome | None:
        found = await self.proxies.look_up(proxy.host)
        if isinstance(found, NoAnswerOutcome):
            if found.failure in SHORTAGES:
                return found
            _log.debug("the proxy %s can't be used: %s", proxy.shown, found.why)
            return NoAnswerOutcome(AttemptFailure.PROXY, "the proxy's name could not be looked up")
        errors = list[str]()
        for address in found:
            try:
                await self.network.connect(
                    tunnel, address=address, port=proxy.port, local_address=None
                )
            except OSError as error:
                _log.debug(
                    "no connection to the proxy %s at %s: %s",
                    proxy.shown,
                    address,
                    error_text(error),
                )
                if shortage := shortage_of(error):
                    return NoAnswerOutcome(shortage, error_text(error))
                errors.append(error_text(error))
            else:
                return None
        why = f"could not connect to the proxy ({_all(errors)})"
        return NoAnswerOutcome(AttemptFailure.PROXY, why)


def _share(until: float, *, among: int) -> float | None:
    """Return the seconds for the next of `among` addresses: an equal share of the time left.

    None for the last address: it may use all the time that is left.
    """
    return None if among == 1 else (until - asyncio.get_running_loop().time()) / among


def _all(whys: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(whys))


def _none_reached(failures: Sequence[NoAnswerOutcome], route: RequestRoute) -> NoAnswerOutcome:
    short = next((one for one in failures if one.failure in SHORTAGES), None)
    if short is not None:
        return short
    whys = _all(failure.why for failure in failures)
    if route.proxy is not None:
        return NoAnswerOutcome(failures[-1].failure, f"no connection to {route.place}: {whys}")
    if all(failure.failure is AttemptFailure.EGRESS for failure in failures):
        return NoAnswerOutcome(
            AttemptFailure.EGRESS, f"could not connect to {route.place} ({whys})"
        )
    return NoAnswerOutcome(AttemptFailure.CONNECT, f"could not connect to {route.place} ({whys})")
