"""A simulated mobile network, in which the scenario decides the result of every step."""

from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class SimulatedCarrier:
    """Implements `ports.Carrier` without a real network: the scenario decides every result."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Return the result of a step at once; the caller has waited for the step's duration."""
        return carrier_request.scenario.result_of(carrier_request.step)
