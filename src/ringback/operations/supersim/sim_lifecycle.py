"""The life cycle of Super SIMs: changes of status or fleet, activation and Billing Periods."""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.sims.auto_activation import when_active
from ringback.core.sims.scenario import CarrierResult, TaskKind
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate, finish, moved
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.metering import used_since
from ringback.operations.supersim.billing import begin_period, renew_period
from ringback.operations.supersim.data_sessions import plan_attachment, plan_data
from ringback.operations.supersim.settings_updates import schedule_settings
from ringback.operations.supersim.sims import with_sim
from ringback.ports import Transaction


def find_update(tx: Transaction, sid: str) -> tuple[PendingSuperSimUpdate, SuperSim] | None:
    """Return a SIM's pending change and the SIM, or None if either is gone."""
    return with_sim(tx, tx.supersim.sim_updates.get(sid))


def find_sim(tx: Transaction, sid: str) -> SuperSim | None:
    """Return the Super SIM with this SID, or None if it is gone."""
    return tx.supersim.sims.get(sid)


def end_update(
    tx: Transaction,
    found: tuple[PendingSuperSimUpdate, SuperSim],
    result: CarrierResult,
    context: OperationContext,
) -> None:
    """Save the result of a SIM's change of status or fleet, and send a callback about it."""
    update, sim = found
    tx.supersim.sim_updates.remove(sim.sid)
    finished, event = finish(sim, update, result, context.now)
    tx.supersim.sims.save(finished)
    before = replace(sim, status=update.from_status)
    is_same = before.is_connected and before.fleet_sid == finished.fleet_sid
    # Needed after a failed change, too: the SIM's activation may have come due meanwhile.
    follow(tx, finished, context, plan_data if is_same else plan_attachment)
    context.emit(tx, event, update.callback)


def activate(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Make a SIM `active` if it is still `ready`, at the time that `plan_activation` scheduled."""
    if sim.status is SimStatus.READY:
        sim = moved(sim, SimStatus.ACTIVE, context.now)
        tx.supersim.sims.save(sim)
        follow(tx, sim, context, plan_data)


def renew(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Begin a SIM's next Billing Period, in which its fleet's data limit starts anew."""
    sim = as_it_still_is(tx, sim)
    renew_period(tx, sim, context)
    plan_data(tx, sim, context)


def follow(
    tx: Transaction,
    sim: SuperSim,
    context: OperationContext,
    connect: Callable[[Transaction, SuperSim, OperationContext], None] = plan_attachment,
) -> None:
    """Adjust a SIM's billing, data sessions, settings and activation to its new status or fleet.

    `connect` plans the data session; the default also lets the device attach.
    """
    # The order matters: the data limit depends on the period, and the activation on the data.
    begin_period(tx, sim, context)
    connect(tx, sim, context)
    plan_activation(tx, sim, context)
    if sim.is_connected:
        schedule_settings(tx, sim, context)


def plan_activation(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Schedule a `ready` SIM to become `active` after enough time, data usage or messages."""
    if sim.status is not SimStatus.READY or sim.ready_since is None:
        tx.tasks.drop(sim.sid, TaskKind.ACTIVATE_SIM)
        return
    due = when_active(
        sim.ready_since,
        context.now,
        used=used_since(tx.supersim.sessions, sim.sid, sim.ready_since, context.now),
        messages=sim.sms_while_ready,
        sessions=tx.supersim.sessions.of_sim(sim.sid, since=context.now),
    )
    context.put_off(tx, TaskKind.ACTIVATE_SIM, sim, due)


def as_it_still_is(tx: Transaction, sim: SuperSim) -> SuperSim:
    """Return a SIM with the status it has in the network: during a change, the old status."""
    update = tx.supersim.sim_updates.get(sim.sid)
    return sim if update is None else replace(sim, status=update.from_status)
