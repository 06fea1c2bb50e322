"""Register, find, update, reset and delete Programmable Wireless SIMs."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple, assert_never

from ringback.core.callback_urls.callback_target import (
    NO_TARGET,
    CallbackTarget,
    CallbackTargetUpdate,
)
from ringback.core.errors import WIRELESS, Conflict, InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.sim import (
    CHANGING,
    DELETABLE,
    WirelessSim,
    WirelessSimAlreadyInState,
    WirelessSimUpdateRequired,
    WirelessStatus,
    plan_change,
)
from ringback.operations.accounts import check_transfer
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_named, list_of, named_in
from ringback.operations.metering import end_sessions
from ringback.operations.unique_names import check_name_is_free
from ringback.operations.wireless.rate_plans import rate_plan_named
from ringback.ports import PageWindow, Transaction

_ICCID: Final = re.compile(r"89[0-9]{16,20}")
_NOTHING: Final[Mapping[str, str]] = {}
_STEPS: Final = (
    TaskKind.TAKE_ON_CHANGE,
    TaskKind.CHANGE_SIM,
    TaskKind.FINALIZE_SIM,
    TaskKind.RESET_SIM,
    TaskKind.METER_SIM,
)


class SimCardRegistration(NamedTuple):
    """The data to register a SIM card for an account; the vendors' API has no such operation."""

    iccid: str
    registration_code: str | None = None
    eid: str | None = None
    is_narrowband: bool = False


class WirelessUpdateRequest(NamedTuple):
    """The parameters of a request to update a SIM; None for those left out."""

    unique_name: str | None = None
    """The new name; empty to remove the name."""
    friendly_name: str | None = None
    status: WirelessStatus | None = None
    rate_plan: str | None = None
    """The SID or unique name of a rate plan; empty to remove the SIM's plan."""
    resets: bool = False
    """True to reset the SIM's connectivity."""
    account_sid: str | None = None
    """The SID of the account to move the SIM to."""
    commands_to: CallbackTargetUpdate = CallbackTargetUpdate()
    handlers: Mapping[str, str] = _NOTHING
    """The deprecated URLs and methods to change, by parameter; an empty text removes one."""
    told: CallbackTarget = NO_TARGET
    """The URL that gets a callback when the change or the reset is over."""


def register_sim(
    tx: Transaction, account_sid: str, card: SimCardRegistration, context: OperationContext
) -> WirelessSim:
    """Register a SIM card for an account; its SIM is `new` and has no rate plan.

    Raises InvalidParameter if the ICCID is malformed, or registered already (33101).
    """
    if not _ICCID.fullmatch(card.iccid):
        raise InvalidParameter(
            f"Iccid={card.iccid!r}: an ICCID is 18 to 22 digits that begin with 89",
            code=WIRELESS.invalid,
        )
    if tx.wireless.sims.first({"iccid": card.iccid}) is not None:
        raise InvalidParameter(f"Iccid {card.iccid} is registered already", code=WIRELESS.invalid)
    sim = WirelessSim(**context.record_fields(SidKind.WIRELESS_SIM, account_sid), **card._asdict())
    tx.wireless.sims.add(sim)
    context.record_of(tx, "RegisterWirelessSim", after=sim)
    return sim


def fetch_sim(tx: Transaction, account_sid: str, sid_or_name: str) -> WirelessSim:
    """Return the account's SIM with this SID or unique name; raises NotFound if there is none."""
    return fetch_named(tx.wireless.sims, account_sid, sid_or_name, "SIM")


def sim_named(tx: Transaction, account_sid: str, sid_or_name: str) -> WirelessSim:
    """Return the SIM that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is no such SIM (33107).
    """
    sims, given = tx.wireless.sims, ("Sim", sid_or_name)
    return named_in(sims, account_sid, given, "SIM", code=33107)


def list_sims(
    tx: Transaction,
    account_sid: str,
    window: PageWindow,
    *,
    e_id: str | None = None,
    sim_registration_code: str | None = None,
    **given: str | None,
) -> list[WirelessSim]:
    """Return one page of an account's SIMs, newest first.

    `given` has further field values to filter by, and `rate_plan`, the SID or unique name of a rate
    plan. For an unknown rate plan, the page is empty.
    """
    given |= {"eid": e_id, "registration_code": sim_registration_code}
    return list_of(tx.wireless.sims, account_sid, window, given, rate_plan=tx.wireless.rate_plans)


def update_sim(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    asked: WirelessUpdateRequest,
    context: OperationContext,
) -> WirelessSim:
    """Change a SIM's names and URLs at once, and let the network change status and rate plan.

    The callback URL gets a callback when the change or the reset is over, and again when the new
    status changes to its final one. New names cause no callback.

    Raises NotFound, Conflict or InvalidParameter (33010, 33101, 33104, 33105, 33108, 33119, 33120,
    33121, 33201), and then changes nothing.
    """
    found = fetch_sim(tx, account_sid, sid_or_name)
    if asked.resets:
        _check_reset(found, asked)
    sim = _noted(_moved(tx, found, asked.account_sid), asked, context)
    if (sim.account_sid, sim.unique_name) != (found.account_sid, found.unique_name):
        sims, owner = tx.wireless.sims, sim.account_sid
        check_name_is_free(sims, owner, sim.unique_name, sim.sid, codes=WIRELESS)
    sim = _changed(tx, sim, asked, context)
    if asked.resets:
        sim = _resetting(tx, sim, asked.told, context)
    sim = context.as_asked(sim)
    tx.wireless.sims.save(sim)
    return sim


