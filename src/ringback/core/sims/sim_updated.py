"""The event of a SIM's update, the same for both products, as the notice shows it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from ringback.core.accounts.account import NamedRecord
from ringback.core.sims.scenario import CarrierFailure


class AnySim(NamedRecord, Protocol):
    """A SIM of either product: both packages use this module, so it can import neither."""

    @property
    def status(self) -> StrEnum:
        """The present status."""
        ...


@dataclass(frozen=True, slots=True)
class SimUpdated:
    """An update of a SIM has ended: as asked, or with an error and the status it went back to."""

    api_version: ClassVar = "v1"
    account_sid: str
    sim_sid: str
    sim_unique_name: str | None
    sim_status: StrEnum
    error_code: int | None = None
    error_message: str | None = None

    @classmethod
    def of(cls, sim: AnySim, failure: CarrierFailure | None = None) -> "SimUpdated":
        """Return the event about a SIM's present state."""
        return cls(
            account_sid=sim.account_sid,
            sim_sid=sim.sid,
            sim_unique_name=sim.unique_name,
            sim_status=sim.status,
            error_code=failure and failure.code,
            error_message=failure and failure.message,
        )
