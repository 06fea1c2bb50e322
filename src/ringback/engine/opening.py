"""New connections: look the name up, connect, begin TLS, all within one limit.

Laws of this file. Whatever goes wrong on the way, no connection is left and no place stays taken.
The limit does not run while a turn or a place of ours is waited for.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from ringback.core.connection import Limits
from ringback.core.outcome import Failure, Unreachable
from ringback.engine.connection import HttpConnection
from ringback.engine.network import Network
from ringback.engine.pool import Pool
from ringback.engine.reach import Reach
from ringback.engine.resolver import Addresses, Resolver
from ringback.engine.room import Room
from ringback.engine.route import Peer, Route
from ringback.engine.steps import Step, Steps
from ringback.engine.tls import TlsFailed

# In seconds. Where time was up that long ago, the process was held up: what it waited for may be
# there.
_HELD_UP: Final = 1.0
_TOO_SLOW: Final[Mapping[Step, tuple[Failure, str]]] = {
    Step.LOOK_UP: (Failure.NAME, "its name was not looked up"),
    Step.CONNECT: (Failure.CONNECT_TIMEOUT, "it did not answer"),
    Step.PROXY: (Failure.PROXY_TIMEOUT, "the proxy did not answer"),
    Step.TLS: (Failure.CONNECT_TIMEOUT, "TLS was not agreed on"),
}


_log = logging.getLogger(__name__)


class Opener:
    """Opens connections where none is kept."""

    def __init__(
        self, *, network: Network, resolver: Resolver, reach: Reach, pool: Pool, room: Room
    ) -> None:
        self._network = network
        self._resolver = resolver
        self._reach = reach
        self._pool = pool
        self._room = room

    async def open(
        self, route: Route, *, limits: Limits, steps: Steps, fresh: bool = False
    ) -> HttpConnection | Unreachable:
        """Return a connection that is the caller's, or why there is none.

        A fresh one is new even where one is kept.
        """
        seconds = min(limits.connect, limits.total)
        try:
            async with asyncio.timeout(seconds) as steps.limit:
                return await self._open(route, steps, fresh=fresh)
        except TimeoutError:
            if asyncio.get_running_loop().time() - steps.until > _HELD_UP:
                return Unreachable(Failure.SHORTAGE, "the process was stopped, or got no time")
            failure, why = _TOO_SLOW[steps.at]
            if limits.total <= limits.connect:
                failure = Failure.TOTAL_TIMEOUT
            place = route.place if route.proxy is None else f"{route.place} by {route.proxy.shown}"
            return Unreachable(failure, f"no connection to {place} within {seconds:g} s: {why}")

    async def _open(
        self, route: Route, steps: Steps, *, fresh: bool
    ) -> HttpConnection | Unreachable:
        addresses = await self._look_up(route, steps)
        if isinstance(addresses, Unreachable):
            return addresses
        if not fresh and (connection := self._pool.take(route, addresses)):
            return connection
        peers = [peer for address in addresses if (peer := route.peer_at(address))]
        if not peers:
            _log.debug("%s is at %s", route.place, ", ".join(addresses))
            why = f"no local address of this egress leads to where {route.place} is"
            return Unreachable(Failure.EGRESS, why)
        return await self._open_in_its_place(peers, route, steps)

    async def _look_up(self, route: Route, steps: Steps) -> Addresses | Unreachable:
        if known := self._resolver.remembered(route.host, asyncio.get_running_loop().time()):
            return known
        with steps.taking(Step.LOOK_UP):
            return await self._resolver.look_up(
                route.host, account=route.account, waiting=steps.waiting
            )

    async def _open_in_its_place(
        self, peers: Sequence[Peer], route: Route, steps: Steps
    ) -> HttpConnection | Unreachable:
        await self._room.enter(route.account, waiting=steps.waiting)
        try:
            connection = await self._connect(peers, route, steps)
        except BaseException:
            self._room.leave(route.account)
            raise
        if isinstance(connection, Unreachable):
            self._room.leave(route.account)
        else:
            connection.gone.add_done_callback(lambda _: self._room.leave(route.account))
        return connection

    async def _connect(
        self, peers: Sequence[Peer], route: Route, steps: Steps
    ) -> HttpConnection | Unreachable:
        with steps.taking(Step.CONNECT):
            connection = await self._reach.first_of(peers, route, until=steps.until, steps=steps)
        if isinstance(connection, Unreachable) or not route.uses_tls:
            return connection
        with steps.taking(Step.TLS):
            return await self._secured(connection, route)

    async def _secured(
        self, connection: HttpConnection, route: Route
    ) -> HttpConnection | Unreachable:
        try:
            if connection.broken is not None:
                raise TlsFailed(Failure.TLS, connection.broken.why)
            await self._network.secure(
                connection.transport, connection, host=route.host, says_name=route.says_name
            )
        except TlsFailed as failed:
            connection.abort()
            return Unreachable(failed.failure, f"no TLS connection to {route.place}: {failed.why}")
        except BaseException:
            connection.abort()
            raise
        return connection
