"""Connections that are kept open between requests, within bounds."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringback.core.newest_entries import NewestEntries
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute

_MOST_CLOSERS: Final = 1024
"""Of how many peers it is known that connections to them end."""


@dataclass(frozen=True, slots=True)
class KeepAliveLimits:
    """How long, and how many, connections are kept open between requests."""

    seconds: float = 4.0
    """Less than the 5 s after which common servers close, so that few turn out to be closed."""
    per_peer: int = 64
    in_all: int = 512


class ConnectionPool:
    """Idle connections; the one that was used last is used next."""

    def __init__(self, limits: KeepAliveLimits) -> None:
        self._limits = limits
        self._idle: dict[ConnectionPoolKey, list[HttpConnection]] = {}
        self._until: dict[HttpConnection, float] = {}
        """When each is closed; the first to go comes first."""
        self._closers = NewestEntries[ConnectionPoolKey, None](_MOST_CLOSERS)
        """Peers to which connections have ended; the first to be forgotten comes first."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, route: RequestRoute, addresses: Iterable[str]) -> HttpConnection | None:
        """Return an idle connection to one of these addresses, by this route, or None.

        It is the caller's from then on. Where a receiver is known to close such connections, each
        is looked at first: the event loop may not have read the end yet. For all others that would
        cost more than it is worth: a look lets go of the interpreter's lock.
        """
        for address in addresses:
            peer = route.peer_at(address)
            idle = peer and self._idle.get(peer)
            while idle:
                connection = idle.pop()
                del self._until[connection]
                if peer not in self._closers or connection.is_quiet():
                    return connection
                connection.abort()
        return None

    def keep(self, connection: HttpConnection, now: float) -> None:
        """Keep a connection for the next request, or close it where there are enough.

        `now` is by the loop's clock.
        """
        idle = self._idle.get(connection.peer)
        if idle is None:
            idle = self._idle[connection.peer] = []
        if self._is_closed or len(idle) >= self._limits.per_peer:
            connection.close()
            return
        if len(self._until) >= self._limits.in_all:
            self._first().close()
        idle.append(connection)
        self._until[connection] = until = now + self._limits.seconds
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_at(until, self._sweep)

    def forget(self, connection: HttpConnection) -> None:
        """Keep a connection no longer; does nothing where it is in use."""
        if self._until.pop(connection, None) is not None:
            self._idle[connection.peer].remove(connection)

    def lost(self, connection: HttpConnection) -> None:
        """Keep a connection no longer that is over, and look at those to its peer from now on."""
        self.forget(connection)
        self._closers[connection.peer] = None

    def make_room(self) -> None:
        """Close the connection that has been idle for longest, at once, if any is idle."""
        if self._until:
            self._first().abort()

    def clear(self) -> None:
        """Close all that is idle, at once: this machine needs what they hold."""
        while self._until:
            self._first().abort()

    async def close(self) -> None:
        """Close all that is idle now or later."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        idle = [self._first() for _ in range(len(self._until))]
        for connection in idle:
            connection.close()
        await asyncio.gather(*(connection.gone for connection in idle))

    def _first(self) -> HttpConnection:
        connection = next(iter(self._until))
        self.forget(connection)
        return connection

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        while self._until:
            until = next(iter(self._until.values()))
            if until > loop.time():
                self._sweeper = loop.call_at(until, self._sweep)
                break
            self._first().close()
        for peer in [peer for peer, idle in self._idle.items() if not idle]:
            del self._idle[peer]
