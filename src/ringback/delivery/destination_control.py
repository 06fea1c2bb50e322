"""Controls the valves of all lanes: what is set, what attempts make of it, and what ends there.

A valve's state is read from the store before anything is sent in its lane, and stored again in the
transaction that saves the attempt by which it changed. One process owns a destination at a time, so
the limits and the breaker hold however many there are.
"""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ringback.core.accounts.account import EVERY, Account
from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.callbacks.shards import origin_of, shard_of
from ringback.core.destinations.destination_events import DestinationEvent, DestinationEventKind
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import Notified
from ringback.core.destinations.token_bucket import TokenBucket
from ringback.core.http.outcome import DeliveredOutcome, Outcome
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.lane_valve import LaneValve
from ringback.delivery.request_pacer import RequestPacer, SharedRate, loop_seconds
from ringback.ports import (
    Clock,
    DeliveryClaim,
    Lane,
    RandomSource,
    StateChange,
    Store,
    StoredDestinationSettings,
    Transaction,
)
from ringback.runtime.wakeup import Wakeup

MOST_STATES: Final = 10_000
"""How many destinations of an account can have a state, such as an open breaker, in a process.

All others have no breaker, and are neither held nor disabled, until one of these is well again.
"""
_LOOK_EVERY: Final = timedelta(minutes=1)
"""How often the keeper looks at most for callbacks that have waited too long for holds."""
STOPS: Final = ("disabled", "damaged", "paused", "open", "held")
"""What can stop a lane; see `LaneValve.stopped_as`."""
_log = logging.getLogger(__name__)

Tell = Callable[[Transaction, DestinationEvent, Notified], None]
"""Queues the callbacks about an event, in the transaction that saves the change."""


def tell_nobody(tx: Transaction, event: DestinationEvent, notified: Notified) -> None:
    """Queue no callback about an event."""


