"""Watches all processes of a world that share a store, and reports broken invariants.

A request is in flight from its first byte until the receiver has answered it or its connection has
ended. A process that is stopped (frozen) can end no connection. So there are two cases in which a
callback is in flight twice, which are counted and reported: its process was frozen between the
check of its lease and the first byte, or while it waited for the answer, for longer than it would
have waited.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.callbacks.shards import shard_of
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.retry_schedule import RetrySchedule
from ringback.ports import Clock
from tests.simulation.cluster.database import SharedDatabase
from tests.simulation.invariants import Violated
from tests.simulation.network import is_private
from tests.simulation.plan import Bounds
from tests.simulation.receivers import Answer, ReceivedRequest
from tests.simulation.trace import Trace
from tests.simulation.turns import OrderKey, Turns, key_of
from tests.simulation.watch import NOTHING_LEFT, TOKEN, Promise, TransportLoad, difference

if TYPE_CHECKING:
    from tests.simulation.cluster.destination_watch import DestinationWatch

_INSTANT: Final = 0.001
_SLACK: Final = 0.1
"""Seconds that a process takes to end a connection whose time is over."""
_TIMEOUTS: Final = ("read_timeout", "total_timeout")
_OURS: Final = ("shortage", "no_local_port", "lease", "held")


@dataclass(eq=False, slots=True)
class Flight:
    """A request at a receiver."""

    sid: str
    number: int
    """The number of its attempt."""
    view: "ProcessWatch"
    destination: str
    left_at: float
    limit: float
    """The most seconds that its process waits for the answer."""
    was_late: bool
    """True if its process was frozen between the check of its lease and the first byte."""
    answer: Answer | None = None
    is_answered: bool = False
    was_answered_while_frozen: bool = False
    is_over: bool = False


@dataclass(slots=True)
class ClusterWatch:
    """Everything known from outside of the processes."""

    database: SharedDatabase
    trace: Trace
    bounds: Bounds
    now: Callable[[], float]
    on_violation: Callable[[Violated], None]
    promises: dict[str, Promise] = field(default_factory=dict)
    by_token: dict[str, Promise] = field(default_factory=dict)
    callbacks: dict[str, CallbackRecord] = field(default_factory=dict)
    """The last known state of each callback."""
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    changed_at: dict[str, float] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    by_attempt: dict[tuple[str, int], Flight] = field(default_factory=dict)
    aloft: dict[str, list[Flight]] = field(default_factory=lambda: defaultdict(list))
    """The flights of each callback that may not have ended."""
    in_order: dict[OrderKey, list[Flight]] = field(default_factory=lambda: defaultdict(list))
    """The same of each order key."""
    turns: Turns = field(init=False)
    """Whose turn it is, of callbacks with an order key."""
    at: Counter[str] = field(default_factory=Counter)
    rendered: CallbackRecord | None = None
    """The callback whose request was rendered last."""
    late: int = 0
    """Requests in flight beside another one because a process was frozen before its first byte."""
    unended: int = 0
    """The same because a process was frozen while it waited for the answer."""
    endings: int = 0
    """How often a callback has ended."""
    waiting: frozenset[str] = frozenset()
    """The callbacks that the last probe has found waiting."""

    destinations: "DestinationWatch" = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.now)

    def violated(self, name: str, what: str) -> None:
        """Report that an invariant does not hold."""
        self.trace.note(self.now(), "VIOLATED", name, what)
        self.on_violation(Violated(name, what))

    # Customers' requests, and their answers.

    def asked(self, callbacks: list[CallbackRecord], schedule: RetrySchedule) -> list[Promise]:
        batch = list[Promise]()
        for callback in callbacks:
            promise = Promise(callback, schedule, batch, self.now())
            batch.append(promise)
            self.promises[callback.sid] = promise
            self.by_token[callback.idempotency_token] = promise
        return batch

    def accepted(self, batch: list[Promise]) -> None:
        for promise in batch:
            promise.answer = "accepted"
            if promise.callback.sid not in self.callbacks:
                self.violated("kept", f"{promise.callback.sid} was acknowledged, and is missing")

    def refused(self, batch: list[Promise]) -> None:
        for promise in batch:
            promise.answer = "refused"
            if promise.callback.sid in self.callbacks:
                self.violated("whole", f"{promise.callback.sid} was refused, and exists")

    # Durable changes.

    def durable(self) -> None:
        """Check the changes made by a transaction."""
        tables = self.database.store.tables.callbacks
        self.destinations.durable()
        # Attempts first, since the state of a callback depends on them.
        for key, attempt in tables.rows.items():
            before = self.attempts.get(key)
            if attempt is not before:
                self.attempts[key] = attempt
                self._look_at(before, attempt)
        if len(tables.rows) < len(self.attempts):
            for key in self.attempts.keys() - tables.rows.keys():
                self._removed(self.attempts.pop(key))
        for sid, callback in tables.callbacks.items():
            known = self.callbacks.get(sid)
            if callback is not known:
                self.callbacks[sid] = callback
                self.changed_at[sid] = self.now()
                self._changed(known, callback)
        for sid in self.turns.committed():
            self.trace.note(self.now(), "turn", sid)
        if len(tables.callbacks) < len(self.callbacks):
            self.violated("kept", "a callback has vanished")

    def _look_at(self, before: Attempt | None, attempt: Attempt) -> None:
        sid, number = attempt.callback_sid, attempt.number
        if before is not None and before.result != "open" and before != attempt:
            self.violated("settled", f"attempt {number} of {sid} was {before.result}: {attempt}")
        if attempt.result == "open":
            return
        self.trace.note(self.now(), "settled", sid, number, attempt.result, attempt.failure)
        flight = self.by_attempt.get((sid, number))
        if attempt.result == "unknown" and flight is not None and self._is_current(flight):
            self.violated("patient", f"attempt {number} of {sid} is unknown while in flight")

    def _removed(self, attempt: Attempt) -> None:
        sid, number = attempt.callback_sid, attempt.number
        if (sid, number) in self.by_attempt:
            self.violated("logged", f"attempt {number} of {sid} has left, and has no row now")
        if attempt.result != "open":
            self.violated("settled", f"attempt {number} of {sid} was removed: {attempt}")

    def _changed(self, before: CallbackRecord | None, callback: CallbackRecord) -> None:
        sid, progress = callback.sid, callback.progress
        self.trace.note(
            self.now(), "durable", sid, progress.status, progress.due, progress.attempt_count
        )
        promise = self.promises.get(sid)
        if promise is None:
            self.violated("whole", f"nobody has created {sid}")
            return
        self.turns.changed(
            callback,
            was_ended=before and before.progress.is_ended,
            is_ended=progress.is_ended,
            age=self.database.store.tables.callbacks.places[sid],
        )
        if before is None:
            if promise.answer == "refused":
                self.violated("whole", f"{sid} was refused, and is stored")
        elif before.progress.is_ended and not progress.is_ended and not promise.replays:
            self.violated("final", f"{sid} was {before.status} and is {callback.status} now")
        if progress.is_ended and (before is None or not before.progress.is_ended):
            self.endings += 1
            self.destinations.ended(promise, callback)
        if progress.status == "discarded" and not promise.discards:
            self.violated("failed", f"nobody has discarded {sid}")
        if progress.is_under_way and self._result(sid, progress.attempt_count) != "open":
            self.violated("whole", f"{sid} is under way, and has no open attempt")

    def _result(self, sid: str, number: int) -> str | None:
        attempt = self.attempts.get((sid, number))
        return attempt and attempt.result

    # Traffic on the network.

    def left(self, view: "ProcessWatch", callback: CallbackRecord, request: bytes) -> int | None:
        """Check a request whose first byte leaves now."""
        sid, number = callback.sid, callback.progress.attempt_count
        destination = callback.url.destination
        flight = Flight(
            sid,
            number,
            view,
            destination,
            self.now(),
            callback.url.connection.total_timeout.total_seconds(),
            was_late=view.was_frozen_since_check,
        )
        self.trace.note(self.now(), "left", sid, number, view.name, "late" * flight.was_late)
        found = TOKEN.search(request)
        promise = self.by_token.get(found[1].decode()) if found else None
        if promise is None or promise.callback.sid != sid:
            self.violated("same", f"a request left with the token of another: {request[:200]!r}")
            return None
        result = self._result(sid, number)
        if (sid, number) in self.by_attempt or result is None:
            self.violated("logged", f"request {number} of {sid} left without a row of its own")
        elif result != "open" and not flight.was_late:
            self.violated("logged", f"request {number} of {sid} left, which is {result}")
        if not flight.was_late:
            self._check_lease(view, destination)
        self._check_others(flight)
        self._check_order(callback, flight)
        self.flights.append(flight)
        if not flight.was_late:
            self.destinations.left(flight, callback)
        self.by_attempt[sid, number] = flight
        self.aloft[sid].append(flight)
        self._check_limit(destination)
        return len(self.flights) - 1

    def _check_lease(self, view: "ProcessWatch", destination: str) -> None:
        leases = self.database.store.tables.callbacks.leases
        owner = leases.owners[shard_of(destination)].process
        if owner != view.identity():
            self.violated("leased", f"{view.identity()} sends to {destination} of {owner}")
        elif not leases.is_alive(owner, self.database.now()):
            self.violated("leased", f"{owner} sends to {destination} after its lease")

    def _check_others(self, flight: Flight) -> None:
        self.aloft[flight.sid] = others = list(filter(self._is_aloft, self.aloft[flight.sid]))
        for other in others:
            if flight.was_late or other.was_late:
                self.late += 1
                self.trace.note(self.now(), "twice, late", flight.sid)
            elif self._is_overdue(other):
                self.unended += 1
                self.trace.note(self.now(), "twice, unended", flight.sid)
            else:
                self.violated(
                    "once",
                    f"requests {other.number} and {flight.number} of {flight.sid} are in flight,"
                    f" sent by {other.view.name} and {flight.view.name}",
                )

    def _check_order(self, callback: CallbackRecord, flight: Flight) -> None:
        key = key_of(callback)
        if key is None:
            return
        self.in_order[key] = others = list(filter(self._is_aloft, self.in_order[key]))
        for other in others:
            are_twice = other.sid == flight.sid  # which is checked above
            if not (are_twice or flight.was_late or other.was_late or self._is_overdue(other)):
                self.violated("ordered", f"{other.sid} is in flight, and so is {flight.sid}")
        others.append(flight)
        if not flight.was_late:
            if not self.turns.is_turn_of(callback):
                self.violated("ordered", f"a request of {flight.sid} left before its turn")
            self.turns.left(callback)

    def _check_limit(self, destination: str) -> None:
        current = [
            flight
            for flights in self.aloft.values()
            for flight in flights
            if flight.destination == destination and self._is_current(flight)
        ]
        if len(current) > self.bounds.per_destination:
            self.violated("bounded", f"{len(current)} requests are at {destination}")

    def _is_aloft(self, flight: Flight) -> bool:
        return not flight.is_over and not flight.view.is_dead()

    def _is_current(self, flight: Flight) -> bool:
        return self._is_aloft(flight) and not (flight.was_late or self._is_overdue(flight))

    def _is_overdue(self, flight: Flight) -> bool:
        """Return True if its process was frozen, and could not end the connection in time."""
        is_over_time = self.now() > flight.left_at + flight.limit - _SLACK
        return is_over_time and flight.view.frozen_until > flight.left_at

    def counted(self, sent: int, request: ReceivedRequest, answer: Answer) -> None:
        flight = self.flights[sent]
        self.trace.note(self.now(), "counted", flight.sid, flight.number, "->", answer.status)
        flight.answer = answer
        if (text := difference(self.promises[flight.sid].callback, request)) is not None:
            self.violated("same", f"request {flight.number} of {flight.sid}: {text}")

    def answered(self, sent: int, *, while_frozen: bool) -> None:
        self.flights[sent].is_answered = True
        self.flights[sent].was_answered_while_frozen = while_frozen

    def over(self, sent: int) -> None:
        self.flights[sent].is_over = True

    # The final check.

    def conclude(self) -> None:
        """Compare all rows with what customers and receivers know."""
        for promise in self.promises.values():
            callback = self.callbacks.get(promise.callback.sid)
            if callback is not None:
                self._conclude(promise, callback)

    def _conclude(self, promise: Promise, callback: CallbackRecord) -> None:
        sid, progress = callback.sid, callback.progress
        if not progress.is_ended:
            self.violated("ended", f"{sid} is still {progress}")
        own = [one for (of, _), one in self.attempts.items() if of == sid]
        numbers = sorted(attempt.number for attempt in own)
        if numbers != list(range(1, progress.attempt_count + 1)):
            self.violated("numbered", f"{sid} has {numbers}, and counts {progress.attempt_count}")
        for attempt in own:
            self._compare(attempt)
        last = max(own, key=lambda attempt: attempt.number, default=None)
        if progress.status == "delivered" and (last is None or last.result != "delivered"):
            self.violated("delivered", f"{sid} was not answered with 2xx")
        first = promise.batch[0]
        if first.callback.sid not in self.callbacks:
            self.violated("whole", f"{sid} was stored without the rest of its batch")

    def _compare(self, attempt: Attempt) -> None:
        sid, number, result = attempt.callback_sid, attempt.number, attempt.result
        failure, status = attempt.failure, attempt.status_code
        where = f"attempt {number} of {sid} is {result} ({failure or status}: {attempt.reason})"
        flight = self.by_attempt.get((sid, number))
        if result in ("delivered", "refused"):
            if flight is None or flight.answer is None or flight.answer.status != status:
                self.violated("true", f"{where}, and its receiver gave no such answer")
        elif failure in NOTHING_LEFT or (failure or "").startswith("certificate"):
            if flight is not None:
                self.violated("true", f"{where}, and yet it has left")
        elif failure == "internal":
            self.violated("sound", where)
        if failure in _OURS:
            self.violated("ours", where)
        answer = flight.answer if flight is not None and flight.is_answered else None
        if flight and flight.was_answered_while_frozen and failure in _TIMEOUTS:
            # If its timer is hardly late, a process does not look again for an answer.
            return
        if result != "unknown" and answer and answer.status and answer.status != status:
            self.violated("repeated", f"{where}, and was answered {answer.status}")


class ProcessWatch:
    """Watches one life of a process; see `process.ProcessWatch`."""

    def __init__(
        self,
        watch: ClusterWatch,
        name: str,
        *,
        identity: Callable[[], str],
        is_dead: Callable[[], bool],
        knows: Callable[[], int],
        clock: Clock,
    ) -> None:
        self.trace = watch.trace
        self.name = name
        self.knows = knows
        """Returns the revision of what it knows to be set for destinations."""
        self.clock = clock
        self.identity = identity
        """Returns the id under which it has leases."""
        self.is_dead = is_dead
        self.frozen_until = -1.0
        """When it was last frozen."""
        self.was_frozen_since_check = False
        self._watch = watch
        self._load = TransportLoad(watch.bounds, watch.violated)
        self._checked = list[tuple[CallbackRecord, float]]()
        """The callbacks whose requests are being written, and when their lease was checked."""

    def violated(self, name: str, what: str) -> None:
        self._watch.violated(name, what)

    def sending(
        self, request: OutgoingRequest, total: float, turn: int
    ) -> AbstractContextManager[None]:
        return self._load.sending(request, total, turn)

    def began(self, life: int) -> None:
        self.trace.note(self._watch.now(), "start", self.name)

    def stopped(self) -> None:
        """Check that a stop that ended within its time leaves no attempt open."""
        open_ = self._watch.database.store.tables.callbacks.runs
        mine = [sid for sid, run in open_.items() if run.process == self.identity()]
        if mine:
            self.violated("stopped", f"{self.name} leaves attempts open: {mine}")

    def checked(self) -> None:
        """Note that a request is about to be written: its lease was checked in this very step."""
        assert self._watch.rendered is not None
        self._checked.append((self._watch.rendered, self._watch.now()))

    def connecting(self, address: str) -> None:
        if is_private(address):
            self.violated("guarded", f"there was a connection to {address}")

    def left(self, request: bytes, receiver: str) -> int | None:
        callback, checked = self._checked.pop(0)
        self.was_frozen_since_check = self._watch.now() > checked
        return self._watch.left(self, callback, request)

    def counted(self, sent: int, request: ReceivedRequest, answer: Answer) -> None:
        self._watch.counted(sent, request, answer)

    def answered(self, sent: int) -> None:
        self._watch.answered(sent, while_frozen=self.frozen_until > self._watch.now())

    def over(self, sent: int) -> None:
        self._watch.over(sent)
