import re
from hashlib import sha256

import pytest

from ringback.core.sids import SidKind, is_sid
from ringback.core.sims.mobile_networks import (
    CITIES,
    NETWORKS,
    MobileNetwork,
    MobileNetworkCode,
    network_with,
)

everyone = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.sid)


@everyone
def test_a_network_has_a_name_a_country_and_codes_of_e212(network: MobileNetwork) -> None:
    assert network.friendly_name
    assert re.fullmatch("[A-Z]{2}", network.iso_country)
    assert network.identifiers
    for mcc, mnc in network.identifiers:
        assert re.fullmatch("[2-7][0-9]{2}", mcc)
        assert re.fullmatch("[0-9]{2,3}", mnc)


@everyone
def test_a_network_is_found_by_its_sid(network: MobileNetwork) -> None:
    assert is_sid(network.sid, SidKind.NETWORK)
    assert network_with(network.sid) is network


def test_each_country_with_a_network_has_a_city_that_is_somewhere_on_earth() -> None:
    assert CITIES.keys() == {network.iso_country for network in NETWORKS}
    for lat, lon in CITIES.values():
        # A cell can be 0.05 degrees away; near 0, JSON would have an exponent in place of a point.
        assert 0.06 < abs(lat) < 89
        assert 0.06 < abs(lon) < 179


def test_no_network_has_the_sid_or_a_code_of_another() -> None:
    assert len({network.sid for network in NETWORKS}) == len(NETWORKS)
    codes = [code for network in NETWORKS for code in network.identifiers]
    assert len(set(codes)) == len(codes)


def test_the_country_code_of_a_network_is_that_of_its_country() -> None:
    countries = dict[str, set[str]]()
    for network in NETWORKS:
        for mcc, _ in network.identifiers:
            countries.setdefault(mcc, set()).add(network.iso_country)
    assert [mcc for mcc, found in countries.items() if len(found) > 1] == []


def test_the_network_of_the_published_sample_is_among_them() -> None:
    network = NETWORKS[0]
    assert (network.friendly_name, network.iso_country) == ("AT&T", "US")
    assert MobileNetworkCode("310", "410") in network.identifiers


def test_sids_of_networks_are_the_same_in_every_installation() -> None:
    # Stored Network Access Profiles contain these SIDs: a changed one would remove a network.
    assert NETWORKS[0].sid == "HW16294cecea897bd7af661ece114a140a"
    assert sha256(" ".join(network.sid for network in NETWORKS).encode()).hexdigest() == (
        "b85e5702a0df8af49726d8f6c0b3a5110427232726d5f7c986a29c5ca3fbdcab"
    )


def test_an_unknown_sid_finds_no_network() -> None:
    assert network_with(f"HW{'0' * 32}") is None
    assert network_with(NETWORKS[0].sid.upper()) is None
