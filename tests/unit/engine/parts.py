"""What the tests of the engine put together, and how they wait for it without any time passing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ringback.core.callback import Attempt, Callback, Exchange
from ringback.core.connection import Limits
from ringback.core.errors import StoreUnavailable
from ringback.core.rendering import OutgoingRequest
from ringback.ports import Store, Transaction
from ringback.stores.memory import MemoryStore
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, an_account

T = TypeVar("T")


class Steps:
    """Notes each checkpoint that is passed, and lets a test wait for it."""

    def __init__(self) -> None:
        self.passed = list[str]()
        self._waiting = list[tuple[str, int, asyncio.Event]]()

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        for awaited, count, reached in self._waiting:
            if self.passed.count(awaited) >= count:
                reached.set()

    async def reach(self, name: str, count: int = 1) -> None:
        """Return once this step was passed this often."""
        if self.passed.count(name) < count:
            reached = asyncio.Event()
            self._waiting.append((name, count, reached))
            async with asyncio.timeout(10):
                await reached.wait()


class FailingStore:
    """A store that can be told to be unavailable for its next few transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures_to_come = 0
        self.transactions = 0
        self.steps = Steps()
        """Passes `failed` with each transaction that fails."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        self.transactions += 1
        if self.failures_to_come:
            self.failures_to_come -= 1
            self.steps("failed")
            raise StoreUnavailable("the database can't be used just now: disk I/O error")
        return await self._store.transact(work)


class FunctionTransport:
    """Sends by calling a function."""

    def __init__(self, send: Callable[[OutgoingRequest], Awaitable[Exchange]]) -> None:
        self._send = send

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Exchange:
        return await self._send(request)


async def a_store(*callbacks: Callback) -> MemoryStore:
    """Return a store with the account and these callbacks."""
    store = MemoryStore()
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await add(store, *callbacks)
    return store


async def add(store: Store, *callbacks: Callback) -> None:
    def work(tx: Transaction) -> None:
        for callback in callbacks:
            tx.callbacks.add(callback)

    await store.transact(work)


async def callback_in(store: Store, sid: str = CALLBACK_SID) -> Callback:
    callback = await store.transact(lambda tx: tx.callbacks.get(ACCOUNT_SID, sid))
    assert callback is not None
    return callback


async def attempts_in(store: Store, sid: str = CALLBACK_SID) -> list[Attempt]:
    return await store.transact(lambda tx: tx.callbacks.attempts(sid))


async def all_has_run() -> None:
    """Return when the tasks that can go on without time, or help, have done so."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(loop: Callable[[], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a loop beside the test, and raise here what ends it."""

    async def run() -> None:
        await loop()

    task = asyncio.create_task(run())
    yield task
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