class DestinationControl:
    """The valves of all lanes of a process."""

    def __init__(
        self,
        book: DestinationBook,
        *,
        clock: Clock,
        random_source: RandomSource,
        tell: Tell = tell_nobody,
    ) -> None:
        self.book = book
        self.events = Counter[DestinationEventKind]()
        """How many events of each kind there were since the start."""
        self.wakeup = Wakeup(clock)
        """Wakes the keeper, which ends and stores what is noted in the next two."""
        self.to_end = dict[Lane, None]()
        """The lanes in which callbacks may have to be given up."""
        self.to_save = list[StateChange]()
        """The changes that no attempt's result is stored with."""
        self.look_again: Callable[[Lane], None] = _ignore
        """Gives waiting callbacks of a lane their turn; the scheduler sets it."""
        self.wake: Callable[[], None] = _do_nothing
        """Wakes the loop that claims callbacks; that loop sets it."""
        self.release: Callable[[DeliveryClaim], None] = _ignore
        """Called with each claim that may be sent now; the delivery loop sets it."""
        self.hold_back: Callable[[Lane], None] = _ignore
        """Called when a lane's claims must not be sent any more; the delivery loop sets it."""
        self._tell = tell
        self._clock = clock
        self._random_source = random_source
        self._valves = dict[Lane, LaneValve]()
        self._states = dict[Lane, DestinationState]()
        """The stored states of lanes, as they were read."""
        self._with_state = defaultdict[str, set[Lane]](set)
        """The lanes of each account whose state is not plain."""
        self._unknown = set[int]()
        """The shards whose states have to be read from the store."""
        self._forgettings = 0
        """How often shards have been forgotten."""
        self._shared = dict[str, SharedRate]()
        book.listen(self._changed)

    # Valves, for the scheduler and those who send.

    def valve(self, lane: Lane) -> LaneValve:
        """Return the valve of a lane; may be called in any thread."""
        valve = self._valves.get(lane)
        if valve is None:
            new = LaneValve(lane, self.book, self._states.get(lane, WELL), self._clock.now())
            new.is_known = new.is_wide = False
            valve = self._valves.setdefault(lane, new)
            # Asked only now, since the states may have become known meanwhile; see `_use`.
            if not valve.is_known and self.knows(lane.destination):
                valve.knows(self._states.get(lane, WELL))
        return valve

    def count_stopped(self) -> dict[str, int]:
        """Return in how many lanes nothing may be sent, by what stops them."""
        counts: dict[str, int] = dict.fromkeys(STOPS, 0)
        now = self._clock.now()
        for valve in list(self._valves.values()):
            stopped = None if valve.is_wide else valve.stopped_as(now)
            if stopped is not None:
                counts[stopped] += 1
        return counts

    def sign_again(self, account: Account) -> None:
        """Let callbacks of an account be sent that waited for a secret, since it has changed."""
        for lane, valve in list(self._valves.items()):
            if lane.account_sid == account.sid and valve.sign_again():
                self._open(lane)

    def drop(self, lane: Lane) -> bool:
        """Forget the valve of an idle lane; return False if it has something to remember."""
        valve = self._valves.get(lane)
        if valve is None:
            return True
        if not valve.state.is_plain or (valve.pacer is not None and valve.pacer.is_needed):
            return False
        self._states.pop(lane, None)
        self._valves.pop(lane, None)
        return True

    def blocked(self, lane: Lane) -> None:
        """Note that a callback is due in a lane in which nothing may be sent."""
        if self._valves[lane].state.disabled is not None:
            self._end_in(lane)

    def pacer(self, lane: Lane) -> RequestPacer | None:
        """Return the pacer that limits the rate of a lane; None if its rate is not limited."""
        if not self.book.are_any:
            return None
        valve = self.valve(lane)
        if valve.is_wide or not valve.settings.is_paced:
            return None
        if valve.pacer is None:
            self._set_pace(valve)
        return valve.pacer

    def take_unsent(self) -> list[DeliveryClaim]:
        """Return the claims that wait until the rate of their lane lets them be sent."""
        return [claim for pacer in self._pacers for claim in pacer.take_back()]

    @property
    def paced(self) -> int:
        """How many claims wait until the rate of their lane lets them be sent."""
        return sum(pacer.waiting for pacer in self._pacers)

    def next_paced(self) -> datetime | None:
        """Return when a rate next lets a request leave, or a callback be claimed for that."""
        waits = [one.next_in for one in (*self._pacers, *self._shared.values())]
        soonest = min((wait for wait in waits if wait is not None), default=None)
        return None if soonest is None else self._clock.now() + timedelta(seconds=soonest)

    def skip(self, time: timedelta) -> None:
        """Let requests of limited lanes leave as if this much more time had passed."""
        for one in (*self._shared.values(), *self._pacers):
            one.skip(time.total_seconds())

    @property
    def _pacers(self) -> list[RequestPacer]:
        valves = list(self._valves.values())
        return [valve.pacer for valve in valves if valve.pacer is not None]

    # Results of attempts.

    def ended(self, claim: DeliveryClaim, outcome: Outcome) -> StateChange | None:
        """Take an attempt's outcome into account; return what has to be stored with its result."""
        lane, now = claim.lane, self._clock.now()
        valve = self.valve(lane)
        if outcome.__class__ is DeliveredOutcome and valve.counts_success(now):
            return None
        schedule = self.book.schedule_of(claim.account)
        if valve.state.is_plain and len(self._with_state[lane.account_sid]) >= MOST_STATES:
            return None
        was_stopped = valve.state.stopped_since is not None
        jitter = int.from_bytes(self._random_source.bytes(2)) / 0xFFFF
        change = valve.ended(claim.callback.sid, outcome, now, schedule, jitter=jitter)
        if change is None:
            return None
        self._note_state(valve)
        if valve.blocked_until(now) is not None:
            self.hold_back(lane)
        if valve.state.disabled or (was_stopped and self._may_be_over(valve, now)):
            self._end_in(lane)
        return change

    def _end_tried(self, valve: LaneValve) -> None:
        if self._may_be_over(valve, self._clock.now()):
            self._end_in(valve.lane)

    def _may_be_over(self, valve: LaneValve, now: datetime) -> bool:
        """Return True if callbacks may have waited for too long, and nobody has looked lately."""
        since = valve.state.stopped_since
        if since is None or now - since < self.book.stopped_at_most:
            return False
        is_late = valve.state.opened is not None or now - valve.looked >= _LOOK_EVERY
        if is_late:
            valve.looked = now
        return is_late

    def exhausted(
        self, claim: DeliveryClaim, progress: DeliveryProgress, change: StateChange | None
    ) -> StateChange | None:
        """Return the change with the event that a callback has failed, if anybody gets such events.

        `change` is what its last attempt has made of the destination. While that is stopped, it
        remembers how long the callback has waited.
        """
        if change is not None and (valve := self.valve(claim.lane)).state.stopped_since:
            waited = claim.due, claim.progress.date_updated
            has_ended, now = progress.is_ended, self._clock.now()
            after = valve.settled(claim.callback.sid, waited, now, has_ended=has_ended)
            change = change if after is None else after._replace(events=change.events)
        if progress.status is not CallbackStatus.FAILED:
            return change
        valve, now = self.valve(claim.lane), self._clock.now()
        if not valve.settings.notify:
            return change
        why = progress.status_reason or ""
        event = valve.event(DestinationEventKind.EXHAUSTED, why, now)
        earlier = () if change is None else change.events
        after = valve.changed([event._replace(callback_sid=claim.callback.sid)], now)
        self._note_state(valve)
        return after._replace(events=(*earlier, *after.events))

    def save(self, tx: Transaction, change: StateChange) -> None:
        """Store a change, and queue the callbacks about its events."""
        tx.destinations.save_state(change.lane, change.state)
        if change.state.waited_too_long(self.book.stopped_at_most):
            # Only then do they wait in the store again.
            tx.on_commit(lambda: self._end_tried(self.valve(change.lane)))
        if change.events:
            self.tell(tx, change.events, self.valve(change.lane).settings.notify)

    def tell(self, tx: Transaction, events: Sequence[DestinationEvent], notified: Notified) -> None:
        """Queue the callbacks about events, and count the events once they are stored."""
        for event in events:
            self._tell(tx, event, notified)
        tx.on_commit(lambda: self._note(events))

    def _note(self, events: Sequence[DestinationEvent]) -> None:
        for event in events:
            self.events[event.kind] += 1
            whose = event.account_sid
            whose = "all accounts" if whose == EVERY else f"account {whose}"
            _log.warning("%s: %s of %s: %s", event.kind, event.destination, whose, event.reason)

    # What the store knows.

    def knows(self, destination: str) -> bool:
        """Return True if the states of the destination's shard have been read from the store."""
        return not self._unknown or shard_of(destination) not in self._unknown

    def forget(self, shards: Collection[int]) -> None:
        """Send nothing in lanes of these shards until `load` has read their states again."""
        if not shards:
            return
        self._unknown.update(shards)
        self._forgettings += 1
        for lane, valve in list(self._valves.items()):
            if shard_of(lane.destination) in shards:
                valve.is_known = valve.is_wide = False
                self._with_state[lane.account_sid].discard(lane)
        self._states = {
            lane: state
            for lane, state in self._states.items()
            if shard_of(lane.destination) not in shards
        }

    async def load(self, store: Store) -> bool:
        """Read what is set, and the states of the shards that are not known yet.

        Returns True if there were such shards: what is due in them has to be searched for again.
        """
        are_unknown = bool(self._unknown)
        while self._unknown:
            shards, before = frozenset(self._unknown), self._forgettings
            changed, found = await store.transact(
                lambda tx, shards=shards: (self.book.changes_in(tx), tx.destinations.states(shards))
            )
            self.book.learn(changed)
            if self._forgettings == before:
                self._use(found, shards)
        return are_unknown

    def _use(self, found: Sequence[tuple[Lane, DestinationState]], shards: Collection[int]) -> None:
        """Begin to send in lanes of these shards, from the states that were found."""
        now = self._clock.now()
        stored = {lane: _after_gap(state, now) for lane, state in found}
        self._states |= stored
        # Before the valves are listed, since other threads make new ones meanwhile.
        self._unknown.difference_update(shards)
        here = [lane for lane in list(self._valves) if shard_of(lane.destination) in shards]
        for lane in here:
            valve = self._valves[lane]
            if valve.pacer is not None:
                # What still waits in it can't be sent under its old lease, and is put back.
                valve.pacer.change(None, None)
            valve.pacer = valve.probe = None
            valve.knows(stored.get(lane, WELL))
        for lane in stored:
            self._resume(self.valve(lane), now)
            self._note_state(self.valve(lane))
        for lane in here:
            self._open(lane)

    def _open(self, lane: Lane) -> None:
        """Let callbacks be claimed in a lane, since more of them may be sent now."""
        self.look_again(lane)
        self.wake()

    def _changed(self, changed: Sequence[StoredDestinationSettings]) -> None:
        """Use what has been set anew for the lanes that it is about."""
        now = self._clock.now()
        for lane, valve in list(self._valves.items()):
            if any(self.book.is_about(one, lane) for one in changed):
                self._set_up(valve, now)

    def _set_up(self, valve: LaneValve, now: datetime) -> None:
        valve.set_up(now)
        if valve.pacer is not None and valve.settings.is_paced:
            self._set_pace(valve)
        elif valve.pacer is not None:
            valve.pacer.change(None, None)
            valve.pacer = None
        self._resume(valve, now)
        if valve.blocked_until(now) is not None:
            self.hold_back(valve.lane)
        self._open(valve.lane)

    def _resume(self, valve: LaneValve, now: datetime) -> None:
        """Begin anew if somebody has resumed the destination, or switched its breaker off."""
        resumed, state, settings = self.book.resumed_at(valve.lane), valve.state, valve.settings
        begun = max((one for one in (state.opened, state.disabled) if one), default=None)
        # Without a value that is set, the schedule of the account decides, which is not known here.
        is_off = state.opened and settings.breaker is None and "breaker" in settings.origins
        if is_off or (resumed is not None and begun is not None and begun <= resumed):
            valve.reset(now)
            self.to_save.append(valve.changed([], now))
            self._note_state(valve)
            self.wakeup.wake()

    def _note_state(self, valve: LaneValve) -> None:
        lanes, lane = self._with_state[valve.lane.account_sid], valve.lane
        (lanes.discard if valve.state.is_plain else lanes.add)(lane)

    def _end_in(self, lane: Lane) -> None:
        self.to_end[lane] = None
        self.wakeup.wake()

    def _set_pace(self, valve: LaneValve) -> None:
        """Let the lane's requests leave at the rate that is set now."""
        settings, lane, pacer = valve.settings, valve.lane, valve.pacer
        own = None if pacer is None else pacer.own
        if math.isinf(settings.rate):
            own = None
        elif own is None:
            own = TokenBucket(settings.rate, settings.burst, now=loop_seconds())
        else:
            own.change(settings.rate, settings.burst, loop_seconds())
        shared = self._shared_of(valve)
        if pacer is None:
            valve.pacer = RequestPacer(
                *(own, shared), release=self.release, has_room=partial(self._open, lane)
            )
        else:
            pacer.change(own, shared)

    def _shared_of(self, valve: LaneValve) -> SharedRate | None:
        """Return the rate that all accounts share at the lane's origin; None if none is set."""
        rate, burst = valve.settings.total_rate, valve.settings.total_burst
        origin = origin_of(valve.lane.destination)
        if math.isinf(rate):
            return None
        if origin not in self._shared:
            self._shared[origin] = SharedRate(rate, burst)
        shared = self._shared[origin]
        shared.bucket.change(rate, burst, loop_seconds())
        return shared


def _do_nothing() -> None:
    """Stand in for a function that is set later."""


def _ignore(what: object) -> None:
    """Stand in for a function that is set later."""


def _after_gap(state: DestinationState, now: datetime) -> DestinationState:
    """Return a stored state without the time since then, in which nobody may have sent probes."""
    if state.stopped_since is None or state.seen is None:
        return state
    return state.with_gap(max(state.seen, state.stopped_since), now)
