"""Registering, finding and updating SIMs."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.callback import Callback, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid, NotFound
from ringback.core.sids import SID_BYTES, Kind, make_sid
from ringback.core.sim import (
    AlreadySo,
    Assigned,
    Sim,
    SimStatus,
    Unchanged,
    Underway,
    plan_change,
)
from ringback.core.sim_update import SimUpdate, event_of
from ringback.core.source import Transition
from ringback.ports import Chance, Intake, SimFilter, Transaction, Window

_ICCID: Final = re.compile(r"89[0-9]{16,20}")
_REGISTRATION_CODE: Final = re.compile(r"[A-Za-z0-9]{10}")


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What an update asks for; None stands for what it doesn't mention."""

    unique_name: str | None = None
    """Empty to take the name away."""
    status: SimStatus | None = None
    fleet: str | None = None
    """The SID or the unique name of a fleet."""
    callback_url: CallbackUrl | None = None
    callback_method: Method = Method.POST


@dataclass(frozen=True, slots=True)
class Updated:
    """The SIM as an update leaves it, and whether the network is still carrying a change out."""

    sim: Sim
    is_underway: bool


def register_sim(
    tx: Transaction,
    account_sid: str,
    *,
    iccid: str,
    registration_code: str,
    now: datetime,
    chance: Chance,
) -> Sim:
    """Take a SIM into an account; it is `new` and has no fleet.

    Raises Invalid where the card isn't registrable (83002) or registered already (83003).
    """
    if not _ICCID.fullmatch(iccid) or not _REGISTRATION_CODE.fullmatch(registration_code):
        raise Invalid(
            f"Iccid {iccid!r} can't be registered with this RegistrationCode; an ICCID is 18 to 22"
            " digits that begin with 89, a registration code 10 letters and digits",
            code=83002,
        )
    known = tx.sims.with_iccid(iccid)
    if known is not None:
        raise _already_registered(known, account_sid)
    sim = Sim(
        sid=make_sid(Kind.SIM, chance.bytes(SID_BYTES)),
        account_sid=account_sid,
        iccid=iccid,
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
        date_created=now,
        date_updated=now,
    )
    tx.sims.add(sim)
    return sim


def fetch_sim(tx: Transaction, account_sid: str, sid_or_name: str) -> Sim:
    """Return a SIM by its SID or unique name.

    Raises NotFound where the account has none such.
    """
    sim = tx.sims.find(account_sid, sid_or_name)
    if sim is None:
        raise NotFound(f"there is no SIM with the SID or unique name {sid_or_name!r}")
    return sim


def list_sims(
    tx: Transaction,
    account_sid: str,
    window: Window,
    *,
    status: SimStatus | None = None,
    fleet: str | None = None,
    iccid: str | None = None,
) -> list[Sim]:
    """Return one page of an account's SIMs, newest first; a fleet that isn't there has none."""
    fleet_sid = None
    if fleet is not None:
        found = tx.fleets.find(account_sid, fleet)
        if found is None:
            return []
        fleet_sid = found.sid
    return tx.sims.page(account_sid, SimFilter(status, fleet_sid, iccid), window)


def update_sim(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    asked: UpdateRequest,
    *,
    takes: timedelta,
    transition: Transition,
    now: datetime,
    chance: Chance,
    intake: Intake,
) -> Updated:
    """Change a SIM's name at once, and have the network change its status or fleet.

    Who gave a callback URL is called back when the change has been carried out, and at once where
    the SIM is already as asked. A new name, and the first fleet of a new SIM, call nobody back.
    Raises NotFound, Conflict or Invalid (83006, 83007, 83008, 83010, 83011), and changes nothing.
    """
    sim = _named(tx, fetch_sim(tx, account_sid, sid_or_name), asked.unique_name, now)
    fleet_sid = _fleet_sid(tx, account_sid, asked.fleet)
    change = plan_change(sim, status=asked.status, fleet_sid=fleet_sid)
    match change:
        case Unchanged():
            pass
        case Assigned(assigned):
            sim = replace(sim, fleet_sid=assigned, date_updated=now)
        case AlreadySo():
            callback = _callback_of(sim, asked, transition=transition, now=now, chance=chance)
            if callback is not None:
                intake.take(tx, callback)
        case Underway():
            tx.sims.begin_update(_update_of(sim, change, asked, due=now + takes))
            sim = replace(sim, status=SimStatus.SCHEDULED, date_updated=now)
        case _:
            assert_never(change)
    tx.sims.save(sim)
    return Updated(sim, isinstance(change, Underway))


def _already_registered(known: Sim, account_sid: str) -> Invalid:
    if known.account_sid == account_sid:
        return Invalid(
            f"Iccid {known.iccid} is already registered on this account, as {known.sid}", code=83003
        )
    return Invalid(f"Iccid {known.iccid} can't be registered on this account", code=83002)


def _named(tx: Transaction, sim: Sim, unique_name: str | None, now: datetime) -> Sim:
    if unique_name is None:
        return sim
    holder = tx.sims.find(sim.account_sid, unique_name) if unique_name else None
    if holder is not None and holder.sid != sim.sid:
        raise Invalid(f"UniqueName {unique_name!r} already belongs to SIM {holder.sid}", code=83011)
    return replace(sim, unique_name=unique_name or None, date_updated=now)


def _fleet_sid(tx: Transaction, account_sid: str, fleet: str | None) -> str | None:
    if fleet is None:
        return None
    if not fleet:
        raise Invalid("Fleet is empty; a SIM's Fleet can be replaced, not removed", code=83008)
    found = tx.fleets.find(account_sid, fleet)
    if found is None:
        raise Invalid(f"there is no Fleet with the SID or unique name {fleet!r}", code=83006)
    return found.sid


def _callback_of(
    sim: Sim,
    asked: UpdateRequest,
    *,
    transition: Transition,
    now: datetime,
    chance: Chance,
) -> Callback | None:
    """Return the callback that tells of a SIM which is already as asked, where one is asked for."""
    if asked.callback_url is None:
        return None
    return announce(
        event_of(sim),
        to=asked.callback_url,
        method=asked.callback_method,
        transition=transition,
        chance=chance.bytes(ANNOUNCEMENT_BYTES),
        now=now,
    )


def _update_of(sim: Sim, change: Underway, asked: UpdateRequest, *, due: datetime) -> SimUpdate:
    return SimUpdate(
        sim_sid=sim.sid,
        account_sid=sim.account_sid,
        from_status=sim.status,
        to_status=change.status,
        to_fleet_sid=change.fleet_sid,
        callback_url=asked.callback_url,
        callback_method=asked.callback_method,
        due=due,
    )
