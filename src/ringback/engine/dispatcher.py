"""Makes the attempts: claim -> render -> send -> settle.

A claim makes the attempt's open row durable before the request leaves; settling writes its ending
and what becomes of the callback in one transaction. So the log is never short of a request.
Checkpoints: `claimed`, `sent`, `settled`.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ringback.core.callback import (
    Callback,
    CallbackStatus,
    Exchange,
    round_of,
    settle_attempt,
    settle_callback,
)
from ringback.core.connection import limits_of
from ringback.core.outcome import Failure, Unknown, Unreachable
from ringback.core.rendering import render
from ringback.core.retry import decide, time_left
from ringback.engine.bell import Bell
from ringback.engine.outage import outlast
from ringback.ports import Claim, Clock, Store, Transaction, Transport, no_checkpoint

AT_ONCE: Final = 64
"""How many attempts are under way at the same time, at the most."""

_log = logging.getLogger(__name__)


class Dispatcher:
    """The loop that makes due attempts."""

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        clock: Clock,
        at_once: int = AT_ONCE,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._at_once = at_once
        self._checkpoint = checkpoint
        self._bell = Bell(clock)
        self._under_way = set[asyncio.Task[None]]()

    def wake(self) -> None:
        """Let the loop see a new callback."""
        self._bell.wake()

    async def recover(self) -> int:
        """Settle what a dead process left open as unknown, due again; return how many."""
        return await self._store.transact(self._settle_left_open)

    async def run(self) -> None:
        """Make attempts as they come due, until cancelled."""
        while True:
            await outlast(self._claim_and_wait, clock=self._clock)

    async def drain(self, *, within: timedelta) -> None:
        """Wait for the attempts under way; what is not settled by then is settled at a start."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=within.total_seconds())
        for attempt in self._under_way:
            attempt.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _claim_and_wait(self) -> None:
        next_due = await self._claim(self._clock.now())
        is_full = len(self._under_way) >= self._at_once
        await self._bell.wait(None if is_full else next_due)

    async def _claim(self, now: datetime) -> datetime | None:
        """Begin the attempts that are due; return when the next one will be."""
        free = self._at_once - len(self._under_way)
        claiming = asyncio.ensure_future(
            self._store.transact(
                lambda tx: (tx.callbacks.claim(now, limit=free), tx.callbacks.next_due())
            )
        )
        try:
            await asyncio.shield(claiming)
        finally:
            # Also where the loop is cancelled meanwhile: the claim has opened rows, and each
            # stands for a request that leaves.
            claims, next_due = await claiming
            for claim in claims:
                self._begin(claim)
        return next_due

    def _begin(self, claim: Claim) -> None:
        attempt = asyncio.create_task(self._attempt(claim))
        self._under_way.add(attempt)
        attempt.add_done_callback(self._ended)

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        was_full = len(self._under_way) >= self._at_once
        self._under_way.discard(attempt)
        if not attempt.cancelled() and (failure := attempt.exception()):
            _log.error("an attempt stays open until the next start settles it", exc_info=failure)
        if was_full:
            self._bell.wake()

    async def _attempt(self, claim: Claim) -> None:
        self._checkpoint("claimed")
        exchange = await self._send(claim)
        self._checkpoint("sent")
        settled = await self._settle(claim, exchange)
        self._checkpoint("settled")
        if settled.due is not None:
            self._bell.wake()

    async def _send(self, claim: Claim) -> Exchange:
        callback, now = claim.callback, self._clock.now()
        left = time_left(callback.url.connection, round_of(callback), now)
        try:
            request = render(callback, account=claim.account, at=now)
            return await self._transport.send(
                request, limits=limits_of(callback.url.connection, left)
            )
        except Exception as failure:  # noqa: BLE001 (such an attempt has to be settled, too)
            _log.exception("attempt %d of %s failed", claim.attempt.number, callback.sid)
            why = f"Ringback itself failed: {type(failure).__name__}"
            return Exchange(Unreachable(Failure.INTERNAL, why))

    async def _settle(self, claim: Claim, exchange: Exchange) -> Callback:
        callback = self._after(claim.callback, exchange)
        attempt = settle_attempt(claim.attempt, exchange)
        await outlast(
            lambda: self._store.transact(lambda tx: tx.callbacks.settle(callback, attempt)),
            clock=self._clock,
        )
        if callback.status is CallbackStatus.FAILED:
            _log.warning("callback %s failed: %s", callback.sid, callback.status_reason)
        return callback

    def _after(self, callback: Callback, exchange: Exchange) -> Callback:
        now = self._clock.now()
        decision = decide(
            exchange.outcome,
            connection=callback.url.connection,
            source=callback.source,
            round_=round_of(callback),
            now=now,
        )
        return settle_callback(callback, decision, now)

    def _settle_left_open(self, tx: Transaction) -> int:
        left_open = tx.callbacks.left_open()
        unknown = Exchange(Unknown())
        for callback, attempt in left_open:
            tx.callbacks.settle(self._after(callback, unknown), settle_attempt(attempt, unknown))
        return len(left_open)
