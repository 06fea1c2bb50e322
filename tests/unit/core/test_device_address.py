from ipaddress import IPv4Address, IPv4Network

import pytest

from ringback.core.device_address import device_address
from tests.unit.core.builders import ICCID


def addresses(network: str, *, turns: int, iccid: str = ICCID) -> list[str]:
    return [device_address(iccid, IPv4Network(network), turn=turn) for turn in range(turns)]


@pytest.mark.parametrize(
    ("network", "usable"),
    [
        ("192.0.2.9/32", {"192.0.2.9"}),
        ("192.0.2.8/31", {"192.0.2.8", "192.0.2.9"}),
        ("192.0.2.8/30", {"192.0.2.9", "192.0.2.10"}),
        ("192.0.2.8/29", {f"192.0.2.{last}" for last in range(9, 15)}),
        ("192.0.2.0/24", {f"192.0.2.{last}" for last in range(1, 255)}),
    ],
)
def test_each_usable_address_is_given_once_in_as_many_turns(network: str, usable: set[str]) -> None:
    given = addresses(network, turns=len(usable))
    assert set(given) == usable == {str(host) for host in IPv4Network(network).hosts()}
    assert addresses(network, turns=2 * len(usable)) == given * 2


def test_a_card_has_its_address_everywhere() -> None:
    assert addresses("127.64.0.0/10", turns=2) == ["127.99.188.141", "127.99.188.142"]
    assert device_address(ICCID, IPv4Network("100.64.0.0/10")) == "100.99.188.141"


def test_cards_are_spread_over_the_whole_network() -> None:
    network = IPv4Network("100.64.0.0/10")
    given = [device_address(f"89883070000{number:09}", network) for number in range(2000)]
    assert len(set(given)) > 1990
    quarters = [sum(IPv4Address(one) in part for one in given) for part in network.subnets(2)]
    assert min(quarters) > 400
