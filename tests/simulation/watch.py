"""Watches everything that happens, and reports broken invariants.

It compares three views: the API's answers to customers, the database at each durable commit, and
the requests at the receivers.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import RetrySchedule
from ringback.stores.sql.field_columns import to_us
from tests.simulation.database import Database
from tests.simulation.invariants import Violated
from tests.simulation.network import is_private
from tests.simulation.plan import Bounds
from tests.simulation.receivers import Answer, ReceivedRequest
from tests.simulation.shortage import SHORT_OF, Machine
from tests.simulation.trace import Trace
from tests.simulation.turns import OrderKey, Turns, key_of

TOKEN: Final = re.compile(rb"\r\n(?:I-Twilio|Kore)-Idempotency-Token: (\S+)")
NOTHING_LEFT: Final = frozenset({"name", "guard", "connect", "connect_timeout", "egress", "tls"})
_OURS: Final = ("shortage", "no_local_port")
_FAIR: Final = 1.0
"""Seconds that a callback may wait for others."""
_AFTER_OUTAGE: Final = 2.0
"""Seconds, and a margin, until a store is tried again after an outage."""
_AFTER_SHORTAGE: Final = 8.0
"""Maximum seconds that the engine waits after a shortage of something a connection needs."""
_SECOND: Final = 1_000_000
# A claim changes only `started_us`; the number of its attempt is then one more than the row has. A
# callback with more than one state, or none, gets an attempt with the number 0.
_BY_CLAIM: Final = "(waiting.started_us IS NOT NULL AND due_us < 0x7fffffffffffffff)"
_AT_ONCE: Final = (
    "(delivered_us IS NOT NULL AND coalesce(waiting.id, sent_at_once.id, outcomes.id) IS NULL)"
)
_STATE: Final = f"""
    SELECT sid,
        CASE WHEN (waiting.id IS NOT NULL) + (sent_at_once.id IS NOT NULL)
                + (outcomes.id IS NOT NULL) + {_AT_ONCE} <> 1 THEN 0
            WHEN sent_at_once.id IS NOT NULL THEN 1
            WHEN waiting.started_us IS NOT NULL THEN waiting.attempt_count + {_BY_CLAIM} END,
        coalesce(waiting.started_us, sent_at_once.started_us),
        CASE WHEN coalesce(waiting.id, sent_at_once.id) IS NOT NULL THEN 'scheduled'
            WHEN status = 2 THEN 'failed' WHEN status = 3 THEN 'discarded' ELSE 'delivered' END,
        CASE WHEN waiting.started_us IS NULL THEN coalesce(own_due_us, due_us) END,
        coalesce(outcomes.attempt_count, waiting.attempt_count + {_BY_CLAIM}, 1),
        coalesce(round_attempts + {_BY_CLAIM}, sent_at_once.id IS NOT NULL),
        coalesce(outcomes.round_number, waiting.round_number, 0),
        coalesce(outcomes.updated_us, waiting.updated_us, sent_at_once.started_us, delivered_us)
    FROM callbacks
    LEFT JOIN waiting ON waiting.account_id = callbacks.account_id AND waiting.id = callbacks.id
    LEFT JOIN sent_at_once ON sent_at_once.id = callbacks.id
    LEFT JOIN outcomes ON outcomes.id = callbacks.id
    LEFT JOIN attempts ON callback_id = callbacks.id AND number = 1
"""  # noqa: S608 (only our own names)
_ALL: Final = f"{_STATE} ORDER BY callbacks.id"
_ONE: Final = f"{_STATE} WHERE callbacks.id = ?"
_OF_ONE: Final = """
    FROM attempts JOIN attempt_results ON attempt_results.id = result_id
    JOIN callbacks ON callbacks.id = callback_id WHERE sid = ?
