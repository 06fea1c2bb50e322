"""Made-up places, radio links and IMEIs of SIMs' devices, always the same for the same ICCID.

The formats are those of the published samples of Data Sessions, and of 3GPP TS 23.003 for the IMEI.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from ringback.core.sims.mobile_networks import MobileNetwork


class RadioTechnology(StrEnum):
    """The radio technologies that a SIM can use; `NB-IoT` is for Narrowband SIMs."""

    LTE = "LTE"
    THREE_G = "3G"
    NARROWBAND = "NB-IoT"


class DataSessionLocation(NamedTuple):
    """The location of a Data Session: a country's code, and the coordinates of a city in it."""

    code: str
    """The country's code (ISO 3166-1 alpha-3)."""
    lat: float
    lon: float


# By the country's two letters in ISO 3166-1; the places are large cities, to four digits.
PLACES: Final = {
    "AT": DataSessionLocation("AUT", 48.2082, 16.3738),
    "AU": DataSessionLocation("AUS", -33.8688, 151.2093),
    "BE": DataSessionLocation("BEL", 50.8503, 4.3517),
    "BR": DataSessionLocation("BRA", -23.5505, -46.6333),
    "CA": DataSessionLocation("CAN", 43.6532, -79.3832),
    "CH": DataSessionLocation("CHE", 47.3769, 8.5417),
    "DE": DataSessionLocation("DEU", 52.52, 13.405),
    "DK": DataSessionLocation("DNK", 55.6761, 12.5683),
    "ES": DataSessionLocation("ESP", 40.4168, -3.7038),
    "FI": DataSessionLocation("FIN", 60.1699, 24.9384),
    "FR": DataSessionLocation("FRA", 48.8566, 2.3522),
    "GB": DataSessionLocation("GBR", 51.5074, -0.1278),
    "IE": DataSessionLocation("IRL", 53.3498, -6.2603),
    "IT": DataSessionLocation("ITA", 41.9028, 12.4964),
    "JP": DataSessionLocation("JPN", 35.6762, 139.6503),
    "MX": DataSessionLocation("MEX", 19.4326, -99.1332),
    "NL": DataSessionLocation("NLD", 52.3676, 4.9041),
    "NO": DataSessionLocation("NOR", 59.9139, 10.7522),
    "NZ": DataSessionLocation("NZL", -36.8509, 174.7645),
    "PL": DataSessionLocation("POL", 52.2297, 21.0122),
    "SE": DataSessionLocation("SWE", 59.3293, 18.0686),
    "SG": DataSessionLocation("SGP", 1.3521, 103.8198),
    "US": DataSessionLocation("USA", 37.7749, -122.4194),
    "ZA": DataSessionLocation("ZAF", -33.9249, 18.4241),
}


def radio_link_of(iccid: str, *, is_narrowband: bool) -> RadioTechnology:
    """Return the radio technology of a simulated device, derived from its SIM card's ICCID."""
    if is_narrowband:
        return RadioTechnology.NARROWBAND
    return RadioTechnology.THREE_G if _lot("link", iccid) % 5 == 0 else RadioTechnology.LTE


def cell_of(iccid: str, network: MobileNetwork) -> str:
    """Return a simulated device's cell, derived from its ICCID: country, network, area, cell.

    >>> from ringback.core.sims.mobile_networks import NETWORKS
    >>> cell_of("8901340852295524703", NETWORKS[1])
    '310-260-20711-7780'
    """
    lot = _lot("cell", iccid)
    mcc, mnc = network.identifiers[0]
    return f"{mcc}-{mnc}-{lot % 65535 + 1}-{lot // 65535 % 9999 + 1}"


def imei_of(iccid: str) -> str:
    """Return a simulated device's IMEI, derived from its ICCID: 14 digits and a check digit.

    >>> imei_of("8901340852295524703")
    '353626919159348'
    """
    digits = f"35{_lot('imei', iccid) % 10**12:012}"
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(digits)]
    return f"{digits}{-sum(each // 10 + each % 10 for each in doubled) % 10}"


def _lot(what: str, iccid: str) -> int:
    return int.from_bytes(blake2b(f"{what} {iccid}".encode(), digest_size=8).digest())
