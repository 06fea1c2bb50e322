from dataclasses import FrozenInstanceError

import pytest

from tests.fakes import an_event


def test_an_event_says_which_version_of_the_api_it_is_of() -> None:
    assert an_event().api_version == "v1"


def test_an_event_does_not_change_once_it_has_happened() -> None:
    with pytest.raises(FrozenInstanceError):
        an_event().sim_sid = "HS0"  # pyright: ignore[reportAttributeAccessIssue] - the point