def delete_sim(
    tx: Transaction, account_sid: str, sid_or_name: str, context: OperationContext
) -> None:
    """Delete a SIM; its Commands and usage stay, and the SIM causes no more callbacks.

    Raises NotFound if there is no such SIM, Conflict while a change is under way (33010), and
    InvalidParameter if the SIM's status does not allow its deletion (33105).
    """
    sim = fetch_sim(tx, account_sid, sid_or_name)
    if sim.status in CHANGING:
        raise Conflict(
            f"SIM {sim.sid} is {sim.status}: wait until its current change is"
            " done before you delete it",
            code=33010,
        )
    if sim.status not in DELETABLE:
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status} and can't be deleted; only a SIM"
            f" that is {' or '.join(DELETABLE)} can",
            code=33105,
        )
    for step in _STEPS:
        tx.tasks.drop(sim.sid, step)
    end_sessions(tx.wireless.sessions, sim.sid, context.now)
    tx.scenarios.put(sim.sid, None)
    tx.wireless.sims.remove(sim.sid)
    context.record_of(tx, "DeleteSim", before=sim)


def _moved(tx: Transaction, sim: WirelessSim, account_sid: str | None) -> WirelessSim:
    """Return the SIM as it is after a move to the account `account_sid`, without a rate plan.

    If `account_sid` is None, the SIM is unchanged.
    """
    if account_sid is None or account_sid == sim.account_sid:
        return sim
    check_transfer(tx, sim, account_sid, not_permitted=33201, not_new=33201)
    return replace(sim, account_sid=account_sid, rate_plan_sid=None)


def _noted(
    sim: WirelessSim, asked: WirelessUpdateRequest, context: OperationContext
) -> WirelessSim:
    """Return the SIM with its new names and callback URLs, which need no change in the network."""
    sim = replace(sim, date_updated=context.now)
    if asked.unique_name is not None:
        sim = replace(sim, unique_name=asked.unique_name or None)
    if asked.friendly_name is not None:
        sim = replace(sim, friendly_name=asked.friendly_name or None)
    handlers = {**sim.handlers, **asked.handlers}
    return replace(
        sim,
        commands_to=asked.commands_to.after(sim.commands_to),
        handlers={name: text for name, text in handlers.items() if text},
    )


def _changed(
    tx: Transaction, sim: WirelessSim, asked: WirelessUpdateRequest, context: OperationContext
) -> WirelessSim:
    """Begin the requested change of status or rate plan, if any, and return the SIM."""
    rate_plan_sid = _rate_plan_sid(tx, sim, asked.rate_plan)
    change = plan_change(sim, status=asked.status, rate_plan_sid=rate_plan_sid)
    match change:
        case None:
            return sim
        case WirelessSimAlreadyInState(plan_sid):
            sim = replace(sim, rate_plan_sid=plan_sid)
            context.emit(tx, SimUpdated.of(sim), asked.told)
            return sim
        case WirelessSimUpdateRequired():
            plan_sid = change.rate_plan_sid
            update = PendingWirelessSimUpdate(
                sim.sid, sim.account_sid, sim.status, change.status, plan_sid, asked.told
            )
            tx.wireless.sim_updates.add(update)
            return _begun(tx, sim, context)
        case _:
            assert_never(change)


def _rate_plan_sid(tx: Transaction, sim: WirelessSim, rate_plan: str | None) -> str | None:
    """Return the SID of the rate plan that a request gives; return empty text and None as given."""
    if not rate_plan:
        return rate_plan
    plan = rate_plan_named(tx, sim.account_sid, rate_plan)
    if sim.is_narrowband and plan.roams:
        raise InvalidParameter(
            f"SIM {sim.sid} is a Narrowband SIM, which can't have RatePlan {plan.sid} with roaming",
            code=33105,
        )
    return plan.sid


def _begun(tx: Transaction, sim: WirelessSim, context: OperationContext) -> WirelessSim:
    """Schedule a SIM's requested change, and return the SIM with its status during the change.

    The status is `scheduled` if the change first has to wait for the mobile operator, else
    `updating`.
    """
    scenario, _ = context.in_force(tx, sim.account_sid, sim)
    if scenario.wait_before(TaskKind.TAKE_ON_CHANGE):
        step, status = TaskKind.TAKE_ON_CHANGE, WirelessStatus.SCHEDULED
    else:
        step, status = TaskKind.CHANGE_SIM, WirelessStatus.UPDATING
    context.begin_step(tx, step, sim, sim)
    return replace(sim, status=status)


def _check_reset(sim: WirelessSim, asked: WirelessUpdateRequest) -> None:
    """Raise Conflict or InvalidParameter if a SIM's connectivity can't be reset now."""
    if asked.status is not None:
        raise InvalidParameter("Status and ResetStatus can't be given together", code=33121)
    if sim.is_resetting:
        raise Conflict(f"the connectivity of SIM {sim.sid} is being reset already", code=33120)
    if not sim.is_connected:
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status}; its connectivity can be reset while it is ready or"
            " active",
            code=33119,
        )


def _resetting(
    tx: Transaction, sim: WirelessSim, told: CallbackTarget, context: OperationContext
) -> WirelessSim:
    """Begin the reset of a SIM's connectivity, and return the SIM.

    The URL `told` gets a callback when the reset is over.
    """
    context.begin_step(tx, TaskKind.RESET_SIM, sim, sim)
    return replace(sim, is_resetting=True, reset_to=told)
