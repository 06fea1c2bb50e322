"""Carries claimed callbacks to their destinations, so many to each at the same time.

A destination has workers only while something is ready for it; a worker takes one callback after
the other, so that a busy destination costs no task for each.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from ringback.core.connection import Limits, limits_of
from ringback.core.http_exchange import Exchange, OutgoingRequest
from ringback.core.infrastructure import BUILT_IN, Sources
from ringback.core.retry import time_left
from ringback.engine.keyring import Keyring
from ringback.engine.letter import Letter
from ringback.ports import Claim, Clock, Transport, no_checkpoint


class Carried(NamedTuple):
    """A claim, and how its attempt went."""

    claim: Claim
    started: datetime
    request: OutgoingRequest | None
    exchange: Exchange


@dataclass(eq=False, slots=True)
class _Destination:
    name: str
    ready: deque[Claim] = field(default_factory=deque[Claim])
    workers: int = 0


class Courier:
    """Sends what it is handed, and tells how that went."""

    def __init__(
        self,
        *,
        transport: Transport,
        keyring: Keyring,
        clock: Clock,
        per_destination: int,
        carried: Callable[[Carried], None],
        sources: Sources = BUILT_IN,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._transport = transport
        self._keyring = keyring
        self._clock = clock
        self._per_destination = per_destination
        self._carried = carried
        self._sources = sources
        self._checkpoint = checkpoint
        self._destinations = dict[str, _Destination]()
        self._workers = set[asyncio.Task[None]]()
        self._is_closed = False

    def hand(self, claim: Claim) -> None:
        """Send this after what is ready for the same destination."""
        destination = self._destination_of(claim)
        destination.ready.append(claim)
        self._employ(destination)

    def hand_back(self, claim: Claim) -> None:
        """Send this before what is ready for the same destination: its round goes on."""
        destination = self._destination_of(claim)
        destination.ready.appendleft(claim)
        self._employ(destination)

    def close(self) -> None:
        """Send nothing more: what has not left by now, or is handed over later, is unsent."""
        self._is_closed = True

    def take_unsent(self) -> list[Claim]:
        """Return what has not left, and forget it."""
        unsent = list[Claim]()
        for destination in self._destinations.values():
            unsent += destination.ready
            destination.ready.clear()
        return unsent

    async def finish(self) -> None:
        """Return when the requests under way are answered, or given up."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def break_off(self) -> None:
        """Wait no longer for answers."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _destination_of(self, claim: Claim) -> _Destination:
        name = claim.callback.url.destination
        destination = self._destinations.get(name)
        if destination is None:
            self._destinations[name] = destination = _Destination(name)
        return destination

    def _employ(self, destination: _Destination) -> None:
        if destination.workers < self._per_destination and not self._is_closed:
            destination.workers += 1
            worker = asyncio.create_task(self._work(destination))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self, destination: _Destination) -> None:
        try:
            while destination.ready and not self._is_closed:
                await self._carry(destination.ready.popleft())
        finally:
            destination.workers -= 1
            if not destination.workers and not destination.ready:
                self._destinations.pop(destination.name, None)

    async def _carry(self, claim: Claim) -> None:
        self._checkpoint("claimed")
        now = self._clock.now()
        letter = Letter(claim.callback, claim.account, self._keyring, self._clock, self._sources)
        exchange = await letter.send(
            self._transport,
            limits=_limits_of(claim, now),
            turn=claim.progress.round_attempts - 1,
            fresh=claim.fresh,
        )
        self._checkpoint("sent")
        if exchange.waited:
            now += timedelta(seconds=exchange.waited)
        self._carried(Carried(claim, now, letter.request, exchange))


def _limits_of(claim: Claim, now: datetime) -> Limits:
    """Return how long an attempt may take; the first one has all the time of its round."""
    connection, progress = claim.callback.url.connection, claim.progress
    if progress.round_attempts == 1:
        return connection.limits
    # The clock may have been set back since the round began.
    left = min(time_left(connection, progress.round, now), connection.total_timeout)
    return limits_of(connection, left)
