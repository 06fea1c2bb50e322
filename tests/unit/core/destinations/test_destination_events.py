from datetime import timedelta

from ringback.core.destinations.destination_events import (
    QUIET,
    DestinationEvent,
    DestinationEventKind,
)
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW

EVENT = DestinationEvent(
    DestinationEventKind.OPENED, ACCOUNT_SID, "https://a.example:443", NOW, "it is down"
)


def test_an_event_has_parameters_like_other_callbacks() -> None:
    assert EVENT.parameters() == [
        ("EventType", "destination.opened"),
        ("AccountSid", ACCOUNT_SID),
        ("Destination", "https://a.example:443"),
        ("Timestamp", "2024-07-03T14:40:58Z"),
        ("Reason", "it is down"),
    ]


def test_an_event_about_a_callback_names_it() -> None:
    about = EVENT._replace(callback_sid=CALLBACK_SID)
    assert about.parameters() == [*EVENT.parameters(), ("CallbackSid", CALLBACK_SID)]


def test_the_names_of_events_are_part_of_the_interface() -> None:
    assert [kind.value for kind in DestinationEventKind] == [
        "destination.failing",
        "destination.opened",
        "destination.recovered",
        "destination.paused",
        "destination.disabled",
        "destination.test",
        "callback.exhausted",
    ]
    assert timedelta(minutes=10) == QUIET
