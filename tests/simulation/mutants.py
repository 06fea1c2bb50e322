"""Engines that are broken on purpose: the simulation must detect each of them.

Each breaks one promise as a faulty change to the engine might. The patched attribute is looked up
by name, so a mutant that doesn't fit the engine any more fails to start.
"""

import asyncio
import math
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count, islice
from typing import Any, Final, cast
from unittest.mock import patch

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks import retry
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import Decision, NoRetryNeeded, decide
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    UnknownOutcome,
)
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery import (
    batch_ingestion,
    callback_sender,
    delivery_loop,
    due_callbacks,
    fair_scheduler,
)
from ringback.delivery.backlog import Backlog
from ringback.delivery.batch_ingestion import BatchIngestionQueue
from ringback.delivery.callback_sender import CallbackSender, Sending, Sent
from ringback.delivery.delivery_loop import DeliveryLoop
from ringback.delivery.delivery_service import DeliveryService
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.enqueue import CallbackEnqueuer
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.settlement_writer import SettlementWriter
from ringback.delivery.work_takeover import WorkTakeover
from ringback.engine.supervisor import Supervisor
from ringback.http_client import http_connection
from ringback.ports import (
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    SettledAttempts,
    Settlement,
)
from ringback.runtime.account_fair_semaphore import FairSemaphore
from ringback.runtime.wakeup import Wakeup
from ringback.stores.sql.order_heads import OrderedRow
from ringback.stores.sqlite import callbacks
from ringback.stores.sqlite.callbacks import SqliteCallbacks, SqliteOrderHeads
from tests.simulation.invariants import Violated
from tests.simulation.plan import Plan
from tests.simulation.seeds import plan_of
from tests.simulation.store import SimStore

