"""The life cycle of Programmable Wireless SIMs: changes, final statuses, resets and data usage."""

from dataclasses import replace

from ringback.core.callback_urls.callback_target import NO_TARGET
from ringback.core.sims.auto_activation import when_active
from ringback.core.sims.scenario import CarrierResult, TaskKind, failure_in
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate, finalize, finish
from ringback.core.wireless.sim import CANCELED_AFTER, FINAL, WirelessSim, WirelessStatus
from ringback.operations.context import OperationContext
from ringback.operations.metering import used_since
from ringback.operations.wireless.data_sessions import plan_data
from ringback.ports import Transaction

_Change = tuple[PendingWirelessSimUpdate, WirelessSim]


def find_sim(tx: Transaction, sid: str) -> WirelessSim | None:
    """Return the Programmable Wireless SIM with this SID, or None if it is gone."""
    return tx.wireless.sims.get(sid)


def find_change(tx: Transaction, sid: str) -> _Change | None:
    """Return a SIM's pending change and the SIM, or None if either is gone."""
    update, sim = tx.wireless.sim_updates.get(sid), tx.wireless.sims.get(sid)
    return None if update is None or sim is None else (update, sim)


def find_reset(tx: Transaction, sid: str) -> tuple[WirelessSim, WirelessSim] | None:
    """Return the pair (SIM, SIM), or None if the SIM is gone.

    Tasks work on a pair of a record and its SIM; for a reset, the record is the SIM itself.
    """
    sim = tx.wireless.sims.get(sid)
    return None if sim is None else (sim, sim)


def take_on(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Let the network begin a SIM's scheduled change; the SIM's status becomes `updating`."""
    if sim.status is WirelessStatus.SCHEDULED:
        updating = replace(sim, status=WirelessStatus.UPDATING, date_updated=context.now)
        tx.wireless.sims.save(updating)
        context.begin_step(tx, TaskKind.CHANGE_SIM, sim, sim)


def end_change(
    tx: Transaction, found: _Change, result: CarrierResult, context: OperationContext
) -> None:
    """Save the result of a SIM's change of status or plan, and send a callback about it."""
    update, sim = found
    tx.wireless.sim_updates.remove(sim.sid)
    done, event = finish(sim, update, result, context.now)
    tx.wireless.sims.save(done)
    context.emit(tx, event, update.told)
    follow(tx, done, context)


def end_in_final(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Change a SIM from `ready` to `active`, or from `deactivated` to `canceled`.

    The callback goes to the URL that was given when the SIM became `ready` or `deactivated`.
    """
    if sim.status not in FINAL:
        # A change is under way; this task is scheduled again when it ends.
        return
    done, event, told = finalize(sim, context.now)
    tx.wireless.sims.save(done)
    context.emit(tx, event, told)
    follow(tx, done, context)


def end_reset(
    tx: Transaction,
    found: tuple[WirelessSim, WirelessSim],
    result: CarrierResult,
    context: OperationContext,
) -> None:
    """Save that a reset of a SIM's connectivity is over, and send a callback with the result."""
    sim, _ = found
    done = replace(sim, is_resetting=False, reset_to=NO_TARGET, date_updated=context.now)
    tx.wireless.sims.save(done)
    event = SimUpdated.of(done, failure_in(result, unanswered=33000))
    context.emit(tx, event, sim.reset_to)


def meter(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Begin a SIM's next data session; called when its month ends or it reaches its data limit."""
    update = tx.wireless.sim_updates.get(sim.sid)
    # During a change, the network still has the SIM's old status.
    plan_data(tx, sim if update is None else replace(sim, status=update.from_status), context)


def follow(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Apply a SIM's new status or plan to its data sessions, and schedule its final status."""
    plan_data(tx, sim, context)
    plan_final(tx, sim, context)


def plan_final(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Schedule the change from `ready` to `active`, or from `deactivated` to `canceled`.

    A SIM that is `ready` becomes `active` after enough time, data usage or Commands.
    """
    since = sim.status_since
    if sim.status not in FINAL or since is None:
        tx.tasks.drop(sim.sid, TaskKind.FINALIZE_SIM)
        return
    if sim.status is WirelessStatus.DEACTIVATED:
        due = max(since + CANCELED_AFTER, context.now)
    else:
        sessions = tx.wireless.sessions
        used = used_since(sessions, sim.sid, since, context.now)
        due = when_active(
            since,
            context.now,
            used=used,
            messages=sim.commands_while_ready,
            sessions=sessions.of_sim(sim.sid, since=context.now),
        )
    context.put_off(tx, TaskKind.FINALIZE_SIM, sim, due)
