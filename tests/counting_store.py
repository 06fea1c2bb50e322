"""A store that counts its calls, and can be unavailable."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Store, Transaction

T = TypeVar("T")


class CountingStore:
    """Wraps a store: counts its calls, and raises StoreUnavailable while `is_away`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked = 0
        self.transactions = 0
        """How many calls were of `transact`, which may write."""
        self.is_away = False
        self.when_asked: Callable[[], object] = lambda: None
        self.goes_on = asyncio.Event()
        """While it is cleared, transactions wait."""
        self.goes_on.set()

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        self._ask()
        self.transactions += 1
        await self.goes_on.wait()
        return await self.store.transact(work)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        self._ask()
        return await self.store.read(work, asked_by=asked_by)

    def _ask(self) -> None:
        self.asked += 1
        self.when_asked()
        if self.is_away:
            raise StoreUnavailable("the disk is full")
