"""A network that does as it is asked, after a set time."""

from dataclasses import dataclass
from datetime import timedelta

from ringback.core.sim_update import CarriedOut, SimUpdate, UpdateEnding


@dataclass(frozen=True, slots=True)
class SimulatedCarrier:
    """Answers `ports.Carrier`."""

    update_takes: timedelta

    async def carry_out(self, update: SimUpdate) -> UpdateEnding:
        """Carry the change out; in this network nothing fails."""
        del update
        return CarriedOut()
