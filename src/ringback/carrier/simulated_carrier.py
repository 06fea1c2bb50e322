"""A simulated network, in which every step ends as its scenario says."""

from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class SimulatedCarrier:
    """Answers `ports.Carrier`."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Return at once how the step ends; the caller has waited for as long as it takes."""
        return carrier_request.scenario.result_of(carrier_request.step)
