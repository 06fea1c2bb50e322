"""Data Sessions of Programmable Wireless SIMs: what each used over a radio link."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.calendar import HOUR
from ringback.core.sims.data_session import DataSession
from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork, network_with
from ringback.core.wireless.radio import RadioTechnology
from ringback.core.wireless.rate_plan import RoamingZone, zone_of

THROTTLED: Final = 128_000 // 8 * int(HOUR.total_seconds())
"""Bytes an hour, up and down each, of a SIM that is throttled: 128 kbit/s. The figure is ours."""
_BYTES_OF_A_PACKET: Final = 1_400
"""The payload of a full packet. The figure is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WirelessDataSession(DataSession):
    """A SIM's use of data under a rate plan."""

    rate_plan_sid: str
    iccid: str
    radio_link: RadioTechnology

    @property
    def network(self) -> MobileNetwork:
        """The network that it is on."""
        return network_with(self.network_sid) or NETWORKS[0]

    @property
    def zone(self) -> RoamingZone:
        """The zone in which its bytes count."""
        return zone_of(self.network)

    def last_updated(self, now: datetime) -> datetime:
        """Return when it was last active."""
        return now if self.date_ended is None else min(self.date_ended, now)

    def packets(self, now: datetime) -> tuple[int, int]:
        """Return how many packets went up and down until now."""
        up, down = self.bytes_between(self.date_created, now)
        return -(-up // _BYTES_OF_A_PACKET), -(-down // _BYTES_OF_A_PACKET)
