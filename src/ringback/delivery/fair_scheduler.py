"""Which callbacks may be under way: fairly, and within bounds.

Callbacks wait in lanes, one for each account and destination. What may be under way at once is
bounded by shares of what is free, as switches share their buffers (Choudhury and Hahne, 1998): an
account may hold as many slots as it leaves free, and a lane as many as its account leaves itself.
So whoever floods or hangs takes half, the next one a third, and something is left for everybody.
Beside that each lane has a window, as TCP has: it grows by one with each answer, and is halved by
a failure, so that a destination that fails or hangs soon holds next to nothing. Where it is this
machine that lacks something, no window changes: the lane rests for a while, or all of them do.

New callbacks ask for their slot in the thread of the store, within the transaction that keeps them:
a slot decides whether that opens an attempt. All else runs in the event loop; hence the lock.
"""

import heapq
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Final, NamedTuple

from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, Outcome, status_of
from ringback.delivery.resource_shortage_pause import NO_TIME, ShortagePause
from ringback.ports import Lane

_CLAIMED_AT_ONCE: Final = 256
_CLAIMED_BESIDE_OTHERS: Final = 32
"""What is claimed at once is sent and settled almost at once, too, and others wait meanwhile: for
the event loop, and for the commits that write it. One account alone has nobody wait."""
_OVERLOADED: Final = (429, 503)
# A window instead of a circuit breaker, which would need thresholds of its own, and would stop
# everything where little still gets through (decision 9).
_FIRST_WINDOW: Final = 16
_LEAST_WINDOW: Final = 2
# So that the next ones are claimed while the last ones are being sent and settled.
_CLAIMED_AHEAD: Final = 4
_MOST_IDLE: Final = 10_000
_FEW: Final = 64
_TOGETHER: Final = timedelta(seconds=1)
"""How long after two accounts had slots one after the other they count as there together."""
_SHORTAGE_ENDS_AFTER: Final = timedelta(minutes=1)
"""How long nothing may be short until the next shortage is news."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Account:
    taken: int = 0
    ready: deque["_State"] = field(default_factory=deque["_State"])
    """Lanes in which something is due."""


@dataclass(eq=False, slots=True)
class _State:
    lane: Lane
    account: _Account
    taken: int = 0
    window: int = _FIRST_WINDOW
    next_due: datetime | None = None
    """When the first of those that wait in the store is due."""
    is_ready: bool = False
    rest: ShortagePause | None = None
    """Where this machine had no port left towards its destination."""


class ClaimQuota(NamedTuple):
    """How many callbacks of a lane to claim; as many slots are taken for them."""

    lane: Lane
    limit: int


class FairScheduler:
    """All lanes in which something waits or is under way."""

    def __init__(self, *, at_once: int, per_destination: int) -> None:
        self._at_once = at_once
        self._most_per_lane = per_destination * _CLAIMED_AHEAD
        self.under_way = 0
        """How many slots are taken."""
        self._lanes = dict[Lane, _State]()
        self._accounts = dict[str, _Account]()
        self._latest: _Account | None = None
        """Who was the last to get a slot."""
        self._latest_since: datetime | None = None
        """Since when that is another one than before."""
        self._turn = deque[_Account]()
        """Accounts with lanes that are ready; the first one is next."""
        self._future: list[tuple[datetime, int, _State]] = []
        self._order = count()
        self._rest = ShortagePause()
        """Of all lanes."""
        self._last_short = dict[AttemptFailure, datetime]()
        self._forget_beyond = _MOST_IDLE
        self._lock = Lock()

    def try_take(self, lane: Lane, now: datetime) -> bool:
        """Take a slot for a new callback, where there is one and nothing waits in front of it."""
        with self._lock:
            state = self._state_of(lane)
            is_behind = state.next_due is not None and state.next_due <= now
            may_rest = self._rest.until is not None or state.rest is not None
            if is_behind or (may_rest and self._rests(state, now)) or self._room_of(state) <= 0:
                return False
            self._take(state, 1)
            self._note(state.account, now)
            return True

    def give_back(self, lane: Lane) -> None:
        """Return a slot: its callback is under way no longer."""
        with self._lock:
            self._return(self._lanes[lane], 1)

    def ended(self, lane: Lane, outcome: Outcome, *, slots: int) -> None:
        """Return slots after an attempt, and learn from it how much the destination can take."""
        if isinstance(outcome, NoAnswerOutcome) or status_of(outcome) in _OVERLOADED:
            self.failed(lane, slots=slots)
        else:
            self.answered(lane, slots=slots)

    def answered(self, lane: Lane, *, slots: int) -> None:
        """Return slots, and widen the lane's window: its destination has answered."""
        with self._lock:
            state = self._lanes[lane]
            if state.window < self._most_per_lane:
                state.window += 1
            if state.rest is not None:
                state.rest.length = NO_TIME
            self._rest.length = NO_TIME
            self._return(state, slots)

    def failed(self, lane: Lane, *, slots: int) -> None:
        """Return slots, and narrow the lane's window: its destination can't keep up, or is gone."""
        with self._lock:
            state = self._lanes[lane]
            state.window = max(state.window // 2, _LEAST_WINDOW)
            self._return(state, slots)

    def rest(self, lane: Lane, now: datetime, shortage: NoAnswerOutcome) -> datetime:
        """Return a slot unused, and until when nothing more of this lane, or of all, is claimed."""
        self._warn_of(shortage, now)
        with self._lock:
            state = self._lanes[lane]
            self._return(state, 1)
            if shortage.failure is AttemptFailure.SHORTAGE:
                return self._rest.take(now)
            state.rest = state.rest or ShortagePause()
            return state.rest.take(now)

    def expect(self, lane: Lane, due: datetime) -> None:
        """Note that something waits in the store."""
        with self._lock:
            state = self._state_of(lane)
            if state.next_due is None or due < state.next_due:
                self._wait(state, due)

    def claimed(self, quota: ClaimQuota, count: int, *, next_due: datetime | None) -> None:
        """Note how many callbacks a quota has yielded, and when the next of its lane is due."""
        with self._lock:
            state = self._lanes[quota.lane]
            self._take(state, count - quota.limit)
            # Something that is due earlier may have come since the store was asked.
            if next_due is not None and (state.next_due is None or next_due < state.next_due):
                self._wait(state, next_due)

    def due(self, now: datetime, *, limit: int | None = None) -> list[ClaimQuota]:
        """Take slots for callbacks that are due, an account and a lane in turn; at most `limit`.

        Without a limit there are fewer where accounts share the engine. The lanes of the quotas
        count as empty until `claimed` says otherwise.
        """
        if limit is None:
            limit = _CLAIMED_AT_ONCE
            if self.are_shared(now):
                limit = min(limit, _CLAIMED_BESIDE_OTHERS)
        with self._lock:
            if not self._rest.is_over(now):
                return []
            self._make_ready(now)
            quantum = max(1, limit // max(1, sum(len(account.ready) for account in self._turn)))
            quotas, skipped = list[ClaimQuota](), deque[_Account]()
            while limit > 0 and (state := self._next_in_turn(skipped)):
                room = min(self._room_of(state), quantum, limit)
                limit -= room
                state.next_due = None
                self._take(state, room)
                self._note(state.account, now)
                quotas.append(ClaimQuota(state.lane, room))
            self._turn.extendleft(reversed(skipped))
            return quotas

    def are_shared(self, now: datetime) -> bool:
        """Whether several accounts have had slots of late, so that one may wait for another."""
        since = self._latest_since
        return since is not None and abs(now - since) < _TOGETHER

    def next_due(self) -> datetime | None:
        """Return when the next lane becomes due; those due already wait for slots."""
        with self._lock:
            if self._rest.until is not None:
                return self._rest.until
            while self._future and self._is_outdated(*self._future[0]):
                heapq.heappop(self._future)
            return self._future[0][0] if self._future else None

    def _warn_of(self, shortage: NoAnswerOutcome, now: datetime) -> None:
        last = self._last_short.get(shortage.failure)
        self._last_short[shortage.failure] = now
        if last is None or now - last > _SHORTAGE_ENDS_AFTER:
            _log.warning("callbacks wait, and nothing of them is lost: %s", shortage.why)

    def _state_of(self, lane: Lane) -> _State:
        state = self._lanes.get(lane)
        if state is None:
            if len(self._lanes) > self._forget_beyond:
                self._forget_idle()
            account = self._accounts.setdefault(lane.account_sid, _Account())
            self._lanes[lane] = state = _State(lane, account)
        return state

    def _forget_idle(self) -> None:
        idle = [one for one in self._lanes.values() if not one.taken and one.next_due is None]
        for state in idle:
            del self._lanes[state.lane]
        # Where most of them wait, it is of no use to look at all of them again soon.
        self._forget_beyond = max(_MOST_IDLE, 2 * len(self._lanes))
        accounts = {lane.account_sid for lane in self._lanes}
        self._accounts = {sid: one for sid, one in self._accounts.items() if sid in accounts}

    def _room_of(self, state: _State) -> int:
        """Return how many slots the lane could take one after the other."""
        free = self._at_once - self.under_way
        account_room = free - state.account.taken
        # With each of them one less is free, and the account and the lane hold one more.
        share = -((state.taken - account_room) // 3)
        return min(state.window - state.taken, share)

    def _take(self, state: _State, count: int) -> None:
        state.taken += count
        state.account.taken += count
        self.under_way += count

    def _note(self, account: _Account, now: datetime) -> None:
        """Note which account gets a slot, and when that last changed."""
        if account is not self._latest:
            if self._latest is not None:
                self._latest_since = now
            self._latest = account

    def _rests(self, state: _State, now: datetime) -> bool:
        return not self._rest.is_over(now) or not (state.rest is None or state.rest.is_over(now))

    def _wait(self, state: _State, due: datetime) -> None:
        if state.rest is not None and state.rest.until is not None:
            due = max(due, state.rest.until)
        state.next_due = due
        self._come_back_at(due, state)

    def _come_back_at(self, due: datetime, state: _State) -> None:
        if not state.is_ready:
            heapq.heappush(self._future, (due, next(self._order), state))
            if len(self._future) > 2 * len(self._lanes) + _FEW:
                self._forget_outdated()

    def _forget_outdated(self) -> None:
        """Keep one entry for each lane: those far ahead would pile up until they are due."""
        up_to_date = [entry for entry in self._future if not self._is_outdated(*entry)]
        self._future = list({entry[-1].lane: entry for entry in up_to_date}.values())
        heapq.heapify(self._future)

    def _is_outdated(self, due: datetime, _: int, state: _State) -> bool:
        return state.is_ready or state.next_due != due

    def _make_ready(self, now: datetime) -> None:
        while self._future and self._future[0][0] <= now:
            entry = heapq.heappop(self._future)
            if not self._is_outdated(*entry):
                self._get_in_line(entry[-1])

    def _return(self, state: _State, slots: int) -> None:
        """Take slots back; a lane that was left out for want of one takes its turn again."""
        if not slots:
            return
        self._take(state, -slots)
        if state.next_due is not None:
            self._come_back_at(state.next_due, state)

    def _get_in_line(self, state: _State) -> None:
        state.is_ready = True
        if not state.account.ready:
            self._turn.append(state.account)
        state.account.ready.append(state)

    def _next_in_turn(self, skipped: deque[_Account]) -> _State | None:
        """Return the next lane that has room, one of each account in turn.

        A lane whose own window is full leaves the line until it gives a slot back. Where it is the
        account, or the whole, that has no room, its lanes keep their places; the account is
        skipped, and has to be put in front again.
        """
        while self._turn and self.under_way < self._at_once:
            account = self._turn.popleft()
            state = self._next_of(account)
            if state is not None:
                if account.ready:
                    self._turn.append(account)
                return state
            if account.ready:
                skipped.append(account)
        return None

    def _next_of(self, account: _Account) -> _State | None:
        for _ in range(len(account.ready)):
            if self._at_once - self.under_way <= account.taken:
                return None
            state = account.ready.popleft()
            state.is_ready = False
            if self._room_of(state) > 0:
                return state
            if state.taken < state.window:
                state.is_ready = True
                account.ready.append(state)
        return None
