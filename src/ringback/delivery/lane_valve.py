"""A valve for each lane: whether its callbacks may be sent now, how many, and why not.

A valve is wide open unless something is set for the destination, or something has become of it: it
is paused, held or disabled, its breaker is open, or its rate is limited.
"""

from datetime import datetime, timedelta
from typing import Final

from ringback.core.calendar import ALWAYS
from ringback.core.callbacks.retry import read_retry_after
from ringback.core.destinations.circuit_breaker import CircuitBreaker, has_failed, next_probe
from ringback.core.destinations.destination_events import (
    QUIET,
    DestinationEvent,
    DestinationEventKind,
)
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import EffectiveSettings
from ringback.core.http.outcome import GONE, Outcome, RefusedOutcome, describe
from ringback.core.retention import show_time
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery.destination_book import DestinationBook, LanePause
from ringback.delivery.request_pacer import RequestPacer
from ringback.ports import Lane, StateChange

MANY: Final = 1_000_000
"""A room that nothing limits."""
FOREVER: Final = ALWAYS[1]
"""Until when a lane is blocked that only a change of what is set, or of its state, opens again."""


class LaneValve:
    """Whether the callbacks of a lane may be sent now; changed only in the event loop."""

    def __init__(
        self, lane: Lane, book: DestinationBook, state: DestinationState, now: datetime
    ) -> None:
        self.lane = lane
        self.state = state
        self.pause: LanePause | None = None
        """Why nothing is sent, if the account or the operator has paused it."""
        self._paused_since = now
        """When the first of the pauses began that have followed each other without a break."""
        self.is_known = True
        """False until the state has been read from the store."""
        self.pacer: RequestPacer | None = None
        """Limits the rate, once the first request of a limited lane is about to leave."""
        self.probe: str | None = None
        """The SID of the callback that is sent as a probe."""
        self.looked = ALWAYS[0]
        """When the keeper was last asked to look for callbacks that have waited for too long."""
        self.begins_slowly = False
        """True if only one callback may be sent at first, and more with each answer."""
        self.unsigned: str | None = None
        """Why the last callback could not be signed, if a secret of the account is damaged."""
        self.is_wide = True
        """True if nothing stops or limits the lane; then nothing else here need be asked."""
        self._book = book
        self._schedule: RetrySchedule = book.schedule
        self._breaker: CircuitBreaker | None = None
        self._damaged_settings: str | None = None
        self.settings: EffectiveSettings = book.settings_of(lane)
        """The settings in force."""
        self.set_up(now)

    def set_up(self, now: datetime) -> None:
        """Use what is set now."""
        self.settings = self._book.settings_of(self.lane, self._schedule)
        self._damaged_settings = self._book.damage_of(self.lane)
        pauses = [one for one in self._book.pauses_of(self.lane) if not one.pause.is_over(now)]
        self._pause(pauses[0] if pauses else None, now)
        rules = self.settings.watch
        if self._breaker is None or self._breaker.rules != rules:
            self._breaker = CircuitBreaker(rules, now.timestamp())
        self._look()

    def look_at_pause(self, now: datetime) -> None:
        """End a pause whose time is over."""
        if self.pause is not None and self.pause.pause.is_over(now):
            self.set_up(now)

    def _pause(self, pause: LanePause | None, now: datetime) -> None:
        before, self.pause = self.pause, pause
        if pause is not None:
            since = pause.pause.since
            self._paused_since = since if before is None else min(self._paused_since, since)
        if before is None or pause is not None:
            return
        self.begins_slowly = True
        state, since = self.state, self._paused_since
        if state.stopped_since is not None:
            self.state = state = state.with_gap(max(since, state.stopped_since), now)
        if state.no_success_since is not None:
            paused = max(timedelta(0), now - max(since, state.no_success_since))
            self.state = state._replace(no_success_since=state.no_success_since + paused)

    def sign_again(self) -> bool:
        """Try to sign the next callback, since a secret was replaced; return True if all waited."""
        did_wait, self.unsigned = self.unsigned is not None, None
        self._look()
        return did_wait

    def not_signed(self, why: str) -> None:
        """Send nothing until `sign_again`, since a callback could not be signed."""
        self.unsigned = why
        self._look()

    @property
    def _damage(self) -> str | None:
        """Why nothing can be sent as it should be, in words: a secret can't be decrypted."""
        return self.unsigned or self._damaged_settings

    def knows(self, state: DestinationState) -> None:
        """Use the state that the store has."""
        self.state, self.is_known = state, True
        self._look()

    def blocked_until(self, now: datetime) -> datetime | None:
        """Return until when nothing may be sent; None if something may be sent now.

        It is FOREVER if only a change of what is set, or of the state, ends it.
        """
        state = self.state
        if not self.is_known or state.disabled is not None or self._damage is not None:
            return FOREVER
        paused = None if self.pause is None else self.pause.pause.until or FOREVER
        ends = [
            end
            for end in (paused, state.held_until, state.probe_at)
            if end is not None and end > now
        ]
        return max(ends, default=None)

    def room(self, now: datetime, taken: int) -> int:
        """Return how many more callbacks may be claimed now, of which `taken` are under way.

        May be asked in any thread.
        """
        if self.is_wide:
            return MANY
        if self.blocked_until(now) is not None:
            return 0
        if self.state.opened is not None:
            # A probe; it has to wait for the end of what was under way when the breaker opened.
            return 0 if taken else 1
        if self.settings.is_paced:
            return 1 if self.pacer is None else self.pacer.room
        return MANY

    def stopped_as(self, now: datetime) -> str | None:
        """Return which of `STOPS` in `destination_control` stops the lane; None if none does."""
        state = self.state
        is_held = state.held_until is not None and state.held_until > now
        stops = {
            "disabled": state.disabled is not None,
            "damaged": self._damage is not None,
            "paused": self.pause is not None and not self.pause.pause.is_over(now),
            "open": state.opened is not None,
            "held": is_held,
        }
        return next((name for name, stops_it in stops.items() if stops_it), None)

    def why(self, now: datetime) -> str | None:
        """Return why callbacks wait although they are due, in words; None if none has to."""
        state = self.state
        if state.disabled is not None:
            return f"the destination is disabled: {state.disabled_why}"
        if self._damage is not None:
            return self._damage
        if self.pause is not None:
            return f"the destination is {self.pause.why}"
        if state.opened is not None:
            return "the breaker of the destination is open"
        if state.held_until is not None and state.held_until > now:
            return "the receiver has asked to wait (Retry-After)"
        return None

    def may_begin(self, callback_sid: str, now: datetime) -> bool:
        """Return True if a request of a claimed callback may begin now."""
        if self.is_wide:
            return True
        if self.blocked_until(now) is not None:
            return False
        if self.state.opened is not None:
            # No other one is under way, since only one callback is claimed at a time: see `room`.
            self.probe = callback_sid
        return True

    def counts_success(self, now: datetime) -> bool:
        """Count a request that was delivered, if that changes nothing else; else return False."""
        breaker = self._breaker
        if breaker is None or not self.is_wide or self.state.failing_since:
            return False
        breaker.well(now.timestamp())
        return True

    def ended(
        self,
        callback_sid: str,
        outcome: Outcome,
        now: datetime,
        schedule: RetrySchedule,
        *,
        jitter: float,
    ) -> StateChange | None:
        """Take an attempt's outcome into account; return what has become of the destination.

        `schedule` is the retry schedule of its account. Returns None if nothing has changed that
        would have to be stored.
        """
        if schedule != self._schedule:
            self._schedule = schedule
            self.set_up(now)
        breaker, has = self._breaker, has_failed(outcome, self.settings.watch)
        was_probe = self.probe == callback_sid
        if was_probe:
            self.probe = None
        if breaker is not None and has is not None:
            (breaker.failed if has else breaker.well)(now.timestamp())
        before, events = self.state, list[DestinationEvent]()
        if before.held_until is not None and before.held_until <= now:
            self.state = before._replace(held_until=None)
        if before.opened is not None:
            if was_probe and has is not None:
                self._probed(outcome, events, now, has_failed=has, jitter=jitter)
        elif has is not None:
            self._counted(outcome, events, now, has_failed=has, jitter=jitter)
        self._hold(outcome, before, now)
        self._disable(outcome, events, now, has_failed=has)
        if self.state == before and not events:
            return None
        return self.changed(events, now)

    def changed(self, events: list[DestinationEvent], now: datetime) -> StateChange:
        """Return the change to store, without the events of kinds that were sent lately."""
        told = {kind: at for kind, at in self.state.told.items() if now - at < QUIET}
        if self.settings.notify:
            events = [one for one in events if one.kind not in told]
            told |= {one.kind: now for one in events}
        self.state = self.state._replace(told=told, seen=now)
        self._look()
        return StateChange(self.lane, self.state, tuple(events))

    def event(self, kind: DestinationEventKind, why: str, now: datetime) -> DestinationEvent:
        """Return an event about the destination."""
        return DestinationEvent(kind, *self.lane, now, why)

    def may_leave(self, callback_sid: str, now: datetime) -> bool:
        """Return True if the request of a callback may leave now."""
        if self.is_wide:
            return True
        if not self.may_begin(callback_sid, now):
            return False
        return not self.settings.is_paced or (
            self.pacer is not None and self.pacer.may_leave(callback_sid)
        )

    def left(self, callback_sid: str) -> None:
        """Note that the request of a callback leaves now."""
        if self.pacer is not None:
            self.pacer.left(callback_sid)

    @property
    def goes_on(self) -> bool:
        """True if a round may go on with its next attempt at once."""
        return self.is_wide or not (
            self.state.opened
            or self.state.held_until
            or self.state.disabled
            or self._damage
            or self.pause
            or self.settings.is_paced
        )

    def settled(
        self,
        callback_sid: str,
        waited: tuple[datetime | None, datetime],
        now: datetime,
        *,
        has_ended: bool,
    ) -> StateChange | None:
        """Remember how long a callback that was tried has waited for a stop that goes on.

        `waited` says from when to when it was due; from None if it was sent at once. Returns None
        if nothing is changed.
        """
        state, (due, until) = self.state, waited
        if has_ended:
            after = state.forgetting(callback_sid)
        else:
            after = state if due is None else state.remembering(callback_sid, due, until)
        if after is state:
            return None
        self.state = after
        return self.changed([], now)

    def reset(self, now: datetime) -> None:
        """Begin anew, since somebody has resumed the destination: nothing is open or disabled."""
        self.state = WELL._replace(told=self.state.told)
        self.probe, self.begins_slowly = None, True
        self._breaker = CircuitBreaker(self.settings.watch, now.timestamp())
        self._look()

    def _probed(
        self,
        outcome: Outcome,
        events: list[DestinationEvent],
        now: datetime,
        *,
        has_failed: bool,
        jitter: float,
    ) -> None:
        state = self.state
        if has_failed:
            failed = state.failed_probes + 1
            probe_at = next_probe(now, failed, jitter=jitter)
            self.state = state._replace(failed_probes=failed, probe_at=probe_at)
            return
        opened = state.opened or now
        self.reset(now)
        why = f"{describe(outcome)}, after its breaker was open for {_for(now - opened)}"
        events.append(self.event(DestinationEventKind.RECOVERED, why, now))

    def _counted(
        self,
        outcome: Outcome,
        events: list[DestinationEvent],
        now: datetime,
        *,
        has_failed: bool,
        jitter: float,
    ) -> None:
        breaker, rules = self._breaker, self.settings.watch
        if breaker is None:
            return
        was_failing = is_failing = self.state.failing_since is not None
        if has_failed is not was_failing:
            # Only a failure can begin it, and only a success can end it.
            is_failing = breaker.is_failing(now.timestamp())
        if is_failing is not was_failing:
            self.state = self.state._replace(failing_since=now if is_failing else None)
        if not has_failed:
            return
        why = (
            f"at least {rules.share:.0%} of the requests of the last {show_time(rules.window)}"
            f" failed; of the last one: {describe(outcome)}"
        )
        if self.settings.breaker is None or not breaker.is_tripped(now.timestamp()):
            if is_failing and not was_failing:
                events.append(self.event(DestinationEventKind.FAILING, why, now))
        else:
            probe_at = next_probe(now, 0, jitter=jitter)
            self.state = self.state._replace(
                opened=now, probe_at=probe_at, failed_probes=0, failing_since=None
            )
            events.append(self.event(DestinationEventKind.OPENED, why, now))

    def _hold(self, outcome: Outcome, before: DestinationState, now: datetime) -> None:
        """Begin, prolong or end a hold; all that follow each other at once are one stop."""
        asked = outcome.retry_after if isinstance(outcome, RefusedOutcome) else None
        wait = timedelta(0)
        if asked is not None and self.settings.hold:
            wait = min(read_retry_after(asked, now), self.settings.hold)
        until = now + wait
        if wait > timedelta(0) and until > (self.state.held_until or now):
            self.state = self.state._replace(
                held_until=until,
                held_since=before.stopped_since or now,
                gaps=before.gaps,
                waited_before=before.waited_before,
            )
        elif self.state.held_until is None and self.state.held_since is not None:
            self.state = self.state._replace(held_since=None)
            if self.state.opened is None:
                self.state = self.state._replace(gaps=(), waited_before={})

    def _disable(
        self,
        outcome: Outcome,
        events: list[DestinationEvent],
        now: datetime,
        *,
        has_failed: bool | None,
    ) -> None:
        settings, state, why = self.settings, self.state, None
        is_watched = settings.disable_after != timedelta.max
        if has_failed is False:
            if state.no_success_since is not None:
                self.state = state = state._replace(no_success_since=None)
        elif has_failed and is_watched and state.no_success_since is None:
            self.state = state = state._replace(no_success_since=now)
        if state.disabled is not None:
            return
        if settings.disable_on_gone and isinstance(outcome, RefusedOutcome):
            why = describe(outcome) if outcome.status == GONE else None
        since = state.no_success_since
        if is_watched and since is not None and now - since >= settings.disable_after:
            why = (
                f"no request has succeeded for {show_time(settings.disable_after)}; of the last"
                f" one: {describe(outcome)}"
            )
        if why is not None:
            self.state = state._replace(disabled=now, disabled_why=why)
            events.append(self.event(DestinationEventKind.DISABLED, why, now))

    def _look(self) -> None:
        state = self.state
        has_state = state.opened or state.held_until or state.disabled or state.no_success_since
        stops = has_state or self.pause or self._damage or not self.is_known
        self.is_wide = not (stops or self.settings.is_paced)


def _for(time: timedelta) -> str:
    return show_time(timedelta(seconds=round(time.total_seconds())))
