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
)
from ringback.core.callbacks.retry import RetryNow, attempt_timeouts, decide
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome, Outcome
from ringback.delivery.backlog import Backlog
from ringback.delivery.callback_sender import CallbackSender, Sending, Sent
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.settlement_writer import SettlementWriter
from ringback.ports import Clock, DeliveryClaim, RandomSource, Settlement


@dataclass(eq=False, kw_only=True)
class DeliveryLoop:
    """Delivers due callbacks: claims and sends them, saves the results, and plans retries."""

    due_callbacks: DueCallbacks
    scheduler: FairScheduler
    sender: CallbackSender
    clock: Clock
    random_source: RandomSource
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
            self._attempt, self.sender.transport, self.per_destination, self.destinations.pacer
        )
        self.settlements = SettlementWriter(
            *(self._follow_up, self.due_callbacks.store, self.clock),
            outdated=self.outdated,
            waits=self.due_callbacks.expect,
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
        callback, started = claim.callback, self.clock.now()
        progress, valve = callback.progress, self.destinations.valve(claim.lane)
        how, turn = callback.url.connection, progress.round_attempts - 1
        limits = attempt_timeouts(how, progress.round, started) if turn else how.limits
        ended = partial(self._ended, claim, started)
        return self.sender.send(claim, started, valve, limits=limits, turn=turn, ended=ended)

    def _ended(self, claim: DeliveryClaim, started: datetime, sent: Sent) -> None:
        """Decide whether to retry, and queue the result to be saved."""
        self.checkpoint("sent")
        self.workers.ended(claim)
        (result, request), (callback, _, lane, *_) = sent, claim
        outcome, progress = result.outcome, callback.progress
        if isinstance(outcome, NoAnswerOutcome):
            due = self.scheduler.unsent(lane, self.clock.now, outcome)
            if due is not None:
                if outcome.failure is AttemptFailure.HELD:
                    # It goes on waiting for what it waited for.
                    due = claim.due or due
                self.settlements.put_back(claim, due)
                return
        if result.waited:
            # Waiting for a connection does not count as time of the attempt or of its round.
            waited = timedelta(seconds=result.waited)
            progress, started = progress.held_up(waited), started + waited
        change = self.destinations.ended(claim, outcome)
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
        rules = callback.retry_rules(self.destinations.book.schedule_of(claim.account))
        jitter = int.from_bytes(self.random_source.bytes(2)) / 0xFFFF
        decision = decide(outcome, rules=rules, round_=progress.round, now=now, jitter=jitter)
        after = advance(progress, decision, now)
        is_open = not self.is_stopping and self.destinations.valve(claim.lane).goes_on
        if isinstance(decision, RetryNow) and decision.at is None and is_open:
            # The round goes on: the settlement of this attempt starts the next one.
            return begin(after, now, total_timeout=callback.url.connection.total_timeout)
        return after

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
            self.due_callbacks.expect(claim.lane, progress.due)
        else:
            self.backlog.ended(callback, progress)
