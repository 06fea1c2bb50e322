"""The settings of the simulated mobile network, and the values derived from its seed.

The same seed gives the same values for the same SIM card. A device's address depends only on the
card and the settings, not on the seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from ipaddress import IPv4Network
from typing import Final

from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork
from ringback.core.sims.scenario import NORMAL, NetworkScenario

EVERYONE: Final = "*"
"""The key in the settings for the scenario of all SIMs and accounts."""

_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """The settings of the simulated mobile network."""

    takes: timedelta
    """How long each step of the network takes."""
    devices: IPv4Network = IPv4Network("100.64.0.0/10")
    """The IP network that device addresses are taken from."""
    data_per_day: int = 0
    """The approximate number of bytes that each connected SIM uses per day without any request."""
    seed: int = 0
    scenarios: Mapping[str, NetworkScenario] = field(default_factory=dict[str, NetworkScenario])
    """The scenarios by the SID of a SIM or an account; `*` means all."""

    def scenario_of(self, *sids: str) -> NetworkScenario:
        """Return the scenario of the first of these SIDs that has one, else the one for all."""
        return next(
            (self.scenarios[sid] for sid in (*sids, EVERYONE) if sid in self.scenarios), NORMAL
        )

    def data_per_hour(self, iccid: str) -> tuple[int, int]:
        """Return the bytes that a SIM card sends and receives per hour, random around the average.

        >>> settings = SimulationSettings(timedelta(0), data_per_day=2_400_000)
        >>> settings.data_per_hour("89883070000123456789")
        (15960, 60040)
        """
        lot = self.lot(f"data {iccid}")
        total = self.data_per_day * (75 + lot % 51) // 100 // _HOURS
        upload = total * (20 + lot // 51 % 31) // 100
        return upload, total - upload

    def network_for(self, iccid: str, sids: Sequence[str]) -> MobileNetwork:
        """Return the network that a SIM card uses: one with these SIDs, or any if none is known.

        >>> settings = SimulationSettings(timedelta(0))
        >>> NETWORKS[0] == settings.network_for("8988307", [NETWORKS[0].sid])
        True
        """
        allowed = [network for network in NETWORKS if network.sid in sids] or NETWORKS
        return allowed[self.lot(f"network {iccid}") % len(allowed)]

    def lot(self, what: str) -> int:
        """Return a number of 64 bits for what these words describe, random but always the same."""
        return int.from_bytes(blake2b(f"{self.seed} {what}".encode(), digest_size=8).digest())


def device_address(iccid: str, network: IPv4Network, *, turn: int = 0) -> str:
    """Return an IP address for a SIM card's device; if it is in use, the next `turn` gives another.

    The same card gets the same addresses everywhere, and successive turns give each address of the
    network once. The network's own address and its broadcast address are left out, except in
    networks too small to have them (RFC 3021).

    >>> device_address("89883070000123456789", IPv4Network("127.64.0.0/10"))
    '127.99.188.141'
    """
    first, count = (
        (1, network.num_addresses - 2) if network.prefixlen <= 30 else (0, network.num_addresses)
    )
    lot = int.from_bytes(blake2b(iccid.encode(), digest_size=8).digest())
    return str(network[first + (lot + turn) % count])
