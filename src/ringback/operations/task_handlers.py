"""The handlers of scheduled tasks: each finds a task's subject, and begins and ends the task.

One transaction begins a task, another one ends it, and in between the network carries it out.
Meanwhile the task's subject, such as a SIM or a Command, can change. So each transaction looks the
subject up again, and does nothing if the subject is gone.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from ringback.core.scheduled_task import (
    BeginResult,
    CarrierRequest,
    EitherSim,
    ScheduledTask,
    Subject,
)
from ringback.core.sims.scenario import CARRIED_OUT, CarrierResult, TaskKind
from ringback.operations.context import OperationContext
from ringback.operations.supersim import command_lifecycle as commands
from ringback.operations.supersim import connection_events as connections
from ringback.operations.supersim import esim_profile_lifecycle as profiles
from ringback.operations.supersim import sim_lifecycle as sims
from ringback.operations.wireless import command_lifecycle as wireless_commands
from ringback.operations.wireless import sim_lifecycle as wireless_sims
from ringback.ports import TaskHandler, Transaction

F = TypeVar("F")


def ask_network(
    tx: Transaction,
    task: ScheduledTask,
    found: "tuple[Subject, EitherSim | None]",
    context: OperationContext,
) -> CarrierRequest:
    """Return the network request that carries out a task for a record and its SIM."""
    return context.carrier_request(tx, task, *found)


def handler(
    find: Callable[[Transaction, str], F | None],
    begin: Callable[[Transaction, ScheduledTask, F, OperationContext], BeginResult],
    end: Callable[[Transaction, F, CarrierResult, OperationContext], None],
) -> TaskHandler[OperationContext]:
    """Return a task handler that calls `begin` and `end` with the task's record, found by `find`.

    If the record is gone, the handler does nothing.
    """

    def begin_found(tx: Transaction, task: ScheduledTask, context: OperationContext) -> BeginResult:
        found = find(tx, task.subject_sid)
        return None if found is None else begin(tx, task, found, context)

    def end_found(
        tx: Transaction, task: ScheduledTask, result: CarrierResult, context: OperationContext
    ) -> None:
        found = find(tx, task.subject_sid)
        if found is not None:
            end(tx, found, result, context)

    return TaskHandler(begin_found, end_found)


def by_itself(
    find: Callable[[Transaction, str], F | None],
    take: Callable[[Transaction, F, OperationContext], None],
) -> TaskHandler[OperationContext]:
    """Return the handler of a task without network: it only calls `take` with the task's record."""

    def begin(
        tx: Transaction, task: ScheduledTask, found: F, context: OperationContext
    ) -> CarrierResult:
        return CARRIED_OUT

    def end(tx: Transaction, found: F, result: CarrierResult, context: OperationContext) -> None:
        take(tx, found, context)

    return handler(find, begin, end)


TASK_HANDLERS: Final[Mapping[TaskKind, TaskHandler[OperationContext]]] = {
    TaskKind.UPDATE_SIM: handler(sims.find_update, ask_network, sims.end_update),
    TaskKind.ACTIVATE_SIM: by_itself(sims.find_sim, sims.activate),
    TaskKind.RENEW_PERIOD: by_itself(sims.find_sim, sims.renew),
    TaskKind.SEND_SMS: handler(commands.find_sms, commands.begin_sms, commands.end_sms),
    TaskKind.CONFIRM_SMS: handler(commands.find_sms, ask_network, commands.end_confirmation),
    TaskKind.SEND_IP: handler(
        commands.find_datagram, commands.begin_datagram, commands.end_datagram
    ),
    **{
        step: handler(profiles.find_profile, ask_network, partial(profiles.end_profile, step))
        for step in profiles.STEPS
    },
    TaskKind.BEGIN_SETTINGS: handler(profiles.find_settings, ask_network, profiles.begin_settings),
    TaskKind.END_SETTINGS: handler(profiles.find_settings, ask_network, profiles.end_settings),
    TaskKind.REPORT_USAGE: by_itself(sims.find_sim, connections.report_usage),
    TaskKind.FOLLOW_SESSIONS: by_itself(sims.find_sim, connections.follow_next_sims),
    # Programmable Wireless
    TaskKind.TAKE_ON_CHANGE: by_itself(wireless_sims.find_sim, wireless_sims.take_on),
    TaskKind.CHANGE_SIM: handler(wireless_sims.find_change, ask_network, wireless_sims.end_change),
    TaskKind.FINALIZE_SIM: by_itself(wireless_sims.find_sim, wireless_sims.end_in_final),
    TaskKind.RESET_SIM: handler(wireless_sims.find_reset, ask_network, wireless_sims.end_reset),
    TaskKind.METER_SIM: by_itself(wireless_sims.find_sim, wireless_sims.meter),
    TaskKind.SEND_COMMAND: handler(
        wireless_commands.find_command,
        wireless_commands.begin_command,
        wireless_commands.end_command,
    ),
    TaskKind.CONFIRM_COMMAND: handler(
        wireless_commands.find_command, ask_network, wireless_commands.end_receipt
    ),
    TaskKind.FORGET_COMMAND: handler(
        wireless_commands.find_command,
        wireless_commands.begin_forgetting,
        wireless_commands.end_forgetting,
    ),
}
