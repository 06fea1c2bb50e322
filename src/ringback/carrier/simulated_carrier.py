"""A network that does as it is asked, or as its scenario has it."""

from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class SimulatedCarrier:
    """Answers `ports.Carrier`."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """End each errand as its scenario says, at once: how long it takes is the caller's."""
        return carrier_request.scenario.ending_of(carrier_request.step)
