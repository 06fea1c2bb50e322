"""Sends shadow copies: copies of callbacks as another source would send them.

A copy is sent once, after the first attempt of its callback has been settled. It changes nothing
about the callback, its lane or its counters. A row is saved before the copy is sent, and gets the
result afterwards. Copies that can't be sent at once wait in memory, up to a limit, and are lost
when the process ends. They also wait while the server is paused.

Tests can stop the process at three checkpoints: `shadow_opened`, when the row has been saved,
`shadow_sent` and `shadow_settled`.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import UnknownOutcome
from ringback.core.shadows.shadow import SHADOW_BYTES, ShadowCallback, ShadowRule, copy_of, rule_for
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.delivery.callback_sender import CallbackSender
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.ports import Clock, RandomSource, Store, Transaction, Transport, no_checkpoint
from ringback.runtime.database_outage import outlast
from ringback.runtime.sending_gate import SendingGate

_log = logging.getLogger(__name__)

FULL: Final = "full"
"""The reason for making no copy: too many copies wait already."""
STOPPED: Final = "stopped"
"""The reason for making no copy: Ringback stops."""
FAILED: Final = "failed"
"""The reason for making no copy: the copy's row can't be written."""


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """The most copies that may be under way at the same time, and the most that may wait."""

    at_once: int = 8
    per_destination: int = 2
    waiting: int = 1000
    waiting_per_destination: int = 250
    """The most copies that may wait for one destination; if it hangs, others still have room."""


_LIMITS: Final = ShadowLimits()


class _Copied(NamedTuple):
    """A callback, and the shadow copy made of it."""

    callback: CallbackRecord
    copy: CallbackRecord


@dataclass(eq=False, slots=True)
class _Destination:
    waiting: deque[tuple[CallbackRecord, ShadowRule]] = field(
        default_factory=deque[tuple[CallbackRecord, ShadowRule]]
    )
    under_way: int = 0


class ShadowSender:
    """Sends shadow copies of the callbacks that a shadow rule covers."""

    def __init__(
        self,
        rules: Sequence[ShadowRule],
        *,
        store: Store,
        transport: Transport,
        signing_keys: CurrentSigningKeys,
        clock: Clock,
        random_source: RandomSource,
        counters: DeliveryCounters,
        sources: Sources = BUILT_IN,
        limits: ShadowLimits = _LIMITS,
        gate: SendingGate | None = None,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._rules = tuple(rules)
        self._store = store
        self._sender = CallbackSender(
            transport, signing_keys=signing_keys, clock=clock, sources=sources
        )
        self._clock = clock
        self._random_source = random_source
        self._counters = counters
        self._limits = limits
        self._gate = gate or SendingGate()
        self._gate.listen(self._go_on)
        self._checkpoint = checkpoint
        self._destinations = dict[str, _Destination]()
        self._waiting = 0
        self._sources = sources
        self._under_way = 0
        self._sending = set[asyncio.Task[None]]()
        self._ended = list[ShadowCallback]()
        self._writing: asyncio.Task[None] | None = None
        self._is_stopping = False

    @property
    def is_still(self) -> bool:
        """True if no copy waits for its turn, is under way, or is being written."""
        waits = self._waiting and self._gate.is_open
        return not waits and not self._sending and self._writing is None

    async def next_due(self) -> datetime | None:
        """Return None, since shadow copies don't wait for a time."""
        return None

    async def recover(self) -> int:
        """Give the result `unknown` to copies that a dead process left open; return their number.

        They are not sent again.
        """
        return await self._store.transact(self._settle_left_open)

    def consider(self, callback: CallbackRecord) -> None:
        """Queue a copy of a callback whose first attempt has ended, if a shadow rule covers it."""
        if not self._rules:
            return
        rule = rule_for(self._rules, callback)
        if rule is None:
            return
        name = rule.url_of(callback).destination
        destination = self._destinations.get(name) or _Destination()
        if self._is_stopping:
            self._skip(callback, STOPPED)
        elif self._is_full(destination):
            self._skip(callback, FULL)
        else:
            destination.waiting.append((callback, rule))
            self._destinations[name] = destination
            self._waiting += 1
            self._go_on()

    async def stop(self, *, within: timedelta) -> None:
        """Make no more copies, and let those under way end within this time.

        Copies that are not answered by then get the result `unknown` at the next start.
        """
        self._is_stopping = True
        self._drop_waiting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while tasks := self._tasks:
                    await asyncio.wait(tasks)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop_waiting(self) -> None:
        if self._waiting:
            _log.warning(
                "%d shadow copies were not sent, since Ringback is stopping", self._waiting
            )
        for destination in self._destinations.values():
            for callback, _ in destination.waiting:
                self._skip(callback, STOPPED)
            destination.waiting.clear()
        self._waiting = 0

    @property
    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._sending, *filter(None, [self._writing])]

    def _is_full(self, destination: _Destination) -> bool:
        limits = self._limits
        is_its_line_full = len(destination.waiting) >= limits.waiting_per_destination
        return is_its_line_full or self._waiting >= limits.waiting

    def _skip(self, callback: CallbackRecord, why: str) -> None:
        self._counters.shadows_skipped[callback.account_sid, why] += 1

    # ---- choosing -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def _pick(self) -> list[_Copied]:
        """Remove and return the waiting copies that may be sent now; destinations take turns."""
        picked = list[_Copied]()
        if not self._gate.is_open:
            return picked
        free = self._limits.at_once - self._under_way
        for name, destination in list(self._destinations.items()):
            room = min(free - len(picked), self._limits.per_destination - destination.under_way)
            taken = min(room, len(destination.waiting))
            if taken > 0:
                picked += [self._copy(*destination.waiting.popleft()) for _ in range(taken)]
                destination.under_way += taken
                # The destination goes to the end, so that others have the next turn.
                self._destinations[name] = self._destinations.pop(name)
        self._waiting -= len(picked)
        self._under_way += len(picked)
        return picked

    def _copy(self, callback: CallbackRecord, rule: ShadowRule) -> _Copied:
        random_bytes, now = self._random_source.bytes(SHADOW_BYTES), self._clock.now()
        copy = copy_of(callback, rule, random_bytes=random_bytes, now=now, sources=self._sources)
        return _Copied(callback, copy)

    def _leave(self, copy: CallbackRecord) -> None:
        """Count a copy as no longer under way."""
        name = copy.url.destination
        destination = self._destinations[name]
        destination.under_way -= 1
        self._under_way -= 1
        if not destination.under_way and not destination.waiting:
            del self._destinations[name]

    # ---- writing --------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Save ended copies and open the rows of new ones, until no copies are left."""
        try:
            while True:
                ended, self._ended = self._ended, []
                picked = self._pick()
                if not ended and not picked:
                    return
                await self._commit(ended, picked)
        finally:
            self._writing = None

    async def _commit(self, ended: list[ShadowCallback], picked: list[_Copied]) -> None:
        try:
            accounts = await outlast(
                lambda: self._store.transact(lambda tx: _write(tx, ended, picked)),
                clock=self._clock,
            )
        except Exception as failure:  # noqa: BLE001 (one that fails must not stop the others)
            await self._commit_one_by_one(ended, picked, failure)
            return
        for shadow in ended:
            self._counters.shadows[shadow.source, shadow.attempt.result] += 1
            self._checkpoint("shadow_settled")
        for one, account in zip(picked, accounts, strict=True):
            task = asyncio.create_task(self._send(one, account))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _commit_one_by_one(
        self, ended: list[ShadowCallback], picked: list[_Copied], failure: Exception
    ) -> None:
        if len(ended) + len(picked) > 1:
            for shadow in ended:
                await self._commit([shadow], [])
            for one in picked:
                await self._commit([], [one])
            return
        for shadow in ended:
            _log.error(
                "the result of shadow copy %s can't be stored; it stays open until"
                " the next start of the server",
                shadow.sid,
                exc_info=failure,
            )
        for callback, copy in picked:
            _log.error(
                "no shadow copy of callback %s can be stored", callback.sid, exc_info=failure
            )
            self._skip(callback, FAILED)
            self._leave(copy)

    # ---- sending --------------------------------------------------------------------------------

    async def _send(self, one: _Copied, account: Account) -> None:
        self._checkpoint("shadow_opened")
        callback, copy = one
        started, limits = self._clock.now(), copy.url.connection.limits
        try:
            exchange, request = await self._sender.render_and_send(copy, account, limits=limits)
        finally:
            self._leave(copy)
        self._checkpoint("shadow_sent")
        recorded = request and request.recorded()
        opened = ShadowCallback.opened(copy, of=callback)
        started += timedelta(seconds=exchange.waited)
        self._ended.append(opened.settled(exchange, recorded, started=started))
        self._go_on()

    def _settle_left_open(self, tx: Transaction) -> int:
        left_open = tx.shadows.left_open()
        tx.shadows.settle(
            [
                shadow.settled(
                    AttemptResult(UnknownOutcome()), None, started=shadow.attempt.date_started
                )
                for shadow in left_open
            ]
        )
        return len(left_open)


def _write(tx: Transaction, ended: list[ShadowCallback], picked: list[_Copied]) -> list[Account]:
    """Save the results of ended copies, add rows for new ones, and return the latter's accounts."""
    tx.shadows.settle(ended)
    tx.shadows.open([ShadowCallback.opened(copy, of=callback) for callback, copy in picked])
    return [_account_of(tx, callback) for callback, _ in picked]


def _account_of(tx: Transaction, callback: CallbackRecord) -> Account:
    account = tx.accounts.get(callback.account_sid)
    if account is None:
        raise LookupError(f"callback {callback.sid} belongs to no account")
    return account
