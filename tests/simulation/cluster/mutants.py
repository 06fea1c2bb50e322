"""Engines and stores for several processes that are broken on purpose; see `tests.simulation`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

from ringback.core.callbacks.callback import CallbackRecord
from ringback.delivery import settlement_writer
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.due_callbacks import DueCallbacks
from ringback.delivery.work_takeover import WorkTakeover
from ringback.ports import (
    Clock,
    Lane,
    LeaseChange,
    SettledAttempts,
    Settlement,
    Transaction,
    lane_of,
)
from ringback.stores.postgres.lease_sessions import GoneSessions, LeaseSession, OwnSessions
from tests.memory_store.callbacks import MemoryCallbacks
from tests.memory_store.leases import LEASE, MARGIN, MemoryCluster, MemoryLeases, shard_of
from tests.simulation.cluster import world
from tests.simulation.cluster.database import SharedStore
from tests.simulation.cluster.plan import ClusterPlan, plan_of
from tests.simulation.loop import SimLoop
from tests.simulation.mutants import Mutant, Patch


def _mutant(
    breaks: str,
    *patches: Patch,
    within: int = 40,
    where: Callable[[ClusterPlan], object] = lambda _: True,
) -> Mutant:
    return Mutant(breaks, patches, within, where, plan_of)


_in_lane = MemoryCallbacks._in_lane
_look = DueCallbacks._look
_renew = MemoryCluster.renew
_take_over = WorkTakeover._take_over
_settle = settlement_writer._settle
_settle_in_store = MemoryCallbacks.settle
_is_in_session = SharedStore.is_in_session


async def _is_in_any_session(self: SharedStore, session: LeaseSession) -> bool:
    await _is_in_session(self, session)
    return True


def _is_dead_or_frozen(self: world.ClusterWorld, identity: str, machine: int) -> bool:
    return any(
        store.id == identity and (process.is_dead or process.gate.is_shut)
        for _, store, process in self._lives
    )


def _may_always_send(self: MemoryCluster, destination: str, lease: int) -> bool:
    return True


def _may_send_under_any_lease(self: MemoryCluster, destination: str, lease: int) -> bool:
    return shard_of(destination) in self._owned and self._stopwatch() < self._until


def _is_of_earlier_owner(self: MemoryCallbacks, callback: Any) -> bool:
    lane = lane_of(callback)
    return self._owns(lane) and self.runs[callback.sid].epoch < self._epoch_of(lane)


def _is_of_any_owner(self: MemoryCallbacks, callback: Any) -> bool:
    lane = lane_of(callback)
    owner = self.leases.owners[shard_of(lane.destination)]
    return self._owns(lane) and owner.open_until <= self.now()


def _in_lane_or_open(
    self: MemoryCallbacks, lane: Lane, since: datetime | None
) -> list[tuple[datetime, CallbackRecord]]:
    epoch, now = self._epoch_of(lane), since or self.now()
    runs = ((self.callbacks[sid], run) for sid, run in self.runs.items())
    open_ = [(now, one) for one, run in runs if lane_of(one) == lane and run.epoch < epoch]
    return _in_lane(self, lane, since) + open_


async def _renew_and_look_at_the_clock(self: MemoryCluster) -> LeaseChange:
    change = await _renew(self)
    self._until = self._stopwatch() + (LEASE - MARGIN).total_seconds()
    return change


async def _look_if_announced(self: DueCallbacks) -> None:
    if self._announced:
        await _look(self)
    self._next_look = self.clock.now() + timedelta(seconds=1)


async def _take_over_without_search(self: WorkTakeover) -> None:
    real = self.due_callbacks
    nothing = SimpleNamespace(sweep=_find_nothing, wakeup=real.wakeup)
    self.due_callbacks = cast("DueCallbacks", nothing)
    try:
        await _take_over(self)
    finally:
        self.due_callbacks = real


async def _find_nothing() -> None:
    pass


def _settle_all(
    tx: Transaction, settlements: list[Settlement], save_change: Any
) -> tuple[SettledAttempts, Any]:
    settled, accounts = _settle(tx, settlements, save_change)
    return settled._replace(outdated=[]), accounts


def _let_follow_outdated_ends(
    self: MemoryCallbacks, settlements: Sequence[Settlement]
) -> SettledAttempts:
    settled = _settle_in_store(self, settlements)
    late = (one.claim.callback for one in settled.outdated if one.progress.is_ended)
    return settled._replace(
        turns=[*settled.turns, *(due for one in late for due in self._end(one))]
    )


def _wall_clock_of(loop: SimLoop, clock: Clock) -> Callable[[], float]:
    return lambda: clock.now().timestamp()


def _loses_leases(plan: ClusterPlan) -> bool:
    return plan.base.seed % 4 == 3


def _loses_leases_in_order(plan: ClusterPlan) -> bool:
    return _loses_leases(plan) and _has_order_keys(plan)


def _has_order_keys(plan: ClusterPlan) -> bool:
    return any(one.order_key for request in plan.base.requests for one in request.callbacks)


def _loses_leases_and_time(plan: ClusterPlan) -> bool:
    return _loses_leases(plan) and any(process.jumps for process in plan.processes)


def _ends_sessions(plan: ClusterPlan) -> bool:
    return plan.has_sessions and bool(plan.session_faults)


def _hands_over(plan: ClusterPlan) -> bool:
    return plan.base.seed % 4 == 1


MUTANTS: Final = {
    "sends without a lease": _mutant(
        "leased", (MemoryCluster, "may_send", _may_always_send), where=_loses_leases
    ),
    "sends under any lease": _mutant(
        "logged",
        (MemoryCluster, "may_send", _may_send_under_any_lease),
        within=300,
        where=_loses_leases,
    ),
    "takes a frozen process for dead": _mutant(
        "patient",
        (world.ClusterWorld, "_is_known_dead", _is_dead_or_frozen),
        where=lambda plan: _loses_leases(plan) and any(one.freezes for one in plan.processes),
    ),
    "frees the shards of an ended session at once": _mutant(
        "logged",
        (GoneSessions, "ended", lambda self, gone, *, asked, answered: list(gone)),
        within=150,
        where=_ends_sessions,
    ),
    "takes the answer of any session for that of its own": _mutant(
        "logged",
        (SharedStore, "is_in_session", _is_in_any_session),
        within=150,
        where=_ends_sessions,
    ),
    "sends without asking its session": _mutant(
        "leased", (OwnSessions, "_look", lambda self: None), within=150, where=_ends_sessions
    ),
    "saves outdated results": _mutant(
        "settled", (MemoryCallbacks, "_is_current", lambda self, claim: True), where=_loses_leases
    ),
    "settles open attempts at once": _mutant(
        "patient", (MemoryCallbacks, "_is_left_open", _is_of_earlier_owner), where=_loses_leases
    ),
    "claims what others have open": _mutant(
        "once",
        (MemoryCallbacks, "_in_lane", _in_lane_or_open),
        within=150,
        where=lambda plan: _loses_leases(plan) and plan.base.bounds.per_destination > 1,
    ),
    "settles its own open attempts": _mutant(
        "patient", (MemoryCallbacks, "_is_left_open", _is_of_any_owner)
    ),
    "gives shards back with open attempts": _mutant(
        "patient", (MemoryCallbacks, "own_open", lambda self: set[int]()), where=_hands_over
    ),
    "counts its lease from the end of the renewal": _mutant(
        "leased", (MemoryCluster, "renew", _renew_and_look_at_the_clock), within=150
    ),
    "counts its lease by a clock that can be set": _mutant(
        "leased", (world, "stopwatch_of", _wall_clock_of), where=_loses_leases_and_time
    ),
    "relies on announcements": _mutant(
        "prompt", (DueCallbacks, "_look", _look_if_announced), where=lambda plan: plan.news_lost
    ),
    "does not search after a takeover": _mutant(
        "prompt", (WorkTakeover, "_take_over", _take_over_without_search), where=_loses_leases
    ),
    "takes outdated results for saved": _mutant(
        "counted", (settlement_writer, "_settle", _settle_all), within=150, where=_loses_leases
    ),
    "ignores what others have open": _mutant(
        "bounded",
        (DeliveryWorkers, "leave_room", lambda self, still_open: None),
        where=_loses_leases,
    ),
    "sends all of an order key": _mutant(
        "ordered", (MemoryCallbacks, "_join", lambda self, key, sid: None), where=_has_order_keys
    ),
    "lets the next one go after an outdated result": _mutant(
        "ordered",
        (MemoryCallbacks, "settle", _let_follow_outdated_ends),
        where=_loses_leases_in_order,
    ),
    "never takes over": _mutant(
        "taken over",
        (MemoryLeases, "is_alive", lambda self, process, now: process is not None),
        (MemoryLeases, "end_dead", lambda self, process: None),
        (MemoryLeases, "end_gone", lambda self, process, key, now: None),
    ),
}
"""Broken engines and stores by the fault they have."""
