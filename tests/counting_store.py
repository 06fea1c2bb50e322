"""A store that counts how often it is asked, and can be away."""

from collections.abc import Callable
from typing import TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Store, Transaction

T = TypeVar("T")


class CountingStore:
    """A store over another one, which answers while it is not away."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked = 0
        self.is_away = False
        self.when_asked: Callable[[], object] = lambda: None

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        self.asked += 1
        self.when_asked()
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        return await self.store.transact(work)
