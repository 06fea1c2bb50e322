"""Simulates the data sessions of connected Super SIMs, up to the data limits of their fleets."""

from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import SuperSimDataSession, UsageQuery
from ringback.operations.context import OperationContext
from ringback.operations.metering import add_burst, end_sessions, end_when_used, used_since
from ringback.operations.supersim.billing import current_period
from ringback.ports import PageWindow, RecordPage, Transaction


def plan_data(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """End a SIM's data sessions, and begin a new one if its status and fleet allow data.

    The end of the new session is set at once: the time at which the data limit will be reached.
    """
    sessions = tx.supersim.sessions
    end_sessions(sessions, sim.sid, context.now)
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    if fleet is None or not sim.is_connected or not fleet.data_enabled:
        return
    per_hour = context.simulation.data_per_hour(sim.iccid)
    left = _bytes_left(tx, sim, fleet, context)
    if left > 0 and per_hour != (0, 0):
        session = _session(tx, sim, fleet, per_hour, context)
        sessions.add(session)
        end_when_used(sessions, session, left, context.now)


def use_data(
    tx: Transaction,
    sim: SuperSim,
    fleet: Fleet,
    *,
    upload: int,
    download: int,
    context: OperationContext,
) -> None:
    """Record that a SIM has just used this many bytes.

    Raises InvalidParameter if that would exceed its fleet's data limit (83600).
    """
    sessions, left = tx.supersim.sessions, _bytes_left(tx, sim, fleet, context)
    if upload + download > left:
        raise InvalidParameter(
            f"SIM {sim.sid} may use {max(left, 0)} more bytes in this Billing Period:"
            f" the DataLimit of Fleet {fleet.sid} is {fleet.data_limit} MB",
            code=83600,
        )
    session = _session(tx, sim, fleet, (0, 0), context)
    add_burst(sessions, session, upload=upload, download=download, now=context.now)
    for each in sessions.of_sim(sim.sid, since=context.now):
        end_when_used(sessions, each, left - upload - download, context.now)


def is_out_of_data(tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext) -> bool:
    """Return True if a SIM has used up its fleet's data limit in this Billing Period."""
    return _bytes_left(tx, sim, fleet, context) <= 0


def sessions_of(
    tx: Transaction, account_sid: str, query: UsageQuery, window: PageWindow
) -> RecordPage[SuperSimDataSession]:
    """Return one page of the account's data sessions that match a usage query."""
    return tx.supersim.sessions.between(account_sid, query.filters, query.start, query.end, window)


def _session(
    tx: Transaction,
    sim: SuperSim,
    fleet: Fleet,
    per_hour: tuple[int, int],
    context: OperationContext,
) -> SuperSimDataSession:
    profile = tx.supersim.access_profiles.get(fleet.network_access_profile_sid)
    sids = () if profile is None else profile.network_sids
    network = context.simulation.network_for(sim.iccid, sids)
    return SuperSimDataSession(
        sid=context.sid(SidKind.DATA_SESSION),
        account_sid=sim.account_sid,
        sim_sid=sim.sid,
        fleet_sid=fleet.sid,
        network_sid=network.sid,
        iso_country=network.iso_country,
        upload_per_hour=per_hour[0],
        download_per_hour=per_hour[1],
        date_created=context.now,
    )


def _bytes_left(tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext) -> int:
    period = current_period(tx, sim, context.now)
    since = context.now if period is None else period.start_time
    return fleet.data_limit * MEGABYTE - used_since(
        tx.supersim.sessions, sim.sid, since, context.now
    )
