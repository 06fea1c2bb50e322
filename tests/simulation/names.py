"""The lookups of a simulation: the engine's own resolver, and the name server.

A hanging lookup goes on until the machine's time limit, even if nobody waits for it any more, as a
real resolver thread would.
"""

import asyncio
import socket
from concurrent.futures import Future
from random import Random
from typing import Final

from ringback.http_client.system_resolver import SystemResolver
from tests.simulation.loop import SimLoop
from tests.simulation.plan import PRIVATE, Plan, is_within
from tests.simulation.scheduler import Scheduler
from tests.simulation.shortage import Machine

_GIVES_UP: Final = 30.0
"""Seconds that the machine waits for a name server."""


class SimLookUps(SystemResolver):
    """The lookups of one process: each is a task, where the real ones are threads."""

    def __init__(self, names: "Names", loop: SimLoop) -> None:
        super().__init__()
        self._names = names
        self._loop = loop

    def _begin(self, host: str) -> Future[list[str]]:
        self._under_way[host] = found = Future[list[str]]()
        found.set_running_or_notify_cancel()
        self._loop.create_task(self._look_up(host, found))
        return found

    async def _look_up(self, host: str, found: Future[list[str]]) -> None:
        try:
            addresses = await self._names.ask(host)
        except OSError as error:
            del self._under_way[host]
            found.set_exception(error)
        else:
            del self._under_way[host]
            found.set_result(addresses)


class Names:
    """The name server of the world."""

    def __init__(self, plan: Plan, scheduler: Scheduler, random: Random, machine: Machine) -> None:
        self.is_sound = False
        self._places = {place.host: place for place in plan.places}
        self._hang = plan.names_hang
        self._machine = machine
        self._random = random
        self._scheduler = scheduler

    async def ask(self, host: str) -> list[str]:
        """Return the addresses of a host; raises OSError if the lookup fails."""
        place, random = self._places.get(host), self._random
        if place is None or place.names == "literal":
            return [host]
        self._machine.open_file()
        if is_within(self._hang, self._scheduler.now):
            await _hang()
        kind = "quick" if self.is_sound else place.names
        await asyncio.sleep(random.uniform(0.0005, 0.02))
        addresses = list(place.addresses)
        match kind:
            case "slow":
                await asyncio.sleep(random.uniform(0.0, 6.0))
            case "failing" if random.random() < 0.6:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            case "hanging" if random.random() < 0.6:
                await _hang()
            case "silent":
                await _hang()
            case "changing":
                random.shuffle(addresses)
                addresses = addresses[:1]
            case "several":
                # One of the addresses leads nowhere.
                addresses.insert(random.randrange(3), "93.184.255.1")
            case "private":
                addresses = [random.choice(PRIVATE)]
            case "rebound":
                addresses += random.sample(PRIVATE, 2)
                random.shuffle(addresses)
                addresses = addresses[: random.randint(1, 3)]
            case _:
                pass
        return addresses


async def _hang() -> None:
    await asyncio.sleep(_GIVES_UP)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
