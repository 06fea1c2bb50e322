"""The table of tasks: for each step what it is about, what the network has to do, what follows.

What a task is about is looked up anew in both of its transactions; where it is gone by then,
nothing more is done.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from ringback.core.scenario import CARRIED_OUT, Ending, Step
from ringback.core.supersim.sim import Sim
from ringback.core.task import BeginResult, Errand, Subject, Task
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.moment import Moment
from ringback.operations.supersim import command_lifecycle as commands
from ringback.operations.supersim import profile_lifecycle as profiles
from ringback.operations.supersim import sim_lifecycle as sims
from ringback.operations.wireless import command_lifecycle as wireless_commands
from ringback.operations.wireless import sim_lifecycle as wireless_sims
from ringback.ports import TaskHandler, Transaction

F = TypeVar("F")


def ask_network(
    tx: Transaction,
    task: Task,
    found: tuple[Subject, Sim | WirelessSim | None],
    moment: Moment,
) -> Errand:
    """Have the network take the step with what was found and its SIM."""
    return moment.errand(tx, task, *found)


def by_itself(tx: Transaction, task: Task, found: object, moment: Moment) -> Ending:
    """Let a step be taken that the network has nothing to do for."""
    return CARRIED_OUT


def handler(
    find: Callable[[Transaction, str], F | None],
    begin: Callable[[Transaction, Task, F, Moment], BeginResult],
    end: Callable[[Transaction, Task, F, Ending, Moment], None],
) -> TaskHandler[Moment]:
    """Return the handler of a task, from what finds its subject, and its two halves."""

    def begin_found(tx: Transaction, task: Task, moment: Moment) -> BeginResult:
        found = find(tx, task.subject_sid)
        return None if found is None else begin(tx, task, found, moment)

    def end_found(tx: Transaction, task: Task, ending: Ending, moment: Moment) -> None:
        found = find(tx, task.subject_sid)
        if found is not None:
            end(tx, task, found, ending, moment)

    return TaskHandler(begin_found, end_found)


TASK_HANDLERS: Final[Mapping[Step, TaskHandler[Moment]]] = {
    Step.UPDATE_SIM: handler(sims.find_update, ask_network, sims.end_update),
    Step.ACTIVATE_SIM: handler(sims.find_sim, by_itself, sims.activate),
    Step.RENEW_PERIOD: handler(sims.find_sim, by_itself, sims.renew),
    Step.SEND_SMS: handler(commands.find_sms, commands.begin_sms, commands.end_sms),
    Step.CONFIRM_SMS: handler(commands.find_sms, ask_network, commands.end_confirmation),
    Step.SEND_IP: handler(commands.find_datagram, commands.begin_datagram, commands.end_datagram),
    Step.RESERVE_PROFILE: handler(profiles.find_profile, ask_network, profiles.end_profile),
    Step.OFFER_PROFILE: handler(profiles.find_profile, ask_network, profiles.end_profile),
    Step.DOWNLOAD_PROFILE: handler(profiles.find_profile, ask_network, profiles.end_profile),
    Step.INSTALL_PROFILE: handler(profiles.find_profile, ask_network, profiles.end_profile),
    Step.BEGIN_SETTINGS: handler(profiles.find_settings, ask_network, profiles.end_settings),
    Step.END_SETTINGS: handler(profiles.find_settings, ask_network, profiles.end_settings),
    # Programmable Wireless
    Step.TAKE_ON_CHANGE: handler(wireless_sims.find_sim, by_itself, wireless_sims.take_on),
    Step.CHANGE_SIM: handler(wireless_sims.find_change, ask_network, wireless_sims.end_change),
    Step.FINALIZE_SIM: handler(wireless_sims.find_sim, by_itself, wireless_sims.end_in_final),
    Step.RESET_SIM: handler(wireless_sims.find_reset, ask_network, wireless_sims.end_reset),
    Step.METER_SIM: handler(wireless_sims.find_sim, by_itself, wireless_sims.meter),
    Step.SEND_COMMAND: handler(
        wireless_commands.find_command,
        wireless_commands.begin_command,
        wireless_commands.end_command,
    ),
    Step.CONFIRM_COMMAND: handler(
        wireless_commands.find_command, ask_network, wireless_commands.end_receipt
    ),
    Step.FORGET_COMMAND: handler(
        wireless_commands.find_command,
        wireless_commands.begin_forgetting,
        wireless_commands.end_forgetting,
    ),
}
