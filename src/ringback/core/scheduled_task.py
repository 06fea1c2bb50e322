"""Scheduled steps of resources, and the requests to the mobile network to carry them out.

A step is a later change of a resource: for example, a SIM becomes `active`, or an SMS is sent.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ringback.core.sims.scenario import CarrierResult, NetworkScenario, TaskKind

# A server that sends callbacks only does not import the products.
if TYPE_CHECKING:
    from ringback.core.supersim.command import IpCommand, SmsCommand
    from ringback.core.supersim.esim_profile import EsimProfile
    from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
    from ringback.core.supersim.settings_update import OtaSettingsUpdate
    from ringback.core.supersim.sim import SuperSim
    from ringback.core.wireless.command import WirelessCommand
    from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
    from ringback.core.wireless.sim import WirelessSim

EitherSim: TypeAlias = "SuperSim | WirelessSim"


class ScheduledTask(NamedTuple):
    """A step, such as sending an SMS, that is carried out for a resource at the time `due`.

    A resource has at most one task for each kind of step.
    """

    step: TaskKind
    subject_sid: str
    account_sid: str
    due: datetime


class TaskPostponed(NamedTuple):
    """A task can't begin yet: it has to wait for another task, and is due again later."""

    until: datetime
    """When the task is due again; other tasks due at the same instant come first."""


_OfSuperSim: TypeAlias = (
    "PendingSuperSimUpdate | SmsCommand | IpCommand | EsimProfile | OtaSettingsUpdate"
)
_OfWireless: TypeAlias = "PendingWirelessSimUpdate | WirelessSim | WirelessCommand"
Subject: TypeAlias = "_OfSuperSim | _OfWireless"


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """A request to the mobile network to carry out one step, such as sending an SMS."""

    step: TaskKind
    scenario: NetworkScenario
    """How the simulated network behaves for this SIM or account."""
    subject: Subject
    """The record that the step changes."""
    sim: "EitherSim | None"
    """The SIM that the step concerns; None for an eSIM Profile without a SIM."""


BeginResult = CarrierRequest | CarrierResult | TaskPostponed | None
"""The result of starting a task: a request, a final result, a postponement; None if obsolete."""
