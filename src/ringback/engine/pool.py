"""Connections that are kept open between requests, within bounds."""

import asyncio
from dataclasses import dataclass

from ringback.engine.connection import HttpConnection, Peer


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """How long, and how many, connections are kept open between requests."""

    seconds: float = 4.0
    """Less than the 5 s after which common servers close, so that few turn out stale."""
    per_peer: int = 64
    in_all: int = 512


class Pool:
    """Idle connections; the one that was used last is used next."""

    def __init__(self, limits: KeepAlive) -> None:
        self._limits = limits
        self._idle: dict[Peer, list[HttpConnection]] = {}
        self._until: dict[HttpConnection, float] = {}
        """When each is closed; the first to go comes first."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, peer: Peer) -> HttpConnection | None:
        """Return an idle connection, which is the caller's from then on, or None."""
        idle = self._idle.get(peer)
        if not idle:
            return None
        connection = idle[-1]
        self.forget(connection)
        return connection

    def keep(self, connection: HttpConnection) -> None:
        """Keep a connection for the next request, or close it where there are enough."""
        if self._is_closed or len(self._idle.get(connection.peer, ())) >= self._limits.per_peer:
            connection.close()
            return
        if len(self._until) >= self._limits.in_all:
            self._close_first()
        loop = asyncio.get_running_loop()
        self._idle.setdefault(connection.peer, []).append(connection)
        self._until[connection] = loop.time() + self._limits.seconds
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._limits.seconds, self._sweep)

    def forget(self, connection: HttpConnection) -> None:
        """Keep a connection no longer; does nothing where it is in use."""
        if self._until.pop(connection, None) is None:
            return
        idle = self._idle[connection.peer]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.peer]

    async def close(self) -> None:
        """Close all that is idle now or later."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        idle = [self._close_first() for _ in range(len(self._until))]
        await asyncio.gather(*(connection.wait_closed() for connection in idle))

    def _close_first(self) -> HttpConnection:
        connection = next(iter(self._until))
        self.forget(connection)
        connection.close()
        return connection

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        for until in list(self._until.values()):
            if until > loop.time():
                self._sweeper = loop.call_at(until, self._sweep)
                break
            self._close_first()
