"""The SIM APIs of both products, and the portal's operations on SIMs.

The server imports this module when the first request for it comes: it needs many others.
"""

from typing import Final

from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.devices import DeviceEndpoints
from ringback.api.portal.network_scenarios import ScenarioEndpoints
from ringback.api.supersim.access_profiles import AccessProfileEndpoints, NetworkEndpoints
from ringback.api.supersim.commands import IpCommandEndpoints, SmsCommandEndpoints
from ringback.api.supersim.esim_profiles import EsimProfileEndpoints
from ringback.api.supersim.fleets import FleetEndpoints
from ringback.api.supersim.read_only import ReadOnlyEndpoints
from ringback.api.supersim.sims import SuperSimEndpoints
from ringback.api.wireless.commands import WirelessCommandEndpoints
from ringback.api.wireless.data_sessions import DataSessionEndpoints
from ringback.api.wireless.rate_plans import RatePlanEndpoints
from ringback.api.wireless.sims import WirelessSimEndpoints
from ringback.api.wireless.usage import WirelessUsageEndpoints

_SUPER_SIM: Final = (
    SuperSimEndpoints,
    SmsCommandEndpoints,
    IpCommandEndpoints,
    EsimProfileEndpoints,
    FleetEndpoints,
    AccessProfileEndpoints,
    NetworkEndpoints,
    ReadOnlyEndpoints,
)
_WIRELESS: Final = (
    WirelessSimEndpoints,
    WirelessCommandEndpoints,
    RatePlanEndpoints,
    WirelessUsageEndpoints,
    DataSessionEndpoints,
)
_OF_DEVICES: Final = (DeviceEndpoints, ScenarioEndpoints)


def supersim_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Super SIM API."""
    return [each for kind in _SUPER_SIM for each in kind(dependencies).operations()]


def wireless_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Programmable Wireless API."""
    return [each for kind in _WIRELESS for each in kind(dependencies).operations()]


def device_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the portal's operations on SIMs and their devices."""
    return [each for kind in _OF_DEVICES for each in kind(dependencies).operations()]
