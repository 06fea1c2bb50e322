"""Begins the delivery of claimed callbacks, with a limited number for each destination.

A destination has places. A claim takes a place when its delivery begins, and waits in the
destination's queue until then. When a delivery ends, the next claim takes its place at once.
If the rate of a lane is limited, its claims wait in its pacer first (see `request_pacer`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.core.callbacks.shards import origin_of
from ringback.delivery.callback_sender import Sending
from ringback.delivery.request_pacer import RequestPacer
from ringback.ports import NONE_OPEN, DeliveryClaim, Lane, Transport


@dataclass(eq=False, slots=True)
class _Destination:
    name: str
    ready: deque[DeliveryClaim] = field(default_factory=deque[DeliveryClaim])
    taken: int = 0
    """The number of places that are taken."""


class DeliveryWorkers:
    """Calls `begin` for each added claim: a callback that was claimed for one attempt.

    If `begin` returns a function, the delivery needs a task, in which this function is awaited. At
    the end of a delivery, `ended` has to be called. At most `per_destination` deliveries to one
    destination are under way at a time. Those without a task are sent by `transport`. `pacer_of`
    returns the pacer of a lane whose rate is limited.
    """

    def __init__(
        self,
        begin: Callable[[DeliveryClaim], Sending | None],
        transport: Transport,
        per_destination: int,
        pacer_of: Callable[[Lane], RequestPacer | None] = lambda _: None,
    ) -> None:
        self._begin = begin
        self._transport = transport
        self._per_destination = per_destination
        self._pacer_of = pacer_of
        self._destinations = dict[str, _Destination]()
        self._still_open = NONE_OPEN
        self._tasks = set[asyncio.Task[None]]()
        self._taken = 0
        self._none_is_taken = asyncio.Event()
        self._none_is_taken.set()
        self._is_closed = False

    def add(self, claim: DeliveryClaim) -> None:
        """Queue a claim for delivery, behind all others for the same destination."""
        pacer = self._pacer_of(claim.lane)
        if pacer is not None:
            pacer.add(claim)
        else:
            self.add_released(claim)

    def add_released(self, claim: DeliveryClaim) -> None:
        """Queue a claim that its lane's rate allows to be sent now."""
        destination = self._destination_of(claim)
        destination.ready.append(claim)
        self._employ(destination)

    def add_first(self, claim: DeliveryClaim) -> None:
        """Queue a claim for delivery, before all others for its destination: its round goes on."""
        destination = self._destination_of(claim)
        destination.ready.appendleft(claim)
        self._employ(destination)

    def ended(self, claim: DeliveryClaim) -> None:
        """Give the place of a delivery that has ended to the next claim for its destination."""
        if (pacer := self._pacer_of(claim.lane)) is not None:
            pacer.stayed(claim.callback.sid)
        self._go_on(self._destinations[claim.callback.url.destination])

    def leave_room(self, still_open: Mapping[str, int]) -> None:
        """Leave places of destinations free for requests of other processes from now on.

        `still_open` is their number by destination. Deliveries under way are not affected.
        """
        self._still_open = still_open
        for destination in list(self._destinations.values()):
            for _ in destination.ready:
                self._employ(destination)

    def use_room(self, ended: Mapping[str, int]) -> None:
        """Use places again that were left for requests of other processes which have ended."""
        left = {name: count - ended.get(name, 0) for name, count in self._still_open.items()}
        self.leave_room({name: count for name, count in left.items() if count > 0})

    def close(self) -> None:
        """Deliver no more claims: those not begun yet, and those added later, stay unsent."""
        self._is_closed = True

    def take_unsent(self) -> list[DeliveryClaim]:
        """Return the claims that have not been sent, and remove them from the queues."""
        unsent = list[DeliveryClaim]()
        for destination in self._destinations.values():
            unsent += destination.ready
            destination.ready.clear()
        return unsent

    def take_back(self, lane: Lane) -> list[DeliveryClaim]:
        """Return the claims of a lane that have not been sent, and remove them from the queues."""
        pacer = self._pacer_of(lane)
        taken = [] if pacer is None else pacer.take_back()
        destination = self._destinations.get(origin_of(lane.destination))
        if destination is not None:
            ready = [claim for claim in destination.ready if claim.lane == lane]
            others = [claim for claim in destination.ready if claim.lane != lane]
            destination.ready = deque(others)
            taken += ready
            if pacer is not None:
                for claim in ready:
                    pacer.stayed(claim.callback.sid)
        return taken

    async def finish(self) -> None:
        """Wait until no request is under way any more."""
        await self._none_is_taken.wait()

    async def cancel(self) -> None:
        """Cancel the requests under way, and deliver no more claims."""
        self.close()
        self._transport.break_off()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._none_is_taken.set()

    def _destination_of(self, claim: DeliveryClaim) -> _Destination:
        name = claim.callback.url.destination
        destination = self._destinations.get(name)
        if destination is None:
            self._destinations[name] = destination = _Destination(name)
        return destination

    def _employ(self, destination: _Destination) -> None:
        """Take a place for the next claim, if one is free."""
        if destination.taken >= self._places_of(destination) or self._is_closed:
            return
        destination.taken += 1
        self._taken += 1
        self._none_is_taken.clear()
        # Not at once, so that the caller's step of the event loop stays short.
        asyncio.get_running_loop().call_soon(self._go_on, destination)

    def _go_on(self, destination: _Destination) -> None:
        """Use a place for the next claim, or free it if no claim is left."""
        is_too_many = self._still_open and destination.taken > self._places_of(destination)
        if not destination.ready or self._is_closed or is_too_many:
            self._free(destination)
            return
        claim = destination.ready.popleft()
        try:
            sending = self._begin(claim)
        except BaseException:
            self._free(destination)
            raise
        if sending is not None:
            task = asyncio.create_task(self._in_task(destination, claim, sending))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _places_of(self, destination: _Destination) -> int:
        if not self._still_open:
            return self._per_destination
        return self._per_destination - self._still_open.get(destination.name, 0)

    async def _in_task(
        self, destination: _Destination, claim: DeliveryClaim, sending: Sending
    ) -> None:
        if self._is_closed:
            destination.ready.appendleft(claim)
            self._free(destination)
        else:
            await sending()

    def _free(self, destination: _Destination) -> None:
        destination.taken -= 1
        if not destination.taken and not destination.ready:
            self._destinations.pop(destination.name, None)
        self._taken -= 1
        if not self._taken:
            self._none_is_taken.set()