"""
_IS_ADDED: Final = "SELECT 1 FROM callbacks WHERE sid = ?"
_IS_WRITTEN_DOWN: Final = "SELECT 1 FROM batched_callbacks WHERE instr(callback, ?)"
_INSTANT: Final = 0.001
"""Seconds; less than any limit, more than rounding errors and the time of one step."""


@dataclass(eq=False, slots=True)
class Promise:
    """A callback as a customer sees it."""

    callback: CallbackRecord
    schedule: RetrySchedule
    batch: list["Promise"]
    asked_at: float
    answer: str = "none"
    """`accepted`, `refused`, or None without an answer (yet, or ever)."""
    replays: int = 0
    discards: int = 0


class Row(NamedTuple):
    """A callback's row in the database."""

    status: str
    due: int | None
    attempts: int
    round_attempts: int
    round_number: int
    updated: int

    @property
    def is_ended(self) -> bool:
        return self.status != "scheduled"

    @property
    def is_under_way(self) -> bool:
        return self.status == "scheduled" and self.due is None


class _Attempt(NamedTuple):
    """The row of an ended attempt in the database."""

    number: int
    result: str
    status: int | None
    failure: str | None
    reason: str | None


@dataclass(eq=False, slots=True)
class Sent:
    """A request that has left."""

    sid: str
    number: int
    left_at: float
    life: int
    answer: Answer | None = None
    """The status from a receiver that has counted it."""
    is_answered: bool = False
    """True if the whole answer has arrived."""
    is_over: bool = False
    """True if the receiver has answered, or its connection has ended."""


class TransportLoad:
    """The calls of the transport of one process that have not ended, by destination."""

    def __init__(self, bounds: Bounds, violated: Callable[[str, str], None]) -> None:
        self._bounds = bounds
        self._violated = violated
        self._under_way = Counter[str]()

    @contextmanager
    def sending(self, request: OutgoingRequest, total: float, turn: int) -> Iterator[None]:
        """Watch one call of the transport."""
        place, under_way = request.url.destination, self._under_way
        under_way[place] += 1
        if under_way[place] > self._bounds.per_destination:
            self._violated("bounded", f"{under_way[place]} requests to {place}")
        if under_way.total() > self._bounds.at_once:
            self._violated("bounded", f"{under_way.total()} requests at once")
        whole = request.url.connection.total_timeout.total_seconds()
        if total > whole + _INSTANT or (turn == 0 and total < whole - _INSTANT):
            self._violated("timed", f"attempt {turn + 1} of a round has {total} s of {whole} s")
        try:
            yield
        finally:
            under_way[place] -= 1


