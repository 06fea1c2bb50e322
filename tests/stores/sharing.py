"""Stores that several processes share, as the tests of leases see them."""

from datetime import timedelta
from typing import NamedTuple, Protocol

from ringback.ports import Cluster, Store
from tests.fakes import FakeClock
from tests.memory_store import MemoryStore
from tests.memory_store.leases import LEASE, LONGEST_REQUEST, MARGIN, MemoryCluster

_MOMENT = timedelta(seconds=1)


class Joined(NamedTuple):
    """A process that uses a shared store."""

    store: Store
    cluster: Cluster


class SharedStores(Protocol):
    """One database, and a way to let the leases on its shards end."""

    def join(self, name: str) -> Joined:
        """Return a process that has no shards yet; the same one for the same name."""
        ...

    async def lease_ends(self) -> None:
        """Let time pass until all leases have ended that were not extended since."""
        ...

    async def requests_end(self, owner: Joined) -> None:
        """Let time pass until requests of those who have lost their shards must have ended.

        Meanwhile the present owner keeps its leases.
        """
        ...


class MemoryShared:
    """Implements `SharedStores` in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._store = MemoryStore(now=self.clock.now)
        self._joined = dict[str, Joined]()

    def join(self, name: str) -> Joined:
        if name not in self._joined:
            store = self._store.process(name)
            stopwatch = lambda: self.clock.now().timestamp()  # noqa: E731 (a name is enough)
            self._joined[name] = Joined(store, MemoryCluster(store, stopwatch=stopwatch))
        return self._joined[name]

    async def lease_ends(self) -> None:
        self.clock.advance(LEASE + _MOMENT)

    async def requests_end(self, owner: Joined) -> None:
        for _ in range(2):
            self.clock.advance((LONGEST_REQUEST + MARGIN + _MOMENT) / 2)
            await owner.cluster.renew()
