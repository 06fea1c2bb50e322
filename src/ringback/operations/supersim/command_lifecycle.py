"""The life cycle of SMS and IP Commands: sent, delivered or failed, with a callback each time.

Commands to a SIM whose status or fleet is being changed wait until the change has ended.
"""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.scheduled_task import BeginResult, ScheduledTask, TaskPostponed
from ringback.core.sims.message import MessageStatus
from ringback.core.sims.scenario import (
    CarrierFailure,
    CarrierResult,
    CarrierTimeout,
    TaskKind,
    failure_in,
)
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.events import IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.supersim.data_sessions import is_out_of_data
from ringback.operations.supersim.device_actions import count_sms
from ringback.operations.supersim.sims import with_sim
from ringback.ports import Transaction

_Sms = tuple[SmsCommand, SuperSim]
_Datagram = tuple[IpCommand, SuperSim]


def find_sms(tx: Transaction, sid: str) -> _Sms | None:
    """Return an SMS Command and its SIM, or None if either is gone."""
    return with_sim(tx, tx.supersim.sms_commands.get(sid))


def find_datagram(tx: Transaction, sid: str) -> _Datagram | None:
    """Return an IP Command and its SIM, or None if either is gone."""
    return with_sim(tx, tx.supersim.ip_commands.get(sid))


def begin_sms(
    tx: Transaction, task: ScheduledTask, found: _Sms, context: OperationContext
) -> BeginResult:
    """Return the network request that sends an SMS, or the failure that prevents it.

    Returns a postponement while the SIM is being changed.
    """
    return _begin(tx, task, found, _why_no_sms, context)


def end_sms(tx: Transaction, found: _Sms, result: CarrierResult, context: OperationContext) -> None:
    """Save whether the network sent an SMS, and send a callback about it.

    If the SMS was sent, schedules the step in which the network confirms its delivery.
    """
    command, sim = found
    failure = failure_in(result, unanswered=20500)
    _change_sms(tx, found, MessageStatus.SENT, failure, context)
    if failure is None:
        context.begin_step(tx, TaskKind.CONFIRM_SMS, command, sim)
        count_sms(tx, sim, context)


def end_confirmation(
    tx: Transaction, found: _Sms, result: CarrierResult, context: OperationContext
) -> None:
    """Save whether an SMS was delivered, and send a callback about it.

    An SMS that the network never confirms keeps the status `sent`, without another callback.
    """
    if not isinstance(result, CarrierTimeout):
        failure = failure_in(result, unanswered=20500)
        _change_sms(tx, found, MessageStatus.DELIVERED, failure, context)


def begin_datagram(
    tx: Transaction, task: ScheduledTask, found: _Datagram, context: OperationContext
) -> BeginResult:
    """Return the network request that sends a datagram, or the failure that prevents it.

    Returns a postponement while the SIM is being changed.
    """
    return _begin(tx, task, found, _why_no_datagram, context)


def end_datagram(
    tx: Transaction, found: _Datagram, result: CarrierResult, context: OperationContext
) -> None:
    """Save whether the network sent a datagram, and send a callback about it."""
    command, sim = found
    failure = failure_in(result, unanswered=83400)
    if failure is None:
        command = replace(command.moved(IpStatus.SENT, context.now), device_ip=sim.device_ip)
    else:
        command = command.moved(IpStatus.FAILED, context.now)
    tx.supersim.ip_commands.save(command)
    event = IpCommandChanged.of(command, sim, failure)
    context.emit(tx, event, command.callback)


def _begin(
    tx: Transaction,
    task: ScheduledTask,
    found: _Sms | _Datagram,
    why_not: Callable[[Transaction, SuperSim, Fleet, OperationContext], CarrierFailure | None],
    context: OperationContext,
) -> BeginResult:
    """Return the network request that sends a command, or the failure that prevents it.

    `why_not` returns a failure, or None, for reasons that concern only this kind of command.
    Returns a postponement while the SIM is being changed.
    """
    command, sim = found
    if sim.status is SimStatus.SCHEDULED:
        # Otherwise the order of change and command would depend on the number of parallel tasks.
        change = tx.tasks.due_of(sim.sid, TaskKind.UPDATE_SIM)
        return TaskPostponed(max(change or context.now, context.now))
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    if not sim.is_connected or fleet is None:
        return CarrierFailure(83401, f"the SIM is {sim.status}, so its device is not attached")
    return why_not(tx, sim, fleet, context) or context.carrier_request(tx, task, command, sim)


def _why_no_sms(
    tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext
) -> CarrierFailure | None:
    if not fleet.sms_commands_enabled:
        return CarrierFailure(20500, "SMS Commands are not enabled in the SIM's Fleet")
    return None


def _why_no_datagram(
    tx: Transaction, sim: SuperSim, fleet: Fleet, context: OperationContext
) -> CarrierFailure | None:
    if not fleet.data_enabled:
        return CarrierFailure(83400, "data is not enabled in the SIM's Fleet")
    if is_out_of_data(tx, sim, fleet, context):
        return CarrierFailure(83401, "the SIM has used its Fleet's DataLimit")
    return None


def _change_sms(
    tx: Transaction,
    found: _Sms,
    status: MessageStatus,
    failure: CarrierFailure | None,
    context: OperationContext,
) -> None:
    """Save that an SMS has this status, or failed, and send a callback about it."""
    command, sim = found
    command = command.moved(status if failure is None else MessageStatus.FAILED, context.now)
    tx.supersim.sms_commands.save(command)
    event = SmsCommandChanged.of(command, sim, failure)
    context.emit(tx, event, command.callback)
