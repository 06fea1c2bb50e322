"""Decides which callbacks may be under way, fairly among accounts and destinations.

Callbacks wait in lanes, one for each account and destination. A callback that is under way takes a
slot, and the number of slots is limited. An account may take at most as many slots as are left
free, so that some are always left for the others (as Choudhury and Hahne, 1998, share the buffers
of switches). In the same way, a lane may take at most as many slots as are left to its account.

Each lane also has a window: the most slots that the lane may take. As in TCP, the window grows by
one with each answer and is halved by each failure, so a destination that fails soon has few slots.
If this machine lacks a resource, such as memory, no window changes; the lane or all lanes pause for
a while.

A lane may also have a valve (see `lane_valve`), which can limit it further, or stop it.

New callbacks can take their slots in the thread of the store, and everything else here runs in the
event loop; hence the lock.
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Final

from ringback.core.http.outcome import (
    SHORTAGES,
    AttemptFailure,
    NoAnswerOutcome,
    Outcome,
    status_of,
)
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.lane_valve import FOREVER, LaneValve
from ringback.delivery.resource_shortage_pause import NO_TIME, ShortagePause
from ringback.ports import BEGINNING, Lane, LaneQuota

_CLAIMED_AT_ONCE: Final = 256
_CLAIMED_BESIDE_OTHERS: Final = 32
"""The most callbacks that are claimed together while several accounts send.

Callbacks that are claimed together are also sent and settled together; a larger number would delay
the callbacks of other accounts.
"""
_OVERLOADED: Final = (429, 503)
# A window instead of a circuit breaker, which would need its own thresholds, and would stop
# everything although a little still gets through (decision 9).
_FIRST_WINDOW: Final = 16
_LEAST_WINDOW: Final = 2
# The next callbacks are claimed while the last ones are being sent and settled.
_CLAIMED_AHEAD: Final = 4
_MOST_IDLE: Final = 10_000
_FEW: Final = 64
_TOGETHER: Final = timedelta(seconds=1)
"""Several accounts count as sending for this long after a slot went to a different account."""
_SHORTAGE_ENDS_AFTER: Final = timedelta(minutes=1)
"""A shortage is logged again only if none of its kind occurred for this long."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Account:
    taken: int = 0
    ready: deque["_State"] = field(default_factory=deque["_State"])
    """The account's lanes with due callbacks."""


@dataclass(eq=False, slots=True)
class _State:
    lane: Lane
    account: _Account
    taken: int = 0
    window: int = _FIRST_WINDOW
    next_due: datetime | None = None
    """When the next waiting callback of the lane may be sent; None if none waits."""
    first_due: datetime = BEGINNING
    """When that callback is due, even if the lane pauses until later; see `LaneQuota.since`."""
    is_ready: bool = False
    rest: ShortagePause | None = None
    """The pause of the lane, if this machine had no port left for its destination."""
    valve: LaneValve | None = None
    """May stop the lane, or limit it."""
    is_stopped: bool = False
    """True if the valve has stopped the lane while callbacks were due."""


