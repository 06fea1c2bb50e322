from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from ringback.core.events import Event
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged
from tests.fakes import a_sim, an_event
from tests.unit.core.builders import a_datagram, an_esim_profile, an_sms
from tests.wireless_fakes import a_command

OF_EACH_KIND: list[Event] = [
    an_event(),
    SmsCommandChanged.of(an_sms(), a_sim()),
    IpCommandChanged.of(a_datagram(), a_sim()),
    EsimProfileChanged.of(an_esim_profile()),
    CommandChanged.of(a_command(), "meter_1"),
]


def test_there_is_an_event_of_each_kind() -> None:
    assert [type(event) for event in OF_EACH_KIND] == list(get_args(Event))


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_says_which_version_of_the_api_it_is_of(event: Event) -> None:
    assert event.api_version == "v1"


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_does_not_change_once_it_has_happened(event: Event) -> None:
    with pytest.raises(FrozenInstanceError):
        event.account_sid = "AC0"  # pyright: ignore[reportAttributeAccessIssue] - the point
