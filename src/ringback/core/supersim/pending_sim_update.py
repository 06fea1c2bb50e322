"""A change of a Super SIM that the network carries out, and the SIM's state after it."""

from dataclasses import dataclass, replace
from datetime import datetime

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.sims.scenario import CarrierResult, failure_in
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.sim import SimStatus, SuperSim


@dataclass(frozen=True, slots=True)
class PendingSuperSimUpdate:
    """A change of a Super SIM under way: its old and new state, and the callback URL."""

    sim_sid: str
    account_sid: str
    from_status: SimStatus
    to_status: SimStatus
    to_fleet_sid: str | None
    callback: CallbackTarget


def finish(
    sim: SuperSim, update: PendingSuperSimUpdate, result: CarrierResult, now: datetime
) -> tuple[SuperSim, SimUpdated]:
    """Return the SIM after its change has ended, and the event to report.

    A failed change leaves the SIM in its old state.
    """
    failure = failure_in(result, unanswered=83004)
    if failure is None:
        finished = replace(moved(sim, update.to_status, now), fleet_sid=update.to_fleet_sid)
    else:
        finished = replace(sim, status=update.from_status, date_updated=now)
    return finished, SimUpdated.of(finished, failure)


def moved(sim: SuperSim, status: SimStatus, now: datetime) -> SuperSim:
    """Return a SIM with another status.

    A status other than `ready` resets `ready_since` and `sms_while_ready`.
    """
    is_ready = status is SimStatus.READY
    return replace(
        sim,
        status=status,
        date_updated=now,
        ready_since=(sim.ready_since or now) if is_ready else None,
        sms_while_ready=sim.sms_while_ready if is_ready else 0,
    )
