"""What the mobile network is asked to do."""

from dataclasses import dataclass

from ringback.core.scenario import Scenario, Step
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import Sim
from ringback.core.supersim.sim_update import SimUpdate
from ringback.core.wireless.command import Command
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.sim_update import WirelessUpdate

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
