"""Simulates the data sessions of connected Super SIMs, up to the data limits of their fleets."""

from dataclasses import replace
from typing import assert_never

from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.sims.mobile_networks import MobileNetwork
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    CarrierFailure,
    CarrierResult,
    CarrierSucceeded,
    CarrierTimeout,
    NetworkScenario,
)
from ringback.core.supersim.connection_event import REFUSED_STATUSES
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import SuperSimDataSession, UsageQuery
from ringback.operations.context import OperationContext
from ringback.operations.metering import add_burst, end_sessions, end_when_used, used_since
from ringback.operations.supersim.billing import current_period
from ringback.operations.supersim.connection_events import ConnectionReporter
from ringback.ports import PageWindow, RecordPage, Transaction


def plan_data(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """End a SIM's data sessions, and begin a new one if its status and fleet allow data.

    The end of the new session is set at once: the time at which the data limit will be reached. A
    device that had no session has to attach first.
    """
    reporter = ConnectionReporter.of(tx, sim, context)
    was_running = _end_running(reporter)
    fleet = _fleet_of(reporter)
    if fleet is None or not sim.is_connected:
        return
    left = _bytes_for_session(reporter, fleet)
    if left > 0:
        network = _network_of(reporter, fleet)
        if was_running or _ask_to_attach(reporter, network) == CARRIED_OUT:
            _begin(reporter, fleet, network, left)


def plan_attachment(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Do the same for a SIM that has become connected, or has another fleet: its device attaches.

    If nobody would notice, because it uses no data and no events are published, it does not.
    """
    reporter = ConnectionReporter.of(tx, sim, context)
    uses_data = context.simulation.data_per_hour(sim.iccid) != (0, 0)
    if sim.is_connected and (reporter.is_heard or uses_data):
        _attach(reporter)
    else:
        _end_running(reporter)


def attach(
    tx: Transaction, sim: SuperSim, context: OperationContext
) -> tuple[ConnectionReporter, CarrierResult]:
    """Let a SIM's device attach to the network anew, and begin a data session if it may use data.

    Its data session ends before. Returns what was published, and how the attempt has ended.
    """
    reporter = ConnectionReporter.of(tx, sim, context)
    return reporter, _attach(reporter)


def detach(tx: Transaction, sim: SuperSim, context: OperationContext) -> ConnectionReporter:
    """Let a SIM's device leave the network, which ends its data session; return what is published.

    The next session begins when the device attaches again, or when its SIM's status, fleet or
    Billing Period changes.
    """
    reporter = ConnectionReporter.of(tx, sim, context)
    _end_running(reporter)
    return reporter


def report_data(tx: Transaction, sim: SuperSim, context: OperationContext) -> ConnectionReporter:
    """Report the usage of a SIM's running data session to event streams before that is due.

    Returns what is published. Raises InvalidParameter if no session is running.
    """
    if not tx.supersim.sessions.of_sim(sim.sid, since=context.now):
        raise InvalidParameter(
            f"SIM {sim.sid} has no running data session; let its device attach first", code=83401
        )
    reporter = ConnectionReporter.of(tx, sim, context)
    reporter.report_now()
    return reporter


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
    reporter = ConnectionReporter.of(tx, sim, context)
    if reporter.is_heard:
        reporter.follow_running()
    running = sessions.of_sim(sim.sid, since=context.now)
    session = _session(reporter, fleet, _network_of(reporter, fleet), (0, 0))
    burst = add_burst(sessions, session, upload=upload, download=download, now=context.now)
    for each in running:
        end_when_used(sessions, each, left - upload - download, context.now)
    if not running:
        reporter.burst(burst)
    elif reporter.is_heard:
        reporter.catch_up()


def is_out_of_data(tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext) -> bool:
    """Return True if a SIM has used up its fleet's data limit in this Billing Period."""
    return _bytes_left(tx, sim, fleet, context) <= 0


def sessions_of(
    tx: Transaction, account_sid: str, query: UsageQuery, window: PageWindow
) -> RecordPage[SuperSimDataSession]:
    """Return one page of the account's data sessions that match a usage query."""
    return tx.supersim.sessions.between(account_sid, query.filters, query.start, query.end, window)


def _attach(reporter: ConnectionReporter) -> CarrierResult:
    _end_running(reporter)
    sim, fleet = reporter.sim, _fleet_of(reporter)
    network = _network_of(reporter, fleet)
    if sim.status in REFUSED_STATUSES:
        refusal = REFUSED_STATUSES[sim.status]
        reporter.refused(refusal, network)
        return refusal
    result = _ask_to_attach(reporter, network)
    if fleet is None or result != CARRIED_OUT:
        return result
    left = _bytes_for_session(reporter, fleet)
    return result if left <= 0 else _begin(reporter, fleet, network, left)


def _ask_to_attach(reporter: ConnectionReporter, network: MobileNetwork) -> CarrierResult:
    """Let the simulated network decide whether a device may attach, and publish the decision."""
    result = _scenario_of(reporter).attachment
    match result:
        case CarrierSucceeded():
            reporter.attached(network)
        case CarrierFailure():
            reporter.refused(result, network)
        case CarrierTimeout():
            pass
        case _:
            assert_never(result)
    return result


def _begin(
    reporter: ConnectionReporter, fleet: Fleet, network: MobileNetwork, left: int
) -> CarrierResult:
    """Begin a data session for the `left` bytes of the data limit, unless the scenario forbids."""
    tx, sim, context = reporter.tx, reporter.sim, reporter.context
    result = _scenario_of(reporter).data_session
    if isinstance(result, CarrierFailure):
        reporter.refused(result, network)
        return result
    per_hour = context.simulation.data_per_hour(sim.iccid)
    session = _session(reporter, fleet, network, per_hour)
    tx.supersim.sessions.add(session)
    reached = end_when_used(tx.supersim.sessions, session, left, context.now)
    reporter.began(replace(session, date_ended=reached))
    return result


def _end_running(reporter: ConnectionReporter) -> bool:
    """End a SIM's running data session, and return True if there was one."""
    if reporter.is_heard:
        reporter.catch_up_at_once()
    ended = end_sessions(reporter.tx.supersim.sessions, reporter.sim.sid, reporter.context.now)
    for session in ended:
        reporter.ended(session)
    return bool(ended)


def _bytes_for_session(reporter: ConnectionReporter, fleet: Fleet) -> int:
    """Return how many bytes a data session can use; 0 if none is to begin.

    A session that uses no data begins only if events about it are published.
    """
    tx, sim, context = reporter.tx, reporter.sim, reporter.context
    uses_data = context.simulation.data_per_hour(sim.iccid) != (0, 0)
    if not fleet.data_enabled or not (uses_data or reporter.is_heard):
        return 0
    return max(0, _bytes_left(tx, sim, fleet, context))


def _scenario_of(reporter: ConnectionReporter) -> NetworkScenario:
    sim = reporter.sim
    return reporter.context.in_force(reporter.tx, sim.account_sid, sim).scenario


def _fleet_of(reporter: ConnectionReporter) -> Fleet | None:
    sid = reporter.sim.fleet_sid
    return None if sid is None else reporter.tx.supersim.fleets.get(sid)


def _network_of(reporter: ConnectionReporter, fleet: Fleet | None) -> MobileNetwork:
    """Return the network that a SIM's device uses, one of those that its fleet allows."""
    profiles = reporter.tx.supersim.access_profiles
    profile = None if fleet is None else profiles.get(fleet.network_access_profile_sid)
    allowed = () if profile is None else profile.network_sids
    return reporter.context.simulation.network_for(reporter.sim.iccid, allowed)


def _session(
    reporter: ConnectionReporter, fleet: Fleet, network: MobileNetwork, per_hour: tuple[int, int]
) -> SuperSimDataSession:
    return SuperSimDataSession(
        sid=reporter.context.sid(SidKind.DATA_SESSION),
        account_sid=reporter.sim.account_sid,
        sim_sid=reporter.sim.sid,
        fleet_sid=fleet.sid,
        network_sid=network.sid,
        iso_country=network.iso_country,
        upload_per_hour=per_hour[0],
        download_per_hour=per_hour[1],
        date_created=reporter.context.now,
    )


def _bytes_left(tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext) -> int:
    period = current_period(tx, sim, context.now)
    since = context.now if period is None else period.start_time
    return fleet.data_limit * MEGABYTE - used_since(
        tx.supersim.sessions, sim.sid, since, context.now
    )
