"""Opens connections: looks up the name, connects and starts TLS, all within one time limit.

The number of open connections is limited. Waiting for a free slot doesn't count against the time
limit. If opening fails, no connection is left open, and its slot is free again.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.connect_timing import ConnectStep, ConnectTimer
from ringback.http_client.connection_pool import ConnectionPool
from ringback.http_client.dialer import Dialer
from ringback.http_client.guarded_resolver import Addresses, CachingResolver
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute
from ringback.http_client.sockets_and_tls import NetworkBackend
from ringback.http_client.tls import TlsFailed
from ringback.http_client.tls_sessions import SessionRefused
from ringback.runtime.account_fair_semaphore import FairSemaphore

# In seconds. If the timeout is noticed that late, the process was stopped or starved of processor
# time, so the failure says nothing about the receiver.
_HELD_UP: Final = 1.0
_TOO_SLOW: Final[Mapping[ConnectStep, tuple[AttemptFailure, str]]] = {
    ConnectStep.LOOK_UP: (AttemptFailure.NAME, "the name lookup did not finish"),
    ConnectStep.CONNECT: (AttemptFailure.CONNECT_TIMEOUT, "it did not answer"),
    ConnectStep.PROXY: (AttemptFailure.PROXY_TIMEOUT, "the proxy did not answer"),
    ConnectStep.TLS: (AttemptFailure.CONNECT_TIMEOUT, "the TLS handshake did not finish"),
}

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class Connector:
    """Opens connections, or reuses idle ones; the number of open connections is limited.

    Each open connection takes one of `places`. Accounts that wait for a place take turns.
    """

    network: NetworkBackend
    resolver: CachingResolver
    dialer: Dialer
    pool: ConnectionPool
    places: FairSemaphore

    async def open(
        self, route: RequestRoute, *, limits: Timeouts, timing: ConnectTimer, fresh: bool = False
    ) -> HttpConnection | NoAnswerOutcome:
        """Return a connection for the caller alone, or the outcome that says why there is none.

        With `fresh`, the connection is new, even if the pool has an idle connection.
        """
        seconds = min(limits.connect, limits.total)
        try:
            async with asyncio.timeout(seconds) as timing.limit:
                return await self._open(route, timing, fresh=fresh)
        except TimeoutError:
            if asyncio.get_running_loop().time() - timing.until > _HELD_UP:
                return NoAnswerOutcome(
                    AttemptFailure.SHORTAGE, "the process was suspended, or got no CPU time"
                )
            failure, why = _TOO_SLOW[timing.at]
            if limits.total <= limits.connect:
                failure = AttemptFailure.NO_TIME
            place = route.place if route.proxy is None else f"{route.place} by a proxy"
            return NoAnswerOutcome(failure, f"no connection to {place} within {seconds:g} s: {why}")

    async def _open(
        self, route: RequestRoute, timing: ConnectTimer, *, fresh: bool
    ) -> HttpConnection | NoAnswerOutcome:
        addresses = await self._look_up(route, timing)
        if isinstance(addresses, NoAnswerOutcome):
            return addresses
        peers = route.peers_at(addresses)
        if not fresh and (connection := self.pool.take(peers)):
            return connection
        # From here on only addresses are used: it connects to exactly the addresses that the guard
        # has checked.
        if not peers:
            _log.debug("%s is at %s", route.place, ", ".join(addresses))
            why = f"no local address of this egress has a route to {route.place}"
            return NoAnswerOutcome(AttemptFailure.EGRESS, why)
        return await self._open_in_its_place(peers, route, timing)

    async def _look_up(
        self, route: RequestRoute, timing: ConnectTimer
    ) -> Addresses | NoAnswerOutcome:
        if known := self.resolver.remembered(route.host, asyncio.get_running_loop().time()):
            return known
        with timing.taking(ConnectStep.LOOK_UP):
            return await self.resolver.look_up(
                route.host, account=route.account, waiting=timing.waiting
            )

    async def _open_in_its_place(
        self, peers: Sequence[ConnectionPoolKey], route: RequestRoute, timing: ConnectTimer
    ) -> HttpConnection | NoAnswerOutcome:
        if not self.places.try_take(route.account):
            self.pool.make_room()
            with timing.waiting():
                await self.places.take(route.account)
        try:
            connection = await self._connect(peers, route, timing)
        except BaseException:
            self.places.give_back(route.account)
            raise
        if isinstance(connection, NoAnswerOutcome):
            self.places.give_back(route.account)
        else:
            connection.gone.add_done_callback(lambda _: self.places.give_back(route.account))
        return connection

    async def _connect(
        self, peers: Sequence[ConnectionPoolKey], route: RequestRoute, timing: ConnectTimer
    ) -> HttpConnection | NoAnswerOutcome:
        with timing.taking(ConnectStep.CONNECT):
            connection = await self.dialer.first_of(peers, route, timing)
        if isinstance(connection, NoAnswerOutcome) or not route.uses_tls:
            return connection
        try:
            with timing.taking(ConnectStep.TLS):
                return await self._secured(connection, route)
        except SessionRefused:
            # No request was sent yet. This ends, since a peer gets no second offer for a while.
            return await self._connect(peers, route, timing)

    async def _secured(
        self, connection: HttpConnection, route: RequestRoute
    ) -> HttpConnection | NoAnswerOutcome:
        try:
            if connection.broken is not None:
                raise TlsFailed(AttemptFailure.TLS, connection.broken.why)
            connection.on_answer = await self.network.secure(
                connection.transport, connection, connection.peer
            )
        except TlsFailed as failed:
            connection.abort()
            return NoAnswerOutcome(
                failed.failure, f"no TLS connection to {route.place}: {failed.why}"
            )
        except BaseException:
            connection.abort()
            raise
        return connection
