"""Parts for tests of the delivery, and functions that wait without real time passing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.destinations.destination_events import DestinationEvent
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.core.retry_schedule import FAITHFUL, RetrySchedule
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.delivery_service import DeliveryLimits, DeliveryService
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.ports import (
    Cluster,
    DeliveryClaim,
    Lane,
    RandomSource,
    SoleProcess,
    Store,
    Transaction,
    Transport,
    lane_of,
)
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import (
    ACCOUNT_SID,
    CALLBACK_SID,
    NOW,
    FakeClock,
    WithoutIdleConnections,
    a_callback,
    an_account,
    claim_from,
)
from tests.memory_store import MemoryStore

T = TypeVar("T")

OTHER_ACCOUNT_SID: Final = "AC" + "d" * 32
HOST: Final = "http://a.example"
OTHER_HOST: Final = "http://b.example"
LANE: Final = Lane(ACCOUNT_SID, "http://a.example:80")
"""The lane of the callbacks to `HOST`."""

DELIVERED: Final = AttemptResult(DeliveredOutcome(200))
REFUSED: Final = AttemptResult(RefusedOutcome(503))
NOT_CONNECTED: Final = AttemptResult(
    NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens there")
)


def sid(number: int) -> str:
    return f"CB{number:032}"


def callbacks_to(url: str, numbers: Sequence[int]) -> list[CallbackRecord]:
    return [a_callback(sid=sid(number), url=url) for number in numbers]


class Steps:
    """Counts the checkpoints that are passed, and lets a test wait for one."""

    def __init__(self) -> None:
        self.passed = list[str]()
        self._waiting = list[tuple[str, int, asyncio.Event]]()

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        for awaited, count, reached in self._waiting:
            if self.passed.count(awaited) >= count:
                reached.set()

    async def reach(self, name: str, count: int = 1) -> None:
        """Wait until this checkpoint was passed this often."""
        if self.passed.count(name) < count:
            reached = asyncio.Event()
            self._waiting.append((name, count, reached))
            async with asyncio.timeout(10):
                await reached.wait()


class FailingStore:
    """A store that a test can make unavailable for the next few transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures_to_come = 0
        self.transactions = 0
        self.steps = Steps()
        """Passes the checkpoint `failed` with each failed transaction."""

    def go_away(self) -> None:
        """Make the store unavailable for ever."""
        self.failures_to_come = 1_000_000

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        self.transactions += 1
        if self.failures_to_come:
            self.failures_to_come -= 1
            self.steps("failed")
            raise StoreUnavailable("the database can't be used just now: disk I/O error")
        return await self._store.transact(work)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


class PausedStore:
    """A store that a test can pause: before a transaction, or after it, before it returns."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.may_begin = asyncio.Event()
        self.may_tell = asyncio.Event()
        self.may_begin.set()
        self.may_tell.set()
        self.transactions = 0

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        await self.may_begin.wait()
        self.transactions += 1
        result = await self._store.transact(work)
        await self.may_tell.wait()
        return result

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


class FunctionTransport(WithoutIdleConnections):
    """Sends by calling a function."""

    def __init__(self, send: Callable[[OutgoingRequest], Awaitable[AttemptResult]]) -> None:
        self._send = send

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        if leaving is not None:
            leaving()
        return await self._send(request)


class GatedTransport(WithoutIdleConnections):
    """Blocks each request until its host's gate is opened, and counts those in progress."""

    def __init__(self) -> None:
        self.requests = list[OutgoingRequest]()
        self.under_way = dict[str, int]()
        self.most = dict[str, int]()
        """The largest number of simultaneous requests to each host."""
        self._gates = dict[str, asyncio.Event]()

    def open(self, host: str) -> None:
        """Answer this host's requests from now on."""
        self._gate_of(host).set()

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        host = request.url.host
        if leaving is not None:
            leaving()
        self.requests.append(request)
        self.under_way[host] = self.under_way.get(host, 0) + 1
        self.most[host] = max(self.most.get(host, 0), self.under_way[host])
        try:
            await self._gate_of(host).wait()
        finally:
            self.under_way[host] -= 1
        return DELIVERED

    def _gate_of(self, host: str) -> asyncio.Event:
        return self._gates.setdefault(host, asyncio.Event())


