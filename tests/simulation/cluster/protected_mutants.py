"""Valves that are broken on purpose; see `tests.simulation`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.token_bucket import TokenBucket
from ringback.delivery import destination_control
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.fair_scheduler import FairScheduler
from ringback.delivery.lane_valve import LaneValve
from ringback.delivery.request_pacer import RequestPacer, SharedRate
from tests.simulation.cluster.plan import ClusterPlan
from tests.simulation.cluster.protected import plan_of
from tests.simulation.mutants import Mutant, Patch

_use = DestinationControl._use
_blocked_until = LaneValve.blocked_until


def _mutant(
    breaks: str,
    *patches: Patch,
    within: int = 40,
    where: Callable[[ClusterPlan], object] = lambda _: True,
) -> Mutant:
    return Mutant(breaks, patches, within, where, plan_of)


def _has_bursts_and_stops(plan: ClusterPlan) -> bool:
    bursts = [rule.given.values.get("burst", 1) for rule in plan.base.rules]
    return max(bursts) > 1 and any(process.stops for process in plan.processes)


def _full_bucket(rate: float, burst: int, *, now: float, tokens: float = 0.0) -> TokenBucket:
    return TokenBucket(rate, burst, now=now, tokens=burst)


def _own_rate(self: DestinationControl, valve: LaneValve) -> SharedRate | None:
    settings = valve.settings
    if settings.total_rate == float("inf"):
        return None
    return SharedRate(settings.total_rate, settings.total_burst)


def _take_late(self: TokenBucket, now: float) -> None:
    self.reserved -= 1


def _forget_all(self: DestinationControl, found: Any, shards: Any) -> None:
    _use(self, [], shards)


def _ignoring_pauses(self: LaneValve, pause: Any, now: datetime) -> None:
    self.pause = None


def _ignoring_probes(self: LaneValve, now: datetime) -> datetime | None:
    state = self.state
    self.state = state._replace(probe_at=None)
    try:
        return _blocked_until(self, now)
    finally:
        self.state = state


def _room_for_many_probes(self: LaneValve, now: datetime, taken: int) -> int:
    return 0 if self.blocked_until(now) is not None else 3


def _for_ever(self: DestinationState, *_: Any) -> timedelta:
    return timedelta.max


def _knowing_nothing_new(self: DestinationBook, changed: Any) -> None:
    pass


MUTANTS: Final = {
    "takes no token when a request leaves": _mutant("paced", (TokenBucket, "left", _take_late)),
    "begins with a full bucket": _mutant(
        "paced",
        (destination_control, "TokenBucket", _full_bucket),
        within=200,
        where=_has_bursts_and_stops,
    ),
    "has a shared rate for each account": _mutant(
        "paced", (DestinationControl, "_shared_of", _own_rate), within=100
    ),
    "lets all leave": _mutant(
        "paced",
        (RequestPacer, "may_leave", lambda self, sid: True),
        (TokenBucket, "wait", lambda self, now: 0.0),
    ),
    "does not pause": _mutant("shut", (LaneValve, "_pause", _ignoring_pauses)),
    "sends to the disabled": _mutant(
        "shut", (LaneValve, "blocked_until", lambda self, now: None), within=60
    ),
    "does not follow what is set": _mutant(
        "shut", (DestinationBook, "learn", _knowing_nothing_new)
    ),
    "sends before the probe": _mutant("probed", (LaneValve, "blocked_until", _ignoring_probes)),
    "sends many probes": _mutant("probed", (LaneValve, "room", _room_for_many_probes)),
    "forgets states at a takeover": _mutant(
        "probed", (DestinationControl, "_use", _forget_all), within=150
    ),
    "gives up at once": _mutant("spared", (DestinationState, "waited", _for_ever)),
    "forgets callbacks of stopped lanes": _mutant(
        "lively", (FairScheduler, "look_again", lambda self, lane: None)
    ),
}
"""Broken valves by the fault they have."""
