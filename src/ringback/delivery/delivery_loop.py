"""The delivery loop: claim -> render -> send -> decide -> settle -> follow up, in this order.

A claim commits the start of the attempt before the request leaves. So the next start finds every
attempt that a crash interrupted. A settlement commits the attempt's result and the callback's new
state; if the round goes on, it also starts the next attempt.

A new callback that gets a slot at once (see `enqueue`) is claimed by the commit that saves it.
Tests can stop the loop at three checkpoints: `claimed`, `sent` and `settled`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import (
    CallbackRecord,
    DeliveryProgress,
    advance,
    begin,
    delivered,
    put_back,
)
from ringback.core.callbacks.retry import RetryNow, attempt_timeouts, decide
from ringback.core.http.outcome import (
    SHORTAGES,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
)
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery.backlog import Backlog
from ringback.delivery.callback_sender import CallbackSender, Sending, Sent
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.settlement_writer import SettlementWriter
from ringback.ports import Clock, DeliveryClaim, Lane, RandomSource, Settlement


@dataclass(eq=False, kw_only=True)
class DeliveryLoop:
    """Delivers due callbacks: claims and sends them, saves the results, and plans retries."""

    due_callbacks: DueCallbacks
    scheduler: FairScheduler
    sender: CallbackSender
    clock: Clock
    random_source: RandomSource
    schedule: RetrySchedule
    """The retry schedule of accounts without their own."""
    backlog: Backlog
    counters: DeliveryCounters
    per_destination: int
    first_settled: Callable[[CallbackRecord], None]
    outdated: Callable[[Settlement], None]
    destinations: DestinationControl
    checkpoint: Callable[[str], None]
    is_stopping: bool = False

    def __post_init__(self) -> None:
        """Create the workers, which call `_attempt`, and the writer, which calls `_follow_up`."""
        self.workers = DeliveryWorkers(
            *(self._attempt, self.sender.transport, self.per_destination),
            pacer_of=self.destinations.pacer,
        )
        self.destinations.release = self.workers.add_released
        self.destinations.hold_back = self._hold_back
        self.settlements = SettlementWriter(
            self._follow_up,
            outdated=self.outdated,
            store=self.due_callbacks.store,
            clock=self.clock,
            save_change=self.destinations.save,
        )

    async def run(self) -> None:
        """Claim callbacks as they come due, until `is_stopping` is set."""
        while not self.is_stopping:
            for claim in await self.due_callbacks.claim():
                self.workers.add(claim)

    def _attempt(self, claim: DeliveryClaim) -> Sending | None:
        """Send a callback once, or return the function that does; `_ended` gets the result."""
        self.checkpoint("claimed")
        callback, account, lane, fresh, *_ = claim
        progress, started = callback.progress, self.clock.now()
        valve = self.destinations.valve(lane)
        how, turn = callback.url.connection, progress.round_attempts - 1
        limits = attempt_timeouts(how, progress.round, started) if turn else how.limits
        ended, lease = partial(self._ended, claim, started), claim.lease
        return self.sender.send(
            *(callback, account, started, lease),
            limits=limits,
            turn=turn,
            fresh=fresh,
            valve=valve,
            ended=ended,
        )

    def _ended(self, claim: DeliveryClaim, started: datetime, sent: Sent) -> None:
        """Decide whether to retry, and queue the result to be saved."""
        self.checkpoint("sent")
        self.workers.ended(claim)
        (result, request), (callback, _, lane, *_) = sent, claim
        outcome, progress = result.outcome, callback.progress
        valve = self.destinations.valve(lane)
        if valve.pacer is not None:
            valve.pacer.stayed(callback.sid)
        if isinstance(outcome, NoAnswerOutcome) and outcome.failure is AttemptFailure.HELD:
            self._put_back(claim)
            return
        if isinstance(outcome, NoAnswerOutcome) and outcome.failure in SHORTAGES:
            # This machine lacks a resource, so nothing was sent: that does not count as an attempt.
            due = self.scheduler.rest(lane, now := self.clock.now(), outcome)
            self.settlements.add(Settlement(claim, put_back(progress, now, due=due)))
            return
        if result.waited:
            # Waiting for a connection does not count as time of the attempt or of its round.
            waited = timedelta(seconds=result.waited)
            progress = progress.held_up(waited)
            started += waited
        schedule = claim.account.schedule or self.schedule
        change = self.destinations.ended(claim, outcome, schedule)
        after = self.decide(claim, progress, outcome, started)
        change = self.destinations.exhausted(claim, after, change)
        self.settlements.add(Settlement(claim, after, result, started, request, change))
        # A round that goes on keeps its slot.
        if self.scheduler.ended(lane, outcome, slots=0 if after.is_under_way else 1):
            self.due_callbacks.wakeup.wake()
        waited = started - callback.date_created if progress.attempt_count == 1 else None
        self.counters.attempt_ended(callback, result, waited=waited)

    def decide(
        self, claim: DeliveryClaim, progress: DeliveryProgress, outcome: Outcome, started: datetime
    ) -> DeliveryProgress:
        """Return a callback's next state after this outcome, as `core.callbacks.retry` decides."""
        callback, now = claim.callback, self.clock.now()
        if isinstance(outcome, DeliveredOutcome):
            return delivered(progress, now)
        if progress.round_attempts == 1:
            # A round begins when its first request leaves; the wait before that doesn't count.
            progress = progress._replace(round_began=started)
        rules = callback.retry_rules(claim.account.schedule or self.schedule)
        jitter = int.from_bytes(self.random_source.bytes(2)) / 0xFFFF
        decision = decide(outcome, rules=rules, round_=progress.round, now=now, jitter=jitter)
        after = advance(progress, decision, now)
        goes_on = not self.is_stopping and self.destinations.valve(claim.lane).goes_on
        if isinstance(decision, RetryNow) and goes_on:
            # The round goes on: the settlement of this attempt starts the next one.
            return begin(after, now, total_timeout=callback.url.connection.total_timeout)
        return after

    def _hold_back(self, lane: Lane) -> None:
        """Put the claims of a lane back that have not been sent, since it may not send any now."""
        for claim in self.workers.take_back(lane):
            self._put_back(claim)

    def _put_back(self, claim: DeliveryClaim) -> None:
        """Let a claimed callback wait again; its attempt does not count, since nothing was sent."""
        self.scheduler.give_back(claim.lane)
        progress = put_back(claim.callback.progress, self.clock.now())
        self.settlements.add(Settlement(claim, progress))

    def _follow_up(self, settlement: Settlement, account: Account | None) -> None:
        """Once a result is saved, begin the next attempt, plan a retry, or count a callback's end.

        `account` is given only if the callback's next attempt is under way.
        """
        self.checkpoint("settled")
        claim, progress, result, *_ = settlement
        callback = claim.callback
        self.counters.by_minute.settled(settlement)
        if result is not None and callback.progress.attempt_count == 1:
            self.first_settled(callback)
        if progress.is_under_way and account is not None:
            self.workers.add_first(settlement.next_claim(account))
        elif progress.due is not None:
            self.scheduler.expect(claim.lane, progress.due)
            self.due_callbacks.wakeup.wake()
        else:
            self.backlog.ended(callback, progress)
