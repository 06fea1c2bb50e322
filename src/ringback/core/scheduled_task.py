"""What will come due of a resource by itself, and what the network then has to do for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ringback.core.sims.scenario import CarrierResult, NetworkScenario, TaskKind
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.sim_update import SuperSimUpdate
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.sim_update import WirelessSimUpdate


class ScheduledTask(NamedTuple):
    """A step of one resource; there is at most one of each step."""

    step: TaskKind
    subject_sid: str
    account_sid: str
    due: datetime


class DeferredTask(NamedTuple):
    """What to do with a task that has to wait for another one."""

    until: datetime
    """When it comes due again; at the same instant, behind what is due then already."""


Subject = (
    SuperSimUpdate
    | SmsCommand
    | IpCommand
    | EsimProfile
    | SettingsUpdate
    | WirelessSimUpdate
    | WirelessSim
    | WirelessCommand
)


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """A step for the network to take."""

    step: TaskKind
    scenario: NetworkScenario
    """How the network behaves towards this SIM or this account, where it is simulated."""
    subject: Subject
    """What the step is about."""
    sim: SuperSim | WirelessSim | None
    """Whom it reaches; None for an eSIM Profile that nobody has yet."""


BeginResult = CarrierRequest | CarrierResult | DeferredTask | None
"""How a task begins; an ending where the network has nothing to do, None for one that means
nothing any more."""
