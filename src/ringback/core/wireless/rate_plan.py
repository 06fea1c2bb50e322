"""Rate plans: the services and the amounts of data that SIMs may use, by roaming zone.

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
    """The way the home network treats a SIM that has used up its data limit: block or throttle."""

    BLOCK = "block"
    THROTTLE = "throttle"


class RatePlanDataMetering(StrEnum):
    """The way data usage is metered: pay as you go, or in quotas."""

    PAYG = "payg"
    QUOTA_1 = "quota-1"
    QUOTA_10 = "quota-10"
    QUOTA_50 = "quota-50"


DATA_LIMIT: Final = 1000
"""The default data limit, in MB per month."""
DATA_LIMITS: Final = (1, 2_000_000)
"""The minimum and the maximum of a data limit, in MB; the maximum of 2 TB is documented."""


class RoamingService(StrEnum):
    """The services that a SIM can have abroad; `voice` is deprecated."""

    DATA = "data"
    MESSAGING = "messaging"
    VOICE = "voice"


_HOME: Final = ("310260", "310240")


class RoamingZone(StrEnum):
    """The zones that usage is counted by; the values are the names of the API fields for it."""

    HOME = "home"
    NATIONAL = "national_roaming"
    INTERNATIONAL = "international_roaming"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """A rate plan: the services and the amounts of data that its SIMs may use.

    Only its names and its notification URL can be changed later.
    """

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
        """True if the plan's SIMs may use other networks than the home network."""
        return self.national_roaming_enabled or bool(self.international_roaming)

    def limit_in(self, zone: RoamingZone) -> int:
        """Return the data limit of a SIM in this zone, in MB per month."""
        return {
            RoamingZone.HOME: self.data_limit,
            RoamingZone.NATIONAL: self.national_roaming_data_limit,
            RoamingZone.INTERNATIONAL: self.international_roaming_data_limit,
        }[zone]

    def throttles_in(self, zone: RoamingZone) -> bool:
        """Return True if a SIM in this zone is slowed down, not blocked, at its data limit."""
        return zone is RoamingZone.HOME and self.data_limit_strategy is DataLimitStrategy.THROTTLE

    def allows_data_in(self, zone: RoamingZone) -> bool:
        """Return True if a SIM may use data in this zone."""
        return self.data_enabled and self._has_there(RoamingService.DATA, zone)

    def allows_messages_in(self, zone: RoamingZone) -> bool:
        """Return True if a SIM may send and receive Commands in this zone."""
        return self.messaging_enabled and self._has_there(RoamingService.MESSAGING, zone)

    def _has_there(self, service: RoamingService, zone: RoamingZone) -> bool:
        return zone is not RoamingZone.INTERNATIONAL or service in self.international_roaming

    @property
    def networks(self) -> tuple[str, ...]:
        """The SIDs of the mobile networks that the plan's SIMs may use."""
        is_allowed = {
            RoamingZone.HOME: True,
            RoamingZone.NATIONAL: self.national_roaming_enabled,
            RoamingZone.INTERNATIONAL: bool(self.international_roaming),
        }
        return tuple(network.sid for network in NETWORKS if is_allowed[zone_of(network)])


def zone_of(network: MobileNetwork) -> RoamingZone:
    """Return the roaming zone that a mobile network belongs to.

    >>> [str(zone_of(network)) for network in NETWORKS[:2]]
    ['national_roaming', 'home']
    """
    if "".join(network.identifiers[0]) in _HOME:
        return RoamingZone.HOME
    return RoamingZone.NATIONAL if network.iso_country == "US" else RoamingZone.INTERNATIONAL