class FairScheduler:
    """Distributes the slots for callbacks under way fairly among accounts and lanes.

    With `destinations`, each lane has its valve.
    """

    def __init__(
        self, *, at_once: int, per_destination: int, destinations: DestinationControl | None = None
    ) -> None:
        self._at_once = at_once
        self._destinations = destinations
        if destinations is not None:
            destinations.look_again = self.look_again
        self._most_per_lane = per_destination * _CLAIMED_AHEAD
        self.under_way = 0
        """The number of slots that are taken."""
        self._lanes = dict[Lane, _State]()
        self._accounts = dict[str, _Account]()
        self._latest: _Account | None = None
        """The account that took a slot last."""
        self._latest_since: datetime | None = None
        """When a slot last went to a different account than the slot before."""
        self._last_taken: datetime | None = None
        """When a slot was last taken."""
        self._turn = deque[_Account]()
        """The accounts with lanes that are ready; the first account is next."""
        self._future: list[tuple[datetime, int, _State]] = []
        self._order = count()
        self._rest = ShortagePause()
        """The pause of all lanes, after a shortage that concerns all of them."""
        self._last_short = dict[AttemptFailure, datetime]()
        self._forget_beyond = _MOST_IDLE
        self._lock = Lock()

    def try_take(self, lane: Lane, now: datetime) -> bool:
        """Take a slot for a new callback; return False if none is free, or if others wait for it.

        Also returns False while the lane, or all lanes, pause.
        """
        with self._lock:
            state = self._state_of(lane)
            is_behind = state.next_due is not None and state.next_due <= now
            may_rest = self._rest.until is not None or state.rest is not None
            if (
                is_behind
                or (may_rest and self._rests(state, now))
                or self._room_of(state, now) <= 0
            ):
                return False
            self._take(state, 1)
            self._note(state.account, now)
            return True

    def give_back(self, lane: Lane) -> None:
        """Free the slot of a callback in this lane that is not under way any more."""
        with self._lock:
            self._return(self._lanes[lane], 1)

    def ended(self, lane: Lane, outcome: Outcome, *, slots: int) -> bool:
        """Free slots after an attempt, and widen or narrow the lane's window by the outcome.

        Returns True if waiting callbacks may use the slots, now or when they are due.
        """
        if isinstance(outcome, NoAnswerOutcome) or status_of(outcome) in _OVERLOADED:
            return self.failed(lane, slots=slots)
        return self.answered(lane, slots=slots)

    def answered(self, lane: Lane, *, slots: int) -> bool:
        """Free slots, and widen the lane's window, since its destination has answered."""
        with self._lock:
            state = self._lanes[lane]
            if state.window < self._most_per_lane:
                state.window += 1
            if state.rest is not None:
                state.rest.length = NO_TIME
            self._rest.length = NO_TIME
            return self._return(state, slots)

    def failed(self, lane: Lane, *, slots: int) -> bool:
        """Free slots, and narrow the lane's window: its destination is overloaded or down."""
        with self._lock:
            state = self._lanes[lane]
            state.window = max(state.window // 2, _LEAST_WINDOW)
            return self._return(state, slots)

    def unsent(
        self, lane: Lane, now: Callable[[], datetime], outcome: NoAnswerOutcome
    ) -> datetime | None:
        """If nothing was sent, although nothing is wrong with the receiver, free a slot.

        Returns when the callback is due again; None if the outcome is that of a real attempt.
        """
        if outcome.failure is AttemptFailure.HELD:
            self.give_back(lane)
            return now()
        return self.rest(lane, now(), outcome) if outcome.failure in SHORTAGES else None

    def rest(self, lane: Lane, now: datetime, shortage: NoAnswerOutcome) -> datetime:
        """After this machine ran out of a resource, free a slot, and pause the lane or all lanes.

        Returns the end of the pause.
        """
        self._warn_of(shortage, now)
        with self._lock:
            state = self._lanes[lane]
            self._return(state, 1)
            if shortage.failure is AttemptFailure.SHORTAGE:
                return self._rest.take(now)
            state.rest = state.rest or ShortagePause()
            return state.rest.take(now)

    def expect(self, lane: Lane, due: datetime) -> None:
        """Note that a callback of a lane waits in the store until `due`."""
        with self._lock:
            state = self._state_of(lane)
            if state.next_due is None or due < state.next_due:
                self._wait(state, due)

    def claimed(self, quota: LaneQuota, count: int, *, next_due: datetime | None) -> None:
        """Note how many callbacks of a quota were claimed, and when the lane's next one is due."""
        with self._lock:
            state = self._lanes[quota.lane]
            self._take(state, count - quota.limit)
            # A callback that is due earlier may have arrived since the store was read.
            if next_due is not None and (state.next_due is None or next_due < state.next_due):
                self._wait(state, next_due)

    def due(self, now: datetime, *, limit: int | None = None) -> list[LaneQuota]:
        """Take slots for due callbacks, and return how many callbacks to claim from each lane.

        Accounts and lanes take turns. At most `limit` slots are taken; the default is lower while
        several accounts send. A returned lane counts as empty until `claimed` is called for it.
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
            quotas, skipped = list[LaneQuota](), deque[_Account]()
            while limit > 0 and (state := self._next_in_turn(skipped, now)):
                room = min(self._room_of(state, now), quantum, limit)
                limit -= room
                since = now if state.next_due is None else state.first_due
                state.next_due = None
                self._take(state, room)
                self._note(state.account, now)
                quotas.append(LaneQuota(state.lane, room, since))
            self._turn.extendleft(reversed(skipped))
            return quotas

    def look_again(self, lane: Lane) -> None:
        """Let the callbacks that wait in a lane have their turn, since more of them may be sent.

        The loop that claims them has to be woken.
        """
        with self._lock:
            state = self._lanes.get(lane)
            if state is not None and (state.is_stopped or state.next_due is not None):
                state.is_stopped, state.next_due = False, state.first_due
                self._come_back_at(state.next_due, state)

    def window_of(self, lane: Lane) -> int | None:
        """Return how many slots a lane may take at most; None if nothing was sent in it lately."""
        with self._lock:
            state = self._lanes.get(lane)
            return state and state.window

    def are_shared(self, now: datetime) -> bool:
        """Return True if several accounts took slots within the last second."""
        since = self._latest_since
        return since is not None and abs(now - since) < _TOGETHER

    def is_used(self, now: datetime) -> bool:
        """Return True if anybody took a slot within the last second."""
        last = self._last_taken
        return last is not None and abs(now - last) < _TOGETHER

    def next_due(self) -> datetime | None:
        """Return when a callback next comes due, or None; ignores lanes that wait for slots."""
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
            _log.warning("callbacks have to wait, but none is lost: %s", shortage.why)

    def _state_of(self, lane: Lane) -> _State:
        state = self._lanes.get(lane)
        if state is None:
            if len(self._lanes) > self._forget_beyond:
                self._forget_idle()
            account = self._accounts.setdefault(lane.account_sid, _Account())
            self._lanes[lane] = state = _State(lane, account)
            if self._destinations is not None:
                state.valve = self._destinations.valve(lane)
        return state

    def _forget_idle(self) -> None:
        control = self._destinations
        idle = [
            one
            for one in self._lanes.values()
            if not one.taken
            and one.next_due is None
            and (control is None or control.drop(one.lane))
        ]
        for state in idle:
            del self._lanes[state.lane]
        # If most lanes are in use, it does not help to look at all of them again soon.
        self._forget_beyond = max(_MOST_IDLE, 2 * len(self._lanes))
        accounts = {lane.account_sid for lane in self._lanes}
        self._accounts = {sid: one for sid, one in self._accounts.items() if sid in accounts}

    def _room_of(self, state: _State, now: datetime) -> int:
        """Return the number of slots that the lane may take now."""
        room = self._share_of(state)
        valve = state.valve
        if valve is None:
            return room
        if valve.begins_slowly:
            valve.begins_slowly, state.window = False, 1
            room = self._share_of(state)
        if valve.is_wide or room <= 0:
            return room
        return min(room, valve.room(now, state.taken))

    def _share_of(self, state: _State) -> int:
        """Return the number of slots that the lane may take, whatever its valve says."""
        free = self._at_once - self.under_way
        account_room = free - state.account.taken
        # Each slot taken leaves one less free, and gives the account and the lane one more.
        share = -((state.taken - account_room) // 3)
        return min(state.window - state.taken, share)

    def _take(self, state: _State, count: int) -> None:
        state.taken += count
        state.account.taken += count
        self.under_way += count

    def _note(self, account: _Account, now: datetime) -> None:
        """Note which account gets a slot; if another got the last one, also note the time."""
        self._last_taken = now
        if account is not self._latest:
            if self._latest is not None:
                self._latest_since = now
            self._latest = account

    def _rests(self, state: _State, now: datetime) -> bool:
        return not self._rest.is_over(now) or not (state.rest is None or state.rest.is_over(now))

    def _wait(self, state: _State, due: datetime) -> None:
        state.first_due = due if state.next_due is None else min(due, state.first_due)
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
        """Remove entries of lanes that are ready, or have since been queued for another time.

        Otherwise these entries would stay in the queue until their old time.
        """
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

    def _return(self, state: _State, slots: int) -> bool:
        """Free a lane's slots, and queue the lane for its turn if callbacks wait in it.

        Returns True if a lane waits for slots.
        """
        if slots:
            self._take(state, -slots)
            if state.next_due is not None:
                self._come_back_at(state.next_due, state)
                return True
        return bool(slots and self._turn)

    def _get_in_line(self, state: _State) -> None:
        state.is_ready = True
        if not state.account.ready:
            self._turn.append(state.account)
        state.account.ready.append(state)

    def _next_in_turn(self, skipped: deque[_Account], now: datetime) -> _State | None:
        """Return the next lane that may take a slot, or None; accounts take turns.

        If a lane's window is full, the lane leaves the queue until it returns a slot. If an account
        may take no more slots, its lanes stay in the queue, and the account is added to `skipped`:
        the caller has to put it back in front.
        """
        while self._turn and self.under_way < self._at_once:
            account = self._turn.popleft()
            state = self._next_of(account, now)
            if state is not None:
                if account.ready:
                    self._turn.append(account)
                return state
            if account.ready:
                skipped.append(account)
        return None

    def _next_of(self, account: _Account, now: datetime) -> _State | None:
        for _ in range(len(account.ready)):
            if self._at_once - self.under_way <= account.taken:
                return None
            state = account.ready.popleft()
            state.is_ready = False
            if state.valve is not None and not state.valve.is_wide:
                state.valve.look_at_pause(now)
            if self._room_of(state, now) > 0:
                return state
            if self._is_stopped(state, now):
                continue
            if state.taken < state.window:
                state.is_ready = True
                account.ready.append(state)
        return None

    def _is_stopped(self, state: _State, now: datetime) -> bool:
        """Return True if the valve stops the lane; it comes back when that may have ended."""
        valve, control = state.valve, self._destinations
        if valve is None or control is None or valve.room(now, state.taken) > 0:
            return False
        until = valve.blocked_until(now)
        if until == FOREVER:
            state.is_stopped, state.next_due = True, None
            control.blocked(state.lane)
        elif until is not None:
            state.next_due = until
            self._come_back_at(until, state)
        return True
