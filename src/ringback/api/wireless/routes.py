"""The Programmable Wireless API's table of operations."""

from ringback.api.operation import Operation
from ringback.api.services import Services
from ringback.api.wireless.commands import CommandResource
from ringback.api.wireless.rate_plans import RatePlanResource
from ringback.api.wireless.sims import SimResource
from ringback.api.wireless.usage import UsageResource


def wireless_operations(services: Services) -> list[Operation]:
    """Return the operations of the Programmable Wireless API."""
    resources = (SimResource, CommandResource, RatePlanResource, UsageResource)
    return [each for resource in resources for each in resource(services).operations()]
