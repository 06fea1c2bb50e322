from dataclasses import FrozenInstanceError

import pytest

from ringback.core.events import Event
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from tests.fakes import a_sim, an_event
from tests.unit.core.builders import a_datagram, an_esim_profile, an_sms

OF_EACH_KIND: list[Event] = [
    an_event(),
    SmsCommandChanged.of(an_sms(), a_sim()),
    IpCommandChanged.of(a_datagram(), a_sim()),
    EsimProfileChanged.of(an_esim_profile()),
]


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_says_which_version_of_the_api_it_is_of(event: Event) -> None:
    assert event.api_version == "v1"


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_does_not_change_once_it_has_happened(event: Event) -> None:
    with pytest.raises(FrozenInstanceError):
        event.account_sid = "AC0"  # pyright: ignore[reportAttributeAccessIssue] - the point
