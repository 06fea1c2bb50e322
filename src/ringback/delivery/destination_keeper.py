"""Ends callbacks that can't be sent any more because of their destination, and stores its state.

These are all that are due at a disabled destination. Behind an open breaker or a hold, a failed
probe, or an answer that asks to wait again, also ends those that have waited there for too long.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ringback.core.calendar import iso
from ringback.core.callbacks.callback import CallbackStatus, ended
from ringback.core.counted import counted
from ringback.core.destinations.destination_events import DestinationEventKind
from ringback.core.retention import show_time
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.lane_valve import LaneValve
from ringback.ports import (
    Clock,
    Cluster,
    Lane,
    NewCallbackQueue,
    StateChange,
    Store,
    Transaction,
    WaitingCallback,
)
from ringback.runtime.database_outage import outlast

_ENDED_AT_ONCE: Final = 100
"""How many callbacks one transaction ends."""
_LONGEST_WAIT: Final = timedelta(days=1)
"""How long before its next round is due a callback that has been tried may end."""
_READ_AT_ONCE: Final = 1000
"""How many waiting callbacks one read looks at."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class DestinationKeeper:
    """Does what the control of destinations notes, one lane after the other."""

    control: DestinationControl
    store: Store
    cluster: Cluster
    queue: NewCallbackQueue
    clock: Clock
    _is_idle: bool = field(default=True, init=False)

    @property
    def is_still(self) -> bool:
        """True if nothing is noted for it, and nothing is being done."""
        return self._is_idle and not (self.control.to_save or self.control.to_end)

    async def run(self) -> None:
        """Work whenever the control has noted something, for ever."""
        control = self.control
        while True:
            if self.is_still:
                await control.wakeup.wait(None)
            self._is_idle = False
            changes, control.to_save = control.to_save, list[StateChange]()
            if changes:
                await self._do(lambda changes=changes: self._save(changes))
            if control.to_end:
                lane, _ = control.to_end.popitem()
                while await self._do(lambda lane=lane: self._end_in(lane)) is False:
                    pass
            self._is_idle = True

    async def _do(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do some work, again and again while the database is away; return its result."""
        try:
            return await outlast(work, clock=self.clock)
        except Exception:  # noqa: BLE001 (one lane must not stop the work in all others)
            _log.exception("a change of a destination could not be carried out")
            return True

    async def _save(self, changes: Sequence[StateChange]) -> bool:
        def save(tx: Transaction) -> None:
            for change in changes:
                self.control.save(tx, change)

        await self.store.transact(save)
        return True

    async def _end_in(self, lane: Lane) -> bool:
        """End what has to end in a lane; return False if that may have let others be next."""
        valve, place, is_over, count = self.control.valve(lane), None, True, 0
        while True:
            now = self.clock.now()
            is_ours = self.cluster.lease_on(lane.destination) is not None and valve.is_known
            if not is_ours or not (valve.state.disabled or valve.state.stopped_since):
                return True
            # One that was tried may have waited for too long before its next round is due.
            due_by = now if valve.state.disabled else now + _LONGEST_WAIT
            waiting = await self.store.read(
                lambda tx, place=place, due_by=due_by: tx.destinations.waiting_in(
                    lane, due_by=due_by, after=place, limit=_READ_AT_ONCE
                )
            )
            too_long = [one.sid for one in waiting if self._is_over(valve, one, now)]
            for at in range(0, len(too_long), _ENDED_AT_ONCE):
                some = too_long[at : at + _ENDED_AT_ONCE]
                had_followers = await self.store.transact(
                    lambda tx, some=some, now=now: self._end(tx, valve, some, now)
                )
                valve.state = valve.state.forgetting(*some)
                is_over = is_over and not had_followers
            count += len(too_long)
            if len(waiting) < _READ_AT_ONCE:
                if count:
                    _log.warning(
                        "%s to %s of account %s failed: %s",
                        counted(count, "callback"),
                        lane.destination,
                        lane.account_sid,
                        self._why(valve, now),
                    )
                return is_over
            place = waiting[-1].place

    def _is_over(self, valve: LaneValve, one: WaitingCallback, now: datetime) -> bool:
        state, limit = valve.state, self.control.book.stopped_at_most
        return state.disabled is not None or state.waited(one.sid, one.place.due, now) >= limit

    def _end(self, tx: Transaction, valve: LaneValve, sids: Sequence[str], now: datetime) -> bool:
        """End these callbacks; return True if others may have waited for one of them."""
        had_followers, last, why = False, None, self._why(valve, now)
        for sid in sids:
            callback = tx.callbacks.find(sid)
            if callback is None or callback.progress.due is None:
                continue
            progress = ended(callback.progress, CallbackStatus.FAILED, why, now)
            self.queue.change(tx, callback, progress)
            had_followers = had_followers or callback.order_key is not None
            last = sid
        if last is not None and valve.settings.notify:
            event = valve.event(DestinationEventKind.EXHAUSTED, why, now)
            self.control.save(tx, valve.changed([event._replace(callback_sid=last)], now))
        return had_followers

    def _why(self, valve: LaneValve, now: datetime) -> str:
        """Return why callbacks end that wait in a lane in which nothing may be sent."""
        state = valve.state
        if state.disabled is not None:
            return f"the destination is disabled: {state.disabled_why}"
        since = iso(state.stopped_since or now)
        waited = show_time(self.control.book.stopped_at_most)
        stops = {
            "its destination's breaker was open": state.opened,
            "its receiver asked to wait (Retry-After)": state.held_since,
        }
        what = " or ".join(name for name, begun in stops.items() if begun)
        return f"it has waited for {waited} while {what}, since {since}"
