"""Queues received datagrams for their handler, in order for each sender.

Datagrams from one address are handled in the order of their arrival, without waiting for those of
other senders. If too many datagrams wait in all, the queue accepts no more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

MOST: Final = 10_000
"""The maximum number of waiting datagrams; at 1301 bytes each, they take about 13 MB."""
_AT_ONCE: Final = 500


class Datagram(NamedTuple):
    """A received datagram, with the address and port of its sender."""

    address: str
    port: int
    payload: bytes


class DatagramQueue:
    """A queue of received datagrams: calls `hand_on` for each, and lets at most `most` wait."""

    def __init__(self, hand_on: Callable[[Datagram], Awaitable[None]], *, most: int = MOST) -> None:
        self._hand_on = hand_on
        self._most = most
        self._lines = dict[str, deque[Datagram]]()
        self._workers = set[asyncio.Task[None]]()
        self.waiting = 0
        """The number of accepted datagrams that have not been handled completely."""

    def put(self, datagram: Datagram) -> bool:
        """Accept a datagram and return True, or return False if too many wait."""
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
        """Wait at most `within` until all datagrams are handled; return how many were abandoned."""
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=within.total_seconds())
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return self.waiting

    async def _work(self, address: str, line: deque[Datagram]) -> None:
        while line:
            batch = [line.popleft() for _ in range(min(len(line), _AT_ONCE))]
            # They start in order, and run at the same time, so that they can share a commit.
            await asyncio.gather(*map(self._one, batch))
        del self._lines[address]

    async def _one(self, datagram: Datagram) -> None:
        await self._hand_on(datagram)
        self.waiting -= 1
