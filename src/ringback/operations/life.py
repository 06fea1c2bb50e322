"""What comes due of resources, step by step: for each what the network does, and what follows."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ringback.core.errand import Errand
from ringback.core.scenario import CARRIED_OUT, Ending, Step
from ringback.core.task import Later, Task
from ringback.operations.moment import Moment
from ringback.operations.supersim.life_of_commands import (
    begin_confirmation,
    begin_datagram,
    begin_sms,
    end_confirmation,
    end_datagram,
    end_sms,
)
from ringback.operations.supersim.life_of_profiles import (
    begin_profile,
    begin_settings,
    end_profile,
    end_settings,
)
from ringback.operations.supersim.life_of_sims import activate, begin_update, end_update, renew
from ringback.operations.wireless.life_of_commands import (
    begin_command,
    begin_forgetting,
    begin_receipt,
    end_command,
    end_forgetting,
    end_receipt,
)
from ringback.operations.wireless.life_of_sims import (
    begin_change,
    begin_reset,
    end_change,
    end_in_final,
    end_reset,
    meter,
    take_on,
)
from ringback.ports import Transaction


class Turn(NamedTuple):
    """The two halves of a step."""

    begin: Callable[[Transaction, Task, Moment], Errand | Ending | Later | None]
    end: Callable[[Transaction, Task, Ending, Moment], None]


def by_itself(_tx: Transaction, _task: Task, _moment: Moment) -> Ending:
    """Let a step be taken that the network has nothing to do for."""
    return CARRIED_OUT


TURNS: Final[Mapping[Step, Turn]] = {
    Step.UPDATE_SIM: Turn(begin_update, end_update),
    Step.ACTIVATE_SIM: Turn(by_itself, activate),
    Step.RENEW_PERIOD: Turn(by_itself, renew),
    Step.SEND_SMS: Turn(begin_sms, end_sms),
    Step.CONFIRM_SMS: Turn(begin_confirmation, end_confirmation),
    Step.SEND_IP: Turn(begin_datagram, end_datagram),
    Step.RESERVE_PROFILE: Turn(begin_profile, end_profile),
    Step.OFFER_PROFILE: Turn(begin_profile, end_profile),
    Step.DOWNLOAD_PROFILE: Turn(begin_profile, end_profile),
    Step.INSTALL_PROFILE: Turn(begin_profile, end_profile),
    Step.BEGIN_SETTINGS: Turn(begin_settings, end_settings),
    Step.END_SETTINGS: Turn(begin_settings, end_settings),
    # Programmable Wireless
    Step.TAKE_ON_CHANGE: Turn(by_itself, take_on),
    Step.CHANGE_SIM: Turn(begin_change, end_change),
    Step.FINALIZE_SIM: Turn(by_itself, end_in_final),
    Step.RESET_SIM: Turn(begin_reset, end_reset),
    Step.METER_SIM: Turn(by_itself, meter),
    Step.SEND_COMMAND: Turn(begin_command, end_command),
    Step.CONFIRM_COMMAND: Turn(begin_receipt, end_receipt),
    Step.FORGET_COMMAND: Turn(begin_forgetting, end_forgetting),
}


class Life:
    """Answers `ports.LifeCycle`."""

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._moment = moment

    def begin(self, tx: Transaction, task: Task) -> Errand | Ending | Later | None:
        """Return what the network has to do for a task; see `ports.LifeCycle`."""
        return TURNS[task.step].begin(tx, task, self._moment())

    def end(self, tx: Transaction, task: Task, ending: Ending) -> None:
        """Do what follows from how it ended; see `ports.LifeCycle`."""
        TURNS[task.step].end(tx, task, ending, self._moment())
