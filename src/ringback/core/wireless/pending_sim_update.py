"""A change of a Programmable Wireless SIM, and the SIM's state after it."""

from dataclasses import dataclass, replace
from datetime import datetime

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.sims.scenario import CarrierResult, failure_in
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.wireless.sim import FINAL, WirelessSim, WirelessStatus, moved


@dataclass(frozen=True, slots=True)
class PendingWirelessSimUpdate:
    """A SIM's change that waits or is under way: its old and new state, and the callback URL."""

    sim_sid: str
    account_sid: str
    from_status: WirelessStatus
    to_status: WirelessStatus
    to_rate_plan_sid: str | None
    told: CallbackTarget


def finish(
    sim: WirelessSim, update: PendingWirelessSimUpdate, result: CarrierResult, now: datetime
) -> tuple[WirelessSim, SimUpdated]:
    """Return the SIM after its change has ended, and the event to report.

    A failed change leaves the SIM in its old state. A new status may later change by itself; the
    callback about that goes to the URL given with this change.
    """
    failure, before = failure_in(result, unanswered=33000), update.from_status
    status = update.to_status if failure is None else before
    done = moved(sim, status, now, before=before)
    if failure is None:
        done = replace(done, rate_plan_sid=update.to_rate_plan_sid)
    if status is not before:
        done = replace(done, final_to=update.told if status in FINAL else NO_TARGET)
    return done, SimUpdated.of(done, failure)


def finalize(sim: WirelessSim, now: datetime) -> tuple[WirelessSim, SimUpdated, CallbackTarget]:
    """Return a SIM with its final status, the event to report, and the URL for the callback."""
    done = replace(moved(sim, FINAL[sim.status], now), final_to=NO_TARGET)
    return done, SimUpdated.of(done), sim.final_to
