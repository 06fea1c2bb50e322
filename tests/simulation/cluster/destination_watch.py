"""Watches what is sent to limited, paused, disabled and protected destinations."""

from collections import defaultdict
from math import inf
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.shards import origin_of, shard_of
from ringback.core.destinations.destination_pattern import parsed_pattern
from ringback.core.destinations.effective_settings import EffectiveSettings, effective_settings
from ringback.ports import DestinationPause, Lane, lane_of
from tests.simulation.cluster.watch import ClusterWatch, Flight
from tests.simulation.loop import START
from tests.simulation.plan import Plan, stopped_at_most_in
from tests.simulation.watch import Promise

_ROUNDING: Final = 1e-6
_JITTER: Final = 0.8
"""The least part of a wait that a schedule may come to."""
_SERVER_ERROR: Final = 500
_NOT_COUNTED: Final = ("stale", "unknown", "name", "guard", "no_time")
"""Results of a probe after which another one may follow at once."""


class DestinationWatch:
    """What is known from outside of destinations and of the requests to them."""

    def __init__(self, watch: ClusterWatch, plan: Plan) -> None:
        self.last_change = (0.0, 0)
        """When something was last set for destinations, and the revision of that."""
        self._watch = watch
        self._plan = plan
        self._tables = watch.database.store.tables
        self._settings = dict[Lane, EffectiveSettings]()
        self._left = defaultdict[str, list[float]](list)
        """When requests left, by lane and by origin."""
        self._probes = dict[tuple[Lane, object, int], Flight]()
        self._pauses = list[tuple[float, str, float]]()
        """When the destinations of a pattern were paused or resumed, and until when the pause."""

    def durable(self) -> None:
        """Note what has been set."""
        destinations = self._watch.database.store.tables.destinations
        if destinations.revision() == self.last_change[1]:
            return
        now = self._watch.now()
        for one in destinations.changed_since(self.last_change[1]):
            self._pauses.append((now, one.pattern, _end_of(one.pause)))
        self.last_change = now, destinations.revision()

    def left(self, flight: Flight, callback: CallbackRecord) -> None:
        """Check a request that leaves now."""
        lane = lane_of(callback)
        self._check_rate(lane)
        self._check_pause(flight, lane)
        self._check_state(flight, lane)

    def ended(self, promise: Promise, callback: CallbackRecord) -> None:
        """Check a callback that was given up because of a breaker."""
        why = callback.progress.status_reason or ""
        if why.startswith("the destination is disabled"):
            self._note("disabled", callback.sid)
        if not why.startswith("it has waited for"):
            return
        self._note("given up", callback.sid)
        settings = self._settings_of(lane_of(callback))
        if settings.breaker is None and not settings.hold:
            self._watch.violated("spared", f"{callback.sid} was given up without a breaker")
        begun = promise.asked_at
        waited = self._watch.now() - begun - self._paused_since(begun, callback.destination)
        least = stopped_at_most_in(self._plan).total_seconds()
        if waited < least - _ROUNDING:
            self._watch.violated("spared", f"{callback.sid} was given up after {waited} s")

    def _note(self, what: str, sid: str) -> None:
        self._watch.trace.note(self._watch.now(), what, sid)

    def _check_rate(self, lane: Lane) -> None:
        settings, now = self._settings_of(lane), self._watch.now()
        origin = origin_of(lane.destination)
        for key, rate, burst in (
            (f"{lane.account_sid} {lane.destination}", settings.rate, settings.burst),
            (origin, settings.total_rate, settings.total_burst),
        ):
            times = self._left[key]
            times.append(now)
            if rate != float("inf"):
                last = sum(at > now - 1.0 for at in times[-200:])
                if last > rate + burst + _ROUNDING:
                    self._watch.violated("paced", f"{last} requests in a second: {key}")

    def _check_pause(self, flight: Flight, lane: Lane) -> None:
        for one in self._watch.database.store.tables.destinations.settings.values():
            is_about = parsed_pattern(one.pattern).matches(lane.destination)
            is_known = flight.view.knows() >= one.revision
            is_over = one.pause is None or one.pause.is_over(flight.view.clock.now())
            if is_about and is_known and not is_over:
                self._watch.violated("shut", f"{flight.sid} left to {lane}, which is paused")

    def _check_state(self, flight: Flight, lane: Lane) -> None:
        state = self._watch.database.store.tables.destinations.kept.get(lane)
        if state is None:
            return
        if state.disabled is not None:
            self._watch.violated("shut", f"{flight.sid} left to {lane}, which is disabled")
        if state.opened is None:
            return
        if state.probe_at is not None and flight.view.clock.now() < state.probe_at:
            self._watch.violated("probed", f"{flight.sid} left to {lane} before {state.probe_at}")
        # A new owner does not know of a probe whose result was not stored before it took over.
        owner = self._watch.database.store.tables.callbacks.leases.owners[
            shard_of(lane.destination)
        ]
        key = lane, state.probe_at, owner.epoch
        earlier = self._probes.get(key)
        if earlier is not None and not self._may_follow(earlier):
            self._watch.violated(
                "probed", f"{earlier.sid} and {flight.sid} left to {lane} for one probe"
            )
        self._probes[key] = flight
        self._note("probe", flight.sid)

    def _may_follow(self, earlier: Flight) -> bool:
        """Return True if the result of an earlier probe said nothing, so that another follows."""
        if earlier.answer is not None and 0 < earlier.answer.status < _SERVER_ERROR:
            # The breaker has closed, although that may not be durable yet.
            return True
        attempt = self._watch.attempts.get((earlier.sid, earlier.number))
        if earlier.view.is_dead() or attempt is None:
            return True
        return attempt.result == "unknown" or attempt.failure in _NOT_COUNTED

    def _paused_since(self, begun: float, destination: str) -> float:
        """Return how many seconds a destination was certainly paused since an instant."""
        paused, since, until = 0.0, 0.0, 0.0
        for at, pattern, end in (*self._pauses, (self._watch.now(), "", 0.0)):
            if pattern and not parsed_pattern(pattern).matches(destination):
                continue
            paused += max(0.0, min(at, until) - max(since, begun))
            since, until = at, end
        return paused

    def _settings_of(self, lane: Lane) -> EffectiveSettings:
        if lane not in self._settings:
            rules = [rule for rule in self._plan.rules if rule.covers(*lane)]
            self._settings[lane] = effective_settings(rules, self._plan.schedule)
        return self._settings[lane]


def _end_of(pause: DestinationPause | None) -> float:
    """Return when a pause ends, in seconds since the start; 0 if there is none."""
    if pause is None:
        return 0.0
    return inf if pause.until is None else (pause.until - START).total_seconds()
