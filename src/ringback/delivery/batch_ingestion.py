"""Takes big batches in: each is durable as a whole first, and then added a few at a time.

One commit that adds a thousand callbacks keeps all others waiting for as long as that takes. So the
first one only writes the batch down, and small ones make its callbacks, which leave others their
turn. What a dead process left is added by the next: a batch is kept whole or not at all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.callback_serialization import read_new
from ringback.core.errors import QueryTimeout, StoreUnavailable
from ringback.ports import Clock, NewCallbackQueue, Store, Transaction
from ringback.runtime.account_fair_semaphore import FairSemaphore
from ringback.runtime.database_outage import outlast

_FEW: Final = 4
"""How many are added at once where several accounts have callbacks to send."""
_MANY: Final = 64

T = TypeVar("T")
_log = logging.getLogger(__name__)

Add = Callable[[Transaction, Sequence[CallbackRecord], NewCallbackQueue], list[CallbackRecord]]
"""Keeps new callbacks, and returns their records; see `operations.create_callbacks`."""


@dataclass(eq=False, slots=True)
class _Batch:
    """A batch that is durable."""

    numbers: Sequence[int]
    """Those that its callbacks are written down under until all are added."""
    callbacks: Sequence[CallbackRecord]
    added: asyncio.Future[list[CallbackRecord]]
    records: list[CallbackRecord] = field(default_factory=list[CallbackRecord])
    failures: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """Why some can't be added, by their SIDs."""

    @property
    def settled(self) -> list[int]:
        """The numbers of those that need not be written down any more."""
        pairs = zip(self.numbers, self.callbacks, strict=True)
        return [number for number, callback in pairs if callback.sid not in self.failures]


@dataclass(eq=False, kw_only=True)
class BatchIngestionQueue:
    """Answers `ports.BulkCallbackQueue`; see `run`."""

    store: Store
    clock: Clock
    stopwatch: Callable[[], float]
    """Returns seconds."""
    queue: NewCallbackQueue
    add: Add
    are_others_there: Callable[[], bool]

    def __post_init__(self) -> None:
        """Begin without any batch."""
        self._turns = FairSemaphore(1)
        """One batch is added at a time."""
        self._batches = deque[_Batch]()
        """Those that are to be added, in their order."""
        self._is_held_up = False
        """Whether nothing can be added, since the database is away."""
        self._wakeup = asyncio.Event()

    async def keep(
        self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
    ) -> list[CallbackRecord]:
        """Keep a batch; see `ports.BulkCallbackQueue`."""
        added = asyncio.get_running_loop().create_future()

        def write_down(tx: Transaction) -> _Batch:
            batch = _Batch(tx.batches.add(texts), callbacks, added)
            tx.on_commit(lambda: self._expect(batch))
            return batch

        await self._turns.take(account_sid)
        try:
            self.queue.make_room(account_sid, len(callbacks))
            batch = await self.store.transact(write_down)
            if self._is_held_up:
                await self._answer_at_once(batch)
            return await added
        finally:
            self._turns.give_back(account_sid)

    async def run(self) -> None:
        """Add the callbacks of durable batches, also those that a killed process left; for ever."""
        left = await self._do(_find_left)
        # One that has come meanwhile, and somebody waits for, may be among them.
        for batch in self._batches:
            for number in batch.numbers:
                left.pop(number, None)
        if left:
            nobody = asyncio.get_running_loop().create_future()
            self._batches.append(_Batch(list(left), list(left.values()), nobody))
        while True:
            while self._batches:
                await self._add_all(self._batches[0])
                self._batches.popleft()
            await self._wakeup.wait()
            self._wakeup.clear()

    def _expect(self, batch: _Batch) -> None:
        self._batches.append(batch)
        self._wakeup.set()

    async def _add_all(self, batch: _Batch) -> None:
        at = 0
        while part := batch.callbacks[at : at + self._most]:
            began = self.stopwatch()
            await self._add_part(batch, part)
            at += len(part)
            if self.are_others_there():
                # So that half of the time is theirs.
                await asyncio.sleep(self.stopwatch() - began)
        if not batch.added.done():
            if not batch.failures:
                batch.added.set_result(batch.records)
            else:
                batch.added.set_exception(next(iter(batch.failures.values())))
        await self._do(lambda tx: tx.batches.remove(batch.settled))

    @property
    def _most(self) -> int:
        return _FEW if self.are_others_there() else _MANY

    async def _add_part(self, batch: _Batch, part: Sequence[CallbackRecord]) -> None:
        try:
            batch.records += await self._do(lambda tx: self.add(tx, part, self.queue))
        except Exception as failure:  # noqa: BLE001 (one that can't be kept takes no other with it)
            if len(part) > 1:
                for one in part:
                    await self._add_part(batch, [one])
            else:
                sid = part[0].sid
                _log.exception("%s of a batch can't be added; the next start tries it again", sid)
                batch.failures[sid] = failure

    async def _answer_at_once(self, batch: _Batch) -> None:
        """Tell that a batch is durable, where the rest has to wait until the database is back."""
        if batch.added.done():
            return
        rest = batch.callbacks[len(batch.records) :]
        with suppress(StoreUnavailable, QueryTimeout):
            rest = await self.store.read(lambda tx: [_known_as(tx, callback) for callback in rest])
        if not batch.added.done() and not batch.failures:
            batch.added.set_result([*batch.records, *rest])

    async def _do(self, work: Callable[[Transaction], T]) -> T:
        """Run work; in an outage of the database, answer the waiting batches at once."""
        try:
            return await self.store.transact(work)
        except StoreUnavailable:
            self._is_held_up = True
            for batch in tuple(self._batches):
                await self._answer_at_once(batch)
            try:
                return await outlast(lambda: self.store.transact(work), clock=self.clock)
            finally:
                self._is_held_up = False


def _known_as(tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
    """Return the callback that its key led to, as far as is known; itself where it has none."""
    key = callback.idempotency_key
    return (key and tx.callbacks.with_key(callback.account_sid, key)) or callback


def _find_left(tx: Transaction) -> dict[int, CallbackRecord]:
    """Return the callbacks that a killed process wrote down and did not add, by number."""
    left, added = dict[int, CallbackRecord](), list[int]()
    for number, text in tx.batches.all().items():
        try:
            callback = read_new(text)
        except ValueError:
            _log.exception(
                "callback %d of those written down can't be read, and stays there", number
            )
            continue
        if tx.callbacks.find(callback.sid) is None:
            left[number] = callback
        else:
            added.append(number)
    tx.batches.remove(added)
    return left
