"""The event that a SIM's update has ended, the same for Super SIM and Programmable Wireless."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from ringback.core.accounts.account import NamedRecord
from ringback.core.sims.scenario import CarrierFailure


class AnySim(NamedRecord, Protocol):
    """A SIM of either product; a Protocol, since this module can't import the two products."""

    @property
    def status(self) -> StrEnum:
        """The SIM's current status."""
        ...


@dataclass(frozen=True, slots=True)
class SimUpdated:
    """An update of a SIM has ended: with success, or with an error and the SIM's old status."""

    api_version: ClassVar = "v1"
    account_sid: str
    sim_sid: str
    sim_unique_name: str | None
    sim_status: StrEnum
    error_code: int | None = None
    error_message: str | None = None

    @classmethod
    def of(cls, sim: AnySim, failure: CarrierFailure | None = None) -> "SimUpdated":
        """Return the event with a SIM's current state, and the failure if the update failed."""
        return cls(
            account_sid=sim.account_sid,
            sim_sid=sim.sid,
            sim_unique_name=sim.unique_name,
            sim_status=sim.status,
            error_code=failure and failure.code,
            error_message=failure and failure.message,
        )
