"""The table of tasks: for each step what the network has to do, and what follows from that."""

from collections.abc import Mapping
from typing import Final

from ringback.core.scenario import CARRIED_OUT, Ending, Step
from ringback.core.task import Task
from ringback.operations.moment import Moment
from ringback.operations.supersim.command_lifecycle import (
    begin_confirmation,
    begin_datagram,
    begin_sms,
    end_confirmation,
    end_datagram,
    end_sms,
)
from ringback.operations.supersim.profile_lifecycle import (
    begin_profile,
    begin_settings,
    end_profile,
    end_settings,
)
from ringback.operations.supersim.sim_lifecycle import activate, begin_update, end_update, renew
from ringback.operations.wireless.command_lifecycle import (
    begin_command,
    begin_forgetting,
    begin_receipt,
    end_command,
    end_forgetting,
    end_receipt,
)
from ringback.operations.wireless.sim_lifecycle import (
    begin_change,
    begin_reset,
    end_change,
    end_in_final,
    end_reset,
    meter,
    take_on,
)
from ringback.ports import TaskHandler, Transaction


def by_itself(_tx: Transaction, _task: Task, _moment: Moment) -> Ending:
    """Let a step be taken that the network has nothing to do for."""
    return CARRIED_OUT


TASK_HANDLERS: Final[Mapping[Step, TaskHandler[Moment]]] = {
    Step.UPDATE_SIM: TaskHandler(begin_update, end_update),
    Step.ACTIVATE_SIM: TaskHandler(by_itself, activate),
    Step.RENEW_PERIOD: TaskHandler(by_itself, renew),
    Step.SEND_SMS: TaskHandler(begin_sms, end_sms),
    Step.CONFIRM_SMS: TaskHandler(begin_confirmation, end_confirmation),
    Step.SEND_IP: TaskHandler(begin_datagram, end_datagram),
    Step.RESERVE_PROFILE: TaskHandler(begin_profile, end_profile),
    Step.OFFER_PROFILE: TaskHandler(begin_profile, end_profile),
    Step.DOWNLOAD_PROFILE: TaskHandler(begin_profile, end_profile),
    Step.INSTALL_PROFILE: TaskHandler(begin_profile, end_profile),
    Step.BEGIN_SETTINGS: TaskHandler(begin_settings, end_settings),
    Step.END_SETTINGS: TaskHandler(begin_settings, end_settings),
    # Programmable Wireless
    Step.TAKE_ON_CHANGE: TaskHandler(by_itself, take_on),
    Step.CHANGE_SIM: TaskHandler(begin_change, end_change),
    Step.FINALIZE_SIM: TaskHandler(by_itself, end_in_final),
    Step.RESET_SIM: TaskHandler(begin_reset, end_reset),
    Step.METER_SIM: TaskHandler(by_itself, meter),
    Step.SEND_COMMAND: TaskHandler(begin_command, end_command),
    Step.CONFIRM_COMMAND: TaskHandler(begin_receipt, end_receipt),
    Step.FORGET_COMMAND: TaskHandler(begin_forgetting, end_forgetting),
}
