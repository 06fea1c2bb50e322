"""A bound on how many connections are open at once."""

import asyncio
from collections.abc import Callable


class Room:
    """Counts open connections; who opens one too many waits until another is over.

    `make_room` is called when somebody has to wait: it may close a connection that is not needed.
    """

    def __init__(self, most: int, *, make_room: Callable[[], None]) -> None:
        self.taken = 0
        """How many connections are open."""
        self.waiting = 0
        """How many are to be opened as soon as there is room for them."""
        self._free = asyncio.Semaphore(most)
        self._make_room = make_room

    async def enter(self) -> None:
        """Take a place, as soon as there is one."""
        if self._free.locked():
            self._make_room()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.taken += 1

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1
        self._free.release()
