"""Data Sessions of Programmable Wireless SIMs, with their rate plan and radio link."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.calendar import HOUR
from ringback.core.sims.data_session import DataSession
from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork, network_with
from ringback.core.wireless.radio import RadioTechnology
from ringback.core.wireless.rate_plan import RoamingZone, zone_of

THROTTLED: Final = 128_000 // 8 * int(HOUR.total_seconds())
"""The bytes per hour that a throttled SIM can send, and receive: 128 kbit/s, our choice."""
_BYTES_OF_A_PACKET: Final = 1_400
"""The bytes in a full packet, a value of our choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WirelessDataSession(DataSession):
    """A Data Session of a Programmable Wireless SIM, with its rate plan and radio link."""

    rate_plan_sid: str
    iccid: str
    radio_link: RadioTechnology

    @property
    def network(self) -> MobileNetwork:
        """The mobile network that the session uses."""
        return network_with(self.network_sid) or NETWORKS[0]

    @property
    def zone(self) -> RoamingZone:
        """The roaming zone that the session's bytes count towards."""
        return zone_of(self.network)

    def last_updated(self, now: datetime) -> datetime:
        """Return when the session was last active: now, or at its end if that has passed."""
        return now if self.date_ended is None else min(self.date_ended, now)

    def packets(self, now: datetime) -> tuple[int, int]:
        """Return the numbers of packets uploaded and downloaded until now."""
        up, down = self.bytes_between(self.date_created, now)
        return -(-up // _BYTES_OF_A_PACKET), -(-down // _BYTES_OF_A_PACKET)
