"""Register, find and update Super SIMs."""

import re
from dataclasses import dataclass, replace
from typing import Final, assert_never

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.sims.simulated_network import device_address
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.sim import (
    FleetAssigned,
    SimStatus,
    SuperSim,
    SuperSimAlreadyInState,
    SuperSimUpdateRequired,
    plan_change,
)
from ringback.operations.accounts import check_transfer
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_named, list_of, named_in
from ringback.operations.supersim.fleets import fleet_named
from ringback.operations.unique_names import check_name_is_free
from ringback.ports import PageWindow, Transaction, U

_ICCID: Final = re.compile(r"89[0-9]{16,20}")
_REGISTRATION_CODE: Final = re.compile(r"[A-Za-z0-9]{10}")


@dataclass(frozen=True, slots=True)
class SuperSimUpdateRequest:
    """The parameters of a request to update a SIM; None for those left out."""

    unique_name: str | None = None
    """The new name; empty to remove the name."""
    status: SimStatus | None = None
    fleet: str | None = None
    """The SID or unique name of a fleet."""
    account_sid: str | None = None
    """The SID of the account to move the SIM to."""
    callback: CallbackTarget = NO_TARGET


@dataclass(frozen=True, slots=True)
class UpdatedSuperSim:
    """The SIM after an update request, and whether the network is still carrying out a change."""

    sim: SuperSim
    is_underway: bool


def register_sim(
    tx: Transaction,
    account_sid: str,
    *,
    iccid: str,
    registration_code: str,
    context: OperationContext,
) -> SuperSim:
    """Register a SIM for an account; it is `new` and has no fleet.

    Raises InvalidParameter if the card can't be registered (83002) or is registered already
    (83003).
    """
    if not _ICCID.fullmatch(iccid) or not _REGISTRATION_CODE.fullmatch(registration_code):
        raise InvalidParameter(
            f"Iccid {iccid!r} can't be registered with this RegistrationCode; an ICCID is 18 to 22"
            " digits that begin with 89, a registration code 10 letters and digits",
            code=83002,
        )
    known = tx.supersim.sims.first({"iccid": iccid})
    if known is not None:
        raise _already_registered(known, account_sid)
    sim = add_sim(tx, account_sid, iccid=iccid, context=context)
    context.record_of(tx, "CreateSim", after=sim)
    return sim


def add_sim(
    tx: Transaction, account_sid: str, *, iccid: str, context: OperationContext
) -> SuperSim:
    """Save a new SIM with a free address for its device, and return the SIM.

    Raises InvalidParameter if no device address is free (83000).
    """
    sim = SuperSim(
        **context.record_fields(SidKind.SIM, account_sid),
        iccid=iccid,
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
        device_ip=_free_address(tx, iccid, context),
    )
    tx.supersim.sims.add(sim)
    return sim


def fetch_sim(tx: Transaction, account_sid: str, sid_or_name: str) -> SuperSim:
    """Return the account's SIM with this SID or unique name; raises NotFound if there is none."""
    return fetch_named(tx.supersim.sims, account_sid, sid_or_name, "SIM")


def sim_named(tx: Transaction, account_sid: str, sid_or_name: str) -> SuperSim:
    """Return the SIM that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is no such SIM (83005).
    """
    return named_in(tx.supersim.sims, account_sid, ("Sim", sid_or_name), "SIM", code=83005)


def with_sim(tx: Transaction, record: U | None) -> tuple[U, SuperSim] | None:
    """Return a record with its SIM, or None if either of them is gone."""
    sim = None if record is None else tx.supersim.sims.get(record.sim_sid)
    return None if record is None or sim is None else (record, sim)


