from dataclasses import FrozenInstanceError

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.supersim.fleet import DATA_LIMIT, DATA_LIMITS, Fleet
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, PROFILE_SID, a_profile


def test_a_profile_keeps_its_networks_in_the_order_in_which_they_were_added() -> None:
    sids = (f"HW{'b' * 32}", f"HW{'a' * 32}")
    assert a_profile(network_sids=sids).network_sids == sids


def test_changing_a_profile_makes_a_new_one() -> None:
    with pytest.raises(FrozenInstanceError):
        a_profile().unique_name = "mine"  # pyright: ignore[reportAttributeAccessIssue] - the point


def test_a_new_fleet_has_the_documented_defaults_and_no_callback_urls() -> None:
    fleet = Fleet(FLEET_SID, ACCOUNT_SID, None, PROFILE_SID, NOW, NOW)
    assert (fleet.data_enabled, fleet.data_limit, fleet.sms_commands_enabled) == (True, 1000, True)
    assert fleet.sms_commands.url is fleet.ip_commands.url is None
    assert fleet.sms_commands.method is fleet.ip_commands.method is HttpMethod.POST


def test_the_limits_of_a_data_limit_are_those_of_the_api() -> None:
    least, most = DATA_LIMITS
    assert (least, most) == (1, 2_000_000)
    assert least <= DATA_LIMIT <= most
