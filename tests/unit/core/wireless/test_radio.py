import re
from collections import Counter

import pytest

from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.wireless.radio import PLACES, RadioTechnology, cell_of, imei_of, radio_link_of
from tests.wireless_fakes import HOME, NATIONAL, WIRELESS_ICCID

CARDS = [f"8901340000000000{number:03}" for number in range(500)]


def test_every_country_with_a_network_has_a_location() -> None:
    assert set(PLACES) == {network.iso_country for network in NETWORKS}


@pytest.mark.parametrize("country", PLACES)
def test_a_location_has_a_country_code_of_three_letters_and_valid_coordinates(country: str) -> None:
    place = PLACES[country]
    assert re.fullmatch("[A-Z]{3}", place.code)
    assert (-90 <= place.lat <= 90, -180 <= place.lon <= 180) == (True, True)


def test_no_two_countries_have_the_same_code() -> None:
    assert len({place.code for place in PLACES.values()}) == len(PLACES)


def test_a_narrowband_card_has_narrowband_radio() -> None:
    assert {radio_link_of(iccid, is_narrowband=True) for iccid in CARDS} == {
        RadioTechnology.NARROWBAND
    }


def test_about_one_of_five_other_cards_has_an_old_radio() -> None:
    counted = Counter(radio_link_of(iccid, is_narrowband=False) for iccid in CARDS)
    assert set(counted) == {RadioTechnology.LTE, RadioTechnology.THREE_G}
    assert 60 <= counted[RadioTechnology.THREE_G] <= 140


def test_a_card_always_has_the_same_cell_of_its_network() -> None:
    assert cell_of(WIRELESS_ICCID, HOME) == "310-260-20711-7780"
    assert cell_of(WIRELESS_ICCID, NATIONAL) == "310-410-20711-7780"


@pytest.mark.parametrize("iccid", CARDS[:50])
def test_a_cell_has_an_area_and_a_number_within_their_limits(iccid: str) -> None:
    mcc, mnc, area, cell = map(int, cell_of(iccid, HOME).split("-"))
    assert (mcc, mnc) == (310, 260)
    assert 1 <= area <= 65_535
    assert 1 <= cell <= 9_999


@pytest.mark.parametrize("iccid", CARDS[:50])
def test_an_imei_has_15_digits_the_last_of_which_is_a_check_digit(iccid: str) -> None:
    imei = imei_of(iccid)
    assert re.fullmatch("35[0-9]{13}", imei)
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in imei[-2::-2]]
    assert (sum(doubled) + sum(map(int, imei[-1::-2]))) % 10 == 0


def test_cards_have_imeis_of_their_own() -> None:
    assert len({imei_of(iccid) for iccid in CARDS}) == len(CARDS)
