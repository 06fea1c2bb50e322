"""What will come due of a resource by itself, and what the network then has to do for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ringback.core.scenario import Ending, Scenario, Step
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import Sim
from ringback.core.supersim.sim_update import SimUpdate
from ringback.core.wireless.command import Command
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.sim_update import WirelessUpdate


class Task(NamedTuple):
    """A step of one resource; there is at most one of each step."""

    step: Step
    subject_sid: str
    account_sid: str
    due: datetime


class Later(NamedTuple):
    """What to do with a task that has to wait for another one."""

    until: datetime
    """When it comes due again; at the same instant, behind what is due then already."""


Subject = (
    SimUpdate
    | SmsCommand
    | IpCommand
    | EsimProfile
    | SettingsUpdate
    | WirelessUpdate
    | WirelessSim
    | Command
)


@dataclass(frozen=True, slots=True)
class Errand:
    """A step for the network to take."""

    step: Step
    scenario: Scenario
    """How the network behaves towards this SIM or this account, where it is simulated."""
    subject: Subject
    """What the step is about."""
    sim: Sim | WirelessSim | None
    """Whom it reaches; None for an eSIM Profile that nobody has yet."""


BeginResult = Errand | Ending | Later | None
"""How a task begins; an ending where the network has nothing to do, None for one that means
nothing any more."""
