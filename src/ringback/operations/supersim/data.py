"""How much data SIMs use: sessions while they are connected, up to their fleet's limit."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ringback.core.errors import Invalid
from ringback.core.metering import MEGABYTE, total_between, when_used
from ringback.core.periods import HOUR
from ringback.core.sids import Kind
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import Sim
from ringback.core.supersim.usage import DataSession, UsageQuery
from ringback.operations.moment import Moment
from ringback.operations.supersim.billing import current_period
from ringback.ports import Transaction, Window

_AN_INSTANT: Final = timedelta(microseconds=1)
MOST_AT_ONCE: Final = 1_000_000_000
"""Bytes that a device can use at once, each way."""


def plan_data(tx: Transaction, sim: Sim, moment: Moment) -> None:
    """Have the SIM use data from now on as its status and its fleet let it."""
    for session in tx.supersim.sessions.of_sim(sim.sid, since=moment.now):
        tx.supersim.sessions.end(session.sid, moment.now)
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    if fleet is None or not sim.is_connected or not fleet.data_enabled:
        return
    per_hour = moment.simulation.data_per_hour(sim.iccid)
    if per_hour == (0, 0):
        return
    left = _bytes_left(tx, sim, fleet, moment)
    if left > 0:
        session = _session(tx, sim, fleet, per_hour, moment)
        tx.supersim.sessions.add(session)
        _end_at_the_limit(tx, session, left, moment)


def use_data(
    tx: Transaction, sim: Sim, fleet: Fleet, *, upload: int, download: int, moment: Moment
) -> None:
    """Have a SIM use this much at once; raises Invalid where its fleet's limit forbids it."""
    left = _bytes_left(tx, sim, fleet, moment)
    if upload + download > left:
        raise Invalid(
            f"SIM {sim.sid} may use {max(left, 0)} more bytes in this Billing Period:"
            f" the DataLimit of Fleet {fleet.sid} is {fleet.data_limit} MB",
            code=83600,
        )
    # In the last instant, so that it is seen at once; so many an hour, for so short a time.
    instants = HOUR // _AN_INSTANT
    burst = _session(tx, sim, fleet, (upload * instants, download * instants), moment)
    began = moment.now - _AN_INSTANT
    tx.supersim.sessions.add(replace(burst, date_created=began, date_ended=moment.now))
    for session in tx.supersim.sessions.of_sim(sim.sid, since=moment.now):
        _end_at_the_limit(tx, session, left - upload - download, moment)


def is_out_of_data(tx: Transaction, sim: Sim, fleet: Fleet, moment: Moment) -> bool:
    """Whether a SIM has used all that its fleet lets it use in this Billing Period."""
    return _bytes_left(tx, sim, fleet, moment) <= 0


def used_since(tx: Transaction, sim: Sim, since: datetime, now: datetime) -> int:
    """Return how many bytes a SIM has used from an instant on, up and down together.

    What its device used at once in that very instant counts, though it is dated to the one before.
    """
    before = since - _AN_INSTANT
    sessions = tx.supersim.sessions.of_sim(sim.sid, since=before)
    at_once = [session for session in sessions if session.date_created == before]
    others = [session for session in sessions if session.date_created != before]
    return total_between(at_once, before, now) + total_between(others, since, now)


def sessions_of(
    tx: Transaction, account_sid: str, query: UsageQuery, window: Window
) -> list[DataSession]:
    """Return one page of the sessions that a query is about."""
    return tx.supersim.sessions.between(account_sid, query.filters, query.start, query.end, window)


def _session(
    tx: Transaction, sim: Sim, fleet: Fleet, per_hour: tuple[int, int], moment: Moment
) -> DataSession:
    profile = tx.supersim.access_profiles.get(fleet.network_access_profile_sid)
    sids = () if profile is None else profile.network_sids
    network = moment.simulation.network_for(sim.iccid, sids)
    return DataSession(
        sid=moment.sid(Kind.DATA_SESSION),
        account_sid=sim.account_sid,
        sim_sid=sim.sid,
        fleet_sid=fleet.sid,
        network_sid=network.sid,
        iso_country=network.iso_country,
        upload_per_hour=per_hour[0],
        download_per_hour=per_hour[1],
        date_created=moment.now,
    )


def _end_at_the_limit(tx: Transaction, session: DataSession, left: int, moment: Moment) -> None:
    reached = when_used(left, session, since=moment.now)
    if reached is not None:
        tx.supersim.sessions.end(session.sid, reached)


def _bytes_left(tx: Transaction, sim: Sim, fleet: Fleet, moment: Moment) -> int:
    period = current_period(tx, sim, moment.now)
    since = moment.now if period is None else period.start_time
    return fleet.data_limit * MEGABYTE - used_since(tx, sim, since, moment.now)
