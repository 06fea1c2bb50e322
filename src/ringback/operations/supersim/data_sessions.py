"""How much data SIMs use: sessions while they are connected, up to their fleet's limit."""

from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.data_flow import MEGABYTE
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import SuperSimDataSession, UsageQuery
from ringback.operations.metering import add_burst, end_flows, end_when_used, used_since
from ringback.operations.moment import Moment
from ringback.operations.supersim.billing import current_period
from ringback.ports import PageRequest, RecordPage, Transaction


def plan_data(tx: Transaction, sim: SuperSim, moment: Moment) -> None:
    """Have the SIM use data from now on as its status and its fleet let it."""
    sessions = tx.supersim.sessions
    end_flows(sessions, sim.sid, moment.now)
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    if fleet is None or not sim.is_connected or not fleet.data_enabled:
        return
    per_hour = moment.simulation.data_per_hour(sim.iccid)
    left = _bytes_left(tx, sim, fleet, moment)
    if left > 0 and per_hour != (0, 0):
        session = _session(tx, sim, fleet, per_hour, moment)
        sessions.add(session)
        end_when_used(sessions, session, left, moment.now)


def use_data(
    tx: Transaction, sim: SuperSim, fleet: Fleet, *, upload: int, download: int, moment: Moment
) -> None:
    """Have a SIM use this much at once; raises Invalid where its fleet's limit forbids it."""
    sessions, left = tx.supersim.sessions, _bytes_left(tx, sim, fleet, moment)
    if upload + download > left:
        raise InvalidParameter(
            f"SIM {sim.sid} may use {max(left, 0)} more bytes in this Billing Period:"
            f" the DataLimit of Fleet {fleet.sid} is {fleet.data_limit} MB",
            code=83600,
        )
    session = _session(tx, sim, fleet, (0, 0), moment)
    add_burst(sessions, session, upload=upload, download=download, now=moment.now)
    for each in sessions.of_sim(sim.sid, since=moment.now):
        end_when_used(sessions, each, left - upload - download, moment.now)


def is_out_of_data(tx: Transaction, sim: SuperSim, fleet: Fleet, moment: Moment) -> bool:
    """Whether a SIM has used all that its fleet lets it use in this Billing Period."""
    return _bytes_left(tx, sim, fleet, moment) <= 0


def sessions_of(
    tx: Transaction, account_sid: str, query: UsageQuery, window: PageRequest
) -> RecordPage[SuperSimDataSession]:
    """Return one page of the sessions that a query is about."""
    return tx.supersim.sessions.between(account_sid, query.filters, query.start, query.end, window)


def _session(
    tx: Transaction, sim: SuperSim, fleet: Fleet, per_hour: tuple[int, int], moment: Moment
) -> SuperSimDataSession:
    profile = tx.supersim.access_profiles.get(fleet.network_access_profile_sid)
    sids = () if profile is None else profile.network_sids
    network = moment.simulation.network_for(sim.iccid, sids)
    return SuperSimDataSession(
        sid=moment.sid(SidKind.DATA_SESSION),
        account_sid=sim.account_sid,
        sim_sid=sim.sid,
        fleet_sid=fleet.sid,
        network_sid=network.sid,
        iso_country=network.iso_country,
        upload_per_hour=per_hour[0],
        download_per_hour=per_hour[1],
        date_created=moment.now,
    )


def _bytes_left(tx: Transaction, sim: SuperSim, fleet: Fleet, moment: Moment) -> int:
    period = current_period(tx, sim, moment.now)
    since = moment.now if period is None else period.start_time
    return fleet.data_limit * MEGABYTE - used_since(
        tx.supersim.sessions, sim.sid, since, moment.now
    )
