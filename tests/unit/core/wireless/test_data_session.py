from datetime import timedelta

import pytest

from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork
from ringback.core.wireless.data_session import THROTTLED
from ringback.core.wireless.rate_plan import RoamingZone
from tests.fakes import NOW
from tests.wireless_fakes import ABROAD, HOME, NATIONAL, a_wireless_session

AN_HOUR = timedelta(hours=1)


def test_a_throttled_sim_has_128_kilobits_a_second() -> None:
    assert THROTTLED * 8 == 128_000 * 3600


@pytest.mark.parametrize(
    ("network", "zone"),
    [
        (HOME, RoamingZone.HOME),
        (NATIONAL, RoamingZone.NATIONAL),
        (ABROAD, RoamingZone.INTERNATIONAL),
    ],
)
def test_a_session_counts_in_the_zone_of_its_network(
    network: MobileNetwork, zone: RoamingZone
) -> None:
    session = a_wireless_session(network_sid=network.sid)
    assert (session.network, session.zone) == (network, zone)


def test_a_network_that_is_no_longer_known_counts_as_the_first() -> None:
    assert a_wireless_session(network_sid="HW" + "0" * 32).network == NETWORKS[0]


@pytest.mark.parametrize(
    ("ended", "seen", "last"),
    [
        (None, 2 * AN_HOUR, 2 * AN_HOUR),
        (AN_HOUR, 2 * AN_HOUR, AN_HOUR),
        (3 * AN_HOUR, 2 * AN_HOUR, 2 * AN_HOUR),
    ],
)
def test_a_session_was_last_updated_now_or_at_its_end(
    ended: timedelta | None, seen: timedelta, last: timedelta
) -> None:
    session = a_wireless_session(ended=None if ended is None else NOW + ended)
    assert session.last_updated(NOW + seen) == NOW + last


@pytest.mark.parametrize(
    ("up", "down", "packets"), [(0, 0, (0, 0)), (1, 1_400, (1, 1)), (1_401, 14_000, (2, 10))]
)
def test_a_full_packet_counts_and_so_does_an_incomplete_one(
    up: int, down: int, packets: tuple[int, int]
) -> None:
    assert a_wireless_session(up=up, down=down).packets(NOW + AN_HOUR) == packets


def test_future_packets_are_not_counted() -> None:
    assert a_wireless_session(up=14_000, down=28_000).packets(NOW + AN_HOUR / 2) == (5, 10)
