"""The life cycle of Commands: sent, delivered or failed, and deleted after a while.

Each Command causes one callback: when the Command has failed, when it was sent without asking for a
receipt, or when its receipt has arrived or won't arrive any more.
"""

from dataclasses import replace
from datetime import datetime

from ringback.core.scheduled_task import BeginResult, ScheduledTask, TaskPostponed
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    CarrierFailure,
    CarrierResult,
    CarrierTimeout,
    TaskKind,
    failure_in,
)
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import CHANGING, WirelessSim, WirelessStatus
from ringback.operations.context import OperationContext
from ringback.operations.wireless.commands import forget_command, has_messages_there
from ringback.operations.wireless.device_actions import note_use
from ringback.operations.wireless.sim_lifecycle import plan_final
from ringback.ports import Transaction

_Found = tuple[WirelessCommand, WirelessSim | None]


def find_command(tx: Transaction, sid: str) -> _Found | None:
    """Return a Command with its SIM; the SIM is None if it was deleted.

    Returns None instead of the pair if the Command is gone.
    """
    command = tx.wireless.commands.get(sid)
    return None if command is None else (command, tx.wireless.sims.get(command.sim_sid))


def begin_command(
    tx: Transaction, task: ScheduledTask, found: _Found, context: OperationContext
) -> BeginResult:
    """Return the network request that sends a Command, or the failure that prevents it.

    Returns a postponement while the SIM is being changed.
    """
    command, sim = found
    if sim is not None and sim.status in CHANGING:
        change = _first_due(tx, sim.sid, TaskKind.TAKE_ON_CHANGE, TaskKind.CHANGE_SIM)
        return TaskPostponed(max(change or context.now, context.now))
    return _why_not(tx, sim, context) or context.carrier_request(tx, task, command, sim)


def end_command(
    tx: Transaction, found: _Found, result: CarrierResult, context: OperationContext
) -> None:
    """Save whether the network sent a Command; send a callback, or wait for the receipt.

    If a receipt was requested and the Command was sent, schedules the receipt's arrival.
    """
    command, sim = found
    failure = failure_in(result, unanswered=33000)
    status = MessageStatus.SENT if failure is None else MessageStatus.FAILED
    command = command.moved(status, context.now)
    tx.wireless.commands.save(command)
    if failure is None and sim is not None:
        _count(tx, sim, context)
    if failure is None and command.delivery_receipt_requested:
        context.begin_step(tx, TaskKind.CONFIRM_COMMAND, command, sim)
    else:
        _emit(tx, command, failure, context)


def end_receipt(
    tx: Transaction, found: _Found, result: CarrierResult, context: OperationContext
) -> None:
    """Save whether a Command was delivered, and send a callback about it.

    A Command that is never confirmed keeps the status sent.
    """
    command, _ = found
    failure = None
    if not isinstance(result, CarrierTimeout):
        failure = failure_in(result, unanswered=33000)
        status = MessageStatus.DELIVERED if failure is None else MessageStatus.FAILED
        command = command.moved(status, context.now)
        tx.wireless.commands.save(command)
    _emit(tx, command, failure, context)


def begin_forgetting(
    tx: Transaction, task: ScheduledTask, found: _Found, context: OperationContext
) -> BeginResult:
    """Let an old Command be deleted, or postpone that until it was sent and confirmed."""
    due = _first_due(tx, task.subject_sid, TaskKind.SEND_COMMAND, TaskKind.CONFIRM_COMMAND)
    return CARRIED_OUT if due is None else TaskPostponed(max(due, context.now))


def end_forgetting(
    tx: Transaction, found: _Found, result: CarrierResult, context: OperationContext
) -> None:
    """Delete a Command that has been kept for long enough."""
    command, _ = found
    forget_command(tx, command.sid)


def _why_not(
    tx: Transaction, sim: WirelessSim | None, context: OperationContext
) -> CarrierFailure | None:
    """Return the reason why no Command can reach a SIM's device, or None if one can."""
    if sim is None:
        return CarrierFailure(33107, "the SIM has been deleted")
    if not sim.is_connected or sim.rate_plan_sid is None:
        return CarrierFailure(33104, f"the SIM is {sim.status}")
    if not has_messages_there(tx, sim, context):
        return CarrierFailure(33203, "the SIM's rate plan allows no Commands in this network")
    return None


def _first_due(tx: Transaction, sid: str, *steps: TaskKind) -> datetime | None:
    """Return the earliest due time of a resource's `steps`; None if none of them is scheduled."""
    dues = (tx.tasks.due_of(sid, step) for step in steps)
    return min(filter(None, dues), default=None)


def _count(tx: Transaction, sim: WirelessSim, context: OperationContext) -> None:
    """Count a sent Command; after a few Commands, a SIM that is ready becomes active."""
    note_use(tx, sim, Direction.TO_SIM, context)
    if sim.status is WirelessStatus.READY:
        sim = replace(sim, commands_while_ready=sim.commands_while_ready + 1)
        tx.wireless.sims.save(sim)
        plan_final(tx, sim, context)


def _emit(
    tx: Transaction,
    command: WirelessCommand,
    failure: CarrierFailure | None,
    context: OperationContext,
) -> None:
    sim = tx.wireless.sims.get(command.sim_sid)
    event = CommandChanged.of(command, sim and sim.unique_name, failure)
    context.emit(tx, event, command.told)
