"""Simulates the data sessions of connected Programmable Wireless SIMs, within their rate plans.

A SIM is always on the same network, chosen at random from those that its plan allows, so all its
usage counts in one zone. Its months count from its first connection.
"""

from ringback.core.calendar import month_around
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.sims.mobile_networks import MobileNetwork
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.data_session import THROTTLED, WirelessDataSession
from ringback.core.wireless.radio import radio_link_of
from ringback.core.wireless.rate_plan import RatePlan, RoamingZone, zone_of
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.context import OperationContext
from ringback.operations.metering import add_burst, end_sessions, end_when_used, used_since
from ringback.ports import Transaction


def plan_of(tx: Transaction, sim: WirelessSim) -> RatePlan | None:
    """Return the rate plan of a SIM, or None if it has none."""
    return None if sim.rate_plan_sid is None else tx.wireless.rate_plans.get(sim.rate_plan_sid)


def network_of(sim: WirelessSim, plan: RatePlan, context: OperationContext) -> MobileNetwork:
    """Return the mobile network that a SIM with this rate plan is on."""
    return context.simulation.network_for(sim.iccid, plan.networks)


def zone_of_sim(sim: WirelessSim, plan: RatePlan, context: OperationContext) -> RoamingZone:
    """Return the roaming zone that a SIM with this rate plan is in."""
    return zone_of(network_of(sim, plan, context))


def plan_data(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """End a SIM's data sessions, and begin a new one if its status and rate plan allow data.

    Also schedules the next call: for the end of the SIM's month, or for when the SIM reaches its
    data limit, if that is earlier. Some rate plans allow data at a lower rate after that limit.
    """
    end_sessions(tx.wireless.sessions, sim.sid, context.now)
    plan = plan_of(tx, sim)
    if plan is None or not sim.is_connected or sim.metered_since is None:
        tx.tasks.drop(sim.sid, TaskKind.METER_SIM)
        return
    _, look_again = month_around(sim.metered_since, context.now)
    per_hour = _per_hour(tx, sim, plan, context)
    if per_hour != (0, 0):
        session = _session(sim, plan, per_hour, context)
        tx.wireless.sessions.add(session)
        left = _bytes_left(tx, sim, plan, context)
        if left > 0:
            ends = end_when_used(tx.wireless.sessions, session, left, context.now)
            look_again = min(look_again, ends or look_again)
    context.put_off(tx, TaskKind.METER_SIM, sim, look_again)


def use_data(
    tx: Transaction, sim: WirelessSim, *, upload: int, download: int, context: OperationContext
) -> None:
    """Record that a SIM has just used this many bytes.

    Raises InvalidParameter if its rate plan does not allow that (33201).
    """
    plan = plan_of(tx, sim)
    zone = plan and zone_of_sim(sim, plan, context)
    if plan is None or zone is None or not plan.allows_data_in(zone):
        raise InvalidParameter(f"the rate plan of SIM {sim.sid} allows no data", code=33201)
    left = _bytes_left(tx, sim, plan, context)
    if upload + download > left and not plan.throttles_in(zone):
        raise InvalidParameter(
            f"SIM {sim.sid} may use {max(left, 0)} more bytes this month: RatePlan {plan.sid}"
            f" allows {plan.limit_in(zone)} MB in {zone}",
            code=33201,
        )
    session = _session(sim, plan, (0, 0), context)
    add_burst(tx.wireless.sessions, session, upload=upload, download=download, now=context.now)
    if context.simulation.data_per_hour(sim.iccid) != (0, 0):
        plan_data(tx, sim, context)


def _per_hour(
    tx: Transaction, sim: WirelessSim, plan: RatePlan, context: OperationContext
) -> tuple[int, int]:
    """Return how many bytes per hour a SIM sends and receives within its rate plan."""
    zone = zone_of_sim(sim, plan, context)
    if not plan.allows_data_in(zone):
        return 0, 0
    upload, download = context.simulation.data_per_hour(sim.iccid)
    if _bytes_left(tx, sim, plan, context) > 0:
        return upload, download
    return (min(upload, THROTTLED), min(download, THROTTLED)) if plan.throttles_in(zone) else (0, 0)


def _bytes_left(
    tx: Transaction, sim: WirelessSim, plan: RatePlan, context: OperationContext
) -> int:
    zone = zone_of_sim(sim, plan, context)
    month, _ = month_around(sim.metered_since or context.now, context.now)
    used = used_since(
        tx.wireless.sessions, sim.sid, month, context.now, of=lambda session: session.zone is zone
    )
    return plan.limit_in(zone) * MEGABYTE - used


def _session(
    sim: WirelessSim, plan: RatePlan, per_hour: tuple[int, int], context: OperationContext
) -> WirelessDataSession:
    return WirelessDataSession(
        sid=context.sid(SidKind.DATA_SESSION),
        account_sid=sim.account_sid,
        sim_sid=sim.sid,
        network_sid=network_of(sim, plan, context).sid,
        rate_plan_sid=plan.sid,
        iccid=sim.iccid,
        radio_link=radio_link_of(sim.iccid, is_narrowband=sim.is_narrowband),
        upload_per_hour=per_hour[0],
        download_per_hour=per_hour[1],
        date_created=context.now,
    )
