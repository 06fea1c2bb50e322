from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network

import pytest

from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.sims.scenario import NORMAL, SCENARIOS, NetworkScenario
from ringback.core.sims.simulated_network import EVERYONE, SimulationSettings, device_address
from tests.fakes import ACCOUNT_SID, SIM_SID
from tests.unit.core.builders import ICCID

SLOW, NO_STOCK, IP_FAILS = (SCENARIOS[name] for name in ("slow", "no-stock", "ip-fails"))
NONE_AT_ALL = dict[str, NetworkScenario]()
CARDS = [f"8988307{number:013}" for number in range(1000)]


def simulated(
    *, data_per_day: int = 0, seed: int = 0, scenarios: dict[str, NetworkScenario] = NONE_AT_ALL
) -> SimulationSettings:
    return SimulationSettings(
        timedelta(seconds=1), data_per_day=data_per_day, seed=seed, scenarios=scenarios
    )


def test_a_simulation_without_settings_is_normal_and_uses_no_data() -> None:
    plain = SimulationSettings(timedelta(0))
    assert (plain.devices, plain.data_per_day, plain.seed) == (IPv4Network("100.64.0.0/10"), 0, 0)
    assert plain.scenario_of(SIM_SID, ACCOUNT_SID) is NORMAL
    assert plain.data_per_hour(ICCID) == (0, 0)


# ---- scenarios -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenarios", "expected"),
    [
        ({}, NORMAL),
        ({EVERYONE: SLOW}, SLOW),
        ({EVERYONE: SLOW, ACCOUNT_SID: NO_STOCK}, NO_STOCK),
        ({EVERYONE: SLOW, ACCOUNT_SID: NO_STOCK, SIM_SID: IP_FAILS}, IP_FAILS),
        ({EVERYONE: SLOW, SIM_SID: NORMAL}, NORMAL),
        ({"HS0": SLOW, "AC0": SLOW}, NORMAL),
    ],
)
def test_more_specific_settings_take_precedence_over_general_ones(
    scenarios: dict[str, NetworkScenario], expected: NetworkScenario
) -> None:
    assert simulated(scenarios=scenarios).scenario_of(SIM_SID, ACCOUNT_SID) is expected


def test_general_settings_apply_without_a_subject_too() -> None:
    assert simulated(scenarios={EVERYONE: SLOW}).scenario_of() is SLOW


# ---- data ----------------------------------------------------------------------------------------


def test_a_card_uses_the_same_data_for_the_same_seed_and_other_data_for_another() -> None:
    first, again, other = (simulated(data_per_day=2_400_000, seed=seed) for seed in (1, 1, 2))
    assert first.data_per_hour(ICCID) == again.data_per_hour(ICCID)
    assert first.data_per_hour(ICCID) != other.data_per_hour(ICCID)
    assert first.data_per_hour(ICCID) != first.data_per_hour(CARDS[0])


def test_values_for_a_seed_are_the_same_in_every_version() -> None:
    assert simulated(data_per_day=2_400_000).data_per_hour(ICCID) == (15960, 60040)
    assert simulated(data_per_day=2_400_000, seed=1).data_per_hour(ICCID) == (46410, 72590)
    assert simulated().network_for(ICCID, ()).friendly_name == "TDC"


def test_a_card_uses_up_to_a_quarter_more_or_less_than_the_average() -> None:
    used = [sum(simulated(data_per_day=2_400_000).data_per_hour(card)) for card in CARDS]
    assert (min(used), max(used)) == (75_000, 125_000)
    assert 98_000 < sum(used) / len(used) < 102_000


def test_between_a_fifth_and_a_half_of_the_data_is_upload() -> None:
    pairs = [simulated(data_per_day=2_400_000).data_per_hour(card) for card in CARDS]
    shares = [up * 100 / (up + down) for up, down in pairs]
    assert 19.9 < min(shares) < 21
    assert 49 < max(shares) <= 50


# ---- networks ------------------------------------------------------------------------------------


def test_a_card_uses_an_allowed_network() -> None:
    allowed = NETWORKS[3:7]
    sids = [network.sid for network in allowed]
    assert {simulated().network_for(card, sids) for card in CARDS} == set(allowed)


def test_without_an_allowed_network_a_card_uses_any() -> None:
    assert {simulated().network_for(card, ()) for card in CARDS} == set(NETWORKS)


def test_a_card_uses_the_same_network_for_the_same_seed() -> None:
    used = [[simulated(seed=seed).network_for(card, ()) for card in CARDS] for seed in (1, 1, 2)]
    assert used[0] == used[1] != used[2]


def test_the_order_in_which_networks_were_added_makes_no_difference() -> None:
    sids = [network.sid for network in NETWORKS[:9]]
    one, other = (
        [simulated().network_for(card, order) for card in CARDS] for order in (sids, sids[::-1])
    )
    assert one == other


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
def test_each_usable_address_is_assigned_once_before_any_repeats(
    network: str, usable: set[str]
) -> None:
    given = addresses(network, turns=len(usable))
    assert set(given) == usable == {str(host) for host in IPv4Network(network).hosts()}
    assert addresses(network, turns=2 * len(usable)) == given * 2


def test_a_card_has_the_same_address_in_every_installation() -> None:
    assert addresses("127.64.0.0/10", turns=2) == ["127.99.188.141", "127.99.188.142"]
    assert device_address(ICCID, IPv4Network("100.64.0.0/10")) == "100.99.188.141"


def test_cards_are_distributed_over_the_whole_network() -> None:
    network = IPv4Network("100.64.0.0/10")
    given = [device_address(f"89883070000{number:09}", network) for number in range(2000)]
    assert len(set(given)) > 1990
    quarters = [sum(IPv4Address(one) in part for one in given) for part in network.subnets(2)]
    assert min(quarters) > 400
