"""An asynchronous dedupe store, used by code that is not: its coroutines run in a thread's loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ringback.receiver.dedupe import AsyncDedupeStore, DedupeClaimRequest
from ringback.receiver.dedupe.dedupe_store import Claimed

T = TypeVar("T")


class AwaitedDedupe:
    """A `DedupeStore` that calls an asynchronous one, in the loop of another thread."""

    def __init__(self, store: AsyncDedupeStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        return self._wait(self._store.claim(visit))

    def renew(self, visit: DedupeClaimRequest) -> bool:
        return self._wait(self._store.renew(visit))

    def done(self, visit: DedupeClaimRequest) -> bool:
        return self._wait(self._store.done(visit))

    def release(self, visit: DedupeClaimRequest) -> None:
        self._wait(self._store.release(visit))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


@contextmanager
def awaited(
    store: AsyncDedupeStore, close: Callable[[], Awaitable[None]] | None = None
) -> Iterator[AwaitedDedupe]:
    """Yield the store with its methods awaited; `close` is awaited at the end."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield AwaitedDedupe(store, loop)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            if close is not None:
                loop.run_until_complete(close())
