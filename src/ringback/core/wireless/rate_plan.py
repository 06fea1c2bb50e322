"""Rate plans: which services SIMs may use, how much data, and where.

The home network is T-Mobile's in the USA; other operators there are national roaming, and all other
networks are international roaming. Source: the vendors' OpenAPI files.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork


class DataLimitStrategy(StrEnum):
    """What the home network does with a SIM that has used its limit."""

    BLOCK = "block"
    THROTTLE = "throttle"


class RatePlanDataMetering(StrEnum):
    """How data usage is metered: as it comes, or in quotas."""

    PAYG = "payg"
    QUOTA_1 = "quota-1"
    QUOTA_10 = "quota-10"
    QUOTA_50 = "quota-50"


DATA_LIMIT: Final = 1000
"""The default limit, in MB per month."""
DATA_LIMITS: Final = (1, 2_000_000)
"""The least and the most, in MB. The documentation has the most: 2 TB."""


class RoamingService(StrEnum):
    """The services that a SIM can have abroad; `voice` is deprecated."""

    DATA = "data"
    MESSAGING = "messaging"
    VOICE = "voice"


_HOME: Final = ("310260", "310240")


class RoamingZone(StrEnum):
    """The zones in which usage is counted; the values are the names of the fields for it."""

    HOME = "home"
    NATIONAL = "national_roaming"
    INTERNATIONAL = "international_roaming"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """A rate plan; only its names and its notification URL can be changed."""

    sid: str
    account_sid: str
    date_created: datetime
    date_updated: datetime
    unique_name: str | None = None
    friendly_name: str | None = None
    data_enabled: bool = True
    data_metering: RatePlanDataMetering = RatePlanDataMetering.PAYG
    data_limit: int = DATA_LIMIT
    messaging_enabled: bool = True
    voice_enabled: bool = False
    national_roaming_enabled: bool = False
    national_roaming_data_limit: int = DATA_LIMIT
    international_roaming: tuple[str, ...] = ()
    international_roaming_data_limit: int = DATA_LIMIT
    data_limit_strategy: DataLimitStrategy = DataLimitStrategy.BLOCK
    usage_notification_url: str | None = None
    usage_notification_method: HttpMethod = HttpMethod.POST

    @property
    def roams(self) -> bool:
        """Whether its SIMs may leave the home network."""
        return self.national_roaming_enabled or bool(self.international_roaming)

    def limit_in(self, zone: RoamingZone) -> int:
        """Return how many MB a SIM may use there in a month."""
        return {
            RoamingZone.HOME: self.data_limit,
            RoamingZone.NATIONAL: self.national_roaming_data_limit,
            RoamingZone.INTERNATIONAL: self.international_roaming_data_limit,
        }[zone]

    def throttles_in(self, zone: RoamingZone) -> bool:
        """Whether a SIM goes on more slowly there once it has used its limit."""
        return zone is RoamingZone.HOME and self.data_limit_strategy is DataLimitStrategy.THROTTLE

    def allows_data_in(self, zone: RoamingZone) -> bool:
        """Whether a SIM may use data there."""
        return self.data_enabled and self._has_there(RoamingService.DATA, zone)

    def allows_messages_in(self, zone: RoamingZone) -> bool:
        """Whether a SIM may send and get Commands there."""
        return self.messaging_enabled and self._has_there(RoamingService.MESSAGING, zone)

    def _has_there(self, service: RoamingService, zone: RoamingZone) -> bool:
        return zone is not RoamingZone.INTERNATIONAL or service in self.international_roaming

    @property
    def networks(self) -> tuple[str, ...]:
        """The SIDs of the networks that its SIMs may be on."""
        is_allowed = {
            RoamingZone.HOME: True,
            RoamingZone.NATIONAL: self.national_roaming_enabled,
            RoamingZone.INTERNATIONAL: bool(self.international_roaming),
        }
        return tuple(network.sid for network in NETWORKS if is_allowed[zone_of(network)])


def zone_of(network: MobileNetwork) -> RoamingZone:
    """Return in which zone a network is.

    >>> [str(zone_of(network)) for network in NETWORKS[:2]]
    ['national_roaming', 'home']
    """
    if "".join(network.identifiers[0]) in _HOME:
        return RoamingZone.HOME
    return RoamingZone.NATIONAL if network.iso_country == "US" else RoamingZone.INTERNATIONAL