def list_sims(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[SuperSim]:
    """Return one page of an account's SIMs, newest first.

    `given` has the field values to filter by, and `fleet`, the SID or unique name of a fleet. For
    an unknown fleet, the page is empty.
    """
    return list_of(tx.supersim.sims, account_sid, window, given, fleet=tx.supersim.fleets)


def update_sim(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    asked: SuperSimUpdateRequest,
    context: OperationContext,
) -> UpdatedSuperSim:
    """Change a SIM's name and account at once, and let the network change its status or fleet.

    The callback URL gets a callback when the network has carried out the change, or at once if the
    SIM already has this status and fleet. A new name causes no callback; nor does a new SIM's first
    fleet.

    Raises NotFound, Conflict or InvalidParameter (83006, 83007, 83008, 83010, 83011), and then
    changes nothing.
    """
    found = fetch_sim(tx, account_sid, sid_or_name)
    sim = _named(_moved(tx, found, asked.account_sid, context), asked.unique_name, context)
    if sim is not found:
        check_name_is_free(tx.supersim.sims, sim.account_sid, sim.unique_name, sim.sid)
    fleet_sid = _fleet_sid(tx, sim.account_sid, asked.fleet)
    change = plan_change(sim, status=asked.status, fleet_sid=fleet_sid)
    match change:
        case None:
            pass
        case FleetAssigned(assigned):
            sim = replace(sim, fleet_sid=assigned, date_updated=context.now)
        case SuperSimAlreadyInState():
            context.emit(tx, SimUpdated.of(sim), asked.callback)
        case SuperSimUpdateRequired():
            tx.supersim.sim_updates.add(_update_of(sim, change, asked))
            context.begin_step(tx, TaskKind.UPDATE_SIM, sim, sim)
            sim = replace(sim, status=SimStatus.SCHEDULED, date_updated=context.now)
        case _:
            assert_never(change)
    sim = context.as_asked(sim)
    tx.supersim.sims.save(sim)
    return UpdatedSuperSim(sim, isinstance(change, SuperSimUpdateRequired))


def _already_registered(known: SuperSim, account_sid: str) -> InvalidParameter:
    if known.account_sid == account_sid:
        return InvalidParameter(
            f"Iccid {known.iccid} is already registered on this account, as {known.sid}", code=83003
        )
    return InvalidParameter(f"Iccid {known.iccid} can't be registered on this account", code=83002)


def _free_address(tx: Transaction, iccid: str, context: OperationContext) -> str:
    devices = context.simulation.devices
    for turn in range(devices.num_addresses):
        address = device_address(iccid, devices, turn=turn)
        if tx.supersim.sims.first({"device_ip": address}) is None:
            return address
    raise InvalidParameter(
        f"all addresses for devices in {devices} are taken; the operator can set a larger network",
        code=83000,
    )


def _moved(
    tx: Transaction, sim: SuperSim, account_sid: str | None, context: OperationContext
) -> SuperSim:
    """Return the SIM as it is after a move to the account `account_sid`, without a fleet.

    If `account_sid` is None, the SIM is unchanged.
    """
    if account_sid is None or account_sid == sim.account_sid:
        return sim
    check_transfer(tx, sim, account_sid, not_permitted=20409, not_new=83010)
    return replace(sim, account_sid=account_sid, fleet_sid=None, date_updated=context.now)


def _named(sim: SuperSim, unique_name: str | None, context: OperationContext) -> SuperSim:
    if unique_name is None:
        return sim
    return replace(sim, unique_name=unique_name or None, date_updated=context.now)


def _fleet_sid(tx: Transaction, account_sid: str, fleet: str | None) -> str | None:
    if fleet is None:
        return None
    if not fleet:
        raise InvalidParameter(
            "Fleet is empty, but a SIM's Fleet can only be replaced, not removed;"
            " give another Fleet",
            code=83008,
        )
    return fleet_named(tx, account_sid, fleet).sid


def _update_of(
    sim: SuperSim, change: SuperSimUpdateRequired, asked: SuperSimUpdateRequest
) -> PendingSuperSimUpdate:
    return PendingSuperSimUpdate(
        sim_sid=sim.sid,
        account_sid=sim.account_sid,
        from_status=sim.status,
        to_status=change.status,
        to_fleet_sid=change.fleet_sid,
        callback=asked.callback,
    )