@dataclass(slots=True)
class Watch:
    """Everything known from outside of the engine."""

    database: Database
    machine: Machine
    trace: Trace
    bounds: Bounds
    now: Callable[[], float]
    clock: Callable[[], datetime]
    fair_to: frozenset[str]
    """Accounts whose callbacks to healthy destinations nobody may delay."""
    on_violation: Callable[[Violated], None]
    sees_all: bool
    """True to check all callbacks, not only those just written."""
    life: int = 0
    """The number of the present process."""
    life_began: float = 0.0
    promises: dict[str, Promise] = field(default_factory=dict)
    by_token: dict[str, Promise] = field(default_factory=dict)
    states: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """The last known row of each callback."""
    rows: dict[str, Row] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    """The numbers of durably open attempts, by callback."""
    opened_in: dict[tuple[str, int], int] = field(default_factory=dict)
    """The process that opened each attempt."""
    waited_for: dict[str, int | None] = field(default_factory=dict)
    """When each callback was due at the previous commit; None while it was being sent."""
    due_since: dict[str, float] = field(default_factory=dict)
    """The time on the loop's clock from which each callback may leave."""
    turns: Turns = field(init=False)
    """Whose turn it is, of callbacks with an order key."""
    ages: dict[str, int] = field(default_factory=dict)
    """How many callbacks were stored before each one."""
    aloft: dict[OrderKey, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    """The requests of each order key that may not have ended."""
    sent: list[Sent] = field(default_factory=list)
    by_attempt: dict[tuple[str, int], Sent] = field(default_factory=dict)
    load: "TransportLoad" = field(init=False)
    """The requests in flight."""
    waiting: set[str] = field(default_factory=set)
    """The callbacks that a probe has found waiting."""
    healthy: frozenset[str] = frozenset()
    """Destinations without faults."""
    waits: dict[str, list[float]] = field(
        default_factory=lambda: {"acknowledged": list[float](), "sent": list[float]()}
    )
    """How long callbacks that nobody may delay waited, until each of these events."""

    def __post_init__(self) -> None:
        self.turns = Turns(self.now)

    def violated(self, name: str, what: str) -> None:
        """Report that an invariant does not hold."""
        self.trace.note(self.now(), "VIOLATED", name, what)
        self.on_violation(Violated(name, what))

    def sending(
        self, request: OutgoingRequest, total: float, turn: int
    ) -> AbstractContextManager[None]:
        """Watch one call of the transport."""
        return self.load.sending(request, total, turn)

    # Customers' requests, and their answers.

    def asked(self, callbacks: list[CallbackRecord], schedule: RetrySchedule) -> list[Promise]:
        batch = list[Promise]()
        for callback in callbacks:
            promise = Promise(callback, schedule, batch, self.now())
            batch.append(promise)
            self.promises[callback.sid] = promise
            self.by_token[callback.idempotency_token] = promise
            assert callback.progress.due is not None
            self.waited_for[callback.sid] = to_us(callback.progress.due)
        return batch

    def accepted(self, batch: list[Promise]) -> None:
        for promise in batch:
            if promise.callback.account_sid in self.fair_to:
                self.waits["acknowledged"].append(self.now() - promise.asked_at)
            promise.answer = "accepted"
            sid = promise.callback.sid
            if sid not in self.rows and not self.database.read(_IS_WRITTEN_DOWN, sid):
                self.violated("kept", f"{sid} was acknowledged, and is missing")

    def refused(self, batch: list[Promise]) -> None:
        for promise in batch:
            promise.answer = "refused"
            if promise.callback.sid in self.rows:
                self.violated("whole", f"{promise.callback.sid} was refused, and exists")

    # Durable changes.

    def durable(self) -> None:
        """Check the changes made by a commit."""
        touched, self.database.touched = self.database.touched, {}
        if self.sees_all:
            found = self.database.read(_ALL)
            if len(found) < len(self.states):
                self.violated("kept", "a callback has vanished")
        else:
            found = [row for row_id in touched for row in self.database.read(_ONE, row_id)]
        for values in found:
            sid = values[0]
            if self.states.get(sid) != values:
                self.states[sid] = values
                self._look_at(*values)
        for sid in self.turns.committed():
            self.trace.note(self.now(), "turn", sid)

    def _look_at(self, sid: str, number: int | None, started: int, *values: Any) -> None:
        before, row = self.rows.get(sid), Row(*values)
        if row != before:
            self.rows[sid] = row
            self._changed(sid, before, row)
        if row.is_under_way is (number is None):
            self.violated("whole", f"{sid} is {row.status}, and its open attempt is {number}")
        was_open = self.open.pop(sid, None)
        if was_open is not None and was_open != number:
            self._closed(sid, was_open)
        if number is not None:
            self.open[sid] = number
            if was_open != number:
                self._opened(sid, number, started)

    def _changed(self, sid: str, before: Row | None, row: Row) -> None:
        self.trace.note(self.now(), "durable", sid, *row[:5])
        promise = self.promises.get(sid)
        if promise is None:
            self.violated("whole", f"nobody has created {sid}")
            return
        self._note_turn(promise.callback, before, row)
        if before is None:
            self._kept(promise)
        elif before.is_ended:
            if not promise.replays:
                self.violated("final", f"{sid} was {before.status} and is {row.status} now")
        elif before.is_under_way and row.due is not None and row.round_attempts == 0:
            self._began_to_wait(promise, before, row)
        if row.round_attempts > self._most_of_a_round(promise, row):
            self.violated("rounds", f"{sid} is tried for the {row.round_attempts}th time")
        if before is not None:
            self.waited_for[sid] = before.due
        if row.due is not None:
            wait = (row.due - to_us(self.clock())) / _SECOND
            self.due_since[sid] = self.now() + max(0.0, wait)
        if row.status == "discarded" and not promise.discards:
            self.violated("failed", f"nobody has discarded {sid}")

    def _note_turn(self, callback: CallbackRecord, before: Row | None, row: Row) -> None:
        age = self.ages.setdefault(callback.sid, len(self.ages))
        was_ended = before and before.is_ended
        self.turns.changed(callback, was_ended=was_ended, is_ended=row.is_ended, age=age)
        if before is None or before.is_ended or row.due is None:
            return
        # A replay begins with the first round, and doesn't take back an attempt.
        is_first = not (row.round_attempts or row.round_number)
        if is_first and row.attempts == before.attempts and self.promises[callback.sid].replays:
            self.turns.may_have_ended_and_been_replayed(callback, age)

    def _most_of_a_round(self, promise: Promise, row: Row) -> int:
        most = promise.callback.url.connection.retry_count + 1
        if row.round_attempts <= most:
            return most
        # After a kept connection turned out to be closed, one more try follows.
        found = self.database.read(
            f"SELECT failure {_OF_ONE} AND number = ?",
            promise.callback.sid,
            row.attempts - row.is_under_way,
        )
        return most + (bool(found) and (found[0][0] == "stale" or not row.is_under_way))

    def _kept(self, promise: Promise) -> None:
        if promise.answer == "refused":
            self.violated("whole", f"{promise.callback.sid} was refused, and is stored")
        first = promise.batch[0]
        for other in promise.batch if promise is first else (first,):
            sid = other.callback.sid
            if not any(self.database.read(there, sid) for there in (_IS_ADDED, _IS_WRITTEN_DOWN)):
                self.violated("whole", f"{sid} was not stored with the rest of its batch")

    def _began_to_wait(self, promise: Promise, before: Row, row: Row) -> None:
        sid = promise.callback.sid
        result = self._result_of(sid, before.attempts)
        # A replay, which may share the commit, begins with the first round.
        if result in (None, "unknown") or not row.round_number or row.due is None:
            return
        sent = self.by_attempt.get((sid, before.attempts))
        asked = sent.answer.retry_after if sent and sent.answer and sent.is_answered else 0
        wait = (row.due - row.updated) / _SECOND
        own = promise.schedule.waits[row.round_number - 1].total_seconds()
        least, most = max(own * 0.8, asked), max(own * 1.2, asked)
        if not least - _INSTANT <= wait <= most + _INSTANT:
            self.violated("waits", f"{sid} waits {wait} s, not {least} to {most} s")

    def _opened(self, sid: str, number: int, started: int) -> None:
        self.opened_in[sid, number] = self.life
        due = self.waited_for.get(sid)
        if due is not None and started < due:
            early = (due - started) / _SECOND
            self.violated("punctual", f"attempt {number} of {sid} began {early} s early")

    def _closed(self, sid: str, number: int) -> None:
        if self._result_of(sid, number) == "unknown" and self.opened_in[sid, number] == self.life:
            self.violated("repeated", f"attempt {number} of {sid} is unknown to its creator")

    def _result_of(self, sid: str, number: int) -> str | None:
        found = self.database.read(f"SELECT result {_OF_ONE} AND number = ?", sid, number)
        return found[0][0] if found else None

    # Traffic on the network.

    def connecting(self, address: str) -> None:
        self.trace.note(self.now(), "connecting", address)
        if is_private(address):
            self.violated("guarded", f"there was a connection to {address}")

    def left(self, request: bytes, receiver: str) -> int | None:
        found = TOKEN.search(request)
        promise = self.by_token.get(found[1].decode()) if found else None
        if promise is None:
            self.violated(
                "same", f"a request left with a token that no callback has: {request[:200]!r}"
            )
            return None
        sid = promise.callback.sid
        number = self.open.get(sid)
        self.trace.note(self.now(), "left", sid, number, receiver)
        row = self.rows.get(sid)
        if row is None or row.is_ended:
            self.violated("final", f"a request of {sid} left, which is {row and row.status}")
            return None
        if number is None or (sid, number) in self.by_attempt:
            self.violated("logged", f"a request of {sid} left without a row of its own")
            return None
        sent = Sent(sid, number, self.now(), self.life)
        self._check_order(promise.callback, sent)
        self.sent.append(sent)
        self.by_attempt[sid, number] = sent
        self._is_in_time(promise, sent)
        return len(self.sent) - 1

    def _check_order(self, callback: CallbackRecord, sent: Sent) -> None:
        key = key_of(callback)
        if key is None:
            return
        if not self.turns.is_turn_of(callback):
            self.violated("ordered", f"a request of {sent.sid} left before its turn")
        self.turns.left(callback)
        aloft = [one for one in self.aloft[key] if not one.is_over and one.life == self.life]
        if aloft:
            self.violated("ordered", f"{aloft[0].sid} is in flight, and so is {sent.sid}")
        self.aloft[key] = [*aloft, sent]

    def _is_in_time(self, promise: Promise, sent: Sent) -> None:
        callback = promise.callback
        if not self._is_untroubled(callback):
            return
        since = self.due_since.get(sent.sid, promise.asked_at)
        late = sent.left_at - max(since, promise.asked_at)
        if sent.number == 1:
            self.waits["sent"].append(late)
        if late > _FAIR:
            self.violated("fair", f"{sent.sid} left {late:.3f} s late")

    def counted(self, sent: int, request: ReceivedRequest, answer: Answer) -> None:
        one = self.sent[sent]
        self.trace.note(self.now(), "counted", one.sid, one.number, "->", answer.status)
        one.answer = answer
        if (text := difference(self.promises[one.sid].callback, request)) is not None:
            self.violated("same", f"request {one.number} of {one.sid}: {text}")

    def answered(self, sent: int) -> None:
        one = self.sent[sent]
        self.trace.note(self.now(), "answered", one.sid, one.number)
        one.is_answered = True

    def over(self, sent: int) -> None:
        self.sent[sent].is_over = True

    def probe(self, ready_since: float) -> None:
        """Find callbacks that wait although nothing is in progress; called every second or so.

        A callback found waiting in two successive calls violates an invariant, unless the store was
        unavailable or the machine short of something.
        """
        now, waiting = self.now(), set[str]()
        since = max(
            ready_since,
            self.database.was_away + _AFTER_OUTAGE,
            self.machine.was_short + _AFTER_SHORTAGE,
        )
        for sid, row in self.rows.items():
            turn = self.turns.since(self.promises[sid].callback)
            if turn is None or row.due is None:
                continue
            if max(self.due_since[sid], turn, since) < now - _FAIR:
                waiting.add(sid)
                if sid in self.waiting:
                    self.violated("prompt", f"{sid} has been due since {self.due_since[sid]:.6f}")
        self.waiting = waiting

    # The final check.

    def began(self, life: int) -> None:
        self.life, self.life_began = life, self.now()
        self.load = TransportLoad(self.bounds, self.violated)
        self.trace.note(self.now(), "start", life)

    def stopped(self) -> None:
        """Check that a stop that ended within its time leaves no attempt open.

        Attempts of earlier processes may still be open if the database was unavailable in this
        life: they are settled when it is back, and no stop waits for that.
        """
        may_be_unsettled = self.database.was_away >= self.life_began
        left = {
            sid: number
            for sid, number in self.open.items()
            if self.opened_in[sid, number] == self.life or not may_be_unsettled
        }
        if left:
            self.violated("stopped", f"attempts are left open: {left}")

    def has_ended(self) -> bool:
        """Return True if no stored callback is still waiting to be sent."""
        return not self._has_batches() and all(row.is_ended for row in self.rows.values())

    def conclude(self) -> None:
        """Compare all rows with what customers and receivers know."""
        for promise in self.promises.values():
            row = self.rows.get(promise.callback.sid)
            if row is not None:
                self._conclude(promise, row)
        if self.open:
            self.violated("idle", f"attempts are open: {self.open}")
        if self._has_batches():
            self.violated("ended", "a part of a batch is still to be added")

    def _has_batches(self) -> bool:
        return bool(self.database.read("SELECT 1 FROM batched_callbacks LIMIT 1"))

    def _conclude(self, promise: Promise, row: Row) -> None:
        sid = promise.callback.sid
        if not row.is_ended:
            self.violated("ended", f"{sid} is still {row}")
        attempts = [
            _Attempt(*values)
            for values in self.database.read(
                f"SELECT number, result, status_code, failure, reason {_OF_ONE} ORDER BY number",
                sid,
            )
        ]
        numbers = [attempt.number for attempt in attempts]
        if numbers != list(range(1, row.attempts + 1)):
            self.violated("numbered", f"{sid} has attempts {numbers}, and counts {row.attempts}")
        for attempt in attempts:
            self._compare(sid, attempt)
            if attempt.result != "delivered" and self._is_untroubled(promise.callback):
                self.violated("ours", f"attempt {attempt.number} of {sid} is {attempt.result}")
        self._justify(promise, row, attempts)
        results = [attempt.result for attempt in attempts]
        if not promise.replays and "delivered" in results[:-1]:
            self.violated("final", f"{sid} was delivered before its last attempt: {results}")

    def _is_untroubled(self, callback: CallbackRecord) -> bool:
        is_fair = callback.account_sid in self.fair_to
        return is_fair and callback.url.destination in self.healthy

    def _compare(self, sid: str, attempt: _Attempt) -> None:
        number, result, status, failure, reason = attempt
        where = f"attempt {number} of {sid} is {result} ({failure or status}: {reason})"
        sent = self.by_attempt.get((sid, number))
        if result in ("delivered", "refused"):
            if sent is None or sent.answer is None or sent.answer.status != status:
                self.violated("true", f"{where}, and its receiver gave no such answer")
        elif failure in NOTHING_LEFT or (failure or "").startswith("certificate"):
            if sent is not None:
                self.violated("true", f"{where}, and yet it has left")
        elif failure == "internal":
            self.violated("sound", where)
        if failure in _OURS or any(words in (reason or "") for words in SHORT_OF):
            self.violated("ours", where)
        if sent is not None and sent.is_answered and sent.answer and sent.answer.status:
            has_its_answer = status == sent.answer.status
            if not has_its_answer and result != "unknown":
                self.violated("repeated", f"{where}, and was answered {sent.answer.status}")

    def _justify(self, promise: Promise, row: Row, attempts: list[_Attempt]) -> None:
        sid = promise.callback.sid
        last = attempts[-1] if attempts else None
        if row.status == "delivered":
            sent = self.by_attempt.get((sid, row.attempts))
            is_true = sent is not None and sent.answer is not None and sent.answer.status == 200
            if last is None or last.result != "delivered" or not is_true:
                self.violated("delivered", f"{sid} was not answered with 2xx")
        if row.status == "failed":
            is_legal = last is not None and (
                last.status == 410
                or last.failure == "guard"
                or (row.round_number == len(promise.schedule.waits) and last.result != "unknown")
            )
            if not is_legal:
                self.violated("failed", f"{sid} failed in round {row.round_number + 1}: {row}")


def difference(callback: CallbackRecord, request: ReceivedRequest) -> str | None:
    """Return a text that says how a request differs from its callback, or None."""
    url = callback.url
    method, target, _ = request.line.split(" ")
    if method != callback.method:
        return f"{method} instead of {callback.method}"
    body = target.partition("?")[2] if callback.method is HttpMethod.GET else request.body
    if not body.endswith(callback.body):
        return f"the body is {body!r}"
    agent = "KoreProxy/1.1" if callback.source is Source.KORE else "TwilioProxy/1.1"
    if request.headers["user-agent"] != agent:
        return f"it comes from {request.headers['user-agent']}"
    if request.headers["host"] != url.authority:
        return f"it went to {request.headers['host']}"
    return None
