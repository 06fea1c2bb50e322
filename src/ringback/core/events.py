"""What a customer is told: one frozen record for each kind of callback."""

from dataclasses import dataclass
from typing import ClassVar

from ringback.core.sim import SimStatus


@dataclass(frozen=True, slots=True)
class SimUpdated:
    """An update of a SIM has ended: as asked, or with an error and the status it went back to."""

    api_version: ClassVar = "v1"
    account_sid: str
    sim_sid: str
    sim_unique_name: str | None
    sim_status: SimStatus
    error_code: int | None = None
    error_message: str | None = None


Event = SimUpdated
"""Every kind of event; a union as soon as there is a second one."""
