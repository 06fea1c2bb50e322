"""A simulated mobile network: the scenario of a SIM decides the result of each request."""

from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class SimulatedCarrier:
    """Implements `ports.Carrier` without a network: the SIM's scenario decides every result."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Return a request's result without waiting; the caller has waited for its duration."""
        return carrier_request.scenario.result_of(carrier_request.step)