@dataclass
class SteadyRandomness:
    """The same byte again and again: the least jitter with 0x00, the most with 0xFF."""

    byte: int = 0

    def bytes(self, count: int) -> bytes:
        return bytes([self.byte]) * count


@dataclass
class Bench:
    """A delivery service and its dependencies."""

    store: Store
    transport: Transport
    schedule: RetrySchedule = FAITHFUL
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)
    random_source: RandomSource = field(default_factory=SteadyRandomness)
    clock: FakeClock = field(default_factory=FakeClock)
    steps: Steps = field(default_factory=Steps)
    counters: DeliveryCounters = field(default_factory=DeliveryCounters)
    cluster: Cluster = field(default_factory=SoleProcess)
    recover_copies: Callable[[], Awaitable[object]] | None = None
    gate: SendingGate = field(default_factory=SendingGate)
    rules: Sequence[DestinationRule] = ()
    """What the settings file sets for destinations."""

    def __post_init__(self) -> None:
        self.events = list[DestinationEvent]()
        """The events about destinations."""
        self.destinations = DestinationControl(
            DestinationBook(self.rules, self.schedule),
            clock=self.clock,
            random_source=self.random_source,
            tell=lambda _tx, event, _to: self.events.append(event),
        )
        self.delivery = DeliveryService(
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            random_source=self.random_source,
            schedule=self.schedule,
            limits=self.limits,
            counters=self.counters,
            cluster=self.cluster,
            recover_copies=self.recover_copies,
            gate=self.gate,
            destinations=self.destinations,
            checkpoint=self.steps,
        )

    async def settle(self, count: int = 1) -> None:
        """Run until this many attempts are settled, and until nothing more is due."""
        async with running(self.delivery.run):
            await self.steps.reach("settled", count)
            await all_has_run()

    async def take(self, *callbacks: CallbackRecord) -> None:
        """Queue new callbacks in one transaction."""

        def work(tx: Transaction) -> None:
            for callback in callbacks:
                self.delivery.queue.take(tx, callback)

        await self.store.transact(work)


async def a_store(*callbacks: CallbackRecord, account: Account | None = None) -> MemoryStore:
    """Return a store with the account and these callbacks."""
    store = MemoryStore()
    await store.transact(lambda tx: tx.accounts.add(account or an_account(), []))
    await add(store, *callbacks)
    return store


async def add(store: Store, *callbacks: CallbackRecord) -> None:
    def work(tx: Transaction) -> None:
        for callback in callbacks:
            tx.callbacks.add(callback)

    await store.transact(work)


async def claim_of(
    store: Store, callback: CallbackRecord, *, limit: int = 1
) -> list[DeliveryClaim]:
    """Claim the due callbacks of this callback's lane, as the delivery does before it sends."""
    lane = lane_of(callback)
    return await store.transact(lambda tx: claim_from(tx, lane, NOW, limit=limit))


async def callback_in(store: Store, sid: str = CALLBACK_SID) -> CallbackRecord:
    callback = await store.transact(lambda tx: tx.callbacks.get(ACCOUNT_SID, sid))
    assert callback is not None
    return callback


async def attempts_in(store: Store, sid: str = CALLBACK_SID) -> list[Attempt]:
    return await store.transact(lambda tx: tx.callbacks.attempts(sid))


async def results_in(store: Store, sid: str = CALLBACK_SID) -> list[str]:
    return [attempt.result for attempt in await attempts_in(store, sid)]


async def all_has_run() -> None:
    """Wait until each task has run as far as it can without more time or input."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(loop: Callable[[], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a loop beside the test, and raise the error that ends the loop."""

    async def run() -> None:
        await loop()

    task = asyncio.create_task(run())
    try:
        yield task
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
