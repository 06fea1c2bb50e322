"""Workers that deliver claimed callbacks, with a limited number for each destination.

A worker delivers one callback of its destination after the other. When none is left, it waits for
another destination, since starting a task costs three times as much as waking a waiting one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ringback.ports import DeliveryClaim


@dataclass(eq=False, slots=True)
class _Destination:
    name: str
    ready: deque[DeliveryClaim] = field(default_factory=deque[DeliveryClaim])
    workers: int = 0


class DeliveryWorkers:
    """Calls `deliver` for each added claim: a callback that was claimed for one attempt.

    At most `per_destination` calls for one destination run at a time.
    """

    def __init__(
        self, deliver: Callable[[DeliveryClaim], Coroutine[Any, Any, None]], *, per_destination: int
    ) -> None:
        self._deliver = deliver
        self._per_destination = per_destination
        self._destinations = dict[str, _Destination]()
        self._workers = set[asyncio.Task[None]]()
        self._idle = list[asyncio.Future[_Destination]]()
        """A future for each waiting worker, whose result is the worker's next destination."""
        self._busy = 0
        self._all_are_idle = asyncio.Event()
        self._all_are_idle.set()
        self._is_closed = False

    def add(self, claim: DeliveryClaim) -> None:
        """Queue a claim for delivery, behind all others for the same destination."""
        destination = self._destination_of(claim)
        destination.ready.append(claim)
        self._employ(destination)

    def add_first(self, claim: DeliveryClaim) -> None:
        """Queue a claim for delivery, before all others for its destination: its round goes on."""
        destination = self._destination_of(claim)
        destination.ready.appendleft(claim)
        self._employ(destination)

    def close(self) -> None:
        """Deliver no more claims: those not begun yet, and those added later, stay unsent."""
        self._is_closed = True
        for worker in self._idle:
            worker.cancel()
        self._idle.clear()

    def take_unsent(self) -> list[DeliveryClaim]:
        """Return the claims that have not been sent, and remove them from the queues."""
        unsent = list[DeliveryClaim]()
        for destination in self._destinations.values():
            unsent += destination.ready
            destination.ready.clear()
        return unsent

    async def finish(self) -> None:
        """Wait until no request is under way any more."""
        await self._all_are_idle.wait()

    async def cancel(self) -> None:
        """Cancel the requests under way, and deliver no more claims."""
        self.close()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _destination_of(self, claim: DeliveryClaim) -> _Destination:
        name = claim.callback.url.destination
        destination = self._destinations.get(name)
        if destination is None:
            self._destinations[name] = destination = _Destination(name)
        return destination

    def _employ(self, destination: _Destination) -> None:
        if destination.workers >= self._per_destination or self._is_closed:
            return
        destination.workers += 1
        self._busy += 1
        self._all_are_idle.clear()
        if self._idle:
            self._idle.pop().set_result(destination)
        else:
            worker = asyncio.create_task(self._work(destination))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self, destination: _Destination) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                while destination.ready and not self._is_closed:
                    await self._deliver(destination.ready.popleft())
            finally:
                self._leave(destination)
            if self._is_closed:
                return
            next_one = loop.create_future()
            self._idle.append(next_one)
            destination = await next_one

    def _leave(self, destination: _Destination) -> None:
        destination.workers -= 1
        if not destination.workers and not destination.ready:
            self._destinations.pop(destination.name, None)
        self._busy -= 1
        if not self._busy:
            self._all_are_idle.set()
