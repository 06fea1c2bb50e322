"""Has the attempts made: claim -> render -> send -> settle.

A claim makes the attempt's open row durable before the request leaves; settling writes its ending
and what becomes of the callback in one transaction. So the log is never short of a request.
A new callback is claimed by the very transaction that keeps it, where there is a slot for it.
Checkpoints: `claimed`, `sent`, `settled`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ringback.core.account import Account
from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    Progress,
    advance,
    begin,
    delivered,
    plan_anew,
    put_back,
    settle,
)
from ringback.core.errors import StoreUnavailable
from ringback.core.http_exchange import Exchange
from ringback.core.infrastructure import BUILT_IN, Sources
from ringback.core.outcome import (
    SHORTAGES,
    Delivered,
    Failure,
    Outcome,
    Unknown,
    Unreachable,
    status_of,
)
from ringback.core.retry import Decision, Round, Rules, TryAgain, decide
from ringback.core.schedule import FAITHFUL, Schedule
from ringback.engine.backlog import Backlog, Bounds
from ringback.engine.bell import Bell
from ringback.engine.courier import Carried, Courier
from ringback.engine.intake import Intake
from ringback.engine.keyring import Keyring
from ringback.engine.lanes import Ask, Lanes
from ringback.engine.outage import outlast
from ringback.engine.settler import Settler
from ringback.engine.tally import Tally
from ringback.ports import (
    Chance,
    Claim,
    Clock,
    Lane,
    Settlement,
    Store,
    Transaction,
    Transport,
    Waiting,
    lane_of,
    no_checkpoint,
)

_CLAIMED_AT_ONCE: Final = 256
_CLAIMED_BESIDE_OTHERS: Final = 32
"""What is claimed at once is sent and settled almost at once, too, and others wait meanwhile: for
the event loop, and for the commits that write it. One account alone has nobody wait."""
_SWEEP: Final = timedelta(minutes=1)
"""How often the store is looked through for what nobody has told of."""
_SWEPT_AT_ONCE: Final = 250
"""Lanes: a few milliseconds of the store's time, then others have their turn."""
_OUTAGE_ENDS_AFTER: Final = timedelta(minutes=1)
"""How long nothing may be short until the next shortage is news."""
_MOST_OF_2_BYTES: Final = 0xFFFF
_OVERLOADED: Final = (429, 503)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much goes on at the same time, and how much may wait."""

    at_once: int = 800
    """Callbacks under way: claimed, and not yet answered."""
    per_destination: int = 64
    """Requests to one destination."""
    backlog: Bounds = Bounds()


_LIMITS: Final = Limits()


def _tell_nobody(_: Callback) -> None:
    """Let nobody know of a callback whose first attempt is settled."""


class Dispatcher:
    """The loop that claims what is due, and what becomes of the attempts.

    `first_settled` is told of each callback whose first attempt is settled.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        clock: Clock,
        chance: Chance,
        schedule: Schedule = FAITHFUL,
        limits: Limits = _LIMITS,
        tally: Tally | None = None,
        sources: Sources = BUILT_IN,
        keyring: Keyring | None = None,
        first_settled: Callable[[Callback], None] = _tell_nobody,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._schedule = schedule
        self._tally = tally or Tally()
        self._checkpoint = checkpoint
        self._bell = Bell(clock)
        self._lanes = Lanes(at_once=limits.at_once, per_destination=limits.per_destination)
        self._backlog = Backlog(limits.backlog)
        self.keyring = keyring or Keyring()
        self._first_settled = first_settled
        self._settler = Settler(store=store, clock=clock, settled=self._settled)
        self._courier = Courier(
            transport=transport,
            keyring=self.keyring,
            clock=clock,
            per_destination=limits.per_destination,
            carried=self._carried,
            sources=sources,
            checkpoint=checkpoint,
        )
        self.intake = Intake(
            lanes=self._lanes,
            backlog=self._backlog,
            send_off=self._courier.hand,
            bell=self._bell,
            clock=clock,
            tally=self._tally,
        )
        self._last_short = dict[Failure, datetime]()
        self._next_sweep = clock.now()
        self._is_stopping = False
        self._loop_ended = asyncio.Event()
        self._loop_ended.set()

    @property
    def under_way(self) -> int:
        """How many callbacks are claimed, and not yet answered."""
        return self._lanes.under_way

    @property
    def unfinished(self) -> int:
        """How many callbacks have been accepted, and have not ended."""
        return self._backlog.in_all

    @property
    def waiting(self) -> int:
        """How many callbacks wait, for their turn or for later."""
        return max(self.unfinished - self.under_way, 0)

    @property
    def is_shared(self) -> bool:
        """Whether several accounts have had callbacks sent of late."""
        return self._lanes.are_shared(self._clock.now())

    @property
    def is_still(self) -> bool:
        """Whether nothing is under way, and nothing happens until something is due or comes."""
        return self._bell.is_quiet and not self.under_way and self._settler.is_idle

    async def next_due(self) -> datetime | None:
        """Return when the next callback that waits is due."""
        return self._lanes.next_due()

    async def recover(self) -> int:
        """Settle what a dead process left open as unknown, due again; return how many.

        It also takes up what waits.
        """
        count = await self._store.transact(self._settle_left_open)
        await self._store.transact(self._count_unfinished)
        await self._sweep()
        return count

    async def run(self) -> None:
        """Make attempts as they come due, until told to stop."""
        self._loop_ended = asyncio.Event()
        try:
            while not self._is_stopping:
                await self._claim_or_wait()
        finally:
            self._loop_ended.set()

    async def stop(self, *, within: timedelta) -> None:
        """Begin nothing new, and let the attempts under way end within this time.

        What has not left is put back; what is not answered by then is settled at the next start.
        """
        self._is_stopping = True
        self.intake.close()
        self._courier.close()
        self._bell.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await self._loop_ended.wait()
                await self._courier.finish()
                await self._settler.finish()
        await self._courier.break_off()
        await self._put_back_unsent()

    async def _put_back_unsent(self) -> None:
        try:
            # What was taken in before the intake closed has come to the courier when this ends.
            await self._store.transact(lambda _: None)
            unsent, now = self._courier.take_unsent(), self._clock.now()
            await self._store.transact(lambda tx: tx.callbacks.put_back(unsent, now))
        except StoreUnavailable as failure:
            _log.warning("%s; the next start settles what is open", failure)

    async def _claim_or_wait(self) -> None:
        # A clock that was set back must not put it off.
        if not timedelta(0) < self._next_sweep - self._clock.now() <= _SWEEP:
            await outlast(self._sweep, clock=self._clock)
        limit = _CLAIMED_AT_ONCE
        if self.is_shared:
            limit = min(limit, _CLAIMED_BESIDE_OTHERS)
        asks = self._lanes.due(self._clock.now(), limit=limit)
        if asks:
            await self._claim(asks)
        else:
            due = self._lanes.next_due()
            await self._bell.wait(min(due or self._next_sweep, self._next_sweep))

    async def _sweep(self) -> None:
        last, is_over = None, False
        while not is_over:
            ahead, some = await self._store.transact(partial(self._look_through, last))
            if ahead:
                _log.warning("the clock was set back: %d callbacks wait from now on", ahead)
            for lane, due in some:
                self._lanes.expect(lane, due)
            if ahead < _CLAIMED_AT_ONCE:
                last, is_over = some[-1].lane if some else None, len(some) < _SWEPT_AT_ONCE
        self._next_sweep = self._clock.now() + _SWEEP

    def _look_through(self, last: Lane | None, tx: Transaction) -> tuple[int, list[Waiting]]:
        """Return what waits in the lanes behind the last one.

        What a clock that was ahead has put off waits from now on; how much that was comes first.
        """
        ahead = 0 if last else _plan_anew(tx, self._clock.now())
        return ahead, tx.callbacks.waiting(after=last, limit=_SWEPT_AT_ONCE)

    async def _claim(self, asks: list[Ask]) -> None:
        now = self._clock.now()
        claimed = await outlast(
            lambda: self._store.transact(lambda tx: [_claim(tx, ask, now) for ask in asks]),
            clock=self._clock,
        )
        for ask, (claims, next_due) in zip(asks, claimed, strict=True):
            self._lanes.claimed(ask, len(claims), next_due=next_due)
            for claim in claims:
                self._courier.hand(claim)

    def _carried(self, carried: Carried) -> None:
        """Decide what follows an attempt, and have it written."""
        claim, started, request, exchange = carried
        if isinstance(exchange.outcome, Unreachable) and exchange.outcome.failure in SHORTAGES:
            self._put_back(claim, exchange.outcome)
            return
        if exchange.waited:
            claim = _later(claim, by=timedelta(seconds=exchange.waited))
        progress = self._after(claim, exchange.outcome, started)
        attempt = settle(claim.attempt, exchange, request and request.recorded(), started=started)
        self._settler.put(Settlement(claim.callback, attempt, progress))
        self._learn(lane_of(claim.callback), exchange.outcome, 0 if progress.is_under_way else 1)
        self._count(claim, attempt)

    def _put_back(self, claim: Claim, shortage: Unreachable) -> None:
        """Have no attempt been made, where this machine had nothing to make it with."""
        now, failure = self._clock.now(), shortage.failure
        is_general = failure is Failure.SHORTAGE
        due = self._lanes.rest(lane_of(claim.callback), now, all_lanes=is_general)
        self._settler.put(Settlement(claim.callback, None, put_back(claim.progress, now, due=due)))
        last, self._last_short[failure] = self._last_short.get(failure), now
        if last is None or now - last > _OUTAGE_ENDS_AFTER:
            _log.warning("callbacks wait, and nothing of them is lost: %s", shortage.why)

    def _after(self, claim: Claim, outcome: Outcome, started: datetime) -> Progress:
        now, progress = self._clock.now(), claim.progress
        if isinstance(outcome, Delivered):
            return delivered(progress, now)
        if progress.round_attempts == 1:
            # Its round begins when the first request leaves; until then, waiting is our affair.
            progress = progress._replace(round_began=started)
        decision = self._decide(claim.callback, claim.account, outcome, progress.round, now)
        after = advance(progress, decision, now)
        if self._is_stopping or not isinstance(decision, TryAgain):
            return after
        # The round goes on: its next attempt begins with the settlement of this one.
        return begin(after, now, total_timeout=claim.callback.url.connection.total_timeout)

    def _decide(
        self, callback: Callback, account: Account, outcome: Outcome, round_: Round, now: datetime
    ) -> Decision:
        schedule = FAITHFUL if callback.is_test else account.schedule or self._schedule
        rules = Rules(callback.url.connection, callback.source, schedule)
        chance = int.from_bytes(self._chance.bytes(2)) / _MOST_OF_2_BYTES
        return decide(outcome, rules=rules, round_=round_, now=now, chance=chance)

    def _learn(self, lane: Lane, outcome: Outcome, slots: int) -> None:
        """Return slots, and learn from the ending how much its destination can take."""
        if isinstance(outcome, Unreachable) or status_of(outcome) in _OVERLOADED:
            self._lanes.failed(lane, slots=slots)
        else:
            self._lanes.answered(lane, slots=slots)
        self._bell.wake()

    def _settled(self, settlement: Settlement, account: Account | None) -> None:
        """Go on with a callback whose last attempt is durable."""
        self._checkpoint("settled")
        callback, attempt, progress = settlement
        if attempt is not None and attempt.number == 1:
            self._first_settled(callback)
        if progress.is_under_way and account is not None:
            is_stale = attempt is not None and attempt.failure == Failure.STALE.label
            self._courier.hand_back(Claim(callback, progress, account, fresh=is_stale))
        elif progress.due is not None:
            self._lanes.expect(lane_of(callback), progress.due)
            self._bell.wake()
        else:
            self._end(callback, progress)

    def _end(self, callback: Callback, progress: Progress) -> None:
        self._backlog.change(callback.account_sid, -1)
        took = (progress.date_updated - callback.date_created).total_seconds()
        self._tally.ended(progress.status, callback.source, took)
        if progress.status is CallbackStatus.FAILED:
            _log.warning("callback %s failed: %s", callback.sid, progress.status_reason)

    def _count(self, claim: Claim, attempt: Attempt) -> None:
        callback = claim.callback
        took = None if attempt.timings is None else attempt.timings.total
        self._tally.attempted(callback.source, attempt.result, attempt.failure, took)
        if attempt.number == 1:
            self._tally.first_attempt_after(
                (attempt.date_started - callback.date_created).total_seconds()
            )

    def _count_unfinished(self, tx: Transaction) -> None:
        unfinished = tx.callbacks.unfinished()
        # In its turn: whoever replays or discards something in the meantime is counted after it.
        tx.afterwards(lambda: self._backlog.start_with(unfinished))

    def _settle_left_open(self, tx: Transaction) -> int:
        left_open = tx.callbacks.left_open()
        unknown = Exchange(Unknown())
        tx.callbacks.settle(
            [
                Settlement(
                    claim.callback,
                    settle(claim.attempt, unknown, None, started=claim.progress.date_updated),
                    self._after(claim, unknown.outcome, claim.progress.date_updated),
                )
                for claim in left_open
            ]
        )
        return len(left_open)


def _plan_anew(tx: Transaction, now: datetime) -> int:
    ahead = tx.callbacks.changed_after(now, limit=_CLAIMED_AT_ONCE)
    for callback in ahead:
        tx.callbacks.change(callback.having(plan_anew(callback.progress, now)))
    return len(ahead)


def _later(claim: Claim, *, by: timedelta) -> Claim:
    """Have the round of a claim begin later: its time did not pass while it waited for us."""
    began = claim.progress.round_began
    progress = claim.progress._replace(round_began=began and began + by)
    return claim._replace(progress=progress)


def _claim(tx: Transaction, ask: Ask, now: datetime) -> tuple[list[Claim], datetime | None]:
    """Claim of one lane what there is, and say when there is more."""
    claims = tx.callbacks.claim(ask.lane, now, limit=ask.limit)
    next_due = now if len(claims) == ask.limit else tx.callbacks.next_due(ask.lane)
    return claims, next_due
