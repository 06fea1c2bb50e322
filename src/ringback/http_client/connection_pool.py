"""A pool of idle connections, which are kept open for reuse for a few seconds."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringback.core.newest_entries import NewestEntries
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.request_route import ConnectionPoolKey

_MOST_CLOSERS: Final = 1024
"""Maximum number of peers to remember for having closed an idle connection."""


@dataclass(frozen=True, slots=True)
class KeepAliveLimits:
    """How long connections are kept open for reuse, and how many at most."""

    seconds: float = 4.0
    """How long to keep an idle connection: less than the 5 s after which many servers close it."""
    per_peer: int = 64
    in_all: int = 512


class ConnectionPool:
    """Keeps idle connections open for reuse, and reuses the latest connection to a peer first.

    A peer is a destination together with the route to it.
    """

    def __init__(self, limits: KeepAliveLimits) -> None:
        self._limits = limits
        self._idle: dict[ConnectionPoolKey, list[HttpConnection]] = {}
        self._until: dict[HttpConnection, float] = {}
        """When to close each connection, by the event loop's clock; the earliest comes first."""
        self._closers = NewestEntries[ConnectionPoolKey, None](_MOST_CLOSERS)
        """The peers that have closed an idle connection."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, peers: Iterable[ConnectionPoolKey]) -> HttpConnection | None:
        """Return an idle connection to the first of these peers that has one, or None.

        The connection leaves the pool: the caller must `keep` or close it. If the peer is known for
        closing idle connections, the socket is checked first. For other peers, this check costs
        more than it gains.
        """
        for peer in peers:
            idle = self._idle.get(peer)
            while idle:
                connection = idle.pop()
                del self._until[connection]
                if peer not in self._closers or connection.is_quiet():
                    return connection
                connection.abort()
        return None

    def keep(self, connection: HttpConnection, now: float) -> None:
        """Keep a connection for the next request, or close it if enough are kept for its peer.

        If the pool is full, it closes the connection that has been idle longest. `now` is the time
        by the event loop's clock.
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
        """Remove a connection from the pool, if it is there."""
        if self._until.pop(connection, None) is not None:
            self._idle[connection.peer].remove(connection)

    def lost(self, connection: HttpConnection) -> None:
        """Remove a connection that its peer closed.

        From now on, other connections to this peer are checked before reuse.
        """
        self.forget(connection)
        self._closers[connection.peer] = None

    def make_room(self) -> None:
        """Abort the connection that has been idle longest, if there is one."""
        if self._until:
            self._first().abort()

    def clear(self) -> None:
        """Abort all idle connections, since this machine is short of files, ports or memory."""
        while self._until:
            self._first().abort()

    async def close(self) -> None:
        """Close all idle connections; from now on, keep no connection."""
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