Patch = tuple[object, str, object]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken engine: an attribute, its replacement, and the invariant that this violates."""

    breaks: str
    patches: tuple[Patch, ...]
    within: int
    """The number of seeds within which it must be detected."""
    where: Callable[[Any], object]
    """Selects the plans of worlds in which it can be detected."""
    plan_of: Callable[[int], object] = plan_of

    def seeds(self) -> Iterator[int]:
        """Return the seeds to try, one of which must detect it."""
        return islice((seed for seed in count() if self.where(self.plan_of(seed))), self.within)

    def is_detected_by(self, violated_in: Callable[[int], Violated | None]) -> bool:
        """Return True if the world of one of the seeds violates the invariant."""
        with self.applied():
            found = map(violated_in, self.seeds())
            return any(one is not None and one.name == self.breaks for one in found)

    @contextmanager
    def applied(self) -> Generator[None]:
        """Break the engine while the context is open."""
        if not self.patches:
            yield
            return
        (target, name, value), *others = self.patches
        with patch.object(target, name, value), replace(self, patches=tuple(others)).applied():
            yield


def _mutant(
    breaks: str,
    *patches: Patch,
    within: int = 30,
    where: Callable[[Plan], object] = lambda plan: not plan.is_large,
) -> Mutant:
    return Mutant(breaks, patches, within, where)


_attempt = DeliveryLoop._attempt
_add = DeliveryWorkers.add
_wait_after = RetrySchedule.wait_after
_employ = DeliveryWorkers._employ
_send = CallbackSender.send
_change = Backlog.change
_commit = SimStore._commit
_failed = FairScheduler.failed
_claim = SqliteCallbacks.claim
_settle = SqliteCallbacks.settle
_join = SqliteOrderHeads.join
_end = SqliteOrderHeads.end
_add_settlement = SettlementWriter.add


async def _keep_in_parts(
    self: BatchIngestionQueue,
    account_sid: str,
    callbacks: Sequence[CallbackRecord],
    _: Sequence[str],
) -> list[CallbackRecord]:
    self.queue.make_room(account_sid, len(callbacks))
    records = list[CallbackRecord]()
    for one in callbacks:
        part = [one]
        records += await self.store.transact(lambda tx, part=part: self.add(tx, part, self.queue))
    return records


class _Delivered:
    """Takes each callback for delivered, and sends none."""

    def send(self, *_: Any, ended: Callable[[Sent], None], **how: Any) -> None:
        result = AttemptResult(DeliveredOutcome(200))
        asyncio.get_running_loop().call_soon(ended, (result, None))


def _attempt_settled_first(self: DeliveryLoop, claim: DeliveryClaim) -> Sending | None:
    sender, nowhere = self.sender, _Delivered()
    self.sender = cast("CallbackSender", nowhere)
    try:
        _attempt(self, claim)
    finally:
        self.sender = sender
    limits = claim.callback.url.connection.limits
    return sender.send(claim, limits=limits, ended=lambda *_: None)


def _claim_secretly(
    self: SqliteCallbacks, quotas: Sequence[LaneQuota], now: datetime
) -> list[LaneClaims]:
    claimed = _claim(self, quotas, now)
    self._session.flush()
    for claim in chain.from_iterable(claims for claims, _ in claimed):
        self._session.write("UPDATE waiting SET started_us = NULL WHERE id = ?", [claim.row_id])
    return claimed


def _let_follow_at_any_result(
    self: SqliteCallbacks, settlements: Sequence[Settlement]
) -> SettledAttempts:
    settled = _settle(self, settlements)
    ordered = (one.claim for one in settlements if one.claim.callback.order_key is not None)
    turns = self._order.end([OrderedRow(one.callback, one.row_id) for one in ordered])
    return settled._replace(turns=[*settled.turns, *turns])


def _join_in_front(self: SqliteOrderHeads, one: OrderedRow) -> int | None:
    place = _join(self, one)
    return None if place is None else -place


def _end_secretly(self: SqliteOrderHeads, ended: Sequence[OrderedRow]) -> list[LaneDue]:
    _end(self, ended)
    return []


def _keep_slots(self: FairScheduler, lane: Lane, *, slots: int) -> None:
    _failed(self, lane, slots=0)


def _render_anew(callback: CallbackRecord, **how: Any) -> OutgoingRequest:
    if callback.progress.attempt_count:
        token = callback.idempotency_token[:-4] + f"{callback.progress.attempt_count:04}"
        callback = callback._replace(idempotency_token=token)
    return render(callback, **how)


def _go_at_once(
    self: CallbackEnqueuer, callback: CallbackRecord, lane: Lane, now: datetime
) -> bool:
    return self.scheduler.try_take(lane, now)


def _add_twice(self: DeliveryWorkers, claim: DeliveryClaim) -> None:
    _add(self, claim)
    _add(self, claim)


def _believe(outcome: Outcome, **how: Any) -> Decision:
    return NoRetryNeeded() if isinstance(outcome, UnknownOutcome) else decide(outcome, **how)


def _wait_half(self: RetrySchedule, round_number: int, *, jitter: float) -> timedelta | None:
    wait = _wait_after(self, round_number, jitter=jitter)
    return None if wait is None else wait / 2


def _send_to_one_more(self: DeliveryWorkers, destination: Any) -> None:
    self._per_destination += 1
    try:
        _employ(self, destination)
    finally:
        self._per_destination -= 1


def _report_first(self: SimStore, entries: list[Any]) -> None:
    self._report(entries)
    self._later(lambda: _commit(self, []), 0.01)


async def _put_nothing_back(self: DeliveryService) -> None:
    pass


def _send_within_half(
    self: CallbackSender, *what: Any, limits: Timeouts, **how: Any
) -> Sending | None:
    return _send(self, *what, limits=limits._replace(total=limits.total / 2), **how)


def _send_unanswered(
    self: CallbackSender, *what: Any, ended: Callable[[Sent], None], **how: Any
) -> Sending | None:
    def ended_unanswered(sent: Sent) -> None:
        exchange, request = sent
        if isinstance(exchange.outcome, DeliveredOutcome):
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.CLOSED, "the answer got lost"))
        ended((exchange, request))

    return _send(self, *what, ended=ended_unanswered, **how)


def _wait_once(self: RetrySchedule, round_number: int, *, jitter: float) -> timedelta | None:
    return None if round_number else _wait_after(self, round_number, jitter=jitter)


def _room_for_all(self: FairScheduler, state: Any) -> int:
    return self._at_once - self.under_way


def _count_up_alone(self: Backlog, account_sid: str, by: int) -> None:
    _change(self, account_sid, max(0, by))


async def _wait_for_nothing(self: Wakeup, until: datetime | None) -> None:
    await asyncio.sleep(0)


def _number_on(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    return progress._replace(due=now)


def _settle_as_another(self: SettlementWriter, settlement: Settlement) -> None:
    result = settlement.result
    if result is not None and isinstance(result.outcome, DeliveredOutcome):
        result = result._replace(outcome=DeliveredOutcome(204))
    _add_settlement(self, settlement._replace(result=result))


def _stumble(self: FairScheduler, lane: Lane, *, slots: int) -> None:
    raise KeyError(lane)


def _may_have_all(self: FairSemaphore, account: str) -> bool:
    return self.taken < self._count


def _look_through_all(self: SqliteCallbacks, lane_id: int | None) -> sqlite3.Row | None:
    return self._session.read_queued(
        "SELECT lanes.id, due_us, account_sid, destination FROM callbacks"
        " CROSS JOIN waiting ON waiting.id = callbacks.id"
        " CROSS JOIN lanes ON lanes.id = waiting.lane_id"
        " WHERE started_us IS NULL AND lanes.id > ? ORDER BY lanes.id, due_us LIMIT 1",
        [lane_id],
    ).fetchone()


async def _deliver_unrecovered(self: Supervisor) -> None:
    self._has_recovered.set()
    self.delivery.queue.is_paused = False
    await self.delivery.run()


def _is_stopped_with_its_store_there(plan: Plan) -> bool:
    is_away = plan.outages or plan.failing_commits or plan.full_disk or plan.lacks
    return bool(plan.stops) and not is_away and not plan.is_large


def _has_order_keys(plan: Plan) -> bool:
    return any(one.order_key for request in plan.requests for one in request.callbacks)


def _has_order_keys_and_replays(plan: Plan) -> bool:
    return _has_order_keys(plan) and bool(plan.replays)


def _has_leaps(plan: Plan) -> bool:
    return any(abs(by) > timedelta(days=1) for _, by in plan.jumps)


def _has_silent_names(plan: Plan) -> bool:
    return any(place.names == "silent" for place in plan.places)


MUTANTS: Final = {
    "settles before it sends": _mutant("final", (DeliveryLoop, "_attempt", _attempt_settled_first)),
    "records another answer": _mutant("true", (SettlementWriter, "add", _settle_as_another)),
    "does not store its claims": _mutant("logged", (SqliteCallbacks, "claim", _claim_secretly)),
    "keeps slots": _mutant("ended", (FairScheduler, "failed", _keep_slots)),
    "retries with a new token": _mutant("same", (callback_sender, "render", _render_anew)),
    "ignores deliver_at": _mutant("punctual", (CallbackEnqueuer, "_may_go", _go_at_once)),
    "hands a claim over twice": _mutant("logged", (DeliveryWorkers, "add", _add_twice)),
    "takes unknown for delivered": _mutant("delivered", (delivery_loop, "decide", _believe)),
    "acknowledges before it commits": _mutant("kept", (SimStore, "_commit", _report_first)),
    "goes on after a stop": _mutant(
        "stopped", (DeliveryWorkers, "close", lambda self: None), within=60
    ),
    "requeues nothing": _mutant(
        "stopped", (DeliveryService, "_put_back_unsent", _put_nothing_back), within=100
    ),
    "numbers requeued attempts": _mutant(
        "numbered", (callbacks, "put_back", _number_on), within=100
    ),
    "has no guard": _mutant("guarded", (SsrfGuard, "refusal_at", lambda self, address: None)),
    "waits half as long": _mutant("waits", (RetrySchedule, "wait_after", _wait_half)),
    "gives up after two rounds": _mutant("failed", (RetrySchedule, "wait_after", _wait_once)),
    "ignores Retry-After": _mutant(
        "waits", (retry, "_asked_for", lambda outcome, now: timedelta(0)), within=200
    ),
    "ignores rc": _mutant(
        "rounds", (retry, "_why_not_within", lambda outcome, rules, round_, now: None)
    ),
    "halves tt": _mutant("timed", (CallbackSender, "send", _send_within_half)),
    "loses answers": _mutant("repeated", (CallbackSender, "send", _send_unanswered)),
    "exceeds the limit of a destination": _mutant(
        "bounded", (DeliveryWorkers, "_employ", _send_to_one_more)
    ),
    "gives all slots to the first destination": _mutant(
        "fair", (FairScheduler, "_share_of", _room_for_all), within=150
    ),
    "recovers nothing": _mutant("ended", (WorkTakeover, "_settle_left_open", lambda self, tx: 0)),
    "leaves open attempts to the next start": _mutant(
        "stopped",
        (WorkTakeover, "_settle_left_open", lambda self, tx: 0),
        where=_is_stopped_with_its_store_there,
    ),
    "recovers only at the start": _mutant(
        "ended",
        (Supervisor, "_deliver", _deliver_unrecovered),
        where=lambda plan: plan.full_disk,
        within=40,
    ),
    "never wakes": _mutant("prompt", (Wakeup, "wake", lambda self: None)),
    "never sleeps": _mutant("lively", (Wakeup, "wait", _wait_for_nothing)),
    "never counts down": _mutant("idle", (Backlog, "change", _count_up_alone)),
    "scans the whole history": _mutant(
        "apart",
        (SqliteCallbacks, "_next_lane", _look_through_all),
        within=2,
        where=lambda plan: plan.is_large,
    ),
    "lets one account take all lookups": _mutant(
        "fair", (FairSemaphore, "_may_have", _may_have_all), where=_has_silent_names
    ),
    "keeps due times set by a wrong clock": _mutant(
        "ended", (due_callbacks, "_plan_anew", lambda tx, now: 0), where=_has_leaps, within=80
    ),
    "counts its own shortages as attempts": _mutant(
        "ours",
        (fair_scheduler, "SHORTAGES", frozenset[AttemptFailure]()),
        where=lambda plan: plan.lacks,
    ),
    "trusts late timers": _mutant(
        "repeated",
        (http_connection, "_HELD_UP", math.inf),
        where=lambda plan: plan.freezes,
        within=100,
    ),
    "does not record batches": _mutant("whole", (BatchIngestionQueue, "keep", _keep_in_parts)),
    "forgets the rest of a batch": _mutant("ended", (batch_ingestion, "_find_left", lambda tx: {})),
    "sends all of an order key": _mutant(
        "ordered", (SqliteOrderHeads, "join", lambda self, one: None), where=_has_order_keys
    ),
    "lets the next one go at any result": _mutant(
        "ordered", (SqliteCallbacks, "settle", _let_follow_at_any_result), where=_has_order_keys
    ),
    "sends the last one of an order key next": _mutant(
        "ordered", (SqliteOrderHeads, "join", _join_in_front), where=_has_order_keys
    ),
    "sends a replay before its turn": _mutant(
        "ordered",
        (SqliteOrderHeads, "join_again", lambda self, one: None),
        where=_has_order_keys_and_replays,
    ),
    "lets nobody follow": _mutant(
        "prompt", (SqliteOrderHeads, "end", lambda self, ended: []), where=_has_order_keys
    ),
    "does not report whose turn it is": _mutant(
        "prompt", (SqliteOrderHeads, "end", _end_secretly), within=90, where=_has_order_keys
    ),
    "raises an error on an answer": _mutant("sound", (FairScheduler, "answered", _stumble)),
}
"""Broken engines by the fault they have."""
