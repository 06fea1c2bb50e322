"""Accepts big batches of callbacks: one commit saves a batch, and others add its callbacks.

A commit that adds a thousand callbacks would delay all other commits. So the first commit saves the
batch only as text. Small commits then add its callbacks to the table from which they are sent. If
the process dies in between, the next start adds the rest: a batch is kept as a whole or not at all.
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
"""How many callbacks one commit adds while several accounts send callbacks."""
_MANY: Final = 64
"""How many callbacks one commit adds while only one account sends callbacks."""

T = TypeVar("T")
_log = logging.getLogger(__name__)

Add = Callable[[Transaction, Sequence[CallbackRecord], NewCallbackQueue], list[CallbackRecord]]
"""A function that saves new callbacks, and returns their records, such as `send_callbacks`."""


@dataclass(eq=False, slots=True)
class _Batch:
    """A batch that is durable, and whose callbacks are being added."""

    numbers: Sequence[int]
    """The numbers under which the batch's callbacks are saved as text, until all are added."""
    callbacks: Sequence[CallbackRecord]
    added: asyncio.Future[list[CallbackRecord]]
    records: list[CallbackRecord] = field(default_factory=list[CallbackRecord])
    failures: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """The errors of the callbacks that can't be added, by SID."""

    @property
    def settled(self) -> list[int]:
        """The numbers of the callbacks whose texts can be deleted, since they have been added."""
        pairs = zip(self.numbers, self.callbacks, strict=True)
        return [number for number, callback in pairs if callback.sid not in self.failures]


@dataclass(eq=False, kw_only=True)
class BatchIngestionQueue:
    """Implements `ports.BulkCallbackQueue`; `run` adds the callbacks of the batches."""

    store: Store
    clock: Clock
    stopwatch: Callable[[], float]
    """A function that returns a time in seconds, to measure durations."""
    queue: NewCallbackQueue
    add: Add
    are_others_there: Callable[[], bool]
    """A function that returns True while several accounts send callbacks."""

    def __post_init__(self) -> None:
        """Begin without any batch."""
        self._turns = FairSemaphore(1)
        """Lets only one batch be added at a time; accounts take turns."""
        self._batches = deque[_Batch]()
        """The batches to add, in order."""
        self._is_held_up = False
        """True while no callbacks can be added because the database is unavailable."""
        self._wakeup = asyncio.Event()

    async def keep(
        self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
    ) -> list[CallbackRecord]:
        """Save a batch, and return the records of its callbacks; see `ports.BulkCallbackQueue`."""
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
        """Add the callbacks of all saved batches, for ever.

        First come the callbacks that a killed process saved as text but did not add.
        """
        left = await self._do(_find_left)
        # A batch that arrived meanwhile, and whose request waits, may be among them.
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
                # The pause leaves half of the time to the other accounts.
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
        except Exception as failure:  # noqa: BLE001 (one bad callback must not stop the others)
            if len(part) > 1:
                for one in part:
                    await self._add_part(batch, [one])
            else:
                sid = part[0].sid
                _log.exception(
                    "callback %s of a batch can't be queued; the next start of the server"
                    " tries again",
                    sid,
                )
                batch.failures[sid] = failure

    async def _answer_at_once(self, batch: _Batch) -> None:
        """Answer a batch's request during an outage: the batch is saved, and is added later."""
        if batch.added.done():
            return
        # While the store is read, more of them may be added.
        added = [*batch.records]
        rest = batch.callbacks[len(added) :]
        with suppress(StoreUnavailable, QueryTimeout):
            rest = await self.store.read(lambda tx: [_known_as(tx, callback) for callback in rest])
        if not batch.added.done() and not batch.failures:
            batch.added.set_result([*added, *rest])

    async def _do(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction; in an outage, answer the waiting batches and try again."""
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
    """Return the saved callback with the same idempotency key, or else the callback itself."""
    key = callback.idempotency_key
    return (key and tx.callbacks.with_key(callback.account_sid, key)) or callback


def _find_left(tx: Transaction) -> dict[int, CallbackRecord]:
    """Return the callbacks, by number, that a killed process saved as text but did not add."""
    left, added = dict[int, CallbackRecord](), list[int]()
    for number, text in tx.batches.all().items():
        try:
            callback = read_new(text)
        except ValueError:
            _log.exception(
                "accepted callback number %d can't be read from the data file; it"
                " is not sent, and stays in the file",
                number,
            )
            continue
        if tx.callbacks.find(callback.sid) is None:
            left[number] = callback
        else:
            added.append(number)
    tx.batches.remove(added)
    return left
