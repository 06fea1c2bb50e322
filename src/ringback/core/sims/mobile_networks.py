"""The mobile networks that SIMs can use: a small selection of the world's networks.

Codes are those of ITU-T E.212 as operators use them. The vendors do not publish the SIDs of
networks, so ours are made from the codes and are the same in every installation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from ringback.core.sids import SID_BYTES, SidKind, make_sid


class MobileNetworkCode(NamedTuple):
    """A mobile country code and a mobile network code, as text to keep leading zeros."""

    mcc: str
    mnc: str


@dataclass(frozen=True, slots=True)
class MobileNetwork:
    """A mobile network: its name, its country and its codes."""

    friendly_name: str
    iso_country: str
    """The country's code (ISO 3166-1 alpha-2), in upper case."""
    identifiers: tuple[MobileNetworkCode, ...]

    @property
    def sid(self) -> str:
        """The network's SID, made from its first code."""
        name = "".join(self.identifiers[0]).encode()
        return make_sid(SidKind.NETWORK, blake2b(name, digest_size=SID_BYTES).digest())


def _network(name: str, country: str, *codes: str) -> MobileNetwork:
    return MobileNetwork(
        name, country, tuple(MobileNetworkCode(code[:3], code[3:]) for code in codes)
    )


NETWORKS: Final = (
    _network("AT&T", "US", "310410", "310280"),
    _network("T-Mobile", "US", "310260", "310240"),
    _network("Verizon", "US", "311480"),
    _network("Rogers", "CA", "302720"),
    _network("TELUS", "CA", "302220"),
    _network("Telcel", "MX", "334020"),
    _network("Claro", "BR", "72405"),
    _network("Vivo", "BR", "72406", "72410"),
    _network("Vodafone", "GB", "23415"),
    _network("EE", "GB", "23430", "23433"),
    _network("O2", "GB", "23410"),
    _network("Three", "GB", "23420"),
    _network("Vodafone", "IE", "27201"),
    _network("Telekom", "DE", "26201"),
    _network("Vodafone", "DE", "26202"),
    _network("O2", "DE", "26203"),
    _network("Orange", "FR", "20801"),
    _network("SFR", "FR", "20810"),
    _network("Bouygues Telecom", "FR", "20820"),
    _network("Movistar", "ES", "21407"),
    _network("Orange", "ES", "21403"),
    _network("TIM", "IT", "22201"),
    _network("Vodafone", "IT", "22210"),
    _network("KPN", "NL", "20408"),
    _network("Vodafone", "NL", "20404"),
    _network("Proximus", "BE", "20601"),
    _network("Swisscom", "CH", "22801"),
    _network("A1", "AT", "23201"),
    _network("Telia", "SE", "24001"),
    _network("Telenor", "NO", "24201"),
    _network("TDC", "DK", "23801"),
    _network("Elisa", "FI", "24405"),
    _network("Orange", "PL", "26003"),
    _network("Telstra", "AU", "50501"),
    _network("Optus", "AU", "50502"),
    _network("Spark", "NZ", "53005"),
    _network("NTT Docomo", "JP", "44010"),
    _network("SoftBank", "JP", "44020"),
    _network("Singtel", "SG", "52501"),
    _network("Vodacom", "ZA", "65501"),
)

CITIES: Final[Mapping[str, tuple[float, float]]] = {
    "AT": (48.208, 16.372),
    "AU": (-33.869, 151.209),
    "BE": (50.847, 4.352),
    "BR": (-23.551, -46.633),
    "CA": (43.653, -79.383),
    "CH": (47.377, 8.541),
    "DE": (52.520, 13.405),
    "DK": (55.676, 12.568),
    "ES": (40.417, -3.704),
    "FI": (60.170, 24.938),
    "FR": (48.857, 2.352),
    "GB": (51.507, -0.128),
    "IE": (53.350, -6.260),
    "IT": (41.903, 12.496),
    "JP": (35.677, 139.650),
    "MX": (19.433, -99.133),
    "NL": (52.368, 4.904),
    "NO": (59.914, 10.752),
    "NZ": (-36.851, 174.764),
    "PL": (52.230, 21.012),
    "SE": (59.329, 18.069),
    "SG": (1.352, 103.820),
    "US": (34.052, -118.244),
    "ZA": (-26.204, 28.047),
}
"""The latitude and longitude of a big city in each country with a network, where its cells are."""

_BY_SID: Final = {network.sid: network for network in NETWORKS}


def network_with(sid: str) -> MobileNetwork | None:
    """Return the mobile network with this SID, or None if there is none.

    >>> network_with(NETWORKS[0].sid).friendly_name
    'AT&T'
    """
    return _BY_SID.get(sid)
