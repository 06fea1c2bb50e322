"""The Super SIM API's table of operations."""

from ringback.api.operation import Operation
from ringback.api.services import Services
from ringback.api.supersim.access_profiles import AccessProfileResource, NetworkResource
from ringback.api.supersim.commands import IpCommandResource, SmsCommandResource
from ringback.api.supersim.esim_profiles import EsimProfileResource
from ringback.api.supersim.fleets import FleetResource
from ringback.api.supersim.histories import HistoryResource
from ringback.api.supersim.sims import SimResource


def supersim_operations(services: Services) -> list[Operation]:
    """Return the operations of the Super SIM API."""
    return [
        *SimResource(services).operations(),
        *SmsCommandResource(services).operations(),
        *IpCommandResource(services).operations(),
        *EsimProfileResource(services).operations(),
        *FleetResource(services).operations(),
        *AccessProfileResource(services).operations(),
        *NetworkResource(services).operations(),
        *HistoryResource(services).operations(),
    ]
