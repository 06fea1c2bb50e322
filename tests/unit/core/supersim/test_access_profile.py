from dataclasses import FrozenInstanceError

import pytest

from tests.fakes import a_profile


def test_a_profile_keeps_its_networks_in_the_order_in_which_they_were_added() -> None:
    sids = (f"HW{'b' * 32}", f"HW{'a' * 32}")
    assert a_profile(network_sids=sids).network_sids == sids


def test_a_profile_is_changed_by_making_another() -> None:
    with pytest.raises(FrozenInstanceError):
        a_profile().unique_name = "mine"  # pyright: ignore[reportAttributeAccessIssue] - the point
