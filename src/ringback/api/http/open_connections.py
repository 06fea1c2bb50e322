"""Tracks the open connections of clients, and limits their number.

At the limit, each new connection replaces a connection of the address that has the most. So no
address can lock the others out.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, Protocol

# One check of all connections instead of a timer for each: time limits may be a second late.
_SWEEP_SECONDS: Final = 1.0
_SHARE: Final = 4
"""At the limit, an address that is not trusted keeps at most 1/`_SHARE` of all connections."""
# So that the cost of a new connection does not grow with the number of addresses.
_MOST_LOOKED_AT: Final = 32


class EvictableServerConnection(Protocol):
    """The methods of a connection that `OpenConnections` and the server use."""

    @property
    def answering(self) -> asyncio.Future[Any] | None:
        """The task or future of the current request's response; None if there is none."""
        ...

    @property
    def is_receiving(self) -> bool:
        """True if a part of the next request has arrived, but no response to it has begun."""
        ...

    def is_used_within(self, seconds: float) -> bool:
        """Return True if a client came, or got its response, at most this many seconds ago.

        False while a request is being answered.
        """
        ...

    def close_with_answer(self) -> None:
        """Close the connection once the next response that has not begun is sent."""
        ...

    def stop(self) -> None:
        """Close the connection at once if it is idle, otherwise after the current response."""
        ...

    @property
    def holder(self) -> str:
        """The client's address or network, whose connections are counted together."""
        ...

    @property
    def is_trusted(self) -> bool:
        """True if the holder is a trusted proxy, which has many clients."""
        ...

    def evict(self) -> None:
        """Close the connection at once, without a response: to make room, or after a time limit."""
        ...

    def check(self, now: float) -> None:
        """Close the connection, or answer its request with an error, if a time limit has passed.

        `now` is the time of the event loop's clock.
        """
        ...


class OpenConnections:
    """Keeps at most `most` open connections, and checks their time limits once a second."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_retiring = False
        """True once the server is about to stop: each connection closes after its next response."""
        self.evicted = 0
        """The number of connections that were closed since the start to make room for others."""
        self._held = {True: _Holdings(), False: _Holdings()}
        self._all = dict[EvictableServerConnection, None]()
        self._timer: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._all)

    def __iter__(self) -> Iterator[EvictableServerConnection]:
        """Iterate over a copy of the open connections, the oldest first."""
        return iter(tuple(self._all))

    def admit(self, connection: EvictableServerConnection) -> bool:
        """Add a new connection; at the limit, close another connection to make room for it.

        Returns False if no other connection may be closed; the caller then closes the new one.
        """
        if len(self._all) >= self.most and not self._make_room(connection):
            return False
        self._all[connection] = None
        self._is_empty.clear()
        self._held[connection.is_trusted].add(connection)
        if self.is_retiring:
            connection.close_with_answer()
        if self._timer is None:
            self._sweep_later()
        return True

    def retire(self) -> None:
        """Close each connection after its next response, also those that come from now on."""
        self.is_retiring = True
        for connection in self:
            connection.close_with_answer()

    def waits(self, connection: EvictableServerConnection) -> None:
        """Note that a connection is idle; idle connections are closed first to make room."""
        if connection in self._all:
            self._held[connection.is_trusted].of(connection).waiting[connection] = None

    def serves(self, connection: EvictableServerConnection) -> None:
        """Note that a connection is not idle, since a request on it is being answered."""
        if connection in self._all:
            self._held[connection.is_trusted].of(connection).waiting.pop(connection, None)

    def remove(self, connection: EvictableServerConnection) -> None:
        """Remove a connection that is closed; do nothing if it was removed before."""
        if connection in self._all:
            del self._all[connection]
            self._held[connection.is_trusted].remove(connection)
            if not self._all:
                self._is_empty.set()

    async def emptied(self) -> None:
        """Wait until there are no open connections."""
        await self._is_empty.wait()

    def _make_room(self, newcomer: EvictableServerConnection) -> bool:
        """Close a connection to make room for a new one; return False if none may be closed."""
        holding = self._to_give(newcomer)
        goes = next(iter(holding.waiting), None)
        if goes is None:
            # Requests on all of them are being answered. One is cut off only if the new address has
            # at least two fewer; otherwise two addresses would replace each other's for ever.
            own = self._held[newcomer.is_trusted].count_of(newcomer)
            if len(holding.all) < own + 2:
                return False
            goes = next(iter(holding.all))
        self.remove(goes)
        self.evicted += 1
        goes.evict()
        return True

    def _to_give(self, newcomer: EvictableServerConnection) -> "_Holding":
        """Choose the address that must give up a connection, and return its connections."""
        own, share = self._held[newcomer.is_trusted], max(1, self.most // _SHARE)
        trusted, strangers = self._held[True], self._held[False]
        mine = own.count_of(newcomer)
        takes_no_more = not newcomer.is_trusted and mine >= share
        if takes_no_more or strangers.most > share or strangers.most >= trusted.most:
            largest = strangers
        else:
            largest = trusted
        # If no address has more than the new one's, the new one replaces one of its own.
        return own.of(newcomer) if mine >= largest.most else largest.largest()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in self:
            connection.check(now)
        self._timer = None
        if self._all:
            self._sweep_later()


class _Holding:
    """The connections of one address, and the idle ones among them, the longest idle first."""

    __slots__ = ("all", "waiting")

    def __init__(self) -> None:
        self.all = dict[EvictableServerConnection, None]()
        self.waiting = dict[EvictableServerConnection, None]()


class _Holdings:
    """Groups connections by address, and finds the address with the most connections fast."""

    def __init__(self) -> None:
        self.most = 0
        self._of = dict[str, _Holding]()
        self._with = defaultdict[int, dict[str, None]](dict)
        """Maps each number of connections to the addresses that have exactly that many."""

    def of(self, connection: EvictableServerConnection) -> _Holding:
        return self._of[connection.holder]

    def count_of(self, connection: EvictableServerConnection) -> int:
        holding = self._of.get(connection.holder)
        return 0 if holding is None else len(holding.all)

    def largest(self) -> _Holding:
        """Return the connections of the address that has the most.

        If several addresses have equally many, an address with an idle connection is preferred.
        """
        names = iter(self._with[self.most])
        candidates = [
            self._of[name] for name, _ in zip(names, range(_MOST_LOOKED_AT), strict=False)
        ]
        return next((one for one in candidates if one.waiting), candidates[0])

    def add(self, connection: EvictableServerConnection) -> None:
        holding = self._of.setdefault(connection.holder, _Holding())
        holding.all[connection] = holding.waiting[connection] = None
        self._count(connection.holder, len(holding.all) - 1, len(holding.all))

    def remove(self, connection: EvictableServerConnection) -> None:
        holding = self._of[connection.holder]
        del holding.all[connection]
        holding.waiting.pop(connection, None)
        self._count(connection.holder, len(holding.all) + 1, len(holding.all))
        if not holding.all:
            del self._of[connection.holder]

    def _count(self, holder: str, before: int, now: int) -> None:
        self._with[before].pop(holder, None)
        if not self._with[before]:
            del self._with[before]
        if now:
            self._with[now][holder] = None
        if now > self.most or (before == self.most and before not in self._with):
            self.most = now
