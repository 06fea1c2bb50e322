"""Passes received datagrams on, in order for each sender; no sender waits for another.

Datagrams of one address are passed on in the order in which they came; those that come meanwhile
wait for them. If too many wait in all, further ones are not accepted.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

MOST: Final = 10_000
"""How many datagrams may wait; with 1301 bytes each, some 13 MB."""
_AT_ONCE: Final = 500


class Datagram(NamedTuple):
    """A received datagram."""

    address: str
    port: int
    payload: bytes


class DatagramQueue:
    """Received datagrams that have not been passed on yet."""

    def __init__(self, hand_on: Callable[[Datagram], Awaitable[None]], *, most: int = MOST) -> None:
        self._hand_on = hand_on
        self._most = most
        self._lines = dict[str, deque[Datagram]]()
        self._workers = set[asyncio.Task[None]]()
        self.waiting = 0
        """How many have not been passed on yet."""

    def put(self, datagram: Datagram) -> bool:
        """Accept a datagram; False if too many wait."""
        if self.waiting >= self._most:
            return False
        self.waiting += 1
        line = self._lines.get(datagram.address)
        if line is None:
            line = self._lines[datagram.address] = deque()
            worker = asyncio.create_task(self._work(datagram.address, line))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        line.append(datagram)
        return True

    async def drain(self, *, within: timedelta) -> int:
        """Wait this long at most until all are passed on; return how many were given up."""
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=within.total_seconds())
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return self.waiting

    async def _work(self, address: str, line: deque[Datagram]) -> None:
        while line:
            batch = [line.popleft() for _ in range(min(len(line), _AT_ONCE))]
            # At the same time, so that they can share a commit; begun in their order.
            await asyncio.gather(*map(self._one, batch))
        del self._lines[address]

    async def _one(self, datagram: Datagram) -> None:
        await self._hand_on(datagram)
        self.waiting -= 1
