"""All connections that clients have open, and which of them goes when there are too many.

Laws of this file. As long as there is room, nobody is counted against anybody. While there is none,
each new connection takes the place of one of the address that holds most, so that no address can
keep the others out; what that costs does not depend on how many connections there are.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, Protocol

# One sweep instead of a timer for each connection: limits needn't be finer than a second.
_SWEEP_SECONDS: Final = 1.0
_SHARE: Final = 4
"""An address that isn't trusted keeps the fourth part of all places at most."""
# So that the cost of one newcomer does not grow with the number of addresses.
_MOST_LOOKED_AT: Final = 32


class EvictableServerConnection(Protocol):
    """A connection, as far as the limit on them needs it."""

    @property
    def answering(self) -> asyncio.Task[None] | None:
        """The task that answers its request, if there is one."""
        ...

    def stop(self) -> None:
        """Close now, or with the end of the request that is under way."""
        ...

    @property
    def holder(self) -> str:
        """The address that it counts for."""
        ...

    @property
    def is_trusted(self) -> bool:
        """Whether that is a trusted proxy, behind which there are many."""
        ...

    def evict(self) -> None:
        """Close at once, without an answer."""
        ...

    def check(self, now: float) -> None:
        """End what has taken too long at this time of the loop's clock."""
        ...


class OpenConnections:
    """The open connections, `most` at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        """How many had to go for others since the start."""
        self._held = {True: _Holdings(), False: _Holdings()}
        self._all = dict[EvictableServerConnection, None]()
        self._timer: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def __iter__(self) -> Iterator[EvictableServerConnection]:
        """Return them, the oldest first."""
        return iter(tuple(self._all))

    def admit(self, connection: EvictableServerConnection) -> bool:
        """Take a new connection in, if need be in place of another one; return whether it is."""
        if len(self._all) >= self.most and not self._make_room(connection):
            return False
        self._all[connection] = None
        self._is_empty.clear()
        self._held[connection.is_trusted].add(connection)
        if self._timer is None:
            self._sweep_later()
        return True

    def waits(self, connection: EvictableServerConnection) -> None:
        """Note that its client has to send something before it can be answered."""
        if connection in self._all:
            self._held[connection.is_trusted].of(connection).waiting[connection] = None

    def serves(self, connection: EvictableServerConnection) -> None:
        """Note that its request is being answered."""
        if connection in self._all:
            self._held[connection.is_trusted].of(connection).waiting.pop(connection, None)

    def remove(self, connection: EvictableServerConnection) -> None:
        """Forget one that is closed; once more does nothing."""
        if connection in self._all:
            del self._all[connection]
            self._held[connection.is_trusted].remove(connection)
            if not self._all:
                self._is_empty.set()

    async def emptied(self) -> None:
        """Wait until there is none."""
        await self._is_empty.wait()

    def _make_room(self, newcomer: EvictableServerConnection) -> bool:
        """Close the connection that has to go for a newcomer; False where that is the newcomer."""
        holding = self._to_give(newcomer)
        goes = next(iter(holding.waiting), None)
        if goes is None:
            # All of them are being served: one is cut off only for an address that has far fewer,
            # or two addresses would take each other's place for ever.
            own = self._held[newcomer.is_trusted].count_of(newcomer)
            if len(holding.all) < own + 2:
                return False
            goes = next(iter(holding.all))
        self.remove(goes)
        self.evicted += 1
        goes.evict()
        return True

    def _to_give(self, newcomer: EvictableServerConnection) -> "_Holding":
        """Return the address of which one has to go."""
        own, share = self._held[newcomer.is_trusted], max(1, self.most // _SHARE)
        trusted, strangers = self._held[True], self._held[False]
        mine = own.count_of(newcomer)
        takes_no_more = not newcomer.is_trusted and mine >= share
        if takes_no_more or strangers.most > share or strangers.most >= trusted.most:
            largest = strangers
        else:
            largest = trusted
        # Where nobody has more than the newcomer, it would only change places with another.
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
    """The connections of one address; those that wait in the order in which they began to."""

    __slots__ = ("all", "waiting")

    def __init__(self) -> None:
        self.all = dict[EvictableServerConnection, None]()
        self.waiting = dict[EvictableServerConnection, None]()


class _Holdings:
    """The connections of each address, indexed by their number: the largest is found at once."""

    def __init__(self) -> None:
        self.most = 0
        self._of = dict[str, _Holding]()
        self._with = defaultdict[int, dict[str, None]](dict)
        """The addresses with this number of connections."""

    def of(self, connection: EvictableServerConnection) -> _Holding:
        return self._of[connection.holder]

    def count_of(self, connection: EvictableServerConnection) -> int:
        holding = self._of.get(connection.holder)
        return 0 if holding is None else len(holding.all)

    def largest(self) -> _Holding:
        """Return one of those who have most, if possible one that has a connection that waits."""
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
