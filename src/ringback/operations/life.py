"""What comes due of resources, step by step: for each what the network does, and what follows."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ringback.core.errand import Errand
from ringback.core.scenario import Ending, Step
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
from ringback.operations.supersim.life_of_sims import (
    activate,
    begin_update,
    by_itself,
    end_update,
    renew,
)
from ringback.ports import Transaction


class Turn(NamedTuple):
    """The two halves of a step."""

    begin: Callable[[Transaction, Task, Moment], Errand | Ending | Later | None]
    end: Callable[[Transaction, Task, Ending, Moment], None]


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
